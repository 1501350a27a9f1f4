package specimen

import (
	"fmt"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/money"
)

// serving is a state of a page of a service.
func serving(name string, step kiosk.Step, d dialog.View, code kiosk.Code) View {
	d.No, d.Task = 7, may(staff.PayOut)
	return view(name, kiosk.View{Step: step, Service: kiosk.OtherService, Chosen: d.Task, Holder: holder, Dialog: d,
		Fault: code})
}

func asks(name string, q dialog.Question) View {
	return serving(name, kiosk.Serving, dialog.View{Page: dialog.Asking, Question: q}, 0)
}

// services returns the states of services, whatever they are.
func services() []View {
	rooms := dialog.Question{Kind: dialog.AskChoice, Name: may(staff.Query)}
	for i := range 60 {
		rooms.Options = append(rooms.Options, dialog.Option{Text: fmt.Sprintf("%d%02d", 1+i/12, 1+i%12)})
	}
	work := dialog.View{Page: dialog.Asking, Question: dialog.Question{Kind: dialog.Working, Name: dialog.OneMoment}}
	report := dialog.Report{Facts: facts(4), Next: may(staff.Query)}
	unsure := dialog.Report{Facts: facts(4), Next: "pay.later"}
	carried := report
	carried.Facts = append([]dialog.Fact{dialog.Code(may(staff.Query), "40718352")}, facts(6)...)
	carried.Facts[0].Strong, carried.QR = true, "40718352"
	few := dialog.Question{Kind: dialog.AskChoice, Name: may(staff.CashMove), Facts: facts(2), Options: []dialog.Option{
		{Word: may(staff.Drop)}, {Word: may(staff.Refund)}, {Word: may(staff.PayOut), Note: office.NeedsUpstream}}}
	long := dialog.Question{Kind: dialog.AskChoice, Name: may(staff.Query)}
	for i := range 24 {
		long.Options = append(long.Options, dialog.Option{Text: fmt.Sprintf("龙山校区东区学生公寓 %d 号楼", i+1)})
	}
	spelt := dialog.Question{Kind: dialog.AskChoice, Name: "electricity.building"}
	for i := range 60 {
		name := []string{"馨园", "菱湖", "梅园", "龙山校区", "研究生公寓"}[i%5]
		spelt.Options = append(spelt.Options, dialog.Option{Text: fmt.Sprintf("%s %d 号楼", name, i/5+1)})
	}
	code := dialog.Question{Kind: dialog.AskNumber, Name: "lost.number", Length: 20, Letters: true}
	amount := dialog.Question{Kind: dialog.AskAmount, Name: may(staff.PayOut), Min: 100, Max: 200 * money.Yuan,
		Facts: facts(3)}
	wrong := amount
	wrong.Wrong = dialog.WrongAmount
	return []View{
		asks("29-amount-wrong", wrong), asks("29-choice-few", few), asks("29-choice-long", long),
		asks("29-choice-spelt", spelt), asks("29-code", code),
		asks("29-text", dialog.Question{Kind: dialog.AskText, Name: may(staff.CorrectHolder), Length: 40}),
		serving("30-working-long", kiosk.AtWork, dialog.View{Page: dialog.Asking, Question: dialog.Question{
			Kind: dialog.Working, Name: may(staff.Replace)}}, 0),
		serving("31-refused-code", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Refused},
			kiosk.CodeOffline),
		asks("29-amount", amount),
		asks("29-choice", rooms),
		asks("29-number", dialog.Question{Kind: dialog.AskNumber, Name: may(staff.Query), Length: 10}),
		asks("29-pin", dialog.Question{Kind: dialog.AskPIN, Name: may(staff.ChangePIN)}),
		asks("29-sure", dialog.Question{Kind: dialog.AskConfirm, Name: may(staff.PayOut), Facts: facts(4)}),
		serving("30-working", kiosk.AtWork, work, 0),
		serving("31-done", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Done, Report: report,
			CanPrint: true}, 0),
		serving("31-done-not-printed", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Done,
			Report: report, CanPrint: true, Printed: dialog.NotYet, NoPaper: "unprinted.offline"}, 0),
		serving("31-refused", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Refused,
			Why: office.NoSecond}, 0),
		serving("31-done-code", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Done, Report: carried,
			CanPrint: true, Printed: dialog.Printed}, 0),
		serving("31-unknown", kiosk.Served, dialog.View{Page: dialog.Ended, Outcome: dialog.Unknown, Report: unsure,
			Followed: true},
			kiosk.CodePayDoubt),
	}
}
