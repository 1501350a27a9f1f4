package campus

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"time"

	"quancun/journal"
	baths "quancun/kiosk/service/bath"
	"quancun/lab/disk"
	"quancun/money"
	"quancun/tools/sim/auditor"
	"quancun/tools/sim/outside"
	"quancun/tools/sim/treasury"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/bath"
	"quancun/upstream/biller"
	bills "quancun/upstream/biller/service"
	"quancun/upstream/biller/setup"
	"quancun/upstream/biller/vendor"
	"quancun/upstream/centre/counter"
	"quancun/upstream/channel"
	"quancun/upstream/clearing"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/lost"
	"quancun/upstream/payment"
	"quancun/upstream/reconcile"
	"quancun/upstream/server"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

const (
	yuan       = money.Yuan
	dailyLimit = 50 * yuan // above which the PIN is asked
)

// office is the upstream: its machine, and the real server and store on it.
type office struct {
	campus  *Campus
	disk    *disk.Disk
	backup  *disk.Disk                 // last night's; nil: none yet
	epochs  map[*machine]journal.Epoch // that machines were in then
	books   *store.Books
	server  *server.Server
	handler http.Handler
	journal *ingest.Ingest
	desk    *biller.Desk
	codes   *payment.Desk
	baths   *bath.Desk
	lost    map[string]bool // reservations that it has lost: see [auditor.Office]
	dying   bool            // its disk fails
	auditor *auditor.Office
}

// down reports whether the upstream answers nobody.
func (o *office) down() bool { return o.server == nil }

// policy is what the school has decided.
var policy = server.Policy{
	TopUpChoices: []money.Fen{20 * yuan, 50 * yuan}, TopUpMin: yuan, TopUpMax: 500 * yuan,
	BalanceCap: 2000 * yuan, PurseCeiling: 1000 * yuan, Pay: 90 * time.Second,
}

// pace lets every order be due at each round. How far apart rounds are is the
// campus's to say, and between two tries in one call nobody has to wait.
var pace = server.Pace{
	Start: time.Minute, Wait: 3 * time.Second, Grace: 10 * time.Second,
	Retry: 4, Watch: 4, Late: 3 * time.Hour, Call: time.Minute,
}

// start starts the upstream on what is on its disk.
func (o *office) start(ctx context.Context) {
	if err := o.open(ctx); err != nil {
		o.campus.wrong("the upstream does not start: %v", err)
	}
}

func (o *office) open(ctx context.Context) error {
	books, err := store.Open(ctx, works.Drive{Disk: o.disk}.DSN(works.BooksPath), o.now)
	if err != nil {
		return err
	}
	o.dying = false
	o.books, o.auditor = books, auditor.NewOffice(books, o.campus.reserve)
	o.auditor.Lost = o.lost
	k := o.campus.works.Keys
	o.journal = ingest.New(books, k, ingest.Policy{CardReserve: o.campus.reserve, DailyLimit: dailyLimit})
	o.server = server.New(server.Config{
		Journals: o.journal, Log: o.campus.log,
		Feeds: &feed.Publisher{Books: books, Campus: k.Campus()},
		Books: books, Keys: k, Channel: o.campus.payments, Policy: policy, Pace: pace,
		Now: o.now, Stretch: works.Stretch, SchoolZH: "示范大学", SchoolEN: "Demo University",
	})
	signs := staff.NewServer(staff.NewRoll(books), o.server)
	o.server.Services = append(o.server.Services, signs, counter.New(counter.Config{
		Books: books, Server: o.server, Sessions: signs.Sessions(), Terms: counter.Terms{DailyLimit: dailyLimit},
	}))
	o.billing()
	o.codes = payment.New(payment.Config{
		Books: books, Channel: o.campus.payments, Pace: codePace, Now: o.now, Log: o.campus.log,
	})
	o.server.Services = append(o.server.Services, o.codes)
	o.baths = bath.New(bath.Config{
		Books: books, Master: o.campus.works.Baths, Policy: works.BathPolicy(), Reserve: o.campus.reserve,
		Hearing: bath.Hearing, Log: o.campus.log,
	})
	o.server.Services = append(o.server.Services, bath.NewServer(o.baths, o.server),
		lost.NewServer(lost.New(books, lost.Policy{Risk: works.LossRisk}), o.server))
	o.handler = o.server.Handler()
	return nil
}

