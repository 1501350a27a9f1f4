package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// few and many are how long a journal is when a cost is measured. What a sale
// costs must not depend on it.
const (
	few  = 10_000
	many = 10_000_000
)

const flatRatio = "the same after 10,000 entries"

// measureFlatTerminal measures what a sale and a start cost at the end of ten
// million entries, in what they cost after ten thousand. The terminal makes
// them as it makes all others, which takes minutes and some gigabytes.
func measureFlatTerminal(ctx context.Context, dir string) (_ []figure, err error) {
	sale, start, err := flatTerminal(ctx, dir)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"flat.sale", sale.ratio(), "", flatRatio, sale.note("a sale, durable, at 10,000,000 entries")},
		{"flat.start", start.ratio(), "", flatRatio, start.note("from nothing to ready at 10,000,000 entries")},
	}, nil
}

// measureFlatUpload measures the same of an upload.
func measureFlatUpload(ctx context.Context, dir string) (_ []figure, err error) {
	upload, err := flatUpload(ctx, dir)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"flat.upload", upload.ratio(), "", flatRatio, upload.note("100 entries uploaded at 10,000,000")},
	}, nil
}

// grown is the median time of something early and late.
type grown struct{ early, late time.Duration }

func (g grown) ratio() float64 { return g.late.Seconds() / g.early.Seconds() }

func (g grown) note(what string) string {
	return fmt.Sprintf("%s: %v against %v", what, g.late.Round(time.Microsecond), g.early.Round(time.Microsecond))
}

func flatTerminal(ctx context.Context, dir string) (sale, start grown, err error) {
	t, err := newTill(ctx, dir)
	if err != nil {
		return sale, start, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	for _, at := range []struct {
		entries     int64
		sale, start *time.Duration
	}{{few, &sale.early, &start.early}, {many, &sale.late, &start.late}} {
		if err := t.fill(ctx, at.entries); err != nil {
			return sale, start, err
		}
		var opened []time.Duration
		for range turns {
			took, err := t.reopen(ctx, dir)
			if err != nil {
				return sale, start, err
			}
			opened = append(opened, took)
		}
		r, err := repeat(turns*turnLength, 1, func() error { return t.codeSale(ctx) })
		if err != nil {
			return sale, start, err
		}
		*at.sale, *at.start = median(r.each), median(opened)
	}
	return sale, start, nil
}

func flatUpload(ctx context.Context, dir string) (upload grown, err error) {
	u, err := newUpstream(ctx, dir, "")
	if err != nil {
		return upload, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	a, err := u.author(1)
	if err != nil {
		return upload, err
	}
	for _, at := range []struct {
		entries int64
		took    *time.Duration
	}{{few, &upload.early}, {many, &upload.late}} {
		for a.seq < at.entries {
			n := int(min(at.entries-a.seq, 100_000))
			if _, err := u.push(ctx, a, n, min(n, 1000)); err != nil {
				return upload, err
			}
		}
		r, err := u.push(ctx, a, uploadEntries, perRequest)
		if err != nil {
			return upload, err
		}
		*at.took = median(r.each)
	}
	return upload, nil
}
