package srun_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	lab "quancun/lab/srun"
	"quancun/money"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
)

const yuan = money.Yuan

// open returns a stand-in behind TLS with a certificate of its own, and a client
// that knows that certificate.
func open(t *testing.T, c srun.Config) (*lab.Box, *srun.Client) {
	t.Helper()
	dir := t.TempDir()
	address := serve(t, dir, nil)
	box := address.box
	c.Address, c.CertificateFile = address.url, filepath.Join(dir, breaker.CertificateFile)
	client, err := srun.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []lab.User{
		{Name: "2026000101", RealName: "张三", Wallet: 1250, Products: []lab.Product{
			{ID: 7, Name: "学生包月", Balance: -66, Checkout: "2026-12-01"},
		}},
		{Name: "2026000102", RealName: "李四", Products: []lab.Product{
			{ID: 7, Name: "学生包月"}, {ID: 9, Name: "有线", Balance: 1},
		}},
		{Name: "2026000103", RealName: "王五", Status: 3},
	} {
		if err := box.Add(u); err != nil {
			t.Fatal(err)
		}
	}
	return box, client
}

type served struct {
	box *lab.Box
	url string
}

func serve(t *testing.T, dir string, now func() time.Time) served {
	t.Helper()
	box, err := lab.New(lab.Config{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return served{box, breakertest.Serve(t, dir, box).URL}
}

func charge(no string, f money.Fen) vendor.Charge {
	return vendor.Charge{OrderNo: no, Target: "2026000101", Amount: f}
}

func arm(t *testing.T, b *lab.Box, f breaker.Fault) {
	t.Helper()
	if err := b.Arm(f); err != nil {
		t.Fatal(err)
	}
}

func TestAccount(t *testing.T) {
	_, c := open(t, srun.Config{})
	a, err := c.Account(t.Context(), "2026000101")
	if err != nil || a.Wallet != 1250 || a.RealName != "张三" || a.FeedsProduct || len(a.Products) != 1 {
		t.Fatalf("Account = %+v, %v", a, err)
	}
	if p := a.Products[0]; p.Balance != -66 || p.ID != "7" || p.Checkout != "2026-12-01" {
		t.Errorf("product = %+v; want 0.66 owed", p)
	}
	if a, err = c.Account(t.Context(), "2026000102"); err != nil || len(a.Products) != 2 || a.Status != srun.Normal {
		t.Errorf("Account with two products = %+v, %v", a, err)
	}
	if a, err = c.Account(t.Context(), "2026000103"); err != nil || a.Products != nil || a.Status != srun.Paused {
		t.Errorf("Account that is paused = %+v, %v", a, err)
	}
}

// TestNoAccount: only what the site has named means that there is no such user. A busy box
// has codes as well, and so have those who have an account when it says no to them.
func TestNoAccount(t *testing.T) {
	for _, tt := range []struct {
		name, user, faulty string
		codes              []int
		none               bool
		said               string
	}{
		{"Named", "nobody", "", []int{10400, 10401}, true, ""},
		{"NotNamed", "nobody", "", nil, false, "10401"},
		{"OtherNamed", "nobody", "", []int{10400}, false, "10401"},
		{"Busy", "2026000101", "view", []int{10401}, false, "10001"},
		{"BusyWithProducts", "2026000101", "packages", []int{10401}, false, "10001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			box, c := open(t, srun.Config{NoAccountCodes: tt.codes})
			if tt.faulty != "" {
				arm(t, box, breaker.Fault{Method: tt.faulty, Kind: breaker.Refuse})
			}
			_, err := c.Account(t.Context(), tt.user)
			if errors.Is(err, vendor.ErrNoTarget) != tt.none || errors.Is(err, vendor.ErrNotSaid) == tt.none {
				t.Errorf("Account = %v; want that there is none: %t", err, tt.none)
			}
			if u := (*vendor.Unclear)(nil); errors.As(err, &u) == tt.none || u != nil && u.Code != tt.said {
				t.Errorf("Account = %v; want the code %q", err, tt.said)
			}
		})
	}
}

func TestPayFeedsOnePurse(t *testing.T) {
	for name, product := range map[string]bool{"Wallet": false, "Product": true} {
		t.Run(name, func(t *testing.T) {
			box, c := open(t, srun.Config{Product: product, PayType: 4})
			if _, err := c.Pay(t.Context(), charge("N1", 10*yuan+5)); err != nil {
				t.Fatal(err)
			}
			u := box.Users()[0]
			wallet, inside := int64(1250+1005), int64(-66)
			if product {
				wallet, inside = 1250, -66+1005
			}
			if u.Wallet != wallet || u.Products[0].Balance != inside {
				t.Errorf("wallet %d, product %d; want %d, %d", u.Wallet, u.Products[0].Balance, wallet, inside)
			}
			r, err := c.Ask(t.Context(), charge("N1", 10*yuan+5))
			if err != nil || r.RecordNo != "88000001" || r.At.IsZero() {
				t.Errorf("Ask = %+v, %v", r, err)
			}
			if a, err := c.Account(t.Context(), "2026000101"); err != nil || a.FeedsProduct != product {
				t.Errorf("FeedsProduct = %t, %v", a.FeedsProduct, err)
			}
		})
	}
}

// TestPay holds each way in which a payment can go against what the adapter makes
// of it, and against what the vendor has booked.
func TestPay(t *testing.T) {
	for name, c := range map[string]struct {
		fault  breaker.Fault
		want   error // nil for done; errUnknown for none of the others
		booked bool
	}{
		"Done":          {breaker.Fault{}, nil, true},
		"Refused":       {breaker.Fault{Method: "recharge", Kind: breaker.Refuse}, vendor.ErrRefused, false},
		"Drop":          {breaker.Fault{Method: "recharge", Kind: breaker.Drop}, errUnknown, false},
		"DropBooked":    {breaker.Fault{Method: "recharge", Kind: breaker.Drop, Booked: true}, errUnknown, true},
		"HTMLBooked":    {breaker.Fault{Method: "recharge", Kind: breaker.HTML, Booked: true}, errUnknown, true},
		"HTML":          {breaker.Fault{Method: "recharge", Kind: breaker.HTML}, errUnknown, false},
		"HTTP500Booked": {breaker.Fault{Method: "recharge", Kind: breaker.HTTP500, Booked: true}, errUnknown, true},
		"Half":          {breaker.Fault{Method: "recharge", Kind: breaker.Half}, errUnknown, true},
		"SlowBooked": {breaker.Fault{
			Method: "recharge", Kind: breaker.Delay, Delay: breaker.Duration(time.Minute), Booked: true,
		}, errUnknown, true},
		"NoToken":   {breaker.Fault{Method: "token", Kind: breaker.Refuse}, vendor.ErrNotSent, false},
		"TokenPage": {breaker.Fault{Method: "token", Kind: breaker.HTML}, vendor.ErrNotSent, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box, client := open(t, srun.Config{})
			if c.fault.Method != "" {
				arm(t, box, c.fault)
			}
			ctx := t.Context()
			if c.fault.Kind == breaker.Delay {
				ctx = untilBooked(t, box)
			}
			_, err := client.Pay(ctx, charge("N1", 10*yuan))
			check(t, err, c.want)
			_, err = client.Ask(t.Context(), charge("N1", 10*yuan))
			want := error(nil)
			if !c.booked {
				want = vendor.ErrAbsent
			}
			if !errors.Is(err, want) || len(box.Records()) != btoi(c.booked) {
				t.Errorf("Ask = %v; want %v; records %v", err, want, box.Records())
			}
		})
	}
}

