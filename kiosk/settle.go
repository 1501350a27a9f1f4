package kiosk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Settler asks a card what became of the writes to it whose outcome nobody
// knows: this terminal's own, which then end in its journal, and those of other
// terminals (open claims), of which it writes down what the card says.
//
// Only what the card says settles anything, and nothing here decides by a
// clock. Where the card alone cannot tell, upstream can, which knows of all
// transactions and has the keys of TACs.
type Settler struct {
	Book     Book
	Issuer   Issuer
	Profile  *profile.Profile
	Terminal pboc.TerminalNo
	SAM      purse.Card // proves purchases; nil: this terminal has none

	// Ended, if not nil, hears of each sale of this journal that its card has ended.
	Ended func(sale journal.Entry, o journal.Outcome)

	begun    uint32    // number of the purchase whose MAC2 the SAM waits for; 0: none
	patience *patience // with the upstream, while a tap waits for it; nil: the client's
}

// Settled is a write to a card whose doubt has ended.
type Settled struct {
	Kind    journal.Kind // LoadIntent or SaleIntent
	Ref     string
	Outcome journal.Outcome // Written or NotWritten, whoever has settled it
	Amount  money.Fen
	Entry   int64 // number of the journal entry that says so; 0: the journal failed
}

// Paid reports whether it is a sale that was paid.
func (s Settled) Paid() bool { return s.Kind == journal.SaleIntent && s.Outcome == journal.Written }

// lastOf returns the last of a kind, or the zero Settled.
func lastOf(all []Settled, kind journal.Kind) (last Settled) {
	for _, s := range all {
		if s.Kind == kind {
			last = s
		}
	}
	return last
}

// word is how an outcome is known.
type word struct {
	tac pboc.MAC // the card's, if it gave one
	by  string   // response, prove, log, counter, status 9302
}

// SettleOpen asks the card about every write to it that this journal has open,
// and returns those that came to an end. It returns ErrInDoubt if one could not
// be settled because the card fell silent, and, after asking about all of
// them, ErrNoAnswer if the upstream did, and ErrNeedPIN if the card wants its
// PIN first. The caller has made sure which card it is.
func (s *Settler) SettleOpen(ctx context.Context, card purse.Card, info purse.Info) (ended []Settled, err error) {
	open, err := s.Book.OpenFor(ctx, info.CardNo.Full())
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	var later []error
	for _, intent := range open {
		var one Settled
		switch intent.Kind {
		case journal.LoadIntent:
			one, err = s.settleLoad(ctx, card, intent)
		case journal.SaleIntent:
			one, err = s.settleSale(ctx, card, intent)
		default:
			continue
		}
		switch {
		case errors.Is(err, ErrNeedPIN), errors.Is(err, ErrNoAnswer):
			later = append(later, err)
		case err != nil:
			return ended, err
		case one.Outcome != 0:
			ended = append(ended, one)
		}
	}
	return ended, errors.Join(later...)
}

// ask has the card say what became of a write: card.md's decision table (6.2).
func (s *Settler) ask(card purse.Card, kind journal.Kind, amount money.Fen, p journal.Purse) (purse.Verdict, error) {
	was := purse.Torn{Counter: p.Counter, Balance: p.Balance, Amount: amount, Terminal: p.TerminalNo, At: p.Stamp}
	if kind == journal.LoadIntent {
		return purse.SettleLoad(card, s.Profile, was)
	}
	return purse.SettlePurchase(card, s.Profile, was)
}

// askOwn is ask for an intent of this journal.
func (s *Settler) askOwn(card purse.Card, intent journal.Entry) (purse.Verdict, error) {
	p, err := purseOf(intent)
	if err != nil {
		return purse.Verdict{}, err
	}
	v, err := s.ask(card, intent.Kind, intent.Amount, p)
	switch {
	case errors.Is(err, purse.ErrNeedPIN):
		return v, ErrNeedPIN
	case err != nil:
		return v, fmt.Errorf("%w: %w", ErrInDoubt, err)
	}
	return v, nil
}

// settleLoad ends a load in the journal. It returns the zero Settled for one
// that has to stay open until the card's counter is seen upstream.
func (s *Settler) settleLoad(ctx context.Context, card purse.Card, intent journal.Entry) (Settled, error) {
	v, err := s.askOwn(card, intent)
	if err != nil {
		return Settled{}, err
	}
	ctx = context.WithoutCancel(ctx)
	switch {
	case v.Outcome == purse.NotExecuted:
		return s.settled(ctx, intent, journal.NotWritten, wordOf(v))
	case v.Outcome == purse.Executed && v.Evidence&purse.ByLog != 0:
		return s.settled(ctx, intent, journal.Written, wordOf(v))
	}
	return s.askUpstream(ctx, intent, v)
}

