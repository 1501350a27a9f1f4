package srun

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/channel"
)

// Record is a payment in the vendor's books.
type Record struct {
	No      string // the vendor's
	OrderNo string
	User    string
	PayType string
	Amount  money.Fen
	At      time.Time
}

// wireRecord is a record of payment-records.
type wireRecord struct {
	No      vendor.Text `json:"bill_number"`
	User    vendor.Text `json:"user_name"`
	Created vendor.Text `json:"create_at"`
	PayNum  vendor.Text `json:"pay_num"`
	OrderNo vendor.Text `json:"order_no"`
	PayType vendor.Text `json:"pay_type_id"`
}

// at returns when a record was made.
func (w wireRecord) at() (time.Time, error) {
	seconds, err := strconv.ParseInt(string(w.Created), 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, errors.New("srun: a record has no time")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (w wireRecord) record() (Record, error) {
	amount, err1 := w.PayNum.Yuan()
	at, err2 := w.at()
	if err := errors.Join(err1, err2); err != nil {
		return Record{}, err
	}
	return Record{
		No: string(w.No), OrderNo: string(w.OrderNo), User: string(w.User), PayType: string(w.PayType),
		Amount: amount, At: at,
	}, nil
}

// parseRecords reads the records of an answer, and how many there are on all
// pages; less than zero if it does not say. That there are none is only said by a list,
// and what has nothing of a record is no record: it may have the list in it.
func parseRecords(e envelope) (all []wireRecord, total int, err error) {
	all, err = vendor.OneOrMany[wireRecord](e.Data)
	if err != nil || e.Data == nil || slices.Contains(all, wireRecord{}) {
		return nil, 0, errors.New("srun: the records have another form")
	}
	if e.Meta == nil || e.Meta.Total == "" {
		return all, -1, nil
	}
	if total, err = strconv.Atoi(string(e.Meta.Total)); err != nil || total < 0 {
		return nil, 0, errors.New("srun: the records have no count")
	}
	return all, total, nil
}

const (
	pageSize = 100
	pagesMax = 1000
)

// records returns what payment-records has for a query, from all pages or not
// at all. What comes again counts once: after the last page some boxes give that one
// again, and pages move on by what is booked meanwhile. Without a count records end
// where a page has none that is new.
func (c *Client) records(ctx context.Context, query url.Values) (all []wireRecord, err error) {
	seen := map[wireRecord]bool{}
	query.Set("per-page", strconv.Itoa(pageSize))
	for page := 1; page <= pagesMax; page++ {
		query.Set("page", strconv.Itoa(page))
		e, err := c.get(ctx, "api/v1/financial/payment-records", query)
		if err != nil {
			return nil, err
		}
		some, total, err := parseRecords(e)
		if err != nil {
			return nil, err
		}
		some = slices.DeleteFunc(some, func(w wireRecord) bool { return seen[w] })
		for _, w := range some {
			seen[w] = true
		}
		all = append(all, some...)
		switch {
		case len(all) == total, total < 0 && len(some) == 0:
			return all, nil
		case len(some) == 0, total >= 0 && len(all) > total:
			return nil, fmt.Errorf("srun: %d of %d records came", len(all), total)
		}
	}
	return nil, errors.New("srun: the records have no end")
}

// Ask implements [vendor.Asker]. It believes no filter of the vendor's: a record
// counts if it has the order's number.
func (c *Client) Ask(ctx context.Context, h vendor.Charge) (vendor.Receipt, error) {
	all, err := c.records(ctx, url.Values{"user_name": {h.Target}, "order_no": {h.OrderNo}})
	if err != nil {
		return vendor.Receipt{}, err
	}
	all = slices.DeleteFunc(all, func(w wireRecord) bool { return string(w.OrderNo) != h.OrderNo })
	if len(all) == 0 {
		return vendor.Receipt{}, vendor.ErrAbsent
	}
	first, err := all[0].record()
	if err != nil {
		return vendor.Receipt{}, err
	}
	if len(all) > 1 || first.Amount != h.Amount || first.User != h.Target {
		return vendor.Receipt{}, fmt.Errorf("%w: %d records, the first of %s, for this user %t",
			vendor.ErrMismatch, len(all), first.Amount, first.User == h.Target)
	}
	return vendor.Receipt{RecordNo: first.No, At: first.At}, nil
}

// Bill implements [channel.Statements]: what was booked on a day by our way to
// pay, whoever ordered it. That the records of all users are given when none is
// named has to be confirmed at the site (C); until then an answer that lacks
// some is found as payments that only we have. A day without records is a day on
// which nothing was booked.
func (c *Client) Bill(ctx context.Context, day channel.Day) (channel.Statement, error) {
	from, to := day.Start(), day.Add(1).Start()
	all, err := c.records(ctx, url.Values{
		"pay_type_id": {c.payType},
		"start_at":    {strconv.FormatInt(from.Unix(), 10)},
		"stop_at":     {strconv.FormatInt(to.Unix()-1, 10)},
	})
	if err != nil {
		return channel.Statement{}, err
	}
	s := channel.Statement{Day: day}
	for _, w := range all {
		if string(w.PayType) != c.payType {
			continue
		}
		at, err := w.at()
		if err == nil && (at.Before(from) || !at.Before(to)) {
			continue
		}
		r, err := w.record()
		if err != nil {
			return channel.Statement{}, err
		}
		l := channel.Line{OrderNo: r.OrderNo, TradeNo: r.No, Kind: channel.Payment, Amount: r.Amount, At: r.At}
		if r.Amount < 0 {
			l.Kind, l.Amount = channel.Refund, -r.Amount
		}
		if l.Amount == 0 {
			continue
		}
		s.Lines = append(s.Lines, l)
	}
	return s, nil
}
