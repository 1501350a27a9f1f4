package till

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/file"
	"quancun/money"
)

// News is what has become of a sale or a refund that nobody knew the end of when
// the cashier saw it last.
type News struct {
	Ref    string // of the sale
	Amount money.Fen
	At     time.Time // when it was begun
	With   Kind
	Refund bool
	Done   bool // it was paid, or given back

	Returned bool `json:",omitempty"` // it was paid too late, and went back to the payer
}

// newsMax is how many wait to be read. Who has not read so many asks the journal.
const newsMax = 20

// NewsOf returns the news of an intent that has ended: done says how. ok is false
// for what is no cashier's.
func NewsOf(intent journal.Entry, ref string, done bool) (n News, ok bool) {
	n = News{Ref: ref, Amount: intent.Amount, At: intent.At.In(beijing.Zone), With: ByAlipay, Done: done}
	switch intent.Kind {
	case journal.SaleIntent:
		n.With = ByCard
	case journal.ReturnIntent:
		n.Refund = true
	case journal.PaymentIntent:
	default:
		return News{}, false
	}
	return n, true
}

// hear shows news from now on, until it is read. A page that says of this very sale
// that it is being checked looks what has become of it.
func (s *Session) hear(ctx context.Context, n News) {
	s.view.News = added(s.view.News, n)
	s.told()
	if s.view.Step == Unknown && !n.Refund && n.Ref == s.view.Sale.Ref {
		s.event(ctx, AskAgain, Input{})
		return
	}
	s.show()
}

// added is all with more news. Of too many the oldest go.
func added(all []News, more ...News) []News {
	all = append(slices.Clone(all), more...)
	return all[max(len(all)-newsMax, 0):]
}

// told takes news away of a sale whose end is on the page.
func (s *Session) told() {
	if s.view.Step != Sold && s.view.Step != Declined {
		return
	}
	s.view.News = slices.DeleteFunc(slices.Clone(s.view.News), func(n News) bool {
		return !n.Refund && n.Ref == s.view.Sale.Ref
	})
}

// unread returns the news that nobody had read when the program ended.
func (s *Session) unread() (all []News) {
	if s.Unread == "" {
		return nil
	}
	b, err := os.ReadFile(s.Unread)
	if err == nil {
		b, err = file.Unsealed(b)
	}
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Log.Warn("news not read", "err", err) // it is in the journal
		}
		return nil
	}
	s.kept = all
	return all
}

// show shows the view, and keeps the news in it until it is read.
func (s *Session) show() {
	if s.Unread != "" && !slices.Equal(s.view.News, s.kept) {
		text, err := json.Marshal(s.view.News)
		if err == nil {
			err = file.Replace(s.Unread, file.Sealed(text))
		}
		if err != nil {
			s.Log.Warn("news not kept", "err", err)
		}
		s.kept = s.view.News
	}
	s.view.Pad = s.padView()
	s.Show(s.view)
}
