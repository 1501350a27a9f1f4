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
)

// measureStore measures P4: a transfer a commit into the upstream's books, in
// this process, with proof and rules and without a network.
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
	a, err := (&upstreamBench{keys: client.Keys{Journal: private}}).author(1)
	if err != nil {
		return nil, err
	}
	in := ingest.New(books, k, ingest.Policy{})
	all, err := interleave(func() (rate, error) {
		return repeat(turnLength, 1, func() error {
			b, err := a.batch(1)
			if err == nil {
				_, err = in.Push(ctx, who, b)
			}
			return err
		})
	}, func() (rate, error) { return repeat(turnLength, 1, raw.write) })
	if err != nil {
		return nil, err
	}
	return []figure{{"P4", middleRate(all), "/s", bareDisk, fmt.Sprintf(
		"one transfer a commit into the books in a file, proved by a signature each; %.2f of the disk: %s",
		ratio(all), speeds(all))}}, nil
}
