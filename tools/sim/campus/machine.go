package campus

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"math"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/channel"
	"quancun/kiosk/request"
	losses "quancun/kiosk/service/lost"
	"quancun/kiosk/service/pay"
	"quancun/lab/disk"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/ledger/push"
	"quancun/money"
	"quancun/reader/sim"
	"quancun/tools/sim/auditor"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client"
	"quancun/upstream/client/bill"
)

// machine is a terminal: a disk, a clock, a line, a purchase SAM, and while it
// runs, the real programs on them.
type machine struct {
	campus   *Campus
	station  works.Station
	name     string // of the station, with a mark for a clone
	clone    bool
	disk     *disk.Disk
	watch    virtual.Watch
	line     *line
	sam      *sim.SAM
	merchant string
	drawer   money.Fen // cash that is really in it

	card     *disk.Disk             // the second medium, for the mirror; nil for none
	backup   []*said                // what was in the journal when it was last backed up; nil: never
	image    *image                 // a copy of the disk that somebody has put away; nil: none
	suspect  bool                   // its disk, or a copy of it, may be in two places
	forked   map[journal.Epoch]bool // in which it was so
	versions map[string]uint64      // of the feeds on its disk
	rewound  bool                   // such a copy was put in
	cloned   bool                   // there is another one of it
	up       bool                   // the upstream has answered the last greeting
	full     bool                   // its disk has an end

	knows  []*said
	unsure []*said
	later  []cashLater

	client *client.Client
	*programs
}

// programs are what runs on a machine, and ends with its power.
type programs struct {
	book   *ledger.Book
	feeds  *feed.Feeds
	pusher *push.Pusher
	puller *feed.Puller
	keeper *kiosk.Keeper
	health chan kiosk.Health
	loader *kiosk.Loader
	seller *kiosk.Seller

	wallet   *channel.Seller
	refunder *channel.Refunder
	left     *channel.Keeper

	requests  *request.Desk
	requested *request.Keeper
	losses    *losses.Desk
	keeping   bool // it is the keeper that goes on

	auditor *auditor.Terminal
	sales   []journal.Entry // for codes, that may be given back
}

// newMachine installs a terminal. It is off.
func (c *Campus) newMachine(s works.Station, name string, d *disk.Disk) *machine {
	m := &machine{
		campus: c, station: s, name: name, disk: d, watch: virtual.Watch{World: c.world},
		line: &line{campus: c, cert: s.Cert}, forked: map[journal.Epoch]bool{}, versions: map[string]uint64{},
		sam: sim.NewSAM(s.No, c.works.Purchase, uint32(1+100_000*len(c.machines))),
	}
	m.client = client.Dial(&client.Provisioning{
		Terminal: s.ID, TerminalNo: s.No, CA: c.works.CA, CampusKey: c.works.CampusKey(),
	}, client.Options{Address: "upstream:1", Now: m.watch.Now, Transport: m.line})
	if c.dice.OneIn(2) {
		m.card = works.NewDisk()
	}
	return m
}

// on reports whether the machine runs.
func (m *machine) on() bool { return m.programs != nil }

// start switches the machine on. It stays off if its disk is broken.
func (m *machine) start(ctx context.Context) error {
	m.watch.Boot = m.campus.world.Now
	book, err := ledger.Open(ctx, works.JournalPath, m.options())
	if errors.Is(err, ledger.ErrLost) || errors.Is(err, ledger.ErrTampered) {
		if err = m.recover(ctx, err); err == nil {
			book, err = ledger.Open(ctx, works.JournalPath, m.options())
		}
	}
	if err != nil {
		return err
	}
	book.Reflect()
	feeds, err := feed.Open(ctx, works.Drive{Disk: m.disk}.DSN(works.FeedsPath))
	if err != nil {
		return errors.Join(err, book.Close())
	}
	m.programs = m.run(book, feeds)
	m.auditor = auditor.NewTerminal(book, feeds, m.versions)
	return nil
}

// options are those of the machine's journal.
func (m *machine) options() ledger.Options {
	o := ledger.Options{
		Terminal: m.station.ID, Key: m.station.Key, Campus: m.campus.works.CampusKey(), Version: "sim",
		Now: m.watch.Now, Uptime: m.watch.Uptime,
		FS: works.Drive{Disk: m.disk, Card: m.card}, RoomMin: 1,
	}
	if m.card != nil {
		o.Mirror, o.MirrorByHand = works.MirrorPath, true
	}
	return o
}

