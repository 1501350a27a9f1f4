package centre

import (
	"errors"

	"connectrpc.com/connect"

	"quancun/money"
	"quancun/upstream/client"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Reason says why the upstream refused. The numbers are printed: never renumbered.
type Reason int

// The reasons, as on the wire.
const (
	Malformed        Reason = 1
	SessionOver      Reason = 2 // the clerk has to sign in again, with the upstream there
	Forbidden        Reason = 3 // that member is no clerk
	HolderUnknown    Reason = 4
	CardUnknown      Reason = 5
	ActUnknown       Reason = 6
	ActConflict      Reason = 7 // the same ref with other content
	ActClosed        Reason = 8 // by [Desk.Close]
	ActRefused       Reason = 9 // the books say no
	NoBlanks         Reason = 10
	FactorTaken      Reason = 11
	PINWrong         Reason = 12
	PINLocked        Reason = 13
	AmountOutOfRange Reason = 14
	AccountClosed    Reason = 15
	ChallengeSpent   Reason = 16
	LeftOver         Reason = 17 // something is left of an account that is to be retired
	NumberPassed     Reason = 18 // the upstream has another entry there
	NotMadeHere      Reason = 19 // nobody has that card's control key
	CardRefuses      Reason = 20 // it has refused another name before
)

// String returns the name on the wire.
func (r Reason) String() string { return v1.CentreReason(r).String() }

// Refusal is the upstream's "no": nothing has happened. Find it with [errors.As].
type Refusal struct {
	Reason    Reason
	TriesLeft int       // with PINWrong: before the PIN is locked
	Limit     money.Fen // with AmountOutOfRange
	Why       string    // in the books' words, for a log; "" for nothing more
}

// Error names the reason.
func (r *Refusal) Error() string {
	if r.Why == "" {
		return "upstream refused: " + r.Reason.String()
	}
	return "upstream refused: " + r.Reason.String() + ": " + r.Why
}

// explain makes a Refusal of an error that carries one, and leaves every other to
// package client.
func explain(call string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			m, err := d.Value()
			if no, ok := m.(*v1.CentreRefusal); err == nil && ok && no.Reason != 0 {
				return &Refusal{Reason(no.Reason), int(no.TriesLeft), money.Fen(no.LimitFen), no.Why}
			}
		}
	}
	return client.Explain(call, err)
}
