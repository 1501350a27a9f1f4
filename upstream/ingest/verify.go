package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// checks are promises as queries for what breaks them: each returns one text
// for each break. Names are those of the design, section 5, and of the notes on
// the ledger, section 3.4.
var checks = []struct{ name, query string }{
	{"M3: journal has a gap, or another head", `
		SELECT j.terminal || ' ' || j.id FROM journals j LEFT JOIN journal_entries e ON e.journal = j.id
		GROUP BY j.id, j.terminal, j.head_seq
		HAVING count(e.seq) <> j.head_seq OR coalesce(max(e.seq), 0) <> j.head_seq`},
	{"hold stands although its number has passed", `
		SELECT h.terminal || ' ' || h.attempt FROM holds h
		JOIN journals j ON j.terminal = h.terminal AND j.epoch = h.epoch
		WHERE h.state = 1 AND h.seq <= j.head_seq`},
	{"money is held for a terminal that is shut out, and was not parted with", `
		SELECT h.terminal || ' ' || h.attempt FROM holds h JOIN terminals t ON t.id = h.terminal
		WHERE h.state <= 2 AND t.revoked_ms IS NOT NULL`},
	{"hold is bound to no open sale", `
		SELECT h.terminal || ' ' || h.attempt FROM holds h
		LEFT JOIN intents i ON i.terminal = h.terminal AND i.ref = h.attempt AND i.kind = 40 AND NOT i.claimed
		WHERE h.state = 2 AND i.ref IS NULL`},
	{"hold of an open sale is not bound to it", `
		SELECT h.terminal || ' ' || h.attempt FROM holds h
		JOIN journals j ON j.terminal = h.terminal AND j.epoch = h.epoch JOIN intents i ON i.journal = j.id
		WHERE i.seq = h.seq AND i.ref = h.attempt AND i.kind = 40 AND NOT i.claimed AND h.state <> 2`},
	{"I10: claim of a sale has another amount in suspense", `
		SELECT c.terminal || ' ' || c.ref FROM claims c
		LEFT JOIN entries e ON e.claim_id = c.id
		WHERE c.kind = 40 AND c.account <> ''
		GROUP BY c.id, c.terminal, c.ref, c.state, c.amount_fen
		HAVING coalesce(sum(CASE 'suspense/' || c.terminal
			WHEN e.credit THEN e.amount_fen WHEN e.debit THEN -e.amount_fen END), 0)
			<> CASE WHEN c.state = 1 THEN c.amount_fen ELSE 0 END`},
	{"I10: suspense is not what is open", `
		SELECT a.account FROM accounts a WHERE a.account LIKE 'suspense/%' AND a.balance_fen <>
			(SELECT coalesce(sum(c.amount_fen), 0) FROM claims c
			 WHERE c.state = 1 AND c.kind = 40 AND c.account <> '' AND 'suspense/' || c.terminal = a.account)
			+ (SELECT coalesce(sum(x.amount_fen), 0) FROM exceptions x
			 WHERE x.closed_ms IS NULL AND x.account = a.account)`},
	{"claim of a load is not as the load", `
		SELECT c.terminal || ' ' || c.ref FROM claims c JOIN loads l ON l.load_id = c.ref
		WHERE c.kind = 20 AND l.state <> 1 AND l.state <> c.state`},
	{"claim of an intent that has none", `
		SELECT i.terminal || ' ' || i.ref FROM intents i
		LEFT JOIN claims c ON c.terminal = i.terminal AND c.ref = i.ref
		WHERE i.claimed AND c.id IS NULL`},
	{"M4: purchase has moved no purse, or another amount", `
		SELECT e.id FROM entries e JOIN purse_moves m ON m.entry_id = e.id
		JOIN cards k ON k.card_no = m.card_no
		WHERE NOT (e.credit LIKE 'merchant/%' AND e.amount_fen = -m.amount_fen
				OR e.debit LIKE 'merchant/%' AND e.amount_fen = m.amount_fen)
			OR m.amount_fen >= 0 AND e.kind <> 14`},
	{"M4: entry is of none in a journal", `
		SELECT e.id FROM entries e
		WHERE e.journal IS NULL AND (e.kind IN (4, 9, 10, 11, 12, 13)
				OR e.kind = 3 AND NOT EXISTS (SELECT 1 FROM bill_refunds r WHERE r.entry_id = e.id))
			OR e.part >= (SELECT count(*) FROM (` + hashes + `) AS hashes)`},
	{"I10: entry is of no claim, or of none of its accounts", `
		SELECT e.id FROM entries e LEFT JOIN claims c ON c.id = e.claim_id LEFT JOIN cards k ON k.card_no = c.card_no
		WHERE (e.kind IN (7, 8) OR e.claim_id IS NOT NULL) AND (c.id IS NULL OR c.account NOT IN ('', k.account)
			OR e.debit NOT IN (c.account, 'suspense/' || c.terminal, 'merchant/' || c.merchant)
			OR e.credit NOT IN (c.account, 'suspense/' || c.terminal, 'merchant/' || c.merchant))`},
	{"I10: merchant or purse has not moved as the claim of a sale ended", `
		SELECT c.terminal || ' ' || c.ref FROM claims c
		LEFT JOIN entries e ON e.claim_id = c.id LEFT JOIN purse_moves m ON m.entry_id = e.id
		WHERE c.kind = 40
		GROUP BY c.id, c.terminal, c.ref, c.state, c.amount_fen, c.account
		HAVING coalesce(sum(CASE 'merchant/' || c.merchant
				WHEN e.credit THEN e.amount_fen WHEN e.debit THEN -e.amount_fen END), 0)
				<> CASE WHEN c.state = 2 THEN c.amount_fen ELSE 0 END
		OR c.account <> '' AND coalesce(sum(m.amount_fen), 0) <> CASE c.state WHEN 2 THEN -c.amount_fen ELSE 0 END`},
	{"correction names nothing", `SELECT id FROM entries WHERE kind = 14 AND claim_id IS NOT NULL AND undoes IS NULL`},
}

