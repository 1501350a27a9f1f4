package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/ledger"
	"quancun/ledger/export"
	"quancun/money"
	"quancun/tools/referee/judge"
)

var (
	key    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	campus = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// till is a terminal that lives through a random history.
type till struct {
	t    *testing.T
	r    *rand.Rand
	path string
	book *ledger.Book
	now  time.Time
	open []journal.Entry
	paid []journal.Entry // with a code
	n    int

	reports int
}

func newTill(t *testing.T, seed int64) *till {
	l := &till{
		t: t, r: rand.New(rand.NewSource(seed)), path: filepath.Join(memory(t), "journal.db"),
		now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
	}
	l.start()
	return l
}

// memory returns a folder in memory, where there is one: nobody cuts the power
// here, and a disk would take most of the time.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "referee")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (l *till) start() {
	l.book = must(ledger.Open(l.t.Context(), l.path, ledger.Options{
		Terminal: "K01", Key: key, Now: func() time.Time { return l.now },
	}))
}

// append returns what was written, or nothing if the money for it is not there.
func (l *till) append(e journal.Entry) journal.Entry {
	e.Card = "1001"
	e, err := l.book.Append(l.t.Context(), e)
	if err != nil && !errors.Is(err, ledger.ErrShort) && !errors.Is(err, ledger.ErrRefund) {
		l.t.Fatalf("Append(%+v): %v", e, err)
	}
	return e
}

// live does one random thing.
func (l *till) live() {
	l.n++
	l.now = l.now.Add(time.Duration(l.r.Int63n(int64(9 * time.Hour))))
	ref, merchant := fmt.Sprintf("R%04d", l.n), fmt.Sprintf("M%d", l.r.Intn(3))
	e := journal.Entry{Ref: ref, Amount: 1 + money.Fen(l.r.Intn(10_000))}
	switch k := l.r.Intn(19); k {
	case 0, 1, 2:
		e.Kind, e.Merchant = journal.SaleIntent, merchant
		l.append(e)
		l.open = append(l.open, e)
	case 3, 4, 5, 6:
		l.goOn()
	case 7:
		e.Kind, e.Merchant = journal.CodeSale, merchant
		if e = l.append(e); e.Seq > 0 {
			l.paid = append(l.paid, e)
		}
	case 8:
		e.Kind = []journal.Kind{journal.CashTopUp, journal.CashIn, journal.CashOut, journal.PayOut, journal.Fee}[l.r.Intn(5)]
		l.append(e)
	case 9:
		if len(l.paid) > 0 {
			sale := l.paid[l.r.Intn(len(l.paid))]
			e.Kind, e.Merchant, e.Origin = journal.Refund, sale.Merchant, sale.Position()
			l.append(e)
		}
	case 10:
		e.Kind = journal.Counted
		l.append(e)
	case 11:
		l.shake()
	case 12, 13:
		e.Kind, e.Operator = []journal.Kind{journal.ShiftOpened, journal.DrawerOpened}[l.r.Intn(2)], "c7"
		l.append(e)
	case 14:
		l.report(ref)
	case 15, 16:
		l.serve(ref)
	case 17, 18:
		l.request(ref)
	}
}

// request asks upstream for something in a holder's name, to its end or not.
func (l *till) request(ref string) {
	l.append(journal.Entry{
		Kind: journal.RequestIntent, Ref: ref, Account: "1001", Amount: 1000,
		Details: json.RawMessage([]string{
			`{"service":"bill","what":{"biller":"network"}}`, `{"service":"bath_cancel","what":{"reservation":"S1"}}`,
		}[l.r.Intn(2)]),
	})
	if how := l.r.Intn(3); how > 0 {
		l.append(journal.Entry{
			Kind: journal.RequestEnd, Ref: ref, Outcome: []journal.Outcome{journal.Done, journal.NotDone}[how-1],
		})
	}
}

// serve does something for a holder, to its end or not.
func (l *till) serve(ref string) {
	l.append(journal.Entry{
		Kind: journal.CentreIntent, Ref: ref, Account: "1001", Operator: "k7",
		Details: json.RawMessage(`{"act":3,"document":2,"evidence":"123X","limit_fen":8000}`),
	})
	if how := l.r.Intn(3); how > 0 {
		l.append(journal.Entry{
			Kind: journal.CentreEnd, Ref: ref, Operator: "k7",
			Outcome: []journal.Outcome{journal.Done, journal.NotDone}[how-1],
		})
	}
}