// codePace is pace's for payments by code.
var codePace = payment.Pace{Retry: 4, Watch: 4, Late: 3 * time.Hour}

// billPace is pace's for bills: what is not decided is asked about at each round.
var billPace = biller.Pace{Retry: 4, Watch: 4, Late: 8 * time.Hour}

// billing has the server answer about bills.
func (o *office) billing() {
	o.desk = biller.New(biller.Config{
		Books: o.books, Reserve: o.campus.reserve, Pace: billPace, Now: o.now, Log: o.campus.log,
		Billers: map[string]vendor.Biller{
			setup.NetworkName: o.campus.network, setup.ElectricityName: o.campus.meters,
		},
	})
	shown := bills.Biller{Name: setup.NetworkName, TitleZH: "校园网", Min: yuan, Max: 200 * yuan, Pays: true}
	rooms := shown
	rooms.Name, rooms.TitleZH, rooms.Rooms = setup.ElectricityName, "电费", o.campus.meters
	o.server.Services = append(o.server.Services, bills.New(bills.Config{
		Desk: o.desk, Holders: o.server, Books: o.books, Billers: []bills.Biller{shown, rooms},
	}))
}

// attend lets the upstream ask the payment service and the billers about what is
// due.
func (o *office) attend(ctx context.Context) {
	if o.down() {
		return
	}
	if err := errors.Join(o.server.Attend(ctx), o.desk.Attend(ctx), o.codes.Attend(ctx)); err != nil {
		o.campus.note("upstream attends: %v", err)
	}
	o.lapse(ctx)
}

// lapse lets go of what baths hold and no controller has said anything about for a day.
func (o *office) lapse(ctx context.Context) {
	now := o.now()
	n, err := o.baths.Lapse(ctx)
	if err != nil {
		o.campus.note("upstream lets no bath go: %v", err)
		return
	}
	o.auditor.Lapsed(now.Add(-works.BathPolicy().ReleasedIn))
	o.campus.covered[branchBathLapsed] += n
	o.bringBack(ctx)
}

// decide has people at the card centre find out what the upstream has left to
// them: they look at the biller's own books, once those will not change any more.
func (o *office) decide(ctx context.Context) {
	if o.down() {
		return
	}
	lines, err := o.books.Exceptions(ctx)
	if err != nil {
		o.campus.note("the inbox is not read: %v", err)
		return
	}
	for _, l := range lines {
		if l.Kind != billToFindOut && l.Kind != billTooLate {
			continue
		}
		b, err := o.desk.Bill(ctx, l.Ref)
		if err != nil || !o.campus.biller(b.Biller).Decided(b.No) {
			continue
		}
		d := biller.Decision{OrderNo: b.No, Evidence: "the biller's books", ByOne: "a", ByTwo: "b"}
		d.Booked = o.campus.biller(b.Biller).Booked(b.No) > 0
		b, err = o.desk.Decide(ctx, d)
		o.campus.note("people find out that bill %s was booked: %t; state %d, %v", l.Ref, d.Booked, b.State, err)
		if err == nil {
			o.campus.cover(branchBillDecided)
		}
	}
}

// Lines of the inbox that are about bills.
const (
	billToFindOut = "bill to be found out"
	billTooLate   = "bill booked after its release"
)

func (o *office) now() time.Time { return o.campus.world.Now }

// stop ends the program, in whatever state its disk is.
func (o *office) stop() {
	if o.books != nil {
		o.books.Close() //nolint:errcheck // its disk may be without power
	}
	o.books, o.server, o.handler = nil, nil, nil
}

// crash cuts the power. What was not synced is lost, or not, as dice decide.
func (o *office) crash() {
	o.campus.note("upstream: power cut")
	o.campus.cover(branchOfficeCut)
	before := o.disk
	o.disk = before.Cut(o.campus.dice.Rand)
	o.stop()
	before.Close()
}

