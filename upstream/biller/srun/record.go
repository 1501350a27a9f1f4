package srun

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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

func (w wireRecord) record() (Record, error) {
	amount, err := w.PayNum.Yuan()
	if err != nil {
		return Record{}, err
	}
	seconds, err := strconv.ParseInt(string(w.Created), 10, 64)
	if err != nil || seconds < 0 {
		return Record{}, fmt.Errorf("srun: a record has no time")
	}
	return Record{
		No: string(w.No), OrderNo: string(w.OrderNo), User: string(w.User), PayType: string(w.PayType),
		Amount: amount, At: time.Unix(seconds, 0).UTC(),
	}, nil
}

// parseRecords reads the records of an answer, and how many there are on all
// pages.
func parseRecords(e envelope) (all []Record, total int, err error) {
	list, err := vendor.OneOrMany[wireRecord](e.Data)
	if err != nil {
		return nil, 0, errors.New("srun: the records have another form")
	}
	total = len(list)
	if e.Meta != nil && e.Meta.Total != "" {
		if total, err = strconv.Atoi(string(e.Meta.Total)); err != nil || total < 0 {
			return nil, 0, errors.New("srun: the records have no count")
		}
	}
	for _, w := range list {
		r, err := w.record()
		if err != nil {
			return nil, 0, err
		}
		all = append(all, r)
	}
	return all, total, nil
}

const (
	pageSize = 100
	pagesMax = 1000
)

// records returns what payment-records has for a query, from all pages or not
// at all.
func (c *Client) records(ctx context.Context, query url.Values) (all []Record, err error) {
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
		all = append(all, some...)
		if len(all) == total {
			return all, nil
		}
		if len(some) == 0 || len(all) > total {
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
	var found []Record
	for _, r := range all {
		if r.OrderNo == h.OrderNo {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0:
		return vendor.Receipt{}, vendor.ErrAbsent
	case len(found) > 1, found[0].Amount != h.Amount, found[0].User != h.Target:
		return vendor.Receipt{}, fmt.Errorf("%w: %d records, the first of %s, for this user %t",
			vendor.ErrMismatch, len(found), found[0].Amount, found[0].User == h.Target)
	}
	return vendor.Receipt{RecordNo: found[0].No, At: found[0].At}, nil
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
	for _, r := range all {
		if r.PayType != c.payType || r.At.Before(from) || !r.At.Before(to) {
			continue
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