// report writes an X or a Z.
func (l *till) report(ref string) { l.reportWith(ref, func(*journal.Report) {}) }

// reportWith writes a report that says what change makes of it.
func (l *till) reportWith(ref string, change func(*journal.Report)) {
	sum := journal.NewTally("K01")
	for _, e := range must(l.book.Since(l.t.Context(), 1, 1000)) {
		if err := sum.Add(e); err != nil {
			l.t.Fatal(err)
		}
	}
	k := []journal.Kind{journal.ShiftReport, journal.ShiftClosed}[l.r.Intn(2)]
	r := sum.Report(k)
	change(&r)
	l.reports++
	l.append(journal.Entry{
		Kind: k, Ref: ref, Operator: "c7", Amount: r.Till, Origin: sum.Last(), Details: must(json.Marshal(r)),
	})
}

// goOn puts something that is open in doubt, or ends it.
func (l *till) goOn() {
	if len(l.open) == 0 {
		return
	}
	i := l.r.Intn(len(l.open))
	item := must(l.book.Get(l.t.Context(), l.open[i].Ref))
	if item.Doubt.Seq == 0 && l.r.Intn(3) == 0 {
		l.append(journal.Entry{Kind: journal.SaleDoubt, Ref: l.open[i].Ref})
		return
	}
	outcomes := []journal.Outcome{journal.Written, journal.NotWritten, journal.Elsewhere, journal.ElsewhereNot}
	l.append(journal.Entry{Kind: journal.SaleEnd, Ref: l.open[i].Ref, Outcome: outcomes[l.r.Intn(4)]})
	l.open = append(l.open[:i], l.open[i+1:]...)
}

// shake restarts the terminal, or sends it into a new epoch.
func (l *till) shake() {
	if l.r.Intn(3) == 0 {
		if err := l.book.NewEpoch(l.t.Context(), journal.ReasonForked, journal.Head{}); err != nil {
			l.t.Fatal(err)
		}
		return
	}
	if err := l.book.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.start()
}

