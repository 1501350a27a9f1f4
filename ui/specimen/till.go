package specimen

import (
	"image"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/pin"
	"quancun/kiosk/rules"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/lab/portrait"
	"quancun/money"
	"quancun/ui/look"
	"quancun/ui/text"
	face "quancun/ui/till"
	"quancun/ui/widget"
)

// TillPanels are the panels that every page of a till has to fit.
var TillPanels = map[string]look.Panel{
	"1024x768":  {WidthPx: 1024, HeightPx: 768, WidthMM: 304.1}, // 15 inches, on a counter
	"1280x1024": {WidthPx: 1280, HeightPx: 1024, WidthMM: 338},
	"1920x1080": {WidthPx: 1920, HeightPx: 1080, WidthMM: 344.2},
	"1080x1920": {WidthPx: 1080, HeightPx: 1920, WidthMM: 267.8},
}

// TillView is a state of a page of the till.
type TillView struct {
	Name string
	View till.View
}

// DrawTill draws the till's page of v without a display. The current app has to
// have [look.Theme].
func DrawTill(v till.View, p look.Panel, texts *text.Texts) image.Image {
	return drawn(face.Build(v, face.Stage{
		Texts: texts, Kit: widget.Kit{Panel: p}, Now: Now, Phone: Phone, Staff: true,
		Typed: &face.Typed{Sum: typedAt(v.Step)}, On: func(till.Input) {}, OnLanguage: func() {}, Redraw: func() {},
	}).Object, p)
}

func typedAt(s till.Step) string {
	if s == till.Ready {
		return "12.5"
	}
	return ""
}

var (
	tillHealth = kiosk.Health{Terminal: "C-0203", SchoolZH: health.SchoolZH, SchoolEN: health.SchoolEN,
		Reader: true, Upstream: true}
	tillWays = []till.Source{{Kind: till.ByCard}, {Kind: till.ByCode}, {Kind: till.ByAlipay}}
	darkWays = []till.Source{{Kind: till.ByCard}, {Kind: till.ByCode}, {Kind: till.ByAlipay, Why: till.NoUpstream}}
	full     = rules.Budget{Sale: 100 * money.Yuan, Left: 100_000 * money.Yuan, Max: 100_000 * money.Yuan}
	products = []till.Product{{Name: "一荤两素", Price: 1200}, {Name: "两荤一素", Price: 1500},
		{Name: "牛肉面", Price: 1300}, {Name: "馄饨", Price: 800}, {Name: "豆浆", Price: 200}, {Name: "茶叶蛋", Price: 150}}
	lunch = till.Result{Ref: "r", Amount: 1200, At: Now.Add(-21 * time.Second), Number: 20418, Online: true,
		With: till.ByCard}
	noPaper  = till.Printer{Lacks: "printer.out", Waiting: 3}
	cashier  = till.Operator{No: "c07", Name: "王秀兰"}
	darkSale = till.Result{Ref: "r", Amount: 1200, At: Now, Number: 20419, With: till.ByCard}
)

// tillView completes v with what every step has.
func tillView(name string, v till.View) TillView {
	v.HasOffice = true
	if v.Health.Terminal == "" {
		v.Health = tillHealth
	}
	if v.Ways == nil {
		v.Ways, v.Dark = tillWays, full
	}
	if v.Step != till.Locked && v.Step != till.ReadingStaff && v.Step != till.StaffPIN && v.Step != till.SigningIn {
		v.Operator = cashier
	}
	v.Place = "龙山校区第一食堂二楼 14 号窗口"
	if rule := v.Step.Rule(); rule.Timeout > 0 {
		v.Ends = Now.Add(rule.Timeout)
	}
	return TillView{name, v}
}

// darkened returns v at a till whose upstream is away.
func darkened(v till.View) till.View {
	v.Health = tillHealth
	v.Health.Upstream, v.Health.Since = false, Now.Add(-38*time.Minute)
	v.Health.Queue = kiosk.Queue{Count: 412, Amount: 4_163_50, Since: v.Health.Since}
	v.Ways = darkWays
	v.Dark = rules.Budget{Sale: 100 * money.Yuan, Left: 100_000*money.Yuan - 4_163_50, Max: 100_000 * money.Yuan}
	return v
}