// dieIfDying cuts the power if the disk fails, since the program then stops itself.
func (o *office) dieIfDying() {
	if o.dying {
		o.dying = false
		o.crash()
	}
}

// keepBackup puts a copy of the books away, as every night.
func (o *office) keepBackup(context.Context) {
	if o.backup != nil {
		o.backup.Close()
	}
	o.backup, o.epochs = o.disk.Clone(), map[*machine]journal.Epoch{}
	for _, m := range o.campus.machines {
		if m.on() {
			o.epochs[m] = m.book.Epoch()
		}
	}
}

// restoreBefore restores a backup that is older than some machine's epoch.
func (o *office) restoreBefore(ctx context.Context) {
	for _, m := range o.campus.machines {
		if before, known := o.epochs[m]; known && m.on() && m.book.Epoch() != before {
			o.restore(ctx)
			return
		}
	}
}

// restore starts again from the last backup.
func (o *office) restore(ctx context.Context) {
	if o.backup == nil {
		return
	}
	o.campus.note("upstream: restored from a backup")
	o.campus.cover(branchRestored)
	o.campus.restored = true
	o.disk.PowerOff() // what is on it is of no more use
	o.stop()
	o.disk.Close()
	o.disk = o.backup.Clone()
	o.start(ctx)
	for _, p := range o.campus.cards {
		p.stopped = false // whether it was in the copy: see judgeRequests
	}
	if !o.down() {
		o.campus.oracle.excuse(ctx, o.campus.oracle.order)
		o.loseBaths(ctx)
	}
}

// report has the operator report a card lost, or found again.
func (c *Campus) report(ctx context.Context) {
	p := virtual.Pick(c.dice, c.cards)
	c.setHot(ctx, p, !p.hot)
}

func (c *Campus) setHot(ctx context.Context, p *plastic, hot bool) {
	if c.office.down() || p.hot == hot {
		return
	}
	status := store.CardActive
	if hot {
		status = store.CardHot
	}
	err := c.office.books.SetCardStatus(ctx, p.no, status)
	if err == nil {
		p.hot = hot
	}
	if !hot && (err == nil || errors.Is(err, store.ErrUnknown)) { // then it may have been
		if p.stopped {
			c.cover(branchLossUndone)
		}
		p.stopped, p.undone = false, c.world.Now
	}
	c.note("card %s has status %d: %v", p.name(), status, err)
}

// close throws the machine away, as that of a terminal.
func (o *office) close() {
	o.disk.PowerOff()
	o.stop()
	o.disk.Close()
	if o.backup != nil {
		o.backup.Close()
	}
}

// newTreasury makes the finance office.
func (c *Campus) newTreasury() *treasury.Office {
	o := &treasury.Office{
		World: c.world, Dice: c.dice, Log: c.log, Note: c.note, Wrong: c.wrong,
		Met:      func(e treasury.Event) { c.cover(decided[e]) },
		Payments: c.payments,
		Billers: map[reconcile.Source]*outside.Biller{
			"biller/" + setup.NetworkName: c.network.Biller, "biller/" + setup.ElectricityName: c.meters,
		},
		Payer: func(no string) (store.Account, bool) {
			for _, o := range c.orders {
				if o.no == no {
					return store.HolderAccount(o.holder.account), true
				}
			}
			return "", false
		},
	}
	return o.Open()
}

// morning lets the night pass, and has the finance office do its day's work.
func (c *Campus) morning(ctx context.Context) {
	next := channel.DayOf(c.world.Now).Add(1).Start().Add(9*time.Hour + 30*time.Minute)
	for c.world.Now.Before(next) {
		c.world.Pass(min(30*time.Minute, next.Sub(c.world.Now)))
		c.baths.Live()
	}
	if c.office.down() {
		return
	}
	err := c.treasury.Work(ctx, c.office.books)
	c.note("treasury: its work is done: %v", err)
	if !c.healed && c.dice.OneIn(6) {
		c.office.restore(ctx) // and nothing of it was done
	}
}