// export writes the journal out beside a terminal at work.
func (l *till) export(format string) []byte {
	var b bytes.Buffer
	err := ledger.ReadFile(l.t.Context(), l.path, func(s ledger.Snapshot) error {
		switch format {
		case "hledger":
			return export.Hledger(s, &b)
		case "csv":
			return export.CSV(s, &b)
		}
		cert := must(journal.Certify("K01", public(key), l.now, campus))
		_, err := export.Archive(s, cert, key, &b)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return b.Bytes()
}

// TestAgree: the referee and the terminal come to the same, to the fen, after a
// hundred random histories.
func TestAgree(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 10
	}
	reports := 0
	for seed := range int64(seeds) {
		l := newTill(t, seed)
		for range 40 {
			l.live()
		}
		v, err := judge.Judge(bufio.NewReader(bytes.NewReader(l.export("archive"))), public(campus))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		head := must(l.book.Head(t.Context()))
		if v.Entries != head.Seq || fmt.Sprintf("%x", v.Epoch) != head.Epoch.String() {
			t.Errorf("seed %d: the referee saw %d entries of %x, want %d of %s", seed, v.Entries, v.Epoch, head.Seq, head.Epoch)
		}
		for account, want := range v.Totals {
			if got := must(l.book.Balance(t.Context(), journal.Account(account))); got != money.Fen(want) {
				t.Errorf("seed %d: %s has %s, the referee says %s", seed, account, got, money.Fen(want))
			}
		}
		reports += l.reports
		if len(v.Totals) < 4 {
			t.Errorf("seed %d: only %v", seed, v.Totals)
		}
		if err := l.book.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if reports < seeds {
		t.Errorf("only %d reports were added up", reports)
	}
}

// TestHledger: plain-text accounting finds every transaction balanced and every
// balance as asserted, and comes to the same totals.
func TestHledger(t *testing.T) {
	if _, err := exec.LookPath("hledger"); err != nil {
		t.Skip("no hledger here; make setup installs it")
	}
	for seed := range int64(5) {
		l := newTill(t, 1000+seed)
		for range 60 {
			l.live()
		}
		file := filepath.Join(t.TempDir(), "accounts.journal")
		if err := os.WriteFile(file, l.export("hledger"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "hledger", "-f", file, "check").CombinedOutput(); err != nil {
			t.Fatalf("seed %d: hledger check: %v\n%s", seed, err, out)
		}
		out, err := exec.CommandContext(t.Context(), "hledger", "-f", file, "balance", "--flat", "--no-total", "--empty", "liabilities:holder").Output()
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("CNY %s  liabilities:holder", -must(l.book.Balance(t.Context(), journal.Holder)))
		if !strings.Contains(string(out), want) {
			t.Errorf("seed %d: hledger says %q, want %q", seed, out, want)
		}
		if err := l.book.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRefuses: whatever byte of an archive is changed, or wherever it is cut,
// the referee refuses it, and so does the terminal's own reader.
func TestRefuses(t *testing.T) {
	l := newTill(t, 7)
	for range 12 {
		l.live()
	}
	whole := l.export("archive")
	if err := l.book.Close(); err != nil {
		t.Fatal(err)
	}
	refused := func(b []byte) (referee, ours error) {
		_, referee = judge.Judge(bufio.NewReader(bytes.NewReader(b)), public(campus))
		_, ours = journal.ReadArchive(bytes.NewReader(b), public(campus), func(int64, []byte) error { return nil })
		return referee, ours
	}
	if referee, ours := refused(whole); referee != nil || ours != nil {
		t.Fatalf("the whole archive: %v, %v", referee, ours)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		// The last character of a signature in base64 has bits that mean nothing.
		meaningless := i == len(whole)-3 && whole[i+1] == '='
		if referee, ours := refused(flipped); !meaningless && (referee == nil || ours == nil) {
			t.Errorf("byte %d changed: referee %v, terminal %v", i, referee, ours)
		}
		if referee, ours := refused(whole[:i]); referee == nil || ours == nil {
			t.Errorf("cut at %d: referee %v, terminal %v", i, referee, ours)
		}
	}
	if referee, ours := refused(append(bytes.Clone(whole), 0)); referee == nil || ours == nil {
		t.Errorf("with a byte more: referee %v, terminal %v", referee, ours)
	}
}

// TestFirstForm: journals of version 0.1 are exported, too, with what came
// after them.
func TestFirstForm(t *testing.T) {
	l := newTill(t, 3)
	if err := l.book.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ending := range []string{"", "-wal", "-shm"} {
		os.Remove(l.path + ending)
	}
	old := must(os.ReadFile("../../ledger/testdata/v2.db"))
	if err := os.WriteFile(l.path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	l.now = l.now.Add(24 * time.Hour)
	l.start()
	defer l.book.Close()
	for range 20 {
		l.live()
	}
	v, err := judge.Judge(bufio.NewReader(bytes.NewReader(l.export("archive"))), public(campus))
	if err != nil || fmt.Sprintf("%x", v.Epoch) != l.book.Epoch().String() {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestRun is the program as a person uses it.
func TestRun(t *testing.T) {
	l := newTill(t, 4)
	l.append(journal.Entry{Kind: journal.CashIn, Ref: "C1", Amount: 300})
	file := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(file, l.export("archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	want := fmt.Sprintf("2 entries of K01/%s\nsafe\t300\ntill/K01\t-300\n", l.book.Epoch())
	if err := run(fmt.Sprintf("%x", public(campus)), file, &out); err != nil || out.String() != want {
		t.Errorf("run = %q, %v, want %q", out.String(), err, want)
	}
	if err := run(fmt.Sprintf("%x", public(key)), file, &out); err == nil {
		t.Error("an archive that another campus has signed was taken")
	}
	if err := l.book.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReportDiffers: a report that says anything else than its entries is not
// accepted.
func TestReportDiffers(t *testing.T) {
	for name, change := range map[string]func(*journal.Report){
		"Right":  func(*journal.Report) {},
		"Number": func(r *journal.Report) { r.Z, r.X = r.Z+1, r.X+1 }, "Short": func(r *journal.Report) { r.Short++ },
		"Sold": func(r *journal.Report) { r.Code.Count++ }, "Perpetual": func(r *journal.Report) { r.Perpetual-- },
		"Brought": func(r *journal.Report) { r.Brought++ }, "Part": func(r *journal.Report) { r.Part = !r.Part },
	} {
		l := newTill(t, 1)
		for range 10 {
			l.live()
		}
		l.reportWith("X", change)
		_, err := judge.Judge(bufio.NewReader(bytes.NewReader(l.export("archive"))), public(campus))
		if (err == nil) != (name == "Right") {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.book.Close(); err != nil {
			t.Error(err)
		}
	}
}