// askUpstream settles what the card alone does not prove: a proof, or a counter
// with a fitting balance, may be those of another load that was made after this
// one had not been. Only the holder of the TAC key and of all loads can tell.
func (s *Settler) askUpstream(ctx context.Context, intent journal.Entry, v purse.Verdict) (Settled, error) {
	report := client.LoadReport{LoadID: intent.Ref, Outcome: client.LoadDoubt, Evidence: wordOf(v).by}
	if v.Outcome == purse.Executed {
		report.Outcome, report.TAC = client.LoadWritten, v.TAC
	}
	status, err := s.tell(ctx, report)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.TACWrong {
		report.Outcome, report.TAC = client.LoadDoubt, pboc.MAC{} // not this load's proof
		status, err = s.tell(ctx, report)
	}
	switch {
	case err != nil:
		return Settled{}, unanswered(err)
	case status.Outcome == client.LoadWritten && report.Outcome == client.LoadWritten:
		return s.settled(ctx, intent, journal.Written, wordOf(v))
	case status.Outcome == client.LoadWritten:
		return s.settled(ctx, intent, journal.Elsewhere, word{by: "upstream"})
	case status.Outcome == client.LoadNotWritten:
		return s.settled(ctx, intent, journal.ElsewhereNot, word{by: "upstream"})
	}
	return Settled{}, nil // the next MAC1 of this card tells upstream, which corrects the plan
}

