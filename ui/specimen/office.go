package specimen

import (
	"fmt"
	"slices"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/money"
)

// may is a word that every catalogue has, so that a specimen needs none of its
// own.
func may(p staff.Privilege) office.Word { return office.Privilege(p) }

// officeView is a state of a page of the office.
func officeView(name string, v office.View) TillView {
	v.No = 7
	if v.Page != 0 && !v.Busy() {
		v.Ends = Now.Add(105 * time.Second)
	}
	if v.Task == "" && v.Page != office.Menu {
		v.Task = may(staff.Refund)
	}
	return tillView(name, till.View{Step: till.Office, HasOffice: true, Office: v})
}

func asking(name string, q office.Question) TillView {
	return officeView(name, office.View{Page: office.Asking, Question: q})
}

func officeEnd(name string, v office.View) TillView {
	v.Page = office.Ended
	return officeView(name, v)
}

// facts are what a question is about: a few, or as many as there are.
func facts(n int) []office.Fact {
	all := []office.Fact{
		office.Text(may(staff.Query), "喆*珺"),
		office.Text(may(staff.IssueCard), "2023****17"),
		office.Amount(may(staff.Refund), 1250),
		office.Moment(may(staff.Sell), Now.Add(-time.Hour)),
		office.Count(may(staff.Count), 3),
		office.Said(may(staff.Diagnose), office.NeedsUpstream),
	}
	all[2].Strong = true
	return all[:n]
}

// officeViews returns every state of the office.
func officeViews() []TillView {
	return append(append(officeMenus(), officeQuestions()...), officeEnds()...)
}

func officeMenus() []TillView {
	entry := func(g office.Group, p staff.Privilege) office.Entry { return office.Entry{Name: may(p), Group: g} }
	var full []office.Entry
	for _, p := range []staff.Privilege{staff.OpenShift, staff.Drop, staff.CashMove, staff.NoSale, staff.Count,
		staff.XReport, staff.CloseShift} {
		full = append(full, entry(office.Drawer, p))
	}
	full[2].Release, full[3].Release = true, true
	for _, p := range []staff.Privilege{staff.Refund, staff.Void, staff.Query} {
		full = append(full, entry(office.Sales, p))
	}
	full = append(full, entry(office.Reports, staff.XReport), entry(office.Machine, staff.Diagnose))
	var holders []office.Entry
	for _, p := range []staff.Privilege{staff.CashTopUp, staff.UndoLoss, staff.Replace, staff.IssueCard,
		staff.ChangePIN, staff.ChangeLimit, staff.CorrectHolder, staff.Temporary, staff.PayOut, staff.Query} {
		e := entry(office.Holders, p)
		e.Why = office.NeedsUpstream
		holders = append(holders, e)
	}
	holders[9].Why, holders[0].Why = "", ""
	return []TillView{
		officeView("23-menu", office.View{Page: office.Menu, Entries: full}),
		officeView("23-menu-holders", office.View{Page: office.Menu, Entries: holders}),
		officeView("23-menu-empty", office.View{Page: office.Menu}),
		officeView("23-opening", office.View{}),
	}
}

var worths = []money.Fen{10000, 5000, 2000, 1000, 500, 100, 50, 10}

