package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"quancun/journal"
	"quancun/paycode"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// journalRow is a journal as we have it.
type journalRow struct {
	id         int64
	head       journal.Head
	tree       journal.Frontier
	kept       time.Time // when its last checkpoint was kept
	origin     int64     // journal that this one carries on; 0 for none
	carrying   bool
	superseded bool
}

// findJournal finds a terminal's journal of an epoch.
const findJournal = `
	SELECT id, head_seq, head_hash, frontier, coalesce(origin, 0), carrying, superseded_by IS NOT NULL,
		coalesce((SELECT kept_ms FROM checkpoints c WHERE c.journal = j.id ORDER BY size DESC LIMIT 1), 0)
	FROM journals j WHERE terminal = ? AND epoch = ?`

// scan reads what findJournal has found.
func (j *journalRow) scan(row sqldb.Row) error {
	var hash, frontier []byte
	var kept int64
	err := row.Scan(&j.id, &j.head.Seq, &hash, &frontier, &j.origin, &j.carrying, &j.superseded, &kept)
	if err != nil {
		return err
	}
	copy(j.head.Hash[:], hash)
	j.kept = time.UnixMilli(kept)
	j.tree, err = journal.ParseFrontier(j.head.Seq, frontier)
	return err
}

// readJournal returns a terminal's journal of an epoch. When there is none it
// is store.ErrNone, with an empty journal.
func readJournal(ctx context.Context, q sqldb.Querier, terminal string, epoch journal.Epoch) (journalRow, error) {
	j := journalRow{head: journal.Head{Epoch: epoch}}
	err := j.scan(q.QueryRow(ctx, findJournal, terminal, epoch[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return j, store.ErrNone
	}
	if err != nil {
		return j, fmt.Errorf("read journal: %w", err)
	}
	return j, nil
}

// lockTerminal keeps every other push and hold of a terminal out until the
// transaction ends, and then runs what reads of it.
func lockTerminal(ctx context.Context, tx *sqldb.Tx, id string, then ...sqldb.Step) error {
	if tx.Engine() == sqldb.Postgres { // SQLite has one writer
		then = append([]sqldb.Step{{
			Statement: `SELECT 1 FROM terminals WHERE id = ? FOR NO KEY UPDATE`, Args: []any{id}, Count: mustBeOne,
		}}, then...)
	}
	if err := tx.Run(ctx, then...); err != nil {
		return fmt.Errorf("lock terminal: %w", err)
	}
	return nil
}

// lockJournal reads the journal that is pushed to, and what there is about its
// entries and its terminal. It makes the journal if there is none yet.
func (k *taking) lockJournal() error {
	t, epoch := k.push.terminal.ID, k.push.batch.Epoch
	k.journal = journalRow{head: journal.Head{Epoch: epoch}}
	find := sqldb.Step{Statement: findJournal, Args: []any{t, epoch[:]}, Row: k.journal.scan}
	err := lockTerminal(k.ctx, k.tx, t, find, k.findBrought(), k.findHolds())
	if err == nil && k.journal.id == 0 {
		k.journal.id, err = k.makeJournal(epoch)
	}
	return err
}

func (k *taking) makeJournal(epoch journal.Epoch) (id int64, err error) {
	err = k.tx.QueryRow(k.ctx, `
		INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES (?, ?, ?, ?) RETURNING id`,
		k.push.terminal.ID, epoch[:], k.now.UnixMilli(), make([]byte, len(journal.Hash{}))).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("make journal: %w", err)
	}
	return id, nil
}

// hashes returns those of entries that we have of the journal that is pushed.
func (k *taking) hashes(from, to int64) ([]journal.Hash, error) {
	return k.hashesOf(k.journal.id, from, to)
}

func (k *taking) hashesOf(journalID, from, to int64) (all []journal.Hash, err error) {
	err = sqldb.Each(k.ctx, k.tx, func(rows *sql.Rows) error {
		var b []byte
		err := rows.Scan(&b)
		all = append(all, journal.Hash(b))
		return err
	}, `SELECT hash FROM journal_entries WHERE journal = ? AND seq BETWEEN ? AND ? ORDER BY seq`,
		journalID, from, to)
	if err == nil && int64(len(all)) != to-from+1 {
		err = fmt.Errorf("%d hashes from %d to %d", len(all), from, to)
	}
	return all, err
}

// treeAt returns the tree over the first entries that we have, so many of them.
func (k *taking) treeAt(size int64) (journal.Frontier, error) {
	if size == k.journal.head.Seq {
		return k.journal.tree.Clone(), nil
	}
	var at int64
	var frontier []byte
	err := k.tx.QueryRow(k.ctx, `
		SELECT size, frontier FROM checkpoints WHERE journal = ? AND size <= ? ORDER BY size DESC LIMIT 1`,
		k.journal.id, size).Scan(&at, &frontier)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return journal.Frontier{}, fmt.Errorf("read checkpoint: %w", err)
	}
	tree, err := journal.ParseFrontier(at, frontier)
	if err != nil {
		return journal.Frontier{}, err
	}
	rest, err := k.hashes(at+1, size)
	for _, h := range rest {
		tree.Append(h)
	}
	return tree, err
}