// untilBooked is a patience that ends once the vendor has booked something.
func untilBooked(t *testing.T, box *lab.Box) context.Context {
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		for len(box.Records()) == 0 && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return ctx
}

var errUnknown = errors.New("unknown")

func check(t *testing.T, err, want error) {
	t.Helper()
	no, notSent := errors.Is(err, vendor.ErrRefused), errors.Is(err, vendor.ErrNotSent)
	if want == errUnknown {
		if err == nil || no || notSent {
			t.Errorf("Pay = %v; want an error that says nothing", err)
		}
		return
	}
	if !errors.Is(err, want) {
		t.Errorf("Pay = %v; want %v", err, want)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestNumberUsedBefore: the code for it is no refusal. Something was booked.
func TestNumberUsedBefore(t *testing.T) {
	box, c := open(t, srun.Config{})
	if _, err := c.Pay(t.Context(), charge("N1", 10*yuan)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Pay(t.Context(), charge("N1", 10*yuan))
	check(t, err, errUnknown)
	if n := len(box.Records()); n != 1 {
		t.Errorf("%d records; want one", n)
	}
	if _, err := c.Ask(t.Context(), charge("N1", 20*yuan)); !errors.Is(err, vendor.ErrMismatch) {
		t.Errorf("Ask about another amount = %v", err)
	}
}

func TestTokenChanges(t *testing.T) {
	box, c := open(t, srun.Config{})
	if _, err := c.Account(t.Context(), "2026000101"); err != nil {
		t.Fatal(err)
	}
	box.ChangeToken("another")
	_, err := c.Pay(t.Context(), charge("N1", yuan))
	check(t, err, vendor.ErrNotSent)
	if _, err := c.Pay(t.Context(), charge("N1", yuan)); err != nil {
		t.Errorf("Pay with a new token: %v", err)
	}
	box.ChangeToken("a third")
	if _, err := c.Ask(t.Context(), charge("N1", yuan)); err != nil {
		t.Errorf("Ask gets a new token by itself: %v", err)
	}
}

// TestAnotherCertificate: nothing is said to a box that is not the one.
func TestAnotherCertificate(t *testing.T) {
	theirs, ours := t.TempDir(), t.TempDir()
	s := serve(t, theirs, nil)
	if _, err := breaker.Certificate(ours); err != nil {
		t.Fatal(err)
	}
	c, err := srun.New(srun.Config{Address: s.url, CertificateFile: filepath.Join(ours, breaker.CertificateFile)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Pay(t.Context(), charge("N1", yuan))
	check(t, err, vendor.ErrNotSent)
}

func TestNobodyThere(t *testing.T) {
	c, err := srun.New(srun.Config{Address: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Pay(t.Context(), charge("N1", yuan))
	check(t, err, vendor.ErrNotSent)
	for _, bad := range []string{"", "http://example.com", "ftp://localhost", "https://user:word@localhost"} {
		if _, err := srun.New(srun.Config{Address: bad}); err == nil {
			t.Errorf("address %q is taken", bad)
		}
	}
}

func TestBill(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 3, 1, 23, 0, 0, 0, beijing.Zone)
	s := serve(t, dir, func() time.Time { return now })
	c, err := srun.New(srun.Config{Address: s.url, CertificateFile: filepath.Join(dir, breaker.CertificateFile)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.box.Add(lab.User{Name: "2026000101"}); err != nil {
		t.Fatal(err)
	}
	if b, err := c.Bill(t.Context(), "2026-03-01"); err != nil || len(b.Lines) != 0 {
		t.Errorf("Bill of nothing: %+v, %v", b, err)
	}
	for i := range 103 { // more than a page
		if i == 101 {
			now = now.Add(time.Hour) // to the next day
		}
		if _, err := c.Pay(t.Context(), charge("N"+string(rune('A'+i/26))+string(rune('A'+i%26)), yuan)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := c.Bill(t.Context(), "2026-03-01")
	paid, _ := b.Totals()
	if err != nil || len(b.Lines) != 101 || paid != 101*yuan || b.Lines[0].TradeNo != "88000001" {
		t.Errorf("Bill = %d lines of %s, %v; want 101", len(b.Lines), paid, err)
	}
}
