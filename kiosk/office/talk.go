package office

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"quancun/kiosk"
	"quancun/kiosk/staff"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/purse"
)

// Talk is the conversation of one task with who stands at the till. Each question
// is a page; its method returns the answer, or [ErrLeft]. It belongs to the
// task's goroutine.
type Talk struct {
	desk   *Desk
	member staff.Member
	given  *staff.Release // for the task as a whole; nil: none was needed
	ref    string

	ask    chan<- Question // to the session, which shows it
	answer <-chan Answer   // to the question that was asked last
}

// Question is a page that asks for something. What does not belong to its kind
// is zero.
type Question struct {
	Kind    AskKind
	Name    Word
	Facts   []Fact      // what the question is about
	Max     money.Fen   // AskAmount
	Min     money.Fen   // AskAmount
	Length  int         // AskNumber, AskText: characters at most
	Options []Option    // AskChoice
	Pieces  []money.Fen // AskPieces: what each is worth, the largest first
	Wrong   Word        // what was wrong with the answer before; "" for nothing
	Of      Word        // AskStaffCard, AskStaffPIN: what is to be released
}

// AskKind is a kind of question.
type AskKind int

// The kinds of questions.
const (
	AskAmount    AskKind = 1
	AskNumber    AskKind = 2 // digits, typed or scanned
	AskText      AskKind = 3 // letters, digits and spaces, as a keyboard has them
	AskChoice    AskKind = 4
	AskPieces    AskKind = 5 // how many of each note and coin
	AskCard      AskKind = 6 // of a holder, on the reader
	AskPIN       AskKind = 7 // of a holder
	AskConfirm   AskKind = 8 // last word before it happens
	AskStaffCard AskKind = 9 // of a second person
	AskStaffPIN  AskKind = 10
	Working      AskKind = 11 // asks nothing: it is being done, or a card is being read
)

// Option is something to choose. It has a Word or, where it is a value, a Text.
type Option struct {
	Word Word
	Text string
	Note Word // why it cannot be chosen; "": it can
}

// Answer answers the question that is shown. Left means that there is none.
type Answer struct {
	Left   bool
	Amount money.Fen
	Text   string // AskNumber, AskText
	Choice int    // index of the option
	Pieces []int64
	PIN    *kiosk.PIN // whoever takes it wipes it
	Card   bool       // AskCard, AskStaffCard: one was laid down
}

// Member is who does the task.
func (t *Talk) Member() staff.Member { return t.member }

// Release is what a second person has said to the task as a whole; nil for
// nobody, because nobody had to.
func (t *Talk) Release() *staff.Release { return t.given }

// Ref names what the task does, for good. It is one for each run.
func (t *Talk) Ref() string { return t.ref }

