// Package call is what every service of the upstream has to know of a call:
// which terminal makes it, and how to refuse it. Package server puts the one
// into the context and the other on the wire.
package call

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"quancun/money"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

type terminalKey struct{}

// WithTerminal returns a context in which t calls.
func WithTerminal(ctx context.Context, t store.Terminal) context.Context {
	return context.WithValue(ctx, terminalKey{}, t)
}

// Terminal returns who calls. It is there in every call that comes through
// package server.
func Terminal(ctx context.Context) store.Terminal {
	t, ok := ctx.Value(terminalKey{}).(store.Terminal)
	if !ok {
		panic("call: internal error: a call without a terminal")
	}
	return t
}

// Refusal is "no, and nothing was moved". Every other error of a handler
// reaches the terminal as an unknown outcome.
type Refusal struct {
	Reason    v1.Reason
	TriesLeft int
	Limit     money.Fen
	Kept      money.Fen // with NOT_ENOUGH: that would be enough, and only the card may spend
	Said      string    // with NOT_SAID: the code of who was asked
	Cause     error     // for the log; nil: there is nothing more to say
}

// Refuse returns a refusal that has nothing to say but why.
func Refuse(r v1.Reason) error { return &Refusal{Reason: r} }

// Error names the reason.
func (r *Refusal) Error() string { return "refused: " + r.Reason.String() }

// Wire returns r as it is sent.
func (r *Refusal) Wire() error {
	return wire(r, &v1.Refusal{Reason: r.Reason, TriesLeft: int32(r.TriesLeft), LimitFen: int64(r.Limit),
		KeptFen: int64(r.Kept), Said: r.Said})
}

// Refused is a refusal in the words of a service that has its own.
type Refused struct {
	Reason string        // for the log
	Detail proto.Message // for the terminal
}

// Error names the reason.
func (r *Refused) Error() string { return "refused: " + r.Reason }

// Wire returns r as it is sent.
func (r *Refused) Wire() error { return wire(r, r.Detail) }

func wire(why error, detail proto.Message) error {
	e := connect.NewError(connect.CodeFailedPrecondition, why)
	d, err := connect.NewErrorDetail(detail)
	if err != nil { // only a bug in the generated code
		return connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	e.AddDetail(d)
	return e
}
