package reconcile

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"quancun/money"
	"quancun/upstream/channel"
)

// Records are what a biller has sold for us on a day, as an adapter or a person
// hands it over. There are two forms. JSON:
//
//	{"day": "2026-03-01", "records": [
//		{"order_no": "N1", "record_no": "88", "kind": "payment", "amount_fen": 2000,
//		 "fee_fen": 0, "at": "2026-03-01T08:00:00+08:00"},
//		{"order_no": "N1", "record_no": "89", "kind": "refund", "refund_no": "R1", "amount_fen": 500,
//		 "at": "2026-03-01T09:00:00+08:00"}]}
//
// CSV, which ends with a row of how many records there are and what payments
// less refunds come to, so that half a file is not taken for a whole one:
//
//	order_no,record_no,kind,refund_no,amount_fen,fee_fen,at
//	N1,88,payment,,2000,0,2026-03-01T08:00:00+08:00
//	N1,89,refund,R1,500,0,2026-03-01T09:00:00+08:00
//	total,2,,,1500,,2026-03-01
//
// Anything else in them is an error: a column that nobody reads may be the one
// that counts.

// recordsMax is the longest file of records that is read, in bytes.
const recordsMax = 64 << 20

// record is a record in JSON.
type record struct {
	OrderNo  string    `json:"order_no"`
	RecordNo string    `json:"record_no"`
	Kind     string    `json:"kind"`
	RefundNo string    `json:"refund_no"`
	Amount   money.Fen `json:"amount_fen"`
	Fee      money.Fen `json:"fee_fen"`
	At       time.Time `json:"at"`
}

// ReadJSON reads records in JSON, whole or not at all.
func ReadJSON(r io.Reader) (channel.Statement, error) {
	var file struct {
		Day     string   `json:"day"`
		Records []record `json:"records"`
	}
	d := json.NewDecoder(io.LimitReader(r, recordsMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return channel.Statement{}, fmt.Errorf("read records: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return channel.Statement{}, errors.New("read records: there is more after the end")
	}
	day, err := channel.ParseDay(file.Day)
	if err != nil {
		return channel.Statement{}, fmt.Errorf("read records: %w", err)
	}
	s := channel.Statement{Day: day}
	for i, rec := range file.Records {
		l, err := rec.line()
		if err != nil {
			return channel.Statement{}, fmt.Errorf("read records: record %d: %w", i+1, err)
		}
		s.Lines = append(s.Lines, l)
	}
	return s, nil
}

// titles are the columns of records in CSV.
var titles = []string{"order_no", "record_no", "kind", "refund_no", "amount_fen", "fee_fen", "at"}

// ReadCSV reads records in CSV, whole or not at all.
func ReadCSV(r io.Reader) (channel.Statement, error) {
	c := csv.NewReader(io.LimitReader(r, recordsMax))
	first, err := c.Read()
	if err != nil || !slices.Equal(first, titles) {
		return channel.Statement{}, fmt.Errorf("read records: the first row is not %s", strings.Join(titles, ","))
	}
	var lines []channel.Line
	for {
		row, err := c.Read()
		if err != nil {
			return channel.Statement{}, fmt.Errorf("read records: before the row of totals: %w", err)
		}
		if row[0] != "total" || row[2] != "" {
			l, err := readRow(row)
			if err != nil {
				return channel.Statement{}, fmt.Errorf("read records: record %d: %w", len(lines)+1, err)
			}
			lines = append(lines, l)
			continue
		}
		if _, err := c.Read(); !errors.Is(err, io.EOF) {
			return channel.Statement{}, errors.New("read records: there is more after the row of totals")
		}
		return closed(row, lines)
	}
}

func readRow(row []string) (channel.Line, error) {
	r := record{OrderNo: row[0], RecordNo: row[1], Kind: row[2], RefundNo: row[3]}
	var err1, err2, err3 error
	r.Amount, err1 = readFen(row[4])
	if row[5] != "" {
		r.Fee, err2 = readFen(row[5])
	}
	r.At, err3 = time.Parse(time.RFC3339, row[6])
	if err := errors.Join(err1, err2, err3); err != nil {
		return channel.Line{}, err
	}
	return r.line()
}

func readFen(s string) (money.Fen, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount in fen", s)
	}
	return money.Fen(n), nil
}

// closed returns lines as the statement that the row of totals ends.
func closed(totals []string, lines []channel.Line) (channel.Statement, error) {
	day, err := channel.ParseDay(totals[6])
	if err != nil {
		return channel.Statement{}, fmt.Errorf("read records: row of totals: %w", err)
	}
	s := channel.Statement{Day: day, Lines: lines}
	paid, returned := s.Totals()
	n, net := strconv.Itoa(len(lines)), strconv.FormatInt(int64(paid-returned), 10)
	if totals[1] != n || totals[4] != net {
		return channel.Statement{}, fmt.Errorf(
			"read records: the row of totals says %s records and %s fen, and there are %s and %s",
			totals[1], totals[4], n, net)
	}
	return s, nil
}

// amountMax is more than anything that a holder pays, and far from where sums
// of amounts overflow.
const amountMax = 1_000_000 * money.Yuan

// line returns r as a line of a statement, if it can be one.
func (r record) line() (channel.Line, error) {
	kinds := map[string]channel.Kind{"payment": channel.Payment, "refund": channel.Refund}
	switch {
	case r.RecordNo == "":
		return channel.Line{}, errors.New("it has no record_no")
	case kinds[r.Kind] == 0:
		return channel.Line{}, fmt.Errorf("kind %q is neither payment nor refund", r.Kind)
	case r.Kind == "payment" && r.RefundNo != "":
		return channel.Line{}, errors.New("a payment has no refund_no")
	case r.Amount < 1 || r.Amount > amountMax || r.Fee < -amountMax || r.Fee > amountMax:
		return channel.Line{}, errors.New("amount_fen or fee_fen is out of range")
	case r.At.IsZero():
		return channel.Line{}, errors.New("it has no time")
	}
	return channel.Line{
		OrderNo: r.OrderNo, RefundNo: r.RefundNo, TradeNo: r.RecordNo, Kind: kinds[r.Kind],
		Amount: r.Amount, Fee: r.Fee, At: r.At,
	}, nil
}
