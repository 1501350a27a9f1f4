package journal

import (
	"fmt"
	"slices"
	"strings"

	"quancun/money"
)

// Account is a line of the terminal's chart of accounts. Credits are positive
// in all of them. The terminal keeps control accounts only: [Holder] stands
// for whichever holder the entry's card or account number names, and the
// upstream posts to that holder's own.
type Account string

// Accounts that are the same on every terminal.
const (
	Holder         Account = "holder"          // liability: the holder that the entry names
	ChannelAlipay  Account = "channel/alipay"  // asset
	FeeReplacement Account = "fee/replacement" // income
	Safe           Account = "safe"            // asset: cash that is in no drawer
)

// MerchantAccount returns what is owed to a merchant.
func MerchantAccount(id string) Account { return Account("merchant/" + id) }

// TillAccount returns the cash drawer of a terminal.
func TillAccount(terminal string) Account { return Account("till/" + terminal) }

// SuspenseAccount returns where a terminal keeps what is in doubt.
func SuspenseAccount(terminal string) Account { return Account("suspense/" + terminal) }

// OverShortAccount returns where a terminal's counted drawer differs.
func OverShortAccount(terminal string) Account { return Account("over-short/" + terminal) }

// Posting is what an entry does to one account.
type Posting struct {
	Account Account
	Amount  money.Fen // credit positive, never zero
}

// move takes amount from one account and gives it to another.
func move(from, to Account, amount money.Fen) []Posting {
	return []Posting{{from, -amount}, {to, amount}}
}

// Post returns e with the postings that follow from what it says. doubted
// tells whether a [SaleDoubt] stands between the intent and its end e, and
// expected is, for [Counted], what the drawer should hold.
//
// The movements of a sale: nothing with the intent, since nothing has moved;
// from the holder to the merchant with the end; and where nobody knows, from
// the holder into suspense, and out of there with the end.
func (e Entry) Post(doubted bool, expected money.Fen) Entry {
	e.Postings = nil
	switch e.Kind {
	case SaleDoubt:
		e.Postings = move(Holder, SuspenseAccount(e.Terminal), e.Amount)
	case SaleEnd:
		e.Postings = e.endOfSale(doubted)
	case CodeSale:
		e.Postings = move(Holder, MerchantAccount(e.Merchant), e.Amount)
	case ChannelSale:
		e.Postings = move(ChannelAlipay, MerchantAccount(e.Merchant), e.Amount)
	case Refund:
		e.Postings = move(MerchantAccount(e.Merchant), e.refundTo(), e.Amount)
	case CashTopUp:
		e.Postings = move(TillAccount(e.Terminal), Holder, e.Amount)
	case PayOut:
		e.Postings = move(Holder, TillAccount(e.Terminal), e.Amount)
	case ShiftOpened:
		if e.Amount > 0 {
			e.Postings = move(TillAccount(e.Terminal), Safe, e.Amount)
		}
	case CashIn:
		e.Postings = move(TillAccount(e.Terminal), Safe, e.Amount)
	case CashOut:
		e.Postings = move(Safe, TillAccount(e.Terminal), e.Amount)
	case Fee:
		e.Postings = move(Holder, FeeReplacement, e.Amount)
	case Counted:
		if d := e.Amount - expected; d > 0 { // more in the drawer than the books say
			e.Postings = move(TillAccount(e.Terminal), OverShortAccount(e.Terminal), d)
		} else if d < 0 {
			e.Postings = move(OverShortAccount(e.Terminal), TillAccount(e.Terminal), -d)
		}
	}
	return e
}

func (e Entry) endOfSale(doubted bool) []Posting {
	from, to := Holder, MerchantAccount(e.Merchant)
	if doubted {
		from = SuspenseAccount(e.Terminal)
	}
	if !e.Outcome.Happened() {
		to = Holder
	}
	if from == to {
		return nil
	}
	return move(from, to, e.Amount)
}

// refundTo is where a refund goes: back to its source. A sale through a channel
// has neither a card nor an account.
func (e Entry) refundTo() Account {
	if e.Card == "" && e.Account == "" {
		return ChannelAlipay
	}
	return Holder
}

// checkPostings holds the postings against what the entry says. Whether a sale
// was in doubt before its end, only the journal knows; what a drawer should
// have held, too. So both are read off the postings here, and the rest follows.
func (e Entry) checkPostings() error {
	var sum money.Fen
	for _, p := range e.Postings {
		if p.Amount == 0 || p.Amount > AmountMax || p.Amount < -AmountMax || !IsName(string(p.Account)) {
			return e.rule("posting of %s to %q", p.Amount, p.Account)
		}
		sum += p.Amount
	}
	if sum != 0 {
		return e.rule("postings sum to %s", sum)
	}
	doubted, expected := false, e.Amount
	for _, p := range e.Postings {
		doubted = doubted || e.Kind == SaleEnd && p.Account == SuspenseAccount(e.Terminal)
		if e.Kind == Counted && p.Account == TillAccount(e.Terminal) {
			expected += p.Amount
		}
	}
	if want := e.Post(doubted, expected).Postings; !slices.Equal(e.Postings, want) {
		return e.rule("postings %v, want %v", e.Postings, want)
	}
	return nil
}

// Doubted reports whether e, the end of a sale, ends a doubt.
func (e Entry) Doubted() bool {
	return slices.ContainsFunc(e.Postings, func(p Posting) bool {
		return strings.HasPrefix(string(p.Account), "suspense/") && p.Amount < 0
	})
}

// String returns the posting as text, for people who verify.
func (p Posting) String() string { return fmt.Sprintf("%s %s", p.Account, p.Amount) }
