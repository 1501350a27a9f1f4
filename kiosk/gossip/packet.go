package gossip

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"quancun/journal"
	"quancun/money"
	"quancun/paycode"
)

// A datagram is, all numbers big-endian:
//
//	form, 1                       1
//	certificate of the sender     2 and so many
//	lines                         1
//	of each: phone 16, time 8, counter 2, alone 1, amount 8, taken at 8,
//	account 1 and so many
//	signature of all before it    64
//
// It fits into one Ethernet frame.
const (
	packetMax = 1400
	newsMax   = 16
	form      = 1
)

const newsContext = "quancun gossip v1\n"

var errMalformed = errors.New("gossip: malformed")

func encode(news []Spent, paper journal.Certificate, key crypto.Signer) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(form)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(paper.Bytes()) })
	b.AddUint8(uint8(len(news)))
	for _, s := range news {
		alone := uint8(0)
		if s.Alone {
			alone = 1
		}
		b.AddBytes(s.Code.Device[:])
		b.AddUint64(uint64(s.Code.Time))
		b.AddUint16(s.Code.Counter)
		b.AddUint8(alone)
		b.AddUint64(uint64(s.Amount))
		b.AddUint64(uint64(s.At.Unix()))
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.Account)) })
	}
	text, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	sig, err := key.Sign(nil, append([]byte(newsContext), text...), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign news: %w", err)
	}
	return append(text, sig...), nil
}

// decode reads a datagram that a terminal of the campus has signed.
func decode(b []byte, campus ed25519.PublicKey) ([]Spent, journal.Certificate, error) {
	none := journal.Certificate{}
	if len(b) < ed25519.SignatureSize || len(b) > packetMax {
		return nil, none, errMalformed
	}
	text, sig := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	s := cryptobyte.String(text)
	var version, lines uint8
	var paperBytes cryptobyte.String
	if !s.ReadUint8(&version) || version != form || !s.ReadUint16LengthPrefixed(&paperBytes) || !s.ReadUint8(&lines) {
		return nil, none, errMalformed
	}
	paper, err := journal.ParseCertificate(paperBytes)
	if err != nil {
		return nil, none, err
	}
	if err := paper.Verify(campus); err != nil {
		return nil, none, err
	}
	if !ed25519.Verify(paper.Key, append([]byte(newsContext), text...), sig) {
		return nil, none, errors.New("gossip: signature is wrong")
	}
	var news []Spent
	for range lines {
		one, ok := readSpent(&s)
		if !ok {
			return nil, none, errMalformed
		}
		news = append(news, one)
	}
	if !s.Empty() {
		return nil, none, errMalformed
	}
	return news, paper, nil
}

func readSpent(s *cryptobyte.String) (n Spent, ok bool) {
	var device []byte
	var account cryptobyte.String
	var made, amount, at uint64
	var alone uint8
	if !s.ReadBytes(&device, len(n.Code.Device)) || !s.ReadUint64(&made) || !s.ReadUint16(&n.Code.Counter) ||
		!s.ReadUint8(&alone) || !s.ReadUint64(&amount) || !s.ReadUint64(&at) || !s.ReadUint8LengthPrefixed(&account) {
		return n, false
	}
	const secondsMax = 1 << 40
	if made > secondsMax || at > secondsMax || alone > 1 || money.Fen(amount) <= 0 ||
		money.Fen(amount) > journal.AmountMax || len(account) > paycode.AccountLenMax {
		return n, false
	}
	copy(n.Code.Device[:], device)
	n.Code.Time, n.Amount, n.Alone = int64(made), money.Fen(amount), alone == 1
	n.At, n.Account = time.Unix(int64(at), 0).UTC(), string(account)
	return n, true
}
