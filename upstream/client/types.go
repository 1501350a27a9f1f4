package client

import (
	"fmt"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
)

// Session is an open sign-in: opaque, good for ten minutes on this terminal
// and card. It prints as its length only.
type Session []byte

// Format keeps the session out of every log and message.
func (s Session) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "client.Session(%d bytes)", len(s)) }

// Hello is what a terminal says of itself. Its clock is added by the client.
type Hello struct {
	Version string
	Journal journal.Head      // of its own journal; zero if that does not say
	Acked   int64             // last number of it that the upstream has acknowledged; 0 for none
	Feeds   map[string]uint64 // version of each that it has
	Fault   string            // what is wrong with its journal; "" for nothing
}

// Welcome is the upstream's answer to [Hello].
type Welcome struct {
	Time       time.Time     // the upstream's clock
	Drift      time.Duration // by which this machine's clock is ahead, to within the round trip
	TerminalNo pboc.TerminalNo
	Policy     Policy
	SchoolZH   string
	SchoolEN   string
	Place      Place             // where this terminal stands; zero also of an upstream that does not say it
	Journal    journal.Head      // what the upstream has of this terminal's epoch
	Feeds      map[string]uint64 // newest version of each
}

// Policy is what the school has decided.
type Policy struct {
	TopUpChoices []money.Fen
	TopUpMin     money.Fen
	TopUpMax     money.Fen
	BalanceCap   money.Fen     // no top-up may lift an account above it
	Pay          time.Duration // how long a QR code is shown
}

// CardStatus says whether a card may be used. Numbers as on the wire.
type CardStatus int

// The statuses of a card.
const (
	CardActive  CardStatus = 1
	CardHot     CardStatus = 2 // reported lost, or blocked
	CardUnknown CardStatus = 3 // not issued here
	CardRetired CardStatus = 4 // replaced, or its account closed
)

// Card is what the upstream knows of a card before any PIN.
type Card struct {
	Status    CardStatus
	Challenge []byte // for one SignIn within a minute, right or wrong
	PINLocked bool
}

// Account is a holder's account as a screen may show it.
type Account struct {
	No           string
	MaskedName   string // 张*三
	MaskedNumber string // student or staff number, middle hidden
	Balance      money.Fen
	Available    money.Fen // balance less holds
	Kept         money.Fen // of Available: only the card may spend it
	Purse        money.Fen // what the card's purse holds by the books
	ToLoad       money.Fen // by which the purse is behind; 0 when level
	Open         []OpenItem
}

// Spendable is what bills, baths and codes may spend.
func (a Account) Spendable() money.Fen { return a.Available - a.Kept }

// OpenKind says why money is on its way. Numbers as on the wire.
type OpenKind int

// The kinds of open money.
const (
	OpenTopUpChecking OpenKind = 1 // nobody knows yet whether it was paid
	OpenTopUpLate     OpenKind = 2 // paid after the machine had given up; credited
	OpenLoadDoubt     OpenKind = 3 // the card left while it was being written
	OpenNotLevel      OpenKind = 4 // on the account, not yet on the card
	OpenPurchaseDoubt OpenKind = 5 // the card left while it was paying; set aside
	OpenHold          OpenKind = 6 // held for a sale of which the terminal has not told yet
	OpenPurchaseLost  OpenKind = 7 // OpenPurchaseDoubt with a card that is gone: it keeps no account open
	OpenBill          OpenKind = 8 // held for a bill until its biller has said what became of it
	OpenBath          OpenKind = 9 // held for a bath until its use is known, or its slot is over
)

// OpenItem is money of a holder that is on its way.
type OpenItem struct {
	Kind    OpenKind
	Amount  money.Fen
	Since   time.Time
	OrderNo string // where there is one
	Place   string // of a purchase
	Where   Place  // its terminal stood
}

// Place is where a terminal stands or stood, as people say it. It is zero if nobody has said.
type Place struct{ ZH, EN string }

// In returns the place in English, if it is known and wanted.
func (p Place) In(english bool) string {
	if english && p.EN != "" {
		return p.EN
	}
	return p.ZH
}

