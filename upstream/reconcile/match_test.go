package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quancun/beijing"
	"quancun/money"
	"quancun/upstream/channel"
	"quancun/upstream/reconcile"
)

const (
	alipay  = reconcile.Source("channel/alipay")
	network = reconcile.Source("biller/network")
	day     = channel.Day("2026-03-01")
)

func at(t testing.TB, clock string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation(time.DateTime, clock, beijing.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// ours reads entries such as "payment A1 20.00 at 2026-03-01 08:00:00" and
// "refund A1/R1 5.00 at …", one in a line.
func ours(t testing.TB, text string) (all []reconcile.Entry) {
	for i, l := range theirs(t, text) {
		all = append(all, reconcile.Entry{
			ID: fmt.Sprint(i + 1), OrderNo: l.OrderNo, RefundNo: l.RefundNo, Kind: l.Kind, Amount: l.Amount, At: l.At,
		})
	}
	return all
}

// theirs reads lines such as "payment A1 20.00 at 2026-03-01 08:00:00 trade 7".
// The trade has the number of its order, unless they say another.
func theirs(t testing.TB, text string) (all []reconcile.Line) {
	t.Helper()
	for text := range strings.Lines(text) {
		text, trade, _ := strings.Cut(text, " trade ")
		move, when, _ := strings.Cut(text, " at ")
		f := strings.Fields(move)
		if len(f) == 0 {
			continue
		}
		l := reconcile.Line{No: len(all) + 1}
		l.Kind = map[string]channel.Kind{"payment": channel.Payment, "refund": channel.Refund}[f[0]]
		l.OrderNo, l.RefundNo, _ = strings.Cut(f[1], "/")
		if l.TradeNo = strings.TrimSpace(trade); l.TradeNo == "" {
			l.TradeNo = "T" + l.OrderNo
		}
		if l.OrderNo == "-" {
			l.OrderNo = ""
		}
		var err error
		if l.Amount, err = money.Parse(f[2]); err != nil || l.Kind == 0 {
			t.Fatalf("%q is not a movement", text)
		}
		l.At = at(t, strings.TrimSpace(when))
		l.Day = channel.DayOf(l.At)
		all = append(all, l)
	}
	return all
}

// until is a rule that statements are there up to a day.
func until(last channel.Day) func(channel.Day) bool {
	return func(d channel.Day) bool { return d <= last }
}

// TestMatch holds each kind of difference against what is to be done about it.
func TestMatch(t *testing.T) {
	orders := map[string]reconcile.Order{
		"S1": {Account: "merchant/canteen", Sale: true}, "A1": {Account: "holder/1"}, "A2": {Account: "holder/2"}, "A9": {Account: "holder/9", Returned: true},
	}
	for _, tt := range []struct {
		name         string
		source       reconcile.Source
		ours, theirs string
		want         string // findings, as "title ref: owner, step"
	}{
		{
			"Same", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/R1 5.00 at 2026-03-01 09:00:00",
			"refund A1/R1 5.00 at 2026-03-01 09:00:00\npayment A1 20.00 at 2026-03-01 08:00:00",
			"",
		},
		{
			"AcrossMidnight", alipay, "payment A1 20.00 at 2026-03-02 00:00:03", "payment A1 20.00 at 2026-03-01 23:59:59", "",
		},
		{
			"RefundOfAnotherName", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/R1 20.00 at 2026-03-01 09:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1 20.00 at 2026-03-01 09:00:00",
			"",
		},
		{
			"ReturnedUnbooked", alipay, "", "payment A1 20.00 at 2026-03-01 23:59:59\nrefund A1/A1 20.00 at 2026-03-02 00:00:01", "",
		},
		{
			"BookedAndUndone", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/R1 20.00 at 2026-03-01 08:00:01", "", "",
		},
		{
			"OneFenCorrected", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1 0.01 at 2026-03-03 09:00:00",
			"payment A1 19.99 at 2026-03-01 08:00:00",
			"",
		},
		{
			"WrittenOffThenReturned", alipay,
			"payment X1 7.00 at 2026-03-01 09:00:00",
			"payment X1 7.00 at 2026-03-01 08:00:00\nrefund X1 7.00 at 2026-03-02 08:00:00",
			"refund only theirs channel/alipay X1 TX1 7.00: operator, book return",
		},
		{
			"Late", alipay, "", "payment A1 20.00 at 2026-03-01 08:00:00",
			"payment only theirs channel/alipay A1 TA1 20.00: operator, credit payment",
		},
		{
			"ReturnNotThereYet", alipay, "", "payment A9 20.00 at 2026-03-01 08:00:00",
			"payment only theirs channel/alipay A9 TA9 20.00: operator, await return",
		},
		{
			"Stranger", alipay, "", "payment X1 7.00 at 2026-03-01 08:00:00\npayment - 7.00 at 2026-03-01 08:00:00 trade 8",
			"payment only theirs channel/alipay X1 TX1 7.00: operator, find payer\n" +
				"payment only theirs channel/alipay trade 8 7.00: operator, find payer",
		},
		{
			"StrangersAreNotOneOrder", alipay, "",
			"payment - 7.00 at 2026-03-01 08:00:00 trade 8\nrefund - 7.00 at 2026-03-01 08:00:00 trade 9",
			"payment only theirs channel/alipay trade 8 7.00: operator, find payer\n" +
				"refund only theirs channel/alipay trade 9 7.00: operator, book return",
		},
		{
			"RefundedThere", alipay, "payment A1 20.00 at 2026-03-01 08:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/W1 20.00 at 2026-03-01 09:00:00",
			"refund only theirs channel/alipay A1 W1 TA1 20.00: operator, book return",
		},
		{
			"NeverThere", alipay, "payment A1 20.00 at 2026-03-01 08:00:00", "",
			"payment only ours channel/alipay A1 20.00: operator, claim payment",
		},
		{
			"RefundNeverThere", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/R1 5.00 at 2026-03-01 09:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00",
			"refund only ours channel/alipay A1 R1 5.00: operator, repeat return",
		},
		{
			"OneFen", alipay, "payment A1 20.00 at 2026-03-01 08:00:00", "payment A1 19.99 at 2026-03-01 08:00:00",
			"payment amount differs channel/alipay A1 TA1 0.01: operator, correct amount",
		},
		{ // a correction has no refund number
			"OneFenCorrectedAndRefundAwaited", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1 0.01 at 2026-03-02 09:00:00\n" +
				"refund A1/R1 5.00 at 2026-03-03 09:00:00",
			"payment A1 19.99 at 2026-03-01 08:00:00",
			"",
		},
		{
			"RefundsOfOtherNumbers", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/R1 5.00 at 2026-03-01 09:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\nrefund A1/W1 7.00 at 2026-03-01 10:00:00",
			"refund only theirs channel/alipay A1 W1 TA1 7.00: operator, book return\n" +
				"refund only ours channel/alipay A1 R1 5.00: operator, repeat return",
		},
		{
			"LineTwice", alipay, "payment A1 20.00 at 2026-03-01 08:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:00",
			"payment line twice channel/alipay A1 TA1 20.00: operator, query line\n" +
				"payment line twice channel/alipay A1 TA1 20.00 2: operator, query line",
		},
		{
			"LineTwiceUnbooked", alipay, "",
			"payment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:00",
			"payment only theirs channel/alipay A1 TA1 20.00: operator, credit payment\n" +
				"payment line twice channel/alipay A1 TA1 20.00: operator, query line",
		},
		{
			"PaidTwice", alipay, "payment A1 20.00 at 2026-03-01 08:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:05 trade 8",
			"payment paid twice channel/alipay A1 8 20.00: card centre, return second",
		},
		{
			"PaidTwiceOneReturned", alipay, "payment A1 20.00 at 2026-03-01 08:00:00",
			"payment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:05 trade 8\n" +
				"refund A1 20.00 at 2026-03-01 09:00:00 trade 8", "",
		},
		{
			"BookedTwice", alipay,
			"payment A1 20.00 at 2026-03-01 08:00:00\npayment A1 20.00 at 2026-03-01 08:00:01",
			"payment A1 20.00 at 2026-03-01 08:00:00",
			"payment booked twice channel/alipay A1 20.00: operator, reverse entry",
		},
		{
			"TillsRefundFirst", alipay, "payment S1 20.00 at 2026-03-01 08:00:00",
			"payment S1 20.00 at 2026-03-01 08:00:00\nrefund S1/R1 5.00 at 2026-03-01 09:00:00",
			"refund only theirs channel/alipay S1 R1 TS1 5.00: operator, await refund",
		},
		{
			"WrittenOffThenBooked", alipay,
			"payment S1 20.00 at 2026-03-01 08:00:00\nrefund S1 5.00 at 2026-03-01 10:00:00\n" +
				"refund S1/R1 5.00 at 2026-03-01 09:00:00",
			"payment S1 20.00 at 2026-03-01 08:00:00\nrefund S1/R1 5.00 at 2026-03-01 09:00:00",
			"refund booked twice channel/alipay S1 5.00: operator, reverse entry",
		},
		{
			"BillerNeverSold", network, "payment N1 30.00 at 2026-03-01 08:00:00", "",
			"payment only ours biller/network N1 30.00: card centre, repeat or return",
		},
		{
			"BillerSoldUnpaid", network, "", "payment N1 30.00 at 2026-03-01 08:00:00",
			"payment only theirs biller/network N1 TN1 30.00: operator, charge or cancel",
		},
		{
			"BillerSoldTwice", network, "payment N1 30.00 at 2026-03-01 08:00:00",
			"payment N1 30.00 at 2026-03-01 08:00:00\npayment N1 30.00 at 2026-03-01 08:00:00 trade 9",
			"payment paid twice biller/network N1 9 30.00: operator, charge or cancel",
		},
		{
			"BillerTookBack", network, "payment N1 30.00 at 2026-03-01 08:00:00",
			"payment N1 30.00 at 2026-03-01 08:00:00\nrefund N1 30.00 at 2026-03-01 09:00:00",
			"refund only theirs biller/network N1 TN1 30.00: card centre, book return",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := reconcile.Books{
				Source: tt.source, Entries: ours(t, tt.ours), Lines: theirs(t, tt.theirs),
				Orders: orders, Stated: until("2026-03-02"),
			}
			r := reconcile.Match(b)
			var got []string
			for _, f := range r.Findings {
				got = append(got, fmt.Sprintf("%s %s: %s, %s", f.Title(), f.Ref(), f.Owner, f.Step))
			}
			if got := strings.Join(got, "\n"); got != tt.want {
				t.Errorf("findings\n%s\nwant\n%s", got, tt.want)
			}
			check(t, b, r)
		})
	}
}

// check checks that every entry and line is in a result once, and that the
// findings are the whole difference of the two sides.
func check(t interface {
	Helper()
	Errorf(string, ...any)
}, b reconcile.Books, r reconcile.Result) {
	t.Helper()
	entries := len(r.Even.Entries) + len(r.Waiting) + len(r.Matched)
	lines := len(r.Even.Lines) + len(r.Matched)
	var found, waiting, ours, theirs money.Fen
	for _, f := range r.Findings {
		if f.Entry.ID != "" {
			entries++
		}
		if f.Line.No != 0 {
			lines++
		}
		found += f.Gap()
		if f.Amount() < 1 || f.Owner == "" || f.Step == "" || f.Params()["amount"] != f.Amount().String() {
			t.Errorf("finding %+v", f)
		}
	}
	for _, e := range r.Waiting {
		waiting -= signed(e.Kind, e.Amount)
	}
	for _, e := range b.Entries {
		ours += signed(e.Kind, e.Amount)
	}
	for _, l := range b.Lines {
		theirs += signed(l.Kind, l.Amount)
	}
	if entries != len(b.Entries) || lines != len(b.Lines) {
		t.Errorf("%d entries of %d and %d lines of %d are in %+v", entries, len(b.Entries), lines, len(b.Lines), r)
	}
	if found+waiting != theirs-ours {
		t.Errorf("findings come to %s and waiting to %s, and the sides differ by %s", found, waiting, theirs-ours)
	}
	refs := map[string]bool{}
	for _, f := range r.Findings {
		name := f.Title() + " " + f.Ref()
		if refs[name] {
			t.Errorf("two findings are called %q", name)
		}
		refs[name] = true
	}
}

func signed(k channel.Kind, f money.Fen) money.Fen {
	if k == channel.Refund {
		return -f
	}
	return f
}

// TestWaiting looks at entries whose statement is not there, or that are so
// close to midnight that another one may have them.
func TestWaiting(t *testing.T) {
	for _, tt := range []struct {
		at   string
		last channel.Day // whose statement is there
		want string
	}{
		{"2026-03-01 12:00:00", "2026-02-28", "waiting"},
		{"2026-03-01 12:00:00", "2026-03-01", "found"},
		{"2026-03-01 23:55:00", "2026-03-01", "waiting"},
		{"2026-03-01 23:55:00", "2026-03-02", "found"},
		{"2026-03-02 00:05:00", "2026-03-01", "waiting"},
		{"2026-03-02 00:05:00", "2026-03-02", "found"},
	} {
		b := reconcile.Books{
			Source: alipay, Entries: ours(t, "payment A1 20.00 at "+tt.at), Stated: until(tt.last),
		}
		r := reconcile.Match(b)
		got := map[[2]int]string{{1, 0}: "waiting", {0, 1}: "found"}[[2]int{len(r.Waiting), len(r.Findings)}]
		if got != tt.want {
			t.Errorf("at %s, with statements until %s: %s, want %s", tt.at, tt.last, got, tt.want)
		}
		check(t, b, r)
	}
}

// TestAnything compares whatever there may be: nothing is lost of it, and it
// is compared the same way in any order.
func TestAnything(t *testing.T) {
	kind := rapid.SampledFrom([]channel.Kind{channel.Payment, channel.Refund})
	amount := rapid.SampledFrom([]money.Fen{1, 500, 1500, 2000})
	when := rapid.Map(rapid.IntRange(0, 3*24*60), func(n int) time.Time {
		return day.Start().Add(time.Duration(n) * time.Minute)
	})
	rapid.Check(t, func(t *rapid.T) {
		b := reconcile.Books{
			Source: rapid.SampledFrom([]reconcile.Source{alipay, network}).Draw(t, "source"),
			Orders: map[string]reconcile.Order{"A1": {Account: "holder/1"}},
			Stated: until(rapid.SampledFrom([]channel.Day{day.Add(-1), day, day.Add(3)}).Draw(t, "until")),
		}
		for i := range rapid.IntRange(0, 8).Draw(t, "entries") {
			b.Entries = append(b.Entries, reconcile.Entry{
				ID: fmt.Sprint(i + 1), OrderNo: rapid.SampledFrom([]string{"A1", "A2"}).Draw(t, "order"),
				RefundNo: rapid.SampledFrom([]string{"", "R1", "R2"}).Draw(t, "refund"),
				Kind:     kind.Draw(t, "kind"), Amount: amount.Draw(t, "amount"), At: when.Draw(t, "at"),
			})
		}
		for i := range rapid.IntRange(0, 8).Draw(t, "lines") {
			l := reconcile.Line{No: i + 1, Line: channel.Line{
				OrderNo:  rapid.SampledFrom([]string{"A1", "A2", ""}).Draw(t, "order"),
				RefundNo: rapid.SampledFrom([]string{"", "R1", "R2"}).Draw(t, "refund"),
				TradeNo:  rapid.SampledFrom([]string{"1", "2"}).Draw(t, "trade"),
				Kind:     kind.Draw(t, "kind"), Amount: amount.Draw(t, "amount"), At: when.Draw(t, "at"),
			}}
			l.Day = channel.DayOf(l.At)
			b.Lines = append(b.Lines, l)
		}
		r := reconcile.Match(b)
		check(t, b, r)

		slices.Reverse(b.Entries)
		slices.Reverse(b.Lines)
		again := reconcile.Match(b)
		if got, want := names(again), names(r); !slices.Equal(got, want) {
			t.Errorf("in another order: %q, want %q", got, want)
		}
	})
}

func names(r reconcile.Result) (all []string) {
	for _, f := range r.Findings {
		all = append(all, f.Title()+" "+f.Ref())
	}
	slices.Sort(all)
	return all
}
