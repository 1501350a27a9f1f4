package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
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
	{"correction names nothing", `SELECT id FROM entries WHERE kind = 14 AND claim_id IS NOT NULL AND undoes IS NULL`},
}

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
		v := &verifier{ctx: ctx, tx: tx, campus: campus}
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
	return nil
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
		posted, err := v.postings(k.id, items)
		if err != nil {
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
			if err := v.posted(it, posted[it.Seq]); err != nil {
				return err
			}
			if err := v.summed(it, tally); err != nil {
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

// signed checks a checkpoint: the terminal's word, and ours, for what we hold.
// The terminal's key may have changed since an early one; ours counts then.
func (v *verifier) signed(k *kept, tree journal.Frontier, note []byte) {
	c, _, err := journal.OpenCosigned(note, CosignerName, v.campus)
	want := journal.Checkpoint{
		Terminal: k.head.Terminal, Epoch: k.head.Epoch, Size: tree.Size, Root: tree.Root(),
	}
	if err != nil || c != want {
		v.found(k.head, "the checkpoint over %d is not of these entries, or not cosigned: %v", tree.Size, err)
	}
	if !bytes.Equal(note, k.note) {
		return
	}
	if _, err := journal.OpenCheckpoint(note, k.key); err != nil {
		v.found(k.head, "the newest checkpoint is not signed by the terminal: %v", err)
	}
}

// posted is what an entry has posted.
type posted struct {
	amounts map[store.Account]money.Fen
	claim   bool // it is about one, whose own check is what is left in suspense
}

// posted checks that an entry is posted as it says. An entry of which nothing is
// posted has a reason in the inbox, or its claim was settled before it.
func (v *verifier) posted(it *item, p posted) error {
	e := it.entry
	switch {
	case p.claim:
		return nil
	case it.fault != nil || it.inner != nil || len(e.Postings) == 0:
		if len(p.amounts) > 0 {
			v.found(it.Position, "%s is posted, and moves nothing", e.Kind)
		}
		return nil
	case len(p.amounts) == 0:
		return v.excused(it)
	}
	if err := v.channelSays(it); err != nil {
		return err
	}
	// The holder's part is the holder's own account's, or in suspense.
	for _, want := range e.Postings {
		got := p.amounts[store.Account(want.Account)]
		if want.Account != journal.Holder && want.Account != journal.SuspenseAccount(e.Terminal) && got != want.Amount {
			v.found(it.Position, "posts %s to %s, and not %s", got, want.Account, want.Amount)
		}
	}
	return nil
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

// postings returns what entries have posted.
func (v *verifier) postings(journalID int64, items []item) (map[int64]posted, error) {
	all := map[int64]posted{}
	err := sqldb.Each(v.ctx, v.tx, func(rows *sql.Rows) error {
		var seq int64
		var debit, credit store.Account
		var f money.Fen
		var p posted
		if err := rows.Scan(&seq, &debit, &credit, &f, &p.claim); err != nil {
			return err
		}
		p.amounts = map[store.Account]money.Fen{debit: -f, credit: f}
		all[seq] = p
		return nil
	}, `SELECT seq, debit, credit, amount_fen, claim_id IS NOT NULL FROM entries
		WHERE journal = ? AND seq BETWEEN ? AND ? AND part = 0`,
		journalID, items[0].Seq, items[len(items)-1].Seq)
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
