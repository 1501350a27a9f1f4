package figures

import (
	"quancun/kiosk/dialog"
)

// The tasks.
const (
	Day  dialog.Word = "sales.day"
	Hour dialog.Word = "sales.hour"
	Item dialog.Word = "sales.item"
	Meal dialog.Word = "sales.meal"
)

// Questions.
const (
	whichDays dialog.Word = "sales.when"
	today     dialog.Word = "sales.today"
	yesterday dialog.Word = "sales.yesterday"
	week      dialog.Word = "sales.week" // with today
	thisMonth dialog.Word = "sales.month"
	lastMonth dialog.Word = "sales.lastmonth"
	otherDays dialog.Word = "sales.other"
	fromDay   dialog.Word = "sales.from"
	toDay     dialog.Word = "sales.to"
	adding    dialog.Word = "sales.work"
	noDay     dialog.Word = "sales.noday"
)

// Heads, facts and values.
const (
	headDay   dialog.Word = "head.day"
	headHour  dialog.Word = "head.hour"
	headItem  dialog.Word = "head.item"
	headMeal  dialog.Word = "head.meal"
	headSold  dialog.Word = "head.sold"
	headCount dialog.Word = "head.count"
	headBack  dialog.Word = "head.back"
	headNet   dialog.Word = "head.net"
	factNet   dialog.Word = "fact.net"
	factFrom  dialog.Word = "fact.from"
	nameless  dialog.Word = "sales.nameless"
)
