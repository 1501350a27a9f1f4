package ingest

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quancun/journal"
	"quancun/pboc"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ClaimState says what has become of a claim. Stored: never renumbered; those
// of a load are the load's own.
type ClaimState int

// The states of a claim. One that is not written may still prove written.
const (
	ClaimOpen       ClaimState = 1
	ClaimWritten    ClaimState = 2
	ClaimNotWritten ClaimState = 3
)

// claim is a write to a card whose outcome its terminal could not learn.
type claim struct {
	journal.Claim
	id       int64
	opened   time.Time
	account  store.Account // "" for a card that we do not know
	merchant string
	state    ClaimState
	evidence string
	proven   bool
	changed  bool
}

// verdict is what evidence says of a claim.
type verdict struct {
	happened bool
	proven   bool // by the card's TAC
	rival    bool // the card has proved another purchase at the claim's counter
	by       string
	at       journal.Position // of the entry that brings it
	made     time.Time
	source   *store.Source // of the claim's own end; nil for all else
}

const claimColumns = `
	SELECT c.id, c.terminal, j.epoch, c.seq, c.kind, c.ref, c.card_no, c.account, c.merchant, c.amount_fen,
		c.balance, c.counter, c.key_version, c.algorithm, c.terminal_no, c.trace_no, c.stamp,
		c.opened_ms, c.state, c.evidence, c.proven
	FROM claims c JOIN journals j ON j.id = c.journal `

func scanClaim(row sqldb.Row) (*claim, error) {
	var c claim
	var epoch, terminalNo, stamp []byte
	var opened int64
	err := row.Scan(&c.id, &c.Terminal, &epoch, &c.Seq, &c.Kind, &c.Ref, &c.Card, &c.account, &c.merchant, &c.Amount,
		&c.Purse.Balance, &c.Purse.Counter, &c.Purse.KeyVersion, &c.Purse.Algorithm, &terminalNo, &c.Purse.TraceNo,
		&stamp, &opened, &c.state, &c.evidence, &c.proven)
	if err != nil {
		return nil, err
	}
	c.Epoch, c.opened = journal.Epoch(epoch), time.UnixMilli(opened)
	c.Purse.TerminalNo, c.Purse.Stamp = pboc.TerminalNo(terminalNo), pboc.Stamp(stamp)
	return &c, nil
}

// readClaims adds claims to those that are worked on. What is there already
// stays, with what this push has made of it.
func (d *desk) readClaims(where string, args ...any) (found []*claim, err error) {
	err = sqldb.Each(d.ctx, d.tx, func(rows *sql.Rows) error {
		c, err := d.addClaim(rows)
		found = append(found, c)
		return err
	}, claimColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	return found, nil
}

// addClaim adds a claim that was read to those that are worked on, and returns
// the one that is there then.
func (d *desk) addClaim(row sqldb.Row) (*claim, error) {
	c, err := scanClaim(row)
	if err != nil {
		return nil, err
	}
	if d.claims[c.id] == nil {
		d.claims[c.id] = c
	}
	return d.claims[c.id], nil
}

// findOpenClaims finds the claims on all cards that facts name that may still
// be settled: the open ones, and those that were called written by a counter,
// which another purchase of the same amount may have moved.
func (d *desk) findOpenClaims(facts []fact) []sqldb.Step {
	cards := map[string]bool{}
	for i := range facts {
		if facts[i].fault == nil {
			cards[facts[i].entry.Card] = true
		}
	}
	nos := names(cards)
	if len(nos) == 0 {
		return nil
	}
	return []sqldb.Step{{
		Statement: claimColumns + `WHERE (c.state = 1 OR c.state = 2 AND NOT c.proven) AND c.card_no = ANY (?)`,
		Args:      []any{nos},
		Row:       func(row sqldb.Row) error { _, err := d.addClaim(row); return err },
	}}
}

// openOn returns the open claims on a card, oldest first.
func (d *desk) openOn(card string) []*claim {
	return d.claimsOn(card, func(c *claim) bool { return c.state == ClaimOpen })
}

// unproven returns the claims on a card that are open, or were called written
// without the card's proof, oldest first.
func (d *desk) unproven(card string) []*claim {
	return d.claimsOn(card, func(c *claim) bool { return c.state == ClaimOpen || c.state == ClaimWritten && !c.proven })
}

func (d *desk) claimsOn(card string, which func(*claim) bool) (found []*claim) {
	for _, c := range d.claims {
		if c.Card == card && which(c) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *claim) int { return int(a.id - b.id) })
	return found
}

