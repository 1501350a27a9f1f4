package figures

import "quancun/kiosk/office"

// The tasks.
const (
	Day  office.Word = "sales.day"
	Hour office.Word = "sales.hour"
	Item office.Word = "sales.item"
	Meal office.Word = "sales.meal"
)

// Questions.
const (
	whichDays office.Word = "sales.when"
	today     office.Word = "sales.today"
	yesterday office.Word = "sales.yesterday"
	week      office.Word = "sales.week" // with today
	thisMonth office.Word = "sales.month"
	lastMonth office.Word = "sales.lastmonth"
	otherDays office.Word = "sales.other"
	fromDay   office.Word = "sales.from"
	toDay     office.Word = "sales.to"
	adding    office.Word = "sales.work"
	noDay     office.Word = "sales.noday"
)

// Heads, facts and values.
const (
	headDay   office.Word = "head.day"
	headHour  office.Word = "head.hour"
	headItem  office.Word = "head.item"
	headMeal  office.Word = "head.meal"
	headSold  office.Word = "head.sold"
	headCount office.Word = "head.count"
	headBack  office.Word = "head.back"
	headNet   office.Word = "head.net"
	factNet   office.Word = "fact.net"
	factFrom  office.Word = "fact.from"
	nameless  office.Word = "sales.nameless"
)
