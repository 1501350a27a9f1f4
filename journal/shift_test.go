package journal

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"quancun/money"
)

// drawer writes a journal as a terminal does, and adds it up.
type drawer struct {
	t     *testing.T
	epoch Epoch
	seq   int64
	tally *Tally
	holds money.Fen
}

func newDrawer(t *testing.T) *drawer { return &drawer{t: t, epoch: Epoch{1}, tally: NewTally("T1")} }

// add writes an entry.
func (d *drawer) add(e Entry) Entry {
	d.t.Helper()
	d.seq++
	e.Terminal, e.Epoch, e.Seq, e.At = "T1", d.epoch, d.seq, noon.Add(time.Duration(d.seq)*time.Second)
	if !e.Kind.LedgerOnly() {
		e.Ref = "R"
	}
	e = e.Post(false, d.holds)
	for _, p := range e.Postings {
		if p.Account == TillAccount("T1") {
			d.holds -= p.Amount
		}
	}
	if err := e.Check(); err != nil {
		d.t.Fatal(err)
	}
	if e.Kind.Sums() {
		if err := d.tally.Check(e); err != nil {
			d.t.Error(err)
		}
	}
	if err := d.tally.Add(e); err != nil {
		d.t.Fatal(err)
	}
	return e
}

// report returns a report of what there is so far.
func (d *drawer) report(k Kind) Entry {
	r := d.tally.Report(k)
	details, err := json.Marshal(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return Entry{Kind: k, Operator: "c7", Amount: r.Till, Origin: d.tally.Last(), Details: details}
}

// day is a shift with something of everything.
func (d *drawer) day() {
	d.add(Entry{Kind: ShiftOpened, Operator: "c7", Amount: 20_000})
	d.add(Entry{Kind: SaleEnd, Card: "1001", Merchant: "m1", Outcome: Written, Amount: 1200})
	d.add(Entry{Kind: SaleEnd, Card: "1001", Merchant: "m1", Outcome: NotWritten, Amount: 9999})
	d.add(Entry{Kind: CodeSale, Account: "2026", Merchant: "m1", Amount: 800})
	d.add(Entry{Kind: ChannelSale, Merchant: "m1", Amount: 500})
	d.add(Entry{Kind: Refund, Card: "1001", Merchant: "m1", Amount: 200, Origin: Position{"T1", d.epoch, d.seq - 3}})
	d.add(Entry{Kind: CashTopUp, Account: "2026", Amount: 5000})
	d.add(Entry{Kind: PayOut, Account: "2026", Amount: 700})
	d.add(Entry{Kind: CashIn, Amount: 1000})
	d.add(Entry{Kind: Fee, Account: "2026", Amount: 1500})
	d.add(Entry{Kind: DrawerOpened, Operator: "c7"})
	d.add(Entry{Kind: SaleDoubt, Card: "1002", Merchant: "m1", Amount: 600})
	d.add(Entry{Kind: Counted, Operator: "c7", Amount: 25_290}) // ten fen are missing
	d.add(Entry{Kind: CashOut, Amount: 25_000})
}

func TestReport(t *testing.T) {
	d := newDrawer(t)
	d.add(Entry{Kind: Started})
	d.day()
	want := Report{
		Z: 1, From: 1, Shift: "R", Float: 20_000, CashIn: Sum{1, 1000}, CashOut: Sum{1, 25_000},
		TopUps: Sum{1, 5000}, PayOuts: Sum{1, 700}, Short: 10, Till: 290, Counted: true, NoSales: 1,
		Card: Sum{1, 1200}, Code: Sum{1, 800}, Channel: Sum{1, 500}, Refunds: Sum{1, 200}, Fees: Sum{1, 1500},
		Suspense: 600, Perpetual: 2500,
	}
	if got := d.tally.Report(ShiftClosed); got != want {
		t.Errorf("Z is %+v, want %+v", got, want)
	}
	if _, open := d.tally.Opened(); !open {
		t.Error("no shift is open")
	}
	d.add(d.report(ShiftReport))
	d.add(Entry{Kind: ClockStep})
	want.X, want.ClockSteps = 1, 1
	if got := d.tally.Report(ShiftClosed); got != want {
		t.Errorf("after an X, Z is %+v, want %+v", got, want)
	}
	d.add(d.report(ShiftClosed))
	if _, open := d.tally.Opened(); open {
		t.Error("a shift is open after the Z")
	}
	d.add(Entry{Kind: CodeSale, Account: "2026", Merchant: "m1", Amount: 1}) // late: it is in the next Z
	next := Report{
		Z: 2, X: 1, From: d.seq, Brought: 290, Till: 290, Code: Sum{1, 1}, Suspense: 600, Perpetual: 2501,
	}
	if got := d.tally.Report(ShiftClosed); got != next {
		t.Errorf("the next Z is %+v, want %+v", got, next)
	}
}

// TestReportDiffers: no figure of a report can be another than the entries come
// to, nor can its number.
func TestReportDiffers(t *testing.T) {
	d := newDrawer(t)
	d.day()
	right := d.report(ShiftClosed)
	for name, spoil := range map[string]func(*Report, *Entry){
		"Number":    func(r *Report, _ *Entry) { r.Z++ },
		"X":         func(r *Report, _ *Entry) { r.X++ },
		"From":      func(r *Report, _ *Entry) { r.From++ },
		"Brought":   func(r *Report, _ *Entry) { r.Brought-- },
		"Short":     func(r *Report, _ *Entry) { r.Short, r.Till = 0, r.Till+10 },
		"Sales":     func(r *Report, _ *Entry) { r.Card.Count++ },
		"NoSale":    func(r *Report, _ *Entry) { r.NoSales = 0 },
		"Perpetual": func(r *Report, _ *Entry) { r.Perpetual -= 500 },
		"Shift":     func(r *Report, _ *Entry) { r.Shift = "" },
		"Amount":    func(_ *Report, e *Entry) { e.Amount++ },
		"Behind":    func(_ *Report, e *Entry) { e.Origin.Seq-- },
		"Ahead":     func(_ *Report, e *Entry) { e.Origin.Seq++ },
		"Elsewhere": func(_ *Report, e *Entry) { e.Origin.Epoch = Epoch{2} },
	} {
		e := right
		e.Terminal, e.Epoch, e.Seq = "T1", d.epoch, d.seq+1
		r, err := e.Report()
		if err != nil {
			t.Fatal(err)
		}
		spoil(&r, &e)
		e.Details, _ = json.Marshal(r)
		if err := d.tally.Check(e); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want ErrRule", name, err)
		}
	}
	if _, err := (Entry{Kind: ShiftClosed, Details: []byte(`[]`)}).Report(); !errors.Is(err, ErrMalformed) {
		t.Errorf("a list is a report: %v", err)
	}
}

