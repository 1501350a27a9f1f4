package till

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/pin"
	"quancun/kiosk/staff"
	"quancun/money"
	"quancun/reader"
	"quancun/reader/pinpad"
)

// counter is a till with a PIN pad on the customer's side.
type counter struct {
	*window
	pad chan pinpad.Event
	log *bytes.Buffer
}

// newCounter opens a till whose sales above the limit ask for the PIN 271828, and
// whose pad is plugged in.
func newCounter(t *testing.T, panel bool) *counter {
	t.Helper()
	c := &counter{pad: make(chan pinpad.Event), log: &bytes.Buffer{}}
	c.window = newWindowOf(t, nil, Plan{Merchant: "m", Operator: Operator{No: "7"}}, func(s *Session) {
		s.Pad, s.PadOrPanel = c.pad, panel
		s.Log = slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s.Desk.Log = s.Log
		s.Desk.Ways = []Way{{Kind: ByCode, Takes: func(string) bool { return true }, Seller: &pinned{pin: "271828"}}}
	})
	c.plug(pinpad.There)
	return c
}

func (c *counter) plug(k pinpad.Kind) View {
	c.pad <- pinpad.Event{Kind: k}
	return c.look()
}

// press presses keys of the pad: digits, '<' for Backspace, '!' for Enter, '-' for
// cancelling.
func (c *counter) press(keys string) View {
	for _, k := range []byte(keys) {
		e := pinpad.Event{Kind: pinpad.Digit, Digit: k}
		switch k {
		case '<':
			e = pinpad.Event{Kind: pinpad.Back}
		case '!':
			e = pinpad.Event{Kind: pinpad.Enter}
		case '-':
			e = pinpad.Event{Kind: pinpad.Cancel}
		}
		c.pad <- e
	}
	return c.look()
}

// charge has a code pay that needs the PIN, and expects that the pad is asked for it.
func (c *counter) charge() {
	c.t.Helper()
	c.do(Input{Event: Priced, Amount: 60 * money.Yuan})
	v := c.do(Input{Event: Scanned, Code: "code"})
	if v.Step != EnterPIN || v.Pad != (pin.Pad{Set: true, There: true}) {
		c.t.Fatalf("above the limit: step %d, pad %+v", v.Step, v.Pad)
	}
}

// TestPadTakesThePIN: what is typed on the pad before it is asked for is forgotten;
// then it counts digits, corrects, waits for Enter, and the cashier's keys type
// nothing. Neither a view nor the log has a digit.
func TestPadTakesThePIN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, true)
		if v := c.press("999!"); v.Step != Ready || v.Pad != (pin.Pad{}) {
			t.Fatalf("keys that nobody asked for: step %d, pad %+v", v.Step, v.Pad)
		}
		c.charge()
		given := pinOf("271828")
		if v := c.do(Input{Event: Typed, PIN: given}); v.Step != EnterPIN {
			t.Fatalf("the cashier's keyboard has typed the PIN: step %d", v.Step)
		}
		if given.Len() != 0 {
			t.Error("what the cashier typed is not wiped")
		}
		if v := c.press("2717<"); v.Pad.Dots != 3 {
			t.Errorf("after three digits: %+v", v.Pad)
		}
		if v := c.press("82!"); v.Step != EnterPIN || !v.Pad.Few || v.Pad.Dots != 5 {
			t.Errorf("confirmed after five digits: step %d, %+v", v.Step, v.Pad)
		}
		if v := c.press("9"); v.Step != EnterPIN || v.Pad.Few || v.Pad.Dots != 6 {
			t.Errorf("six digits, and no Enter: step %d, %+v", v.Step, v.Pad)
		}
		if v := c.press("!"); v.Step != EnterPIN || !v.PIN.Wrong || v.Pad.Dots != 0 {
			t.Errorf("another PIN: step %d, %+v, %+v", v.Step, v.PIN, v.Pad)
		}
		if c.s.pad.typed != (pin.PIN{}) {
			t.Error("the wrong PIN is kept")
		}
		if v := c.press("271828!"); v.Step != Sold || v.Pad != (pin.Pad{}) {
			t.Fatalf("with the PIN: step %d, %+v", v.Step, v.Pad)
		}
		if c.s.pad.typed != (pin.PIN{}) {
			t.Error("the PIN is kept")
		}
		if said := c.log.String(); strings.Contains(said, "271828") || !strings.Contains(said, "step") {
			t.Errorf("the log has digits, or nothing: %s", said)
		}
	})
}

// TestPadIsUnplugged amid a PIN: what was typed is wiped, the page says so, and the
// panel does instead where it may; plugged in again the pad takes the PIN from its
// first digit on.
func TestPadIsUnplugged(t *testing.T) {
	for _, panel := range []bool{true, false} {
		t.Run(fmt.Sprint("panel=", panel), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter(t, panel)
				c.charge()
				c.press("271")
				if v := c.plug(pinpad.Away); v.Step != EnterPIN || v.Pad != (pin.Pad{Set: true, Panel: panel, Lost: true}) {
					t.Errorf("unplugged: step %d, pad %+v", v.Step, v.Pad)
				}
				if c.s.pad.typed != (pin.PIN{}) {
					t.Error("half a PIN is kept")
				}
				if !panel {
					if v := c.do(Input{Event: Typed, PIN: pinOf("271828")}); v.Step != EnterPIN {
						t.Errorf("the panel has typed the PIN: step %d", v.Step)
					}
				}
				if v := c.plug(pinpad.There); v.Pad != (pin.Pad{Set: true, There: true, Lost: true}) {
					t.Errorf("plugged in again: %+v", v.Pad)
				}
				if v := c.press("2718"); v.Pad.Dots != 4 || v.Pad.Lost {
					t.Errorf("after four digits: %+v", v.Pad)
				}
				if v := c.press("28!"); v.Step != Sold {
					t.Errorf("with the PIN: step %d", v.Step)
				}
			})
		})
	}
}

