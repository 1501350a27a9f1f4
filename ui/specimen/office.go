package specimen

import (
	"fmt"
	"slices"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/kiosk/till"
	"quancun/money"
)

// may is a word that every catalogue has, so that a specimen needs none of its
// own.
func may(p staff.Privilege) dialog.Word { return office.Privilege(p) }

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

func asking(name string, q dialog.Question) TillView {
	return officeView(name, office.View{View: dialog.View{Page: dialog.Asking, Question: q}})
}

func officeEnd(name string, v dialog.View, code kiosk.Code) TillView {
	v.Page = dialog.Ended
	return officeView(name, office.View{View: v, Fault: code})
}

// facts are what a question is about: a few, or as many as there are.
func facts(n int) []dialog.Fact {
	all := []dialog.Fact{
		dialog.Text(may(staff.Query), "喆*珺"),
		dialog.Text(may(staff.IssueCard), "2023****17"),
		dialog.Amount(may(staff.Refund), 1250),
		dialog.Moment(may(staff.Sell), Now.Add(-time.Hour)),
		dialog.Count(may(staff.Count), 3),
		dialog.Said(may(staff.Diagnose), office.NeedsUpstream),
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
		officeView("23-menu", office.View{View: dialog.View{Page: office.Menu}, Entries: full}),
		officeView("23-menu-holders", office.View{View: dialog.View{Page: office.Menu}, Entries: holders}),
		officeView("23-menu-empty", office.View{View: dialog.View{Page: office.Menu}}),
		officeView("23-opening", office.View{}),
	}
}

var worths = []money.Fen{10000, 5000, 2000, 1000, 500, 100, 50, 10}

func officeQuestions() []TillView {
	amount := dialog.Question{Kind: dialog.AskAmount, Name: may(staff.Drop), Min: 1, Max: 2000 * money.Yuan}
	about, wrong := amount, amount
	about.Facts, wrong.Wrong = facts(6), dialog.WrongAmount
	number := dialog.Question{Kind: dialog.AskNumber, Name: may(staff.Query), Length: 24}
	scanned := number
	scanned.Facts = facts(3)
	text := dialog.Question{Kind: dialog.AskText, Name: may(staff.CorrectHolder), Length: 40}
	texted := text
	texted.Facts = facts(2)
	option := func(w dialog.Word) dialog.Option { return dialog.Option{Word: w} }
	few := dialog.Question{Kind: dialog.AskChoice, Name: may(staff.CashMove), Facts: facts(2), Options: []dialog.Option{
		option(may(staff.Drop)), option(may(staff.Refund)), {Word: may(staff.PayOut), Note: office.NeedsUpstream}}}
	many := dialog.Question{Kind: dialog.AskChoice, Name: may(staff.Refund)}
	for i := range 19 {
		many.Options = append(many.Options, dialog.Option{Text: fmt.Sprintf("12:%02d  ¥%d.50  喆*珺", 59-i, 8+i)})
	}
	restored := dialog.Question{Kind: dialog.AskChoice, Name: "sale.restored", Options: []dialog.Option{
		{Text: "12:59:03  ¥8.50  C-0203-17  ****1234", When: dialog.Day("", Now.AddDate(0, -1, 0))},
		{Text: "13:42:51  ¥12.00  C-0203-17  ****5678", When: dialog.Day("", Now)}, option("sale.older")}}
	pieces := dialog.Question{Kind: dialog.AskPieces, Name: may(staff.Count), Pieces: worths}
	all := pieces
	all.Pieces = append(slices.Clone(worths), 5, 2, 1)
	card := dialog.Question{Kind: dialog.AskCard, Name: may(staff.Query)}
	cardAbout, cardWrong := card, card
	cardAbout.Facts, cardWrong.Wrong = facts(5), office.WrongCard
	pin := dialog.Question{Kind: dialog.AskPIN, Name: may(staff.ChangePIN), Facts: facts(2)}
	pinWrong := pin
	pinWrong.Wrong = dialog.WrongAgain
	sure := dialog.Question{Kind: dialog.AskConfirm, Name: may(staff.Refund), Facts: facts(4)}
	sureMany := sure
	sureMany.Facts = append(facts(6), facts(6)...)
	return []TillView{
		asking("24-amount", amount), asking("24-amount-about", about), asking("24-amount-wrong", wrong),
		asking("25-number", number), asking("25-number-about", scanned),
		asking("26-text", text), asking("26-text-about", texted),
		asking("27-choice", few), asking("27-choice-many", many), asking("27-choice-restored", restored),
		asking("28-pieces", pieces), asking("28-pieces-all", all),
		asking("29-card", card), asking("29-card-about", cardAbout), asking("29-card-wrong", cardWrong),
		asking("30-pin", pin), asking("30-pin-wrong", pinWrong),
		asking("31-sure", sure), asking("31-sure-many", sureMany),
		asking("32-second-card", dialog.Question{Kind: dialog.AskStaffCard, Name: office.SecondCard,
			Of: may(staff.RefundAbove)}),
		asking("32-second-card-wrong", dialog.Question{Kind: dialog.AskStaffCard, Name: office.SecondCard,
			Of: may(staff.RefundAbove), Wrong: office.WrongPerson}),
		asking("33-second-pin", dialog.Question{Kind: dialog.AskStaffPIN, Name: office.SecondPIN,
			Of: may(staff.RefundAbove), Wrong: office.WrongPIN}),
		asking("34-working", dialog.Question{Kind: dialog.Working, Name: office.ReadingCard}),
		asking("34-working-pin", dialog.Question{Kind: dialog.Working, Name: office.CheckingPIN}),
		asking("34-working-long", dialog.Question{Kind: dialog.Working, Name: may(staff.Replace)}),
	}
}

