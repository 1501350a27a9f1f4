package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"quancun/upstream/store/pgtest"
)

const (
	perRequest    = 100
	uploadEntries = 10_000 // in a turn
	overTLS       = "over mutual TLS, signed, chained, posted and durable"
)

// measureUploads measures P5 to P7 on a file: what the upstream takes.
func measureUploads(ctx context.Context, dir string) (_ []figure, err error) {
	u, err := newUpstream(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	raw, err := newRawDisk(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	bare := func() (rate, error) { return repeat(turnLength, 1, raw.write) }
	a, err := u.author(1)
	if err != nil {
		return nil, err
	}
	single, err := interleave(func() (rate, error) { return u.push(ctx, a, 300, 1) }, bare)
	if err != nil {
		return nil, err
	}
	before, err := u.cpu()
	if err != nil {
		return nil, err
	}
	many, err := interleave(func() (rate, error) { return u.push(ctx, a, uploadEntries, perRequest) }, bare)
	if err != nil {
		return nil, err
	}
	after, err := u.cpu()
	if err != nil {
		return nil, err
	}
	each := (after - before).Seconds() * 1000 / (uploadEntries * (turns + 1))
	both, err := u.withAnother(ctx, a)
	if err != nil {
		return nil, err
	}
	shared, err := interleave(func() (rate, error) { return both.push(ctx, uploadEntries/2, perRequest) }, bare)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"P5", middleRate(single), "/s", bareDisk, fmt.Sprintf(
			"one entry a request, %s; %.2f of the disk: %s", overTLS, ratio(single), speeds(single))},
		{"P6.sqlite", middleRate(many), "/s", bareDisk, fmt.Sprintf(
			"%d entries a request, %s; %.1f times the disk; of its %.0f us for each, %.0f are this client's "+
				"processor time; at least 25,000",
			perRequest, overTLS, ratio(many), 1e6/middleRate(many), clientTime(many))},
		{"P6.sqlite.two", middleRate(shared), "/s", bareDisk, fmt.Sprintf(
			"the same from two terminals at once; %.1f times the disk", ratio(shared))},
		{"P7", each, "ms", "", "processor time of campusd for each of these entries; at most 0.10"},
	}, nil
}

// measureShared measures P6 on PostgreSQL, against two floors of SQL: the same
// rows in the same tables, and the least that a ledger of uploads could keep.
func measureShared(ctx context.Context, dir string) (_ []figure, err error) {
	cluster, err := pgtest.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	var databases [3]pgtest.Database // ours, and one for each floor
	for i := range databases {
		if databases[i], err = cluster.Create(ctx); err != nil {
			return nil, err
		}
	}
	u, err := newUpstream(ctx, dir, databases[0].DSN)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	a, err := u.author(1)
	if err != nil {
		return nil, err
	}
	same, err := newSameSQL(ctx, databases[1].DSN, u)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, same.conn.Close(ctx)) }()
	least, err := newBareSQL(ctx, databases[2].DSN)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, least.conn.Close(ctx)) }()
	push := func() (rate, error) { return u.push(ctx, a, uploadEntries, perRequest) }
	all, err := interleave(push, func() (rate, error) { return same.run(ctx, uploadEntries) })
	if err != nil {
		return nil, err
	}
	lean, err := interleave(push, func() (rate, error) { return least.run(ctx, uploadEntries) })
	if err != nil {
		return nil, err
	}
	shared, err := measureTwo(ctx, u, a, same)
	if err != nil {
		return nil, err
	}
	const goal = "%s; %s, one statement a batch, without TLS, proof or rules; at least 0.7 from two"
	return []figure{
		{"P6.postgres", middleRate(all), "/s", sameSQL, fmt.Sprintf(
			"%d entries a request, %s; of its %.0f us for each, %.0f are this client's processor time; at least 10,000",
			perRequest, overTLS, 1e6/middleRate(all), clientTime(all))},
		{"P6.postgres.two", middleRate(shared), "/s", sameSQL, "the same from two terminals at once"},
		{"P6.postgres.ratio", ratio(shared), "", sameSQL, fmt.Sprintf(goal, speeds(shared),
			"from two terminals, by two connections that write the same rows in the same tables")},
		{"P6.postgres.ratio.one", ratio(all), "", sameSQL, fmt.Sprintf(goal, speeds(all),
			"the same from one terminal, which waits for each answer, by one connection")},
		{"P6.postgres.least", ratio(lean), "", "least SQL", fmt.Sprintf(goal, speeds(lean),
			"from one terminal, by one connection that writes three narrow tables with numbers for accounts")},
	}, nil
}

// measureTwo pushes from a and another terminal at once, and writes by floor's
// connection and another's.
func measureTwo(ctx context.Context, u *upstreamBench, a *author, floor *bareSame) (_ []pair, err error) {
	both, err := u.withAnother(ctx, a)
	if err != nil {
		return nil, err
	}
	another, err := joinSameSQL(ctx, floor.conn.Config().ConnString(), u, 2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, another.conn.Close(ctx)) }()
	floors := [...]*bareSame{floor, another}
	return interleave(
		func() (rate, error) { return both.push(ctx, uploadEntries/2, perRequest) },
		func() (rate, error) {
			return atOnce(ctx, func(ctx context.Context, i int) (rate, error) {
				return floors[i].run(ctx, uploadEntries/2)
			})
		})
}

// sameSQL is what uploads to PostgreSQL are held against.
const sameSQL = "bare folded SQL"

// clientTime is the median processor time of this process for each entry, in
// microseconds.
func clientTime(all []pair) float64 {
	var each []float64
	for _, p := range all {
		each = append(each, float64(p.ours.cpu.Microseconds())/float64(p.ours.n))
	}
	return middle(each)
}

func middleRate(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, p.ours.perSecond())
	}
	return middle(r)
}
