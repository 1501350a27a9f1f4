package wire

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The names of the feeds.
const (
	FeedHotlist  = "hotlist"  // cards that may not be used
	FeedSettings = "settings" // what the school allows
	FeedKeys     = "keys"     // public keys, of issuers of virtual cards
	FeedBath     = "bath"     // the halls' timetable
)

// FeedNames returns the names of all feeds.
func FeedNames() []string { return []string{FeedHotlist, FeedSettings, FeedKeys, FeedBath} }

// FeedHead is what is signed of a feed's step besides its body.
type FeedHead struct {
	Name    string
	Version uint64    // that the step leads to
	From    uint64    // that it leads on from; 0 for a snapshot
	Issued  time.Time // to the millisecond
}

// ErrFeed means that a feed's step was not made by the campus, or is no step.
var ErrFeed = errors.New("wire: feed is not signed by the campus")

// feedContext separates this use of the campus's key from every other.
const feedContext = "quancun feed v1\n"

func (h FeedHead) message(body []byte) []byte {
	sum := sha256.Sum256(body)
	b := append([]byte(feedContext), byte(len(h.Name)))
	b = append(b, h.Name...)
	b = binary.BigEndian.AppendUint64(b, h.Version)
	b = binary.BigEndian.AppendUint64(b, h.From)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Issued.UnixMilli()))
	return append(b, sum[:]...)
}

// SignFeed signs a step with the campus's Ed25519 key, which may be in
// hardware.
func SignFeed(campus crypto.Signer, h FeedHead, body []byte) ([]byte, error) {
	if len(h.Name) > 255 {
		return nil, errors.New("wire: sign feed: name is too long")
	}
	sig, err := campus.Sign(nil, h.message(body), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("wire: sign feed %s: %w", h.Name, err)
	}
	return sig, nil
}

// VerifyFeed returns [ErrFeed] unless the campus with this key has signed the
// step.
func VerifyFeed(campus ed25519.PublicKey, h FeedHead, body, sig []byte) error {
	if len(campus) != ed25519.PublicKeySize || len(h.Name) > 255 || !ed25519.Verify(campus, h.message(body), sig) {
		return fmt.Errorf("%w: %q", ErrFeed, clip(h.Name))
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), 32)] }

// HotCard is a card that may not be used, and why: its status, numbered as
// CardStatus is.
type HotCard struct {
	CardNo string // 20 hexadecimal digits, upper case
	Status byte
}

const cardNoLen = 10 // bytes

// AppendHot appends cards to b, the half of a hotlist's body that adds.
func AppendHot(b []byte, cards []HotCard) ([]byte, error) {
	for _, c := range cards {
		no, err := cardBytes(c.CardNo)
		if err != nil {
			return nil, err
		}
		b = append(append(b, no...), c.Status)
	}
	return b, nil
}

// AppendCards appends the numbers of cards to b, the half of a hotlist's body
// that removes.
func AppendCards(b []byte, cards []string) ([]byte, error) {
	for _, c := range cards {
		no, err := cardBytes(c)
		if err != nil {
			return nil, err
		}
		b = append(b, no...)
	}
	return b, nil
}

func cardBytes(no string) ([]byte, error) {
	b, err := hex.DecodeString(no)
	if err != nil || len(b) != cardNoLen {
		return nil, errors.New("wire: not a card number")
	}
	return b, nil
}

// ParseHotlist reads what [AppendHot] and [AppendCards] made. It refuses what
// is not sorted, so that equal lists are equal bytes.
func ParseHotlist(adds, removes []byte) (add []HotCard, remove []string, err error) {
	if len(adds)%(cardNoLen+1) != 0 || len(removes)%cardNoLen != 0 {
		return nil, nil, fmt.Errorf("%w: hotlist is cut off", ErrFeed)
	}
	for ; len(adds) > 0; adds = adds[cardNoLen+1:] {
		c := HotCard{cardText(adds), adds[cardNoLen]}
		if n := len(add); n > 0 && add[n-1].CardNo >= c.CardNo {
			return nil, nil, fmt.Errorf("%w: hotlist is not sorted", ErrFeed)
		}
		add = append(add, c)
	}
	for ; len(removes) > 0; removes = removes[cardNoLen:] {
		no := cardText(removes)
		if n := len(remove); n > 0 && remove[n-1] >= no {
			return nil, nil, fmt.Errorf("%w: hotlist is not sorted", ErrFeed)
		}
		remove = append(remove, no)
	}
	return add, remove, nil
}

func cardText(b []byte) string { return strings.ToUpper(hex.EncodeToString(b[:cardNoLen])) }
