package ingest_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/ingest"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	v1 "quancun/upstream/wire/quancun/v1"
)

// school is an upstream that has phones.
type school struct {
	*world
	registry *phone.Registry
	codes    byte // how many codes of invitation were given out
}

// handset is a holder's phone.
type handset struct {
	w       *world
	key     *paycode.PrivateKey
	granted []byte
	made    uint16
}

func newSchool(w *world) *school { return newSchoolOf(w, w.keys.Campus()) }

// newSchoolOf is newSchool with another key for phones.
func newSchoolOf(w *world, key crypto.Signer) *school {
	w.t.Helper()
	signer, err := paycode.Hardware(key)
	if err != nil {
		w.t.Fatal(err)
	}
	p := phone.Policy{School: 31, CodeMax: 30 * yuan, DayMax: 50 * yuan, Days: 3}
	r, err := phone.Open(w.t.Context(), w.books, p, signer)
	if err != nil {
		w.t.Fatal(err)
	}
	return &school{world: w, registry: r}
}

// phone gives a holder a phone.
func (s *school) phone(account, name string) *handset {
	s.t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := paycode.NewPrivateKey(paycode.Ed25519, seed[:])
	if err != nil {
		s.t.Fatal(err)
	}
	s.codes++
	code := [32]byte{s.codes}
	if err := phone.Invite(s.t.Context(), s.books, account, code, s.now.Add(time.Hour)); err != nil {
		s.t.Fatal(err)
	}
	granted, err := s.registry.Bind(s.t.Context(), code, key.Public(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return &handset{w: s.world, key: key, granted: granted}
}

// show returns the next code that a phone shows.
func (h *handset) show() string {
	h.w.t.Helper()
	h.made++
	c, err := paycode.Show(h.granted, h.w.now, h.made, h.key)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return c.Text()
}

// takeCode writes that a till has taken a code.
func (c *till) takeCode(ref, account, code string, amount money.Fen, approved bool) {
	c.w.t.Helper()
	d, err := json.Marshal(paycode.Taken{Code: code, Approved: approved})
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.write(journal.Entry{
		Kind: journal.CodeSale, Ref: ref, Account: account, Merchant: merchant, Amount: amount, Details: d,
	})
}

// TestCodes posts what phones have paid, whatever is odd about it, and lists that.
func TestCodes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := newSchool(w)
		a := w.holder("1001", 200*yuan)
		b := w.holder("1002", 100*yuan)
		h, other := s.phone("1001", "phone"), s.phone("1002", "other phone")
		c, d := w.till("C01"), w.till("C02")

		code := h.show()
		c.takeCode("s1", "1001", code, 20*yuan, false)
		c.push()
		w.inbox()
		w.wants(map[store.Account]money.Fen{a: 180 * yuan, payee: 20 * yuan})

		// The same at another till, in the dark.
		d.takeCode("s2", "1001", code, 20*yuan, false)
		d.push()
		w.inbox(ingest.CodeTwice)
		w.wants(map[store.Account]money.Fen{a: 160 * yuan, payee: 40 * yuan})

		// The allowance of the day is 50, and of a code 30.
		d.takeCode("s3", "1001", h.show(), 10*yuan, false)
		d.push()
		w.inbox(ingest.CodeTwice)
		d.takeCode("s4", "1001", h.show(), 31*yuan, false) // both at once
		d.push()
		w.inbox(ingest.CodeTwice, ingest.CodeOver)
		c.takeCode("s5", "1001", h.show(), yuan, false)
		c.push()
		w.inbox(ingest.CodeTwice, ingest.CodeOver, ingest.CodeOver)

		// What we have approved counts for no allowance.
		q := ingest.Request{
			Epoch: c.epoch, Seq: c.next(), Attempt: "s6", Account: "1002", Merchant: merchant, Amount: 60 * yuan,
			Virtual: true,
		}
		c.approved(q, 80*yuan)
		c.takeCode("s6", "1002", other.show(), 60*yuan, true)
		c.push()
		w.wants(map[store.Account]money.Fen{b: 40 * yuan})

		c.takeCode("s7", "1002", h.show(), yuan, false)             // of another account
		c.takeCode("s8", "1002", "65A", yuan, false)                // none at all
		c.sellByCode("1002", "s9", yuan)                            // and none to be seen
		c.takeCode("s10", "1002", forge(other.show()), yuan, false) // forged
		c.push()
		w.inbox(ingest.CodeTwice, ingest.CodeOver, ingest.CodeOver, ingest.CodeWrong, ingest.CodeWrong,
			ingest.CodeMissing, ingest.CodeWrong)
		w.wants(map[store.Account]money.Fen{b: 36 * yuan})
		w.sound()
	})
}

