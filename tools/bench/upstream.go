package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"quancun/app/identity"
	"quancun/journal"
	"quancun/tools/stack"
	"quancun/upstream/client"
	"quancun/upstream/store"
)

// Holders and merchants of the benchmarks: a canteen at noon has many that pay
// and few that sell.
const (
	benchHolders   = 2000
	benchMerchants = 10
)

func holderNo(i int64) string { return fmt.Sprintf("9%09d", i%benchHolders) }

// upstreamBench is the real upstream in a process of its own, on an engine, and
// a terminal that has enrolled there.
type upstreamBench struct {
	stack    *stack.Stack
	dir      string
	terminal string
	keys     client.Keys
	who      *client.Provisioning
}

// newUpstream starts campusd on the books of a PostgreSQL, or of a file if dsn
// is empty, with everybody who is going to pay.
func newUpstream(ctx context.Context, dir, dsn string) (_ *upstreamBench, err error) {
	u := &upstreamBench{terminal: benchTerminal}
	if u.stack, err = stack.New(stack.Options{Dir: dir, Database: dsn}); err != nil {
		return nil, err
	}
	u.dir = u.stack.Dir
	defer func() {
		if err != nil {
			err = errors.Join(err, u.close())
		}
	}()
	if err := u.stack.StartServices(ctx); err != nil {
		return nil, err
	}
	if dsn == "" {
		dsn = u.stack.File("upstream/books.db")
	}
	return u, errors.Join(addHolders(ctx, dsn), u.enrol(ctx))
}

func (u *upstreamBench) close() error { return u.stack.Stop() }

func addHolders(ctx context.Context, dsn string) error {
	books, err := store.OpenDSN(ctx, dsn, nil)
	if err != nil {
		return err
	}
	for i := range int64(benchHolders) {
		h := store.Holder{Account: store.HolderAccount(holderNo(i)), Name: "测", Number: holderNo(i)}
		if err := books.AddHolder(ctx, h, store.PIN{}, 1_000_000); err != nil {
			return errors.Join(err, books.Close())
		}
	}
	return books.Close()
}

var ticketText = regexp.MustCompile(`quancun://\S+`)

// enrol makes this process a terminal, as an admin does with a machine.
func (u *upstreamBench) enrol(ctx context.Context) error {
	out, err := u.stack.Campusd(ctx, "terminal", "add", u.terminal, "--address", u.stack.UpstreamAddr)
	if err != nil {
		return err
	}
	ticket, err := client.ParseTicket(string(ticketText.Find(out)))
	if err != nil {
		return err
	}
	if u.keys, err = identity.Make(identity.Config{File: u.stack.File(u.terminal + ".keys")}); err != nil {
		return err
	}
	file, err := client.Enrol(ctx, ticket, u.keys, client.Options{})
	if err != nil {
		return err
	}
	if err := file.Save(u.stack.File(u.terminal + ".pem")); err != nil {
		return err
	}
	if u.who, err = client.ReadProvisioning(u.stack.File(u.terminal + ".pem")); err != nil {
		return err
	}
	return u.who.Use(u.keys.TLS)
}

// dial returns a connection to the upstream, or to address in front of it.
func (u *upstreamBench) dial(address string) *client.Client {
	return client.Dial(u.who, client.Options{Address: address})
}

// cpu returns how much processor time campusd has used.
func (u *upstreamBench) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", u.stack.Upstream.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// author writes a journal in memory, as fast as it can be, so that what is
// measured is the upstream.
type author struct {
	terminal string
	key      ed25519.PrivateKey

	epoch journal.Epoch
	seq   int64
	prev  journal.Hash
	tree  journal.Frontier
}

func (u *upstreamBench) author(epoch byte) (*author, error) {
	key, ok := u.keys.Journal.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("journal key is a %T", u.keys.Journal)
	}
	return &author{terminal: u.terminal, key: key, epoch: journal.Epoch{epoch}}, nil
}

// batch returns the next n entries: sales to virtual cards, at the few
// merchants that there are.
func (a *author) batch(n int) (b journal.Batch, err error) {
	b.Epoch, b.From = a.epoch, a.seq+1
	for range n {
		a.seq++
		body := journal.Entry{
			Terminal: a.terminal, Epoch: a.epoch, Seq: a.seq, At: time.UnixMilli(1_790_000_000_000 + a.seq).UTC(),
			Kind: journal.CodeSale, Ref: fmt.Sprintf("%x%015x", a.epoch[0], a.seq), Account: holderNo(a.seq * 7),
			Merchant: fmt.Sprintf("m%d", a.seq%benchMerchants), Operator: "c7", Amount: 1,
		}.Post(false, 0).Encode(a.prev)
		a.prev = journal.HashOf(body)
		a.tree.Append(a.prev)
		b.Bodies = append(b.Bodies, body)
	}
	c := journal.Checkpoint{Terminal: a.terminal, Epoch: a.epoch, Size: a.seq, Root: a.tree.Root()}
	b.Note, err = c.Sign(a.key)
	return b, err
}

// batches returns the next total entries, per of them in each.
func (a *author) batches(total, per int) (all []journal.Batch, err error) {
	for range total / per {
		b, err := a.batch(per)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// push pushes total entries, per of them at a time, and returns the rate.
func (u *upstreamBench) push(ctx context.Context, a *author, total, per int) (rate, error) {
	batches, err := a.batches(total, per)
	if err != nil {
		return rate{}, err
	}
	return u.send(ctx, batches)
}

func (u *upstreamBench) send(ctx context.Context, batches []journal.Batch) (r rate, err error) {
	c := u.dial("")
	defer c.Close()
	start, before := time.Now(), ownCPU()
	for _, b := range batches {
		began := time.Now()
		if _, err := c.Push(ctx, b); err != nil {
			return rate{}, err
		}
		r.each = append(r.each, time.Since(began))
		r.n += len(b.Bodies)
	}
	r.took, r.cpu = time.Since(start), ownCPU()-before
	return r, nil
}

// two are terminals that push at once, each its own journal.
type two struct {
	terminals [2]*upstreamBench
	authors   [2]*author
}

// withAnother returns a terminal and one more at the same upstream.
func (u *upstreamBench) withAnother(ctx context.Context, a *author) (*two, error) {
	v := *u
	v.terminal = benchTerminal + "2"
	if err := v.enrol(ctx); err != nil {
		return nil, err
	}
	b, err := v.author(1)
	return &two{[2]*upstreamBench{u, &v}, [2]*author{a, b}}, err
}

// push pushes total entries from each terminal at once, and returns the rate of
// both together: while one waits for its answer, the upstream takes the other's.
func (t *two) push(ctx context.Context, total, per int) (all rate, err error) {
	var batches [2][]journal.Batch
	for i, a := range t.authors {
		if batches[i], err = a.batches(total, per); err != nil {
			return rate{}, err
		}
	}
	return atOnce(ctx, func(ctx context.Context, i int) (rate, error) { return t.terminals[i].send(ctx, batches[i]) })
}

// atOnce returns the rate of two together.
func atOnce(ctx context.Context, do func(ctx context.Context, i int) (rate, error)) (rate, error) {
	var each [2]rate
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for i := range each {
		g.Go(func() (err error) { each[i], err = do(ctx, i); return err })
	}
	if err := g.Wait(); err != nil {
		return rate{}, err
	}
	return rate{n: each[0].n + each[1].n, took: time.Since(start), each: append(each[0].each, each[1].each...)}, nil
}

// ownCPU returns how much processor time this process has used.
func ownCPU() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // it fails for other processes only
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