// settleSale ends a sale in the journal. It returns the zero Settled for one of
// which the card cannot tell for certain: upstream is then given what it said.
//
// A card that says that it has paid has to prove it where it can: to the SAM,
// as long as that remembers the purchase. It may be no card at all.
func (s *Settler) settleSale(ctx context.Context, card purse.Card, intent journal.Entry) (Settled, error) {
	v, err := s.askOwn(card, intent)
	if err != nil {
		return Settled{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if v.Outcome == purse.NotExecuted {
		return s.settled(ctx, intent, journal.NotWritten, wordOf(v))
	}
	if v.Outcome == purse.Executed {
		err = s.checkMAC2(intent, v.MAC2)
		switch logged := v.Evidence&purse.ByLog != 0; {
		case err == nil, errors.Is(err, errNotChecked) && logged && !s.forged(ctx, intent):
			return s.settled(ctx, intent, journal.Written, wordOf(v))
		case errors.Is(err, ErrNotGenuine):
			return Settled{}, errors.Join(err, s.doubtForged(ctx, intent, v.TAC))
		}
	}
	return Settled{}, s.witness(ctx, card, claimOf(intent), v)
}

// errNotChecked means that nobody here can say whether a MAC2 is genuine.
var errNotChecked = errors.New("kiosk: MAC2 was not checked")

// errNoProof means that a card has kept to itself what would prove it.
var errNoProof = errors.New("kiosk: card gives no MAC2")

// checkMAC2 has the SAM check a card's MAC2 of a purchase, which it can once,
// and only of the one that it has begun last. It returns [ErrNotGenuine] for a
// card that is none, errNoProof if there is no MAC2 to check, and errNotChecked
// if nobody here can.
func (s *Settler) checkMAC2(intent journal.Entry, mac2 pboc.MAC) error {
	switch {
	case s.SAM == nil, s.begun == 0, intent.Purse == nil, intent.Purse.TraceNo != s.begun:
		return errNotChecked
	case !mac2.Valid():
		return errNoProof
	}
	s.begun = 0
	err := purse.CheckMAC2{MAC2: mac2}.Send(s.SAM)
	switch {
	case errors.Is(err, apdu.WrongMAC):
		return fmt.Errorf("%w: %w", ErrNotGenuine, err)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotChecked, err)
	}
	return nil
}

// doubtForged writes down that the card of a sale could not prove itself. From
// then on only its TAC counts, which upstream checks.
func (s *Settler) doubtForged(ctx context.Context, intent journal.Entry, tac pboc.MAC) error {
	if err := s.doubt(ctx, intent); err != nil {
		return err
	}
	e := evidence(claimOf(intent), journal.Written, word{tac, "MAC2 is wrong"})
	e.Ref = forgedRef(intent)
	if _, err := s.Book.Append(ctx, e); err != nil && !errors.Is(err, ledger.ErrConflict) {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

// forged reports whether the card of a sale has failed to prove itself.
func (s *Settler) forged(ctx context.Context, intent journal.Entry) bool {
	_, err := s.Book.Get(ctx, forgedRef(intent))
	return !errors.Is(err, ledger.ErrNotFound)
}

// forgedRef is where the journal says that the card of a sale has failed to
// prove itself.
func forgedRef(intent journal.Entry) string {
	sum := sha256.Sum256([]byte("MAC2 of " + intent.Ref))
	return hex.EncodeToString(sum[:16])
}

func (s *Settler) settled(ctx context.Context, intent journal.Entry, o journal.Outcome, w word) (Settled, error) {
	end, err := s.end(ctx, intent, o, w)
	if err != nil && !o.Happened() {
		return Settled{}, err
	}
	ended := Settled{
		Kind: intent.Kind, Ref: intent.Ref, Outcome: journal.NotWritten, Amount: intent.Amount, Entry: end.Seq,
	}
	if o.Happened() {
		ended.Outcome = journal.Written // the card has it, whether the journal took that or not
	}
	if s.Ended != nil && intent.Kind == journal.SaleIntent && end.Seq > 0 { // else the Keeper has told
		s.Ended(intent, o)
	}
	return ended, nil
}

// end writes the end down. Upstream is told by the journal; of a load it is
// also told at once, if it can be, so that the account page is right.
func (s *Settler) end(ctx context.Context, intent journal.Entry, o journal.Outcome, w word) (journal.Entry, error) {
	e := journal.Entry{Kind: endOf(intent.Kind), Ref: intent.Ref, Outcome: o, Details: w.details()}
	if p, err := purseOf(intent); err == nil {
		p.TAC = w.tac
		e.Purse = &p
	}
	end, err := s.Book.Append(ctx, e)
	if errors.Is(err, ledger.ErrResolved) {
		// The Keeper has just heard of it from upstream, which compares that with
		// what the card has said here.
		return end, s.testify(ctx, claimOf(intent), o, w)
	}
	if intent.Kind == journal.LoadIntent {
		s.report(ctx, intent.Ref, o, w)
	}
	if err != nil {
		return end, fmt.Errorf("end %s: %w", intent.Kind, err)
	}
	return end, nil
}

func (s *Settler) report(ctx context.Context, loadID string, o journal.Outcome, w word) {
	outcome := client.LoadNotWritten
	switch o {
	case journal.Written:
		outcome = client.LoadWritten
	case journal.Elsewhere, journal.ElsewhereNot:
		return // upstream has said so itself
	}
	_, _ = s.tell(ctx, client.LoadReport{LoadID: loadID, Outcome: outcome, TAC: w.tac, Evidence: w.by})
}

// tell tells the upstream of a load, for no longer than its patience.
func (s *Settler) tell(ctx context.Context, r client.LoadReport) (client.LoadStatus, error) {
	ctx, done, err := s.patience.bound(ctx)
	if err != nil {
		return client.LoadStatus{}, err
	}
	defer done()
	return s.Issuer.ReportLoad(ctx, r)
}

// doubt writes down that the card has fallen silent in mid-write.
func (s *Settler) doubt(ctx context.Context, intent journal.Entry) error {
	_, err := s.Book.Append(ctx, journal.Entry{Kind: intent.Kind.Doubt(), Ref: intent.Ref})
	if err != nil {
		return fmt.Errorf("put in doubt: %w", err) // the next start does
	}
	return nil
}

// Witness asks the card about open claims, and writes down what it says of
// those that are not this journal's. It reports whether it has written
// anything. It returns ErrCardGone if the card fell silent; nothing has moved.
func (s *Settler) Witness(ctx context.Context, card purse.Card, claims []journal.Claim) (wrote bool, err error) {
	for _, c := range claims {
		_, err := s.Book.Get(ctx, c.Ref)
		if err == nil {
			continue // SettleOpen has asked, and upstream will hear
		}
		if !errors.Is(err, ledger.ErrNotFound) {
			return wrote, fmt.Errorf("settle claim: %w", err)
		}
		v, err := s.ask(card, c.Kind, c.Amount, c.Purse)
		if errors.Is(err, purse.ErrNeedPIN) {
			continue // only at a terminal where the holder types it can the card tell
		}
		if err != nil {
			return wrote, fmt.Errorf("%w: %w", ErrCardGone, err)
		}
		if err := s.witness(ctx, card, c, v); err != nil {
			return wrote, err
		}
		wrote = true
	}
	return wrote, nil
}

// witness gives upstream what the card says of a claim, or at least the card's
// counters.
func (s *Settler) witness(ctx context.Context, card purse.Card, c journal.Claim, v purse.Verdict) error {
	switch v.Outcome {
	case purse.Executed:
		return s.testify(ctx, c, journal.Written, wordOf(v))
	case purse.NotExecuted:
		return s.testify(ctx, c, journal.NotWritten, wordOf(v))
	}
	if v.Evidence&purse.ByLog != 0 { // another transaction was made at this counter; the proof is of that
		return s.testify(ctx, c, journal.NotWritten, word{by: "log"})
	}
	return s.Sight(ctx, card, c.Card)
}

// testify writes down what the card says of a claim.
func (s *Settler) testify(ctx context.Context, c journal.Claim, o journal.Outcome, w word) error {
	if _, err := s.Book.Append(ctx, evidence(c, o, w)); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

func evidence(c journal.Claim, o journal.Outcome, w word) journal.Entry {
	p := c.Purse
	p.TAC = w.tac
	return journal.Entry{
		Kind: journal.Evidence, Ref: NewRef(), Card: c.Card, Amount: c.Amount, Outcome: o, Origin: c.Position,
		Purse: &p, Details: details(struct {
			By string `json:"by"`
		}{w.by}),
	}
}

// Sight writes down the card's purse and counters, from which upstream can
// settle what nobody else could. The online counter is read where the card
// gives it without a PIN, or has been shown one.
func (s *Settler) Sight(ctx context.Context, card purse.Card, cardNo string) error {
	offline, err := purse.InitPurchase{
		Kind: s.Profile.Purse.Kind, KeyIndex: s.Profile.Purse.PurchaseKey, Terminal: s.Terminal,
	}.Send(card)
	if apdu.Answered(err) {
		return nil // it keeps its counters to itself
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCardGone, err)
	}
	online, err := purse.InitLoad{
		Kind: s.Profile.Purse.Kind, KeyIndex: s.Profile.Purse.LoadKey, Amount: 1, Terminal: s.Terminal,
	}.Send(card)
	if err != nil {
		return s.sighting(ctx, cardNo, offline, nil)
	}
	return s.sighting(ctx, cardNo, offline, &online.Counter)
}

func (s *Settler) sighting(ctx context.Context, cardNo string, o purse.PurchaseOffer, online *uint16) error {
	e := journal.Entry{
		Kind: journal.Sighting, Ref: NewRef(), Card: cardNo, Purse: &journal.Purse{
			Balance: o.Balance, Counter: o.Counter, KeyVersion: o.KeyVersion, Algorithm: o.Algorithm,
			TerminalNo: s.Terminal,
		},
	}
	if online != nil {
		e.Details = details(struct {
			Online uint16 `json:"online"`
		}{*online})
	}
	if _, err := s.Book.Append(ctx, e); err != nil {
		return fmt.Errorf("write sighting: %w", err)
	}
	return nil
}

func claimOf(intent journal.Entry) journal.Claim {
	p, _ := purseOf(intent) // an intent without one is older than claims
	return journal.Claim{
		Position: intent.Position(), Kind: intent.Kind, Ref: intent.Ref, Card: intent.Card,
		Amount: intent.Amount, Purse: p,
	}
}

func endOf(intent journal.Kind) journal.Kind {
	if intent == journal.LoadIntent {
		return journal.LoadEnd
	}
	return journal.SaleEnd
}

// wordOf says how a verdict is known. More than one way may hold; the one that
// tells most is named.
func wordOf(v purse.Verdict) word {
	w := word{tac: v.TAC}
	switch {
	case v.Evidence&purse.ByLog != 0:
		w.by = "log"
	case v.Evidence&purse.ByProof != 0:
		w.by = "prove"
	case v.Evidence&purse.ByCounter != 0:
		w.by = "counter"
	}
	return w
}

// details is what the journal keeps of how an outcome is known.
func (w word) details() json.RawMessage {
	return details(struct {
		Evidence string `json:"evidence"`
	}{w.by})
}

// purseOf returns what the card said before it was written to. Intents of
// version 0.1 have that in their Details.
func purseOf(intent journal.Entry) (p journal.Purse, err error) {
	if intent.Purse != nil {
		return *intent.Purse, nil
	}
	var d struct {
		Counter  uint16 `json:"counter"`
		Balance  uint32 `json:"balance"`
		Terminal string `json:"terminal"`
		At       string `json:"at"`
	}
	if err := json.Unmarshal(intent.Details, &d); err != nil {
		return p, fmt.Errorf("settle: details of entry %d: %w", intent.Seq, err)
	}
	p.Counter, p.Balance = d.Counter, d.Balance
	terminal, err1 := hex.DecodeString(d.Terminal)
	at, err2 := hex.DecodeString(d.At)
	if err := errors.Join(err1, err2); err != nil {
		return p, fmt.Errorf("settle: details of entry %d: %w", intent.Seq, err)
	}
	copy(p.TerminalNo[:], terminal)
	copy(p.Stamp[:], at)
	return p, nil
}

func statusOf(err error) string {
	var s apdu.Status
	if errors.As(err, &s) {
		return fmt.Sprintf("status %04X", uint16(s))
	}
	return "none"
}
