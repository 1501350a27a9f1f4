package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"quancun/journal"
	"quancun/upstream/store"
)

// rawBlock is a page: what the smallest durable change of a database costs a
// disk.
const rawBlock = 4096

// rawDisk is the bare limit of this machine's disk: one page, overwritten in
// place and synchronised, again and again. Nothing that is durable after each
// step can be faster.
type rawDisk struct {
	f    *os.File
	page []byte
	n    int64
}

func newRawDisk(dir string) (*rawDisk, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	r := &rawDisk{f: f, page: make([]byte, rawBlock)}
	const pages = 256 // written once, so that no later write makes the file longer
	if _, err := f.Write(make([]byte, pages*rawBlock)); err != nil {
		return nil, err
	}
	return r, f.Sync()
}

// write overwrites the next page and waits for the disk.
func (r *rawDisk) write() error {
	r.n++
	r.page[0] = byte(r.n)
	if _, err := r.f.WriteAt(r.page, r.n%256*rawBlock); err != nil {
		return err
	}
	return unix.Fdatasync(int(r.f.Fd()))
}

func (r *rawDisk) close() error { return r.f.Close() }

// pair is one turn of two things measured after each other.
type pair struct{ ours, bare rate }

// rate is how often something was done, and how long each time took.
type rate struct {
	n    int
	took time.Duration
	cpu  time.Duration // of this process, where it is of interest
	each []time.Duration
}

func (r rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

// repeat does something for about d, and counts each time as worth count.
func repeat(d time.Duration, count int, do func() error) (r rate, err error) {
	for start := time.Now(); r.took < d; r.took = time.Since(start) {
		began := time.Now()
		if err := do(); err != nil {
			return rate{}, err
		}
		r.each = append(r.each, time.Since(began))
		r.n += count
	}
	return r, nil
}

// turns is how many pairs a figure is the median of, after one that only warms
// up.
const turns = 7

// interleave measures ours and bare in turn, because the machine's speed drifts
// by the minute, and returns the pairs.
func interleave(ours, bare func() (rate, error)) (all []pair, err error) {
	for i := range turns + 1 {
		var p pair
		if p.ours, err = ours(); err != nil {
			return nil, err
		}
		if p.bare, err = bare(); err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

// ratio is the median, over the pairs, of how much faster ours is than bare.
func ratio(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, p.ours.perSecond()/p.bare.perSecond())
	}
	return middle(r)
}

// speeds says the median rates behind a ratio.
func speeds(all []pair) string {
	var ours, bare []float64
	for _, p := range all {
		ours, bare = append(ours, p.ours.perSecond()), append(bare, p.bare.perSecond())
	}
	return fmt.Sprintf("%.0f/s against %.0f/s, medians of %d pairs", middle(ours), middle(bare), len(all))
}

// slower is the median, over the pairs, of ours' median time in bare's.
func slower(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, median(p.ours.each).Seconds()/median(p.bare.each).Seconds())
	}
	return middle(r)
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// bareSQL is the least that a PostgreSQL has to do for a batch of a ledger: keep
// the entries and their postings, and add up the accounts. It writes less than we
// do: no hash, no names, no time, and no number by which a posting finds its entry.
type bareSQL struct {
	conn *pgx.Conn
	seq  int64
}

func newBareSQL(ctx context.Context, dsn string) (*bareSQL, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, `
		CREATE TABLE entry (seq BIGINT PRIMARY KEY, body BYTEA NOT NULL);
		CREATE TABLE posting (seq BIGINT, account BIGINT, amount BIGINT, PRIMARY KEY (seq, account));
		CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)`)
	if err == nil {
		_, err = conn.Exec(ctx, `INSERT INTO account SELECT n, 0 FROM generate_series(0, $1) AS n`,
			benchHolders+benchMerchants)
	}
	return &bareSQL{conn: conn}, err
}

const bareBatch = `
	WITH e AS (INSERT INTO entry SELECT * FROM unnest($1::bigint[], $2::bytea[])),
	p AS (INSERT INTO posting SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]))
	UPDATE account SET balance = balance + f.amount
	FROM (SELECT account, sum(amount) AS amount FROM unnest($4::bigint[], $5::bigint[]) AS l (account, amount)
		GROUP BY account ORDER BY account) AS f WHERE id = f.account`

// run writes total entries, as many at a time as a request has.
func (b *bareSQL) run(ctx context.Context, total int) (r rate, err error) {
	start := time.Now()
	for r.n < total {
		began := time.Now()
		var seqs, of, accounts, amounts []int64
		var bodies [][]byte
		for range perRequest {
			b.seq++
			seqs, bodies = append(seqs, b.seq), append(bodies, make([]byte, 180))
			of = append(of, b.seq, b.seq)
			accounts = append(accounts, b.seq*7%benchHolders, benchHolders+b.seq%benchMerchants)
			amounts = append(amounts, -1, 1)
		}
		if _, err := b.conn.Exec(ctx, bareBatch, seqs, bodies, of, accounts, amounts); err != nil {
			return rate{}, err
		}
		r.n += perRequest
		r.each = append(r.each, time.Since(began))
	}
	r.took = time.Since(start)
	return r, nil
}

