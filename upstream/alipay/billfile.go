package alipay

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/channel"
)

// A bill is a ZIP of files in GBK: one of lines (业务明细) and one of sums for
// each shop (业务明细汇总). What is no table in them begins with "#":
//
//	#支付宝业务明细查询
//	#账号：[20880000000000010156]
//	#起始日期：[2026年03月01日 00:00:00]   终止日期：[2026年03月02日 00:00:00]
//	#-----…业务明细列表-----…
//	支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间, …
//	2026030122001458860515315453⇥,K1_42⇥,交易⇥,校园卡充值, …
//	#-----…业务明细列表结束-----…
//	#交易合计：6笔，商家实收共0.06元，商家优惠共0.00元
//	#退款合计：4笔，商家实收退款共-0.04元，商家优惠退款共0.00元
//	#导出时间：[2026年03月02日 05:46:49]
//
// Cells end in a tab, which keeps spreadsheets from taking a number for a
// number. The columns have changed over the years and are known by name.
const (
	detailHead  = "#支付宝业务明细查询"
	summaryHead = "#支付宝业务汇总查询"
	listBegins  = "列表-"
	listEnds    = "列表结束-"
)

// rowMax is the longest row that is read, in bytes. A subject has 256
// characters at most.
const rowMax = 64 << 10

var (
	period   = regexp.MustCompile(`^#起始日期：\[(\S+) 00:00:00\]\s+终止日期：\[(\S+) 00:00:00\]$`)
	payments = regexp.MustCompile(`^#交易合计：(\d{1,9})笔，商家实收共(-?[0-9.]+)元`)
	refunds  = regexp.MustCompile(`^#退款合计：(\d{1,9})笔，商家实收退款共(-?[0-9.]+)元`)
)

// count is how many lines there are and what they come to.
type count struct {
	n   int
	sum money.Fen
}

// readBill returns the bill of a day, whole or not at all.
func readBill(file []byte, day channel.Day) (channel.Statement, error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return channel.Statement{}, err
	}
	var b bill
	for _, f := range z.File {
		if err := b.read(f, day); err != nil {
			return channel.Statement{}, err
		}
	}
	paid, returned := tally(b.lines)
	switch {
	case !b.detailed:
		return channel.Statement{}, errors.New("it has no file of lines")
	case b.summed && (paid.n != b.payments || returned.n != b.refunds):
		return channel.Statement{}, fmt.Errorf("it has %d payments and %d refunds, and its summary %d and %d",
			paid.n, returned.n, b.payments, b.refunds)
	}
	// Of what a coupon of the merchant's has paid whole nothing has moved.
	lines := slices.DeleteFunc(b.lines, func(l channel.Line) bool { return l.Amount == 0 })
	return channel.Statement{Day: day, Lines: lines}, nil
}

// bill is what was read of one so far.
type bill struct {
	unpacked          int64 // bytes
	detailed, summed  bool  // whether there was such a file
	lines             []channel.Line
	payments, refunds int // as the summary counts them
}

func (b *bill) read(f *zip.File, day channel.Day) error {
	t, err := openTable(f, unpackedMax-b.unpacked)
	if err != nil {
		return err
	}
	b.unpacked += t.size
	if err := t.heading(day); err != nil {
		return err
	}
	if t.kind == summaryHead {
		b.summed = true
		payments, refunds, err := t.summary()
		b.payments, b.refunds = b.payments+payments, b.refunds+refunds
		return err
	}
	b.detailed = true
	lines, err := t.details()
	b.lines = append(b.lines, lines...)
	return err
}

func tally(lines []channel.Line) (paid, returned count) {
	for _, l := range lines {
		if l.Kind == channel.Refund {
			returned = count{returned.n + 1, returned.sum + l.Amount}
		} else {
			paid = count{paid.n + 1, paid.sum + l.Amount}
		}
	}
	return paid, returned
}

// table is one file of a bill, read line by line.
type table struct {
	kind    string // detailHead or summaryHead
	size    int64  // unpacked, in bytes
	lines   []string
	columns map[string]int // by name, once the list has begun
	width   int            // of a row, in cells
}