// TestCodesAhead takes what a till has sold whose journal is dated years ahead: each
// day's codes are that day's, and so is what an account has spent.
func TestCodesAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := newSchool(w)
		a := w.holder("1001", 200*yuan)
		h, c := s.phone("1001", "phone"), w.till("C01")
		c.at = w.now.Add(3 * 365 * 24 * time.Hour)
		for i := range 2 {
			c.takeCode(fmt.Sprint("s", i), "1001", h.show(), 30*yuan, false)
			c.push()
			if got := w.spent(a); got != 30*yuan {
				t.Errorf("on day %d 1001 has spent %s, want 30.00", i, got)
			}
			w.now = w.now.Add(24 * time.Hour)
		}
		w.inbox()
		w.now = w.now.Add(-4 * 24 * time.Hour) // our own clock was ahead
		if got := w.spent(a); got != 0 {
			t.Errorf("before all of it 1001 has spent %s", got)
		}
		w.sound()
	})
}

// TestNewIssuer takes a code of an issuer who was not there when the first was taken.
func TestNewIssuer(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.till("C01")
		a, b := w.holder("1001", 100*yuan), w.holder("1002", 100*yuan)
		c.sellByCode("1001", "s1", yuan) // there are no codes yet
		c.push()
		c.takeCode("s2", "1001", newSchool(w).phone("1001", "phone").show(), yuan, false)
		c.push()
		seed := sha256.Sum256([]byte("another key"))
		later := newSchoolOf(w, ed25519.NewKeyFromSeed(seed[:]))
		later.codes = 1
		c.takeCode("s3", "1002", later.phone("1002", "other").show(), yuan, false)
		c.push()
		w.inbox()
		w.wants(map[store.Account]money.Fen{a: 98 * yuan, b: 99 * yuan})
		w.sound()
	})
}

// forge changes the last digit of a code.
func forge(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

// TestAsksOfCode: a hold for a code is placed once, at the terminal that asked
// first, and not for one that is forged, of another account, or of a lost phone.
func TestAsksOfCode(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := newSchool(w)
		w.holder("1001", 100*yuan)
		w.holder("1002", 100*yuan)
		h, other := s.phone("1001", "phone"), s.phone("1002", "other")
		c, d := w.till("C01"), w.till("C02")
		for _, x := range []*till{c, d} {
			x.write(journal.Entry{Kind: journal.Started})
			x.push()
		}
		ask := func(c *till, attempt, code string) ingest.Request {
			return ingest.Request{
				Epoch: c.epoch, Seq: c.next(), Attempt: attempt, Account: "1001", Merchant: merchant, Amount: yuan,
				Virtual: true, Code: code,
			}
		}
		c.declined(ask(c, "s1", forge(h.show())), v1.Reason_REASON_ACCOUNT_UNKNOWN)
		c.declined(ask(c, "s2", other.show()), v1.Reason_REASON_ACCOUNT_UNKNOWN)
		code, next := h.show(), h.show()
		c.approved(ask(c, "s3", code), 80*yuan) // 20 stay for the card
		d.declined(ask(d, "s4", code), v1.Reason_REASON_CHALLENGE_SPENT)
		if err := phone.Revoke(t.Context(), w.books, other.key.Public().ID(), "reported lost"); err != nil {
			t.Fatal(err)
		}
		d.approved(ask(d, "s5", next), 79*yuan) // of another phone
		if err := phone.Revoke(t.Context(), w.books, h.key.Public().ID(), "reported lost"); err != nil {
			t.Fatal(err)
		}
		d.declined(ask(d, "s6", h.show()), v1.Reason_REASON_CARD_HOT)
		w.sound()
	})
}

