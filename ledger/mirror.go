package ledger

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"quancun/journal"
)

// The mirror is a file on a second medium with every entry that upstream has
// not acknowledged, so that a journal whose disk has died can be recovered.
//
// It is written beside the journal and never before it: nobody who appends
// waits for the mirror, and a mirror that fails stops nothing. So a disk that
// dies loses, of what upstream does not have, the entries of the last moment: those
// that the second medium was still writing. What upstream has acknowledged is
// dropped now and then, by writing the file anew and renaming it.
//
//	magic, terminal, epoch 8 bytes,
//	number and hash of the last entry that upstream had acknowledged: 8, 32
//	each entry after that: its bytes, and their hash, 32
//
// Terminal and bytes have their length before them, as an unsigned varint. What
// is after the last whole entry was being written when the power failed.
const mirrorMagic = "quancun journal mirror 1\n"

const (
	mirrorItemMax = 1 << 20   // bytes of an entry: bounds what damage can cost
	mirrorWaste   = 256 << 10 // bytes of acknowledged entries that are worth a new file
	mirrorChunk   = 256       // entries that share a sync

	// A medium that has failed is tried again after a pause, which grows.
	mirrorPauseMin = 5 * time.Second
	mirrorPauseMax = 5 * time.Minute
)

// MirrorHealth is how the mirror is.
type MirrorHealth struct {
	Err    error     // why it is not written; nil while it is
	Since  time.Time // when that began
	Behind int64     // entries that are in the journal and not in the mirror
}

// errForeignMirror is why a mirror of another terminal is not written over.
var errForeignMirror = errors.New("ledger: mirror belongs to another terminal")

// MirrorHealth returns how the mirror is. Without [Options.Mirror] it is well.
func (b *Book) MirrorHealth() MirrorHealth {
	if b.mirror == nil {
		return MirrorHealth{}
	}
	b.mu.Lock()
	head := b.head
	b.mu.Unlock()
	b.mirror.mu.Lock()
	defer b.mirror.mu.Unlock()
	h, have := b.mirror.health, b.mirror.have
	if h.Behind = head.Seq; have.Epoch == head.Epoch {
		h.Behind = max(0, head.Seq-have.Seq)
	}
	return h
}

// mirror is the goroutine that writes the mirror, and what it knows.
type mirror struct {
	b              *Book
	path           string
	wake           chan struct{} // has a token when there is something to write
	stop           func()        // closes stopping
	stopping, done chan struct{}

	file  File          // nil: it has to be written anew
	epoch journal.Epoch // of what is in the file
	from  int64         // the first entry in it
	last  int64         // the last
	size  int64         // bytes of entries in it

	mu     sync.Mutex   // guards what follows
	have   journal.Head // the last entry that is durable under the mirror's own name, without its hash
	health MirrorHealth
}

