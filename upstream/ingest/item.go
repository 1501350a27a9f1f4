package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/paycode"
	"quancun/pboc"
	"quancun/upstream/keys"
)

// item is one entry as it came, read.
type item struct {
	journal.Position
	hash  journal.Hash
	prev  journal.Hash // that it says stands before it
	body  []byte
	entry journal.Entry
	fault *fault // why it moves nothing; nil for none
	inner *item  // of a Carried entry
	tac   tacState

	code      *paycode.Code // of a code sale, if it is one of ours
	codeFault *fault        // why it is no proof
	approved  bool          // the terminal says that we hold the money
}

// fault is why an entry moves nothing.
type fault struct {
	kind   ExceptionKind
	detail string
}

// tacState says what became of an entry's TAC.
type tacState uint8

const (
	tacNone  tacState = 0 // there is none, or nobody to check it
	tacRight tacState = 1
	tacWrong tacState = 2
)

// readItem reads an entry that came as at.
func readItem(at journal.Position, body []byte) item {
	it := item{Position: at, hash: journal.HashOf(body), body: body}
	e, prev, err := journal.Decode(body)
	it.prev = prev
	switch {
	case errors.Is(err, journal.ErrNewer):
		it.fault = &fault{NewerForm, err.Error()}
		return it
	case err != nil:
		it.fault = &fault{NotReadable, err.Error()}
		return it
	}
	if e.Terminal == "" && e.Epoch == (journal.Epoch{}) { // entries of the first form do not say
		e.Terminal, e.Epoch = at.Terminal, at.Epoch
	}
	it.entry = e
	if e.Position() != at {
		it.fault = &fault{NotItsOwn, fmt.Sprintf("it says that it is %s", e.Position())}
		return it
	}
	if err := e.Check(); err != nil && !it.old() {
		it.fault = &fault{RuleBroken, err.Error()}
		return it
	}
	if e.Kind == journal.Carried {
		it.inner, it.fault = readCarried(e)
	}
	return it
}

// old reports whether it is an end or a doubt of the first form, which left to
// its intent what both have in common. None of them moves an account.
func (it *item) old() bool {
	return it.body[0] == '{' && it.entry.Kind.Intent() != 0 && !it.entry.Kind.IsIntent()
}

// readCarried reads the entry that another carries over, which keeps the
// position that it had first.
func readCarried(e journal.Entry) (*item, *fault) {
	body, err := e.Body()
	switch {
	case err != nil:
		return nil, &fault{RuleBroken, err.Error()}
	case e.Origin.Terminal != e.Terminal || e.Origin.Epoch == e.Epoch:
		return nil, &fault{NotItsOwn, fmt.Sprintf("it carries over %s", e.Origin)}
	}
	inner := readItem(e.Origin, body)
	if inner.inner != nil {
		return nil, &fault{RuleBroken, "it carries over what was carried over"}
	}
	return &inner, nil
}

// innermost returns the entry itself, whether it was carried over or not.
func (it *item) innermost() *item {
	if it.inner != nil {
		return it.inner
	}
	return it
}

// checkTAC checks the TAC of a purchase that a terminal says was made.
func (g *Ingest) checkTAC(ctx context.Context, it *item, cards map[string]card) error {
	e := it.entry
	c, known := cards[e.Card]
	if it.fault != nil || e.Kind != journal.SaleEnd || e.Outcome != journal.Written || e.Purse == nil || !known ||
		!e.Purse.TAC.Valid() {
		return nil
	}
	right, err := g.purchaseProven(ctx, c.factor, purchaseOf(e), e.Purse.TAC)
	it.tac = tacWrong
	if right {
		it.tac = tacRight
	}
	return err
}

// checkCode checks again what a terminal says that a phone has shown. Where there
// are no issuers the school has no codes, and nothing is to be checked. It reports
// whether k has the key of its issuer.
func (it *item) checkCode(k paycode.Keys) bool {
	e := it.entry
	if it.code, it.codeFault = nil, nil; it.fault != nil || e.Kind != journal.CodeSale || len(k.Issuers) == 0 {
		return true
	}
	var taken paycode.Taken
	details(e, &taken)
	it.approved = taken.Approved
	if taken.Code == "" {
		it.codeFault = &fault{CodeMissing, "account " + e.Account}
		return true
	}
	c, err := paycode.Parse(taken.Code)
	if err == nil {
		err = k.Verify(c, paycode.Pay)
	}
	switch {
	case err != nil:
		it.codeFault = &fault{CodeWrong, fmt.Sprintf("account %s: %v", e.Account, err)}
	case c.Account != e.Account:
		it.codeFault = &fault{CodeWrong, fmt.Sprintf("account %s, and the code is of %s", e.Account, c.Account)}
	default:
		it.code = &c
	}
	return !errors.Is(err, paycode.ErrIssuer)
}

func purchaseOf(e journal.Entry) pboc.Purchase {
	return pboc.Purchase{
		Amount: e.Amount, Terminal: e.Purse.TerminalNo, TraceNo: e.Purse.TraceNo, At: e.Purse.Stamp,
	}
}

// purchaseProven reports whether a TAC is the card's word for a purchase, from
// its purse or, on campuses that use that, from its deposit.
func (g *Ingest) purchaseProven(ctx context.Context, f keys.Factor, p pboc.Purchase, tac pboc.MAC) (bool, error) {
	for _, p.Type = range []byte{pboc.TypePurchase, pboc.TypeDepositPurchase} {
		err := g.keys.CheckPurchaseTAC(ctx, f, p, tac)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, keys.ErrWrong) {
			return false, fmt.Errorf("check TAC: %w", err)
		}
	}
	return false, nil
}

// same reports whether an end is the end of this very intent.
func same(intent, end journal.Entry) bool {
	return intent.Kind == end.Kind.Intent() && intent.Card == end.Card && intent.Account == end.Account &&
		intent.Amount == end.Amount && intent.Merchant == end.Merchant && samePurse(intent.Purse, end.Purse)
}

// samePurse compares all but the TAC, which comes with the end.
func samePurse(a, b *journal.Purse) bool {
	if a == nil || b == nil {
		return a == b
	}
	p, q := *a, *b
	p.TAC, q.TAC = pboc.MAC{}, pboc.MAC{}
	return p == q
}

// chained reports whether an entry says what really stands before it.
func (it *item) chained(before journal.Hash) bool { return bytes.Equal(it.prev[:], before[:]) }

// addTo adds what an entry says to a tally of its journal. What moves nothing
// here is in the inbox.
func (it *item) addTo(t *journal.Tally) {
	if it.fault == nil {
		_ = t.Add(it.entry) // a report that cannot be read is found by its own check
	}
}
