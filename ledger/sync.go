package ledger

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"quancun/journal"
	"quancun/money"
)

// campusName is the name under which upstream cosigns.
const campusName = "quancun/campus"

// Waiting is what upstream does not have yet.
type Waiting struct {
	Count  int64        // entries
	Amount money.Fen    // that they move
	Since  time.Time    // the oldest; zero if there is none
	Hour   money.Fen    // of Amount, what was moved in the last hour
	Acked  journal.Head // what upstream has
}

// Head returns how far the journal has come.
func (b *Book) Head(ctx context.Context) (journal.Head, error) {
	if err := b.ready(ctx); err != nil {
		return journal.Head{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head, nil
}

// Next returns the position that the next entry will have, under which
// upstream is asked to hold money for it. If the clock has been set, that is
// journalled first, so that it does not take the number.
func (b *Book) Next(ctx context.Context) (journal.Epoch, int64, error) {
	if err := b.take(ctx); err != nil {
		return journal.Epoch{}, 0, err
	}
	defer b.give()
	err := b.transact("journal clock step", func(w *writer) error {
		r := w.clock.read()
		step, ok := w.clock.step(r, w.at)
		if !ok {
			return nil
		}
		w.clock.stepped()
		w.clock.last = r
		_, err := w.add(step, r)
		return err
	}, nil)
	return b.w.epoch, b.w.seq + 1, err
}

// HashAt returns the hash of entry seq, zero for 0, and [ErrNotFound] for one
// that the journal does not have.
func (b *Book) HashAt(ctx context.Context, seq int64) (hash journal.Hash, err error) {
	if seq == 0 {
		return hash, b.ready(ctx)
	}
	err = b.read(ctx, "read hash", func(q querier) error {
		h, err := nodes{ctx, q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, seq)
		if err == nil && len(h) == 0 {
			return fmt.Errorf("%w: entry %d", ErrNotFound, seq)
		}
		if err == nil {
			hash = h[0]
		}
		return err
	})
	return hash, err
}

// Batch returns entries from number from on, as many as may be pushed at once and
// no more than most, under a checkpoint signed over exactly the last of them; none
// if there is none. It returns [ErrNoKey] without a key.
func (b *Book) Batch(ctx context.Context, from int64, most int) (batch journal.Batch, err error) {
	if b.o.Key == nil {
		return batch, ErrNoKey
	}
	err = b.read(ctx, "read batch", func(q querier) error {
		batch, err = b.o.batch(ctx, q, journal.Head{Epoch: b.Epoch(), Seq: from}, from-1+int64(most))
		return err
	})
	return batch, err
}

// batch returns entries from number from.Seq on and up to another, of a journal of
// epoch from.Epoch, as many as may be pushed at once.
func (o Options) batch(ctx context.Context, q querier, from journal.Head, to int64) (batch journal.Batch, err error) {
	rows, err := readRows(ctx, q, `WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?`, from.Seq, to, journal.BatchMax)
	if err != nil {
		return batch, err
	}
	batch.Epoch, batch.From = from.Epoch, from.Seq
	size := 0
	for i, r := range rows {
		if r.Seq != from.Seq+int64(i) {
			return batch, fmt.Errorf("%w: entry %d is missing", ErrTampered, from.Seq+int64(i))
		}
		if size += len(r.body); size > journal.BatchBytesMax && len(batch.Bodies) > 0 {
			break
		}
		batch.Bodies = append(batch.Bodies, r.body)
	}
	if len(batch.Bodies) == 0 {
		return batch, nil
	}
	c := journal.Checkpoint{Terminal: o.Terminal, Epoch: from.Epoch, Size: from.Seq + int64(len(batch.Bodies)) - 1}
	if c.Root, err = (nodes{ctx, q}).root(c.Size); err != nil {
		return batch, err
	}
	batch.Note, err = c.Sign(o.Key)
	return batch, err
}

// Acknowledge notes durably what upstream has. It only goes forward: what was
// acknowledged before, or more, makes it do nothing. It returns
// [journal.ErrFork] if upstream's entry under that number is not ours, and
// [journal.ErrUnsigned] if the checkpoint is not of this journal, or not signed
// by those who should have.
func (b *Book) Acknowledge(ctx context.Context, a journal.Ack) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.give()
	err := b.acknowledge(context.WithoutCancel(ctx), a)
	if err != nil && !refused(err) {
		return b.fail("acknowledge", err)
	}
	b.mirror.nudge()
	return err
}

func (b *Book) acknowledge(ctx context.Context, a journal.Ack) error {
	before, err := ackedOf(ctx, b.s.conn)
	if err != nil || a.Head.Seq <= before.Seq {
		return err
	}
	if a.Head.Epoch != b.w.epoch || a.Head.Seq > b.w.seq {
		return fmt.Errorf("%w: entry %d of epoch %s", ErrNotFound, a.Head.Seq, a.Head.Epoch)
	}
	ours, err := nodes{ctx, b.s.conn}.hashes(`SELECT hash FROM journal WHERE seq = ?`, a.Head.Seq)
	if err != nil {
		return err
	}
	if len(ours) != 1 || ours[0] != a.Head.Hash {
		return fmt.Errorf("%w: %d", journal.ErrFork, a.Head.Seq)
	}
	if err := b.checkCosigned(ctx, a); err != nil {
		return err
	}
	return transact(ctx, b.s.conn, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE acked SET seq = ?, hash = ?`, a.Head.Seq, a.Head.Hash[:])
		if err != nil || len(a.Note) == 0 {
			return err
		}
		if err := keepCosigned(ctx, tx, a); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`DELETE FROM checkpoint WHERE size < ?1 AND size > (?1 - 1) / 256 * 256`, a.Head.Seq)
		return err
	})
}

// keepCosigned stores an acknowledged checkpoint.
func keepCosigned(ctx context.Context, tx *sql.Tx, a journal.Ack) error {
	result, err := tx.ExecContext(ctx, `UPDATE checkpoint SET cosigned = ? WHERE size = ?`, a.Note, a.Head.Seq)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO checkpoint (size, note, cosigned) VALUES (?1, ?2, ?2)`, a.Head.Seq, a.Note)
	return err
}

// checkCosigned checks that the note of a is of exactly what it acknowledges.
// Without a key of ours there is none, in tests.
func (b *Book) checkCosigned(ctx context.Context, a journal.Ack) error {
	trust := b.o.trust()
	if trust.Key == nil {
		return nil
	}
	c, err := journal.OpenCheckpoint(a.Note, trust.Key)
	if err == nil {
		err = trust.cosigned(a.Note)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrUnsigned, err)
	}
	root, err := nodes{ctx, b.s.conn}.root(a.Head.Seq)
	if err != nil {
		return err
	}
	if want := (journal.Checkpoint{Terminal: b.o.Terminal, Epoch: b.w.epoch, Size: a.Head.Seq, Root: root}); c != want {
		return fmt.Errorf("%w: checkpoint of %d entries of %s/%s", journal.ErrUnsigned, c.Size, c.Terminal, c.Epoch)
	}
	return nil
}

