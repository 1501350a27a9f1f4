package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"

	"quancun/upstream/client"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// measureStore measures P4: a transfer a commit into the upstream's books, in
// this process. P4.push is the same as it comes from a terminal, with proof and
// rules.
func measureStore(ctx context.Context, dir string) (_ []figure, err error) {
	raw, err := newRawDisk(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	file := filepath.Join(dir, "books.db")
	if err := addHolders(ctx, file); err != nil {
		return nil, err
	}
	books, err := store.OpenDSN(ctx, file, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	bare := func() (rate, error) { return repeat(turnLength, 1, raw.write) }
	var n int64
	transfers, err := interleave(func() (rate, error) {
		return repeat(turnLength, 1, func() error { n++; return transfer(ctx, books, n) })
	}, bare)
	if err != nil {
		return nil, err
	}
	push, err := pusher(ctx, books, dir)
	if err != nil {
		return nil, err
	}
	pushes, err := interleave(func() (rate, error) { return repeat(turnLength, 1, push) }, bare)
	if err != nil {
		return nil, err
	}
	const note = "%s, into the books in a file; %.2f of the disk: %s"
	return []figure{
		{"P4", middleRate(transfers), "/s", bareDisk, fmt.Sprintf(note,
			"a transfer a commit", ratio(transfers), speeds(transfers))},
		{"P4.push", middleRate(pushes), "/s", bareDisk, fmt.Sprintf(note,
			"an entry a commit, proved by a signature and cosigned", ratio(pushes), speeds(pushes))},
	}, nil
}

// transfer moves a fen from a holder to a merchant.
func transfer(ctx context.Context, books *store.Books, n int64) error {
	from, to := store.HolderAccount(holderNo(n*7)), store.Account(fmt.Sprintf("merchant/m%d", n%benchMerchants))
	return books.Write(ctx, func(tx *sqldb.Tx) error {
		held, err := books.LockAccounts(ctx, tx, []store.Account{from, to})
		if err != nil {
			return err
		}
		_, err = books.PostAll(ctx, tx, held, []store.Entry{{
			Kind: store.KindPurchase, Place: "m", Debit: from, Credit: to, Amount: 1,
		}})
		return err
	})
}

// pusher returns what pushes one entry of a terminal's journal more.
func pusher(ctx context.Context, books *store.Books, dir string) (push func() error, err error) {
	k, err := keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	if err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	if _, err := books.AddTerminal(ctx, store.Terminal{ID: benchTerminal}); err != nil {
		return nil, err
	}
	who, err := books.Terminal(ctx, benchTerminal)
	if err != nil {
		return nil, err
	}
	who.JournalKey = public
	a, err := (&upstreamBench{terminal: benchTerminal, keys: client.Keys{Journal: private}}).author(1)
	if err != nil {
		return nil, err
	}
	in := ingest.New(books, k, ingest.Policy{})
	return func() error {
		b, err := a.batch(1)
		if err == nil {
			_, err = in.Push(ctx, who, b)
		}
		return err
	}, nil
}
