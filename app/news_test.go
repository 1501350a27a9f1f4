package app

import (
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/channel"
	"quancun/kiosk/tender"
	"quancun/kiosk/till"
)

// TestNews tells the cashier what became of a payment that was being checked,
// until that was read; and not of what is no cashier's.
func TestNews(t *testing.T) {
	s := newSignedInTill(t)
	begun := time.Now().Add(-3 * time.Minute)
	s.face.ended(journal.Entry{Kind: journal.LoadIntent, Ref: "load", Amount: 1}, true)
	s.face.left(journal.Entry{
		Kind: journal.PaymentIntent, Ref: channel.IntentPrefix + "S1", Amount: 2680, At: begun,
	}, nil)
	v := s.sees(till.Ready)
	if len(v.News) != 1 {
		t.Fatalf("the cashier is told %+v", v.News)
	}
	n := v.News[0]
	if n.Ref != "S1" || n.Amount != 2680 || n.With != till.ByAlipay || n.Refund || !n.Done || !n.At.Equal(begun) {
		t.Errorf("the news is %+v", n)
	}
	s.face.send(till.Input{Event: till.Read})
	if v := s.sees(till.Ready); len(v.News) != 0 {
		t.Errorf("read, and still there: %+v", v.News)
	}
}

// TestNewsGivenBack: a payment that came too late and went back to the payer, whose wallet
// shows both, is not told as one that was never made.
func TestNewsGivenBack(t *testing.T) {
	s := newSignedInTill(t)
	for ref, err := range map[string]error{"S1": tender.ErrReturned, "S2": channel.ErrLate} {
		s.face.left(journal.Entry{Kind: journal.PaymentIntent, Ref: channel.IntentPrefix + ref, Amount: 2680}, err)
		v := s.sees(till.Ready)
		if len(v.News) != 1 || v.News[0].Ref != ref || v.News[0].Done || v.News[0].Returned != (ref == "S1") {
			t.Fatalf("of %s the cashier is told %+v", ref, v.News)
		}
		s.face.send(till.Input{Event: till.Read})
		s.sees(till.Ready)
	}
}
