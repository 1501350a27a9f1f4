package dialog

import (
	"context"
	"fmt"
	"slices"

	"quancun/kiosk/pin"
	"quancun/money"
)

// Talk is a script's end of a conversation. Each question is a page; its method
// returns the answer, or [ErrLeft]. It belongs to the script's goroutine.
type Talk struct {
	ref    string
	ask    chan<- Question // to whoever shows it
	answer <-chan Answer   // to the question that was asked last
}

// Ref names what the script does, for good. It is one for each run.
func (t *Talk) Ref() string { return t.ref }

// Ask asks a question and returns its answer.
func (t *Talk) Ask(ctx context.Context, q Question) (Answer, error) {
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
		a, err := t.Ask(ctx, q)
		if err != nil || a.Amount >= lowest && a.Amount <= highest {
			return a.Amount, err
		}
		q.Wrong = WrongAmount
	}
}

// Number asks for up to length digits, which are typed or scanned.
func (t *Talk) Number(ctx context.Context, name Word, length int, facts ...Fact) (string, error) {
	a, err := t.Ask(ctx, Question{Kind: AskNumber, Name: name, Length: length, Facts: facts})
	return a.Text, err
}

// Text asks for up to length letters, digits and spaces.
func (t *Talk) Text(ctx context.Context, name Word, length int, facts ...Fact) (string, error) {
	a, err := t.Ask(ctx, Question{Kind: AskText, Name: name, Length: length, Facts: facts})
	return a.Text, err
}

// Choose asks which of the options it is, and returns its index.
func (t *Talk) Choose(ctx context.Context, name Word, options []Option, facts ...Fact) (int, error) {
	for {
		a, err := t.Ask(ctx, Question{Kind: AskChoice, Name: name, Options: options, Facts: facts})
		if err != nil || a.Choice >= 0 && a.Choice < len(options) && options[a.Choice].Note == "" {
			return a.Choice, err
		}
	}
}

// Pieces asks how many there are of each note and coin, in the order in which
// worth has them.
func (t *Talk) Pieces(ctx context.Context, name Word, worth []money.Fen, facts ...Fact) (map[money.Fen]int64, error) {
	a, err := t.Ask(ctx, Question{Kind: AskPieces, Name: name, Pieces: worth, Facts: facts})
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
	_, err := t.Ask(ctx, Question{Kind: AskConfirm, Name: name, Facts: facts})
	return err
}

// PIN asks for a PIN. The caller wipes it.
func (t *Talk) PIN(ctx context.Context, name Word, facts ...Fact) (*pin.PIN, error) {
	a, err := t.Ask(ctx, Question{Kind: AskPIN, Name: name, Facts: facts})
	return a.PIN, err
}

// NewPIN asks for a new PIN until two in a row are the same. The caller wipes it.
func (t *Talk) NewPIN(ctx context.Context, name, again Word) (*pin.PIN, error) {
	q := Question{Kind: AskPIN, Name: name}
	for {
		first, err := t.Ask(ctx, q)
		if err != nil {
			return nil, err
		}
		second, err := t.Ask(ctx, Question{Kind: AskPIN, Name: again})
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
