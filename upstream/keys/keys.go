// Package keys is where the upstream's secrets are, behind operations: a MAC
// is checked or made, a PIN opened, a session vouched for, but no key comes
// out. A hardware module can take the place of [Software] without anybody
// else noticing.
//
// It knows no account, no order and no policy. Section numbers refer to the
// project's notes on the card, chapter 3.
package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"

	"quancun/pboc"
	"quancun/upstream/wire"
)

// ErrWrong means that a MAC, a TAC or a sealed PIN was checked and does not
// fit. Every other error means that nothing could be checked.
var ErrWrong = errors.New("keys: it does not fit")

// Factor is the diversification factor of a card's keys.
type Factor = [8]byte

// Load is a load in the words of the card that offered it.
type Load struct {
	pboc.Load
	Factor Factor
	Random [4]byte
}

// Store does what only a holder of keys can do. Its methods are safe for
// concurrent use.
type Store interface {
	// CheckMAC1 proves that a card of ours made the offer, with its balance
	// and its counter. ErrWrong otherwise; a zero MAC1 is always wrong.
	CheckMAC1(ctx context.Context, l Load, mac1 pboc.MAC) error
	// MAC2 makes what the card believes, over the stamp in l.At.
	MAC2(ctx context.Context, l Load) (pboc.MAC, error)
	// CheckTAC proves that the card carried the load out. ErrWrong otherwise.
	CheckTAC(ctx context.Context, l Load, tac pboc.MAC) error
	// CheckPurchaseTAC proves that the card with this factor made the
	// purchase. ErrWrong otherwise.
	CheckPurchaseTAC(ctx context.Context, f Factor, p pboc.Purchase, tac pboc.MAC) error

	// ReloadMAC makes what the card with this factor believes a new PIN by
	// (RELOAD PIN, section 4.3 of the notes): over the PIN as the card keeps it,
	// which is the caller's to wipe.
	ReloadMAC(ctx context.Context, f Factor, pin []byte) (pboc.MAC, error)

	// PINPublicKey is what PINs are sealed to.
	PINPublicKey() []byte
	// OpenPIN opens a sealed PIN into pin, which the caller wipes. ErrWrong if
	// it does not open.
	OpenPIN(ctx context.Context, s wire.SealedPIN, pin *[wire.PINLen]byte) error
	// Pepper turns an account's PIN into what is then hashed and kept, so that
	// the kept hashes alone can not be guessed at. The caller wipes it.
	Pepper(ctx context.Context, account string, pin *[wire.PINLen]byte) ([32]byte, error)

	// SessionMAC vouches for a session token.
	SessionMAC(ctx context.Context, token []byte) ([32]byte, error)

	// Campus signs for the campus with Ed25519: the keys of terminals'
	// journals, checkpoints, feeds. Terminals have its public key since they
	// were enrolled.
	Campus() crypto.Signer

	// SealPublicKey is what terminals seal exports of their journals to.
	SealPublicKey() []byte
	// OpenSealed returns what was sealed, as [wire.Unseal] does.
	OpenSealed(ctx context.Context, r io.Reader) io.Reader
}

// CardKeys are the keys of one card, for the moment in which it is
// personalised. They print as "keys.CardKeys(…)".
type CardKeys struct {
	DLK  pboc.Key // load
	DPK  pboc.Key // purchase
	DTK  pboc.Key // TAC
	DRPK pboc.Key // PIN reload
}

// Format keeps the keys out of every log and message.
func (CardKeys) Format(s fmt.State, _ rune) { fmt.Fprint(s, "keys.CardKeys(…)") }

// Issuer gives new cards their keys. It is apart from [Store], because a
// server that answers terminals never needs it.
type Issuer interface {
	IssueCard(ctx context.Context, f Factor) (CardKeys, error)
}