// TestLostPhone lists what a phone pays after it was reported, and what one pays
// that was replaced.
func TestLostPhone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := newSchool(w)
		a := w.holder("1001", 100*yuan)
		h, c := s.phone("1001", "phone"), w.till("C01")
		before := h.show()
		c.takeCode("s1", "1001", before, yuan, false)

		w.now = w.now.Add(time.Minute)
		c.at = w.now
		if err := phone.Revoke(t.Context(), w.books, h.key.Public().ID(), "reported lost"); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
		c.at = w.now
		c.takeCode("s2", "1001", h.show(), 2*yuan, false)
		next := s.phone("1001", "next phone")
		c.takeCode("s3", "1001", next.show(), 3*yuan, false)
		w.now = w.now.Add(time.Minute)
		third := s.phone("1001", "third phone")
		w.now = w.now.Add(time.Minute)
		c.at = w.now
		c.takeCode("s4", "1001", next.show(), 4*yuan, false)
		c.takeCode("s5", "1001", third.show(), 5*yuan, false)
		c.push()
		w.inbox(ingest.CodeStray, ingest.CodeStray)
		w.wants(map[store.Account]money.Fen{a: 85 * yuan})
		w.sound()
	})
}

// TestGrants: what is signed for a phone ends at the end of a day, is the same for
// the whole day on which it is given, and never outlives the account.
func TestGrants(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s := newSchool(w)
		w.holder("1001", 100*yuan)
		guest := w.holder("1002", 100*yuan)
		h := s.phone("1001", "phone")
		grants := func(account string) (all []time.Time) {
			t.Helper()
			list, err := phone.List(t.Context(), w.books, account)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				all = append(all, p.Until)
			}
			return all
		}
		again, err := s.registry.Renew(t.Context(), h.key.Public())
		if err != nil || string(again) != string(h.granted) {
			t.Errorf("renewed in the same day: another grant, %v", err)
		}
		end := time.Date(2026, 3, 5, 16, 0, 0, 0, time.UTC) // midnight in Beijing, after the third day
		if got := grants("1001"); len(got) != 1 || !got[0].Equal(end) {
			t.Errorf("good until %v, want %v", got, end)
		}
		w.now = w.now.Add(24 * time.Hour)
		if _, err := s.registry.Renew(t.Context(), h.key.Public()); err != nil {
			t.Error(err)
		}
		if got := grants("1001"); !got[0].Equal(end.Add(24 * time.Hour)) {
			t.Errorf("good until %v on the next day", got)
		}

		until := w.now.Add(time.Hour)
		if err := w.books.Write(t.Context(), func(tx *sqldb.Tx) error {
			return w.books.SetUntil(t.Context(), tx, guest, until)
		}); err != nil {
			t.Fatal(err)
		}
		g := s.phone("1002", "guest's phone")
		if got := grants("1002"); len(got) != 1 || !got[0].Equal(until) {
			t.Errorf("a guest's is good until %v, want %v", got, until)
		}
		s.revoked(t, 0)
		w.now = until
		if _, err := s.registry.Renew(t.Context(), g.key.Public()); !errors.Is(err, phone.ErrRevoked) {
			t.Errorf("renewed when the account has ended: %v", err)
		}
		s.revoked(t, 1)
		w.now = until.Add(paycode.LifeMax + paycode.Tolerance + time.Second) // nothing of it is good any more
		s.revoked(t, 0)
		w.sound()
	})
}

// revoked wants terminals to be told of so many lost phones.
func (s *school) revoked(t *testing.T, want int) {
	t.Helper()
	if err := s.registry.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, content, err := s.books.Content(t.Context(), "keys")
	if err != nil {
		t.Fatal(err)
	}
	k, err := paycode.ParseKeys(content)
	if err != nil || len(k.Revoked) != want || len(k.Issuers) != 1 {
		t.Errorf("published %s, %v; want %d revoked", content, err, want)
	}
}
