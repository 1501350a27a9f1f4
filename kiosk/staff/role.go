package staff

import (
	"errors"
	"fmt"
	"slices"
)

// Role is what a member of the staff is. The numbers are on the wire and in the
// upstream's books: never renumbered.
type Role uint8

// The roles. Whoever configures a terminal (Admin) takes no money at it, and
// whoever sells changes no account.
const (
	Cashier    Role = 1 // (收银员) sells, and has a drawer
	Supervisor Role = 2 // (主管) a cashier who may release what others may not
	Clerk      Role = 3 // (卡务员) serves holders at the card centre, and has a drawer
	Admin      Role = 4 // (管理员) the terminal itself
)

var roles = map[Role]string{Cashier: "cashier", Supervisor: "supervisor", Clerk: "clerk", Admin: "admin"}

// String returns the role as campusd's commands know it.
func (r Role) String() string {
	if name, ok := roles[r]; ok {
		return name
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Known reports whether this program knows r. A later upstream may have more,
// which may do nothing here.
func (r Role) Known() bool { return roles[r] != "" }

// Privilege is something that not everybody may do. Its text is written to the
// journal with a release: never changed.
type Privilege string

// The privileges.
const (
	Sell        Privilege = "sell"
	Query       Privilege = "query" // what became of a payment
	Void        Privilege = "void"  // the last sale, by the till that made it
	Refund      Privilege = "refund"
	RefundAbove Privilege = "refund above the limit"
	Receipts    Privilege = "receipts" // copies of them, and the printer

	OpenShift  Privilege = "open shift"
	CloseShift Privilege = "close shift" // one's own
	CloseOther Privilege = "close somebody else's shift"
	CashMove   Privilege = "cash in or out" // other than a drop
	Drop       Privilege = "drop"           // to the safe
	NoSale     Privilege = "open the drawer"
	Count      Privilege = "count"
	SignCount  Privilege = "sign a count" // as the second person
	XReport    Privilege = "X report"

	Serve         Privilege = "serve a holder" // look, and report a loss
	IssueCard     Privilege = "issue a card"
	CashTopUp     Privilege = "cash top-up"
	PayOut        Privilege = "pay-out" // and retire the account
	ChangePIN     Privilege = "change or reset a PIN"
	ChangeLimit   Privilege = "change a daily limit"
	CorrectHolder Privilege = "correct personal data"
	Temporary     Privilege = "temporary holder"
	Replace       Privilege = "replace a card"
	UndoLoss      Privilege = "undo a loss report"

	Unlock   Privilege = "unlock" // a till that somebody else has locked
	Settings Privilege = "settings"
	Diagnose Privilege = "diagnose"
)

// privileges says who may do what by themselves. Whoever may not can do it once
// for which somebody who may has released it; see [Release].
var privileges = map[Privilege][]Role{
	Sell:        {Cashier, Supervisor},
	Query:       {Cashier, Supervisor, Clerk},
	Void:        {Cashier, Supervisor},
	Refund:      {Cashier, Supervisor},
	RefundAbove: {Supervisor},
	Receipts:    {Cashier, Supervisor, Clerk, Admin},

	OpenShift:  {Cashier, Supervisor, Clerk},
	CloseShift: {Cashier, Supervisor, Clerk},
	CloseOther: {Supervisor},
	CashMove:   {Supervisor},
	Drop:       {Cashier, Supervisor, Clerk},
	NoSale:     {Supervisor},
	Count:      {Cashier, Supervisor, Clerk},
	SignCount:  {Cashier, Supervisor, Clerk},
	XReport:    {Cashier, Supervisor, Clerk},

	Serve:         {Clerk},
	IssueCard:     {Clerk},
	CashTopUp:     {Clerk},
	PayOut:        {Clerk},
	ChangePIN:     {Clerk},
	ChangeLimit:   {Clerk},
	CorrectHolder: {Clerk},
	Temporary:     {Clerk},
	Replace:       {Clerk},
	UndoLoss:      {Clerk},

	Unlock:   {Supervisor, Admin},
	Settings: {Admin},
	Diagnose: {Supervisor, Admin},
}

// Privileges returns all of them, in the order of their texts.
func Privileges() []Privilege {
	var all []Privilege
	for p := range privileges {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// May reports whether somebody with role r may do p without asking anybody.
func (r Role) May(p Privilege) bool { return slices.Contains(privileges[p], r) }

// Member is somebody of the staff, who has shown card and PIN. The zero Member
// is nobody and may do nothing.
type Member struct {
	No   string // staff number, in the alphabet of a journal's names
	Name string // masked, for screens
	Role Role
}

// Release is a second person's word that somebody may do one thing once
// (授权). Only [Desk.Release] makes one, from that person's card and PIN. It is
// written into the entry of what it releases.
type Release struct {
	What Privilege
	For  string // Ref of what is released
	Of   Member // who asked
	By   Member // who has released it
}

// ErrForbidden means that somebody may not do this, and that nobody who may has
// released it. Nothing has happened.
var ErrForbidden = errors.New("staff: not allowed")

// Allow returns [ErrForbidden] unless m may do p, or r releases it for the thing
// with reference ref. r may be nil.
func (m Member) Allow(p Privilege, ref string, r *Release) error {
	switch {
	case m.No == "":
		return fmt.Errorf("%w: %s by nobody", ErrForbidden, p)
	case m.Role.May(p), r != nil && r.covers(m, p, ref):
		return nil
	}
	return fmt.Errorf("%w: %s by a %s", ErrForbidden, p, m.Role)
}

func (r *Release) covers(m Member, p Privilege, ref string) bool {
	return r.What == p && r.For == ref && r.Of.No == m.No && r.By.No != m.No && r.By.Role.May(p)
}

// Signs reports whether r is the word of somebody else than m that they have
// counted what m has.
func (r *Release) Signs(m Member, ref string) bool { return r.covers(m, SignCount, ref) }