// startMirror begins to write the mirror. What an older one holds has been
// found in the journal.
func (b *Book) startMirror() {
	if b.o.Mirror == "" {
		return
	}
	m := &mirror{
		b: b, path: b.o.Mirror, wake: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	m.stop = sync.OnceFunc(func() { close(m.stopping) })
	b.mirror = m
	if b.o.MirrorByHand {
		close(m.done)
		return
	}
	go m.run()
}

// Reflect brings the mirror up to the journal, with [Options.MirrorByHand]. How
// that went is in [Book.MirrorHealth].
func (b *Book) Reflect() {
	if b.mirror != nil && b.o.MirrorByHand {
		b.mirror.note(b.mirror.write())
	}
}

// nudge has the mirror look for something to write.
func (m *mirror) nudge() {
	if m == nil {
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// end writes what is left and stops the goroutine.
func (m *mirror) end() {
	if m == nil {
		return
	}
	m.stop()
	<-m.done
	if m.b.o.MirrorByHand {
		m.note(m.leave())
	}
}

func (m *mirror) run() {
	defer close(m.done)
	pause := time.Duration(0)
	for stopping := false; !stopping; {
		err := m.write()
		m.note(err)
		if pause = min(2*pause, mirrorPauseMax); err == nil {
			pause = 0
		} else {
			pause = max(pause, mirrorPauseMin)
		}
		stopping = m.await(pause)
	}
	m.note(errors.Join(m.write(), m.leave()))
}

// await waits until there may be something to write, or, after a failure, for
// as long as the pause is. It reports whether the mirror has to stop.
func (m *mirror) await(pause time.Duration) (stop bool) {
	wake, timer := m.wake, (<-chan time.Time)(nil)
	if pause > 0 {
		wake, timer = nil, time.After(pause)
	}
	select {
	case <-m.stopping:
		return true
	case <-wake:
	case <-timer:
	}
	return false
}

func (m *mirror) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil && m.health.Err == nil {
		m.health.Since = m.b.o.Now()
	}
	if m.health.Err = err; err == nil {
		m.health.Since = time.Time{}
	}
}

// leave closes the file.
func (m *mirror) leave() error {
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file = nil
	return f.Close()
}

// write brings the file up to the journal. After an error it will be written
// anew: nobody knows what is on the medium.
func (m *mirror) write() (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.leave())
		}
	}()
	ctx := context.Background()
	acked, err := m.b.Acked(ctx)
	if err != nil {
		return nil // the Book has failed, which it says itself
	}
	if m.file == nil || m.epoch != acked.Epoch || m.wasted(acked.Seq) {
		if err := m.renew(acked); err != nil {
			return err
		}
	}
	for {
		m.tell()
		n, err := m.add(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

// tell lets others know how far the mirror is. What is in a file that has yet to
// get the mirror's name is in none.
func (m *mirror) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.have = journal.Head{Epoch: m.epoch, Seq: m.last}
}

// wasted reports whether so much of the file is acknowledged that it is worth
// writing it anew.
func (m *mirror) wasted(acked int64) bool {
	if m.last < m.from || acked < m.from {
		return false
	}
	waste := m.size / (m.last - m.from + 1) * (min(acked, m.last) - m.from + 1)
	return waste >= mirrorWaste && waste >= m.size/2
}

// renew writes the file anew, from the entry after the acknowledged one on.
// Until the new one is whole the old one stays.
func (m *mirror) renew(acked journal.Head) error {
	if err := m.leave(); err != nil {
		return err
	}
	if err := m.b.mayReplace(m.path); err != nil {
		return err
	}
	files, part := m.b.o.FS, m.path+".part"
	f, err := files.Open(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	m.file, m.epoch, m.from, m.last, m.size = f, acked.Epoch, acked.Seq+1, acked.Seq, 0
	header := append(item([]byte(mirrorMagic), []byte(m.b.o.Terminal)), acked.Epoch[:]...)
	header = append(binary.BigEndian.AppendUint64(header, uint64(acked.Seq)), acked.Hash[:]...)
	if _, err := f.Write(header); err != nil {
		return err
	}
	for n := 1; n > 0; {
		if n, err = m.add(context.Background()); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := files.Rename(part, m.path); err != nil {
		return err
	}
	return files.SyncDir(filepath.Dir(m.path))
}

// add adds the next entries to the file and syncs it. It returns how many.
func (m *mirror) add(ctx context.Context) (int, error) {
	var rows []row
	var epoch journal.Epoch
	err := m.b.read(ctx, "read for mirror", func(q querier) (err error) {
		epoch = m.b.Epoch()
		rows, err = readRows(ctx, q, `WHERE seq > ? ORDER BY seq LIMIT ?`, m.last, mirrorChunk)
		return err
	})
	if err != nil || len(rows) == 0 || epoch != m.epoch {
		return 0, nil // the Book has failed, there is nothing, or a new epoch calls for a new file
	}
	var b []byte
	for _, r := range rows {
		b = append(item(b, r.body), r.hash[:]...)
	}
	if _, err := m.file.Write(b); err != nil {
		return 0, err
	}
	if err := m.file.Sync(); err != nil {
		return 0, err
	}
	m.size += int64(len(b))
	m.last = rows[len(rows)-1].Seq
	return len(rows), nil
}

func item(b, content []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

// reflection is what a mirror holds.
type reflection struct {
	terminal string
	epoch    journal.Epoch
	acked    journal.Head // by upstream, when the mirror was last written anew
	rows     []row        // after that, in order
	gone     int64        // entries between these that cannot be read
}

// readMirror reads what is whole in a mirror. It returns nil if there is no
// mirror, or nothing that was one.
func readMirror(files FS, path string) (*reflection, error) {
	if path == "" {
		return nil, nil
	}
	content, err := readFile(files, path)
	if err != nil {
		return nil, fmt.Errorf("read mirror: %w", err)
	}
	return parseMirror(content), nil
}

// MirrorHead returns the last entry that the mirror at path holds, as what is
// known about its journal from elsewhere; none if there is no mirror.
func MirrorHead(path string) ([]journal.Head, error) {
	m, err := readMirror(system{}, path)
	if err != nil || m == nil || len(m.rows) == 0 {
		return nil, err
	}
	last := m.rows[len(m.rows)-1]
	return []journal.Head{{Epoch: m.epoch, Seq: last.Seq, Hash: last.hash}}, nil
}

// MirrorFile returns how many of the entries that wait for the upstream in a journal's
// file the mirror at a path lacks, and since when the oldest of them waits. The journal
// may be a running terminal's; nothing is changed.
func MirrorFile(ctx context.Context, path, mirror string) (lacks int64, since time.Time, err error) {
	heads, err := MirrorHead(mirror)
	if err != nil {
		return 0, time.Time{}, err
	}
	err = inspect(ctx, system{}, path, func(db *sql.DB) error {
		return transactRead(ctx, db, func(q querier) error {
			has, err := ackedOf(ctx, q)
			if err != nil {
				return err
			}
			for _, h := range heads {
				ours, err := nodes{ctx, q}.hashes(`SELECT hash FROM journal WHERE seq = ?`, h.Seq)
				if err != nil {
					return err
				}
				if h.Epoch == has.Epoch && len(ours) == 1 && ours[0] == h.Hash { // not what was lost
					has.Seq = max(has.Seq, h.Seq)
				}
			}
			first, err := readRows(ctx, q, `WHERE seq > ? ORDER BY seq LIMIT 1`, has.Seq)
			if err != nil || len(first) == 0 {
				return err
			}
			since = first[0].At
			return q.QueryRowContext(ctx, `SELECT count(*) FROM journal WHERE seq > ?`, has.Seq).Scan(&lacks)
		})
	})
	return lacks, since, err
}

// MirrorOnly returns [ErrLost] if the mirror at a path holds what the journal's file does
// not, or what is left of one that is gone, and says something of what was done. A
// medium that cannot be read says nothing. The journal may be a running terminal's;
// nothing is changed.
func MirrorOnly(ctx context.Context, path, mirror, terminal string) error {
	m, err := readMirror(system{}, mirror)
	said := func(r row) bool { return r.Kind != journal.Started && r.Kind != journal.ClockStep }
	if err != nil || m == nil || m.terminal != terminal || !slices.ContainsFunc(m.rows, said) {
		return nil //nolint:nilerr // see above
	}
	if path, err = resolve(system{}, path); err != nil {
		return fmt.Errorf("compare with mirror: %w", err)
	}
	b := &Book{o: Options{Terminal: terminal, Mirror: mirror}.filled(), path: path}
	if err := b.checkLost(); err != nil {
		return err
	}
	return inspect(ctx, system{}, path, func(db *sql.DB) error {
		return transactRead(ctx, db, func(q querier) error {
			var err error
			if b.head.Epoch, _, err = metaOf(ctx, q); err != nil {
				return err
			}
			return b.compareMirror(ctx, q, m)
		})
	})
}

// parseMirror finds every entry that is whole, also behind what is damaged: each
// is proved by its own hash, and says whose it is and where it belongs. What it
// says goes before what the beginning of the file does.
func parseMirror(content []byte) *reflection {
	m, rest := mirrorHeader(content)
	for len(rest) > 0 {
		r, size := mirrorItem(rest)
		if size == 0 || !m.follows(r) {
			rest = rest[1:]
			continue
		}
		m.rows, rest = append(m.rows, r), rest[size:]
	}
	if len(m.rows) == 0 {
		if !journal.IsName(m.terminal) {
			return nil
		}
		return m
	}
	first := m.rows[0]
	if first.Terminal != "" {
		m.terminal, m.epoch = first.Terminal, first.Epoch
	}
	if before := first.Seq - 1; m.acked.Seq > before || m.acked.Seq == before && m.acked.Hash != first.prev {
		m.acked = journal.Head{Seq: before, Hash: first.prev}
	}
	m.acked.Epoch = m.epoch
	m.gone = first.Seq - 1 - m.acked.Seq
	for i, r := range m.rows[1:] {
		m.gone += r.Seq - 1 - m.rows[i].Seq
	}
	return m
}

// lacks reports whether an entry was in the mirror, by those around it, and
// cannot be read.
func (m *reflection) lacks(seq int64) bool {
	at, there := slices.BinarySearchFunc(m.rows, seq, func(r row, seq int64) int { return cmp.Compare(r.Seq, seq) })
	return !there && seq > m.acked.Seq && at < len(m.rows)
}

// mirrorHeader reads what is before the entries, as far as it can be read, and
// returns where they begin: everywhere, if it cannot.
func mirrorHeader(content []byte) (m *reflection, rest []byte) {
	rest, ok := bytes.CutPrefix(content, []byte(mirrorMagic))
	n, size := binary.Uvarint(rest)
	var fixed [8 + 8 + len(journal.Hash{})]byte
	if !ok || size <= 0 || n > mirrorItemMax || len(rest) < size+int(n)+len(fixed) {
		return &reflection{}, content
	}
	m = &reflection{terminal: string(rest[size : size+int(n)])}
	rest = rest[size+int(n):]
	copy(m.epoch[:], rest)
	m.acked = journal.Head{
		Epoch: m.epoch, Seq: int64(binary.BigEndian.Uint64(rest[8:])), Hash: journal.Hash(rest[16:len(fixed)]),
	}
	if !journal.IsName(m.terminal) || m.acked.Seq < 0 {
		return &reflection{}, content
	}
	return m, rest[len(fixed):]
}

// mirrorItem reads the entry with which b begins, and returns how long it is in
// the mirror: 0 for none.
func mirrorItem(b []byte) (r row, size int) {
	n, length := binary.Uvarint(b)
	if length <= 0 || n > mirrorItemMax || len(b) < length+int(n)+len(r.hash) {
		return r, 0
	}
	body, hash := b[length:length+int(n)], b[length+int(n):length+int(n)+len(r.hash)]
	// Most of what is looked at is none, where something is damaged.
	if !journal.HasForm(body) || journal.HashOf(body) != journal.Hash(hash) {
		return r, 0
	}
	e, _, err := journal.Decode(body)
	if err != nil {
		return r, 0
	}
	r, problem := parseRow(e.Seq, body, hash)
	if problem != "" {
		return r, 0
	}
	return r, length + int(n) + len(hash)
}

// follows reports whether an entry may be behind those that were found.
func (m *reflection) follows(r row) bool {
	if len(m.rows) == 0 {
		return r.Seq > 0
	}
	last := m.rows[len(m.rows)-1]
	return r.Terminal == last.Terminal && r.Epoch == last.Epoch &&
		(r.Seq > last.Seq+1 || r.Seq == last.Seq+1 && r.prev == last.hash)
}
