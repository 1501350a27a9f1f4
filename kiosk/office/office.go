// Package office is what the staff do at a till besides selling: the drawer and
// its shift, refunds, reports, receipts, the machine, and the card centre's desk.
//
// Each of these is a [Task]: a script of package dialog, in whose [Talk] the staff
// can be asked for cards and for the release of a second person, too. A [Session]
// runs one task at a time and owns what the screen shows.
package office

import (
	"context"

	"quancun/kiosk/dialog"
	"quancun/kiosk/staff"
)

// Task is something that the staff do.
type Task struct {
	Name  dialog.Word // also says what it does, under Name + ".hint"
	Group Group       // part of the menu
	// Needs is what takes part in it at all. Who may not has a second person
	// release it before the first question.
	Needs staff.Privilege
	// Online says that it needs the upstream. Without it the menu says why not.
	Online bool
	// Run does it. Its error is like that of a [dialog.Script].
	Run func(ctx context.Context, t *Talk) (dialog.Report, error)
}

// Group is a part of the menu. The numbers are their order.
type Group int

// The groups.
const (
	Drawer  Group = 1 // shift and cash
	Sales   Group = 2 // refunds, copies, queries
	Reports Group = 3
	Holders Group = 4 // the card centre
	Machine Group = 5 // printer, upstream, settings
)