// With returns the place and, small, the exact name of what is there; in English too
// if that reads otherwise. Without a place it is the name.
func (p Place) With(name string) (zh, en string) {
	if p.ZH == "" {
		return name, ""
	}
	zh = p.ZH + " (" + name + ")"
	if p.EN != "" {
		en = p.EN + " (" + name + ")"
	}
	return zh, en
}

// MovementKind says what moved. Numbers as on the wire.
type MovementKind int

// The kinds of movement.
const (
	MovementTopUp    MovementKind = 1
	MovementLoad     MovementKind = 2 // purse written up; the balance stays
	MovementRefund   MovementKind = 3
	MovementPurchase MovementKind = 4
	MovementOpening  MovementKind = 5

	MovementDoubt      MovementKind = 7 // set aside: a card went in the middle of a purchase
	MovementSettlement MovementKind = 8 // what came of that, where it was given back
	MovementCashTopUp  MovementKind = 9
	MovementPayOut     MovementKind = 10
	MovementFee        MovementKind = 13
	MovementCorrection MovementKind = 14
	MovementBill       MovementKind = 16 // of a biller: network, electricity
	MovementBath       MovementKind = 17
)

// Movement is one line of an account's history.
type Movement struct {
	At      time.Time
	Kind    MovementKind
	Amount  money.Fen // signed: what it did to the balance; for a load, to the purse
	Balance money.Fen // of the account, after it
	Place   string    // terminal ID, merchant
	Ref     string    // order number or load ID
	Where   Place     // the terminal stood then
}

// TopUpState says how far an order has come. Numbers as on the wire; none ever
// goes back, except that a closed order may still turn out to be paid.
type TopUpState int

// The states of a top-up.
const (
	TopUpWaiting  TopUpState = 1 // for the payer
	TopUpChecking TopUpState = 2 // the channel has not said yet what it came to
	TopUpPaid     TopUpState = 3 // and credited to the account
	TopUpClosed   TopUpState = 4 // unpaid; can not be paid any more
	TopUpReturned TopUpState = 5 // was paid in the same moment, and given back by the channel
)

// Final reports whether nobody needs to wait for s any longer.
func (s TopUpState) Final() bool { return s == TopUpPaid || s == TopUpClosed || s == TopUpReturned }

// TopUp is an order.
type TopUp struct {
	OrderNo string
	State   TopUpState
	Amount  money.Fen
	QR      string    // what the payer scans, while waiting
	Expires time.Time // of the QR code
	PaidAt  time.Time // zero unless paid
	Balance money.Fen // of the account after the credit, once paid
	Late    bool      // paid after it was cancelled
}

// Plan is what a load has to do to bring a purse level with its account.
type Plan struct {
	Amount  money.Fen // 0: nothing to load
	Account Account
}

// LoadOffer is the card's answer to INITIALIZE FOR LOAD, raw as it sent it.
type LoadOffer struct {
	Balance    uint32
	Counter    uint16 // online transaction counter
	KeyVersion byte
	Algorithm  byte
	Random     [4]byte
	MAC1       pboc.MAC
}

// LoadRequest asks for the MAC2 of a load. The caller has written it down
// under LoadID before.
type LoadRequest struct {
	LoadID  string // 32 hexadecimal digits
	CardNo  string // 20 hexadecimal digits
	Amount  money.Fen
	Offer   LoadOffer
	OrderNo string  // the top-up that it carries out, or ""
	Factor  [8]byte // diversification factor, by the card's profile
}

// Authorization is what CREDIT FOR LOAD needs from the host.
type Authorization struct {
	At   pboc.Stamp // the host's date and time, not the terminal's
	MAC2 pboc.MAC
}

// LoadOutcome says what became of a load. Numbers as on the wire.
type LoadOutcome int

// The outcomes of a load.
const (
	LoadWritten    LoadOutcome = 1
	LoadNotWritten LoadOutcome = 2 // the card said so
	LoadDoubt      LoadOutcome = 3 // nobody knows yet
)

// LoadReport tells the upstream what became of a load.
type LoadReport struct {
	LoadID   string
	Outcome  LoadOutcome
	TAC      pboc.MAC // zero when the card gave none
	Evidence string   // response, prove, counter, log, status 9302, …
}

// LoadStatus is a load as the upstream knows it now.
type LoadStatus struct {
	Outcome LoadOutcome
	Purse   money.Fen // by the books, after it
}
