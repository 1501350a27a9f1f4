// Package specimen has a view for every state that a page can be in, with made
// up people and amounts. Tests walk it, and tools/screens draws it: what is
// not here has not been looked at.
package specimen

import (
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service/tape"
	"quancun/money"
	"quancun/ui/look"
)

// Now is the time at which every specimen is looked at.
var Now = tape.Now

// Phone is the card centre's.
const Phone = "0556-5300110"

// Panels are the panels that every page has to fit.
var Panels = map[string]look.Panel{
	"1080x1920": {WidthPx: 1080, HeightPx: 1920, WidthMM: 267.8}, // 21.5 inches, upright
	"1920x1080": {WidthPx: 1920, HeightPx: 1080, WidthMM: 476.1},
	"1280x1024": {WidthPx: 1280, HeightPx: 1024, WidthMM: 337.9}, // 17 inches
}

// LongSchool is a school whose name is longer than most lines, in both languages.
var LongSchool = [...]string{"新疆维吾尔自治区伊犁哈萨克自治州职业技术师范学院昭苏校区",
	"Ili Kazakh Autonomous Prefecture Vocational and Technical Normal College"}

// View is a state of a page. Names sort in the order of a visit.
type View struct {
	Name     string
	View     kiosk.View
	Recorded bool // from what a service has shown: see package tape
}

var (
	health = kiosk.Health{Terminal: "T-0417", SchoolZH: "安庆师范大学", SchoolEN: "Anqing Normal University",
		Reader: true, Upstream: true, Others: []kiosk.Standing{{Service: kiosk.NetworkService},
			{Service: kiosk.ElectricityService}, {Service: kiosk.BathService}}}
	holder  = kiosk.Holder{Name: "喆*珺", Number: "2023****17", Card: "5608"}
	balance = kiosk.Balance{Account: 12350, Available: 12350, Purse: 12350}
	offers  = []kiosk.Offer{
		{Name: "network", SignIn: true, Online: true}, {Name: "electricity", SignIn: true, Online: true},
		{Name: "bath", SignIn: true, Online: true}, {Name: "lost", Online: true},
		{Name: "own.money", SignIn: true, Online: true}, {Name: "own.help"},
		{Name: "own.records", SignIn: true, Online: true, Inside: true},
		{Name: "own.about", SignIn: true, Online: true, Inside: true},
	}
	behind  = kiosk.Balance{Account: 17350, Available: 15850, Purse: 12350, ToLoad: 5000}
	order   = kiosk.TopUp{OrderNo: "20261123140405000417000138", Amount: 5000}
	receipt = kiosk.Receipt{OrderNo: order.OrderNo, At: Now, Number: 1042, Proof: proof}
	proof   = "QCR1:" + strings.Repeat("ANFTAMLWAFXLORJSDXVA", 24) // as long as they are
)

// Views returns every state.
func Views() []View {
	list := append(arriving(), inside()...)
	list = append(list, paying()...)
	list = append(list, writing()...)
	list = append(list, ending()...)
	list = append(list, services()...)
	list = append(list, owns()...)
	return append(list, recorded()...)
}

// view completes v with what every step has.
func view(name string, v kiosk.View) View {
	if v.Health.Terminal == "" {
		v.Health = health
	}
	if v.Step == kiosk.Home || v.Step == kiosk.Account {
		v.Services = offers
	}
	if rule := v.Step.Rule(); rule.Timeout > 0 && v.Ends.IsZero() {
		v.Ends = Now.Add(rule.Timeout)
	}
	return View{Name: name, View: v}
}

