package bath

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"quancun/bathcode"
	"quancun/water"
)

// TestHandler works a box from elsewhere, with its plug pulled in between, on the
// real clock.
func TestHandler(t *testing.T) {
	s := setup(true)
	now := time.Now()
	day := bathcode.DayOf(now)
	s.Times = []water.Time{{No: 0, From: 0, To: 24 * 60}}
	key := master.Key(s.Place(), day)
	s.Keys = []water.MonthKey{{Day: day, Key: water.Secret(key.Bytes())}}
	b, err := Open(s, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	server := httptest.NewServer(Handler(b))
	defer server.Close()
	do := func(body string) (st State, status int) {
		t.Helper()
		r, err := http.Post(server.URL+"/baths/1/0", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode == http.StatusOK {
			if err := json.NewDecoder(r.Body).Decode(&st); err != nil {
				t.Fatal(err)
			}
		}
		return st, r.StatusCode
	}
	slot := bathcode.Slot{Place: s.Place(), Day: day}
	st, _ := do(fmt.Sprintf(`{"stall": 2, "keys": "#%s", "pulses": 250}`, key.Code(slot, 9)))
	if p := st.Panels[1]; !p.Valve || p.Pulses != 250 || p.Amount != 10 {
		t.Fatalf("after the code: %+v", st)
	}
	if st, _ := do(`{"power": false}`); st.Power || len(st.Panels) != 0 {
		t.Errorf("without power: %+v", st)
	}
	if _, status := do(`{"stall": 2, "keys": "#"}`); status != http.StatusConflict {
		t.Errorf("a key without power: %d", status)
	}
	if st, _ := do(`{"power": true}`); st.Panels[1].Step != Paused || st.Panels[1].Pulses != 200 {
		t.Errorf("with power again: %+v", st)
	}
	if st, _ := do(`{"clock_lost": true}`); st.Panels[1].Step != Idle || !st.Lost {
		t.Errorf("without a clock: %+v", st)
	}
	do(`{"clock_lost": false}`)
	for _, body := range []string{`{"fly": true}`, `{"stall": 9, "keys": "#"}`, `{"pulses": -1}`} {
		if _, status := do(body); status == http.StatusOK {
			t.Errorf("%s is done", body)
		}
	}
	r, err := http.Get(server.URL + "/baths/1/0/log")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	log, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	report, err := water.Open(bytes.TrimSpace(log), master.Key)
	if err != nil || len(report.Uses) != 1 || report.Uses[0].Pulses != 200 || report.Uses[0].Ending != water.ByPower {
		t.Errorf("log: %+v, %v", report, err)
	}
}
