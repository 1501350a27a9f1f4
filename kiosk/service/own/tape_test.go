package own_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service"
	"quancun/kiosk/service/own"
	"quancun/kiosk/service/tape"
	"quancun/kiosk/service/tape/tapetest"
	"quancun/pboc"
	"quancun/upstream/centre"
	"quancun/upstream/client"
	"quancun/upstream/client/holder"
)

// TestTape records what a holder sees of what is theirs.
func TestTape(t *testing.T) {
	w := newWorldAt(t, tape.Now)
	r := tapetest.New(t, "own")
	r.Scrambled = true
	w.exec(`UPDATE cards SET mirror_fen = 2000`) // level
	f := film{w, r}
	f.visit("nothing", own.Money)
	f.records()
	f.about()
	for i := range 7 {
		f.visit([]string{"order", "topup", "phone", "bath", "bills", "lost", "new"}[i], own.Help, i)
	}
	f.money()
	f.w.desk.Upstream = holder.New(w.client)
	f.visit("spent", own.Money, 0)
	f.dark()
	f.kinds()
	f.bound()
}

// film is a recorder in a world.
type film struct {
	w *world
	r *tapetest.Recorder
}

// visit records a visit that chooses what answers says, and then leaves.
func (f film) visit(name string, of dialog.Word, answers ...int) {
	f.w.t.Helper()
	s, a := f.w.session()
	if of == own.Money && len(answers) > 0 {
		a.Open = append(a.Open, client.OpenItem{Kind: client.OpenNotLevel, Amount: 7 * yuan, Since: tape.Now})
	}
	purse := a.Purse
	if name == "spent" {
		purse -= 4 * yuan // where nobody has heard of it yet
	}
	h := service.Holder{Session: s, CardNo: cardNo, Account: a, Purse: purse}
	if f.w.chip != nil {
		f.w.chip(&h)
	}
	all := f.w.desk.Services()
	f.r.Record(tapetest.Visit{
		Name: name, Service: all[slices.IndexFunc(all, func(s service.Service) bool { return s.Name == of })],
		Holder: h,
		Answer: func(dialog.Question) dialog.Answer {
			if len(answers) == 0 {
				return dialog.Answer{Left: true}
			}
			a := dialog.Answer{Choice: answers[0]}
			answers = answers[1:]
			return a
		},
	})
}

func (f film) records() {
	f.visit("no-record", own.Records, 3, 3)
	for i := range 8 {
		f.w.buy(yuan * 3 / 2)
		if i == 2 {
			f.w.clock = f.w.clock.Add(time.Minute)
		}
	}
	f.w.clock = tape.Now
	f.visit("record", own.Records, 0, 2, 0)
	f.visit("older", own.Records, 1, 0, 6)
}

func (f film) about() {
	f.visit("limits", own.About, 0)
	f.visit("phone", own.About, 1, 0)
	f.w.exec(`INSERT INTO centre_acts (ref, place, clerk, kind, account, card_no, document, before, after, at_ms)
		VALUES ('C1', 'console', '60203', ?, ?, ?, 1, '', '', ?)`, int64(centre.Issued), account, cardNo,
		f.w.clock.UnixMilli())
	f.visit("differs", own.Check, 1)
	f.visit("agrees", own.Check, 0)
	f.visit("again", own.About, 2, 0)
	f.w.desk.Upstream = dark{holder.New(f.w.client)}
	f.visit("no-phones", own.About, 1)
	f.visit("dark", own.Money)
	f.w.desk.Upstream = holder.New(f.w.client)
}

// dark is an upstream of a school without virtual cards that has gone away.
type dark struct{ *holder.Desk }

func (dark) Limits(context.Context, client.Session) (holder.Limits, error) {
	return holder.Limits{}, nil
}

func (dark) Open(context.Context, client.Session, holder.Card) (holder.Standing, error) {
	return holder.Standing{}, context.DeadlineExceeded
}

// owing is an upstream at which a holder has money on its way of every sort.
type owing struct{ *holder.Desk }

func (owing) Open(context.Context, client.Session, holder.Card) (holder.Standing, error) {
	s := holder.Standing{Balance: 123_50, Held: 38_00}
	for sort := holder.TopUpWaiting; sort <= holder.Inquiry; sort++ {
		o := holder.Open{
			Sort: sort, Amount: 12_00, Since: tape.Now.Add(-2 * time.Hour), Ref: "20261123140405000417000138",
		}
		switch sort {
		case holder.TopUpWaiting, holder.TopUpChecking:
			o.Place, o.Due = "T-0417", tape.Now.Add(30*time.Minute)
			o.Where = client.Place{ZH: "龙山校区一食堂门厅", EN: "Longshan canteen 1, entrance hall"}
		case holder.BillHeld:
			o.Place, o.Due = "网费 2026****01", tape.Now.Add(30*time.Minute)
		case holder.LoadDoubt, holder.PurchaseDoubt:
			o.Place, o.CardEnd = "canteen2", "5608"
			o.Where = client.Place{ZH: "二食堂 3 号窗口", EN: "Canteen 2, counter 3"}
		case holder.Sale:
			o.Where = client.Place{ZH: "二食堂 3 号窗口"}
			o.Place, o.Heard = "canteen2", tape.Now.Add(-time.Hour)
		case holder.BillChecking:
			o.Place, o.Due = "电费 东区 3 号楼 101", tape.Now.Add(-time.Minute)
		case holder.BathReserved, holder.BathUnsettled:
			o.Place, o.Due = "龙山浴室", tape.Now.Add(24*time.Hour)
		case holder.Inquiry:
			o.People = true
		}
		s.Open = append(s.Open, o)
	}
	s.Open = append(s.Open, holder.Open{Sort: 77, Amount: 5_00, Ref: "20261123140405000417000138"}) // of a newer one
	return s, nil
}

