package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
)

const sessionLife = 10 * time.Minute

// session is an open sign-in. It lives in its token alone, which any upstream
// with the same key accepts, also after a restart.
type session struct {
	terminal string
	card     string
	account  store.Account
	issued   time.Time // to the millisecond
}

const sessionVersion = 1

// seal returns the token: version, issue time, the three names with their
// lengths, and the MAC over it all.
func (s *Server) seal(ctx context.Context, n session) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(sessionVersion)
	b.AddUint64(uint64(n.issued.UnixMilli()))
	for _, name := range []string{n.terminal, n.card, string(n.account)} {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	}
	token, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	mac, err := s.Keys.SessionMAC(ctx, token)
	return append(token, mac[:]...), err
}

// open returns the session of a token, if it is one of ours, not over, and of
// the terminal that calls. Otherwise it refuses.
func (s *Server) open(ctx context.Context, token []byte) (session, error) {
	over := refuse(v1.Reason_REASON_SESSION_OVER)
	if len(token) < 32 || len(token) > 1024 {
		return session{}, over
	}
	body, mac := token[:len(token)-32], token[len(token)-32:]
	want, err := s.Keys.SessionMAC(ctx, body)
	if err != nil {
		return session{}, err
	}
	if subtle.ConstantTimeCompare(want[:], mac) != 1 {
		return session{}, over
	}
	n, err := parseSession(body)
	if err != nil {
		return session{}, over
	}
	age := s.Now().Sub(n.issued)
	if age < -time.Minute || age > sessionLife || n.terminal != terminal(ctx).ID {
		return session{}, over
	}
	return n, nil
}

// Holder returns the account of whoever is signed in at the terminal that calls,
// by the token of [Server.SignIn]. Other services ask it who wants to see
// something. It refuses.
func (s *Server) Holder(ctx context.Context, token []byte) (store.Account, error) {
	n, err := s.open(ctx, token)
	return n.account, err
}

// Spender is [Server.Holder] for who wants to spend: the card is still one that
// may.
func (s *Server) Spender(ctx context.Context, token []byte) (store.Account, error) {
	_, a, err := s.Card(ctx, token)
	return a, err
}

// Card is [Server.Spender], with the number of the card that was signed in with.
func (s *Server) Card(ctx context.Context, token []byte) (cardNo string, a store.Account, err error) {
	n, err := s.open(ctx, token)
	if err == nil {
		_, err = s.usable(ctx, n.card)
	}
	return n.card, n.account, err
}

func parseSession(body []byte) (n session, err error) {
	in := cryptobyte.String(body)
	var version uint8
	var issued uint64
	var names [3]cryptobyte.String
	ok := in.ReadUint8(&version) && version == sessionVersion && in.ReadUint64(&issued)
	for i := range names {
		ok = ok && in.ReadUint8LengthPrefixed(&names[i])
	}
	if !ok || !in.Empty() {
		return session{}, errors.New("server: malformed session")
	}
	return session{
		string(names[0]), string(names[1]), store.Account(names[2]), time.UnixMilli(int64(issued)),
	}, nil
}