// cosigned checks the campus's signature on a note whose terminal's was checked, if that
// can be. The campus may have had another key, or have one since: that says nothing of what
// the terminal has signed, and whose word counts when it comes is not decided here.
func (t Trust) cosigned(note []byte) error {
	if t.Campus == nil {
		return nil
	}
	_, _, err := journal.OpenCosigned(note, campusName, t.Campus)
	if t.Key != nil && errors.Is(err, journal.ErrOtherKey) {
		return nil
	}
	return err
}

func ackedOf(ctx context.Context, q querier) (h journal.Head, err error) {
	var hash []byte
	if err := q.QueryRowContext(ctx, `SELECT seq, hash FROM acked`).Scan(&h.Seq, &hash); err != nil {
		return h, fmt.Errorf("read what upstream has: %w", err)
	}
	copy(h.Hash[:], hash)
	h.Epoch, _, err = metaOf(ctx, q)
	return h, err
}

// Acked returns what upstream has, by its own word.
func (b *Book) Acked(ctx context.Context) (h journal.Head, err error) {
	err = b.read(ctx, "read what upstream has", func(q querier) error {
		h, err = ackedOf(ctx, q)
		return err
	})
	return h, err
}

// Waiting returns what upstream does not have yet. It reads what has changed
// since it was last asked, so that a long outage does not make each sale slower.
func (b *Book) Waiting(ctx context.Context) (w Waiting, err error) {
	b.waiting.Lock() // so that no other caller has seen more than this one will
	defer b.waiting.Unlock()
	err = b.read(ctx, "read what is waiting", func(q querier) error {
		w, err = b.waiting.read(ctx, q, b.o.Now())
		return err
	})
	return w, err
}