// claimOf returns the claim of the terminal's own intent.
func (d *desk) claimOf(ref string) (*claim, error) {
	found, err := d.readClaims(`WHERE c.terminal = ? AND c.ref = ?`, d.terminal, ref)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no claim of %s, though its intent has one", ref)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// open writes a claim down, or returns nil if one of this name has ended before. The
// card's word about it is the intent's.
func (d *desk) open(in *intent, account store.Account) (*claim, error) {
	var p journal.Purse // of a terminal number that is none: no counter settles it
	if in.Purse != nil {
		p = *in.Purse
	}
	c := &claim{opened: d.now, account: account, merchant: in.Merchant, state: ClaimOpen, Claim: journal.Claim{
		Position: in.Position(), Kind: in.Kind, Ref: in.Ref, Card: in.Card, Amount: in.Amount, Purse: p,
	}}
	err := d.tx.QueryRow(d.ctx, `
		INSERT INTO claims (journal, seq, terminal, kind, ref, card_no, account, merchant, amount_fen,
			balance, counter, key_version, algorithm, terminal_no, trace_no, stamp, opened_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (terminal, ref) DO NOTHING RETURNING id`,
		in.journal, in.Seq, d.terminal, int64(in.Kind), in.Ref, in.Card, account, in.Merchant, in.Amount,
		int64(p.Balance), int64(p.Counter), int64(p.KeyVersion), int64(p.Algorithm), p.TerminalNo[:],
		int64(p.TraceNo), p.Stamp[:], d.now.UnixMilli()).Scan(&c.id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		d.except(IntentTwice, in.Position(), "it was in doubt before under this name, and has ended")
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("open claim: %w", err)
	}
	d.claims[c.id] = c
	in.claimed, in.changed = true, true
	return c, nil
}

// claimSale opens the claim of a purchase, and puts its amount into suspense.
// source is the terminal's own entry about that, nil if there is none.
func (d *desk) claimSale(in *intent, source *store.Source) error {
	account, known := d.holder(in.Entry)
	if !known {
		account = ""
		d.except(UnknownCard, in.Position(), "card %s is in doubt", in.Card)
	}
	c, err := d.open(in, account)
	if err != nil || c == nil {
		return err
	}
	d.ended[in.Ref] = HoldCaptured
	d.book(booking{at: in.Position(), Entry: move{c.owner(), c.suspense(), c.Amount}.entry(store.Entry{
		Kind: store.KindDoubt, Place: in.Merchant, Made: in.At, Source: source, Claim: c.id,
	})})
	return d.settleLate(c)
}

func (c *claim) suspense() store.Account { return store.Account(journal.SuspenseAccount(c.Terminal)) }

// owner is whose money it is: what nobody owns stays in suspense.
func (c *claim) owner() store.Account {
	if c.account == "" {
		return c.suspense()
	}
	return c.account
}

func (c *claim) payee() store.Account { return store.Account(journal.MerchantAccount(c.merchant)) }

// settle does what evidence says. The first settles; the same again changes
// nothing; and of what contradicts it only the card's own proof counts: that it
// was written, or that what was taken for it was another purchase. Nothing is
// undone but by an entry that names what it undoes.
func (d *desk) settle(c *claim, v verdict) error {
	if c.Kind == journal.LoadIntent {
		return d.settleLoad(c, v)
	}
	switch written := c.state == ClaimWritten; {
	case c.state == ClaimOpen && v.happened:
		return d.settleUse(c, v, store.KindSettlement, c.suspense())
	case c.state == ClaimOpen:
		return d.settleSale(c, v, store.KindSettlement, move{c.suspense(), c.owner(), c.Amount})
	case written && v.happened && v.proven && !c.proven:
		c.proven, c.changed = true, true
		return d.settleRivals(c.use(), v)
	case written == v.happened:
		return nil
	case v.happened && v.proven:
		d.exceptAmount(Corrected, v.at, c.Amount,
			fmt.Sprintf("%s was called not written by %s", c.Position, c.evidence))
		return d.settleUse(c, v, store.KindCorrection, c.owner())
	case v.rival && !c.proven:
		e := exception(Corrected, v.at, fmt.Sprintf("%s was called written by %s", c.Position, c.evidence))
		e = standing(e, "", c.Amount)
		if c.account == "" { // it is whose that has paid for it since
			e.Account, e.NextStep = c.suspense(), care[UnknownCard].next
		}
		d.exceptions = append(d.exceptions, e)
		return d.settleSale(c, v, store.KindCorrection, move{c.payee(), c.owner(), c.Amount})
	}
	d.exceptAmount(Contradicted, v.at, c.Amount, fmt.Sprintf("%s was settled by %s, now the other way by %s",
		c.Position, c.evidence, v.by))
	return nil
}

// settleUse pays for a claim from where its amount is, and settles those that
// were at the same counter.
func (d *desk) settleUse(c *claim, v verdict, k store.Kind, from store.Account) error {
	if err := d.settleSale(c, v, k, move{from, c.payee(), c.Amount}); err != nil || c.wordless() {
		return err
	}
	return d.settleRivals(c.use(), v)
}

func (d *desk) settleSale(c *claim, v verdict, k store.Kind, m move) error {
	b := booking{at: v.at, Entry: m.entry(store.Entry{
		Kind: k, Place: c.merchant, Made: v.made, Source: v.source, Claim: c.id,
	})}
	if err := d.undo(&b, c); err != nil {
		return err
	}
	if err := d.noteSettled(c, v); err != nil {
		return err
	}
	if _, known := d.cards[c.Card]; known && v.happened != (c.state == ClaimWritten) {
		amount := -c.Amount
		if !v.happened { // what the purse was taken to hold less
			amount = c.Amount
		}
		b.move = &store.PurseMove{
			CardNo: c.Card, Amount: amount, Place: c.merchant,
			Counter: c.Purse.Counter, Before: pboc.Fen(c.Purse.Balance), Proven: v.proven,
		}
	}
	if c.account == "" && v.happened { // the merchant is paid by nobody yet
		e := exception(UnknownCard, v.at, "card "+c.Card)
		e.Ref += " for " + c.Position.String() // beside the line that says that it is in doubt
		d.exceptions = append(d.exceptions, standing(e, c.suspense(), -c.Amount))
	}
	d.book(b)
	c.state, c.evidence, c.proven, c.changed = ClaimNotWritten, v.by, v.proven, true
	if v.happened {
		c.state = ClaimWritten
	}
	return nil
}

// undo lets a booking name the claim's last entry, which it goes on from.
func (d *desk) undo(b *booking, c *claim) error {
	for i, other := range slices.Backward(d.bookings) {
		if other.Claim == c.id {
			b.UndoesAt = i + 1
			return nil
		}
	}
	var last sql.NullInt64
	err := d.tx.QueryRow(d.ctx, `SELECT max(id) FROM entries WHERE claim_id = ?`, c.id).Scan(&last)
	if err != nil {
		return fmt.Errorf("read claim's entries: %w", err)
	}
	b.Undoes = last.Int64
	return nil
}

// writeClaims writes what has become of claims of purchases. Those of loads
// move with their loads.
func (d *desk) writeClaims() error {
	for _, c := range d.claims {
		if !c.changed || c.Kind == journal.LoadIntent {
			continue
		}
		_, err := d.tx.Exec(d.ctx, `UPDATE claims SET state = ?, evidence = ?, proven = ?, settled_ms = ? WHERE id = ?`,
			int64(c.state), c.evidence, c.proven, d.now.UnixMilli(), c.id)
		if err != nil {
			return fmt.Errorf("write claim: %w", err)
		}
	}
	return nil
}

// settleOwn settles a claim by the entry in which its own terminal ends it.
func (d *desk) settleOwn(c *claim, f *fact) error {
	e := f.entry
	source := f.source
	return d.settle(c, verdict{
		happened: e.Outcome.Happened(), proven: f.tac == tacRight, by: e.Outcome.String() + " at " + e.Terminal,
		at: e.Position(), made: e.At, source: &source,
	})
}

// prove takes what a card says at one terminal of another's claim.
func (d *desk) prove(f *fact) error {
	e := f.entry
	found, err := d.readClaims(`WHERE c.terminal = ? AND j.epoch = ? AND c.seq = ?`,
		e.Origin.Terminal, e.Origin.Epoch[:], e.Origin.Seq)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		early := exception(EarlyEvidence, e.Position(), fmt.Sprintf("%s for %s", e.Outcome, e.Origin))
		early.Ref = earlyFor(e.Origin) + e.Position().String()
		d.exceptions = append(d.exceptions, early)
		return nil
	}
	return d.proveClaim(meant(found, e), e)
}

