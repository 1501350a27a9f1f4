package kiosk

import (
	"context"
	"crypto/rand"
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

// What stops a load. Whatever it is, the holder's money is on the account.
var (
	// ErrInDoubt means that the card fell silent while it was being written.
	// The intent stays open until somebody has asked the card, or upstream has
	// seen its counter.
	ErrInDoubt = errors.New("kiosk: card did not confirm the load")
	// ErrCardGone means that the card fell silent before it was written.
	ErrCardGone = errors.New("kiosk: card is away; it was not written")
	// ErrNeedPIN means that the card wants its PIN again.
	ErrNeedPIN = errors.New("kiosk: card wants its PIN")
	// ErrNoAnswer means that the upstream fell silent before the card was
	// written.
	ErrNoAnswer = errors.New("kiosk: upstream did not answer")
)

// Loader brings a card's purse level with its account, upwards: a load (圈存),
// design chapter 3. It moves no money between accounts, it moves the mirror.
type Loader struct {
	Book    Book
	Issuer  Issuer
	Profile *profile.Profile
}

// LoadRequest is whose card is to be brought level.
type LoadRequest struct {
	Session  client.Session
	Card     purse.Info
	Terminal pboc.TerminalNo
	OrderNo  string // the top-up that made it necessary, if any
}

// LoadResult is a load that has happened, or the news that none was needed.
type LoadResult struct {
	Amount money.Fen // 0: the card was level already
	Purse  money.Fen // after it
	Entry  int64     // number of the journal entry that says so; 0: the journal failed
}

// torn is what the journal keeps of a load before the card is written: all
// that is needed to ask the card about it later.
type torn struct {
	Counter  uint16 `json:"counter"`
	Balance  uint32 `json:"balance"` // raw
	Terminal string `json:"terminal"`
	At       string `json:"at"` // the issuer's stamp
	OrderNo  string `json:"order,omitempty"`
}

// proof is what the journal keeps of how a load ended.
type proof struct {
	TAC      string `json:"tac,omitempty"`
	Evidence string `json:"evidence"`
}

// Load writes the purse up by what the account is ahead.
//
// The intent is durable in the journal before the card can be written, and is
// ended only by the card's own word. So whatever fails in between, from a
// pulled card to a power cut, leaves an open intent behind and never a wrong
// balance. tell is called before each stage.
func (l *Loader) Load(
	ctx context.Context, card purse.Card, r LoadRequest, tell func(LoadStage, money.Fen),
) (LoadResult, error) {
	if _, err := l.SettleOpen(ctx, card, r.Card); err != nil {
		return LoadResult{}, err
	}
	done, err := l.loadPlanned(ctx, card, r, tell)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.NothingToLoad {
		// The card's counter has just taught upstream of a load that it did not
		// know the end of, and the plan was made without it.
		return l.loadPlanned(ctx, card, r, tell)
	}
	return done, err
}

func (l *Loader) loadPlanned(
	ctx context.Context, card purse.Card, r LoadRequest, tell func(LoadStage, money.Fen),
) (LoadResult, error) {
	tell(LoadAsking, 0)
	plan, err := l.Issuer.PlanLoad(ctx, r.Session, r.Card.Balance)
	if err != nil {
		return LoadResult{}, fmt.Errorf("load: %w", unanswered(err)) // nothing has moved
	}
	if plan.Amount == 0 {
		return LoadResult{Purse: r.Card.Balance}, nil
	}
	tell(LoadProving, plan.Amount)
	intent, credit, err := l.prepare(ctx, card, r, plan.Amount)
	if err != nil {
		return LoadResult{}, fmt.Errorf("load: %w", err) // the card is still untouched
	}
	tell(LoadWriting, plan.Amount)

	// From here on the card may hold the money, so that a person who walks
	// away no longer stops us from writing down what happened.
	ctx = context.WithoutCancel(ctx)
	tac, err := credit.Send(card)
	switch {
	case err == nil:
		// A journal that fails now leaves the intent open, which the next start
		// settles. The card has the money all the same, and its holder is told so.
		end, _ := l.end(ctx, intent, journal.Written, proof{hex.EncodeToString(tac[:]), "response"})
		tell(LoadFinished, plan.Amount)
		return LoadResult{plan.Amount, r.Card.Balance + plan.Amount, end.Seq}, nil
	case purse.Certain(err):
		_, ending := l.end(ctx, intent, journal.NotWritten, proof{Evidence: evidenceOf(err)})
		return LoadResult{}, errors.Join(fmt.Errorf("load: %w", err), ending)
	default:
		return LoadResult{}, fmt.Errorf("%w: %w", ErrInDoubt, err)
	}
}

// prepare has card and upstream prove themselves to each other, and writes the
// intent down. When it returns, one command is left to be sent.
func (l *Loader) prepare(ctx context.Context, card purse.Card, r LoadRequest, amount money.Fen) (
	intent journal.Entry, credit purse.CreditLoad, err error,
) {
	offer, err := purse.InitLoad{
		Kind: l.Profile.Purse.Kind, KeyIndex: l.Profile.Purse.LoadKey, Amount: amount, Terminal: r.Terminal,
	}.Send(card)
	switch {
	case errors.Is(err, apdu.NotAllowed):
		return intent, credit, ErrNeedPIN
	case err != nil && !apdu.Answered(err) && !errors.Is(err, purse.ErrZeroMAC):
		return intent, credit, fmt.Errorf("%w: %w", ErrCardGone, err)
	case err != nil:
		return intent, credit, err
	}
	loadID := newLoadID()
	auth, err := l.Issuer.AuthorizeLoad(ctx, client.LoadRequest{
		LoadID: loadID, CardNo: r.Card.CardNo.Full(), Amount: amount, Offer: client.LoadOffer(offer),
		OrderNo: r.OrderNo, Factor: r.Card.Factor,
	})
	if err != nil {
		return intent, credit, unanswered(err)
	}
	intent, err = l.Book.Append(ctx, journal.Entry{
		Kind: journal.LoadIntent, Ref: loadID, Card: r.Card.CardNo.Full(), Amount: amount,
		Details: details(torn{offer.Counter, offer.Balance, r.Terminal.String(),
			hex.EncodeToString(auth.At[:]), r.OrderNo}),
	})
	return intent, purse.CreditLoad{At: auth.At, MAC2: auth.MAC2}, err
}

// Settled is a load whose doubt has ended. The zero Settled is none.
type Settled struct {
	Outcome journal.Outcome // Written or NotWritten, whoever has settled it
	Amount  money.Fen
	Entry   int64 // number of the journal entry that says so; 0: the journal failed
}

// SettleOpen asks the card about every load of it that this journal has open,
// and returns the last one that came to an end. It returns ErrInDoubt if one
// could not be settled because the card fell silent, ErrNoAnswer if the upstream
// did, and ErrNeedPIN if the card wants its PIN first.
func (l *Loader) SettleOpen(ctx context.Context, card purse.Card, info purse.Info) (last Settled, err error) {
	open, err := l.Book.OpenFor(ctx, info.CardNo.Full())
	if err != nil {
		return last, fmt.Errorf("settle: %w", err)
	}
	for _, intent := range open {
		if intent.Kind != journal.LoadIntent {
			continue
		}
		settled, err := l.Settle(ctx, card, intent)
		if err != nil {
			return last, err
		}
		if settled.Outcome != 0 {
			last = settled
		}
	}
	return last, nil
}

// Settle asks the card what became of a load that was left in doubt, and ends
// it in the journal: card.md's decision table, and what upstream knows where
// the card alone cannot tell. It returns the zero Settled for a load that has
// to stay open until the card's counter is seen upstream. The caller has made
// sure that it is the same card.
func (l *Loader) Settle(ctx context.Context, card purse.Card, intent journal.Entry) (Settled, error) {
	was, err := tornOf(intent)
	if err != nil {
		return Settled{}, err
	}
	verdict, err := purse.SettleLoad(card, l.Profile, was)
	switch {
	case errors.Is(err, purse.ErrNeedPIN):
		return Settled{}, ErrNeedPIN
	case err != nil:
		return Settled{}, fmt.Errorf("%w: %w", ErrInDoubt, err)
	}
	ctx = context.WithoutCancel(ctx)
	evidence := fmt.Sprintf("settle %d", verdict.Evidence)
	switch {
	case verdict.Outcome == purse.NotExecuted:
		return l.settled(ctx, intent, journal.NotWritten, proof{Evidence: evidence})
	case verdict.Outcome == purse.Executed && verdict.Evidence&purse.ByLog != 0:
		return l.settled(ctx, intent, journal.Written, proof{tacText(verdict.TAC), evidence})
	}
	return l.askUpstream(ctx, intent, verdict, evidence)
}

// askUpstream settles what the card alone does not prove: a proof, or a counter
// with a fitting balance, may be those of another load that was made after this
// one had not been. Only the holder of the TAC key and of all loads can tell.
func (l *Loader) askUpstream(
	ctx context.Context, intent journal.Entry, v purse.Verdict, evidence string,
) (Settled, error) {
	report := client.LoadReport{LoadID: intent.Ref, Outcome: client.LoadDoubt, Evidence: evidence}
	if v.Outcome == purse.Executed {
		report.Outcome, report.TAC = client.LoadWritten, v.TAC
	}
	status, err := l.Issuer.ReportLoad(ctx, report)
	if no := (*client.Refusal)(nil); errors.As(err, &no) && no.Reason == client.TACWrong {
		report.Outcome, report.TAC = client.LoadDoubt, pboc.MAC{} // not this load's proof
		status, err = l.Issuer.ReportLoad(ctx, report)
	}
	switch {
	case err != nil:
		return Settled{}, unanswered(err)
	case status.Outcome == client.LoadWritten && report.Outcome == client.LoadWritten:
		return l.settled(ctx, intent, journal.Written, proof{tacText(v.TAC), evidence})
	case status.Outcome == client.LoadDoubt:
		return Settled{}, nil // the next MAC1 of this card tells upstream, which corrects the plan
	}
	settled, err := l.settled(ctx, intent, journal.Elsewhere, proof{Evidence: evidence})
	if settled.Outcome = journal.Written; status.Outcome == client.LoadNotWritten {
		settled.Outcome = journal.NotWritten
	}
	return settled, err
}

func (l *Loader) settled(ctx context.Context, intent journal.Entry, o journal.Outcome, p proof) (Settled, error) {
	end, err := l.end(ctx, intent, o, p)
	if err != nil && o != journal.Written {
		return Settled{}, err
	}
	return Settled{o, intent.Amount, end.Seq}, nil // as in Load: the card has it
}

// unanswered marks an error of the upstream that is no refusal.
func unanswered(err error) error {
	if refused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// end writes the end down and tells upstream at once if it can. If it cannot,
// the Keeper does later, from the journal.
func (l *Loader) end(ctx context.Context, intent journal.Entry, o journal.Outcome, p proof) (journal.Entry, error) {
	end, err := l.Book.Append(ctx, journal.Entry{
		Kind: journal.LoadEnd, Ref: intent.Ref, Outcome: o, Details: details(p),
	})
	if errors.Is(err, ledger.ErrResolved) {
		return end, nil // the Keeper has just heard of it from upstream
	}
	if err != nil {
		end = journal.Entry{Kind: journal.LoadEnd, Ref: intent.Ref, Outcome: o, Details: details(p)}
		err = fmt.Errorf("end load: %w", err)
	}
	if report, ok := reportOf(end); ok {
		_, _ = l.Issuer.ReportLoad(ctx, report) // the Keeper reports it again until it is taken
	}
	return end, err
}

// reportOf returns what upstream has to be told of an entry.
func reportOf(e journal.Entry) (client.LoadReport, bool) {
	report := client.LoadReport{LoadID: e.Ref}
	switch {
	case e.Kind == journal.LoadIntent, e.Kind == journal.LoadDoubt:
		report.Outcome, report.Evidence = client.LoadDoubt, "open"
		return report, true
	case e.Kind != journal.LoadEnd || e.Outcome == journal.Elsewhere:
		return report, false
	}
	var p proof
	_ = json.Unmarshal(e.Details, &p) // without evidence the outcome still counts
	report.Outcome, report.Evidence = client.LoadNotWritten, p.Evidence
	if e.Outcome == journal.Written {
		report.Outcome = client.LoadWritten
	}
	if tac, err := hex.DecodeString(p.TAC); err == nil {
		copy(report.TAC[:], tac)
	}
	return report, true
}

func tornOf(intent journal.Entry) (purse.Torn, error) {
	var d torn
	if err := json.Unmarshal(intent.Details, &d); err != nil {
		return purse.Torn{}, fmt.Errorf("settle: details of entry %d: %w", intent.Seq, err)
	}
	t := purse.Torn{Counter: d.Counter, Balance: d.Balance, Amount: intent.Amount}
	terminal, err1 := hex.DecodeString(d.Terminal)
	at, err2 := hex.DecodeString(d.At)
	if err := errors.Join(err1, err2); err != nil {
		return purse.Torn{}, fmt.Errorf("settle: details of entry %d: %w", intent.Seq, err)
	}
	copy(t.Terminal[:], terminal)
	copy(t.At[:], at)
	return t, nil
}

// details encodes what has no float, map or pointer in it, which cannot fail.
func details(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("kiosk: internal error: " + err.Error())
	}
	return b
}

func evidenceOf(err error) string {
	var s apdu.Status
	if errors.As(err, &s) {
		return fmt.Sprintf("status %04X", uint16(s))
	}
	return "none"
}

func tacText(tac pboc.MAC) string {
	if !tac.Valid() {
		return ""
	}
	return hex.EncodeToString(tac[:])
}

func newLoadID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(id[:])
}
