package till

import (
	"context"
	"errors"
	"fmt"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/money"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// begin takes the card up, unless it is still held since the PIN was asked, and
// makes sure that the sale is about it.
func (d *Desk) begin(ctx context.Context) error {
	if d.card == nil {
		d.info = purse.Info{} // whoever was here before
		info, err := d.takeUp()
		if err != nil {
			return err
		}
		d.info = info
	}
	if err := d.usable(d.info); err != nil {
		return err
	}
	if d.sale.card != d.info.CardNo {
		d.Cards.Drop(ctx) // whatever is held for the card before
		d.sale = sale{card: d.info.CardNo}
	}
	if d.sale.ref == "" {
		d.sale.ref = kiosk.NewRef()
	}
	return nil
}

// sell debits the card on the reader.
func (d *Desk) sell(ctx context.Context, v View) outcome {
	if err := d.begin(ctx); err != nil {
		return d.notSold(ctx, kiosk.Sold{}, err, v)
	}
	now := Result{Ref: d.sale.ref, Amount: v.Amount, At: d.now(), With: ByCard}
	if before, is := d.recent.repeats(d.info.CardNo, now); is && !d.sale.confirmed {
		d.letGo()
		holder := kiosk.HolderOf(d.info)
		return outcome{Repeated, func(v *View) { v.Holder, v.Sale = holder, before }}
	}
	settled := d.sale.settled
	d.sale.settled = false
	sold, err := d.Cards.Sell(ctx, d.card, kiosk.Sale{
		Ref: d.sale.ref, Card: d.info, Merchant: d.Plan.Merchant, Operator: v.Operator.No,
		Amount: v.Amount, Items: v.Items, PIN: d.sale.pinned, Alone: !v.Health.Upstream, Settled: settled,
	})
	if err != nil {
		return d.telling(ctx, d.notSold(ctx, sold, err, v), sold.Before, "")
	}
	now.Ref, now.Number, now.Online = sold.Ref, sold.Entry, sold.Online
	return d.telling(ctx, d.sold(now, sold.Purse), sold.Before, "")
}

// telling adds to an outcome the news of other sales of the card that have ended in the same
// tap: all but about, and the one that is asked about.
func (d *Desk) telling(ctx context.Context, o outcome, ended []kiosk.Settled, about string) outcome {
	if o.event == EarlierWas {
		about = paid(ended).Ref
	}
	var news []News
	for _, s := range ended {
		item, err := d.Book.Get(ctx, s.Ref)
		if n, ok := NewsOf(item.First, s.Ref, s.Outcome == journal.Written); err == nil && ok && s.Ref != about {
			news = append(news, n)
		}
	}
	show := o.patch
	o.patch = func(v *View) {
		if show != nil {
			show(v)
		}
		v.News = added(v.News, news...)
	}
	return o
}

// sold shows a sale to a card that was made.
func (d *Desk) sold(r Result, left money.Fen) outcome {
	d.recent.add(d.info.CardNo, r, r.At.Add(repeatWithin))
	d.info.Balance = left
	holder, notice := kiosk.HolderOf(d.info), NoNotice
	if d.sale.leveled {
		notice = LoadedFirst
	}
	r.Holder = holder.Name
	return outcome{Paid, func(v *View) {
		v.Holder, v.Balance, v.Known, v.Sale, v.Last, v.Notice = holder, left, true, r, r, notice
	}}
}

// notSold tells the ways in which a sale can stop apart.
func (d *Desk) notSold(ctx context.Context, sold kiosk.Sold, err error, v View) outcome {
	d.Log.Warn("sale stopped", "ref", d.sale.ref, "err", err)
	holder := kiosk.HolderOf(d.info)
	open := Result{Ref: sold.Ref, Amount: v.Amount, At: d.now(), With: ByCard}
	switch {
	case errors.Is(err, kiosk.ErrSaleInDoubt):
		d.letGo()
		return outcome{Silent, func(v *View) { v.Holder, v.Sale = holder, open }}
	case errors.Is(err, kiosk.ErrNotGenuine):
		d.letGo()
		return outcome{NotKnown, func(v *View) { v.Holder, v.Sale, v.Fault = holder, open, kiosk.CodeSaleForged }}
	case errors.Is(err, kiosk.ErrPaidBefore):
		return d.paidBefore(ctx, paid(sold.Before))
	case errors.Is(err, rules.ErrPIN):
		return outcome{NeedPIN, func(v *View) { v.Holder = holder }}
	case errors.Is(err, kiosk.ErrCardGone):
		d.letGo()
		return outcome{CardGone, func(v *View) { v.Notice = CardLeft }}
	}
	balance, known := d.info.Balance, d.info.CardNo != (purse.CardNo{}) && d.sale.card == d.info.CardNo
	short := errors.Is(err, rules.ErrPurse) && v.Health.Upstream && !d.sale.leveled
	failed := d.fail("sell", err)
	return outcome{failed.event, func(v *View) {
		failed.patch(v)
		v.Holder, v.Balance, v.Known, v.Short = holder, balance, known, short
	}}
}

// paid returns the last sale that has just turned out to be paid, or the zero Settled.
func paid(ended []kiosk.Settled) (last kiosk.Settled) {
	for _, s := range ended {
		if s.Paid() {
			last = s
		}
	}
	return last
}

// paidBefore asks whether the sale that has just turned out to be paid is the
// one that is being made.
func (d *Desk) paidBefore(ctx context.Context, last kiosk.Settled) outcome {
	r := Result{Ref: last.Ref, Amount: last.Amount, Number: last.Entry, With: ByCard}
	if item, err := d.Book.Get(ctx, last.Ref); err == nil {
		r.At, r.Online = item.First.At.In(beijing.Zone), tender.DetailsOf(item.First.Details).Approved
	}
	holder, balance := kiosk.HolderOf(d.info), d.info.Balance
	r.Holder = holder.Name
	d.letGo()
	return outcome{EarlierWas, func(v *View) { v.Holder, v.Balance, v.Known, v.Sale = holder, balance, true, r }}
}

// settle asks the card that came back what became of the sale.
func (d *Desk) settle(ctx context.Context, v View) outcome {
	before := d.info
	info, err := d.takeUp()
	if err != nil {
		d.Log.Warn("card in doubt is not readable", "err", err)
		d.letGo()
		return outcome{CardGone, func(v *View) { v.Notice = CardUnreadable }}
	}
	if !before.Same(info) {
		d.letGo()
		return outcome{OtherCard, func(v *View) { v.Notice = OtherCardThere }}
	}
	d.info = info
	ended, err := d.Cards.SettleOpen(ctx, d.card, info)
	switch {
	case errors.Is(err, kiosk.ErrNotGenuine):
		d.letGo()
		return outcome{NotKnown, func(v *View) { v.Fault = kiosk.CodeSaleForged }}
	case errors.Is(err, kiosk.ErrInDoubt), errors.Is(err, kiosk.ErrCardGone):
		d.letGo()
		return outcome{Silent, func(v *View) { v.Notice = CardLeft }}
	case err != nil && kiosk.Explain(err) == kiosk.CodeJournal:
		return outcome{NotKnown, nil}
	}
	return d.telling(ctx, d.became(ctx, v.Sale), ended, v.Sale.Ref)
}

// became says what the journal knows of a sale that was in doubt. Whoever has
// settled it, this card or another terminal, it is there.
func (d *Desk) became(ctx context.Context, r Result) outcome {
	item, err := d.Book.Get(ctx, r.Ref)
	switch {
	case err != nil, item.Open():
		d.Log.Warn("doubt stays", "ref", r.Ref, "err", err)
		d.letGo()
		return outcome{NotKnown, nil}
	case item.End.Outcome.Happened():
		r.Number, r.At, r.Online = item.End.Seq, d.now(), tender.DetailsOf(item.First.Details).Approved
		return d.sold(r, d.info.Balance)
	}
	d.sale.ref, d.sale.settled = "", true // that name is used up
	return outcome{NotPaid, func(v *View) { v.Notice = EarlierSettled }}
}

// elsewhere says what the journal knows of a sale whose card is not here.
func (d *Desk) elsewhere(ctx context.Context, r Result) outcome {
	item, err := d.Book.Get(ctx, r.Ref)
	switch {
	case err != nil, item.Open():
		d.Log.Warn("doubt stays", "ref", r.Ref, "err", err)
		return outcome{NotKnown, nil}
	case !item.End.Outcome.Happened():
		return d.fail("settle", fmt.Errorf("%w: it was not debited", kiosk.ErrCardGone))
	}
	r.Number, r.At, r.Online = item.End.Seq, d.now(), tender.DetailsOf(item.First.Details).Approved
	if no, err := purse.ParseCardNo(item.First.Card); err == nil {
		d.recent.add(no, r, r.At.Add(repeatWithin)) // that sale is of a moment ago, too
	}
	return outcome{Paid, func(v *View) { v.Sale, v.Last = r, r }}
}

// checkPIN has the holder's PIN checked: upstream, where five tries are counted,
// or by the card, while nobody else can be asked.
func (d *Desk) checkPIN(ctx context.Context, pin *kiosk.PIN, v View) outcome {
	defer pin.Wipe()
	if d.sale.code != "" {
		return d.checkCodePIN(ctx, pin)
	}
	var account client.Account
	err := d.begin(ctx)
	if err == nil {
		account, err = d.askPIN(ctx, pin, v)
	}
	if left, wrong := pinWrong(err); wrong {
		return outcome{PINWrong, func(v *View) { v.PIN.Wrong, v.PIN.TriesLeft = true, left }}
	}
	switch {
	case errors.Is(err, kiosk.ErrCardGone):
		d.letGo()
		return outcome{CardGone, func(v *View) { v.Notice = CardLeft }}
	case err != nil:
		return d.fail("check PIN", err)
	}
	d.sale.pinned = true
	switch {
	case !v.PIN.Level:
		return outcome{PINRight, nil}
	case d.info.Balance+account.ToLoad < v.Amount:
		return d.fail("level", fmt.Errorf("%w: and the account would not bring it there", rules.ErrPurse))
	}
	return outcome{PINLevel, nil}
}

// askPIN asks the upstream about a PIN, and the card where it has to know it, or
// is the only one who can be asked.
func (d *Desk) askPIN(ctx context.Context, pin *kiosk.PIN, v View) (client.Account, error) {
	if !v.Health.Upstream {
		return client.Account{}, d.showPIN(pin)
	}
	no := d.info.CardNo.Full()
	card, err := d.Gate.LookUpCard(ctx, no)
	var account client.Account
	if err == nil {
		d.sale.session, account, err = d.Gate.SignIn(ctx, no, card.Challenge, pin.Digits())
	}
	refusal := (*client.Refusal)(nil)
	switch {
	case errors.As(err, &refusal):
		return account, err
	case err != nil && v.PIN.Level:
		return account, fmt.Errorf("%w: %w", kiosk.ErrNoAnswer, err)
	case err != nil:
		d.Log.Warn("upstream did not check a PIN", "err", err)
		return account, d.showPIN(pin)
	case v.PIN.Level && d.Profile.PIN.ForLoad:
		return account, d.showPIN(pin)
	}
	return account, nil
}

// showPIN has the card check a PIN. It counts three tries and has no way back.
func (d *Desk) showPIN(pin *kiosk.PIN) error {
	err := purse.VerifyPIN{
		PIN: (*purse.PIN)(pin.Digits()), Encoding: d.Profile.PIN.Encoding, Key: d.Profile.PIN.Key,
	}.Send(d.card)
	left, wrong := purse.PINTries(err)
	switch {
	case wrong && left > 0 && d.sale.session == nil:
		return &client.Refusal{Reason: client.PINWrong, TriesLeft: left}
	case wrong && left > 0:
		return fmt.Errorf("%w: %w", kiosk.ErrCardPIN, err) // the upstream has taken it
	case wrong:
		return fmt.Errorf("%w: %w", kiosk.ErrCardPINLock, err)
	case err != nil && kiosk.Explain(err) == kiosk.CodeInternal:
		return errors.Join(kiosk.ErrCardGone, err)
	}
	return err
}

// level loads the purse from the account, so that it can pay.
func (d *Desk) level(ctx context.Context) outcome {
	if d.card == nil {
		return outcome{CardGone, func(v *View) { v.Notice = CardLeft }}
	}
	loader := &kiosk.Loader{Settler: d.Cards.Settler}
	loader.SAM = nil // a load has nothing to ask of it
	// With its PIN the card tells more than it did when it was laid down. What is wrong
	// with that, Load says.
	ended, _ := loader.SettleOpen(ctx, d.card, d.info)
	if paid(ended).Ref != "" {
		return d.paidBefore(ctx, paid(ended))
	}
	done, err := loader.Load(ctx, d.card, kiosk.LoadRequest{Session: d.sale.session, Card: d.info},
		func(kiosk.LoadStage, money.Fen) {})
	switch {
	case err == nil:
		d.info.Balance, d.sale.leveled = done.Purse, true
		return outcome{Leveled, nil}
	case errors.Is(err, kiosk.ErrInDoubt), errors.Is(err, kiosk.ErrCardGone):
		// The account is the truth: a load that nobody knows of costs nothing, and
		// is settled when the card comes back.
		d.letGo()
		return outcome{CardGone, func(v *View) { v.Notice = CardLeft }}
	case errors.Is(err, kiosk.ErrNeedPIN):
		return outcome{NeedPIN, func(v *View) { v.PIN.Level = true }}
	}
	return d.fail("level", err)
}

// checkCodePIN has the PIN checked of who shows a code. Only the upstream can.
func (d *Desk) checkCodePIN(ctx context.Context, pin *kiosk.PIN) outcome {
	err := d.way.Seller.(PINs).CheckPIN(ctx, d.sale.ref, pin.Digits())
	if left, wrong := pinWrong(err); wrong {
		return outcome{PINWrong, func(v *View) { v.PIN.Wrong, v.PIN.TriesLeft = true, left }}
	}
	refusal := (*client.Refusal)(nil)
	switch {
	case errors.As(err, &refusal):
		return d.fail("check PIN", err)
	case err != nil:
		return d.fail("check PIN", fmt.Errorf("%w: %w", kiosk.ErrNoAnswer, err))
	}
	d.sale.pinned = true
	return outcome{PINCode, nil}
}

// pay sells for a code from the scanner, or for the one before whose PIN was
// right.
func (d *Desk) pay(ctx context.Context, code string, v View) outcome {
	if code == "" {
		return d.payBy(ctx, v)
	}
	d.Cards.Drop(ctx)
	d.leave()
	for i := range d.Ways {
		if d.Ways[i].Takes(code) {
			d.way = &d.Ways[i]
		}
	}
	switch {
	case d.way == nil:
		return d.fail("pay by code", tender.ErrForeign)
	case d.way.Online && !v.Health.Upstream:
		return d.fail("pay by code", tender.ErrOffline)
	}
	d.sale = sale{ref: kiosk.NewRef(), code: code}
	return d.payBy(ctx, v)
}

// payBy sells for the code that the sale is about, and asks for a PIN where it
// takes one.
func (d *Desk) payBy(ctx context.Context, v View) outcome {
	r := Result{Ref: d.sale.ref, Amount: v.Amount, With: d.way.Kind}
	sold, err := d.way.Seller.Sell(ctx, d.sale.code, tender.Sale{
		Ref: r.Ref, Merchant: d.Plan.Merchant, Operator: v.Operator.No, Amount: v.Amount, Items: v.Items,
		PIN: d.sale.pinned, Alone: !v.Health.Upstream,
	})
	if _, can := d.way.Seller.(PINs); can && errors.Is(err, tender.ErrPIN) {
		return outcome{NeedPIN, nil}
	}
	return d.paid(r, sold, err)
}

// query asks what became of a code's payment, or of a sale to a card that has been
// settled elsewhere.
func (d *Desk) query(ctx context.Context, v View) outcome {
	if v.Sale.With == ByCard {
		return d.elsewhere(ctx, v.Sale)
	}
	if d.way != nil {
		if asker, can := d.way.Seller.(Asker); can {
			sold, err := asker.Query(ctx, v.Sale.Ref)
			return d.paid(v.Sale, sold, err)
		}
	}
	return outcome{NotKnown, nil}
}

// refused shows why a code has not paid, and what is kept for the card if that is why.
func (d *Desk) refused(err error) outcome {
	o, kept := d.fail("pay by code", err), (*tender.KeptError)(nil)
	if errors.As(err, &kept) {
		why := o.patch
		o.patch = func(v *View) { why(v); v.Kept = kept.Kept }
	}
	return o
}

// paid shows what came of a sale for a code.
func (d *Desk) paid(r Result, sold tender.Sold, err error) outcome {
	r.At = d.now()
	switch {
	case errors.Is(err, tender.ErrUnknown):
		d.Log.Warn("payment is not known", "ref", r.Ref, "err", err)
		return outcome{NotKnown, func(v *View) { v.Sale, v.Fault = r, kiosk.CodePayDoubt }}
	case err != nil:
		return d.refused(err)
	}
	r.Number, r.Online, r.Holder = sold.Entry, sold.Online, sold.Holder
	if sold.Ref != "" {
		r.Ref = sold.Ref
	}
	return outcome{Paid, func(v *View) {
		v.Holder, v.Balance, v.Known = kiosk.Holder{Name: sold.Holder}, sold.Balance, sold.Known
		v.Sale, v.Last = r, r
	}}
}

// portrait shows who has paid, where the upstream was asked. No sale waits for it: what
// comes next ends it.
func (d *Desk) portrait(ctx context.Context, v View) outcome {
	if d.Photos == nil || v.Step != Sold || !v.Sale.Online || v.Sale.With == ByAlipay || !v.Health.Upstream {
		return outcome{}
	}
	item, err := d.Book.Get(ctx, v.Sale.Ref)
	if err != nil {
		return outcome{} // the Keeper says what that means
	}
	photo, err := d.Photos.Photo(ctx, v.Sale.Ref, item.First.Position())
	if err != nil {
		d.Log.Info("no photo", "ref", v.Sale.Ref, "err", err)
		return outcome{}
	}
	return outcome{patch: func(v *View) { v.Photo = photo }}
}