// meant returns which of the claims at a position evidence is about. There are
// two where two machines with one identity have used the same number.
func meant(found []*claim, e journal.Entry) *claim {
	best := found[0]
	for _, c := range found {
		same := e.Purse != nil && e.Purse.Counter == c.Purse.Counter && e.Purse.TraceNo == c.Purse.TraceNo &&
			e.Purse.Stamp == c.Purse.Stamp
		if c.Card == e.Card && (same || best.Card != e.Card) {
			best = c
		}
	}
	return best
}

func (d *desk) proveClaim(c *claim, e journal.Entry) error {
	var how struct {
		By string `json:"by"`
	}
	details(e, &how)
	v := verdict{
		happened: e.Outcome.Happened(), by: strings.TrimSpace(how.By + " at " + e.Terminal),
		at: e.Position(), made: e.At,
	}
	if c.Card != e.Card {
		d.exceptAmount(NoEvidence, e.Position(), c.Amount, fmt.Sprintf("of card %s for %s", e.Card, c.Position))
		return nil
	}
	hasTAC := e.Purse != nil && e.Purse.TAC.Valid()
	if v.happened && hasTAC {
		var err error
		if v.proven, err = d.tacProves(c, e.Purse.TAC); err != nil {
			return err
		}
	}
	// The card answers GET TRANSACTION PROVE with a TAC of whatever it did at
	// that counter, and with 9406 also when it has done something since.
	if !v.proven && (v.happened && hasTAC || how.By == "prove") {
		d.exceptAmount(NoEvidence, e.Position(), c.Amount,
			fmt.Sprintf("%s by %q for %s", e.Outcome, how.By, c.Position))
		return nil
	}
	return d.settle(c, v)
}

