package purse

import (
	"errors"
	"fmt"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
)

// Torn is a transaction whose outcome is unknown: its last command was sent,
// and no answer, or none that is [Certain], came back. All of it was written
// down before that command was sent.
type Torn struct {
	Counter  uint16 // that INITIALIZE answered, N
	Balance  uint32 // raw, that INITIALIZE answered
	Amount   money.Fen
	Terminal pboc.TerminalNo
	At       pboc.Stamp // in the command that was sent
}

// Outcome is what became of a torn transaction.
type Outcome uint8

// The outcomes. The zero Outcome is none.
const (
	Executed    Outcome = iota + 1 // the card has done it
	NotExecuted                    // the card has not, and never will
	Elsewhere                      // the card has since been used, and cannot tell any more
)

// String returns "executed", "not executed" or "elsewhere".
func (o Outcome) String() string {
	switch o {
	case Executed:
		return "executed"
	case NotExecuted:
		return "not executed"
	case Elsewhere:
		return "elsewhere"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Evidence is how an [Outcome] is known. More than one may hold.
type Evidence uint8

// The kinds of evidence.
const (
	ByProof   Evidence = 1 << iota // GET TRANSACTION PROVE answered
	ByCounter                      // the counter of a fresh INITIALIZE, with the balance
	ByLog                          // the card's own log
)

// Verdict is what a card says about a torn transaction.
//
// NotExecuted is certain, and so is Executed with ByLog. Executed by anything
// less is so unless another transaction has used the same counter, which the
// issuer knows: by proof alone, the TAC is then another's; by counter alone, the
// issuer already has a transaction with this counter.
//
// Elsewhere with ByLog means that one transaction has been made at this counter,
// and that by the card's log it is another: so this one was not executed.
type Verdict struct {
	Outcome  Outcome
	Evidence Evidence

	// TAC is the card's, if it still had a proof; otherwise it is not
	// [pboc.MAC.Valid]. If ByLog is not set too, or the outcome is Elsewhere,
	// it may be of another transaction with the same counter: whoever holds
	// the TAC key checks it over the torn one before believing it (6.2).
	TAC pboc.MAC

	// MAC2 is a purchase's, for the SAM, if there is a proof.
	MAC2 pboc.MAC
}

// ErrNeedPIN means that only a fresh INITIALIZE FOR LOAD can tell what became of
// the load, and that the card wants its PIN first. Verify it and settle again.
var ErrNeedPIN = errors.New("purse: the card wants its PIN before it tells")

// SettleLoad asks card what became of a load that was torn, by the decision
// table of section 6.2. It moves no money and may be repeated.
//
// The caller has opened the card with [Open] and made sure that it is the same
// card. A verified PIN is of use; without one, SettleLoad still finds a load that
// was executed, from the card's proof or its log, and returns [ErrNeedPIN] if
// neither shows one. NotExecuted is said only of a card whose counter has been
// seen.
//
// Errors other than ErrNeedPIN leave the load in doubt as it was.
func SettleLoad(card Card, p *profile.Profile, torn Torn) (Verdict, error) {
	s := settler{
		card: card, profile: p, torn: torn,
		kind:  p.Purse.Kind.LoadType(),
		after: pboc.Fen(torn.Balance) + torn.Amount,
		init:  initLoad,
	}
	v, err := s.settle()
	if err != nil {
		return Verdict{}, fmt.Errorf("settle load: %w", err)
	}
	return v, nil
}

// SettlePurchase asks card what became of a purchase that was torn. It is as
// [SettleLoad], except that a purchase needs no PIN, so that ErrNeedPIN comes
// from a deposit (ED) only.
func SettlePurchase(card Card, p *profile.Profile, torn Torn) (Verdict, error) {
	s := settler{
		card: card, profile: p, torn: torn,
		kind:  p.Purse.Kind.PurchaseType(),
		after: pboc.Fen(torn.Balance) - torn.Amount,
		init:  initPurchase,
	}
	v, err := s.settle()
	if err != nil {
		return Verdict{}, fmt.Errorf("settle purchase: %w", err)
	}
	return v, nil
}

// settler holds what settling a load and a purchase have in common.
type settler struct {
	card    Card
	profile *profile.Profile
	torn    Torn
	kind    byte      // transaction type identifier
	after   money.Fen // balance if executed
	init    func(Card, *profile.Profile, pboc.TerminalNo) (counter uint16, raw uint32, err error)
}

// settle goes through the probes of section 6.2, the most certain first.
func (s settler) settle() (Verdict, error) {
	proof, err := Prove{Type: s.kind, Counter: s.profile.Prove.Counter(s.torn.Counter)}.Send(s.card)
	proven := err == nil && proof.TAC.Valid()
	if err != nil && !apdu.Answered(err) {
		return Verdict{}, err
	}
	log, err := s.searchLog()
	if err != nil {
		return Verdict{}, err
	}
	if proven {
		return s.proven(proof, log), nil
	}
	if log.match {
		return Verdict{Outcome: Executed, Evidence: ByLog}, nil
	}
	return s.count(log.others)
}

// proven judges a proof. The card answers 9000 for any transaction of this
// counter, so one that another terminal made after the tear has a proof too;
// the log tells them apart, if it can.
func (s settler) proven(proof Proof, log logFinding) Verdict {
	v := Verdict{Outcome: Executed, Evidence: ByProof, TAC: proof.TAC, MAC2: proof.MAC}
	switch {
	case log.match:
		v.Evidence |= ByLog
	case log.others > 0:
		v.Outcome = Elsewhere
		v.Evidence |= ByLog
	}
	return v
}

// count judges by a fresh INITIALIZE. The log shows no match, and so many others
// of its kind.
func (s settler) count(others int) (Verdict, error) {
	counter, raw, err := s.init(s.card, s.profile, s.torn.Terminal)
	switch {
	case errors.Is(err, apdu.NotAllowed):
		return Verdict{}, ErrNeedPIN
	case apdu.Answered(err):
		// It refuses to say. What is left, the balance, is no proof either way.
		return Verdict{Outcome: Elsewhere}, nil
	case err != nil:
		return Verdict{}, err
	case counter == s.torn.Counter:
		// Counter and balance change together, so whatever was bought in
		// between, this transaction was not made.
		return Verdict{Outcome: NotExecuted, Evidence: ByCounter}, nil
	case counter == s.torn.Counter+1 && pboc.Fen(raw) == s.after && others == 0:
		return Verdict{Outcome: Executed, Evidence: ByCounter}, nil
	case counter > s.torn.Counter && int(counter-s.torn.Counter) <= others:
		// The log goes back to this counter: had its record been pushed out,
		// there would be fewer, all of them younger.
		return Verdict{Outcome: Elsewhere, Evidence: ByCounter | ByLog}, nil
	}
	return Verdict{Outcome: Elsewhere, Evidence: ByCounter}, nil
}

func initLoad(card Card, p *profile.Profile, terminal pboc.TerminalNo) (uint16, uint32, error) {
	o, err := InitLoad{
		Kind: p.Purse.Kind, KeyIndex: p.Purse.LoadKey, Terminal: terminal,
		Amount: 1, // least likely to be over the ceiling
	}.Send(card)
	return o.Counter, o.Balance, err
}

func initPurchase(card Card, p *profile.Profile, terminal pboc.TerminalNo) (uint16, uint32, error) {
	o, err := InitPurchase{Kind: p.Purse.Kind, KeyIndex: p.Purse.PurchaseKey, Terminal: terminal}.Send(card)
	return o.Counter, o.Balance, err
}

// logFinding is what the card's log says about the torn transaction. An
// unreadable log says nothing.
type logFinding struct {
	match  bool // it is there
	others int  // if it is not: how many others of its kind are
}

// searchLog looks for the torn transaction by everything but the counter, on
// which manual and cards disagree (2.3). It fails only if the card is silent.
func (s settler) searchLog() (found logFinding, err error) {
	all, err := ReadHistory(s.card, s.profile)
	if err != nil && !apdu.Answered(err) {
		return logFinding{}, err
	}
	for _, r := range all {
		if r.Type != s.kind {
			continue
		}
		if r.Amount == s.torn.Amount && r.Terminal == s.torn.Terminal && r.At == s.torn.At {
			return logFinding{match: true}, nil
		}
		found.others++
	}
	return found, nil
}