// waitingSum is what the entries of an epoch after one, up to another, come to:
// those that were waiting when somebody last asked.
type waitingSum struct {
	sync.Mutex // guards what follows

	epoch          journal.Epoch
	after, through int64
	amount         money.Fen
	newest         []moved // of these entries, with their times
}

// moved is what an entry moves, and when it was written.
type moved struct {
	seq    int64
	at     time.Time
	amount money.Fen
}

// newestMax is how many entries are looked at for the last hour: more than a till
// can write in one.
const newestMax = 20_000

// read returns what is waiting. It takes away what upstream has got since the
// last time, and adds what has come.
func (s *waitingSum) read(ctx context.Context, q querier, now time.Time) (w Waiting, err error) {
	if w.Acked, err = ackedOf(ctx, q); err != nil {
		return w, err
	}
	last, err := tailOf(ctx, q)
	if err != nil {
		return w, err
	}
	if s.epoch != w.Acked.Epoch || s.through < w.Acked.Seq { // of which nothing is known
		s.epoch, s.after, s.through, s.amount, s.newest = w.Acked.Epoch, w.Acked.Seq, w.Acked.Seq, 0, nil
	}
	gone, err := movedBetween(ctx, q, s.after, w.Acked.Seq)
	if err != nil {
		return w, err
	}
	come, err := movedBetween(ctx, q, s.through, last.seq)
	if err != nil {
		return w, err
	}
	if err := s.readNewest(ctx, q, w.Acked.Seq, last.seq); err != nil {
		return w, err
	}
	s.after, s.through, s.amount = w.Acked.Seq, last.seq, s.amount-gone+come
	w.Count, w.Amount = s.through-s.after, s.amount
	for _, m := range s.newest {
		if now.Sub(m.at) < time.Hour {
			w.Hour += m.amount
		}
	}
	if w.Count == 0 {
		return w, nil
	}
	oldest, err := entryAt(ctx, q, s.after+1)
	w.Since = oldest.At
	return w, err
}

// readNewest brings the newest entries up to the last one, and forgets those that
// upstream has.
func (s *waitingSum) readNewest(ctx context.Context, q querier, acked, last int64) error {
	var come []moved // all of them or none: who asks may go away meanwhile
	err := each(ctx, q, `SELECT seq, amount, body FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq`,
		func(rows *sql.Rows) error {
			var m moved
			var amount sql.NullInt64
			var body []byte
			if err := rows.Scan(&m.seq, &amount, &body); err != nil {
				return err
			}
			e, _, err := journal.Decode(body)
			m.at, m.amount = e.At, money.Fen(amount.Int64)
			come = append(come, m)
			return err
		}, max(s.through, last-newestMax), last)
	if err != nil {
		return fmt.Errorf("read the newest entries: %w", err)
	}
	s.newest = append(s.newest, come...)
	s.newest = s.newest[max(len(s.newest)-newestMax, 0):]
	s.newest = slices.DeleteFunc(s.newest, func(m moved) bool { return m.seq <= acked })
	return nil
}

// movedBetween returns what the entries after one, up to another, move.
func movedBetween(ctx context.Context, q querier, after, through int64) (sum money.Fen, err error) {
	if after >= through {
		return 0, nil
	}
	err = q.QueryRowContext(ctx, `SELECT coalesce(sum(amount), 0) FROM journal WHERE seq > ? AND seq <= ?`,
		after, through).Scan(&sum)
	return sum, err
}

