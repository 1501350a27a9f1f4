package trial

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"quancun/journal"
	"quancun/lab/disk"
)

// promise is what a terminal may rely on at some moment, because the ledger
// has returned without an error.
type promise struct {
	head  journal.Head // the last entry; before the first journal it is zero
	acked int64        // upstream has as many

	// copies are files with a journal in them that are there, and how many
	// entries they have: backups, and journals of epochs that are over.
	copies map[string]int64
}

// history is what was promised about a journal.
type history struct {
	mirror   string // where the journal's is, if it has one
	acts     []act
	promises []promise // before the journal was opened, after, and after each act

	// heads are those that the journal has had, and the last promise that was
	// about each. It never ends anywhere between two of them: an act is done
	// whole or not at all.
	heads map[journal.Head]int

	whole *copies // shared by all who look at its states
}

func newHistory(s *station, acts []act, first promise) *history {
	return &history{
		mirror: s.mirror, acts: acts, promises: []promise{first}, heads: map[journal.Head]int{first.head: 0},
		whole: newCopies(),
	}
}

// fork returns a copy that goes on from promise n.
func (h *history) fork(n int) *history {
	return &history{
		mirror: h.mirror, acts: h.acts, promises: slices.Clone(h.promises[:n+1]), heads: maps.Clone(h.heads),
		whole: h.whole,
	}
}

// promise adds a promise: the journal as it is. The disk's recording gets its
// number.
func (h *history) promise(ctx context.Context, s *station) error {
	head, err := s.book.Head(ctx)
	if err != nil {
		return err
	}
	n := len(h.promises)
	h.heads[head] = n
	h.promises = append(h.promises, promise{head, s.upstream.Size, maps.Clone(s.copies)})
	s.disk.Mark(n)
	return nil
}

// inFlight returns what was being said when promise n was the last, if it was
// an entry.
func (h *history) inFlight(n int) *journal.Entry {
	if n < 1 || n > len(h.acts) {
		return nil
	}
	return h.acts[n-1].says
}

// check opens the journal on d and reports what is wrong with it, when promise
// n is the last that was made. If later is set, h goes on from there: with what
// was found, and with what is promised meanwhile.
func (h *history) check(ctx context.Context, d *disk.Disk, n int, later bool) (err error) {
	p := h.promises[n]
	s := &station{disk: d, mirror: h.mirror, wall: noon.AddDate(0, 1, 0), up: time.Hour, copies: p.copies}
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	was, err := h.compare(ctx, s, n)
	if err != nil {
		return err
	}
	if err := h.checkCopies(d, p.copies); err != nil {
		return err
	}
	said := h.inFlight(n)
	if later {
		maps.DeleteFunc(h.heads, func(_ journal.Head, at int) bool { return at > n })
		h.heads[was], h.promises, h.acts = n, h.promises[:n+1], nil
	}
	note := func() error {
		if !later {
			return nil
		}
		if was.Epoch == p.head.Epoch { // of a new one, upstream has nothing
			s.upstream.Size = p.acked
		}
		return h.promise(ctx, s)
	}
	if err := note(); err != nil {
		return err
	}
	for _, e := range []*journal.Entry{said, more(n)} {
		if e == nil {
			continue
		}
		if _, err := s.book.Append(ctx, *e); err != nil {
			return fmt.Errorf("say %s %s: %w", e.Kind, e.Ref, err)
		}
		if err := note(); err != nil {
			return err
		}
	}
	return nil
}

// more is an entry that nothing else depends on.
func more(n int) *journal.Entry {
	return &journal.Entry{Kind: journal.CashIn, Ref: fmt.Sprintf("more%d", n), Amount: 1}
}

