package kiosk_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/pboc"
	"quancun/upstream/client"
	"quancun/upstream/store"
)

// post is what a terminal has whatever its face: who it is, its journal, its
// feeds, its way upstream, and what breaks them.
type post struct {
	world  *world
	id     string
	number pboc.TerminalNo
	ahead  time.Duration // of the machine's clock
	key    ed25519.PrivateKey
	campus ed25519.PublicKey
	word   journal.Certificate // the campus's, that the key is this terminal's
	client *client.Client
	log    *slog.Logger

	up   *brokenUpstream
	disk *brokenDisk

	options ledger.Options

	// What a power cut ends.
	book   *ledger.Book
	feeds  *feed.Feeds
	pusher *push.Pusher
	clock  kiosk.Clock
	terms  *kiosk.Terms
	hand   *kiosk.InHand
}

// newPost enrols a terminal.
func (w *world) newPost(id string, ahead time.Duration) *post {
	w.t.Helper()
	seed := sha256.Sum256([]byte(id))
	p := &post{
		world: w, id: id, ahead: ahead, key: ed25519.NewKeyFromSeed(seed[:]), disk: new(brokenDisk),
		log: slog.New(slog.NewTextHandler(w.t.Output(), nil)).With("terminal", id),
	}
	who := p.enrol()
	p.number, p.campus, p.word = who.TerminalNo, who.CampusKey, who.JournalCertificate
	p.client = client.Dial(who, client.Options{Now: p.now})
	w.t.Cleanup(p.client.Close)
	p.up = &brokenUpstream{real: p.client}
	p.options = ledger.Options{Terminal: id, Key: p.key, Campus: p.campus, Now: p.now}
	return p
}

func (p *post) now() time.Time { return time.Now().Add(p.ahead) }

// enrol is an enrolment without its conversation.
func (p *post) enrol() *client.Provisioning {
	w := p.world
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	public := p.key.Public().(ed25519.PublicKey)
	code := sha256.Sum256([]byte("code of " + p.id))
	no, err := w.books.Invite(w.t.Context(), store.Invitation{
		Terminal: p.id, CodeHash: code, Expires: time.Now().Add(time.Hour),
	})
	w.ok(err)
	cert, err := w.authority.Certify(p.id, &key.PublicKey)
	w.ok(err)
	_, raw, err := w.books.Enrol(w.t.Context(), code, store.Membership{
		Terminal: p.id, Certificate: cert, JournalKey: public,
	})
	w.ok(err)
	campus := w.keys.Campus()
	word, err := journal.Certify(p.id, public, time.Now(), campus)
	w.ok(err)
	text, err := client.File{
		Terminal: p.id, TerminalNo: no.String(), Address: w.addr, CA: string(w.authority.CA()),
		Certificate:        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		CampusKey:          hex.EncodeToString(campus.Public().(ed25519.PublicKey)),
		JournalCertificate: hex.EncodeToString(word.Bytes()),
	}.Encode()
	w.ok(err)
	who, err := client.ParseProvisioning(text)
	w.ok(err)
	w.ok(who.Use(key))
	return who
}

// open opens the journal and the feeds, as a start does.
func (p *post) open() {
	w := p.world
	w.t.Helper()
	var err error
	p.book, err = ledger.Open(w.t.Context(), filepath.Join(w.dir, p.id+".db"), p.options)
	w.ok(err)
	p.feeds, err = feed.Open(w.t.Context(), filepath.Join(w.dir, p.id+"-feeds.db"))
	w.ok(err)
	p.clock, p.terms, p.hand = kiosk.NewClock(p.now, ledger.Uptime), kiosk.NewTerms(p.id, p.number), new(kiosk.InHand)
	p.pusher = push.New(push.Options{Book: p.book, Upstream: p.up, Campus: p.campus, Log: p.log})
}

func (p *post) close() {
	p.book.Close()
	p.feeds.Close()
}

// journal is the journal as the flows see it, on a disk that may fail.
func (p *post) journal() *brokenBook { return &brokenBook{p.book, p.disk} }

// run starts what works beside the flow.
func (p *post) run(ctx context.Context, running *sync.WaitGroup, health chan<- kiosk.Health) {
	puller := feed.NewPuller(p.feeds, kiosk.FeedSource(p.up), p.log)
	keeper := &kiosk.Keeper{
		Upstream: p.up, Outbox: p.journal(), Push: p.pusher, Pull: puller, Feeds: p.feeds,
		Clock: p.clock, Terms: p.terms, InHand: p.hand,
		Health: health, Every: 20 * time.Millisecond, Log: p.log,
	}
	running.Go(func() { p.pusher.Run(ctx) }) //nolint:errcheck // ends by cancel
	running.Go(func() { puller.Run(ctx) })   //nolint:errcheck // ends by cancel
	running.Go(func() { keeper.Run(ctx) })   //nolint:errcheck // ends by cancel
}