func arriving() []View {
	offline, noReader, long, unsent, nothing, down := health, health, health, health, health, health
	nothing.Reader, nothing.Upstream, nothing.Since = false, false, Now.Add(-38*time.Minute)
	down.Others = []kiosk.Standing{
		{Service: kiosk.NetworkService, Since: Now.Add(-38 * time.Minute), Worked: Now.Add(-41 * time.Minute)},
		{Service: kiosk.ElectricityService, Since: Now.Add(-20 * time.Hour), Worked: Now.Add(-26 * time.Hour)},
		{Service: kiosk.BathService, Closed: true},
	}
	unsent.Queue = kiosk.Queue{Count: 1284, Amount: 1039650, Since: Now.Add(-29 * time.Hour), Failing: true}
	long.SchoolZH, long.SchoolEN = LongSchool[0], LongSchool[1]
	offline.Upstream, offline.Since = false, Now.Add(-38*time.Minute)
	noReader.Reader = false
	unsent.Upstream, unsent.Since = false, unsent.Queue.Since
	warned := kiosk.View{Step: kiosk.EnterPIN, Holder: holder, Warning: true, Ends: Now.Add(18 * time.Second)}
	return []View{
		view("01-home", kiosk.View{Step: kiosk.Home}),
		view("01-home-long-name", kiosk.View{Step: kiosk.Home, Health: long}),
		view("01-home-offline", kiosk.View{Step: kiosk.Home, Health: offline}),
		view("01-home-not-sent", kiosk.View{Step: kiosk.Home, Health: unsent}),
		view("01-home-nothing", kiosk.View{Step: kiosk.Home, Health: nothing}),
		view("01-home-down", kiosk.View{Step: kiosk.Home, Health: down}),
		view("01-home-no-reader", kiosk.View{Step: kiosk.Home, Health: noReader}),
		view("02-present", kiosk.View{Step: kiosk.Present, Service: kiosk.TopUpService}),
		view("02-present-unreadable", kiosk.View{Step: kiosk.Present, Notice: kiosk.CardUnreadable}),
		view("03-reading", kiosk.View{Step: kiosk.Reading}),
		view("28-card-only", kiosk.View{Step: kiosk.CardOnly, Health: offline, Holder: holder,
			Balance: kiosk.Balance{Purse: 8640}, Log: cardLog(10)}),
		view("28-card-only-closed", kiosk.View{Step: kiosk.CardOnly, Health: offline, Holder: holder,
			Balance: kiosk.Balance{Purse: 8640}}),
		view("04-enter-pin", kiosk.View{Step: kiosk.EnterPIN, Holder: holder}),
		view("04-enter-pin-wrong", kiosk.View{Step: kiosk.EnterPIN, Holder: holder,
			PIN: kiosk.PINHint{Wrong: true, TriesLeft: 3}}),
		view("04-enter-pin-last", kiosk.View{Step: kiosk.EnterPIN, Holder: holder,
			PIN: kiosk.PINHint{Wrong: true, TriesLeft: 1}}),
		view("04-enter-pin-warning", warned),
		view("05-signing-in", kiosk.View{Step: kiosk.SigningIn, Holder: holder}),
	}
}