func officeQuestions() []TillView {
	amount := office.Question{Kind: office.AskAmount, Name: may(staff.Drop), Min: 1, Max: 2000 * money.Yuan}
	about, wrong := amount, amount
	about.Facts, wrong.Wrong = facts(6), office.WrongAmount
	number := office.Question{Kind: office.AskNumber, Name: may(staff.Query), Length: 24}
	scanned := number
	scanned.Facts = facts(3)
	text := office.Question{Kind: office.AskText, Name: may(staff.CorrectHolder), Length: 40}
	texted := text
	texted.Facts = facts(2)
	option := func(w office.Word) office.Option { return office.Option{Word: w} }
	few := office.Question{Kind: office.AskChoice, Name: may(staff.CashMove), Facts: facts(2), Options: []office.Option{
		option(may(staff.Drop)), option(may(staff.Refund)), {Word: may(staff.PayOut), Note: office.NeedsUpstream}}}
	many := office.Question{Kind: office.AskChoice, Name: may(staff.Refund)}
	for i := range 19 {
		many.Options = append(many.Options, office.Option{Text: fmt.Sprintf("12:%02d  ¥%d.50  喆*珺", 59-i, 8+i)})
	}
	pieces := office.Question{Kind: office.AskPieces, Name: may(staff.Count), Pieces: worths}
	all := pieces
	all.Pieces = append(slices.Clone(worths), 5, 2, 1)
	card := office.Question{Kind: office.AskCard, Name: may(staff.Query)}
	cardAbout, cardWrong := card, card
	cardAbout.Facts, cardWrong.Wrong = facts(5), office.WrongCard
	pin := office.Question{Kind: office.AskPIN, Name: may(staff.ChangePIN), Facts: facts(2)}
	pinWrong := pin
	pinWrong.Wrong = office.WrongAgain
	sure := office.Question{Kind: office.AskConfirm, Name: may(staff.Refund), Facts: facts(4)}
	sureMany := sure
	sureMany.Facts = append(facts(6), facts(6)...)
	return []TillView{
		asking("24-amount", amount), asking("24-amount-about", about), asking("24-amount-wrong", wrong),
		asking("25-number", number), asking("25-number-about", scanned),
		asking("26-text", text), asking("26-text-about", texted),
		asking("27-choice", few), asking("27-choice-many", many),
		asking("28-pieces", pieces), asking("28-pieces-all", all),
		asking("29-card", card), asking("29-card-about", cardAbout), asking("29-card-wrong", cardWrong),
		asking("30-pin", pin), asking("30-pin-wrong", pinWrong),
		asking("31-sure", sure), asking("31-sure-many", sureMany),
		asking("32-second-card", office.Question{Kind: office.AskStaffCard, Name: office.SecondCard,
			Of: may(staff.RefundAbove)}),
		asking("32-second-card-wrong", office.Question{Kind: office.AskStaffCard, Name: office.SecondCard,
			Of: may(staff.RefundAbove), Wrong: office.WrongPerson}),
		asking("33-second-pin", office.Question{Kind: office.AskStaffPIN, Name: office.SecondPIN,
			Of: may(staff.RefundAbove), Wrong: office.WrongPIN}),
		asking("34-working", office.Question{Kind: office.Working, Name: office.ReadingCard}),
		asking("34-working-pin", office.Question{Kind: office.Working, Name: office.CheckingPIN}),
		asking("34-working-long", office.Question{Kind: office.Working, Name: may(staff.Replace)}),
	}
}

// sales is a report of a day by hour.
func salesReport(rows int) office.Report {
	r := office.Report{Title: may(staff.XReport), No: "X-31", Facts: facts(4)}
	r.Table.Heads = []office.Word{may(staff.Sell), may(staff.Count), may(staff.Refund)}
	for i := range rows {
		v := money.Fen(5000 + (i*7919)%31*1000)
		label := fmt.Sprintf("%02d", 6+i)
		r.Table.Rows = append(r.Table.Rows, []office.Fact{{Text: label + ":00"},
			{Kind: office.IsCount, Count: int64(v / 100)}, {Kind: office.IsAmount, Amount: v}})
		r.Plot = append(r.Plot, office.Bar{Label: label, Value: v})
	}
	return r
}

func officeEnds() []TillView {
	long, plain, items := salesReport(40), salesReport(6), salesReport(12)
	long.Plot, plain.Plot = nil, nil
	for i := range items.Plot {
		items.Plot[i].Label = []string{"一荤两素", "牛肉面", "马铃薯炖牛腩套餐", "豆浆"}[i%4]
	}
	items.Facts, items.Table = nil, office.Table{}
	done := office.Report{Facts: facts(4), Next: may(staff.NoSale)}
	return []TillView{
		officeEnd("35-done", office.View{Outcome: office.Done}),
		officeEnd("35-done-facts", office.View{Outcome: office.Done, Report: done, CanPrint: true,
			Printed: office.Printed}),
		officeEnd("35-done-not-printed", office.View{Outcome: office.Done, Report: done, CanPrint: true,
			Printed: office.NotYet}),
		officeEnd("36-report", office.View{Outcome: office.Done, Report: salesReport(12), CanPrint: true,
			CanSave: true}),
		officeEnd("36-report-items", office.View{Outcome: office.Done, Report: items, CanPrint: true,
			CanSave: true}),
		officeEnd("36-report-short", office.View{Outcome: office.Done, Report: plain, CanPrint: true, CanSave: true,
			Printed: office.Printing}),
		officeEnd("36-report-long", office.View{Outcome: office.Done, Report: long, CanPrint: true, CanSave: true,
			Saved: "/media/usb0/quancun/2026-11-23-X-31.csv"}),
		officeEnd("36-report-not-saved", office.View{Outcome: office.Done, Report: long, CanPrint: true, CanSave: true,
			NotSaved: true, Printed: office.NotYet}),
		officeEnd("37-refused", office.View{Outcome: office.Refused, Why: office.NoSecond}),
		officeEnd("37-refused-code", office.View{Outcome: office.Refused, Fault: kiosk.CodeOffline,
			Report: office.Report{Facts: facts(3)}}),
		officeEnd("38-unknown", office.View{Outcome: office.Unknown, Fault: kiosk.CodePayDoubt}),
		officeEnd("38-unknown-facts", office.View{Outcome: office.Unknown, Fault: kiosk.CodeSaleDoubt, CanPrint: true,
			Report: office.Report{Facts: facts(4)}}),
	}
}