// compare holds the journal against promise n and against the heads that it has
// had. It returns the head that it had before it was opened.
func (h *history) compare(ctx context.Context, s *station, n int) (was journal.Head, err error) {
	newest, err := s.book.Recent(ctx, 50) // a start, a doubt for each intent that was open, and what went before
	if err != nil {
		return was, err
	}
	start := slices.IndexFunc(newest, func(e journal.Entry) bool { return e.Kind == journal.Started })
	if start < 0 {
		return was, errors.New("no start among the last entries")
	}
	if seq := newest[start].Seq - 1; seq > 0 {
		was = journal.Head{Epoch: s.book.Epoch(), Seq: seq}
	}
	if was.Hash, err = s.book.HashAt(ctx, was.Seq); err != nil {
		return was, err
	}
	p := h.promises[n]
	at, known := h.heads[was]
	switch {
	case known && at < n, !known && was.Epoch == p.head.Epoch && was.Seq <= p.head.Seq:
		return was, fmt.Errorf("lost: it had %d entries of epoch %s, and %d of %s were acknowledged",
			was.Seq, was.Epoch, p.head.Seq, p.head.Epoch)
	case !known && !h.couldBe(n, newest[start+1:]):
		return was, fmt.Errorf("invented: it never ended with entry %d of epoch %s", was.Seq, was.Epoch)
	}
	if p.acked == 0 || was.Epoch != p.head.Epoch {
		return was, nil
	}
	acked, err := s.book.Acked(ctx)
	if err == nil && acked.Seq < p.acked {
		err = fmt.Errorf("lost: upstream has %d entries, of which only %d are known", p.acked, acked.Seq)
	}
	return was, err
}

// couldBe reports whether the entries after promise n, newest first, are what
// the program was doing when it was stopped, so that nobody saw the head.
func (h *history) couldBe(n int, newest []journal.Entry) bool {
	if n < len(h.promises)-1 {
		return false // it was not stopped then
	}
	last, e := h.promises[n].head, h.inFlight(n)
	for _, got := range newest {
		switch {
		case got.Epoch == last.Epoch && got.Seq <= last.Seq:
			return true
		case got.Kind.LedgerOnly(), got.Kind.IsDoubt():
		case e == nil || got.Ref != e.Ref || got.Kind != e.Kind:
			return false
		}
	}
	return true
}

// checkCopies reports a copy that is not there, or not whole.
func (h *history) checkCopies(d *disk.Disk, copies map[string]int64) error {
	for name, want := range copies {
		head, err := h.whole.headOf(d, name)
		if err == nil && head.Seq != want {
			err = fmt.Errorf("%d entries, want %d", head.Seq, want)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return nil
}

// copies are files with a journal in them that were found to be whole. They do
// not change any more, so that what one state has is mostly what others had, to
// the byte, and SQLite need not be asked about it again.
type copies struct {
	mu    sync.Mutex
	heads map[[sha256.Size]byte]journal.Head // guarded by mu; by all that SQLite would read
}

func newCopies() *copies { return &copies{heads: map[[sha256.Size]byte]journal.Head{}} }

// headOf is [headOf], unless the same content was looked at before.
func (c *copies) headOf(d *disk.Disk, name string) (journal.Head, error) {
	key, err := sumOf(d, name, name+"-journal", name+"-wal")
	if err != nil {
		return journal.Head{}, err
	}
	c.mu.Lock()
	head, known := c.heads[key]
	c.mu.Unlock()
	if known {
		return head, nil
	}
	if head, err = headOf(d, name); err != nil {
		return head, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heads[key] = head
	return head, nil
}

// sumOf returns a hash over files, which also says which of them there are.
func sumOf(d *disk.Disk, names ...string) (sum [sha256.Size]byte, err error) {
	all := sha256.New()
	for _, name := range names {
		content, err := d.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprint(all, "none,")
			continue
		}
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(all, "%d:", len(content))
		all.Write(content)
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}

// headOf reads where the journal in a file ends, which has to be whole.
func headOf(d *disk.Disk, name string) (head journal.Head, err error) {
	db, err := sql.Open("sqlite3", d.DSN(name)+"&mode=ro")
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	var hash, epoch []byte
	err = db.QueryRow(`SELECT integrity_check, seq, hash, (SELECT value FROM meta WHERE key = 'epoch')
		FROM pragma_integrity_check, journal ORDER BY seq DESC LIMIT 1`).Scan(&verdict, &head.Seq, &hash, &epoch)
	if err == nil && verdict != "ok" {
		err = errors.New(verdict)
	}
	copy(head.Hash[:], hash)
	copy(head.Epoch[:], epoch)
	return head, err
}