func inside() []View {
	at := kiosk.View{Step: kiosk.Account, Holder: holder, Balance: balance}
	late, many, doubt, paying, owing, large, kept := at, at, at, at, at, at, at
	kept.Balance.Kept = 5000
	owing.Balance = kiosk.Balance{Account: -1830, Available: -1830}
	large.Balance = kiosk.Balance{Account: 12345678, Available: 12345678, Purse: 10000000, ToLoad: 2345678}
	late.Balance, late.Notice = behind, kiosk.DoubtSettled
	late.Open = []kiosk.Open{{Kind: kiosk.TopUpLate, Amount: 5000, Since: Now.Add(-3 * time.Hour)}}
	many.Balance = behind
	many.Open = []kiosk.Open{
		{Kind: kiosk.TopUpChecking, Amount: 10000, Since: Now.Add(-time.Hour), OrderNo: order.OrderNo},
		{Kind: kiosk.NotLevel, Amount: 5000, Since: Now.Add(-26 * time.Hour)},
		{Kind: kiosk.LoadDoubt, Amount: 2000, Since: Now.Add(-50 * time.Hour)},
		{Kind: kiosk.TopUpLate, Amount: 3000, Since: Now.Add(-90 * time.Hour)},
	}
	doubt.Open, doubt.Notice = many.Open[2:3], kiosk.DoubtUndone
	paying.Balance.Account, paying.Balance.Available = balance.Account-1250, balance.Available-1250
	paying.Open = []kiosk.Open{
		{Kind: kiosk.PurchaseDoubt, Amount: 1250, Since: Now.Add(-2 * time.Hour), Place: "二食堂 3 号窗口"},
	}
	return []View{
		view("06-account", at),
		view("06-account-owing", owing),
		view("06-account-late", late),
		view("06-account-open", many),
		view("06-account-doubt", doubt),
		view("06-account-purchase", paying),
		view("06-account-large", large),
		view("06-account-kept", kept),
		view("08-card-log", kiosk.View{Step: kiosk.CardLog, Holder: holder, Log: cardLog(10)}),
		view("08-card-log-asking", kiosk.View{Step: kiosk.CardLog, Holder: holder}),
		view("08-card-log-empty", kiosk.View{Step: kiosk.CardLog, Holder: holder, Log: kiosk.Log{Read: true}}),
		view("09-amount", kiosk.View{Step: kiosk.Amount, Holder: holder, Balance: balance, Amounts: choices(20000)}),
		view("09-amount-capped", kiosk.View{Step: kiosk.Amount, Holder: holder,
			Balance: kiosk.Balance{Account: 94500, Available: 94500, Purse: 94500}, Amounts: choices(5000)}),
		view("10-other-sum", kiosk.View{Step: kiosk.OtherSum, Holder: holder, Balance: balance,
			Range: kiosk.Range{Min: 100, Max: 50000}}),
	}
}

func choices(most money.Fen) []kiosk.Choice {
	var list []kiosk.Choice
	for _, yuan := range []money.Fen{10, 20, 30, 50, 100, 200} {
		list = append(list, kiosk.Choice{Amount: yuan * money.Yuan, Allowed: yuan*money.Yuan <= most})
	}
	return list
}

// cardLog repeats some lines until there are n.
func cardLog(n int) kiosk.Log {
	some := []kiosk.Movement{
		{Kind: kiosk.MovedPurchase, Amount: -1250, Place: "000000020416"},
		{Kind: kiosk.MovedLoad, Amount: 5000, Place: "000000000417"},
		{Kind: kiosk.MovedPurchase, Amount: -450, Place: "000000020311"},
	}
	l := kiosk.Log{Read: true}
	for i := range n {
		m := some[i%len(some)]
		m.At = Now.Add(-time.Duration(i) * 9 * time.Hour)
		l.Movements = append(l.Movements, m)
	}
	return l
}

func paying() []View {
	pay := order
	pay.QR, pay.Expires = "https://qr.alipay.com/bax08431imkqnhvgqfek0055", Now.Add(118*time.Second)
	return []View{
		view("11-ordering", kiosk.View{Step: kiosk.Ordering, Holder: holder, TopUp: order}),
		view("12-pay", kiosk.View{Step: kiosk.Pay, Holder: holder, TopUp: pay}),
		view("12-pay-card-left", kiosk.View{Step: kiosk.Pay, Holder: holder, TopUp: pay, Notice: kiosk.CardLeftPay}),
		view("13-cancelling", kiosk.View{Step: kiosk.Cancelling, Holder: holder, TopUp: order}),
		view("14-unpaid", kiosk.View{Step: kiosk.Unpaid, Holder: holder, TopUp: order}),
		view("14-unpaid-returned", kiosk.View{Step: kiosk.Unpaid, Holder: holder, TopUp: order,
			Notice: kiosk.Returned}),
		view("15-checking", kiosk.View{Step: kiosk.Checking, Holder: holder, TopUp: order}),
	}
}

