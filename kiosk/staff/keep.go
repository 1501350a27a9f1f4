package staff

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"quancun/kiosk"
	diskfile "quancun/kiosk/file"
	"quancun/upstream/client"
)

// The cost of Argon2id, of about 20 ms. A PIN is only a million guesses, so what
// really guards it is the terminal's key, without which there is nothing to guess
// at, and the five tries.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
)

// triesMax is how many wrong PINs in a row lock a member until the upstream has
// let them in again.
const triesMax = 5

// Keep is what a terminal keeps of the staff, in one file, to let them in while
// the upstream is away: for each member who was let in by it, a verifier of the
// PIN, and when that was. What the file is worth without the terminal's key is a
// list of names: verifiers are peppered with that key, and the whole file is
// authenticated by it. A file that is not as it was written is no file.
//
// Its loss costs every member one sign-in with the upstream.
type Keep struct {
	path   string
	secret [32]byte

	mu      sync.Mutex
	members map[string]verifier // by staff number; guarded by mu
	seen    int64               // the latest moment that was ever seen, in ms; guarded by mu
}

// verifier is a member, and what a PIN is checked against.
type verifier struct {
	client.Staff

	Salt  [16]byte `json:"salt"`
	Hash  [32]byte `json:"hash"`
	Wrong int      `json:"wrong"` // tries in a row, counted before they are looked at
	At    int64    `json:"at"`    // of the last sign-in upstream, in ms
}

// file is the form of the file, behind 32 bytes of HMAC-SHA-256.
type file struct {
	Version int        `json:"v"`
	Seen    int64      `json:"seen"`
	Members []verifier `json:"members"`
}

// Secret derives what a [Keep] is guarded by from the terminal's journal key,
// which may be in hardware. It is Ed25519, whose signatures are always the same.
func Secret(key crypto.Signer) (secret [32]byte, err error) {
	signature, err := key.Sign(rand.Reader, []byte("quancun staff keep v1\n"), crypto.Hash(0))
	if err != nil {
		return secret, fmt.Errorf("staff: derive secret: %w", err)
	}
	return sha256.Sum256(signature), nil
}

// OpenKeep reads the file at path, or begins with nobody: with a file that is not
// there, or that this terminal's key has not written.
func OpenKeep(path string, secret [32]byte) (*Keep, error) {
	k := &Keep{path: path, secret: secret, members: map[string]verifier{}}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k, nil
	case err != nil:
		return nil, fmt.Errorf("staff: %w", err)
	}
	var f file
	if len(b) < sha256.Size || !hmac.Equal(k.mac(b[sha256.Size:]), b[:sha256.Size]) ||
		json.Unmarshal(b[sha256.Size:], &f) != nil || f.Version != 1 {
		return k, nil
	}
	for _, v := range f.Members {
		k.members[v.No] = v
	}
	k.seen = f.Seen
	return k, nil
}

func (k *Keep) mac(b []byte) []byte {
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte("file\n"))
	m.Write(b)
	return m.Sum(nil)
}

// hash is Argon2id over the PIN and the terminal's secret.
func (k *Keep) hash(salt [16]byte, pin *[kiosk.PINLength]byte) [32]byte {
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte("pin\n"))
	m.Write(pin[:])
	peppered := m.Sum(nil)
	defer clear(peppered)
	return [32]byte(argon2.IDKey(peppered, salt[:], argonTime, argonMemory, argonThreads, 32))
}

// aheadMax is how far the clock may have been ahead before what it said then counts
// for nothing any more.
const aheadMax = time.Hour

