package cards_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/lab/cards"
	"quancun/reader"
	"quancun/reader/profile"
	"quancun/reader/vpcd"
)

// file is what a demonstration upstream would write, with made-up keys. Zhang
// has two cards, of which one was replaced.
const file = `[
	{"card_no":"00001234000000000001","factor":"1234000000000001","uid":"01020304","name":"张三","holder_no":"2024001",
	 "pin":"246810","kind":"student","keys":{"dlk":"000102030405060708090A0B0C0D0E0F","dpk":"101112131415161718191A1B1C1D1E1F",
	 "dtk":"202122232425262728292A2B2C2D2E2F","drpk":"303132333435363738393A3B3C3D3E3F"},
	 "purse_fen":1234,"online_counter":7,"offline_counter":9,"start":"2024-09-01","expiry":"20280630"},
	{"card_no":"00001234000000000002","uid":"01020305","name":"李四","holder_no":"2024002","note":"挂失","keys":%s},
	{"card_no":"00001234000000000003","uid":"01020306","name":"张三","holder_no":"2024001","keys":%[1]s},
	{"uid":"0A0B0C0D","name":"某银行卡","kind":"bank","keys":%[1]s}
]`

const keys = `{"dlk":"000102030405060708090A0B0C0D0E0F","dpk":"101112131415161718191A1B1C1D1E1F",` +
	`"dtk":"202122232425262728292A2B2C2D2E2F","drpk":"303132333435363738393A3B3C3D3E3F"}`