func writing() []View {
	at := kiosk.View{Holder: holder, TopUp: order, Load: kiosk.Load{Amount: 5000, Stage: kiosk.LoadWriting}}
	step := func(s kiosk.Step, n kiosk.Notice) kiosk.View {
		v := at
		v.Step, v.Notice = s, n
		return v
	}
	asking, wrong := step(kiosk.Loading, 0), step(kiosk.ReenterPIN, 0)
	asking.Load, asking.TopUp = kiosk.Load{Stage: kiosk.LoadAsking}, kiosk.TopUp{}
	wrong.PIN = kiosk.PINHint{Wrong: true, TriesLeft: 2}
	return []View{
		view("16-replace", step(kiosk.Replace, 0)),
		view("16-replace-other", step(kiosk.Replace, kiosk.OtherCardThere)),
		view("17-rereading", step(kiosk.Rereading, 0)),
		view("18-reenter-pin", step(kiosk.ReenterPIN, 0)),
		view("18-reenter-pin-wrong", wrong),
		view("19-unlocking", step(kiosk.Unlocking, 0)),
		view("20-loading-asking", asking),
		view("20-loading", step(kiosk.Loading, 0)),
		view("21-doubt", step(kiosk.Doubt, 0)),
		view("21-doubt-other", step(kiosk.Doubt, kiosk.OtherCardThere)),
		view("22-settling", step(kiosk.Settling, 0)),
	}
}

func ending() []View {
	after := kiosk.Balance{Account: 17350, Available: 17350, Purse: 17350}
	done := kiosk.View{Step: kiosk.Done, Holder: holder, Balance: after, TopUp: order,
		Load: kiosk.Load{Amount: 5000, Stage: kiosk.LoadFinished}, Receipt: receipt}
	level := done
	paper := dialog.View{CanPrint: true, Report: dialog.Report{Title: "topup.receipt", QR: proof}}
	done.Dialog = paper
	prints := func(v kiosk.View, s dialog.PrintState, why dialog.Word) kiosk.View {
		v.Dialog.Printed, v.Dialog.NoPaper = s, why
		return v
	}
	loaded, away := done, done
	away.CardAway = true
	loaded.TopUp = kiosk.TopUp{}
	level.TopUp, level.Load, level.Receipt = kiosk.TopUp{}, kiosk.Load{}, kiosk.Receipt{}
	safe := kiosk.View{Step: kiosk.OnAccount, Holder: holder, Balance: behind, TopUp: order, Receipt: receipt,
		Dialog: paper}
	refused, doubt := safe, safe
	refused.Fault, doubt.Fault = kiosk.CodeLoadRefused, kiosk.CodeLoadDoubt
	doubt.Load = kiosk.Load{Amount: 5000, Stage: kiosk.LoadWriting}
	list := []View{
		view("23-done", done),
		view("23-done-card-away", away),
		view("23-done-load", loaded),
		view("23-done-printing", prints(done, dialog.Printing, "")),
		view("23-done-printed", prints(away, dialog.Printed, "")),
		view("23-done-not-printed", prints(done, dialog.NotYet, "unprinted.offline")),
		view("23-done-unsure", prints(away, dialog.NotYet, "unprinted.unsure")),
		view("23-done-level", level),
		view("24-on-account", safe),
		view("24-on-account-refused", refused),
		view("24-on-account-doubt", doubt),
		view("24-on-account-printed", prints(safe, dialog.Printed, "")),
		view("24-on-account-not-printed", prints(refused, dialog.NotYet, "unprinted.unsure")),
		view("26-take-card", kiosk.View{Step: kiosk.TakeCard}),
		view("27-out-of-order", kiosk.View{Step: kiosk.OutOfOrder, Fault: kiosk.CodeFull}),
	}
	for _, c := range kiosk.Codes {
		list = append(list, view("25-fault-"+faultName(c), kiosk.View{Step: kiosk.Fault, Fault: c}))
	}
	return list
}

func faultName(c kiosk.Code) string {
	digits := []byte{'0' + byte(c/1000%10), '0' + byte(c/100%10), '0' + byte(c/10%10), '0' + byte(c%10)}
	return string(digits)
}
