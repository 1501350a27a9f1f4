package alipay

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"

	"quancun/beijing"
	"quancun/money"
)

// movement is a line of a bill: money that came in with a trade, or that went
// back with a refund of it.
type movement struct {
	trade  *Trade
	refund *Refund // nil for the payment
}

// amount is above zero for money that came in.
func (m movement) amount() money.Fen {
	if m.refund != nil {
		return -m.refund.Amount
	}
	return m.trade.Amount
}

func (m movement) at() time.Time {
	if m.refund != nil {
		return m.refund.At
	}
	return m.trade.PaidAt
}

// movements returns what moved on a day, in order of time. Its caller holds mu.
func (g *Gateway) movements(day time.Time) (all []movement) {
	within := func(m movement) {
		if at := m.at(); !at.Before(day) && at.Before(day.AddDate(0, 0, 1)) {
			all = append(all, m)
		}
	}
	for _, t := range g.trades {
		within(movement{trade: t})
		for i := range t.Refunds {
			within(movement{t, &t.Refunds[i]})
		}
	}
	slices.SortStableFunc(all, func(a, b movement) int { return a.at().Compare(b.at()) })
	return all
}

// makeBill returns the bill of a day as the service makes it, or as a fault
// has it. Its caller holds mu.
func (g *Gateway) makeBill(day, now time.Time, fault Fault) []byte {
	lines := spoil(g.movements(day), fault, day)
	sums := totals(lines)
	if fault.Kind == BadTotals {
		sums.payments++
	}
	name := billAccount + "_" + day.Format("20060102")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, file := range []struct{ name, text string }{
		{name + "_业务明细.csv", g.details(day, now, lines, sums)},
		{name + "_业务明细(汇总).csv", summary(day, now, sums)},
	} {
		// Names and contents are GBK, and nothing in the file says so.
		w, err := z.CreateHeader(&zip.FileHeader{
			Name: string(gbk(file.name)), NonUTF8: true, Method: zip.Deflate, Modified: now,
		})
		if err == nil {
			_, err = w.Write(gbk(file.text))
		}
		if err != nil {
			panic("lab/alipay: internal error: " + err.Error()) // it is in memory
		}
	}
	if err := z.Close(); err != nil {
		panic("lab/alipay: internal error: " + err.Error())
	}
	return b.Bytes()
}

// spoil breaks the line that a fault names.
func spoil(lines []movement, fault Fault, day time.Time) []movement {
	i := slices.IndexFunc(lines, func(m movement) bool {
		return fault.Order == "" || m.trade.OutTradeNo == fault.Order
	})
	if fault.Kind == Foreign {
		at := day.Add(12 * time.Hour)
		return append(lines, movement{trade: &Trade{
			OutTradeNo: cmp.Or(fault.Order, "FOREIGN"), TradeNo: day.Format("20060102") + "2200199999",
			Subject: "别处的交易", Amount: fault.Amount, CreatedAt: at, PaidAt: at,
		}})
	}
	if i < 0 {
		return lines
	}
	switch fault.Kind {
	case Missing:
		return slices.Delete(lines, i, i+1)
	case Doubled:
		return slices.Insert(lines, i, lines[i])
	case Amount:
		altered := *lines[i].trade
		altered.Amount = fault.Amount
		if lines[i].refund != nil {
			lines[i].refund = &Refund{No: lines[i].refund.No, Amount: fault.Amount, At: lines[i].refund.At}
		}
		lines[i].trade = &altered
	}
	return lines
}

// sum is what a bill says at its end.
type sum struct {
	payments, refunds int
	paid, returned    money.Fen // returned is below zero
}

func totals(lines []movement) (s sum) {
	for _, m := range lines {
		if m.refund == nil {
			s.payments++
			s.paid += m.amount()
		} else {
			s.refunds++
			s.returned += m.amount()
		}
	}
	return s
}

const (
	rule         = "#-----------------------------------------"
	detailTitles = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号," +
		"对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）," +
		"券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\n"
	summaryTitles = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）," +
		"商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）\n"
	minute = "2006年01月02日 15:04:05"
)

// details is the file of lines (业务明细). The tabs are Alipay's: they keep
// spreadsheets from taking a number for a number.
func (g *Gateway) details(day, now time.Time, lines []movement, s sum) string {
	var b strings.Builder
	b.WriteString("#支付宝业务明细查询\n" + heading(day))
	b.WriteString(rule + "业务明细列表----------------------------------------\n" + detailTitles)
	for _, m := range lines {
		kind, no, fee := "交易", "", -m.amount()*money.Fen(g.fee)/10_000
		if m.refund != nil {
			kind, no, fee = "退款", m.refund.No, 0
		}
		t := m.trade
		fmt.Fprintf(&b, "%s\t,%s\t,%s\t,%s,%s,%s,\t,\t,\t,%s\t,138****0000\t,%s,%s,0.00,0.00,0.00,0.00,0.00,,"+
			"0.00\t,0.00,%s\t,%s,0.00,%s\n", t.TradeNo, t.OutTradeNo, kind, cell(t.Subject), stamp(t.CreatedAt),
			stamp(m.at()), cell(t.Terminal), m.amount(), m.amount(), no, fee, cell(t.Subject))
	}
	b.WriteString(rule + "业务明细列表结束------------------------------------\n")
	fmt.Fprintf(&b, "#交易合计：%d笔，商家实收共%s元，商家优惠共0.00元\n", s.payments, s.paid)
	fmt.Fprintf(&b, "#退款合计：%d笔，商家实收退款共%s元，商家优惠退款共0.00元\n", s.refunds, s.returned)
	fmt.Fprintf(&b, "#导出时间：[%s]\n", now.In(beijing.Zone).Format(minute))
	return b.String()
}

// summary is the file of sums for each shop (业务明细汇总). There are no shops.
func summary(day, now time.Time, s sum) string {
	net := s.paid + s.returned
	return "#支付宝业务汇总查询\n" + heading(day) +
		rule + "业务汇总列表----------------------------------------\n" + summaryTitles +
		fmt.Sprintf("合计\t,\t,%d\t,%d\t,%s,%s,0.00,0.00,0.00,0.00,0.00,%s\n", s.payments, s.refunds, net, net, net) +
		rule[:len(rule)-1] + "业务汇总列表结束-------------------------------------\n" +
		fmt.Sprintf("#导出时间：[%s]\n", now.In(beijing.Zone).Format(minute))
}

func heading(day time.Time) string {
	return fmt.Sprintf("#账号：[%s]\n#起始日期：[%s]   终止日期：[%s]\n",
		billAccount, day.Format(minute), day.AddDate(0, 0, 1).Format(minute))
}

// cell returns s as a cell of the file.
func cell(s string) string {
	if strings.ContainsAny(s, ",\"") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// gbk returns s in GBK, with a question mark for what GBK does not have.
func gbk(s string) []byte {
	b, err := encoding.ReplaceUnsupported(simplifiedchinese.GBK.NewEncoder()).Bytes([]byte(s))
	if err != nil {
		panic("lab/alipay: internal error: " + err.Error())
	}
	return bytes.ReplaceAll(b, []byte{encoding.ASCIISub}, []byte("?"))
}
