package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"quancun/journal"
)

// The crash tests run this test binary again as another process, because only
// a process can be killed, or kept away from a file by a lock. CHILD names what
// the process does; its arguments are the journal and a number.
const childEnv = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	role := os.Getenv(childEnv)
	if role == "" {
		goleak.VerifyTestMain(m)
	}
	n, err := strconv.Atoi(os.Args[2])
	if err == nil {
		err = children[role](os.Args[1], n)
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

var children = map[string]func(path string, n int) error{
	"hold":    childHold,
	"work":    childWork,
	"hurry":   childHurry,
	"migrate": childMigrate,
	"starve":  childStarve,
}

// child returns the command that runs a role.
func child(t testing.TB, role, path string, n int) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, path, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// plain is how a child and who comes after it open a journal.
var plain = Options{Terminal: "K01", Key: key}

// stepping journals a clock step with every entry.
func stepping() Options {
	o := plain
	o.StepMax = -1
	return o
}

// childHold opens the journal, says so, and keeps it until it is killed or its
// standard input ends.
func childHold(path string, _ int) error {
	b, err := Open(bg, path, plain)
	if err != nil {
		return err
	}
	fmt.Println("open")
	bufio.NewReader(os.Stdin).ReadByte()
	return b.Close()
}

// work is what the children of the crash matrix do to a journal: every kind of
// write that there is, each of which may be said again.
var work = []struct {
	name string
	do   func(b *Book) error
}{
	{"T7", appends(topUp("T7"))},
	{"T7 shown", appends(end(journal.TopUpShown, "T7", 0))},
	{"T7 paid", appends(end(journal.TopUpEnd, "T7", journal.Paid))},
	{"L7", appends(load("L7"))},
	{"L7 in doubt", appends(end(journal.LoadDoubt, "L7", 0))},
	{"L7 written", appends(end(journal.LoadEnd, "L7", journal.Written))},
	{"all acknowledged", func(b *Book) error {
		acked, err := b.Acked(bg)
		if err != nil || acked.Seq > 0 {
			return err // it was acknowledged before
		}
		batch, err := b.Batch(bg, 1, journal.BatchMax)
		if err != nil {
			return err
		}
		last := batch.Bodies[len(batch.Bodies)-1]
		head := journal.Head{Epoch: batch.Epoch, Seq: int64(len(batch.Bodies)), Hash: journal.HashOf(last)}
		return b.Acknowledge(bg, journal.Ack{Head: head, Note: batch.Note})
	}},
	{"S1", appends(sale("S1"))},
	{"S1 in doubt", appends(end(journal.SaleDoubt, "S1", 0))},
	{"S1 not written", appends(end(journal.SaleEnd, "S1", journal.NotWritten))},
	{"cash in", appends(journal.Entry{Kind: journal.CashIn, Ref: "C1", Amount: 300})},
	{"L2", appends(load("L2"))},
	{"L2 not written", appends(end(journal.LoadEnd, "L2", journal.NotWritten))},
}

func appends(e journal.Entry) func(*Book) error {
	return func(b *Book) error {
		_, err := b.Append(bg, e)
		return err
	}
}

// childWork does the work, says what is done, and kills itself at the n-th
// point: after each changed row, before each commit, after each commit before
// the caller knows, and after the caller has said so.
func childWork(path string, n int) error {
	b, err := Open(bg, path, stepping())
	if err != nil {
		return err
	}
	return toil(b, func() {
		if n--; n == 0 {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	})
}

// childHurry does the work with the driver's default, which syncs no commit.
func childHurry(path string, _ int) error {
	b, err := Open(bg, path, stepping())
	if err != nil {
		return err
	}
	if _, err := b.s.conn.ExecContext(bg, `PRAGMA synchronous = NORMAL`); err != nil {
		return err
	}
	return toil(b, func() {})
}

// toil does the work, and calls point at every point of it.
func toil(b *Book, point func()) error {
	if err := hook(b, point); err != nil {
		return err
	}
	for _, w := range work {
		if err := w.do(b); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		point()
		fmt.Println(w.name)
		point()
	}
	return b.Close()
}

// hook has SQLite call f after each changed row and before each commit.
func hook(b *Book, f func()) error {
	return b.s.conn.Raw(func(c any) error {
		c.(*sqlite3.SQLiteConn).RegisterUpdateHook(func(int, string, string, int64) { f() })
		c.(*sqlite3.SQLiteConn).RegisterCommitHook(func() int { f(); return 0 })
		return nil
	})
}

// childMigrate opens the journal and kills itself before migration n, which
// for a journal with entries is after the backup.
func childMigrate(path string, n int) error {
	o := plain
	o.migrations = killer{migrations, fmt.Sprintf("migrations/%04d_", n)}
	b, err := Open(bg, path, o)
	if err != nil {
		return err
	}
	return b.Close()
}

// killer kills the process when a file with the prefix is read.
type killer struct {
	fs.FS
	prefix string
}

func (k killer) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, k.prefix) {
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return k.FS.Open(name)
}

// childStarve appends until a limit on the size of its files, n bytes above
// the write-ahead log as it is, makes a write fail in earnest.
func childStarve(path string, n int) error {
	b, err := Open(bg, path, plain)
	if err != nil {
		return err
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	signal.Ignore(unix.SIGXFSZ) // so that write fails with EFBIG
	limit := uint64(wal.Size() + int64(n))
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for i := range 1000 {
		ref := fmt.Sprintf("S%d", i)
		if _, err = b.Append(bg, load(ref)); err != nil {
			break
		}
		fmt.Println(ref)
	}
	if !errors.Is(err, ErrFailed) || errors.Is(err, ErrFull) {
		return fmt.Errorf("append at the limit: %w, want ErrFailed without ErrFull", err)
	}
	// The limit goes, and the Book must not take heart.
	for _, again := range []error{
		appends(load("again"))(b), b.Acknowledge(bg, journal.Ack{}), b.Room(bg), second(b.OpenItems(bg)), second(b.Verify(bg)),
	} {
		if again != err {
			return fmt.Errorf("later call: %w, want the first error", again)
		}
	}
	fmt.Println("failed")
	return nil
}

func second[T any](_ T, err error) error { return err }