// lab is a server of cards, its control API, and the reader beside it.
type lab struct {
	*cards.Server
	reader *vpcd.Device
	url    string
	config cards.Config
	log    *bytes.Buffer
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	d, err := vpcd.Listen("127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	log := new(bytes.Buffer)
	c := cards.Config{
		File: filepath.Join(dir, "cards.json"), Dir: filepath.Join(dir, "cards"), VPCD: d.Addr(),
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if err := os.WriteFile(c.File, fmt.Appendf(nil, file, keys), 0o600); err != nil {
		t.Fatal(err)
	}
	l := &lab{reader: d, config: c, log: log}
	l.open(t)
	return l
}

func (l *lab) open(t *testing.T) {
	t.Helper()
	s, err := cards.New(l.config)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	l.Server, l.url = s, web.URL
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// post calls the control API and returns the status and the list after it.
func (l *lab) post(t *testing.T, path, body string) (status int, list []cards.Info) {
	t.Helper()
	resp, err := http.Post(l.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, list
}

// lay lays a card and connects to it as a terminal does.
func (l *lab) lay(t *testing.T, card string) reader.Card {
	t.Helper()
	if status, _ := l.post(t, "/cards/lay", `{"card":"`+card+`"}`); status != http.StatusOK {
		t.Fatalf("lay %s: %d", card, status)
	}
	l.waitFor(t, true)
	c, err := l.reader.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (l *lab) waitFor(t *testing.T, card bool) {
	t.Helper()
	var s reader.State
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var err error
		if s, err = l.reader.Wait(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if s.Card == card {
			return
		}
	}
	t.Fatalf("reader says %+v, want card %t", s, card)
}

// wrongPIN is VERIFY with a PIN that is wrong: it changes what the card
// remembers, and its answer says how often one may still try.
var wrongPIN = []byte{0x00, 0x20, 0x00, 0x00, 0x03, 0x99, 0x99, 0x99}

// selectPurse selects the application that has the PIN.
var selectPurse = func() []byte {
	aid := profile.Default().AID
	return append([]byte{0x00, 0xA4, 0x04, 0x00, byte(len(aid))}, aid...)
}()

func transmit(t *testing.T, c reader.Card, command []byte) string {
	t.Helper()
	response, err := c.Transmit(slices.Clone(command))
	if err != nil {
		t.Fatalf("transmit %X: %v", command[:2], err)
	}
	return fmt.Sprintf("%X", response)
}

func TestList(t *testing.T) {
	l := newLab(t)
	want := []cards.Info{
		{Card: "2024001-0001", Name: "张三", Note: "student", Masked: "…0001", HolderNo: "2024001", Kind: "student", Purse: 1234, Online: 7, Offline: 9},
		{Card: "2024002", Name: "李四", Note: "挂失", Masked: "…0002", HolderNo: "2024002"},
		{Card: "2024001-0003", Name: "张三", Masked: "…0003", HolderNo: "2024001"},
		{Card: "bank-0a0b0c0d", Name: "某银行卡", Note: "bank", Masked: "bank-0a0b0c0d", Kind: "bank"},
	}
	if got := l.List(); !slices.Equal(got, want) {
		t.Errorf("List() =\n%+v\nwant\n%+v", got, want)
	}
	for _, f := range []string{l.config.Dir + "/00001234000000000001.json"} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", f, info, err)
		}
	}
}

func TestLayAndTake(t *testing.T) {
	l := newLab(t)
	c := l.lay(t, "李四")
	if got := transmit(t, c, selectPurse); !strings.HasSuffix(got, "9000") {
		t.Errorf("select = %s", got)
	}
	list := l.List()
	if !list[1].Laid || list[1].Where != l.reader.Addr() || list[0].Laid {
		t.Errorf("List() = %+v, want card 2 on the reader", list)
	}
	c.Close()
	l.lay(t, "2024001-0003").Close() // in place of the other
	if list := l.List(); list[1].Laid || !list[2].Laid || list[1].Ending != "taken" {
		t.Errorf("List() = %+v, want card 3 on the reader and card 2 taken", list)
	}
	if status, _ := l.post(t, "/cards/take", `{}`); status != http.StatusOK {
		t.Errorf("take: %d", status)
	}
	l.waitFor(t, false)
	for path, want := range map[string]int{
		"/cards/take {}":                                 http.StatusConflict, // nothing lies there
		`/cards/tear {"when":"after"}`:                   http.StatusConflict,
		`/cards/lay {"card":"王五"}`:                       http.StatusNotFound,
		`/cards/lay {"card":"张三"}`:                       http.StatusConflict, // which of the two?
		`/cards/lay {"cart":"李四"}`:                       http.StatusBadRequest,
		`/cards/tear {"card":"李四","command":"dance"}`:    http.StatusBadRequest,
		`/cards/tear {"card":"李四","when":"meanwhile"}`:   http.StatusBadRequest,
		`/cards/tear {"card":"李四","command":0}`:          http.StatusBadRequest,
		`/cards/tear {"card":"李四"}`:                      http.StatusOK,
		`/cards/slow {"ms":-1}`:                          http.StatusBadRequest,
		`/cards/tear {"card":"李四","command":"credit"}`:   http.StatusOK,
		`/cards/silent {"card":"李四","command":"verify"}`: http.StatusOK,
		`/cards/mend {}`:                                 http.StatusOK,
	} {
		path, body, _ := strings.Cut(path, " ")
		if got, _ := l.post(t, path, body); got != want {
			t.Errorf("%s %s: %d, want %d", path, body, got, want)
		}
	}
	if strings.Contains(l.log.String(), "00001234000000000002") {
		t.Error("the log gives away a card number")
	}
}

// TestTear tears a card off in both kinds at the same command, and looks at
// what the card remembers of it after a restart of the lab.
func TestTear(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		left       string // tries left, as the next VERIFY says
	}{
		{"Before", `{"when":"before","command":"verify"}`, "63C2"},
		{"After", `{"when":"after","command":"verify"}`, "63C1"},
		{"AfterSecondCommand", `{"when":"after","command":2}`, "63C1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			c := l.lay(t, "2024002")
			if status, _ := l.post(t, "/cards/tear", tt.body); status != http.StatusOK {
				t.Fatalf("tear: %d", status)
			}
			transmit(t, c, selectPurse)
			if response, err := c.Transmit(slices.Clone(wrongPIN)); !errors.Is(err, reader.ErrGone) {
				t.Errorf("torn: %X, %v; want ErrGone", response, err)
			}
			l.waitFor(t, false)
			for end := time.Now().Add(20 * time.Second); l.List()[1].Ending != "torn"; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("List() = %+v, want card 2 torn", l.List())
				}
			}
			c.Close()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l.open(t)
			c = l.lay(t, "2024002")
			transmit(t, c, selectPurse)
			if got := transmit(t, c, wrongPIN); got != tt.left {
				t.Errorf("after the tear: %s, want %s", got, tt.left)
			}
		})
	}
}

func TestSlowAndSilent(t *testing.T) {
	l := newLab(t)
	c := l.lay(t, "2024002")
	l.post(t, "/cards/slow", `{"ms":40}`)
	for range 2 {
		start := time.Now()
		if transmit(t, c, selectPurse); time.Since(start) < 40*time.Millisecond {
			t.Errorf("a slow card took %v, want 40 ms", time.Since(start))
		}
	}
	l.post(t, "/cards/mend", `{}`)
	l.post(t, "/cards/silent", `{"when":"after","command":"any"}`)
	if response, err := c.Transmit(slices.Clone(selectPurse)); err == nil {
		t.Errorf("a silent card said %X", response)
	}
}