// noPaperAt returns v at a till whose printer is out of paper.
func noPaperAt(v till.View) till.View {
	v.Printer = noPaper
	return v
}

// TillViews returns every state of the till.
func TillViews() []TillView {
	list := append(tillArriving(), tillSelling()...)
	list = append(list, tillRefusing()...)
	list = append(list, tillPad()...)
	list = append(list, tillEnding()...)
	list = append(list, officeViews()...)
	for _, c := range kiosk.Codes {
		if c.Doubt() {
			continue // the till never refuses for it
		}
		list = append(list, tillView("20-declined-"+faultName(c), till.View{Step: till.Declined, Amount: 1200, Fault: c,
			Holder: holder}))
	}
	return list
}

func tillArriving() []TillView {
	ready := till.View{Step: till.Ready, Products: products, Last: lunch}
	plain, meal, first := ready, ready, ready
	plain.Products = nil
	meal.Meal = till.Meal{Name: "午餐", Price: 1200}
	first.Notice = till.PriceFirst
	stranger, sheet, half := ready, ready, ready
	stranger.Notice, sheet.Notice, half.Notice = till.NoProduct, till.NotThisSheet, till.HalfRead
	news := ready
	news.News = []till.News{{Ref: "n", Amount: 2680, At: Now.Add(-4 * time.Minute), With: till.ByAlipay, Done: true}}
	returned := ready
	returned.News = []till.News{{
		Ref: "n", Amount: 2680, At: Now.Add(-4 * time.Minute), With: till.ByAlipay, Returned: true}}
	out, low := ready, ready
	out.Printer, low.Printer = noPaper, till.Printer{Lacks: "printer.low"}
	both := darkened(news)
	both.Printer = till.Printer{Lacks: "printer.away", Waiting: 412}
	broke := darkened(ready)
	broke.Dark.Sale, broke.Dark.Left = 0, 0
	broke.Ways = []till.Source{{Kind: till.ByCard, Why: till.NoDark}, {Kind: till.ByCode, Why: till.NoDark},
		{Kind: till.ByAlipay, Why: till.NoUpstream}}
	return []TillView{
		tillView("01-locked", till.View{Step: till.Locked}),
		tillView("01-locked-refused", till.View{Step: till.Locked, Fault: kiosk.CodeUnknownCard}),
		tillView("02-reading-staff", till.View{Step: till.ReadingStaff}),
		tillView("03-staff-pin", till.View{Step: till.StaffPIN, Holder: kiosk.Holder{Name: "王*兰"}}),
		tillView("03-staff-pin-wrong", till.View{Step: till.StaffPIN, Holder: kiosk.Holder{Name: "王*兰"},
			PIN: till.PINHint{Wrong: true, TriesLeft: 3}}),
		tillView("04-signing-in", till.View{Step: till.SigningIn}),
		tillView("05-ready", ready),
		tillView("05-ready-plain", plain),
		tillView("05-ready-meal", meal),
		tillView("05-ready-price-first", first),
		tillView("05-ready-no-product", stranger),
		tillView("05-ready-not-this-sheet", sheet),
		tillView("05-ready-half-read", half),
		tillView("05-ready-dark", darkened(ready)),
		tillView("05-ready-news", news),
		tillView("05-ready-news-returned", returned),
		tillView("05-ready-news-dark", darkened(news)),
		tillView("05-ready-nothing-left", broke),
		tillView("05-ready-no-paper", out),
		tillView("05-ready-paper-low", low),
		tillView("05-ready-no-printer-dark", both),
		tillView("06-looking", till.View{Step: till.Looking}),
		tillView("07-glance", till.View{Step: till.Glance, Holder: holder, Balance: 12350, Known: true}),
		tillView("07-glance-paid", till.View{Step: till.Glance, Holder: holder, Balance: 12350, Known: true,
			Sale: lunch}),
	}
}