func (f film) money() {
	f.w.desk.Upstream = owing{holder.New(f.w.client)}
	for i, name := range []string{
		"topup-waiting", "topup-checking", "topup-late", "topup-returned", "load-doubt", "purchase-doubt", "sale",
		"bill-held", "bill-checking", "bath-reserved", "bath-unsettled", "owed", "inquiry", "newer", "not-level",
	} {
		f.visit(name, own.Money, i)
	}
}

// dark records what nobody upstream has heard of: here it is written down, or only on
// the card itself, or not even there any more.
func (f film) dark() {
	w := f.w
	lunch := service.Purchase{
		TerminalNo: pboc.TerminalNo{0, 0, 0, 2, 4, 0x16}, Stamp: pboc.Stamp{0x20, 0x26, 0x11, 0x23, 0x12, 0x01, 0x02},
		At: tape.Now.Add(-2 * time.Hour), Amount: 12_50,
	}
	w.chip = func(h *service.Holder) { h.Purse, h.Bought = 2_50, []service.Purchase{lunch} }
	w.desk.Unsent = func(context.Context) ([]journal.Entry, error) {
		e := journal.Entry{
			Kind: journal.CodeSale, Ref: "5c3b90d1a4e7f26884b0c1d2", Account: account.No(), Merchant: "shop", Amount: 3_20,
			At: tape.Now.Add(-time.Hour),
		}
		return []journal.Entry{e.Post(false, 0)}, nil
	}
	for i, name := range []string{"not-sent", "in-dark", "long-ago"} {
		f.visit(name, own.Money, i)
	}
	w.chip, w.desk.Unsent = nil, nil
}

// moved is an upstream at which an account has moved in every way.
type moved struct{ *holder.Desk }

func (moved) all() (all []holder.Record) {
	r := holder.Record{ID: "7", Title: "电费 东区 3 号楼 412 照明", RecordNo: "8812345"}
	for i, k := range []client.MovementKind{
		client.MovementBill, client.MovementTopUp, client.MovementLoad, client.MovementRefund, client.MovementOpening,
		client.MovementDoubt, client.MovementSettlement, client.MovementCashTopUp, client.MovementPayOut,
		client.MovementFee, client.MovementCorrection, client.MovementBath, 99,
	} {
		r.Movement = client.Movement{
			At: tape.Now.Add(-time.Duration(i) * 9 * time.Hour), Kind: k, Amount: -20_00, Balance: 85_50,
			Place: "T-0417", Ref: "20261123140405000417000138",
		}
		all = append(all, r)
	}
	return all
}

func (m moved) Records(_ context.Context, _ client.Session, f holder.Filter) ([]holder.Record, int, error) {
	pages := slices.Collect(slices.Chunk(m.all(), f.Size))
	return pages[f.Page], len(pages), nil
}

func (m moved) Receipt(ctx context.Context, s client.Session, _ string) (holder.Record, string, error) {
	real, _, err := m.Desk.Records(ctx, s, holder.Filter{Size: 1})
	if err != nil {
		return holder.Record{}, "", err
	}
	_, code, err := m.Desk.Receipt(ctx, s, real[0].ID)
	return m.all()[0], code, err
}

func (f film) kinds() {
	f.w.desk.Upstream = moved{holder.New(f.w.client)}
	f.visit("bill", own.Records, 0, 3, 0)
	f.visit("kinds", own.Records, 0, 3, 6, 6)
}

// phoned is an upstream of a holder who has a phone, own limits and a PIN of their own,
// and may have no other phone.
type phoned struct{ *holder.Desk }

func (p phoned) Limits(ctx context.Context, s client.Session) (holder.Limits, error) {
	l, err := p.Desk.Limits(ctx, s)
	l.Own, l.Daily, l.Spent = true, 80*yuan, 12*yuan
	l.Phone, l.PhoneSince, l.Until = "Pixel 9", tape.Now.Add(-90*24*time.Hour), tape.Now.Add(200*24*time.Hour)
	return l, err
}

func (phoned) Invite(context.Context, client.Session) (holder.Invitation, error) {
	return holder.Invitation{}, &client.Refusal{Reason: client.AccountUnknown}
}

func (p phoned) CardCheck(ctx context.Context, s client.Session) (holder.CardCheck, error) {
	c, err := p.Desk.CardCheck(ctx, s)
	c.InitialPIN = false
	return c, err
}

func (f film) bound() {
	f.w.desk.Upstream = phoned{holder.New(f.w.client)}
	f.visit("limits-own", own.About, 0)
	f.visit("no-phone", own.About, 1, 0)
	f.visit("checked", own.About, 2, 0)
}