// put asks a question and returns its answer.
func (t *Talk) put(ctx context.Context, q Question) (Answer, error) {
	select {
	case t.ask <- q:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	select {
	case a := <-t.answer:
		if a.Left {
			a.PIN.Wipe()
			return Answer{}, ErrLeft
		}
		return a, nil
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

// Amount asks for an amount from lowest to highest.
func (t *Talk) Amount(ctx context.Context, name Word, lowest, highest money.Fen, facts ...Fact) (money.Fen, error) {
	for q := (Question{Kind: AskAmount, Name: name, Min: lowest, Max: highest, Facts: facts}); ; {
		a, err := t.put(ctx, q)
		if err != nil || a.Amount >= lowest && a.Amount <= highest {
			return a.Amount, err
		}
		q.Wrong = WrongAmount
	}
}

// Number asks for up to length digits, which are typed or scanned.
func (t *Talk) Number(ctx context.Context, name Word, length int, facts ...Fact) (string, error) {
	a, err := t.put(ctx, Question{Kind: AskNumber, Name: name, Length: length, Facts: facts})
	return a.Text, err
}

// Text asks for up to length letters, digits and spaces.
func (t *Talk) Text(ctx context.Context, name Word, length int, facts ...Fact) (string, error) {
	a, err := t.put(ctx, Question{Kind: AskText, Name: name, Length: length, Facts: facts})
	return a.Text, err
}

// Choose asks which of the options it is, and returns its index.
func (t *Talk) Choose(ctx context.Context, name Word, options []Option, facts ...Fact) (int, error) {
	for {
		a, err := t.put(ctx, Question{Kind: AskChoice, Name: name, Options: options, Facts: facts})
		if err != nil || a.Choice >= 0 && a.Choice < len(options) && options[a.Choice].Note == "" {
			return a.Choice, err
		}
	}
}

// Pieces asks how many there are of each note and coin, in the order in which
// worth has them.
func (t *Talk) Pieces(ctx context.Context, name Word, worth []money.Fen, facts ...Fact) (map[money.Fen]int64, error) {
	a, err := t.put(ctx, Question{Kind: AskPieces, Name: name, Pieces: worth, Facts: facts})
	if err != nil {
		return nil, err
	}
	if len(a.Pieces) != len(worth) {
		return nil, fmt.Errorf("office: internal error: %d kinds of pieces for %d", len(a.Pieces), len(worth))
	}
	all := map[money.Fen]int64{}
	for i, n := range a.Pieces {
		all[worth[i]] = n
	}
	return all, nil
}

// Confirm says what is about to happen and asks for the last word.
func (t *Talk) Confirm(ctx context.Context, name Word, facts ...Fact) error {
	_, err := t.put(ctx, Question{Kind: AskConfirm, Name: name, Facts: facts})
	return err
}

// PIN asks for a PIN. The caller wipes it.
func (t *Talk) PIN(ctx context.Context, name Word, facts ...Fact) (*kiosk.PIN, error) {
	a, err := t.put(ctx, Question{Kind: AskPIN, Name: name, Facts: facts})
	return a.PIN, err
}

// NewPIN asks for a new PIN until two in a row are the same. The caller wipes it.
func (t *Talk) NewPIN(ctx context.Context, name, again Word) (*kiosk.PIN, error) {
	q := Question{Kind: AskPIN, Name: name}
	for {
		first, err := t.put(ctx, q)
		if err != nil {
			return nil, err
		}
		second, err := t.put(ctx, Question{Kind: AskPIN, Name: again})
		if err != nil {
			first.PIN.Wipe()
			return nil, err
		}
		same := slices.Equal(first.PIN.Digits()[:], second.PIN.Digits()[:])
		second.PIN.Wipe()
		if same {
			return first.PIN, nil
		}
		first.PIN.Wipe()
		q.Wrong = WrongAgain
	}
}

// Card is a holder's card on the reader. Whoever asked for it closes it.
type Card struct {
	reader.Card
	Info purse.Info
}

// Card asks for a card and reads who it is. One that cannot be read is asked for
// again, with the reason; one that may not be used is returned all the same: at
// the desk that is what it is about.
func (t *Talk) Card(ctx context.Context, name Word, facts ...Fact) (*Card, error) {
	q := Question{Kind: AskCard, Name: name, Facts: facts}
	for {
		if _, err := t.put(ctx, q); err != nil {
			return nil, err
		}
		if err := t.Work(ctx, ReadingCard); err != nil {
			return nil, err
		}
		c, err := t.desk.connect()
		if err == nil {
			return c, nil
		}
		t.desk.Log.Warn("card not read", "err", err)
		q.Wrong = WrongCard
	}
}

// connect powers the card and reads who it is.
func (d *Desk) connect() (*Card, error) {
	card, err := d.Device.Connect()
	if err != nil {
		return nil, err
	}
	info, err := purse.Open(card, d.Profile)
	if err != nil {
		return nil, errors.Join(err, card.Close())
	}
	return &Card{card, info}, nil
}

// AnyCard asks for a card that need not be one of ours, such as a blank. The caller
// closes it.
func (t *Talk) AnyCard(ctx context.Context, name Word, facts ...Fact) (reader.Card, error) {
	q := Question{Kind: AskCard, Name: name, Facts: facts}
	for {
		if _, err := t.put(ctx, q); err != nil {
			return nil, err
		}
		if err := t.Work(ctx, ReadingCard); err != nil {
			return nil, err
		}
		c, err := t.desk.Device.Connect()
		if err == nil {
			return c, nil
		}
		t.desk.Log.Warn("card not powered", "err", err)
		q.Wrong = WrongCard
	}
}

// Own has who is there show card and PIN again, because the upstream does not know
// them any more. Somebody else's are [WrongPerson].
func (t *Talk) Own(ctx context.Context) error {
	if t.desk.Staff == nil {
		return Refuse(NoSecond, staff.ErrForbidden)
	}
	card, pin := Question{Kind: AskStaffCard, Name: OwnCard}, Question{Kind: AskStaffPIN, Name: OwnPIN}
	for {
		info, err := t.staffCard(ctx, card)
		if err != nil {
			return err
		}
		a, err := t.put(ctx, pin)
		if err != nil {
			return err
		}
		if err := t.Work(ctx, CheckingPIN); err != nil {
			a.PIN.Wipe()
			return err
		}
		err = t.desk.Staff.Unlock(ctx, info, a.PIN)
		var wrong *staff.PINWrong
		switch {
		case errors.As(err, &wrong):
			card.Wrong = WrongPIN
		case errors.Is(err, staff.ErrForbidden), errors.Is(err, staff.ErrNobody):
			card.Wrong = WrongPerson
		default:
			return err
		}
	}
}

// Need has a second person release p, if who is there may not do it alone. It
// returns nil if they may. The person is asked for a card and a PIN, and may be
// anybody who may do p.
func (t *Talk) Need(ctx context.Context, p staff.Privilege) (*staff.Release, error) {
	if t.member.Role.May(p) {
		return nil, nil
	}
	return t.Second(ctx, p)
}

// Second has a second person say yes to p, whatever who is there may do.
func (t *Talk) Second(ctx context.Context, p staff.Privilege) (*staff.Release, error) {
	return t.SecondFor(ctx, p, t.ref)
}

// SecondFor is [Talk.Second] for a part of the task that has a name of its own.
func (t *Talk) SecondFor(ctx context.Context, p staff.Privilege, ref string) (*staff.Release, error) {
	if t.desk.Staff == nil {
		return nil, Refuse(NoSecond, staff.ErrForbidden)
	}
	what := staff.Ask{Privilege: p, Ref: ref}
	card := Question{Kind: AskStaffCard, Name: SecondCard, Of: Privilege(p)}
	for {
		info, err := t.staffCard(ctx, card)
		if err != nil {
			return nil, err
		}
		var r *staff.Release
		if r, card.Wrong, err = t.staffPIN(ctx, info, what); r != nil || err != nil {
			return r, err
		}
	}
}

// staffCard asks for a card of the staff and lets it go again: a PIN of the staff
// is shown to the upstream and never to a card.
func (t *Talk) staffCard(ctx context.Context, q Question) (purse.Info, error) {
	for {
		if _, err := t.put(ctx, q); err != nil {
			return purse.Info{}, err
		}
		c, err := t.desk.connect()
		if err == nil {
			return c.Info, c.Close()
		}
		t.desk.Log.Warn("staff card not read", "err", err)
		q.Wrong = WrongCard
	}
}

// staffPIN asks for the PIN that belongs to a card, until it is right. It returns
// why another card is needed, if it is.
func (t *Talk) staffPIN(ctx context.Context, info purse.Info, what staff.Ask) (*staff.Release, Word, error) {
	q := Question{Kind: AskStaffPIN, Name: SecondPIN, Of: Privilege(what.Privilege)}
	for {
		a, err := t.put(ctx, q)
		if err != nil {
			return nil, "", err
		}
		if err := t.Work(ctx, CheckingPIN); err != nil {
			a.PIN.Wipe()
			return nil, "", err
		}
		r, err := t.desk.Staff.Release(ctx, info, a.PIN, what)
		var wrong *staff.PINWrong
		switch {
		case err == nil:
			return r, "", nil
		case errors.As(err, &wrong):
			q.Wrong = WrongPIN
		case errors.Is(err, staff.ErrForbidden):
			return nil, WrongPerson, nil
		default:
			return nil, "", err
		}
	}
}

// Work shows that something is being done. Until the next question, or the end,
// nobody can leave.
func (t *Talk) Work(ctx context.Context, name Word) error {
	select {
	case t.ask <- Question{Kind: Working, Name: name}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