// TestPadIsAway before it is asked for: the panel does.
func TestPadIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, true)
		c.plug(pinpad.Away)
		c.do(Input{Event: Priced, Amount: 60 * money.Yuan})
		if v := c.do(Input{Event: Scanned, Code: "code"}); v.Pad != (pin.Pad{Set: true, Panel: true}) {
			t.Errorf("without a pad: %+v", v.Pad)
		}
		if v := c.do(Input{Event: Typed, PIN: pinOf("271828")}); v.Step != Sold {
			t.Errorf("typed on the panel: step %d", v.Step)
		}
	})
}

// TestPadCancels: the holder cancels on the pad, and the cashier on the panel.
func TestPadCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, true)
		for name, leave := range map[string]func() View{
			"holder":  func() View { return c.press("-") },
			"cashier": func() View { return c.do(Input{Event: Leave}) },
		} {
			c.charge()
			c.press("27")
			if v := leave(); v.Step != Ready || c.s.pad.typed != (pin.PIN{}) {
				t.Errorf("%s cancels: step %d", name, v.Step)
			}
		}
	})
}

// TestPadAtTheDesk: a new PIN at the card centre's counter is typed on the pad twice,
// and no clerk's keyboard types it; that of a second member of the staff is none of
// the pad's.
func TestPadAtTheDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got, second string
		read := func(p *pin.PIN) string { defer p.Wipe(); return string(p.Digits()[:]) }
		c := &counter{pad: make(chan pinpad.Event)}
		c.window = newWindowOf(t, nil, Plan{Merchant: "m", Operator: Operator{No: "7"}}, func(s *Session) {
			s.Pad = c.pad
			task := office.Task{Name: "test.pin", Group: office.Sales, Needs: staff.Query,
				Run: func(ctx context.Context, talk *office.Talk) (r dialog.Report, err error) {
					p, err := talk.NewPIN(ctx, "test.pin", "test.again")
					if err != nil {
						return r, err
					}
					got = read(p)
					a, err := talk.Talk.Ask(ctx, dialog.Question{Kind: dialog.AskStaffPIN, Name: "test.staff"})
					if err == nil {
						second = read(a.PIN)
					}
					return r, err
				}}
			s.Desk.Office = office.New(&office.Desk{Tasks: []office.Task{task}, Now: s.Desk.now, Log: s.Log}, nil)
		})
		c.plug(pinpad.There)
		c.do(Input{Event: OpenOffice})
		v := c.do(Input{Office: dialog.Input{No: c.view.Office.No, Event: dialog.Picked}})
		if v.Office.Question.Kind != dialog.AskPIN || !v.Pad.There || v.Pad.Dots != 0 {
			t.Fatalf("the task was picked: %+v", v)
		}
		c.press("999")
		c.do(Input{Event: Leave})
		if v := c.do(Input{Office: dialog.Input{No: c.view.Office.No, Event: dialog.Picked}}); v.Pad.Dots != 0 {
			t.Errorf("what was typed for another page is kept: %+v", v.Pad)
		}
		c.answerPIN("111111")
		if v := c.press("27182"); v.Office.Question.Name != "test.pin" || v.Pad.Dots != 5 {
			t.Errorf("after five digits: %+v, pad %+v", v.Office.Question, v.Pad)
		}
		if v := c.press("8!"); v.Office.Question.Name != "test.again" || v.Pad.Dots != 0 {
			t.Errorf("after the first time: %+v, pad %+v", v.Office.Question, v.Pad)
		}
		if v := c.press("271828!"); v.Office.Question.Kind != dialog.AskStaffPIN || v.Pad.Set || got != "271828" {
			t.Fatalf("after the second time: %+v, pad %+v", v.Office.Question, v.Pad)
		}
		if v := c.press("333333!"); v.Office.Question.Kind != dialog.AskStaffPIN {
			t.Errorf("the pad has typed a PIN of the staff")
		}
		if c.answerPIN("161803"); second != "161803" {
			t.Errorf("the staff's PIN was not taken from the panel")
		}
	})
}

// answerPIN answers the office's question by the panel's keys.
func (w *window) answerPIN(digits string) {
	w.do(Input{Office: dialog.Input{
		No: w.view.Office.No, Event: dialog.Answered, Answer: dialog.Answer{PIN: pinOf(digits)},
	}})
}

// TestPadLeavesTheStaffAlone: who signs in types on the panel, whatever is plugged in.
func TestPadLeavesTheStaffAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pad := make(chan pinpad.Event)
		w := newWindowOf(t, &crew{role: staff.Cashier}, Plan{Merchant: "m"}, func(s *Session) { s.Pad = pad })
		pad <- pinpad.Event{Kind: pinpad.There}
		w.cards <- reader.State{Connected: true, Card: true, Insertions: 1}
		if v := w.look(); v.Step != StaffPIN || v.Pad.Set {
			t.Fatalf("a staff card: step %d, pad %+v", v.Step, v.Pad)
		}
		if w.do(Input{Event: Typed, PIN: pinOf("111111")}); w.view.Step != Ready {
			t.Errorf("signed in on the panel: step %d", w.view.Step)
		}
	})
}