// openTable unpacks f, which also checks its sum. Its name does not count: it
// is in GBK or not, as the ZIP was made.
func openTable(f *zip.File, most int64) (*table, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	limited := &io.LimitedReader{R: r, N: most + 1}
	lines := bufio.NewScanner(simplifiedchinese.GBK.NewDecoder().Reader(limited))
	lines.Buffer(nil, rowMax)
	t := &table{}
	for lines.Scan() {
		t.lines = append(t.lines, strings.TrimRight(lines.Text(), "\r"))
	}
	if t.size = most + 1 - limited.N; t.size > most {
		return nil, errors.New("it is too long")
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	t.kind = t.next()
	if t.kind != detailHead && t.kind != summaryHead {
		return nil, errors.New("a file in it is neither lines nor sums")
	}
	return t, nil
}

// next takes the next line, and returns "" after the last.
func (t *table) next() string {
	if len(t.lines) == 0 {
		return ""
	}
	line := t.lines[0]
	t.lines = t.lines[1:]
	return line
}

// heading reads what comes before the list, and the names of its columns.
func (t *table) heading(day channel.Day) error {
	const form = "2006年01月02日"
	first, last := day.Start().Format(form), day.Add(1).Start().Format(form)
	var dated bool
	for len(t.lines) > 0 {
		line := t.next()
		if m := period.FindStringSubmatch(line); m != nil {
			if m[1] != first || m[2] != last {
				return errors.New("it is of another day")
			}
			dated = true
		}
		if strings.HasPrefix(line, "#") && strings.Contains(line, listBegins) {
			break
		}
	}
	names, err := cells(t.next())
	if err != nil || !dated {
		return errors.New("it has no day, or no list")
	}
	t.columns, t.width = make(map[string]int, len(names)), len(names)
	for i, name := range names {
		t.columns[name] = i
	}
	return nil
}

// row reads the next row of the list; ok is false at its end.
func (t *table) row() (r row, ok bool, err error) {
	if len(t.lines) == 0 {
		return row{}, false, errors.New("its list does not end")
	}
	line := t.next()
	if strings.HasPrefix(line, "#") {
		if !strings.Contains(line, listEnds) {
			return row{}, false, errors.New("its list does not end")
		}
		return row{}, false, nil
	}
	all, err := cells(line)
	if err != nil {
		return row{}, false, err
	}
	if len(all) != t.width { // a stranger's subject begins with a quote, and nobody has quoted it
		all = trimmed(strings.Split(line, ","))
	}
	if len(all) != t.width {
		return row{}, false, fmt.Errorf("a row has %d cells under %d columns", len(all), t.width)
	}
	return row{t.columns, all}, true, nil
}

// cells splits a line of the table.
func cells(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.LazyQuotes = true // a subject may have one
	all, err := r.Read()
	if err != nil {
		return nil, errors.New("a row is not a row")
	}
	return trimmed(all), nil
}

func trimmed(cells []string) []string {
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// row is a row of a table.
type row struct {
	columns map[string]int
	cells   []string
}

// get returns the cell under the first of names that is a column.
func (r row) get(names ...string) (string, error) {
	for _, name := range names {
		if i, ok := r.columns[name]; ok {
			return r.cells[i], nil
		}
	}
	return "", errors.New("it has no column " + names[0])
}

// details reads the list of lines, and what the file says of it at its end.
func (t *table) details() (lines []channel.Line, err error) {
	for {
		r, ok, err := t.row()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		l, err := r.line()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	paid, returned := tally(lines)
	returned.sum = -returned.sum
	if err := t.ends(payments, paid); err != nil {
		return nil, err
	}
	return lines, t.ends(refunds, returned)
}

// ends compares what the file says at its end with what it holds.
func (t *table) ends(which *regexp.Regexp, want count) error {
	for _, line := range t.lines {
		m := which.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		sum, err := readYuan(m[2])
		if err != nil || m[1] != strconv.Itoa(want.n) || sum != want.sum {
			return fmt.Errorf("its end says %s of %s yuan, and it has %d of %s", m[1], m[2], want.n, want.sum)
		}
		return nil
	}
	return errors.New("it does not say what it comes to")
}

// line reads a row of the list of lines.
//
// The amount is what the merchant is given (商家实收), which is what the order
// came to unless the merchant gave a discount at Alipay: a difference that
// nobody booked then, and that has to be seen.
func (r row) line() (l channel.Line, err error) {
	trade, err1 := r.get("支付宝交易号")
	order, err2 := r.get("商户订单号")
	kind, err3 := r.get("业务类型")
	at, err4 := r.get("完成时间")
	amount, err5 := r.get("商家实收（元）", "商家实收(元)")
	refundNo, err6 := r.get("退款批次号/请求号", "退款批次号")
	fee, err7 := r.get("服务费（元）", "服务费(元)")
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return l, err
	}
	l = channel.Line{OrderNo: order, TradeNo: trade}
	if l.Amount, err = readYuan(amount); err != nil {
		return l, err
	}
	if l.Fee, err = readYuan(fee); err != nil {
		return l, err
	}
	l.Fee = -l.Fee // it is written as what it does to the merchant
	if l.At, err = time.ParseInLocation(time.DateTime, at, beijing.Zone); err != nil {
		return l, errors.New("its time is not a time")
	}
	switch kind {
	case "交易":
		l.Kind = channel.Payment
	case "退款":
		l.Kind, l.RefundNo, l.Amount = channel.Refund, refundNo, -l.Amount
	default:
		return l, errors.New("it is neither payment nor refund")
	}
	if l.Amount < 0 || l.Amount > amountMax || l.TradeNo == "" {
		return l, errors.New("its amount is out of range, or it has no trade")
	}
	return l, nil
}

// readYuan reads an amount in yuan that may be below zero.
func readYuan(s string) (money.Fen, error) {
	digits, below := strings.CutPrefix(s, "-")
	f, err := money.Parse(digits)
	if err != nil {
		return 0, errors.New("an amount is not an amount in yuan")
	}
	if below {
		return -f, nil
	}
	return f, nil
}

// summary reads how many payments and refunds there are in all shops.
func (t *table) summary() (pays, returns int, err error) {
	var found bool
	for {
		r, ok, err := t.row()
		if err != nil {
			return 0, 0, err
		}
		if !ok {
			break
		}
		if r.cells[0] != "合计" {
			continue
		}
		found = true
		p, err1 := r.get("交易订单总笔数")
		q, err2 := r.get("退款订单总笔数")
		if err := errors.Join(err1, err2); err != nil {
			return 0, 0, err
		}
		pays, err1 = strconv.Atoi(p)
		returns, err2 = strconv.Atoi(q)
		if err1 != nil || err2 != nil {
			return 0, 0, errors.New("its summary does not count")
		}
	}
	if !found {
		return 0, 0, errors.New("its summary has no sum")
	}
	return pays, returns, nil
}