// WaitingFile returns what a journal's file holds that upstream does not have
// yet, and how many intents are open. That the program was started and the clock
// set is nothing to wait for, if there is nothing else. It leaves out the last
// hour. The file may be of a
// running terminal; it changes nothing in it.
func WaitingFile(ctx context.Context, path string) (w Waiting, open int, err error) {
	err = inspect(ctx, system{}, path, func(db *sql.DB) error {
		return transactRead(ctx, db, func(q querier) error {
			if w, err = new(waitingSum).read(ctx, q, time.Now()); err != nil {
				return err
			}
			w.Hour = 0 // nobody sells by it
			bare, err := isBare(ctx, q, w.Acked.Seq)
			if err != nil {
				return err
			}
			if bare {
				w = Waiting{Acked: w.Acked}
			}
			return q.QueryRowContext(ctx, `SELECT count(*) FROM open_item`).Scan(&open)
		})
	})
	return w, open, err
}

// isBare reports whether the entries after one say nothing of what was done. A
// few are looked at: more than that say something.
func isBare(ctx context.Context, q querier, after int64) (bool, error) {
	const most = 100
	rows, err := readRows(ctx, q, `WHERE seq > ? ORDER BY seq LIMIT ?`, after, most)
	said := slices.ContainsFunc(rows, func(r row) bool {
		return r.Kind != journal.Started && r.Kind != journal.ClockStep
	})
	return !said && len(rows) < most, err
}

// Appended returns a channel on which there is a token when something new has
// been journalled since the last was taken.
func (b *Book) Appended() <-chan struct{} { return b.appended }

// Synced tells the Book what time it is upstream. From then on entries say
// that the clock was compared, or, where it is far off, that it is wrong.
func (b *Book) Synced(at time.Time) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	b.w.clock.heard(at)
}

// Receipt returns the signed receipt for what came of ref: its end, or the
// entry itself if it stands alone. It returns [ErrNotFound] for what is not
// there or has no end yet, and [ErrNoKey] without a key.
func (b *Book) Receipt(ctx context.Context, ref string, cert journal.Certificate) (journal.Receipt, error) {
	if b.o.Key == nil {
		return journal.Receipt{}, ErrNoKey
	}
	i, err := b.Get(ctx, ref)
	if err != nil {
		return journal.Receipt{}, err
	}
	if i.Open() {
		return journal.Receipt{}, fmt.Errorf("%w: %q has no end", ErrNotFound, ref)
	}
	h, err := b.HashAt(ctx, i.End.Seq)
	if err != nil {
		return journal.Receipt{}, err
	}
	return journal.NewReceipt(i.End, h, cert, b.o.Key)
}

// sign stores a checkpoint over the journal as it is, unless there is one. Its
// caller has the turn.
func (b *Book) sign(ctx context.Context) error {
	if b.o.Key == nil || b.w.seq == 0 {
		return nil
	}
	c := journal.Checkpoint{Terminal: b.w.terminal, Epoch: b.w.epoch, Size: b.w.seq, Root: b.w.tree.root()}
	note, err := c.Sign(b.o.Key)
	if err != nil {
		return err
	}
	_, err = b.s.conn.ExecContext(ctx, `INSERT INTO checkpoint (size, note)
		SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM checkpoint WHERE size = ?1)`, c.Size, note)
	if err != nil {
		return fmt.Errorf("store checkpoint: %w", named(err))
	}
	return nil
}

// take takes the turn to write, and the disk.
func (b *Book) take(ctx context.Context) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.disk <- struct{}{}
	if err := b.err(); err != nil {
		b.give()
		return err
	}
	return nil
}

func (b *Book) give() {
	<-b.disk
	<-b.turn
}

// betweenReads is how long whoever needs the journal's file alone waits for those who
// read it.
const betweenReads = 10 * time.Millisecond

// takeAlone takes the turn and the files, when nobody reads what is about to be moved.
// While somebody reads all of it, others write.
func (b *Book) takeAlone(ctx context.Context) error {
	for {
		if err := b.take(ctx); err != nil {
			return err
		}
		if b.files.TryLock() {
			return nil
		}
		b.give()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(betweenReads):
		}
	}
}

// trust is whose signatures a verification checks.
func (o Options) trust() Trust {
	t := Trust{Campus: o.Campus}
	if o.Key != nil {
		t.Key, _ = o.Key.Public().(ed25519.PublicKey)
	}
	return t
}