// hashes are of what has come under the number that an entry e of the ledger is posted
// for, whoever has brought it.
const hashes = `
	SELECT hash FROM journal_entries b WHERE b.journal = e.journal AND b.seq = e.seq
	UNION SELECT hash FROM carried_entries c WHERE c.journal = e.journal AND c.seq = e.seq`

// Verify checks what must always hold of the journals that we keep and of what
// follows from them: no gap, chains and trees are whole and signed, each entry
// is posted once and as it says, holds and claims stand as they must. It
// returns one line for each break, and none when all is well. What must hold of
// the books alone is [store.Books.Verify]'s.
func (g *Ingest) Verify(ctx context.Context) (broken []string, err error) {
	campus, ok := g.keys.Campus().Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("verify journals: the campus signs with a %T", g.keys.Campus().Public())
	}
	err = g.books.Read(ctx, func(tx *sqldb.Tx) error {
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
		}
		v := &verifier{ctx: ctx, tx: tx, campus: campus, open: map[string]journal.Kind{}, ends: map[string]bool{}}
		if err := v.journals(); err != nil {
			return err
		}
		broken = append(broken, v.broken...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify journals: %w", err)
	}
	return broken, nil
}

// verifier goes through every byte that terminals have sent.
type verifier struct {
	ctx    context.Context //nolint:containedctx // lives for one transaction
	tx     *sqldb.Tx
	campus ed25519.PublicKey
	broken []string
	cards  map[string]card // that are known, of the entries that are looked at

	open map[string]journal.Kind // loads and sales that are announced and not ended, by terminal and ref
	ends map[string]bool         // of what is announced later: journals come in no order
}

func (v *verifier) found(at any, format string, args ...any) {
	v.broken = append(v.broken, fmt.Sprintf("M3: %v: ", at)+fmt.Sprintf(format, args...))
}

// kept is a journal with what is signed for it.
type kept struct {
	id       int64
	head     journal.Position
	hash     []byte
	frontier []byte
	key      ed25519.PublicKey
	note     []byte
	points   map[int64][]byte // notes by size
}