// run puts the programs together, as package app does.
func (m *machine) run(book *ledger.Book, feeds *feed.Feeds) *programs {
	p := &programs{book: book, feeds: feeds, health: make(chan kiosk.Health, 1)}
	p.puller = feed.NewPuller(feeds, kiosk.FeedSource(m.client), m.campus.log)
	p.pusher = push.New(push.Options{
		Book: shelf{book, m.campus}, Upstream: m.client, Campus: m.campus.works.CampusKey(),
		Now: m.watch.Now, Log: m.campus.log,
	})
	journal, clock := teller{book, m}, kiosk.NewClock(m.watch.Now, m.watch.Uptime)
	terms := kiosk.NewTerms(m.station.ID, m.station.No)
	p.keeper = &kiosk.Keeper{
		Upstream: m.client, Outbox: journal, Push: p.pusher, Pull: p.puller, Feeds: feeds, Clock: clock, Terms: terms,
		InHand: new(kiosk.InHand), Version: "sim", Health: p.health, Log: m.campus.log,
	}
	settler := kiosk.Settler{
		Book: journal, Issuer: m.client, Profile: m.campus.works.Profile, Terminal: m.station.No, SAM: m.sam,
	}
	p.loader = &kiosk.Loader{Settler: settler}
	p.seller = &kiosk.Seller{
		Settler: settler, Upstream: m.client, Push: p.pusher, Feeds: feeds, Terms: terms, Clock: clock,
		Budget: time.Minute, Log: m.campus.log,
	}
	p.requests = &request.Desk{Book: journal, InHand: new(kiosk.InHand), Log: m.campus.log}
	p.requested = &request.Keeper{
		Book: journal, InHand: p.requests.InHand, Log: m.campus.log,
		Asks: map[string]request.Ask{pay.Service: pay.Ask(bill.New(m.client))},
	}
	m.asks(p)
	m.wallets(p, journal)
	return p
}

// round is what a machine does by itself every now and then: it greets the
// upstream, ends what it can, pushes and pulls.
func (m *machine) round(ctx context.Context) {
	m.keeper.Round(ctx, true)
	m.campus.payLate()
	select {
	case h := <-m.health:
		m.up = h.Upstream
	default:
	}
	if !m.up {
		return
	}
	m.endActs(ctx)
	m.keeping = true
	m.requested.Round(ctx)
	m.left.Round(ctx)
	m.keeping = false
	more, err := true, error(nil)
	for steps := 0; more && steps < stepsMax; steps++ {
		if more, err = m.pusher.Step(ctx); err != nil {
			m.campus.note("%s: push: %v", m.name, err)
			return
		}
	}
	m.book.Reflect()
	before := m.feeds.Status(feed.Hotlist).Version
	if err := m.puller.Level(ctx); err != nil {
		m.campus.note("%s: pull: %v", m.name, err)
	} else {
		m.judgeHotlist()
	}
	switch now := m.feeds.Status(feed.Hotlist).Version; {
	case now > before && before == 0:
		m.campus.cover(branchFeedWhole)
	case now > before:
		m.campus.cover(branchFeedStep)
	}
}

// stepsMax is more than any journal of a story needs.
const stepsMax = 50

// stop ends the programs, in whatever state they are.
func (m *machine) stop() {
	if m.programs == nil {
		return
	}
	m.book.Close()  //nolint:errcheck // its disk may be without power
	m.feeds.Close() //nolint:errcheck // the same
	m.programs = nil
}

// crash cuts the machine's power.
func (m *machine) crash() {
	before := m.disk
	m.disk = before.Cut(m.campus.dice.Rand)
	m.stop()
	before.Close()
	if card := m.card; card != nil {
		m.card = card.Cut(m.campus.dice.Rand)
		card.Close()
	}
}

// close throws the machine away. Without power its programs end at once: nobody
// will look at what they would still have put in order.
func (m *machine) close() {
	m.disk.PowerOff()
	m.stop()
	m.disk.Close()
	m.client.Close()
	if m.card != nil {
		m.card.Close()
	}
	if m.image != nil {
		m.image.disk.Close()
	}
}

// archive writes the journal out as a referee takes it, who has nothing of ours but the
// document.
func (m *machine) archive(ctx context.Context) ([]byte, error) {
	entries, err := m.book.Since(ctx, 1, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	var prev journal.Hash
	var tree journal.Frontier
	bodies := func(yield func([]byte, error) bool) {
		for _, e := range entries {
			body := e.Encode(prev)
			prev = journal.HashOf(body)
			tree.Append(prev)
			if !yield(body, nil) {
				return
			}
		}
	}
	note := func() ([]byte, error) {
		c := journal.Checkpoint{Terminal: m.station.ID, Epoch: m.book.Epoch(), Size: tree.Size, Root: tree.Root()}
		return c.Sign(m.station.Key)
	}
	key, campus := m.station.Key.Public().(ed25519.PublicKey), m.campus.works.Keys.Campus()
	certificate, err := journal.Certify(m.station.ID, key, virtual.Morning, campus)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = journal.WriteArchive(&out, certificate, bodies, note)
	return out.Bytes(), err
}

// shelf is a machine's journal as its Pusher sees it.
type shelf struct {
	*ledger.Book
	campus *Campus
}

// Old implements [push.Book].
func (s shelf) Old(ctx context.Context, theirs journal.Head, most int) (journal.Batch, error) {
	b, err := s.Book.Old(ctx, theirs, most)
	if err == nil {
		s.campus.cover(branchOldPushed)
	}
	return b, err
}

// teller is a machine's journal as the flows see it. Whatever is promised to
// them is promised to the oracle too.
type teller struct {
	*ledger.Book
	machine *machine
}

// Append implements [kiosk.Book].
func (t teller) Append(ctx context.Context, e journal.Entry) (journal.Entry, error) {
	return t.machine.append(context.WithoutCancel(ctx), e) // see live
}

// AppendAt implements [kiosk.Book].
func (t teller) AppendAt(ctx context.Context, e journal.Entry, epoch journal.Epoch, seq int64) (journal.Entry, error) {
	return t.machine.appendAt(context.WithoutCancel(ctx), e, journal.Position{Epoch: epoch, Seq: seq})
}

var _ kiosk.Book = teller{}
