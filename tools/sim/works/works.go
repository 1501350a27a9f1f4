// Package works makes what takes long to make, and what all simulated campuses
// of a process have in common therefore: keys, certificates, and disks with an
// upstream or a terminal installed, of which each campus gets copies.
package works

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"quancun/bathcode"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
	"quancun/tools/sim/virtual"
	"quancun/upstream/keys"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/wire"
	"quancun/water"
)

// Works is all of it.
type Works struct {
	Profile  *profile.Profile
	Keys     *keys.Software
	Purchase pboc.Key // master key of purchases, which is in every terminal's SAM
	Baths    bathcode.Master
	Setups   []water.Setup // of the baths' controllers
	CA       *x509.Certificate
	Stations []Station
	Towns    map[int]*Town // by the number of holders
}

// Station is an identity that a terminal can have.
type Station struct {
	ID   string
	No   pboc.TerminalNo
	Cert *x509.Certificate
	Key  ed25519.PrivateKey // signs the journal

	Disk *disk.Disk // of a terminal that was just installed
}

// Town is an upstream's disk on the day before the story begins.
type Town struct {
	Disk  *disk.Disk
	Cards []Resident
}

// Resident is a holder with a card, as both were when the story began.
type Resident struct {
	Account string
	Opening money.Fen
	Card    sim.State
	CardNo  string
	Factor  [8]byte
}

// StationsMax is how many terminals a campus may have.
const StationsMax = 8

// PIN is everybody's.
const PIN = "271828"

// Clerk is the one at the card centre, by staff number, and ClerkCard the card.
const (
	Clerk     = "k7"
	ClerkCard = "00002026000000009007"
)

// BooksPath is where the books are on the upstream's disk, JournalPath and
// FeedsPath where a terminal's files are on its own.
const (
	BooksPath   = "/books.db"
	JournalPath = "/journal.db"
	FeedsPath   = "/feeds.db"
	BackupPath  = "/backup.db"
	MirrorPath  = card + "mirror"
)

// TownSizes are how many holders there may be. A town of two hundred costs as
// much as all the rest of its story.
var TownSizes = []int{6, 30, 200}

// Open returns the works, which are made once in a process.
var Open = sync.OnceValues(newWorks)

// seed is the works' own, and no campus's: an epoch must not come twice.
const seed = math.MaxUint64

