package paycode

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"quancun/money"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// made returns a key that is nobody's: its secret is the hash of a name.
func made(t testing.TB, a Algorithm, name string) *PrivateKey {
	t.Helper()
	secret := sha256.Sum256([]byte(name))
	k, err := NewPrivateKey(a, secret[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// campus is a school that issues with an algorithm, and one phone of it.
type campus struct {
	issuer, phone *PrivateKey
	keys          Keys
	granted       []byte
}

func newCampus(t testing.TB, a Algorithm) campus {
	t.Helper()
	c := campus{issuer: made(t, a, "issuer"), phone: made(t, a, "phone")}
	c.keys = Keys{School: 31, Issuers: []Issuer{
		{1, made(t, 3-a, "issuer of the other algorithm").Public()}, {7, c.issuer.Public()},
	}}
	c.granted = c.issue(t, c.grant())
	return c
}

func (c campus) grant() Grant {
	return Grant{
		School: 31, Purpose: Pay, Issuer: 7, Account: "2026000101", CodeMax: 50 * money.Yuan, DayMax: 100 * money.Yuan,
		Expires: noon.Add(72 * time.Hour), Device: c.phone.Public(),
	}
}

func (c campus) issue(t testing.TB, g Grant) []byte {
	t.Helper()
	b, err := Issue(g, c.issuer)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c campus) show(t testing.TB, granted []byte, at time.Time) Code {
	t.Helper()
	code, err := Show(granted, at, 513, c.phone)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func both(t *testing.T, test func(t *testing.T, c campus)) {
	for _, a := range []Algorithm{Ed25519, SM2} {
		t.Run(a.String(), func(t *testing.T) { test(t, newCampus(t, a)) })
	}
}

// TestBase45 holds the text against the examples of RFC 9285.
func TestBase45(t *testing.T) {
	for text, want := range map[string]string{
		"BB8": "AB", "%69 VD92EX0": "Hello!!", "UJCLQE7W581": "base-45", "QED8WEX0": "ietf!", "": "",
	} {
		got, err := parseBase45(text)
		if err != nil || string(got) != want || string(appendBase45(nil, []byte(want))) != text {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"A", "BB8A", "GGW", ":::", "::", "bb8", "BB8\n", "ü"} {
		if _, err := parseBase45(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", bad, err)
		}
	}
}

// TestSamePhone: a phone's codes change, and are known to be one phone's.
func TestSamePhone(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		one, next := c.show(t, c.granted, noon).Text(), c.show(t, c.granted, noon.Add(30*time.Second)).Text()
		d := campus{issuer: c.issuer, phone: made(t, c.issuer.Public().Algorithm, "another phone")}
		other := d.show(t, d.issue(t, d.grant()), noon).Text()
		if one == next || !SamePhone(one, next) || SamePhone(one, other) || SamePhone(one, one[:9]) || SamePhone("", "") {
			t.Errorf("%q, %q, %q", one, next, other)
		}
	})
}

func TestTaken(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		code := c.show(t, c.granted, noon)
		text := code.Text()
		if !Ours(text) || len(text) > 311 {
			t.Errorf("%d digits, %.3q: does not fit into version 10 at level M, or looks like another's", len(text), text)
		}
		read, err := Parse(text)
		if err != nil || read.Text() != text || read.Use() != code.Use() || read.Account != "2026000101" {
			t.Fatalf("read as %+v, %v", read, err)
		}
		for _, late := range []time.Duration{-Tolerance, 0, LifeMax, LifeMax + Tolerance} {
			if err := c.keys.Check(read, Pay, noon.Add(late), LifeMax); err != nil {
				t.Errorf("after %v: %v", late, err)
			}
		}
	})
}

// TestRefused is each code that must not be taken, and why.
func TestRefused(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		code := c.show(t, c.granted, noon)
		with := func(change func(*Grant)) Code {
			g := c.grant()
			change(&g)
			return c.show(t, c.issue(t, g), noon)
		}
		forged := code
		forged.Account = "2026000102"
		lost := c.keys
		lost.Revoked = []DeviceID{code.Device.ID()}
		for _, tt := range []struct {
			name string
			code Code
			keys Keys
			at   time.Time
			want error
		}{
			{"screenshot", code, c.keys, noon.Add(LifeMax + Tolerance + time.Second), ErrStale},
			{"from tomorrow", code, c.keys, noon.Add(-24 * time.Hour), ErrEarly},
			{"a clock that is off", code, c.keys, noon.Add(-Tolerance - time.Second), ErrEarly},
			{"another school's", with(func(g *Grant) { g.School = 32 }), c.keys, noon, ErrSchool},
			{"for a door", with(func(g *Grant) { g.Purpose = Door }), c.keys, noon, ErrPurpose},
			{"of an issuer that we lack", with(func(g *Grant) { g.Issuer = 8 }), c.keys, noon, ErrIssuer},
			{"of an issuer of another algorithm", with(func(g *Grant) { g.Issuer = 1 }), c.keys, noon, ErrIssuer},
			{"expired", with(func(g *Grant) { g.Expires = noon.Add(-time.Second) }), c.keys, noon, ErrExpired},
			{"another's account", forged, c.keys, noon, ErrForged},
			{"lost phone", code, lost, noon, ErrRevoked},
			{"no keys yet", code, Keys{School: 31}, noon, ErrIssuer},
		} {
			if err := tt.keys.Check(tt.code, Pay, tt.at, LifeMax); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// TestEveryBit: a code with one bit wrong is taken nowhere, whichever it is.
func TestEveryBit(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		good := c.show(t, c.granted, noon).Bytes()
		for i := range len(good) * 8 {
			b := bytes.Clone(good)
			b[i/8] ^= 1 << (i % 8)
			code, err := Parse(string(appendBase45(nil, b)))
			if err == nil {
				err = c.keys.Check(code, Pay, noon, LifeMax)
			}
			if err == nil {
				t.Errorf("bit %d of byte %d", i%8, i/8)
			}
		}
	})
}

// TestHalf: what a scanner types of a code that it lost is never taken for
// another, and says so as long as it can be seen.
func TestHalf(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		text := c.show(t, c.granted, noon).Text()
		for n := range len(text) {
			_, err := Parse(text[:n])
			if n >= textHeadLen && n%3 != 1 && !errors.Is(err, ErrHalf) || err == nil {
				t.Errorf("%d digits: %v, want ErrHalf", n, err)
			}
			if _, err := Parse(text[n:]); n > 0 && err == nil {
				t.Errorf("from digit %d: taken", n)
			}
		}
		for _, more := range []string{text + "0", text + "00", text + "000", text + text, " " + text} {
			if _, err := Parse(more); !errors.Is(err, ErrMalformed) {
				t.Errorf("%d digits too many: %v", len(more)-len(text), err)
			}
		}
	})
}

