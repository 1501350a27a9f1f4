package ingest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/hot"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// intent is what a terminal has announced and not ended.
type intent struct {
	journal.Entry
	journal int64
	body    []byte
	claimed bool // a claim has been opened for it

	stored  bool // it is in the books
	changed bool // claimed is not
	ended   bool
}

// readIntents reads the open intents of these refs.
func (d *desk) readIntents(refs []string) error {
	if err := d.tx.Run(d.ctx, d.findIntents(refs)...); err != nil {
		return fmt.Errorf("read intents: %w", err)
	}
	return nil
}

// findIntents finds the open intents that entries are about.
func (d *desk) findIntents(refs []string) []sqldb.Step {
	if len(refs) == 0 {
		return nil
	}
	return []sqldb.Step{{
		Statement: `
			SELECT i.journal, j.epoch, i.seq, i.claimed, i.body FROM intents i JOIN journals j ON j.id = i.journal
			WHERE i.terminal = ? AND i.ref = ANY (?)`,
		Args: []any{d.terminal, refs},
		Row:  d.scanIntent,
	}}
}

func (d *desk) scanIntent(row sqldb.Row) error {
	in := &intent{stored: true}
	at := journal.Position{Terminal: d.terminal}
	var epoch []byte
	if err := row.Scan(&in.journal, &epoch, &at.Seq, &in.claimed, &in.body); err != nil {
		return err
	}
	at.Epoch = journal.Epoch(epoch)
	in.Entry = readItem(at, in.body).entry // it had no fault when it was taken
	if d.intents[in.Ref] == nil {          // otherwise it has moved in this push
		d.intents[in.Ref] = in
	}
	return nil
}

