package till

import (
	"context"
	"slices"
	"time"

	"quancun/kiosk/barcode"
	"quancun/kiosk/keysheet"
	"quancun/kiosk/tender"
	"quancun/money"
)

// scanned takes what the scanner has read: a key of the sheet, a product, or who pays.
// What has the form of one is never taken for another.
func (s *Session) scanned(ctx context.Context, in Input) {
	product, known := s.Desk.Plan.find(in.Code)
	switch {
	case in.Code == "":
		s.say(HalfRead)
	case keysheet.Is(in.Code):
		s.pressSheet(ctx, in.Code)
	case known:
		s.add(ctx, product)
	case barcode.Like(in.Code):
		s.say(NoProduct)
	default:
		s.scannedPayer(ctx, in)
	}
}

// scannedPayer takes a code that pays. On the page of a sale that was made it
// is the next in the queue, who pays what everybody does, unless it is of who has just
// paid and is still there; and where a price has to be keyed first, nobody
// is charged what the customer before has paid.
func (s *Session) scannedPayer(ctx context.Context, in Input) {
	if s.view.Step == Sold {
		next := s.meal().Input()
		if next.Amount == 0 || s.hasPaid(in.Code) {
			s.answer()
			return
		}
		s.view.Amount, s.view.Items = next.Amount, next.Items
	}
	if s.allowed(in) && s.event(ctx, Scanned, in) {
		s.code = in.Code
		return
	}
	s.answer()
}

// hasPaid reports whether a code is of who has paid the sale on the page: the same, or what
// the same phone shows by now.
func (s *Session) hasPaid(code string) bool {
	return code == s.code || s.view.Sale.With == ByCode && slices.ContainsFunc(s.Desk.Ways, func(w Way) bool {
		return w.Kind == ByCode && w.Same != nil && w.Same(code, s.code)
	})
}

// add prices a product that was scanned: on the page of a price it is one more of the
// same sale, and elsewhere a sale begins with it.
func (s *Session) add(ctx context.Context, p Product) {
	in := p.Input()
	if s.view.Step == Present {
		in.Amount += s.view.Amount
		in.Items = withItem(s.view.Items, p)
	}
	switch {
	case !s.accepts(Priced):
		s.answer()
	case in.Amount > saleMax:
		s.say(TooMuch)
	default:
		s.event(ctx, Priced, in)
	}
}

func (s *Session) accepts(e Event) bool {
	_, ok := s.view.Step.Next(e)
	return ok
}

// withItem is what is sold with one more product. The newest is the last.
func withItem(before []tender.Item, p Product) []tender.Item {
	last := tender.Item{Name: p.Name, Count: 1, Price: p.Price}
	var all []tender.Item
	for _, x := range before {
		if x.Name == p.Name && x.Price == money.Fen(x.Count)*p.Price {
			last.Count, last.Price = x.Count+1, x.Price+p.Price
			continue
		}
		all = append(all, x)
	}
	return append(all, last)
}

// stroke is a key of the sheet that was pressed.
type stroke struct {
	key keysheet.Key
	at  time.Time // by the monotonic clock
}

// strokeMax is for how long the same key is taken once: a scanner that rests on the
// sheet reads it again and again, and the second "yes" would answer a question that
// nobody has read.
const strokeMax = 1500 * time.Millisecond

// pressSheet presses a key of the sheet, if the page has it.
func (s *Session) pressSheet(ctx context.Context, text string) {
	k, why := s.key(text)
	if why != NoNotice {
		s.say(why)
		return
	}
	before, now := s.pressed, time.Now()
	s.pressed = stroke{k, now}
	if k == before.key && now.Sub(before.at) < strokeMax {
		s.answer()
		return
	}
	in, has := s.means(k)
	if !has || !s.press(ctx, in) {
		s.say(NoSuchKey)
	}
}

// key returns the key that a code presses, or why it presses none.
func (s *Session) key(text string) (keysheet.Key, Notice) {
	k, err := s.Sheet.Read(text)
	if err != nil {
		s.Log.Warn("key of the sheet not taken", "err", err) // the code itself is a secret
		return "", NotThisSheet
	}
	return k, NoNotice
}

// means is what a key of the sheet does on the page: what the key of that name there
// does.
func (s *Session) means(k keysheet.Key) (in Input, has bool) {
	switch k {
	case keysheet.Yes:
		return s.meansYes()
	case keysheet.No:
		return Input{Event: Leave}, true
	case keysheet.Next:
		switch s.view.Step {
		case Glance, Sold, Declined, Unknown:
			return Input{Event: Leave}, true
		}
	case keysheet.Other:
		return Input{Event: Confirmed}, s.view.Step == PaidBefore
	case keysheet.Lock:
		return Input{Event: Lock}, true
	}
	return Input{}, false
}

// meansYes is what the page's first key does, as Enter does.
func (s *Session) meansYes() (in Input, has bool) {
	switch s.view.Step {
	case Ready:
		if meal := s.Desk.Plan.Now(s.Desk.now()); len(s.view.News) == 0 {
			return meal.Input(), meal.Price > 0
		}
		return Input{Event: Read}, true
	case Present:
		return Input{Event: Read}, true
	case Ask:
		return Input{Event: Confirmed}, true
	case PaidBefore:
		return Input{Event: WasThis}, true
	case Declined:
		return Input{Event: LoadFirst}, true
	case Unknown:
		return Input{Event: AskAgain}, true
	}
	return Input{}, false
}

// say answers a code by one line, and changes nothing.
func (s *Session) say(n Notice) {
	s.view.Taps++
	s.view.Notice = n
	s.show()
}