// tacProves reports whether a TAC is the card's word that it did what a claim
// is about.
func (d *desk) tacProves(c *claim, tac pboc.MAC) (bool, error) {
	known, ok := d.cards[c.Card]
	if !ok {
		return false, nil
	}
	if c.Kind == journal.LoadIntent {
		return d.loadProven(c, tac)
	}
	return d.g.purchaseProven(d.ctx, known.factor, pboc.Purchase{
		Amount: c.Amount, Terminal: c.Purse.TerminalNo, TraceNo: c.Purse.TraceNo, At: c.Purse.Stamp,
	}, tac)
}

// settleLate settles a claim by what was known before it came.
func (d *desk) settleLate(c *claim) error {
	if err := d.useEarly(c); err != nil || c.state != ClaimOpen || c.wordless() {
		return err
	}
	if c.Kind == journal.SaleIntent {
		if err := d.settleByMoves(c); err != nil || c.state != ClaimOpen {
			return err
		}
	}
	return d.settleBySighting(c)
}

// What settles a claim without anybody having asked the card about it.
const (
	rivalry = "another purchase at this counter"
	counter = "counter"
)

// earlyFor begins the names of all evidence for a claim that has not come yet.
// Each has its own, since the first may turn out to be none.
func earlyFor(claim journal.Position) string { return claim.String() + " by " }

// useEarly settles a claim by evidence that came before it.
func (d *desk) useEarly(c *claim) error {
	lines, err := store.ReadExceptions(d.ctx, d.tx, `
		WHERE kind = ?1 AND substr(ref, 1, length(?2)) = ?2 AND closed_ms IS NULL ORDER BY id`,
		string(EarlyEvidence), earlyFor(c.Position))
	if err != nil {
		return err
	}
	for _, line := range lines {
		if slices.ContainsFunc(d.bookings, func(b booking) bool { return b.closes == line.ID }) {
			continue // another claim has used it
		}
		at := journal.Position{Terminal: line.Terminal, Epoch: journal.Epoch(line.Epoch), Seq: line.Seq}
		e, err := d.evidenceAt(at, c.Position)
		if err == nil && e.Card != c.Card {
			continue // it is about the claim of another machine under this number
		}
		before := len(d.bookings)
		if err == nil {
			err = d.proveClaim(c, e)
		}
		if err == nil {
			err = d.closeUsed(line.ID, before)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// evidenceUsed is why a line about evidence that came early is closed.
const evidenceUsed = "used when the claim came"

// closeUsed closes such a line by the first of the bookings that it has led to, once
// that is posted. Without any it has moved nothing: a card's mirror alone, or it
// was no evidence, which is a line of its own then.
func (d *desk) closeUsed(line int64, before int) error {
	if len(d.bookings) > before {
		d.bookings[before].closes = line
		return nil
	}
	return d.g.books.CloseException(d.ctx, d.tx, line, 0, evidenceUsed)
}

// evidenceAt reads the evidence at a position, whoever has brought it. Where two
// machines have used one number, it is the one that is about the claim.
func (d *desk) evidenceAt(at, claim journal.Position) (journal.Entry, error) {
	return d.entryAt(at, func(e journal.Entry) bool { return e.Kind == journal.Evidence && e.Origin == claim })
}
