package staff

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"quancun/upstream/keys"
	"quancun/upstream/store"
)

// How long a session is good.
const (
	idleMax = 30 * time.Minute // since it was renewed
	signMax = 12 * time.Hour   // since the PIN
)

// Errors of a session.
var (
	ErrOver      = errors.New("staff: session is over")
	ErrForbidden = errors.New("staff: not what this role does")
)

// Session is a member who has shown card and PIN at a terminal. It lives in its
// token alone, which any upstream with the same keys accepts, also after a restart.
// What has become of the member since is looked up each time.
type Session struct {
	Member   Member
	Terminal string
	Signed   time.Time // when the PIN was shown
}

// Sessions makes and opens them.
type Sessions struct {
	Roll *Roll
	Keys keys.Store
	Now  func() time.Time
}

// sessionVersion is what a token begins with. Holders' sessions and challenges,
// which the same key vouches for, begin otherwise.
const sessionVersion = 0x80

// Token returns what stands for a session from now on.
func (s *Sessions) Token(ctx context.Context, n Session) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(sessionVersion)
	b.AddUint64(uint64(s.Now().UnixMilli()))
	b.AddUint64(uint64(n.Signed.UnixMilli()))
	b.AddUint64(uint64(n.Member.PINVersion))
	for _, name := range []string{n.Terminal, n.Member.No} {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	}
	token, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	mac, err := s.Keys.SessionMAC(ctx, token)
	return append(token, mac[:]...), err
}

// Open returns the session of a token. [ErrOver] if it is none of ours, of another
// terminal, too old, or of somebody who was revoked or has another PIN or card since;
// [ErrForbidden] if the member, as they are now, has none of the roles.
func (s *Sessions) Open(ctx context.Context, terminal string, token []byte, roles ...Role) (Session, error) {
	n, err := s.read(ctx, token)
	if err != nil {
		return Session{}, err
	}
	now := s.Now()
	if n.Terminal != terminal || now.Sub(n.renewed) > idleMax || now.Sub(n.Signed) > signMax ||
		n.renewed.Sub(now) > time.Minute { // clocks of two upstreams differ
		return Session{}, ErrOver
	}
	m, err := s.Roll.Get(ctx, n.Member.No)
	switch {
	case errors.Is(err, store.ErrNone), err == nil && (!m.Revoked.IsZero() || m.PINVersion != n.Member.PINVersion):
		return Session{}, ErrOver
	case err != nil:
		return Session{}, err
	}
	n.Member = m
	for _, r := range roles {
		if m.Role == r {
			return n.Session, nil
		}
	}
	return Session{}, ErrForbidden
}

// renewed is a session with when its token was made.
type renewed struct {
	Session
	renewed time.Time
}

// tokenMax is more than the longest names take.
const tokenMax = 512

func (s *Sessions) read(ctx context.Context, token []byte) (n renewed, err error) {
	const macLen = 32
	if len(token) <= macLen || len(token) > tokenMax {
		return n, ErrOver
	}
	body, mac := token[:len(token)-macLen], token[len(token)-macLen:]
	want, err := s.Keys.SessionMAC(ctx, body)
	if err != nil {
		return n, err
	}
	if subtle.ConstantTimeCompare(want[:], mac) != 1 {
		return n, ErrOver
	}
	in := cryptobyte.String(body)
	var version uint8
	var made, signed, pinVersion uint64
	var terminal, no cryptobyte.String
	if !in.ReadUint8(&version) || version != sessionVersion || !in.ReadUint64(&made) || !in.ReadUint64(&signed) ||
		!in.ReadUint64(&pinVersion) || !in.ReadUint8LengthPrefixed(&terminal) || !in.ReadUint8LengthPrefixed(&no) ||
		!in.Empty() {
		return n, ErrOver
	}
	n.Terminal, n.Member.No, n.Member.PINVersion = string(terminal), string(no), int64(pinVersion)
	n.renewed, n.Signed = time.UnixMilli(int64(made)), time.UnixMilli(int64(signed))
	return n, nil
}