// writeIntents keeps what is open, and forgets what has ended.
func (d *desk) writeIntents() error {
	var ended, claimed, refs []string
	var terminals []string
	var journals, seqs, kinds []int64
	var claims []bool
	var bodies [][]byte
	for ref, in := range d.intents {
		switch {
		case in.stored && in.ended:
			ended = append(ended, ref)
		case in.stored && in.changed:
			claimed = append(claimed, ref)
		case !in.stored && !in.ended:
			terminals, refs, kinds = append(terminals, d.terminal), append(refs, ref), append(kinds, int64(in.Kind))
			journals, seqs = append(journals, in.journal), append(seqs, in.Seq)
			claims, bodies = append(claims, in.claimed), append(bodies, in.body)
		}
	}
	for _, s := range []struct {
		refs      []string
		statement string
	}{
		{ended, `DELETE FROM intents WHERE terminal = ? AND ref = ANY (?)`},
		{claimed, `UPDATE intents SET claimed = true WHERE terminal = ? AND ref = ANY (?)`},
	} {
		if len(s.refs) == 0 {
			continue
		}
		if _, err := d.tx.Exec(d.ctx, s.statement, d.terminal, s.refs); err != nil {
			return fmt.Errorf("write intents: %w", err)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	err := d.tx.Insert(d.ctx, "intents (terminal, ref, journal, seq, kind, claimed, body)", "",
		terminals, refs, journals, seqs, kinds, claims, bodies)
	if err != nil {
		return fmt.Errorf("write intents: %w", err)
	}
	return nil
}

// announce takes an intent. What the card said then tells about purchases
// before it.
func (d *desk) announce(f *fact) error {
	e := f.entry
	if old := d.intents[e.Ref]; old != nil && !old.ended {
		d.except(IntentTwice, e.Position(), "it is open since %s", old.Position())
		return nil
	}
	d.intents[e.Ref] = &intent{Entry: e, journal: f.journal, body: f.body, stored: d.wasStored(e.Ref)}
	if e.Kind == journal.SaleIntent && e.Purse != nil {
		return d.settleByReading(e.Card, readingOf(*e.Purse))
	}
	return nil
}

// wasStored reports whether the books have an intent of this ref that has
// ended in this push.
func (d *desk) wasStored(ref string) bool { return d.intents[ref] != nil && d.intents[ref].stored }

// intentOf returns the open intent of an end or a doubt, or nil, and puts that into the
// inbox.
func (d *desk) intentOf(f *fact) (*intent, error) {
	e := f.entry
	in := d.intents[e.Ref]
	switch {
	case in == nil || in.ended || in.Kind != e.Kind.Intent():
		return nil, d.noteNoIntent(e)
	case !f.old() && !same(in.Entry, e):
		d.exceptAmount(EndDiffers, e.Position(), e.Amount, fmt.Sprintf("of %s, its intent of %s", e.Amount, in.Amount))
		return nil, nil
	}
	return in, nil
}

// endSale takes the end of a purchase. One that was in doubt is settled by it.
func (d *desk) endSale(f *fact) error {
	in, err := d.intentOf(f)
	if in == nil {
		return err
	}
	e := f.entry
	in.ended = true
	d.ended[e.Ref] = endOf(e)
	d.noteTAC(f)
	if in.claimed {
		c, err := d.claimOf(e.Ref)
		if err != nil {
			return err
		}
		return d.settleOwn(c, f)
	}
	if e.Doubted() {
		d.exceptAmount(RuleBroken, e.Position(), e.Amount, "it ends a doubt that there never was")
		return nil
	}
	b := f.booking(store.KindPurchase, d.explode(e))
	if e.Outcome.Happened() {
		if err := d.noteHot(e); err != nil {
			return err
		}
		b.move = d.purchase(e, f.tac == tacRight)
		if err := d.noteTwice(f); err != nil {
			return err
		}
	}
	d.book(b)
	if f.tac == tacRight {
		return d.settleRivals(use{e.Card, e.Purse.Counter, e.Ref}, verdict{proven: true, at: e.Position(), made: e.At})
	}
	return nil
}

// purchase returns how a purse moves by a purchase, or nil for a card that is
// not ours.
func (d *desk) purchase(e journal.Entry, proven bool) *store.PurseMove {
	if _, ok := d.cards[e.Card]; !ok || e.Purse == nil {
		return nil
	}
	return &store.PurseMove{
		CardNo: e.Card, Amount: -e.Amount, Place: e.Merchant,
		Counter: e.Purse.Counter, Before: pboc.Fen(e.Purse.Balance), Proven: proven,
	}
}

// noteTAC puts a purchase into the inbox that the card has not proved.
func (d *desk) noteTAC(f *fact) {
	e := f.entry
	switch {
	case f.tac == tacWrong:
		d.exceptAmount(TACWrong, e.Position(), e.Amount, "card "+e.Card)
	case e.Outcome == journal.Written && (e.Purse == nil || !e.Purse.TAC.Valid()):
		d.exceptAmount(TACMissing, e.Position(), e.Amount, "card "+e.Card)
	}
}

// doubtSale takes it that nobody knows whether a card was debited.
func (d *desk) doubtSale(f *fact) error {
	in, err := d.intentOf(f)
	if in == nil {
		return err
	}
	if in.claimed {
		d.exceptAmount(IntentTwice, f.entry.Position(), in.Amount, "it is in doubt already")
		return nil
	}
	return d.claimSale(in, &f.source)
}

// standalone are the kinds that say what has happened and stand by themselves.
var standalone = map[journal.Kind]store.Kind{
	journal.CodeSale:    store.KindPurchase,
	journal.ChannelSale: store.KindPurchase,
	journal.CashTopUp:   store.KindCashTopUp,
	journal.PayOut:      store.KindPayOut,
	journal.CashIn:      store.KindCash,
	journal.CashOut:     store.KindCash,
	journal.Counted:     store.KindCount,
	journal.ShiftOpened: store.KindCash,
	journal.Fee:         store.KindFee,
}

func (d *desk) stand(f *fact) error {
	if f.entry.Kind == journal.CodeSale || f.entry.Kind == journal.CashTopUp {
		d.ended[f.entry.Ref] = HoldCaptured
	}
	if f.entry.Kind == journal.CodeSale {
		if err := d.noteHot(f.entry); err != nil {
			return err
		}
		d.noteCode(f)
	}
	if again, err := d.byChannel(f); err != nil || again {
		return err
	}
	d.book(f.booking(standalone[f.entry.Kind], d.explode(f.entry)))
	return nil
}

// byChannel looks at what says that a channel has moved money. It reports
// whether that is booked already: a terminal that was restored from a copy may
// have asked the channel's word again, and a payment is one sale. What the
// channel has not said is posted all the same, as the channel's bill will tell.
func (d *desk) byChannel(f *fact) (again bool, err error) {
	e := f.entry
	if !movesChannel(e) {
		return false, nil
	}
	r, err := d.tx.Exec(d.ctx, `
		INSERT INTO channel_bookings (terminal, ref, journal, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		d.terminal, e.Ref, f.source.Journal, f.source.Seq)
	if err != nil {
		return false, fmt.Errorf("write booking of a channel: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		d.exceptAmount(ChannelTwice, e.Position(), e.Amount, e.Kind.String()+" "+e.Ref)
		return true, err
	}
	says, err := channelSays(d.ctx, d.tx, e)
	if err == nil && !says {
		d.exceptAmount(ChannelDiffers, e.Position(), e.Amount, e.Kind.String()+" "+e.Ref)
	}
	return false, err
}

// movesChannel reports whether an entry says that a channel was paid, or has
// given back.
func movesChannel(e journal.Entry) bool {
	return e.Kind == journal.ChannelSale || e.Kind == journal.Refund && e.Card == "" && e.Account == ""
}

// channelSays reports whether a payment channel has said what an entry says: that
// a sale by code was paid, or that some of it was given back. Entries of other
// kinds need nobody's word.
func channelSays(ctx context.Context, tx *sqldb.Tx, e journal.Entry) (says bool, err error) {
	switch {
	case !movesChannel(e):
		return true, nil
	case e.Kind == journal.ChannelSale:
		err = tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT 1 FROM payments
			WHERE order_no = ? AND state = 4 AND amount_fen = ? AND merchant = ? AND terminal = ?)`,
			e.Ref, e.Amount, e.Merchant, e.Terminal).Scan(&says)
	default:
		err = tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT 1 FROM payment_refunds r JOIN payments p ON p.order_no = r.order_no
			WHERE r.refund_no = ? AND r.state = 2 AND r.amount_fen = ? AND p.merchant = ? AND p.terminal = ?)`,
			e.Ref, e.Amount, e.Merchant, e.Terminal).Scan(&says)
	}
	if err != nil {
		return false, fmt.Errorf("read payment: %w", err)
	}
	return says, nil
}

// noteCode keeps the code of a sale for when the accounts are locked, and puts a
// sale into the inbox that no code proves.
func (d *desk) noteCode(f *fact) {
	e := f.entry
	switch {
	case f.codeFault == nil:
	case f.codeFault.kind == CodeMissing:
		d.uncoded = append(d.uncoded, f)
	default:
		d.exceptAmount(f.codeFault.kind, e.Position(), e.Amount, f.codeFault.detail)
	}
	if f.code != nil {
		made := e.At
		if made.After(d.now) { // by a clock that is ahead: all of years would be one day's
			made = d.now
		}
		d.uses = append(d.uses, phone.Use{
			Source: f.source, Code: *f.code, Amount: e.Amount, Made: made, Alone: !f.approved,
		})
		d.usedAt = append(d.usedAt, e.Position())
	}
}

// oddities are what is odd about a code, as the inbox has it.
var oddities = map[phone.Oddity]ExceptionKind{
	phone.Twice: CodeTwice, phone.Stray: CodeStray, phone.TooHigh: CodeOver, phone.TooMuch: CodeOver,
}

// writeUses writes down which codes were taken, and puts into the inbox what is
// odd about them. The accounts are locked.
func (d *desk) writeUses() error {
	if n := len(d.uncoded); n > 0 { // one line for each journal: it is its program that writes none
		f := d.uncoded[0]
		e := exception(CodeMissing, f.Position, fmt.Sprintf("of %d sales, the first is %s", n, f.entry.Ref))
		e.Ref, e.Amount = f.Terminal+"/"+f.Epoch.String(), f.entry.Amount
		d.exceptions = append(d.exceptions, e)
	}
	found, err := phone.Note(d.ctx, d.tx, d.uses)
	for _, o := range found {
		d.exceptAmount(oddities[o.Oddity], d.usedAt[o.Use], d.uses[o.Use].Amount, o.Detail)
	}
	return err
}

// refund takes what was given back. It is posted in any case, since the holder
// has seen it; all that is given back of one sale should not be more than it.
func (d *desk) refund(f *fact) error {
	e := f.entry
	if again, err := d.byChannel(f); err != nil || again {
		return err
	}
	b := f.booking(store.KindRefund, d.explode(e))
	paid, err := d.sold(&b, e)
	if err != nil {
		return err
	}
	if b.Undoes == 0 && b.UndoesAt == 0 {
		d.exceptAmount(RefundUnmatched, e.Position(), e.Amount, "of "+e.Origin.String())
		d.book(b)
		return nil
	}
	d.giveBack(b, paid)
	return nil
}

// sold finds the sale that a refund names, in this push or in the books, and
// returns what the merchant got by it. Of several that have one number, as those of
// clones have, it is the first that was paid by whom the money goes back to, or of these
// the one that the refund names besides.
func (d *desk) sold(b *booking, e journal.Entry) (paid money.Fen, err error) {
	named, err := d.named(e)
	if err != nil {
		return 0, err
	}
	made := named.At.UnixMilli()
	a, here, best := store.Account(journal.MerchantAccount(e.Merchant)), -1, 0
	for i, sale := range d.bookings {
		rank := 1
		switch {
		case sale.at != e.Origin || sale.Source == nil:
			rank = 0
		case sale.Debit == b.Credit && sale.Made.UnixMilli() == made && sale.Amount == named.Amount:
			rank = 3
		case sale.Debit == b.Credit:
			rank = 2
		}
		if rank > best {
			here, best = i, rank
		}
	}
	if best < 2 || best < 3 && named.Kind != 0 {
		err = d.tx.QueryRow(d.ctx, `
			SELECT e.id, CASE WHEN e.credit = ?1 THEN e.amount_fen ELSE -e.amount_fen END
			FROM entries e JOIN journals j ON j.id = e.journal
			WHERE ?1 IN (e.debit, e.credit) AND j.terminal = ?2 AND j.epoch = ?3 AND e.seq = ?4
			ORDER BY CASE WHEN e.debit <> ?5 THEN 2 WHEN e.made_ms = ?6 AND e.amount_fen = ?7 THEN 0 ELSE 1 END,
				e.part LIMIT 1`,
			a, e.Origin.Terminal, e.Origin.Epoch[:], e.Origin.Seq, b.Credit, made, named.Amount).Scan(&b.Undoes, &paid)
	}
	switch {
	case err == nil && b.Undoes > 0:
		return paid, nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return 0, fmt.Errorf("read sale: %w", err)
	case here < 0:
		return d.soldElsewhere(b, e)
	}
	b.UndoesAt = here + 1
	return got(d.bookings[here], a), nil
}

// named returns the sale of which a refund has the reference too, as one to a wallet has;
// the zero Entry if it has none.
func (d *desk) named(e journal.Entry) (sale journal.Entry, err error) {
	var of struct{ Sale string }
	if json.Unmarshal(e.Details, &of) != nil || of.Sale == "" {
		return sale, nil
	}
	return d.entryAt(e.Origin, func(found journal.Entry) bool { return found.Ref == of.Sale })
}

// soldElsewhere is sold for the end of a sale of which nothing is posted: it was in doubt,
// and somebody else has settled it first.
func (d *desk) soldElsewhere(b *booking, e journal.Entry) (paid money.Fen, err error) {
	end, err := d.entryAt(e.Origin, func(end journal.Entry) bool {
		return end.Kind == journal.SaleEnd && end.Card == e.Card && end.Merchant == e.Merchant
	})
	if err != nil || end.Ref == "" {
		return 0, err
	}
	found, err := d.readClaims(`WHERE c.terminal = ? AND c.ref = ?`, e.Origin.Terminal, end.Ref)
	if err != nil || len(found) == 0 || found[0].state != ClaimWritten {
		return 0, err
	}
	return found[0].Amount, d.undo(b, found[0])
}

// giveBack adds an entry that gives back what was paid, or a part of it.
func (d *desk) giveBack(b booking, paid money.Fen) {
	d.refunds = append(d.refunds, refund{len(d.bookings), paid})
	d.book(b)
}

// refund is a booking that gives back what was paid.
type refund struct {
	booking int
	paid    money.Fen
}

// noteRefunds puts into the inbox what gives back more than is left. The accounts are
// locked: before that, two terminals might give back one sale and not see each other's.
func (d *desk) noteRefunds(posted []store.Posted) error {
	for _, r := range d.refunds {
		b := d.bookings[r.booking]
		if b.UndoesAt > 0 {
			b.Undoes = posted[b.UndoesAt-1].ID
		}
		given, err := d.refunded(b, posted[r.booking].ID)
		if err != nil {
			return err
		}
		if given+b.Amount > r.paid {
			d.exceptAmount(RefundTooHigh, b.at, b.Amount,
				fmt.Sprintf("%s was paid, %s was given back before", r.paid, given))
		}
	}
	return nil
}

// refunded returns what was given back before an entry of the sale that b gives back, by
// the merchant or by the school.
func (d *desk) refunded(b booking, before int64) (given money.Fen, err error) {
	a := store.Account(journal.MerchantAccount(b.Place))
	err = d.tx.QueryRow(d.ctx, `
		SELECT CAST(coalesce(sum(CASE WHEN debit = ?1 THEN amount_fen WHEN credit = ?1 THEN -amount_fen
			WHEN debit = ?3 AND kind = ?4 THEN amount_fen END), 0) AS BIGINT)
		FROM entries WHERE undoes = ?2 AND id < ?5`, a, b.Undoes, hot.School, store.KindCorrection, before).Scan(&given)
	if err != nil {
		return 0, fmt.Errorf("read refunds: %w", err)
	}
	return given, nil
}

// got returns what an entry brings an account.
func got(b booking, a store.Account) money.Fen {
	switch a {
	case b.Credit:
		return b.Amount
	case b.Debit:
		return -b.Amount
	}
	return 0
}