// TestOthers: wallets' numbers are none of ours, section 3.5.
func TestOthers(t *testing.T) {
	for _, other := range []string{
		"134567890123456789", "281234567890123456", "6212345678901234567", "0112345678901234567", "",
		"https://qr.alipay.com/bax", "65", "75B", "85A12",
	} {
		if Ours(other) {
			t.Errorf("%q is ours", other)
		}
		if _, err := Parse(other); err == nil {
			t.Errorf("%q was read", other)
		}
	}
}

func TestNoGrant(t *testing.T) {
	c := newCampus(t, Ed25519)
	for name, change := range map[string]func(*Grant){
		"account with a letter": func(g *Grant) { g.Account = "B2026" },
		"account too long":      func(g *Grant) { g.Account = "12345678901234567" },
		"no account":            func(g *Grant) { g.Account = "" },
		"half a yuan":           func(g *Grant) { g.CodeMax = 50 },
		"limit too high":        func(g *Grant) { g.DayMax = LimitMax + money.Yuan },
		"limit below zero":      func(g *Grant) { g.DayMax = -money.Yuan },
		"no purpose":            func(g *Grant) { g.Purpose = 0 },
		"no expiry":             func(g *Grant) { g.Expires = time.Time{} },
		"phone's key too short": func(g *Grant) { g.Device.Bytes = g.Device.Bytes[1:] },
		"another algorithm":     func(g *Grant) { g.Device = made(t, SM2, "phone").Public() },
		"no point of the curve": func(g *Grant) { g.Device = PublicKey{SM2, bytes.Repeat([]byte{2}, 33)} },
	} {
		g := c.grant()
		change(&g)
		if b, err := Issue(g, c.issuer); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
	for _, no := range []string{"0", "0000000000000001", "9876543210"} {
		g := c.grant()
		g.Account = no
		if read, _, err := ParseGrant(c.issue(t, g)); err != nil || read.Account != no {
			t.Errorf("account %q reads %q, %v", no, read.Account, err)
		}
	}
	if _, err := Show(c.granted, noon, 1, made(t, Ed25519, "another phone")); !errors.Is(err, ErrMalformed) {
		t.Errorf("shown by another phone: %v", err)
	}
}

func TestProof(t *testing.T) {
	both(t, func(t *testing.T, c campus) {
		p := Proof{Device: c.phone.Public(), At: noon, Invitation: "once"}
		sig, err := p.Sign(c.phone)
		if err != nil || p.Verify(sig) != nil {
			t.Fatalf("not proved: %v, %v", err, p.Verify(sig))
		}
		for name, change := range map[string]func(*Proof){
			"key":        func(p *Proof) { p.Device = c.issuer.Public() },
			"time":       func(p *Proof) { p.At = noon.Add(time.Second) },
			"invitation": func(p *Proof) { p.Invitation = "twice" },
		} {
			q := p
			change(&q)
			if err := q.Verify(sig); !errors.Is(err, ErrForged) {
				t.Errorf("another %s: %v", name, err)
			}
		}
	})
}

func TestKeys(t *testing.T) {
	c := newCampus(t, SM2)
	c.keys.Revoked = []DeviceID{{1}, {2}}
	b, err := c.keys.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseKeys(b)
	if again, _ := read.Bytes(); err != nil || !bytes.Equal(b, again) {
		t.Errorf("%s reads as %s, %v", b, again, err)
	}
	for _, bad := range []string{
		``, `[]`, `{"issuers":[{"index":1,"algorithm":3,"key":"AA=="}]}`, `{"issuers":[{"index":1}]}`,
		`{"revoked":["00"]}`, `{"revoked":["FF000000000000000000000000000000"]}`,
		`{"revoked":["02000000000000000000000000000000","01000000000000000000000000000000"]}`,
	} {
		if _, err := ParseKeys([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", bad, err)
		}
	}
	for _, k := range []any{c.phone, *c.phone} {
		if text := fmt.Sprintf("%v %+v %x %s", k, k, k, k); strings.Count(text, "…") != 4 {
			t.Errorf("a key prints as %q", text)
		}
	}
	again, err := NewPrivateKey(SM2, c.phone.Secret())
	if err != nil || !again.Public().Equal(c.phone.Public()) {
		t.Errorf("kept and read again: %v", err)
	}
}

// vector is one code of testdata/vectors.json, for who writes a phone. The
// secrets are SHA-256 of "issuer" and "phone".
type vector struct {
	Algorithm Algorithm `json:"algorithm"`
	Issuer    string    `json:"issuer_public"`
	Phone     string    `json:"phone_public"`
	Device    DeviceID  `json:"device"`
	School    uint16    `json:"school"`
	Index     byte      `json:"issuer"`
	Account   string    `json:"account"`
	CodeMax   money.Fen `json:"code_max_fen"`
	DayMax    money.Fen `json:"day_max_fen"`
	Expires   int64     `json:"expires"`
	Time      int64     `json:"time"`
	Counter   uint16    `json:"counter"`
	Bytes     string    `json:"bytes"`
	Text      string    `json:"text"`
}

const vectorFile = "testdata/vectors.json"

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 2 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	for _, v := range all {
		c := newCampus(t, v.Algorithm)
		code, err := Parse(v.Text)
		if err != nil {
			t.Fatal(err)
		}
		if got := vectorOf(c, code); got != v {
			t.Errorf("reads as %+v\nwant %+v", got, v)
		}
		if err := c.keys.Check(code, Pay, time.Unix(v.Time, 0), LifeMin); err != nil {
			t.Error(err)
		}
		if v.Algorithm == Ed25519 && c.show(t, c.granted, noon).Text() != v.Text {
			t.Error("the same code has another text")
		}
	}
}

func vectorOf(c campus, code Code) vector {
	return vector{
		Algorithm: code.Device.Algorithm, Issuer: hex.EncodeToString(c.issuer.Public().Bytes),
		Phone: hex.EncodeToString(code.Device.Bytes), Device: code.Device.ID(), School: code.School,
		Index: code.Issuer, Account: code.Account, CodeMax: code.CodeMax, DayMax: code.DayMax,
		Expires: code.Expires.Unix(), Time: code.Time.Unix(), Counter: code.Counter,
		Bytes: hex.EncodeToString(code.Bytes()), Text: code.Text(),
	}
}

func writeVectors(t *testing.T) {
	var all []vector
	for _, a := range []Algorithm{Ed25519, SM2} {
		c := newCampus(t, a)
		all = append(all, vectorOf(c, c.show(t, c.granted, noon)))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// FuzzParse: whatever is read reads back as itself, and only what the school has
// signed is taken.
func FuzzParse(f *testing.F) {
	c := newCampus(f, Ed25519)
	good := map[string]bool{}
	for _, a := range []Algorithm{Ed25519, SM2} {
		c := newCampus(f, a)
		text := c.show(f, c.granted, noon).Text()
		good[text] = a == Ed25519
		f.Add(text)
	}
	f.Add("65A")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := Parse(text)
		if err != nil {
			return
		}
		if code.Text() != text || !Ours(text) {
			t.Errorf("%q has another text, %q", text, code.Text())
		}
		if err := c.keys.Check(code, Pay, noon, LifeMax); (err == nil) != good[text] {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func FuzzBase45(f *testing.F) {
	f.Add("%69 VD92EX0")
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := parseBase45(text); err == nil && string(appendBase45(nil, b)) != text {
			t.Errorf("%q reads as %x, which is another text", text, b)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"school":1,"revoked":["01000000000000000000000000000000"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKeys(b)
		if err != nil {
			return
		}
		if _, err := k.Bytes(); err != nil {
			t.Errorf("%s was read, and is %v", b, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for _, a := range []Algorithm{Ed25519, SM2} {
		c := newCampus(b, a)
		text := c.show(b, c.granted, noon).Text()
		b.Run(a.String(), func(b *testing.B) {
			for b.Loop() {
				code, err := Parse(text)
				if err == nil {
					err = c.keys.Check(code, Pay, noon, LifeMax)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