func tillSelling() []TillView {
	at := till.View{Amount: 1200, Holder: holder}
	step := func(s till.Step) till.View {
		v := at
		v.Step = s
		return v
	}
	some := step(till.Present)
	some.Ways = []till.Source{{Kind: till.ByCard}, {Kind: till.ByCode, Why: till.NotBuilt},
		{Kind: till.ByAlipay, Why: till.NotBuilt}}
	meal, left, noReader, news := step(till.Present), step(till.Present), step(till.Present), step(till.Present)
	news.News = []till.News{{Ref: "n", Amount: 2680, At: Now.Add(-4 * time.Minute), Refund: true}}
	meal.Meal, left.Notice = till.Meal{Name: "午餐", Price: 1200}, till.CardLeft
	items := step(till.Present)
	scanned := till.Product{Name: "可口可乐 330 毫升", Price: 300}
	items.Amount, items.Items = 1800, append(products[1].Input().Items, scanned.Input().Items...)
	tooMuch := items
	tooMuch.Notice = till.TooMuch
	noReader.Ways = []till.Source{{Kind: till.ByCard, Why: till.NoReader}, {Kind: till.ByCode}, {Kind: till.ByAlipay}}
	noSAM := noReader
	noSAM.Ways = []till.Source{{Kind: till.ByCard, Why: till.NoSAM}, {Kind: till.ByCode}, {Kind: till.ByAlipay}}
	level, wrong, ask, before := step(till.EnterPIN), step(till.EnterPIN), step(till.Ask), step(till.PaidBefore)
	level.PIN.Level, wrong.PIN = true, till.PINHint{Wrong: true, TriesLeft: 1}
	ask.Sale, before.Sale = lunch, lunch
	before.Sale.At, before.Balance, before.Known = Now.Add(-53*time.Minute), 11150, true
	doubt, other := step(till.Doubt), step(till.Doubt)
	other.Notice = till.OtherCardThere
	return []TillView{
		tillView("08-present", step(till.Present)),
		tillView("08-present-no-paper", noPaperAt(step(till.Present))),
		tillView("08-present-some", some),
		tillView("08-present-meal", meal),
		tillView("08-present-items", items),
		tillView("08-present-too-much", tooMuch),
		tillView("08-present-items-dark", darkened(tooMuch)),
		tillView("08-present-card-left", left),
		tillView("08-present-no-reader", noReader),
		tillView("08-present-no-sam", noSAM),
		tillView("08-present-dark", darkened(step(till.Present))),
		tillView("08-present-news", news),
		tillView("08-present-news-dark", darkened(news)),
		tillView("09-selling", step(till.Selling)),
		tillView("10-ask", ask),
		tillView("11-enter-pin", step(till.EnterPIN)),
		tillView("11-enter-pin-level", level),
		tillView("11-enter-pin-wrong", wrong),
		tillView("12-checking-pin", step(till.CheckingPIN)),
		tillView("13-levelling", step(till.Levelling)),
		tillView("14-doubt", doubt),
		tillView("14-doubt-other", other),
		tillView("15-settling", step(till.Settling)),
		tillView("16-paid-before", before),
		tillView("17-paying", step(till.Paying)),
		tillView("18-querying", step(till.Querying)),
	}
}

// tillRefusing are the pages of a till that would refuse whoever pays.
func tillRefusing() []TillView {
	without := func(card, code till.Reason) till.View {
		v := darkened(till.View{Step: till.Present, Amount: 1200, Holder: holder})
		v.Ways = []till.Source{{Kind: till.ByCard, Why: card}, {Kind: till.ByCode, Why: code},
			{Kind: till.ByAlipay, Why: till.NoUpstream}}
		return v
	}
	old, all := without(till.OldList, till.OldList), without(till.PastGone, till.PastGone)
	old.Dark.Sale, old.Dark.Left = 0, 0
	all.Dark = old.Dark
	dear, closed := without(till.TooDear, till.TooDear), till.View{}
	dear.Amount = 12000
	closed.Step, closed.Amount = till.Present, 1200
	closed.Ways = []till.Source{{Kind: till.ByCard}, {Kind: till.ByCode, Why: till.Closed}, {Kind: till.ByAlipay}}
	return []TillView{
		tillView("08-present-old-list", old),
		tillView("08-present-past", without(till.NoReason, till.PastGone)),
		tillView("08-present-past-all", all),
		tillView("08-present-dear", dear),
		tillView("08-present-dear-code", without(till.NoReason, till.TooDear)),
		tillView("08-present-closed", closed),
	}
}