// Put keeps a member whom the upstream has let in with a PIN. If the clock was far ahead
// before, what was kept then cannot be told from what is old: everybody else is
// forgotten, or nobody could come in without the upstream until the clock is there again.
func (k *Keep) Put(s client.Staff, pin *[kiosk.PINLength]byte, now time.Time) error {
	v := verifier{Staff: s, At: now.UnixMilli()}
	rand.Read(v.Salt[:]) //nolint:errcheck // it never fails
	v.Hash = k.hash(v.Salt, pin)
	k.mu.Lock()
	defer k.mu.Unlock()
	ahead := k.seen-v.At > aheadMax.Milliseconds()
	if ahead {
		k.seen = 0
	}
	for no, other := range k.members {
		if ahead || other.Card == s.Card {
			delete(k.members, no)
		}
	}
	k.members[s.No] = v
	k.seen = max(k.seen, v.At)
	return k.save()
}

// Check returns the member with a card whose PIN it is, if the upstream has let
// them in not longer ago than life. Its errors are [ErrAway], [ErrPINLocked] and
// *[PINWrong], and that of the disk: a try is on it before the PIN is looked at,
// so that pulling the plug gives none back.
func (k *Keep) Check(card string, pin *[kiosk.PINLength]byte, now time.Time, life time.Duration) (Member, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.byCard(card)
	// A clock that was set back does not make a sign-in younger.
	k.seen = max(k.seen, now.UnixMilli())
	switch {
	case !ok, k.seen-v.At > life.Milliseconds():
		return Member{}, ErrAway
	case v.Wrong >= triesMax:
		return Member{}, ErrPINLocked
	}
	v.Wrong++
	k.members[v.No] = v
	if err := k.save(); err != nil {
		return Member{}, err
	}
	if got := k.hash(v.Salt, pin); !hmac.Equal(got[:], v.Hash[:]) {
		if v.Wrong == triesMax {
			return Member{}, ErrPINLocked
		}
		return Member{}, &PINWrong{triesMax - v.Wrong}
	}
	v.Wrong = 0
	k.members[v.No] = v
	return memberOf(v.Staff), k.save()
}

func (k *Keep) byCard(card string) (verifier, bool) {
	for _, v := range k.members {
		if v.Card == card {
			return v, true
		}
	}
	return verifier{}, false
}

// Knows reports whether a card is of a member who was let in here, whatever has become
// of them: only a sign-in says that they may come in.
func (k *Keep) Knows(card string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.byCard(card)
	return ok
}

// Lock locks the member with a card, as the upstream has.
func (k *Keep) Lock(card string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.byCard(card)
	if !ok {
		return nil
	}
	v.Wrong = triesMax
	k.members[v.No] = v
	return k.save()
}

// Forget forgets the members for whom gone says so.
func (k *Keep) Forget(gone func(client.Staff) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := len(k.members)
	for no, v := range k.members {
		if gone(v.Staff) {
			delete(k.members, no)
		}
	}
	if len(k.members) == before {
		return nil
	}
	return k.save()
}

// Members returns the staff numbers that are kept.
func (k *Keep) Members() (nos []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for no := range k.members {
		nos = append(nos, no)
	}
	slices.Sort(nos)
	return nos
}

// Update takes over what the upstream says of the members that it was asked about. Who
// is not among them now is forgotten; so is a PIN or a card that is another one.
func (k *Keep) Update(asked []string, now map[string]client.Staff) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed := false
	for _, no := range asked {
		v, kept := k.members[no]
		s, ok := now[no]
		switch {
		case !kept:
			continue
		case !ok || s.PINVersion != v.PINVersion || s.Card != v.Card:
			delete(k.members, no)
		case s != v.Staff:
			v.Staff = s
			k.members[no] = v
		default:
			continue
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return k.save()
}

// save writes the file anew, durably, or leaves the one before. Its caller has
// mu.
func (k *Keep) save() error {
	f := file{Version: 1, Seen: k.seen}
	for _, v := range k.members {
		f.Members = append(f.Members, v)
	}
	slices.SortFunc(f.Members, func(a, b verifier) int { return bytes.Compare([]byte(a.No), []byte(b.No)) })
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("staff: %w", err)
	}
	if err := diskfile.Replace(k.path, append(k.mac(text), text...)); err != nil {
		return fmt.Errorf("staff: keep: %w", err)
	}
	return nil
}