// TestReportAfterEpoch: what was carried over is in the next Z, and nothing is
// in the drawer twice.
func TestReportAfterEpoch(t *testing.T) {
	old := newDrawer(t)
	old.add(Entry{Kind: Started})
	old.day()
	z := old.add(old.report(ShiftClosed))
	opened := old.add(Entry{Kind: ShiftOpened, Operator: "c8", Amount: 1000})
	topUp := old.add(Entry{Kind: CashTopUp, Account: "2026", Amount: 300})

	d := newDrawer(t)
	d.epoch = Epoch{2}
	accounts := map[Account]money.Fen{TillAccount("T1"): -1590, SuspenseAccount("T1"): 600, Safe: 990}
	d.add(Opening{Epoch: old.epoch, Accounts: accounts}.Entry(Position{}))
	z.Ref, topUp.Ref = "Z1", "C1"
	for _, e := range []Entry{z, opened, topUp, z, opened, topUp} { // out of two copies
		d.add(Carry(e.Position(), e.Encode(Hash{})))
	}
	d.holds = 1590
	d.add(Entry{Kind: CashTopUp, Account: "2026", Amount: 10})
	want := Report{
		Z: 2, From: 3, Part: true, Shift: "R", Brought: 290, Float: 1000, TopUps: Sum{2, 310}, Till: 1600,
		Suspense: 600, Perpetual: 2500,
	}
	if got := d.tally.Report(ShiftClosed); got != want {
		t.Errorf("Z is %+v, want %+v", got, want)
	}
	if e, open := d.tally.Opened(); !open || e.Operator != "c8" {
		t.Errorf("the shift that is open is %+v", e)
	}
}

// TestCountedSince: a count is one as long as nothing but a drop comes after it.
func TestCountedSince(t *testing.T) {
	for _, tt := range []struct {
		entry Entry
		want  bool
	}{
		{Entry{Kind: CashOut, Amount: 1}, true},
		{Entry{Kind: CodeSale, Account: "2026", Merchant: "m1", Amount: 1}, true},
		{Entry{Kind: CashIn, Amount: 1}, false},
		{Entry{Kind: CashTopUp, Account: "2026", Amount: 1}, false},
		{Entry{Kind: PayOut, Account: "2026", Amount: 1}, false},
		{Entry{Kind: DrawerOpened, Operator: "c7"}, false},
		{Entry{Kind: ShiftOpened, Operator: "c7"}, false},
	} {
		d := newDrawer(t)
		d.add(Entry{Kind: ShiftOpened, Operator: "c7", Amount: 100})
		d.add(Entry{Kind: Counted, Operator: "c7", Amount: 100})
		d.add(tt.entry)
		if got := d.tally.Report(ShiftClosed).Counted; got != tt.want {
			t.Errorf("counted before %s: %t, want %t", tt.entry.Kind, got, tt.want)
		}
	}
}