func newWorks() (_ *Works, err error) {
	// Every process has the same works, or a seed would not tell the same story
	// in each.
	defer DrawFrom(seed)()
	dir, err := os.MkdirTemp("", "campus-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left holds made-up keys only
	w := &Works{Profile: profile.Default(), Towns: map[int]*Town{}}
	copy(w.Baths[:], seedOf("baths"))
	if err := w.openKeys(filepath.Join(dir, "keys.json")); err != nil {
		return nil, err
	}
	for i := range StationsMax {
		s, err := newStation(fmt.Sprintf("K%02d", i+1))
		if err != nil {
			return nil, err
		}
		w.Stations = append(w.Stations, s)
	}
	w.CA = w.Stations[0].Cert // only its being there matters: nobody speaks TLS here
	for _, n := range TownSizes {
		if w.Towns[n], err = w.build(n); err != nil {
			return nil, fmt.Errorf("build a town of %d: %w", n, err)
		}
	}
	return w, nil
}

// DrawFrom has the programs of this process, and SQLite below them, draw all
// chance from a seed, until it is given back. Without it the epoch of a journal,
// which SQLite draws, would be another each time.
func DrawFrom(seed uint64) (giveBack func()) {
	random := rand.Reader
	rand.Reader = virtual.Chance{Dice: virtual.NewDice(seed, virtual.StreamBytes)}
	disk.Seed(virtual.NewDice(seed, virtual.StreamSQLite).Uint32() | 1) // 0 is no seed
	return func() {
		rand.Reader = random
		disk.Seed(0)
	}
}

// openKeys makes the upstream's keys, and takes the one that SAMs have out of
// their file.
func (w *Works) openKeys(path string) (err error) {
	if w.Keys, err = keys.OpenSoftware(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file struct {
		Purchase string `json:"purchase_master"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	n, err := hex.Decode(w.Purchase[:], []byte(file.Purchase))
	if err == nil && n != len(w.Purchase) {
		err = errors.New("the purchase master key has another length")
	}
	return err
}

func seedOf(name string) []byte {
	sum := sha256.Sum256([]byte("quancun simulation " + name))
	return sum[:]
}

// newStation makes a terminal's identity. Its certificate signs itself, since
// there is no TLS that would ask who did; by Ed25519, since every signature of
// ECDSA is another, and of another length.
func newStation(id string) (Station, error) {
	key := ed25519.NewKeyFromSeed(seedOf(id + " certificate"))
	uri, err := url.Parse(wire.TerminalURI(id))
	if err != nil {
		return Station{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: id}, URIs: []*url.URL{uri},
		NotBefore: virtual.Morning.AddDate(-1, 0, 0), NotAfter: virtual.Morning.AddDate(10, 0, 0),
	}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		return Station{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Station{}, err
	}
	s := Station{ID: id, Cert: cert, Key: ed25519.NewKeyFromSeed(seedOf(id)), Disk: NewDisk()}
	return s, s.install()
}

// install makes the files of a terminal that has never been on.
func (s *Station) install() error {
	ctx := context.Background()
	book, err := ledger.Open(ctx, JournalPath, ledger.Options{
		Terminal: s.ID, Key: s.Key, Now: func() time.Time { return virtual.Morning.Add(-time.Hour) },
		Uptime: func() time.Duration { return 0 }, FS: Drive{Disk: s.Disk}, RoomMin: 1,
	})
	if err != nil {
		return err
	}
	feeds, err := feed.Open(ctx, s.Disk.DSN(FeedsPath))
	if err != nil {
		return errors.Join(err, book.Close())
	}
	return errors.Join(feeds.Close(), book.Close())
}

// CampusKey returns what the campus's signatures are checked with.
func (w *Works) CampusKey() ed25519.PublicKey { return w.Keys.Campus().Public().(ed25519.PublicKey) }

// Stretch stands for Argon2id, for which a simulation has no time.
func Stretch(peppered [32]byte, salt [16]byte) [32]byte {
	return sha256.Sum256(append(peppered[:], salt[:]...))
}

// build makes an upstream's disk with all stations and n holders, each with a
// card that is level with the account.
func (w *Works) build(n int) (*Town, error) {
	ctx, d := context.Background(), virtual.NewDice(uint64(n), virtual.StreamActs)
	t := &Town{Disk: NewDisk()}
	books, err := store.Open(ctx, t.Disk.DSN(BooksPath), func() time.Time { return virtual.Morning })
	if err != nil {
		return nil, err
	}
	for i := range w.Stations {
		if err := w.Stations[i].enrol(ctx, books); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.hire(ctx, books), w.bathe(ctx, books)); err != nil {
		return nil, err
	}
	for i := range n {
		r, err := w.settle(ctx, books, i+1, money.Fen(d.Between(0, 20_000)))
		if err != nil {
			return nil, err
		}
		t.Cards = append(t.Cards, r)
	}
	return t, books.Close()
}

// enrol makes the upstream know the station, as an operator and the machine do.
func (s *Station) enrol(ctx context.Context, b *store.Books) (err error) {
	code := sha256.Sum256([]byte(s.ID))
	s.No, err = b.Invite(ctx, store.Invitation{
		Terminal: s.ID, CodeHash: code, Expires: virtual.Morning.Add(time.Hour),
	})
	if err != nil {
		return err
	}
	_, _, err = b.Enrol(ctx, code, store.Membership{
		Terminal: s.ID, Certificate: s.Cert, JournalKey: s.Key.Public().(ed25519.PublicKey),
	})
	return err
}

// hire makes the clerk a member of the staff.
func (w *Works) hire(ctx context.Context, b *store.Books) error {
	m := staff.Member{No: Clerk, Name: "王小红", Role: staff.Clerk, Card: ClerkCard}
	peppered, err := w.Keys.Pepper(ctx, m.Owner().No(), (*[wire.PINLen]byte)([]byte(PIN)))
	if err != nil {
		return err
	}
	return staff.NewRoll(b).Add(ctx, m, store.PIN{Hash: Stretch(peppered, [16]byte{})}, "sim")
}

// settle opens an account and gives it a card.
func (w *Works) settle(ctx context.Context, b *store.Books, n int, opening money.Fen) (Resident, error) {
	r := Resident{
		Account: fmt.Sprintf("2026%06d", n), Opening: opening,
		CardNo: fmt.Sprintf("00002026%012d", n),
	}
	a := store.HolderAccount(r.Account)
	peppered, err := w.Keys.Pepper(ctx, a.No(), (*[wire.PINLen]byte)([]byte(PIN)))
	if err != nil {
		return r, err
	}
	err = b.AddHolder(ctx, store.Holder{Account: a, Name: "H" + r.Account, Number: r.Account},
		store.PIN{Hash: Stretch(peppered, [16]byte{})}, opening)
	if err != nil {
		return r, err
	}
	no, err := purse.ParseCardNo(r.CardNo)
	if err != nil {
		return r, err
	}
	r.Factor = [8]byte(no[2:])
	if r.Card, err = w.issue(no, n, opening); err != nil {
		return r, err
	}
	return r, b.AddCard(ctx, store.Card{
		No: r.CardNo, Account: a, Factor: r.Factor, UID: "01020304", Status: store.CardActive, Mirror: opening,
	})
}

// issue returns a new card with keys of its own.
func (w *Works) issue(no purse.CardNo, n int, balance money.Fen) (sim.State, error) {
	s, err := sim.Issue(w.Profile, sim.Masters{}, sim.Holder{
		CardNo: no, UID: [4]byte{1, 2, byte(n >> 8), byte(n)}, Name: fmt.Sprintf("H%d", n), Number: fmt.Sprint(n),
		Start: 20200101, Expiry: 20991231, PIN: PIN, Balance: balance,
	})
	own := w.Keys.CardKeys([8]byte(no[2:]))
	s.Keys = sim.Keys{
		Load: sim.Key(own.DLK), Purchase: sim.Key(own.DPK), TAC: sim.Key(own.DTK), Reload: sim.Key(own.DRPK),
	}
	return s, err
}

// NewDisk returns an empty disk of the usual kind.
func NewDisk() *disk.Disk { return disk.New(disk.Options{PowersafeOverwrite: true}) }