// reconcile has the finance office work until nothing differs any more, and holds the
// books against those of everybody outside.
func (c *Campus) reconcile(ctx context.Context) {
	c.treasury.Calm = true
	for n := 0; n < 3 || n < 6 && len(c.differs(ctx)) > 0; n++ { // a day without a bill counts a day later
		c.morning(ctx)
		c.office.attend(ctx)
		c.office.decide(ctx)
	}
	for _, x := range c.differs(ctx) {
		c.wrong("nobody can close line %d: %s %s, %s", x.ID, x.Kind, x.Ref, x.NextStep)
	}
	if c.broken != nil {
		return
	}
	have, err := c.office.balances(ctx)
	if err != nil {
		c.wrong("%v", err)
		return
	}
	want := map[string]money.Fen{
		string(store.ChannelAlipay): -c.payments.Holds(), string(clearing.Bank): 0,
	}
	for source, b := range c.treasury.Billers {
		want[string(source)] = b.Owed()
	}
	for _, paid := range c.treasury.Transferred() {
		want[string(clearing.Bank)] += paid
	}
	for account, sum := range want {
		if have[account] != sum {
			c.wrong("%s holds %s, and by the books of those outside %s", account, have[account], sum)
		}
	}
}

// differs returns the open lines about what others have in their books.
func (c *Campus) differs(ctx context.Context) []clearing.Exception {
	all, err := clearing.New(c.office.books).Exceptions(ctx, false)
	if err != nil {
		c.wrong("the inbox is not read: %v", err)
	}
	return slices.DeleteFunc(all, func(x clearing.Exception) bool { return x.Source == "" })
}

// decisions are the entries that people have made.
func (c *Campus) decisions(ctx context.Context, move func(from, to string, f money.Fen)) error {
	return c.office.books.Read(ctx, func(tx *sqldb.Tx) error {
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var from, to string
			var f money.Fen
			err := rows.Scan(&from, &to, &f)
			move(from, to, f)
			return err
		}, `SELECT debit, credit, amount_fen FROM entries WHERE kind = ? AND place = 'clearing'
			UNION ALL SELECT debit, credit, amount_fen FROM entries WHERE kind = ?`,
			store.KindCorrection, store.KindPaidOut)
	})
}

// loseBaths notes which reservations were made, as terminals' journals say, and are not in
// the books that were restored.
func (o *office) loseBaths(ctx context.Context) {
	all, err := o.reservations(ctx)
	if err != nil {
		o.campus.wrong("%v", err)
	}
	for _, s := range o.campus.oracle.order {
		r, err := s.Request()
		if s.Kind == journal.RequestEnd && err == nil && r.Service == baths.Service && s.Outcome == journal.Done {
			_, here := all[s.Ref]
			o.lost[s.Ref] = o.lost[s.Ref] || !here
		}
	}
}

func (o *office) reservations(ctx context.Context) (map[string]auditor.Reservation, error) {
	all := map[string]auditor.Reservation{}
	err := o.books.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := auditor.Reservations(ctx, tx)
		for _, r := range list {
			all[r.Ref] = r
		}
		return err
	})
	return all, err
}

// bringBack has the upstream reserve again what it has lost.
func (o *office) bringBack(ctx context.Context) {
	c := o.campus
	var was map[string]auditor.Reservation
	var err error
	if c.restored {
		was, err = o.reservations(ctx)
	}
	n, err2 := o.baths.BringBack(ctx)
	if err := errors.Join(err, err2); err != nil {
		c.note("lost baths do not come back: %v", err)
		return
	}
	if n == 0 {
		return
	}
	c.note("%d lost baths come back", n)
	if !c.restored {
		c.wrong("%d baths came back, and none were lost", n)
	}
	is, err := o.reservations(ctx)
	if err != nil {
		c.note("reservations are not read: %v", err)
		return
	}
	for ref, r := range is {
		c.cameBack(was[ref], r)
	}
}
