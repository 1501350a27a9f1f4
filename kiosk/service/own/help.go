package own

import (
	"context"

	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
)

const askHelp dialog.Word = "own.ask.help"

// The guide (校园卡使用指南), in the order of its chapters.
const (
	helpOrder  dialog.Word = "own.help.order"
	orderFirst dialog.Word = "own.help.order.1"
	orderThen  dialog.Word = "own.help.order.2"
	orderLast  dialog.Word = "own.help.order.3"
	orderDark  dialog.Word = "own.help.order.4"

	helpTopUp   dialog.Word = "own.help.topup"
	topUpHere   dialog.Word = "own.help.topup.1"
	topUpCentre dialog.Word = "own.help.topup.2"
	topUpLost   dialog.Word = "own.help.topup.3"

	helpPhone  dialog.Word = "own.help.phone"
	phoneBind  dialog.Word = "own.help.phone.1"
	phonePay   dialog.Word = "own.help.phone.2"
	phoneWrong dialog.Word = "own.help.phone.3"

	helpBath dialog.Word = "own.help.bath"
	bathBook dialog.Word = "own.help.bath.1"
	bathUse  dialog.Word = "own.help.bath.2"
	bathBack dialog.Word = "own.help.bath.3"

	helpBills  dialog.Word = "own.help.bills"
	billsNet   dialog.Word = "own.help.bills.1"
	billsPower dialog.Word = "own.help.bills.2"
	billsWait  dialog.Word = "own.help.bills.3"

	helpLost    dialog.Word = "own.help.lost"
	lostReport  dialog.Word = "own.help.lost.1"
	lostFound   dialog.Word = "own.help.lost.2"
	lostReplace dialog.Word = "own.help.lost.3"

	helpNew  dialog.Word = "own.help.new"
	newCheck dialog.Word = "own.help.new.1"
	newPIN   dialog.Word = "own.help.new.2"
	newLimit dialog.Word = "own.help.new.3"
)

// names of the lines of a topic: what each is about.
const (
	first  dialog.Word = "own.help.first"
	second dialog.Word = "own.help.second"
	third  dialog.Word = "own.help.third"
	fourth dialog.Word = "own.help.fourth"
)

var topics = []struct {
	name  dialog.Word
	lines []dialog.Word
}{
	{helpOrder, []dialog.Word{orderFirst, orderThen, orderLast, orderDark}},
	{helpTopUp, []dialog.Word{topUpHere, topUpCentre, topUpLost}},
	{helpPhone, []dialog.Word{phoneBind, phonePay, phoneWrong}},
	{helpBath, []dialog.Word{bathBook, bathUse, bathBack}},
	{helpBills, []dialog.Word{billsNet, billsPower, billsWait}},
	{helpLost, []dialog.Word{lostReport, lostFound, lostReplace}},
	{helpNew, []dialog.Word{newCheck, newPIN, newLimit}},
}

// help is the guide, a topic at a time. It asks nobody, so it is there when the
// upstream is not.
func help(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	var options []dialog.Option
	for _, t := range topics {
		options = append(options, dialog.Option{Word: t.name})
	}
	i, err := v.Choose(ctx, askHelp, options)
	if err != nil {
		return dialog.Report{}, err
	}
	r := dialog.Report{Title: topics[i].name, Told: true}
	for n, l := range topics[i].lines {
		r.Facts = append(r.Facts, dialog.Said([]dialog.Word{first, second, third, fourth}[n], l))
	}
	return r, nil
}