// TestNewIssue: cards with other keys are another issue of cards, and take the
// place of the old.
func TestNewIssue(t *testing.T) {
	l := newLab(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := strings.Replace(fmt.Sprintf(file, keys), `"000102`, `"FF0102`, 1)
	again = strings.Replace(again, `"purse_fen":1234`, `"purse_fen":500`, 1)
	if err := os.WriteFile(l.config.File, []byte(again), 0o600); err != nil {
		t.Fatal(err)
	}
	l.open(t)
	if got := l.List()[0].Purse; got != 500 {
		t.Errorf("purse = %s, want the new 5.00", got)
	}
}

// TestReaderComesBack: a card stays where it lies when the reader hangs up, and
// is there again when the reader is.
func TestReaderComesBack(t *testing.T) {
	l := newLab(t)
	c := l.lay(t, "2024002")
	c.Close()
	addr := l.reader.Addr()
	if err := l.reader.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := vpcd.Listen(addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l.reader = d
	l.waitFor(t, true)
	if c, err = d.Connect(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := transmit(t, c, selectPurse); !strings.HasSuffix(got, "9000") {
		t.Errorf("select = %s", got)
	}
	if err := l.Take(); err != nil || l.List()[1].Ending != "taken" {
		t.Errorf("Take() = %v, list %+v", err, l.List())
	}
}

func TestNobodyListens(t *testing.T) {
	l := newLab(t)
	l.reader.Close()
	if status, _ := l.post(t, "/cards/lay", `{"card":"2024002"}`); status != http.StatusBadGateway {
		t.Errorf("lay without a reader: %d, want %d", status, http.StatusBadGateway)
	}
	if err := l.Lay("2024002"); !errors.Is(err, cards.ErrNoReader) {
		t.Errorf("Lay() = %v, want ErrNoReader", err)
	}
}

func TestParse(t *testing.T) {
	whole := fmt.Sprintf(file, keys)
	if all, err := cards.Parse([]byte(whole)); err != nil || len(all) != 4 {
		t.Fatalf("Parse() = %d cards, %v", len(all), err)
	}
	for _, change := range [][2]string{
		{`"uid":"01020304"`, `"uid":"0102"`}, {`"00001234000000000001"`, `"1"`}, {`"2024-09-01"`, `"soon"`},
		{`"1234000000000001"`, `"1234000000000009"`}, {`"246810"`, `"24681x"`}, {`"purse_fen":1234`, `"purse_fen":-1`},
		{`000000000003`, `000000000002`}, {`"dlk":"00`, `"dlk":"`},
	} {
		_, err := cards.Parse([]byte(strings.Replace(whole, change[0], change[1], 1)))
		if err == nil || strings.Contains(err.Error(), "0102030405") {
			t.Errorf("with %s: err = %v", change[1], err)
		}
	}
}

// TestLongName: a name that does not fit is cut between characters.
func TestLongName(t *testing.T) {
	all, err := cards.Parse(fmt.Appendf(nil, strings.Replace(file, "李四", "阿卜杜热合曼·买买提艾力", 1), keys))
	if err != nil || all[1].Name != "阿卜杜热合曼·买买提艾力" {
		t.Errorf("Parse() = %+v, %v", all, err)
	}
}

// FuzzParse: a file that is taken is one whose cards can all be made.
func FuzzParse(f *testing.F) {
	f.Add(fmt.Sprintf(file, keys))
	f.Add(`[{"uid":"01020304","kind":"blank"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if all, err := cards.Parse([]byte(text)); err != nil && all != nil {
			t.Errorf("Parse(%q) = %d cards and %v", text, len(all), err)
		}
	})
}

// TestNextTill: a holder takes the card from one till to the next, and it lies
// in one place at a time.
func TestNextTill(t *testing.T) {
	l := newLab(t)
	l.lay(t, "2024002").Close()
	next, err := vpcd.Listen("127.0.0.1:0", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	body := fmt.Sprintf(`{"card":"2024002","reader":%q}`, next.Addr())
	status, list := l.post(t, "/cards/lay", body)
	if status != http.StatusOK || !list[1].Laid || list[1].Where != next.Addr() {
		t.Fatalf("laid at the next till: %d, %+v", status, list[1])
	}
	l.waitFor(t, false)
	l.reader = next
	l.waitFor(t, true)
	if err := l.Take(); err != nil {
		t.Error(err)
	}
}
