package specimen

import (
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/money"
)

// own is a state of a page of what is a holder's.
func own(name string, task dialog.Word, step kiosk.Step, d dialog.View) View {
	d.No, d.Task = 7, task
	return view(name, kiosk.View{Step: step, Service: kiosk.OtherService, Chosen: task, Holder: holder, Dialog: d})
}

func ended(r dialog.Report) dialog.View {
	return dialog.View{Page: dialog.Ended, Outcome: dialog.Done, Report: r, CanPrint: true}
}

// owns returns the states of what a holder sees of what is theirs, in the words of
// package kiosk/service/own.
func owns() []View {
	open := dialog.Question{Kind: dialog.AskChoice, Name: "own.ask.money", Facts: []dialog.Fact{
		dialog.Amount("own.fact.aside", 38_00),
		{Name: "own.fact.available", Kind: dialog.IsAmount, Amount: 85_50, Strong: true},
	}}
	for _, word := range []dialog.Word{
		"own.bill.checking", "own.purchase.doubt", "own.bath.unsettled", "own.topup.checking", "own.not.level",
		"own.sale",
	} {
		open.Options = append(open.Options, dialog.Option{Word: word, Text: "¥100.00"})
	}
	records := dialog.Question{Kind: dialog.AskChoice, Name: "own.ask.record"}
	for range 6 {
		bought := dialog.Option{Word: "own.kind.purchase", Text: "-¥12.00"}
		bought.When = dialog.Moment("", Now.Add(-2*time.Hour))
		records.Options = append(records.Options, bought)
	}
	records.Options = append(records.Options, dialog.Option{Word: "own.older"}, dialog.Option{Word: "own.newer"})
	check := dialog.Question{Kind: dialog.AskChoice, Name: "own.ask.check", Facts: []dialog.Fact{
		{Name: "own.fact.name", Text: "阿卜杜热合曼·买买提艾力", Strong: true},
		{Name: "own.fact.number", Text: "2026000105", Strong: true},
	}, Options: []dialog.Option{{Word: "own.agrees"}, {Word: "own.differs"}}}
	asking := func(q dialog.Question) dialog.View { return dialog.View{Page: dialog.Asking, Question: q} }
	return []View{
		own("29-money", "own.money", kiosk.Serving, asking(open)),
		own("29-records", "own.records", kiosk.Serving, asking(records)),
		own("29-check", "own.check", kiosk.Serving, asking(check)),
		own("31-money", "own.money", kiosk.Served, ended(openMoney())),
		own("31-record", "own.records", kiosk.Served, ended(record())),
		own("31-limits", "own.about", kiosk.Served, ended(limits())),
		own("31-phone", "own.about", kiosk.Served, ended(dialog.Report{
			Title: "own.phone", Next: "own.scan.it", Told: true, QR: "quancun://" + strings.Repeat("ABCD-", 16),
			Facts: []dialog.Fact{dialog.Moment("own.fact.until", Now.Add(10*time.Minute))},
		})),
		own("31-help", "own.help", kiosk.Served, ended(dialog.Report{Title: "own.help.bath", Told: true,
			Facts: []dialog.Fact{
				dialog.Said("own.help.first", "own.help.bath.1"), dialog.Said("own.help.second", "own.help.bath.2"),
				dialog.Said("own.help.third", "own.help.bath.3"),
			}})),
	}
}

func openMoney() dialog.Report {
	return dialog.Report{Title: "own.sale", Next: "own.do.till", Told: true, Facts: []dialog.Fact{
		{Name: "own.fact.amount", Kind: dialog.IsAmount, Amount: 12 * money.Yuan, Strong: true},
		dialog.Moment("own.fact.since", Now),
		dialog.Text("own.fact.place", "二食堂 3 号窗口"), dialog.Text("own.fact.ref", "20261123140405000417000138"),
		dialog.Text("own.fact.card", "5608"), dialog.Said("own.fact.held", "own.held.here"),
		dialog.Said("own.fact.due", "own.due.till"), dialog.Moment("own.fact.heard", Now.Add(-time.Hour)),
	}}
}

func record() dialog.Report {
	return dialog.Report{
		Next: "own.proves", Told: true, QR: "QCC1:" + strings.Repeat("ANFTAMLWAFXLORJSDXVA", 20),
		Facts: []dialog.Fact{
			{Name: "own.fact.change", Text: "-¥20.00", Strong: true}, dialog.Said("own.fact.why", "own.kind.bill"),
			dialog.Moment("own.fact.at", Now), dialog.Text("own.fact.for", "电费 东区 3 号楼 412 照明"),
			dialog.Text("own.fact.place", "图书馆大厅"), dialog.Text("own.fact.ref", "20261123140405000417000138"),
			dialog.Text("own.fact.record", "8812345"), dialog.Amount("own.fact.after", 85_50),
		},
	}
}

func limits() dialog.Report {
	return dialog.Report{Title: "own.limits", Next: "own.limit.how", Told: true, Facts: []dialog.Fact{
		{Name: "own.fact.daily", Kind: dialog.IsAmount, Amount: 50 * money.Yuan, Strong: true},
		dialog.Said("own.fact.own", "own.of.school"), dialog.Amount("own.fact.spent", 12_00),
		dialog.Amount("own.fact.left", 38_00), dialog.Amount("own.fact.purse", 1000_00),
		dialog.Amount("own.fact.cap", 1000_00), dialog.Amount("own.fact.code", 50_00),
		dialog.Amount("own.fact.code.day", 50_00), dialog.Text("own.fact.phone", "Pixel 9"),
		dialog.Moment("own.fact.phone.since", Now),
	}}
}