// bareSame is the floor of an upload on the tables that it goes to: the rows of
// campusd, with its indexes and checks, written by one statement a batch that locks
// the accounts in their order. Nobody proves or reads anything, and the balances in
// entries are only as long as real ones. WAL and pages grow as by an upload.
type bareSame struct {
	conn    *pgx.Conn
	author  *author
	journal int64
	entry   int64 // the last one's number
}

// entriesBetween keeps the numbers of entries of two that write at once apart.
const entriesBetween = 1 << 40

// newSameSQL makes campusd's tables in a database, and who takes part.
func newSameSQL(ctx context.Context, dsn string, u *upstreamBench) (_ *bareSame, err error) {
	if err := addHolders(ctx, dsn); err != nil {
		return nil, err
	}
	books, err := store.OpenDSN(ctx, dsn, nil)
	if err != nil {
		return nil, err
	}
	_, err = books.AddTerminal(ctx, store.Terminal{ID: benchTerminal})
	if err := errors.Join(err, books.Close()); err != nil {
		return nil, err
	}
	b, err := joinSameSQL(ctx, dsn, u, 1)
	if err != nil {
		return nil, err
	}
	_, err = b.conn.Exec(ctx, `
		INSERT INTO accounts (account) SELECT 'merchant/m' || n FROM generate_series(0, $1) AS n`, benchMerchants-1)
	return b, err
}

// joinSameSQL returns who writes a journal of its own into the tables.
func joinSameSQL(ctx context.Context, dsn string, u *upstreamBench, epoch byte) (b *bareSame, err error) {
	b = &bareSame{entry: int64(epoch) * entriesBetween}
	if b.author, err = u.author(epoch); err != nil {
		return nil, err
	}
	if b.conn, err = pgx.Connect(ctx, dsn); err != nil {
		return nil, err
	}
	of := journal.Epoch{epoch}
	err = b.conn.QueryRow(ctx, `
		INSERT INTO journals (terminal, epoch, opened_ms, head_hash) VALUES ($1, $2, 0, $3) RETURNING id`,
		benchTerminal, of[:], make([]byte, len(journal.Hash{}))).Scan(&b.journal)
	return b, err
}

const sameBatch = `
	WITH held AS (
		SELECT account FROM accounts WHERE account IN (SELECT unnest($8::text[] || $9::text[]))
		ORDER BY account FOR NO KEY UPDATE),
	kept AS (
		INSERT INTO journal_entries (journal, seq, hash, body, received_ms)
		SELECT $1::bigint, unnest($2::bigint[]), unnest($3::bytea[]), unnest($4::bytea[]), $5::bigint),
	posted AS (
		INSERT INTO entries (id, kind, at_ms, place, made_ms, journal, seq, part, debit, credit,
			amount_fen, debit_balance_fen, credit_balance_fen, debit_before, credit_before)
		OVERRIDING SYSTEM VALUE
		SELECT unnest($6::bigint[]), 4, $5::bigint, unnest($7::text[]), $5::bigint, $1::bigint,
			unnest($2::bigint[]), 0,
			unnest($8::text[]), unnest($9::text[]), 1, 1000000, 1000000, 1, 1),
	head AS (
		UPDATE journals SET head_seq = $10, head_hash = $11, frontier = $12, note = $13, pushed_ms = $5 WHERE id = $1)
	UPDATE accounts SET balance_fen = balance_fen + f.amount, last_entry = f.last
	FROM (SELECT account, sum(amount) AS amount, max(id) AS last FROM (
			SELECT unnest($8::text[]), -1, unnest($6::bigint[])
			UNION ALL SELECT unnest($9::text[]), 1, unnest($6::bigint[])) AS l (account, amount, id)
		GROUP BY account) AS f JOIN held USING (account) WHERE accounts.account = f.account`

// arguments returns a batch as sameBatch takes it.
func (b *bareSame) arguments() ([]any, error) {
	batch, err := b.author.batch(perRequest)
	if err != nil {
		return nil, err
	}
	var seqs, ids []int64
	var hashes [][]byte
	var places, debits, credits []string
	for i, body := range batch.Bodies {
		seq := batch.From + int64(i)
		b.entry++
		seqs, ids = append(seqs, seq), append(ids, b.entry)
		hash := journal.HashOf(body)
		hashes = append(hashes, hash[:])
		m := fmt.Sprintf("m%d", seq%benchMerchants)
		places, credits = append(places, m), append(credits, "merchant/"+m)
		debits = append(debits, string(store.HolderAccount(holderNo(seq*7))))
	}
	return []any{b.journal, seqs, hashes, batch.Bodies, time.Now().UnixMilli(), ids, places, debits, credits,
		b.author.seq, b.author.prev[:], b.author.tree.Bytes(), batch.Note}, nil
}

// run writes total entries, as many at a time as a request has.
func (b *bareSame) run(ctx context.Context, total int) (r rate, err error) {
	var batches [][]any
	for range total / perRequest {
		args, err := b.arguments()
		if err != nil {
			return rate{}, err
		}
		batches = append(batches, args)
	}
	start := time.Now()
	for _, args := range batches {
		began := time.Now()
		if _, err := b.conn.Exec(ctx, sameBatch, args...); err != nil {
			return rate{}, err
		}
		r.each = append(r.each, time.Since(began))
		r.n += perRequest
	}
	r.took = time.Since(start)
	return r, nil
}
