package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// The cost of Argon2id, of about 20 ms. A PIN is only a million guesses, so
// what really guards it is the pepper in the key store and the five tries.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
)

// NewPIN returns how an account's PIN is kept. The caller wipes pin.
func NewPIN(ctx context.Context, k keys.Store, a store.Account, pin *[wire.PINLen]byte) (store.PIN, error) {
	return (&Server{Config: Config{Keys: k, Stretch: argon}}).NewPIN(ctx, a, pin)
}

// NewPIN returns how this server keeps an account's PIN. The caller wipes pin.
func (s *Server) NewPIN(ctx context.Context, a store.Account, pin *[wire.PINLen]byte) (store.PIN, error) {
	var p store.PIN
	rand.Read(p.Salt[:]) //nolint:errcheck // it never fails
	peppered, err := pepper(ctx, s.Keys, a, pin)
	defer clear(peppered[:])
	if err != nil {
		return store.PIN{}, err
	}
	p.Hash = s.Stretch(peppered, p.Salt)
	return p, nil
}

func pepper(ctx context.Context, k keys.Store, a store.Account, pin *[wire.PINLen]byte) (sum [32]byte, err error) {
	if sum, err = k.Pepper(ctx, a.No(), pin); err != nil {
		return sum, fmt.Errorf("pepper PIN: %w", err)
	}
	return sum, nil
}

// argon is Argon2id, the default of [Config.Stretch].
func argon(peppered [32]byte, salt [16]byte) [32]byte {
	return [32]byte(argon2.IDKey(peppered[:], salt[:], argonTime, argonMemory, argonThreads, 32))
}

// newHashing has a place for each core, so that a crowd at the terminals costs
// time and not memory.
func newHashing() chan struct{} { return make(chan struct{}, runtime.GOMAXPROCS(0)) }

// checkPIN reports whether pin is right, and how many tries are left if not.
// store.ErrPINLocked if there is none.
func (s *Server) checkPIN(ctx context.Context, a store.Account, pin *[wire.PINLen]byte) (bool, int, error) {
	return s.CheckPIN(ctx, a, PINTries{
		Reserve: func() (store.PIN, int, error) { return s.Books.ReservePINTry(ctx, a) },
		// The holder was right, whether or not they still wait for the answer.
		Reset: func() error { return s.Books.ResetPINTries(context.WithoutCancel(ctx), a) },
	}, pin)
}

// PINTries is where the tries of a PIN are counted.
type PINTries struct {
	Reserve func() (kept store.PIN, left int, err error) // before the PIN is looked at
	Reset   func() error                                 // when it was right
}

// CheckPIN reports whether pin is the one that is kept for an owner, and how many
// tries are left if not. The try is counted before the PIN is looked at, and given
// back when it was right. The caller wipes pin.
func (s *Server) CheckPIN(ctx context.Context, owner store.Account, tries PINTries, pin *[wire.PINLen]byte,
) (right bool, left int, err error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return false, 0, ctx.Err()
	}
	kept, left, err := tries.Reserve()
	if err != nil {
		return false, 0, err
	}
	peppered, err := pepper(ctx, s.Keys, owner, pin)
	defer clear(peppered[:])
	if err != nil {
		return false, 0, err
	}
	hash := s.Stretch(peppered, kept.Salt)
	if subtle.ConstantTimeCompare(hash[:], kept.Hash[:]) != 1 {
		return false, left, nil
	}
	return true, 0, tries.Reset()
}

// InitialPIN returns the PIN that a card is issued with: the last six
// characters of the holder's ID number, X read as 0 (rule last6_x0). The
// number has 18 characters and a right check character (GB 11643); it is not
// kept anywhere.
func InitialPIN(idNumber string) (pin [wire.PINLen]byte, err error) {
	id := strings.ToUpper(idNumber)
	if len(id) != 18 || checkCharacter(id[:17]) != id[17] {
		return pin, fmt.Errorf("server: not an ID number") // its digits stay out of the text
	}
	copy(pin[:], strings.ReplaceAll(id[12:], "X", "0"))
	return pin, nil
}

// checkCharacter is that of GB 11643: the weights are powers of two modulo 11.
// It returns 0 if the 17 characters are not digits.
func checkCharacter(digits string) byte {
	sum := 0
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		sum = sum*2 + int(c-'0')
	}
	return "10X98765432"[sum*2%11]
}
