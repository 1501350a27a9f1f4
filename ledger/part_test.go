package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"quancun/journal"
)

// TestVerifyFindsBeside spoils what stands beside the entries, of which each is
// right by itself: also what is too old for the part that a start looks at.
func TestVerifyFindsBeside(t *testing.T) {
	t.Parallel()
	const part = 256
	for _, tt := range []struct {
		name, attack string
		span         int64
		seq          int64
		what         string
	}{
		{"NodeDropped", `DELETE FROM node WHERE n = 1`, wholeSpan, 512, "table node lacks node 1 of level 1"},
		{"OldOpenInvented", `INSERT INTO open_item VALUES (2)`, part, 2, "table open_item has it, and it is not open"},
		{"NewOpenInvented", `INSERT INTO open_item VALUES (520)`, part, 520, "table open_item has it, and it is not open"},
		{"BalanceChanged", `UPDATE account SET credits = credits + 1 WHERE name = 'merchant/M1'`, part, 0, "accounts come to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, ctx := long(t), t.Context()
			must2(db.ExecContext(ctx, tt.attack))
			if r, err := verify(ctx, connOf(t, db), trust, tt.span); !errors.Is(err, ErrTampered) || !found(r, tt.seq, tt.what) {
				t.Errorf("verify = %v, %v; want entry %d: %s", r.Problems, err, tt.seq, tt.what)
			}
		})
	}
}

// TestVerifyFindsSaidTwice has somebody who knows the format begin again, in the last
// entries, what has ended in the first ones.
func TestVerifyFindsSaidTwice(t *testing.T) {
	t.Parallel()
	db, ctx := long(t), t.Context()
	must2(db.ExecContext(ctx, `DROP INDEX journal_said`))
	forge(t, db, 520, func(e *journal.Entry) { e.Ref = "S0001" }, key)
	must2(db.ExecContext(ctx, `UPDATE journal SET ref = 'S0001' WHERE seq = 520`))
	conn := connOf(t, db)
	for _, span := range []int64{256, wholeSpan} {
		if r, err := verify(ctx, conn, trust, span); !errors.Is(err, ErrTampered) ||
			!found(r, 520, `"S0001" is not what was said once`) {
			t.Errorf("verify of the last %d = %v, %v", span, r.Problems, err)
		}
	}
}

// TestReportInPart: a start does not see what a report adds up, and takes it as it is.
func TestReportInPart(t *testing.T) {
	l, ctx := newLab(t), t.Context()
	l.o.Sentinel = false
	l.restart(t)
	l.append(t, opened("O1"))
	for i := range 300 {
		l.append(t, journal.Entry{
			Kind: journal.CodeSale, Ref: fmt.Sprintf("S%03d", i), Account: "2026", Merchant: "M1", Amount: 700,
		})
	}
	l.append(t, report(t, l, journal.ShiftClosed, "Z1"))
	if r, err := verify(ctx, l.s.conn, l.o.trust(), 16); err != nil || r.Entries > 100 {
		t.Errorf("verify of the last entries = %+v, %v, want no problem", r, err)
	}
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// TestVerifyFindsLies has somebody who knows the format put an entry last that is
// right by its form, and says what cannot be.
func TestVerifyFindsLies(t *testing.T) {
	t.Parallel()
	elsewhere := journal.Position{Terminal: "K01", Epoch: journal.Epoch{9}, Seq: 7}
	for _, tt := range []struct {
		name string
		lie  journal.Entry
		what string
	}{
		{"Report", journal.Entry{
			Kind: journal.ShiftReport, Ref: "X1", Operator: "c7", Details: []byte(`{"x":1}`),
			Origin: journal.Position{Terminal: "K01", Seq: 520},
		}, "it says"},
		{"Carried", journal.Carry(elsewhere, []byte("an entry")), "malformed"},
		{"Opening", journal.Entry{Kind: journal.EpochOpened, Details: []byte(`{}`)}, "an epoch is opened here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := long(t)
			forge(t, db, 521, become(tt.lie), key)
			r, err := verify(t.Context(), connOf(t, db), trust, wholeSpan)
			if !errors.Is(err, ErrTampered) || !found(r, 521, tt.what) {
				t.Errorf("verify = %v, %v; want entry 521: %s", r.Problems, err, tt.what)
			}
		})
	}
}

// TestVerifyCarriedTwice: what two copies of a journal said is carried over twice, and
// counts once.
func TestVerifyCarriedTwice(t *testing.T) {
	t.Parallel()
	db, ctx := long(t), t.Context()
	again := sale("S0001")
	again.Terminal, again.Epoch, again.Seq, again.At = "K01", journal.Epoch{9}, 7, noon
	forge(t, db, 521, become(journal.Carry(again.Position(), again.Encode(journal.Hash{}))), key)
	must2(db.ExecContext(ctx, `UPDATE journal SET ref = NULL, role = NULL, debit = NULL, credit = NULL, amount = NULL WHERE seq = 521`))
	r, err := verify(ctx, connOf(t, db), trust, wholeSpan)
	for _, p := range r.Problems {
		if p.Seq == 521 {
			t.Errorf("verify = %v, %v; want nothing of entry 521", r.Problems, err)
		}
	}
}

// become returns a change that puts e in an entry's place.
func become(e journal.Entry) func(*journal.Entry) {
	return func(old *journal.Entry) {
		e.Terminal, e.Epoch, e.Seq, e.At = old.Terminal, old.Epoch, old.Seq, old.At
		*old = e
	}
}

// connOf returns db's one connection: a question within the answer to another would
// wait for it for ever.
func connOf(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn := must2(db.Conn(t.Context()))
	t.Cleanup(func() { conn.Close() })
	return conn
}
