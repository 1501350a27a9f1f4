package srun_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/lab/breaker"
	"quancun/lab/breaker/breakertest"
	lab "quancun/lab/srun"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
)

// edited is a box whose records are told in another way.
func edited(t *testing.T, ask func(*http.Request), edit func(answer map[string]any)) *srun.Client {
	t.Helper()
	return editedAt(t, "payment-records", ask, edit)
}

// editedAt is a box that tells in another way what it is asked under a path's last word.
func editedAt(t *testing.T, word string, ask func(*http.Request), edit func(answer map[string]any)) *srun.Client {
	t.Helper()
	dir := t.TempDir()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, beijing.Zone)
	box, err := lab.New(lab.Config{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	url := breakertest.Serve(t, dir, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if filepath.Base(r.URL.Path) != word {
			box.ServeHTTP(w, r)
			return
		}
		ask(r)
		said, answer := httptest.NewRecorder(), map[string]any{}
		box.ServeHTTP(said, r)
		if err := json.Unmarshal(said.Body.Bytes(), &answer); err != nil {
			t.Error(err)
		}
		edit(answer)
		_ = json.NewEncoder(w).Encode(answer)
	})).URL
	if err := box.Add(lab.User{Name: "2026000101"}); err != nil {
		t.Fatal(err)
	}
	c, err := srun.New(srun.Config{Address: url, CertificateFile: filepath.Join(dir, breaker.CertificateFile)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSomebodyElse: an answer about another user, such as one that is written in other
// letters there, keeps nobody else from the box: it has answered.
func TestSomebodyElse(t *testing.T) {
	c := editedAt(t, "view", func(*http.Request) {}, func(answer map[string]any) {
		answer["data"].(map[string]any)["user_name"] = "somebody" //nolint:forcetypeassert // the box's own
	})
	if a, err := c.Account(t.Context(), "2026000101"); !errors.Is(err, vendor.ErrNotSaid) {
		t.Errorf("Account = %+v, %v; want an answer that does not say", a, err)
	}
}

// TestRecordsWithoutCount: where nobody says how many records there are, those of the first
// page are not all. What is after the last page is none, or that page again.
func TestRecordsWithoutCount(t *testing.T) {
	for name, last := range map[string]int{"None": 100, "LastAgain": 3} {
		t.Run(name, func(t *testing.T) {
			c := edited(t, func(r *http.Request) {
				q := r.URL.Query()
				page, _ := strconv.Atoi(q.Get("page"))
				q.Set("page", strconv.Itoa(min(page, last)))
				r.URL.RawQuery = q.Encode()
			}, func(answer map[string]any) { delete(answer, "_meta") })
			const booked = 203
			for i := range booked {
				if _, err := c.Pay(t.Context(), charge(fmt.Sprintf("N%d", i), yuan)); err != nil {
					t.Fatal(err)
				}
			}
			b, err := c.Bill(t.Context(), "2026-03-01")
			if paid, _ := b.Totals(); err != nil || len(b.Lines) != booked || paid != booked*yuan {
				t.Errorf("Bill = %d lines of %s, %v; want %d", len(b.Lines), paid, err, booked)
			}
			if r, err := c.Ask(t.Context(), charge("N7", yuan)); err != nil || r.RecordNo != "88000008" {
				t.Errorf("Ask = %+v, %v", r, err)
			}
		})
	}
}

// TestPageAgain: a box that gives one page in place of another comes to the right count
// and has not said all.
func TestPageAgain(t *testing.T) {
	c := edited(t, func(r *http.Request) {
		q := r.URL.Query()
		q.Set("page", "1")
		q.Del("order_no") // it is no filter there
		r.URL.RawQuery = q.Encode()
	}, func(map[string]any) {})
	const booked = 200
	for i := range booked {
		if _, err := c.Pay(t.Context(), charge(fmt.Sprintf("N%d", i), yuan)); err != nil {
			t.Fatal(err)
		}
	}
	for _, no := range []string{"N0", "N199"} {
		_, err := c.Ask(t.Context(), charge(no, yuan))
		if err == nil || errors.Is(err, vendor.ErrAbsent) || errors.Is(err, vendor.ErrMismatch) {
			t.Errorf("Ask for %s = %v; want an error that says nothing", no, err)
		}
	}
	if b, err := c.Bill(t.Context(), "2026-03-01"); err == nil {
		t.Errorf("Bill = %d lines; want an error", len(b.Lines))
	}
}

// TestOddRecord: a record that nobody can read keeps nobody from what others say, unless it
// is one of those that were asked for.
func TestOddRecord(t *testing.T) {
	odd := map[string]any{"bill_number": "1", "user_name": "x", "create_at": 0, "pay_num": "1.005", "pay_type_id": "9"}
	c := edited(t, func(*http.Request) {}, func(answer map[string]any) {
		data, _ := answer["data"].([]any)
		answer["data"], answer["_meta"] = append(data, odd), map[string]any{"totalCount": len(data) + 1}
	})
	if _, err := c.Ask(t.Context(), charge("N1", yuan)); !errors.Is(err, vendor.ErrAbsent) {
		t.Errorf("Ask for none = %v, want ErrAbsent", err)
	}
	if _, err := c.Pay(t.Context(), charge("N1", yuan)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask(t.Context(), charge("N1", yuan)); err != nil {
		t.Errorf("Ask = %v", err)
	}
	if b, err := c.Bill(t.Context(), "2026-03-01"); err != nil || len(b.Lines) != 1 {
		t.Errorf("Bill = %+v, %v; want one line", b, err)
	}
	odd["pay_type_id"], odd["create_at"] = "1", time.Date(2026, 3, 1, 13, 0, 0, 0, beijing.Zone).Unix()
	if b, err := c.Bill(t.Context(), "2026-03-01"); err == nil {
		t.Errorf("Bill = %+v without what is ours and cannot be read", b)
	}
}

// TestNoList: an answer in which there is no list of records does not say that there is no
// such order, whatever its code.
func TestNoList(t *testing.T) {
	for name, edit := range map[string]func(answer map[string]any){
		"NoData":   func(answer map[string]any) { delete(answer, "data") },
		"Nested":   func(answer map[string]any) { answer["data"] = map[string]any{"list": answer["data"], "total": 1} },
		"Numbered": func(answer map[string]any) { answer["data"] = map[string]any{"1": answer["data"]} },
		"Empty":    func(answer map[string]any) { answer["data"] = []any{map[string]any{}} },
	} {
		t.Run(name, func(t *testing.T) {
			c := edited(t, func(*http.Request) {}, func(answer map[string]any) {
				delete(answer, "_meta")
				edit(answer)
			})
			if _, err := c.Pay(t.Context(), charge("N1", yuan)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Ask(t.Context(), charge("N1", yuan)); err == nil || errors.Is(err, vendor.ErrAbsent) {
				t.Errorf("Ask = %v; want an error that says nothing", err)
			}
			if b, err := c.Bill(t.Context(), "2026-03-01"); err == nil {
				t.Errorf("Bill = %+v; want an error", b)
			}
		})
	}
}