// tillPad are the pages of a till whose holders type their PIN on a pad of their own.
func tillPad() (all []TillView) {
	pads := []struct {
		name string
		pad  pin.Pad
		hint till.PINHint
	}{
		{"", pin.Pad{There: true, Dots: 3}, till.PINHint{}},
		{"-level", pin.Pad{There: true}, till.PINHint{Level: true}},
		{"-few", pin.Pad{There: true, Few: true, Dots: 4}, till.PINHint{}},
		{"-wrong-again", pin.Pad{There: true, Lost: true}, till.PINHint{Wrong: true, TriesLeft: 1}},
		{"-away", pin.Pad{}, till.PINHint{}},
		{"-away-lost", pin.Pad{Lost: true}, till.PINHint{Wrong: true, TriesLeft: 4}},
		{"-panel", pin.Pad{Panel: true}, till.PINHint{}},
		{"-panel-lost", pin.Pad{Panel: true, Lost: true}, till.PINHint{Wrong: true, TriesLeft: 4}},
	}
	question := dialog.View{Page: dialog.Asking, Task: may(staff.ChangePIN), Question: dialog.Question{
		Kind: dialog.AskPIN, Name: may(staff.ChangePIN), Facts: facts(2), Wrong: dialog.WrongAgain}}
	for _, p := range pads {
		p.pad.Set = true
		v := till.View{Step: till.EnterPIN, Amount: 1200, Holder: holder, Pad: p.pad, PIN: p.hint}
		desk := officeView("30-pin-pad"+p.name, office.View{View: question})
		desk.View.Pad = p.pad
		all = append(all, tillView("11-enter-pin-pad"+p.name, v),
			tillView("11-enter-pin-pad"+p.name+"-dark", darkened(v)), desk)
	}
	return all
}

func tillEnding() []TillView {
	sold := till.View{Step: till.Sold, Amount: 1200, Holder: holder, Balance: 11150, Known: true, Sale: lunch}
	sold.Photo = portrait.Draw("欧阳明")
	dark, code, leveled := darkened(sold), sold, sold
	dark.Photo, code.Photo = nil, nil
	dark.Sale = darkSale
	code.Holder, code.Known = kiosk.Holder{Name: "欧**明"}, false
	code.Sale.With = till.ByCode
	leveled.Notice = till.LoadedFirst
	short := till.View{Step: till.Declined, Amount: 1200, Fault: kiosk.CodePurseShort, Holder: holder, Balance: 350,
		Known: true, Short: true}
	kept := till.View{Step: till.Declined, Amount: 1200, Fault: kiosk.CodeNotEnough, Kept: 2000}
	unknown := till.View{Step: till.Unknown, Amount: 1200, Fault: kiosk.CodeSaleDoubt, Holder: holder, Sale: lunch}
	paying := unknown
	paying.Fault, paying.Sale.With, paying.Holder = kiosk.CodePayDoubt, till.ByAlipay, kiosk.Holder{}
	broken := tillHealth
	broken.Fault = kiosk.CodeFull
	return []TillView{
		tillView("19-sold", sold),
		tillView("19-sold-no-paper", noPaperAt(sold)),
		tillView("19-sold-dark", dark),
		tillView("19-sold-code", code),
		tillView("19-sold-leveled", leveled),
		tillView("20-declined-short", short),
		tillView("20-declined-kept", kept),
		tillView("20-declined-dark", darkened(till.View{Step: till.Declined, Amount: 12000, Fault: kiosk.CodeAlone,
			Holder: holder, Balance: 25000, Known: true})),
		tillView("21-unknown", unknown),
		tillView("21-unknown-code", paying),
		tillView("22-out-of-order", till.View{Step: till.OutOfOrder, Fault: kiosk.CodeFull, Health: broken}),
	}
}