// sales is a report of a day by hour.
func salesReport(rows int) dialog.Report {
	r := dialog.Report{Title: may(staff.XReport), No: "X-31", Facts: facts(4)}
	r.Table.Heads = []dialog.Word{may(staff.Sell), may(staff.Count), may(staff.Refund)}
	for i := range rows {
		v := money.Fen(5000 + (i*7919)%31*1000)
		label := fmt.Sprintf("%02d", 6+i)
		r.Table.Rows = append(r.Table.Rows, []dialog.Fact{{Text: label + ":00"},
			{Kind: dialog.IsCount, Count: int64(v / 100)}, {Kind: dialog.IsAmount, Amount: v}})
		r.Plot = append(r.Plot, dialog.Bar{Label: label, Value: v})
	}
	return r
}

func officeEnds() []TillView {
	long, plain, items := salesReport(40), salesReport(6), salesReport(12)
	long.Plot, plain.Plot = nil, nil
	for i := range items.Plot {
		items.Plot[i].Label = []string{"一荤两素", "牛肉面", "马铃薯炖牛腩套餐", "豆浆"}[i%4]
	}
	items.Facts, items.Table = nil, dialog.Table{}
	done := dialog.Report{Facts: facts(4), Next: may(staff.NoSale)}
	var open []dialog.Fact // all that may be of an account that is to be closed
	for _, what := range []dialog.Word{"topup", "load", "sale", "hold", "lost", "bill", "bath"} {
		open = append(open, dialog.Amount("centre.left."+what, 1250),
			dialog.Moment("centre.fact.since", Now.Add(-50*time.Hour)))
	}
	carried := done
	carried.QR = proof
	return []TillView{
		officeEnd("35-done", dialog.View{Outcome: dialog.Done}, 0),
		officeEnd("35-done-facts", dialog.View{Outcome: dialog.Done, Report: done, CanPrint: true,
			Printed: dialog.Printed}, 0),
		officeEnd("35-done-not-printed", dialog.View{Outcome: dialog.Done, Report: done, CanPrint: true,
			Printed: dialog.NotYet}, 0),
		officeEnd("35-done-closed", dialog.View{Outcome: dialog.Done, CanPrint: true, Printed: dialog.Printed,
			Report: dialog.Report{Facts: append(facts(4), open[8:10]...), Next: "centre.retire.doubt"}}, 0),
		officeEnd("35-done-carried", dialog.View{Outcome: dialog.Done, Report: carried}, 0),
		officeEnd("36-report", dialog.View{Outcome: dialog.Done, Report: salesReport(12), CanPrint: true,
			CanSave: true}, 0),
		officeEnd("36-report-items", dialog.View{Outcome: dialog.Done, Report: items, CanPrint: true,
			CanSave: true}, 0),
		officeEnd("36-report-short", dialog.View{Outcome: dialog.Done, Report: plain, CanPrint: true, CanSave: true,
			Printed: dialog.Printing}, 0),
		officeEnd("36-report-long", dialog.View{Outcome: dialog.Done, Report: long, CanPrint: true, CanSave: true,
			Saved: "/media/usb0/quancun/2026-11-23-X-31.csv"}, 0),
		officeEnd("36-report-not-saved", dialog.View{Outcome: dialog.Done, Report: long, CanPrint: true, CanSave: true,
			NotSaved: true, Printed: dialog.NotYet}, 0),
		officeEnd("37-refused", dialog.View{Outcome: dialog.Refused, Why: office.NoSecond}, 0),
		officeEnd("37-refused-open", dialog.View{Outcome: dialog.Refused, Why: "centre.left.over",
			Report: dialog.Report{Facts: open}}, 0),
		officeEnd("37-refused-kept", dialog.View{Outcome: dialog.Refused, Why: "centre.not.blank",
			Report: dialog.Report{Next: "centre.cash.kept"}}, 0),
		officeEnd("37-refused-code", dialog.View{Outcome: dialog.Refused,
			Report: dialog.Report{Facts: facts(3)}}, kiosk.CodeOffline),
		officeEnd("38-unknown", dialog.View{Outcome: dialog.Unknown}, kiosk.CodePayDoubt),
		officeEnd("38-unknown-facts", dialog.View{Outcome: dialog.Unknown, CanPrint: true,
			Report: dialog.Report{Facts: facts(4)}}, kiosk.CodeSaleDoubt),
	}
}
