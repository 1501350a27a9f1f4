package speech

import (
	"math"
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/ui/text"
)

// Page is what is said of the kiosk's page of v: what it is, what it shows, and what
// each key does.
func Page(v kiosk.View, s Stage) []Utterance {
	t := newTeller(s)
	if v.Warning {
		t.warning(v)
		return t.all
	}
	if v.Notice != kiosk.NoNotice && v.Notice != kiosk.Returned {
		t.key(text.Notice(v.Notice))
	}
	t.content(v)
	t.keys()
	return t.all
}

// warning asks whether the person is still there.
func (s *teller) warning(v kiosk.View) {
	s.key("warning.title")
	s.key("warning.body", "seconds", secondsLeft(v.Ends, s.Now))
	s.key("speech.more")
	if s.Leave != "" {
		s.key("speech.leave", "what", s.Leave)
	}
}

// secondsLeft counts down to 0, and says 1 while any of the last second is left.
func secondsLeft(end, now time.Time) int { return max(0, int(math.Ceil(end.Sub(now).Seconds()))) }

// content is what is between a page's header and its keys.
func (s *teller) content(v kiosk.View) {
	switch v.Step {
	case kiosk.Home:
		s.home(v)
	case kiosk.CardOnly:
		s.cardOnly(v)
	case kiosk.EnterPIN, kiosk.ReenterPIN:
		s.pin(v)
	case kiosk.Account:
		s.account(v)
	case kiosk.CardLog:
		s.key("cardlog.title")
		s.cardLog(v)
	case kiosk.Amount:
		s.key("amount.title")
		s.key("amount.balance", "amount", text.Amount(v.Balance.Account))
	case kiosk.OtherSum:
		s.key("othersum.title")
		s.key("othersum.range", "min", text.Amount(v.Range.Min), "max", text.Amount(v.Range.Max))
	case kiosk.Pay:
		s.pay(v)
	case kiosk.Done:
		s.done(v)
	case kiosk.OnAccount:
		s.onAccount(v)
	case kiosk.Serving, kiosk.AtWork, kiosk.Served:
		s.service(v)
	case kiosk.Fault:
		s.fault(v.Fault)
		s.key(text.Where(v.Fault))
		s.reference(v)
	case kiosk.OutOfOrder:
		s.key("outoforder.title")
		s.key("outoforder.body")
		if v.Fault != 0 {
			title, _ := s.t.Fault(v.Fault)
			s.say(title)
		}
		s.reference(v)
	default:
		s.message(v)
	}
}

// messages are the steps that say one thing.
var messages = map[kiosk.Step]string{
	kiosk.Present: "present", kiosk.Reading: "reading", kiosk.SigningIn: "signing", kiosk.Ordering: "ordering",
	kiosk.Cancelling: "cancelling", kiosk.Unpaid: "unpaid", kiosk.Checking: "checking", kiosk.Replace: "replace",
	kiosk.Rereading: "rereading", kiosk.Unlocking: "unlocking", kiosk.Loading: "loading", kiosk.Doubt: "doubt",
	kiosk.Settling: "settling", kiosk.TakeCard: "takecard",
}

func (s *teller) message(v kiosk.View) {
	name, ok := messages[v.Step]
	if !ok {
		panic("speech: internal error: no words for this step")
	}
	if v.Notice == kiosk.Returned {
		name = "unpaid.returned"
	}
	s.key(name + ".title")
	switch v.Step {
	case kiosk.Replace:
		s.withAmount("replace.body", max(v.Load.Amount, v.TopUp.Amount))
	case kiosk.Loading:
		s.withAmount("loading.amount", v.Load.Amount)
	default:
		s.key(name + ".body")
	}
	if v.Step == kiosk.Checking && v.TopUp.OrderNo != "" {
		s.tell(s.t.T("checking.order", "amount", text.Amount(v.TopUp.Amount), "order", tail(v.TopUp.OrderNo)))
	}
}

// home is the page that waits, or what asks how it may help.
func (s *teller) home(v kiosk.View) {
	if s.Choosing {
		s.key("access.title")
		s.key("access.hint")
		return
	}
	s.key("home.title")
	switch h := v.Health; {
	case !h.Reader && !h.Upstream:
		s.key("home.nothing")
	case !h.Reader:
		s.key("home.noreader.all")
	case !h.Upstream:
		s.key("home.offline.all")
	default:
		s.key("home.hint")
	}
}

func (s *teller) holder(v kiosk.View) {
	h := v.Holder
	s.tell(h.Name)
	if h.Number != "" {
		s.tell(s.t.T("holder.number", "number", Digits(h.Number, s.t.Language())))
	}
	if h.Card != "" {
		s.tell(s.t.T("holder.card", "card", Digits(h.Card, s.t.Language())))
	}
}

// pin asks for the PIN, whose digits nobody says.
func (s *teller) pin(v kiosk.View) {
	title, hint := "pin.title", "pin.hint"
	if v.Step == kiosk.ReenterPIN {
		title, hint = "repin.title", "repin.hint"
	}
	s.key(title)
	switch {
	case v.PIN.Wrong && v.PIN.TriesLeft == 1:
		s.key("pin.wrong.one")
	case v.PIN.Wrong:
		s.key("pin.wrong", "tries", v.PIN.TriesLeft)
	default:
		s.key(hint)
	}
	s.key("speech.pin")
	s.holder(v)
}