func (v *verifier) journals() error {
	all, err := v.readJournals()
	if err != nil {
		return err
	}
	for i := range all {
		if err := v.journal(&all[i]); err != nil {
			return err
		}
	}
	return v.unended()
}

func (v *verifier) readJournals() (all []kept, err error) {
	err = sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
		k := kept{points: map[int64][]byte{}}
		var epoch []byte
		err := rows.Scan(&k.id, &k.head.Terminal, &epoch, &k.head.Seq, &k.hash, &k.frontier, (*[]byte)(&k.key), &k.note)
		k.head.Epoch = journal.Epoch(epoch)
		all = append(all, k)
		return err
	}, `SELECT id, terminal, epoch, head_seq, head_hash, frontier, journal_key, note FROM journals ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for i := range all {
		err := sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
			var size int64
			var note []byte
			err := rows.Scan(&size, &note)
			all[i].points[size] = note
			return err
		}, `SELECT size, note FROM checkpoints WHERE journal = ?`, all[i].id)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pageLen is how many entries are looked at together.
const pageLen = 500

// journal checks one journal from its first byte to its last signature.
func (v *verifier) journal(k *kept) error {
	var tree journal.Frontier
	var before journal.Hash
	tally := journal.NewTally(k.head.Terminal)
	for {
		items, err := v.page(k, tree.Size)
		if err != nil || len(items) == 0 {
			if err == nil && tree.Size > 0 {
				v.end(k, tree, before)
			}
			return err
		}
		posted, err := v.postings(k.id, items[0].Seq, items[len(items)-1].Seq)
		if err != nil {
			return err
		}
		nos := map[string]bool{}
		for i := range items {
			nos[items[i].innermost().entry.Card] = true
		}
		if v.cards, err = readCards(v.ctx, v.tx, names(nos)); err != nil {
			return err
		}
		for i := range items {
			it := &items[i]
			if it.fault == nil && !it.chained(before) {
				it.fault = &fault{ChainBroken, ""}
			}
			before = it.hash
			tree.Append(it.hash)
			if note := k.points[it.Seq]; note != nil {
				v.signed(k, tree, note)
			}
			err := errors.Join(v.posted(it, posted[it.Seq]), v.carried(k, it), v.summed(it, tally))
			if err != nil {
				return err
			}
		}
	}
}

// summed checks that a Z says what the entries before it come to, or is in the
// inbox because it does not.
func (v *verifier) summed(it *item, t *journal.Tally) error {
	defer it.addTo(t)
	if it.fault != nil || it.entry.Kind != journal.ShiftClosed {
		return nil
	}
	differs := t.Check(it.entry)
	if differs == nil {
		return nil
	}
	listed, err := sqldb.Texts(v.ctx, v.tx,
		`SELECT kind FROM exceptions WHERE ref = ? AND kind = ?`, it.Position.String(), string(ReportDiffers))
	if err == nil && len(listed) == 0 {
		v.broken = append(v.broken, fmt.Sprintf("M7: %v: %v", it.Position, differs))
	}
	return err
}

// page reads the entries after one.
func (v *verifier) page(k *kept, after int64) (items []item, err error) {
	err = sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
		at := k.head
		var hash, body []byte
		if err := rows.Scan(&at.Seq, &hash, &body); err != nil {
			return err
		}
		it := readItem(at, body)
		if at.Seq != after+int64(len(items))+1 || it.hash != journal.Hash(hash) {
			v.found(at, "its bytes are not those of its hash, or it follows another number")
		}
		items = append(items, it)
		return nil
	}, `SELECT seq, hash, body FROM journal_entries WHERE journal = ? AND seq > ? ORDER BY seq LIMIT ?`,
		k.id, after, pageLen)
	return items, err
}

// end checks what is kept of a whole journal.
func (v *verifier) end(k *kept, tree journal.Frontier, last journal.Hash) {
	if !bytes.Equal(k.hash, last[:]) || !bytes.Equal(k.frontier, tree.Bytes()) {
		v.found(k.head, "the head or the frontier is not that of the entries")
	}
	v.signed(k, tree, k.note)
}

// signed checks a checkpoint: the terminal's word, and ours, for what we hold. The
// terminal's key may have changed since an early one, or ours: the other's word counts.
func (v *verifier) signed(k *kept, tree journal.Frontier, note []byte) {
	want := journal.Checkpoint{Terminal: k.head.Terminal, Epoch: k.head.Epoch, Size: tree.Size, Root: tree.Root()}
	c, _, err := journal.OpenCosigned(note, CosignerName, v.campus)
	if errors.Is(err, journal.ErrOtherKey) {
		c, err = journal.OpenCheckpoint(note, k.key)
	}
	if err != nil || c != want {
		v.found(k.head, "the checkpoint over %d is not of these entries, or not cosigned: %v", tree.Size, err)
	}
	if bytes.Equal(note, k.note) {
		if _, err := journal.OpenCheckpoint(note, k.key); err != nil {
			v.found(k.head, "the newest checkpoint is not signed by the terminal: %v", err)
		}
	}
}

// posted is what an entry has posted.
type posted struct {
	amounts map[store.Account]money.Fen
	purse   money.Fen // by which the card's moved
	claim   bool      // it is about one, which has checks of its own
	shared  bool      // several entries have come under its number
}

// posted checks that an entry is posted as it says, or that there is a reason why it is
// not. Where others came under its number, one of all that is posted there may be its.
func (v *verifier) posted(it *item, all []posted) error {
	e := it.entry
	switch {
	case slices.ContainsFunc(all, func(p posted) bool { return p.claim }):
		return nil
	case it.fault != nil || it.inner != nil || len(e.Postings) == 0:
		if len(all) > 0 && !all[0].shared {
			v.found(it.Position, "%s is posted, and moves nothing", e.Kind)
		}
		return nil
	case len(all) == 0:
		return v.excused(it)
	}
	if err := v.channelSays(it); err != nil {
		return err
	}
	wrong := ""
	for _, p := range all {
		if wrong = v.differs(e, p); wrong == "" {
			return nil
		}
	}
	if all[0].shared {
		return v.excused(it)
	}
	v.found(it.Position, "%s", wrong)
	return nil
}

// differs returns what p is not as an entry says; "" if it is. The holder's part is the
// holder's own account's, or in suspense.
func (v *verifier) differs(e journal.Entry, p posted) (wrong string) {
	owner := store.HolderAccount(e.Account)
	if e.Card != "" {
		owner = v.cards[e.Card].account
	}
	if _, is := p.amounts[owner]; !is {
		owner = store.Account(journal.SuspenseAccount(e.Terminal))
	}
	for _, want := range e.Postings {
		a := store.Account(want.Account)
		if want.Account == journal.Holder {
			a = owner
		}
		if got := p.amounts[a]; got != want.Amount {
			return fmt.Sprintf("posts %s to %s, and not %s", got, want.Account, want.Amount)
		}
	}
	if e.Kind == journal.SaleEnd && owner == v.cards[e.Card].account && e.Purse != nil && p.purse != -e.Amount {
		return fmt.Sprintf("moves the purse by %s", p.purse)
	}
	return ""
}

// carried checks what an entry has posted that another carries over, and follows which
// intents entries begin and end.
func (v *verifier) carried(k *kept, it *item) error {
	in := it.innermost()
	if it.fault != nil || in.fault != nil {
		return nil
	}
	if in == it {
		v.follow(in)
		return nil
	}
	j, err1 := readJournal(v.ctx, v.tx, in.Terminal, in.Epoch)
	var first bool // nobody else has brought it
	err := v.tx.QueryRow(v.ctx, `
		SELECT min(by_journal) = ?4 AND NOT EXISTS (
			SELECT 1 FROM journal_entries WHERE journal = ?1 AND seq = ?2 AND hash = ?3)
		FROM carried_entries WHERE journal = ?1 AND seq = ?2 AND hash = ?3`,
		j.id, in.Seq, in.hash[:], k.id).Scan(&first)
	if first {
		v.follow(in)
	}
	all, err2 := v.postings(j.id, in.Seq, in.Seq)
	err = errors.Join(err1, err, err2)
	if err == nil && len(in.entry.Postings) > 0 { // otherwise others have posted what is there
		err = v.posted(in, all[in.Seq])
	}
	return err
}

// follow notes that an entry announces a load or a sale, or ends one.
func (v *verifier) follow(it *item) {
	kind := it.entry.Kind.Intent()
	if kind != journal.LoadIntent && kind != journal.SaleIntent || it.entry.Kind.IsDoubt() {
		return
	}
	name := it.Terminal + " " + it.entry.Ref
	_, begun := v.open[name]
	switch {
	case it.entry.Kind.IsIntent() && !v.ends[name]:
		v.open[name] = kind
	case it.entry.Kind.IsIntent():
		delete(v.ends, name)
	case begun:
		delete(v.open, name)
	default:
		v.ends[name] = true
	}
}

// unended checks that the books know of every intent that has no end.
func (v *verifier) unended() error {
	err := sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
		var name string
		var kind journal.Kind
		err := rows.Scan(&name, &kind)
		if v.open[name] == kind {
			delete(v.open, name)
		}
		return err
	}, `SELECT terminal || ' ' || ref, kind FROM intents`)
	for _, name := range slices.Sorted(maps.Keys(v.open)) {
		v.broken = append(v.broken, "I10: what was announced is neither open nor ended: "+name)
	}
	return err
}

// channelSays checks that a sale by code, or its refund, is what the channel has
// said, or that people have been told.
func (v *verifier) channelSays(it *item) error {
	says, err := channelSays(v.ctx, v.tx, it.entry)
	if err != nil || says {
		return err
	}
	var listed bool
	err = v.tx.QueryRow(v.ctx, `SELECT EXISTS (SELECT 1 FROM exceptions WHERE kind = ? AND ref = ?)`,
		ChannelDiffers, it.Position.String()).Scan(&listed)
	if err == nil && !listed {
		v.found(it.Position, "%s is not what the channel said", it.entry.Kind)
	}
	return err
}

// postings returns what a journal's entries have posted, by number.
func (v *verifier) postings(journalID, from, to int64) (map[int64][]posted, error) {
	all := map[int64][]posted{}
	err := sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
		var seq int64
		var debit, credit store.Account
		var f money.Fen
		var p posted
		if err := rows.Scan(&seq, &debit, &credit, &f, &p.claim, &p.purse, &p.shared); err != nil {
			return err
		}
		p.amounts = map[store.Account]money.Fen{debit: -f, credit: f}
		all[seq] = append(all[seq], p)
		return nil
	}, `SELECT e.seq, e.debit, e.credit, e.amount_fen, e.claim_id IS NOT NULL, coalesce(m.amount_fen, 0),
			EXISTS (SELECT 1 FROM carried_entries c WHERE c.journal = e.journal AND c.seq = e.seq)
				AND 1 < (SELECT count(*) FROM (`+hashes+`) AS hashes)
		FROM entries e LEFT JOIN purse_moves m ON m.entry_id = e.id
		WHERE e.journal = ? AND e.seq BETWEEN ? AND ?`, journalID, from, to)
	return all, err
}

// reasons are the exceptions for which an entry moves nothing.
var reasons = []ExceptionKind{
	NotReadable, NewerForm, NotItsOwn, RuleBroken, ChainBroken, IntentTwice, NoIntent, EndDiffers, UnknownCard,
	Contradicted, ChannelTwice,
}

// excused checks that there is a reason why an entry has not been posted.
func (v *verifier) excused(it *item) error {
	kinds, err := sqldb.Texts(v.ctx, v.tx, `SELECT kind FROM exceptions WHERE ref = ?`, it.Position.String())
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if slices.Contains(reasons, ExceptionKind(k)) {
			return nil
		}
	}
	var state ClaimState
	err = v.tx.QueryRow(v.ctx, `SELECT state FROM claims WHERE terminal = ? AND ref = ?`,
		it.Terminal, it.entry.Ref).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) || err == nil && state == ClaimOpen {
		v.found(it.Position, "%s is not posted", it.entry.Kind)
		return nil
	}
	return err
}
