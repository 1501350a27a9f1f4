package office_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/staff"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// campus is an upstream with one member of the staff.
type campus struct{ member *client.Staff } // nil: revoked

func (c *campus) SignInStaff(context.Context, string, *[kiosk.PINLength]byte) (client.Staff, error) {
	return *c.member, nil
}

func (c *campus) CheckStaff(context.Context, []string) (all []client.Staff, err error) {
	if c.member != nil {
		all = append(all, *c.member)
	}
	return all, nil
}

func (c *campus) EndStaffSession(string) {}

type book struct{}

func (book) Append(_ context.Context, e journal.Entry) (journal.Entry, error) { return e, nil }

// signIn returns a desk at which the member of c is signed in.
func signIn(t *testing.T, c *campus) *staff.Desk {
	t.Helper()
	keep, err := staff.OpenKeep(filepath.Join(t.TempDir(), "keep"), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	d := staff.NewDesk(staff.Config{
		Upstream: c, Book: book{}, Keep: keep, Offline: time.Hour, Patience: time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	var pin kiosk.PIN
	for range kiosk.PINLength {
		pin.Add('1')
	}
	if _, err := d.SignIn(t.Context(), purse.Info{}, &pin); err != nil {
		t.Fatal(err)
	}
	return d
}

// ended returns how Serve has ended, or an error if it has not.
func (c *counter) ended() error {
	synctest.Wait()
	select {
	case err := <-c.left:
		return err
	default:
		return errors.New("the office is open")
	}
}

// TestLock: who locks the till leaves everything that may be left, and nothing
// else; and a menu that nobody stands at is locked by itself.
func TestLock(t *testing.T) {
	lock := dialog.Input{Event: dialog.LockUp}
	for name, tt := range map[string]struct {
		act  func(c *counter)
		want error
		done int64
	}{
		"menu":     {func(c *counter) { c.do(lock) }, office.ErrLock, 0},
		"nobody":   {func(*counter) { time.Sleep(6 * time.Minute) }, office.ErrLock, 0},
		"left":     {func(c *counter) { c.do(dialog.Input{Event: dialog.Left}) }, nil, 0},
		"question": {func(c *counter) { c.do(dialog.Input{Event: dialog.Picked}); c.do(lock) }, office.ErrLock, 0},
		"working": {func(c *counter) {
			c.do(dialog.Input{Event: dialog.Picked})
			c.do(answer(dialog.Answer{Amount: 50}))
			c.do(answer(dialog.Answer{}))
			c.do(lock) // which has to wait
			if err := c.ended(); errors.Is(err, office.ErrLock) {
				c.t.Error("locked what is being done")
			}
			time.Sleep(61 * time.Second)
			c.do(lock)
		}, office.ErrLock, 50},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var done atomic.Int64
				desk := signIn(t, &campus{&client.Staff{No: cashier.No, Role: client.StaffRole(staff.Cashier)}})
				c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, nil)}, Staff: desk})
				tt.act(c)
				if err := c.ended(); !errors.Is(err, tt.want) || done.Load() != tt.done {
					t.Errorf("ended with %v, done %d; want %v, %d", err, done.Load(), tt.want, tt.done)
				}
			})
		})
	}
}

// TestRevoked: who was revoked begins nothing any more, and what is under way
// comes to its end; who has another role now may do what that role may.
func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		up := &campus{&client.Staff{No: cashier.No, Role: client.StaffRole(staff.Cashier)}}
		desk := signIn(t, up)
		noSale := office.Task{Name: "test.nosale", Needs: staff.NoSale, Run: drop(&done, nil).Run}
		c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, nil), noSale}, Staff: desk})
		if v := c.page(); len(v.Entries) != 2 || v.Entries[0].Release || !v.Entries[1].Release {
			t.Fatalf("a cashier's menu: %+v", v.Entries)
		}
		up.member.Role = client.StaffRole(staff.Supervisor)
		refresh(t, desk)
		c.do(dialog.Input{Event: dialog.Picked})
		if v := c.do(dialog.Input{Event: dialog.Left}); len(v.Entries) != 2 || v.Entries[1].Release {
			t.Fatalf("a supervisor's menu: %+v", v.Entries)
		}
		c.do(dialog.Input{Event: dialog.Picked})
		up.member = nil
		refresh(t, desk)
		c.do(answer(dialog.Answer{Amount: 50}))
		c.do(answer(dialog.Answer{}))
		time.Sleep(61 * time.Second)
		if v := c.page(); v.Outcome != dialog.Done || done.Load() != 50 {
			t.Fatalf("what was under way: %+v, done %d", v, done.Load())
		}
		c.do(dialog.Input{Event: dialog.Left})
		if err := c.ended(); !errors.Is(err, office.ErrLock) {
			t.Errorf("revoked, and the office ended with %v", err)
		}
	})
}

func refresh(t *testing.T, d *staff.Desk) {
	t.Helper()
	if err := d.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPageOver: what was meant for a page that is over says nothing on the next
// one; the second half of a double tap is not the last word.
func TestPageOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done atomic.Int64
		c := open(t, &office.Desk{Tasks: []office.Task{drop(&done, nil)}})
		v := c.do(dialog.Input{Event: dialog.Picked})
		tap := answer(dialog.Answer{Amount: money.Yuan})
		tap.No = v.No
		c.session.Send(tap)
		if v := c.do(tap); v.Question.Kind != dialog.AskConfirm {
			t.Fatalf("after a double tap: %+v", v)
		}
		leave := dialog.Input{No: v.No, Event: dialog.Left}
		if v := c.do(leave); v.Page != 0 {
			t.Errorf("a page that is over was left: %+v", v)
		}
		if done.Load() != 0 {
			t.Error("it was done")
		}
	})
}