// keep writes the bytes of entries down.
func (k *taking) keep(fresh []item) error {
	n := len(fresh)
	journals, seqs, times := make([]int64, n), make([]int64, n), make([]int64, n)
	hashes, bodies := make([][]byte, n), make([][]byte, n)
	for i := range fresh {
		journals[i], seqs[i], times[i] = k.journal.id, fresh[i].Seq, k.now.UnixMilli()
		hashes[i], bodies[i] = fresh[i].hash[:], fresh[i].body
	}
	err := k.tx.Insert(k.ctx, "journal_entries (journal, seq, hash, body, received_ms)", "",
		journals, seqs, hashes, bodies, times)
	if err != nil {
		return fmt.Errorf("write journal entries: %w", err)
	}
	return nil
}

// A checkpoint is kept apart when the journal has grown by so much, or the
// last that was kept is so old.
const (
	checkpointSpan = 256
	checkpointAge  = 15 * time.Minute
)

// mustBeOne returns an error unless a statement was about one row: no foreign key
// of PostgreSQL says that it is not there.
func mustBeOne(n int64) error {
	if n != 1 {
		return fmt.Errorf("%d rows: %w", n, store.ErrNone)
	}
	return nil
}

// advance moves the journal's head.
func (k *taking) advance(h journal.Head, tree journal.Frontier) error {
	was, frontier, now := k.journal.head.Seq, tree.Bytes(), k.now.UnixMilli()
	note, err := k.push.cosigned()
	if err != nil {
		return err
	}
	err = k.tx.Later(k.ctx, sqldb.Step{
		Statement: `
			UPDATE journals SET head_seq = ?, head_hash = ?, frontier = ?, journal_key = ?, note = ?, pushed_ms = ?
			WHERE id = ?`,
		Args: []any{h.Seq, h.Hash[:], frontier, []byte(k.push.terminal.JournalKey), note, now,
			k.journal.id},
		Count: mustBeOne,
	})
	if err != nil {
		return fmt.Errorf("write journal's head: %w", err)
	}
	if h.Seq/checkpointSpan == was/checkpointSpan && k.now.Sub(k.journal.kept) < checkpointAge {
		return nil
	}
	err = k.tx.Later(k.ctx, sqldb.Step{
		Statement: `INSERT INTO checkpoints (journal, size, note, frontier, kept_ms) VALUES (?, ?, ?, ?, ?)`,
		Args:      []any{k.journal.id, h.Seq, note, frontier, now},
	})
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}

// known are the cards, holders and issuers of codes that have been read. What is kept
// of them never changes, and none of them ever goes away, unless older books are put in
// the place of these: a push that names what is not there any more fails, and all is read
// again.
type known struct {
	issuers atomic.Pointer[paycode.Keys] // nil as long as there is none

	mu      sync.Mutex
	cards   map[string]card
	holders map[string]bool
}

// lookUp finds the cards and accounts that entries name.
func (g *Ingest) lookUp(ctx context.Context, p *push) error {
	cards, accounts := g.known.give(p)
	freshCards, err1 := readCards(ctx, g.books.Live(), cards)
	freshHolders, err2 := readHolders(ctx, g.books.Live(), accounts)
	maps.Copy(p.cards, freshCards)
	maps.Copy(p.holders, freshHolders)
	g.known.add(freshCards, freshHolders)
	return errors.Join(err1, err2)
}

// give lets p have what is known of what it names, and returns the names of the rest.
func (k *known) give(p *push) (cards, accounts []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.cards, p.holders = map[string]card{}, map[string]bool{}
	c, a := map[string]bool{}, map[string]bool{}
	for i := range p.items {
		e := p.items[i].innermost().entry
		if known, ok := k.cards[e.Card]; ok {
			p.cards[e.Card] = known
		} else {
			c[e.Card] = true
		}
		if p.holders[e.Account] = k.holders[e.Account]; !k.holders[e.Account] {
			a[e.Account] = true
		}
	}
	return names(c), names(a)
}

func (k *known) add(cards map[string]card, holders map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.Copy(k.cards, cards)
	maps.Copy(k.holders, holders)
}

func (k *known) forget() {
	k.issuers.Store(nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.cards)
	clear(k.holders)
}

func names(set map[string]bool) (all []string) {
	delete(set, "")
	for s := range set {
		all = append(all, s)
	}
	return all
}

func readCards(ctx context.Context, q sqldb.Querier, nos []string) (map[string]card, error) {
	all := map[string]card{}
	if len(nos) == 0 {
		return all, nil
	}
	err := sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var no string
		var c card
		var factor []byte
		if err := rows.Scan(&no, &c.account, &factor); err != nil {
			return err
		}
		c.factor = [8]byte(factor)
		all[no] = c
		return nil
	}, `SELECT card_no, account, factor FROM cards WHERE card_no = ANY (?)`, nos)
	if err != nil {
		return nil, fmt.Errorf("read cards: %w", err)
	}
	return all, nil
}

func readHolders(ctx context.Context, q sqldb.Querier, nos []string) (map[string]bool, error) {
	all := map[string]bool{}
	if len(nos) == 0 {
		return all, nil
	}
	accounts := make([]store.Account, len(nos))
	for i, no := range nos {
		accounts[i] = store.HolderAccount(no)
	}
	err := sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var a store.Account
		err := rows.Scan(&a)
		all[a.No()] = true
		return err
	}, `SELECT account FROM holders WHERE account = ANY (?)`, accounts)
	if err != nil {
		return nil, fmt.Errorf("read holders: %w", err)
	}
	return all, nil
}
