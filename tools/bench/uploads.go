package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"quancun/upstream/store/pgtest"
)

const (
	perRequest    = 100
	uploadEntries = 10_000 // in a turn
	overTLS       = "over mutual TLS, signed, chained, posted and durable"
)

// measureUploads measures P5 to P7 on a file: what the upstream takes.
func measureUploads(ctx context.Context, dir string) (_ []figure, err error) {
	u, err := newUpstream(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	raw, err := newRawDisk(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	bare := func() (rate, error) { return repeat(turnLength, 1, raw.write) }
	a, err := u.author(1)
	if err != nil {
		return nil, err
	}
	single, err := interleave(func() (rate, error) { return u.push(ctx, a, 300, 1) }, bare)
	if err != nil {
		return nil, err
	}
	before, err := u.cpu()
	if err != nil {
		return nil, err
	}
	many, err := interleave(func() (rate, error) { return u.push(ctx, a, uploadEntries, perRequest) }, bare)
	if err != nil {
		return nil, err
	}
	after, err := u.cpu()
	if err != nil {
		return nil, err
	}
	each := (after - before).Seconds() * 1000 / (uploadEntries * (turns + 1))
	both, err := u.withAnother(ctx, a)
	if err != nil {
		return nil, err
	}
	shared, err := interleave(func() (rate, error) { return both.push(ctx, uploadEntries/2, perRequest) }, bare)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"P5", middleRate(single), "/s", bareDisk, fmt.Sprintf(
			"one entry a request, %s; %.2f of the disk: %s", overTLS, ratio(single), speeds(single))},
		{"P6.sqlite", middleRate(many), "/s", bareDisk, fmt.Sprintf(
			"%d entries a request, %s; %.1f times the disk; of its %.0f us for each, %.0f are this client's "+
				"processor time; at least 25,000",
			perRequest, overTLS, ratio(many), 1e6/middleRate(many), clientTime(many))},
		{"P6.sqlite.two", middleRate(shared), "/s", bareDisk, fmt.Sprintf(
			"the same from two terminals at once; %.1f times the disk", ratio(shared))},
		{"P7", each, "ms", "", "processor time of campusd for each of these entries; at most 0.10"},
	}, nil
}

// measureShared measures P6 on PostgreSQL, against the least SQL that keeps the
// same rows.
func measureShared(ctx context.Context, dir string) (_ []figure, err error) {
	cluster, err := pgtest.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	ours, err := cluster.Create(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := cluster.Create(ctx)
	if err != nil {
		return nil, err
	}
	u, err := newUpstream(ctx, dir, ours.DSN)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	a, err := u.author(1)
	if err != nil {
		return nil, err
	}
	b, err := newBareSQL(ctx, theirs.DSN)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.conn.Close(ctx)) }()
	all, err := interleave(
		func() (rate, error) { return u.push(ctx, a, uploadEntries, perRequest) },
		func() (rate, error) { return b.run(ctx, uploadEntries) })
	if err != nil {
		return nil, err
	}
	both, err := u.withAnother(ctx, a)
	if err != nil {
		return nil, err
	}
	shared, err := interleave(
		func() (rate, error) { return both.push(ctx, uploadEntries/2, perRequest) },
		func() (rate, error) { return b.run(ctx, uploadEntries) })
	if err != nil {
		return nil, err
	}
	return []figure{
		{"P6.postgres", middleRate(all), "/s", "bare folded SQL", fmt.Sprintf(
			"%d entries a request, %s; of its %.0f us for each, %.0f are this client's processor time; at least 10,000",
			perRequest, overTLS, 1e6/middleRate(all), clientTime(all))},
		{"P6.postgres.two", middleRate(shared), "/s", "bare folded SQL", fmt.Sprintf(
			"the same from two terminals at once; %.2f of the bare SQL over one connection", ratio(shared))},
		{"P6.postgres.ratio", ratio(all), "", "bare folded SQL", speeds(all) +
			"; the same rows by one statement a batch, without TLS, proof or rules; at least 0.7"},
	}, nil
}

// clientTime is the median processor time of this process for each entry, in
// microseconds.
func clientTime(all []pair) float64 {
	var each []float64
	for _, p := range all {
		each = append(each, float64(p.ours.cpu.Microseconds())/float64(p.ours.n))
	}
	return middle(each)
}

func middleRate(all []pair) float64 {
	var r []float64
	for _, p := range all {
		r = append(r, p.ours.perSecond())
	}
	return middle(r)
}

// bareSQL is the least that a PostgreSQL has to do for a batch: keep the
// entries and their postings, and add up the accounts.
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
