package staff_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quancun/upstream/client"
	"quancun/upstream/staff"
	"quancun/upstream/staff/stafftest"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	card1 = "00002026000100012345"
	card2 = "00002026000100012346"
	right = "271828"
	wrong = "314159"
)

var li = staff.Member{No: "c7", Name: "李小明", Role: staff.Cashier, Card: card1}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, do func(*testing.T, *stafftest.World)) {
	t.Run("SQLite", func(t *testing.T) { do(t, stafftest.New(t, filepath.Join(t.TempDir(), "books.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { do(t, stafftest.New(t, pgtest.New(t).DSN)) })
}

// signIn signs in with a PIN.
func signIn(ctx context.Context, c *client.Client, card, pin string) (client.Staff, error) {
	return c.SignInStaff(ctx, card, (*[6]byte)([]byte(pin)))
}

// refuses checks that an error is a refusal.
func refuses(t *testing.T, err error, want client.StaffReason, tries int) {
	t.Helper()
	var no *client.StaffRefusal
	if !errors.As(err, &no) || no.Reason != want || no.TriesLeft != tries {
		t.Errorf("got %v (%+v), want reason %d with %d tries", err, no, want, tries)
	}
}

func TestSignIn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *stafftest.World) {
		ctx, c := t.Context(), w.Client("K01")
		w.Add(li, right)
		got, err := signIn(ctx, c, card1, right)
		want := client.Staff{No: "c7", MaskedName: "李*明", Role: 1, Card: card1, PINVersion: 1}
		if err != nil || got != want {
			t.Errorf("SignInStaff = %+v, %v, want %+v", got, err, want)
		}
		_, err = signIn(ctx, c, card2, right)
		refuses(t, err, client.StaffCardUnknown, 0)
		_, err = signIn(ctx, c, "no card", right)
		refuses(t, err, client.StaffMalformed, 0)
		for left := 4; left >= 0; left-- {
			_, err := signIn(ctx, c, card1, wrong)
			if left == 0 {
				refuses(t, err, client.StaffPINLocked, 0)
			} else {
				refuses(t, err, client.StaffPINWrong, left)
			}
		}
		_, err = signIn(ctx, c, card1, right)
		refuses(t, err, client.StaffPINLocked, 0)

		if err := w.Roll.SetPIN(ctx, "c7", w.PIN("c7", wrong), "test"); err != nil {
			t.Fatal(err)
		}
		_, err = signIn(ctx, c, card1, right)
		refuses(t, err, client.StaffPINWrong, 4)
		if got, err = signIn(ctx, c, card1, wrong); err != nil || got.PINVersion != 2 {
			t.Errorf("with the new PIN: %+v, %v", got, err)
		}
		if _, err = signIn(ctx, c, card1, right); err == nil {
			t.Error("the old PIN is good")
		} else {
			refuses(t, err, client.StaffPINWrong, 4) // a right PIN has given the tries back
		}
		if broken, err := w.Books.Verify(ctx); err != nil || broken != nil {
			t.Errorf("Verify = %q, %v", broken, err)
		}
	})
}

// TestGuessTogether: guesses in parallel, at two terminals, have five tries
// between them.
func TestGuessTogether(t *testing.T) {
	w := stafftest.New(t, filepath.Join(t.TempDir(), "books.db"))
	w.Add(li, right)
	var wrongs atomic.Int64
	var group sync.WaitGroup
	for _, c := range []*client.Client{w.Client("K01"), w.Client("K02")} {
		for range 6 {
			group.Go(func() {
				_, err := signIn(t.Context(), c, card1, wrong)
				var no *client.StaffRefusal
				if errors.As(err, &no) && no.Reason == client.StaffPINWrong {
					wrongs.Add(1)
				}
			})
		}
	}
	group.Wait()
	if n := wrongs.Load(); n != 4 { // the fifth says that it is locked
		t.Errorf("%d guesses were told that they are wrong, want 4", n)
	}
}

// TestRevoke: who is revoked, or has another card, does not come in, and is not
// in the answer to what has become of them.
func TestRevoke(t *testing.T) {
	onBoth(t, func(t *testing.T, w *stafftest.World) {
		ctx, c := t.Context(), w.Client("K01")
		w.Add(li, right)
		w.Add(staff.Member{No: "s1", Name: "Mary Fox", Role: staff.Supervisor, Card: card2}, right)
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		conflicts := func(err error, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		ok(w.Roll.SetRole(ctx, "c7", staff.Supervisor, "boss"))
		if got, err := signIn(ctx, c, card1, right); err != nil || got.Role != 2 {
			t.Errorf("after a change of role: %+v, %v", got, err)
		}
		conflicts(w.Roll.SetCard(ctx, "c7", card2, "boss"), store.ErrConflict)
		ok(w.Roll.Revoke(ctx, "c7", "boss"))
		_, err := signIn(ctx, c, card1, right)
		refuses(t, err, client.StaffCardUnknown, 0)
		asked := []string{"c7", "s1"}
		for i := range 400 { // more than can be asked about at once
			asked = append(asked, fmt.Sprint("x", i))
		}
		asked = append(asked, "s1")
		all, err := c.CheckStaff(ctx, asked)
		mary := client.Staff{No: "s1", MaskedName: "M*** F**", Role: 2, Card: card2, PINVersion: 1}
		want := []client.Staff{mary, mary}
		if err != nil || !reflect.DeepEqual(all, want) {
			t.Errorf("CheckStaff = %+v, %v, want %+v", all, err, want)
		}
		conflicts(w.Roll.SetRole(ctx, "c7", staff.Cashier, "boss"), staff.ErrRevoked)
		conflicts(w.Roll.SetPIN(ctx, "c7", store.PIN{}, "boss"), staff.ErrRevoked)
		conflicts(w.Roll.Revoke(ctx, "x9", "boss"), store.ErrNone)
		conflicts(w.Roll.Add(ctx, li, store.PIN{}, "boss"), store.ErrConflict) // numbers are not used again
		ok(w.Roll.SetCard(ctx, "s1", card1, "boss"))                           // but cards are
		if _, err := signIn(ctx, c, card1, right); err != nil {
			t.Errorf("with the other card: %v", err)
		}
		members, err := w.Roll.All(ctx)
		if err != nil || len(members) != 2 || members[0].Revoked.IsZero() || members[0].Card != "" {
			t.Errorf("All = %+v, %v", members, err)
		}
		changes, err := sqldb.Texts(ctx, w.Books.Live(), `SELECT no || ' ' || what || ' ' || by_who FROM staff_changes ORDER BY id`)
		if got := strings.Join(changes, "; "); err != nil || got != "c7 added as cashier test; s1 added as supervisor test; "+
			"c7 role supervisor boss; c7 revoked boss; s1 another card boss" {
			t.Errorf("changes are %q, %v", got, err)
		}
	})
}

// TestMalformed: what nobody can be called, or be.
func TestMalformed(t *testing.T) {
	w := stafftest.New(t, filepath.Join(t.TempDir(), "books.db"))
	for name, spoil := range map[string]func(*staff.Member){
		"NoNumber": func(m *staff.Member) { m.No = "" }, "Space": func(m *staff.Member) { m.No = "c 7" },
		"Long": func(m *staff.Member) { m.No = strings.Repeat("7", 17) }, "NoName": func(m *staff.Member) { m.Name = "" },
		"NoRole": func(m *staff.Member) { m.Role = 9 }, "NoCard": func(m *staff.Member) { m.Card = "" },
		"LowerCase": func(m *staff.Member) { m.Card = strings.Replace(card1, "1", "a", 1) },
	} {
		m := li
		spoil(&m)
		if err := w.Roll.Add(t.Context(), m, store.PIN{}, "test"); !errors.Is(err, staff.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := staff.ParseRole("king"); !errors.Is(err, staff.ErrMalformed) {
		t.Errorf("ParseRole: %v", err)
	}
}