func (s *teller) account(v kiosk.View) {
	s.holder(v)
	b, words := v.Balance, "account.balance"
	if b.Account < 0 {
		words = "account.owed"
	}
	s.pair(words, text.Amount(b.Account))
	if b.Available < b.Account {
		s.key("account.available", "amount", text.Amount(b.Available))
	}
	s.pair("account.purse", text.Amount(b.Purse))
	if b.ToLoad > 0 {
		s.pair("account.behind", text.Amount(b.ToLoad))
	}
	for _, o := range v.Open {
		key := text.Open(o.Kind)
		s.key(key+".title", "amount", text.Amount(o.Amount))
		s.tell(s.t.T(key+".body", "since", s.when(o.Since), "place", s.t.Place(o)))
	}
}

// pair is a name and what is its owner's alone.
func (s *teller) pair(name, value string) { s.tell(s.t.T(name) + " " + value) }

func (s *teller) when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return s.t.When(at, s.Now)
}

func (s *teller) cardLog(v kiosk.View) {
	switch {
	case len(v.Log.Movements) > 0:
	case v.Log.Read:
		s.key("cardlog.empty")
	case v.Step == kiosk.CardOnly:
		s.key("cardlog.closed")
	default:
		s.key("cardlog.asking")
	}
	for _, m := range v.Log.Movements {
		s.tell(strings.Join([]string{s.when(m.At), s.t.T(s.t.Moved(m.Kind)), m.Place, text.Change(m.Amount)}, " "))
	}
}

func (s *teller) cardOnly(v kiosk.View) {
	s.pair("cardonly.title", text.Amount(v.Balance.Purse))
	s.key("cardonly.body")
	s.holder(v)
	s.key("cardonly.log")
	s.cardLog(v)
}

// pay says where the code is that a phone has to see.
func (s *teller) pay(v kiosk.View) {
	s.key("pay.title")
	s.tell(text.Amount(v.TopUp.Amount))
	s.where()
	for _, step := range []string{"pay.step.1", "pay.step.2", "pay.step.3"} {
		s.key(step)
	}
	if v.Notice != kiosk.CardLeftPay {
		s.key("pay.card")
	}
	ends := v.TopUp.Expires
	if ends.IsZero() || !v.Ends.IsZero() && v.Ends.Before(ends) {
		ends = v.Ends
	}
	s.key("pay.left", "seconds", secondsLeft(ends, s.Now))
	s.tell(s.t.T("pay.order", "order", tail(v.TopUp.OrderNo)))
}

// where is where a QR code is on the panel.
func (s *teller) where() {
	if s.Portrait {
		s.key("speech.qr.middle")
	} else {
		s.key("speech.qr.left")
	}
}

// tail is the end of an order number, enough to find it in a phone's list.
func tail(orderNo string) string {
	const digits = 6
	return orderNo[max(0, len(orderNo)-digits):]
}

// done is what moved, and what is there now.
func (s *teller) done(v kiosk.View) {
	switch {
	case v.TopUp.Amount > 0:
		s.key("done.title")
		s.pair("done.amount", text.Amount(v.TopUp.Amount))
	case v.Load.Amount > 0:
		s.key("done.title.load")
		s.pair("done.amount.load", text.Amount(v.Load.Amount))
	default:
		s.key("done.title.level")
	}
	s.pair("done.purse", text.Amount(v.Balance.Purse))
	s.pair("done.account", text.Amount(v.Balance.Account))
	if !v.CardAway {
		s.key("done.card")
	}
	s.receipt(v)
}

func (s *teller) receipt(v kiosk.View) {
	if v.Receipt == (kiosk.Receipt{}) {
		return
	}
	s.key("done.receipt")
	if v.Receipt.Number > 0 {
		s.tell(s.t.T("done.number", "number", v.Receipt.Number))
	}
	s.printed(v.Dialog)
}

func (s *teller) onAccount(v kiosk.View) {
	s.key("onaccount.title")
	sum := max(v.Load.Amount, v.TopUp.Amount, v.Balance.ToLoad)
	switch {
	case sum > 0 && v.InDoubt():
		s.key("onaccount.body.doubt", "amount", text.Amount(sum))
	default:
		s.withAmount("onaccount.body", sum)
	}
	if v.Fault == 0 {
		s.key("onaccount.next")
	} else {
		s.fault(v.Fault)
		s.reference(v)
	}
	s.receipt(v)
}

func (s *teller) fault(c kiosk.Code) {
	title, advice := s.t.Fault(c)
	s.say(title)
	s.say(advice)
}

// reference is what a person says on the telephone.
func (s *teller) reference(v kiosk.View) {
	if v.Fault != 0 {
		s.key("fault.code", "code", text.Code(v.Fault))
	}
	if s.Phone != "" {
		s.key("phone", "phone", s.Phone)
	}
}
