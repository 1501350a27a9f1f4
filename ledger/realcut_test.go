package ledger

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var realCuts = flag.Int("cuts", 15, "how often the tests on a real file system cut its power")

// volume is a file system of the kernel's own, ext4 on a loop device, whose power
// can be cut: what was not synchronised is then gone, from the kernel's memory
// too.
type volume struct {
	t          testing.TB
	image, dir string
	dice       *rand.Rand
}

// newVolume makes one. Only root may, and not in every container.
func newVolume(t testing.TB) *volume {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	v := &volume{t, filepath.Join(t.TempDir(), "image"), t.TempDir(), rand.New(rand.NewPCG(1, 2))}
	if err := errors.Join(os.WriteFile(v.image, nil, 0o600), os.Truncate(v.image, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", v.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	if out, err := v.mount(); err != nil {
		t.Skipf("no loop devices here: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(v.dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return v
}

// mount keeps data and names in step, as is usual, or lets them go apart, as is
// allowed.
func (v *volume) mount() ([]byte, error) {
	options := [...]string{"loop", "loop,data=writeback"}[v.dice.IntN(2)]
	return exec.Command("mount", "-o", options, v.image, v.dir).CombinedOutput()
}

// Of FS_IOC_SHUTDOWN: nothing more reaches the device, not even what the file
// system's own journal has.
const (
	fsShutdown = 0x8004587d
	noLogFlush = 2
)

func (v *volume) cut() {
	v.t.Helper()
	d, err := os.Open(v.dir)
	if err == nil {
		err = errors.Join(unix.IoctlSetPointerInt(int(d.Fd()), fsShutdown, noLogFlush), d.Close())
	}
	if err != nil {
		v.t.Fatalf("cut the power: %v", err)
	}
}

// restart mounts it again, after nobody has a file open.
func (v *volume) restart() {
	v.t.Helper()
	if err := unix.Unmount(v.dir, 0); err != nil {
		v.t.Fatalf("unmount: %v", err)
	}
	if out, err := v.mount(); err != nil {
		v.t.Fatalf("mount: %v\n%s", err, out)
	}
}

// till runs write in several goroutines, each until it fails, and cuts the power
// some milliseconds after the first has been acknowledged. It returns what was
// by then: a sync that the cut meets may still say that all is well, which in a
// machine without power nobody hears.
func (v *volume) till(write func(n int) (int64, error)) map[int64]int {
	const writers = 4
	var mu sync.Mutex
	acked, first := map[int64]int{}, make(chan bool, 1)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := w; ; n += writers {
				seq, err := write(n)
				if err != nil {
					return
				}
				mu.Lock()
				acked[seq] = n
				mu.Unlock()
				select {
				case first <- true:
				default:
				}
			}
		})
	}
	<-first
	time.Sleep(time.Duration(v.dice.IntN(60_000)) * time.Microsecond)
	mu.Lock()
	heard := maps.Clone(acked)
	mu.Unlock()
	v.cut()
	all.Wait()
	return heard
}

// TestPowerCutOnDisk cuts the power of a real file system under a journal at
// work, again and again. Nothing that was acknowledged is gone, and the journal
// is whole.
func TestPowerCutOnDisk(t *testing.T) {
	v := newVolume(t)
	path := filepath.Join(v.dir, "journal.db")
	ctx, acked := t.Context(), map[int64]int{}
	for round := range *realCuts {
		b, err := Open(ctx, path, plain)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		maps.Copy(acked, v.till(func(n int) (int64, error) {
			e, err := b.Append(ctx, sale(fmt.Sprintf("S%d-%d", round, n)))
			return e.Seq, err
		}))
		if _, err := b.Append(ctx, sale("late")); !errors.Is(err, ErrFailed) {
			t.Errorf("Append without a disk = %v, want ErrFailed", err)
		}
		b.Close() // of a disk that is gone
		v.restart()
		r, err := VerifyFile(ctx, path, Trust{Key: public(key)})
		if err != nil {
			t.Fatalf("round %d: %v: %v", round, err, r.Problems)
		}
		if last := maxSeq(acked); r.Head.Seq < last {
			t.Fatalf("round %d: entry %d was acknowledged, and the journal ends with %d", round, last, r.Head.Seq)
		}
	}
	t.Logf("%d cuts, %d entries were acknowledged", *realCuts, len(acked))
	b := must2(Open(ctx, path, plain))
	defer b.Close()
	for seq := range acked {
		if _, err := b.HashAt(ctx, seq); err != nil {
			t.Errorf("entry %d: %v", seq, err)
		}
	}
	if len(acked) < 2**realCuts {
		t.Errorf("%d entries in %d rounds", len(acked), *realCuts)
	}
	if open := must2(b.OpenItems(ctx)); len(open) < len(acked) {
		t.Errorf("%d sales are open, %d were begun", len(open), len(acked))
	}
}

func maxSeq(acked map[int64]int) (last int64) {
	for seq := range acked {
		last = max(last, seq)
	}
	return last
}

// TestControlOnDisk: the same cuts take acknowledged rows from a database that
// asks for less, or they would prove nothing.
func TestControlOnDisk(t *testing.T) {
	v := newVolume(t)
	path, ctx, lost := filepath.Join(v.dir, "control.db"), t.Context(), 0
	for range *realCuts {
		db := openDB(dsn(system{}, path, "_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate"), nil)
		if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, text TEXT)`); err != nil {
			t.Fatal(err)
		}
		acked := v.till(func(n int) (id int64, err error) {
			err = db.QueryRowContext(ctx, `INSERT INTO row (text) VALUES (?) RETURNING id`, sale("S").Merchant).Scan(&id)
			return id, err
		})
		db.Close()
		v.restart()
		db = openDB(dsn(system{}, path, ""), nil)
		var last sql.NullInt64
		err := db.QueryRowContext(ctx, `SELECT max(id) FROM row`).Scan(&last)
		if err != nil || last.Int64 < maxSeq(acked) { // or the table is gone
			lost++
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d cuts lost acknowledged rows", lost, *realCuts)
	if 2*lost < *realCuts {
		t.Errorf("%d of %d cuts lost acknowledged rows, want half of them", lost, *realCuts)
	}
}
