package keys

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"quancun/pboc"
)

// ErrNoBlanks means that this store cannot personalise cards: nobody has given it
// the key with which blanks come from their maker.
var ErrNoBlanks = errors.New("keys: there is no transport key of blanks")

// Personaliser makes what a blank gets while it is personalised at a counter. It is
// apart from [Issuer]: no key comes out.
type Personaliser interface {
	// Personalise returns the data field of the command that brings a part to the
	// card with this factor. The error is [ErrNoBlanks], or [pboc.ErrNoPart] for an
	// order that cannot be.
	Personalise(ctx context.Context, f Factor, o pboc.Order) ([]byte, error)
}

// blanks is the file of what personalising takes besides the key file: JSON, all
// values hexadecimal. A site that personalises no cards has none.
type blanks struct {
	Version     int    `json:"version"` // 1
	Transport   secret `json:"transport"`
	Control     secret `json:"control_master"`
	Maintenance secret `json:"maintenance_master"`
}

func blanksFile(keyFile string) string { return filepath.Join(filepath.Dir(keyFile), "blanks.json") }

// WriteBlanks writes down, beside the key file, the transport key with which the
// maker delivers blanks, and makes the masters of the keys that take its place. A
// copy of the file belongs in the safe.
func WriteBlanks(keyFile string, transport pboc.Key) error {
	var control, maintenance pboc.Key
	rand.Read(control[:])     //nolint:errcheck // it never fails
	rand.Read(maintenance[:]) //nolint:errcheck // it never fails
	text, err := json.MarshalIndent(blanks{
		Version: 1, Transport: transport[:], Control: control[:], Maintenance: maintenance[:],
	}, "", "\t")
	if err != nil {
		return err
	}
	defer clear(text)
	return WriteSecret(blanksFile(keyFile), text)
}

// BlankKeys are what personalising takes besides. They print as "keys.BlankKeys(…)".
type BlankKeys struct {
	Transport            pboc.Key
	Control, Maintenance pboc.Key // masters of what takes its place
}

// Format keeps the keys out of every log and message.
func (BlankKeys) Format(s fmt.State, _ rune) { fmt.Fprint(s, "keys.BlankKeys(…)") }

// readBlanks returns the keys of the file of blanks; nil if there is none.
func readBlanks(keyFile string) (*BlankKeys, error) {
	path := blanksFile(keyFile)
	text, err := ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read keys of blanks: %w", err)
	}
	defer clear(text)
	var f blanks
	const size = len(pboc.Key{})
	if json.Unmarshal(text, &f) != nil || f.Version != 1 ||
		len(f.Transport) != size || len(f.Control) != size || len(f.Maintenance) != size {
		return nil, fmt.Errorf("read keys of blanks: %s is no such file", path) // the decoder's words may quote it
	}
	return &BlankKeys{pboc.Key(f.Transport), pboc.Key(f.Control), pboc.Key(f.Maintenance)}, nil
}

// Personalise implements [Personaliser].
func (s *Software) Personalise(_ context.Context, f Factor, o pboc.Order) ([]byte, error) {
	b := s.secrets.Blanks
	if b == nil {
		return nil, ErrNoBlanks
	}
	card := s.CardKeys(f)
	k := pboc.NewKeys{
		// The control key of the card and that of its application are two: the second
		// level has a factor of its own.
		Transport: b.Transport, Issuer: b.Control.Diversify(f),
		Control: b.Control.Diversify(f).Diversify(f), Maintenance: b.Maintenance.Diversify(f),
		TAC: card.DTK, Reload: card.DRPK, Purchase: card.DPK, Load: card.DLK,
	}
	k.PIN = NobodysPIN()
	return k.Field(o)
}

// NobodysPIN returns what a card has for a PIN before its holder's: chance, and no
// digits, so that nobody can type it.
func NobodysPIN() (pin [3]byte) {
	rand.Read(pin[:]) //nolint:errcheck // it never fails
	for i := range pin {
		pin[i] = 0xA0 | pin[i]&0x0F
	}
	return pin
}
