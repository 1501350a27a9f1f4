package kiosk

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk/service"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

func (d *Desk) loader() *Loader {
	return &Loader{Settler{
		Book: d.Book, Issuer: d.Upstream, Profile: d.Profile, Terminal: d.Terms.TerminalNo(), Ended: d.Ended,
	}}
}

// settleQuietly ends what an earlier visit had left in doubt, here or at another
// terminal, now that the card is here and its PIN is known, and says so in one
// line.
func (d *Desk) settleQuietly(ctx context.Context) (Notice, error) {
	all, err := d.loader().SettleOpen(ctx, d.card, d.info)
	if err != nil {
		return NoNotice, err
	}
	if err := d.settleElsewhere(ctx); err != nil {
		return NoNotice, err
	}
	ended := lastOf(all, journal.LoadIntent)
	if ended.Outcome == 0 {
		return NoNotice, nil
	}
	if err := d.readAgain(ctx); err != nil {
		return NoNotice, err
	}
	if ended.Outcome == journal.NotWritten {
		return DoubtUndone, nil
	}
	return DoubtSettled, nil
}

// settleElsewhere has the card say what became of what other terminals could not
// finish. What it says goes upstream with the journal.
func (d *Desk) settleElsewhere(ctx context.Context) error {
	claims, err := d.Upstream.Claims(ctx, d.info.CardNo.Full())
	if err != nil {
		d.Log.Info("open claims not heard", "err", err) // another terminal will hear
		return nil
	}
	_, err = d.loader().Witness(ctx, d.card, claims)
	return err
}

// readAgain reads the purse's balance, and the account if upstream answers.
func (d *Desk) readAgain(ctx context.Context) error {
	raw, err := purse.GetBalance{Kind: d.Profile.Purse.Kind}.Send(d.card)
	if err != nil {
		return errors.Join(ErrCardGone, err)
	}
	d.info.Balance, d.info.BalanceRaw = pboc.Fen(raw), raw
	if account, err := d.Upstream.Account(ctx, d.session); err == nil {
		d.account = account
	}
	return nil
}

// reread looks whether the card that came back is the one that was paid for.
func (d *Desk) reread(context.Context, progress) outcome {
	before := d.info
	info, err := d.takeUp()
	if err != nil {
		d.Log.Warn("card that came back is not readable", "err", err)
		return outcome{Failed, func(v *View) { v.Notice = CardUnreadable }}
	}
	if !before.Same(info) {
		d.letGo()
		return outcome{OtherCard, func(v *View) { v.Notice = OtherCardThere }}
	}
	d.info = info
	if !d.Profile.PIN.ForLoad {
		return outcome{SignedIn, nil}
	}
	return outcome{CardRead, nil}
}

// unlock checks the PIN again, of a card that has lost its power.
func (d *Desk) unlock(ctx context.Context, pin *PIN) outcome {
	defer pin.Wipe()
	if o, ok := d.checkPIN(ctx, pin); !ok {
		if doubt := d.inDoubt(ctx); doubt && o.event == Failed {
			show := o.patch
			o.patch = func(v *View) { show(v); v.Fault = unlessDoubt(v.Fault, doubt) }
		}
		return o
	}
	return outcome{SignedIn, d.shown(NoNotice)}
}

// unlessDoubt is the code of what has stopped a load; in doubt an earlier write may have
// been made, which says more than that somebody did not answer.
func unlessDoubt(code Code, doubt bool) Code {
	switch code {
	case CodeOffline, CodeCardRefused, CodeCardSilent, CodeInternal:
		if doubt {
			return CodeLoadDoubt
		}
	}
	return code
}

// load brings the card level. Whatever stops it, the money is on the account.
func (d *Desk) load(ctx context.Context, tell progress) outcome {
	if d.card == nil {
		return outcome{CardGone, nil}
	}
	raw, err := purse.GetBalance{Kind: d.Profile.Purse.Kind}.Send(d.card)
	if err != nil {
		d.Log.Info("card did not answer before a load", "err", err)
		d.letGo()
		return outcome{CardGone, nil}
	}
	d.info.Balance, d.info.BalanceRaw = pboc.Fen(raw), raw
	done, err := d.loader().Load(ctx, d.card, LoadRequest{
		Session: d.session, Card: d.info, OrderNo: d.order.OrderNo,
	}, func(stage LoadStage, amount money.Fen) {
		tell(func(v *View) { v.Load = Load{amount, stage} })
	})
	// Nobody has said what else there is to load; but all that was missing is there.
	level := errors.Is(err, ErrNoAnswer) && done.Amount > 0 && done.Amount >= d.account.ToLoad
	if err != nil && !level {
		return d.notLoaded(ctx, err)
	}
	event := Loaded
	switch {
	case done.Amount == 0:
		event = Level
	case done.Entry == 0:
		d.Log.Error("card written, and the journal has not taken it")
	}
	d.info.Balance = done.Purse
	return outcome{event, d.finished(ctx, done)}
}

// notLoaded tells the ways in which a load can stop apart.
func (d *Desk) notLoaded(ctx context.Context, err error) outcome {
	d.Log.Warn("load stopped", "err", err)
	no, doubt := (*client.Refusal)(nil), d.inDoubt(ctx)
	settled := func(v *View) { v.doubt = v.doubt && doubt }
	switch {
	case errors.Is(err, ErrInDoubt):
		d.letGo()
		return outcome{Silent, nil}
	case errors.Is(err, ErrCardGone):
		d.letGo()
		return outcome{CardGone, settled}
	case errors.Is(err, ErrNeedPIN), errors.As(err, &no) && no.Reason == client.SessionOver:
		return outcome{NeedPIN, settled}
	}
	code := unlessDoubt(Explain(err), doubt)
	switch code {
	case CodeOffline:
		code = CodeLoadNoAnswer
	case CodeCardRefused, CodeInternal:
		code = CodeLoadRefused
	}
	show := d.finished(ctx, LoadResult{Purse: d.info.Balance})
	return outcome{NotLoaded, func(v *View) { show(v); settled(v); v.Fault = code }}
}

// inDoubt reports whether nobody knows of a write to the card whether it was made.
func (d *Desk) inDoubt(ctx context.Context) bool {
	open, err := d.Book.OpenFor(ctx, d.info.CardNo.Full())
	return err == nil && slices.ContainsFunc(open, func(e journal.Entry) bool { return e.Kind == journal.LoadIntent })
}

// settle asks the card that came back what became of the write.
func (d *Desk) settle(ctx context.Context, tell progress) outcome {
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
	all, err := d.loader().SettleOpen(ctx, d.card, info)
	ended := lastOf(all, journal.LoadIntent)
	switch {
	case errors.Is(err, ErrNoAnswer):
		d.Log.Warn("doubt stays", "err", err)
		show := d.finished(ctx, LoadResult{Purse: info.Balance})
		return outcome{NotLoaded, func(v *View) { show(v); v.Fault = CodeLoadDoubt }}
	case err != nil:
		return d.notLoaded(ctx, err)
	case ended.Outcome == journal.Written:
		return outcome{Loaded, d.finished(ctx, LoadResult{ended.Amount, info.Balance, ended.Entry, ended.Ref})}
	case d.Profile.PIN.ForLoad:
		return outcome{NeedPIN, nil}
	}
	// It was not written, or nobody knows yet: the next MAC1 shows upstream the
	// card's counter, and what is then missing is loaded.
	return d.load(ctx, tell)
}

// finished shows where the money is now, and makes the receipt.
func (d *Desk) finished(ctx context.Context, done LoadResult) func(*View) {
	if account, err := d.Upstream.Account(ctx, d.session); err == nil {
		d.account = account
	} else {
		d.account.ToLoad = max(d.account.ToLoad-done.Amount, 0)
	}
	shown, order, receipt := d.shown(NoNotice), d.order, Receipt{}
	if order.OrderNo != "" || done.Amount > 0 {
		receipt = Receipt{OrderNo: order.OrderNo, At: d.Clock.Now().In(beijing.Zone), Number: done.Entry}
	}
	if !order.PaidAt.IsZero() {
		receipt.At = order.PaidAt.In(beijing.Zone)
	}
	if ref := cmp.Or(done.Ref, order.OrderNo); ref != "" {
		receipt.Proof = d.proof(ctx, ref)
	}
	return func(v *View) {
		shown(v)
		v.Load, v.Receipt = Load{done.Amount, LoadFinished}, receipt
	}
}

// proof is the code that proves with no network what came of a reference. A
// receipt without it is still good for its words.
func (d *Desk) proof(ctx context.Context, ref string) string {
	r, err := d.Book.Receipt(ctx, ref, d.Certificate)
	if err != nil {
		d.Log.Warn("receipt has no proof", "ref", ref, "err", err)
		return ""
	}
	return r.Text()
}

// refresh brings the account page up to date, if upstream answers.
func (d *Desk) refresh(ctx context.Context, _ progress) outcome {
	d.order = client.TopUp{} // what comes next is not about it
	account, err := d.Upstream.Account(ctx, d.session)
	if ctx.Err() != nil {
		return outcome{}
	}
	if err != nil {
		d.Log.Info("account page shows what sign-in said", "err", err)
		return outcome{}
	}
	d.account = account
	show := d.shown(NoNotice)
	return outcome{0, func(v *View) {
		notice := v.Notice
		show(v)
		v.Notice = notice
	}}
}

func (d *Desk) cardLog(context.Context, progress) outcome {
	log, err := d.readLog()
	if err != nil {
		return d.fail("read card log", err)
	}
	return outcome{0, func(v *View) { v.Log = log }}
}

// readLog reads the card's own log. The newest record comes first.
func (d *Desk) readLog() (Log, error) {
	if d.card == nil {
		return Log{}, ErrCardGone
	}
	records, err := purse.ReadHistory(d.card, d.Profile)
	if err != nil {
		return Log{}, err
	}
	log := Log{Read: true}
	for _, r := range records {
		m := Movement{At: stampTime(r.At), Kind: MovedOther, Amount: r.Amount, Place: r.Terminal.String()}
		switch r.Type {
		case pboc.TypeLoad:
			m.Kind = MovedLoad
		case pboc.TypePurchase:
			m.Kind, m.Amount = MovedPurchase, -r.Amount
		}
		log.Movements = append(log.Movements, m)
	}
	return log, nil
}

// readBought reads what a card says of its purchases, if its purse holds less than the
// books say: then it has paid somewhere that has not told yet. A card that keeps it to
// itself, or is gone, says nothing.
func (d *Desk) readBought() {
	d.bought = nil
	if d.card == nil || d.info.Balance >= d.account.Purse {
		return
	}
	records, err := purse.ReadHistory(d.card, d.Profile)
	if err != nil {
		d.Log.Info("card does not say what it has bought", "err", err)
	}
	for _, r := range records {
		if r.Type == d.Profile.Purse.Kind.PurchaseType() {
			d.bought = append(d.bought, service.Purchase{
				TerminalNo: r.Terminal, Stamp: r.At, At: stampTime(r.At), Amount: r.Amount,
			})
		}
	}
}

// stampTime reads a card's date and time, which are Beijing's; what is no date
// is the zero time.
func stampTime(s pboc.Stamp) time.Time {
	digits := make([]byte, 0, 2*len(s))
	for _, b := range s {
		digits = append(digits, '0'+b>>4, '0'+b&0xF)
	}
	t, err := time.ParseInLocation("20060102150405", string(digits), beijing.Zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

// maskName hides a name but for its first and last character.
func maskName(name string) string {
	r := []rune(name)
	switch len(r) {
	case 0, 1:
		return strings.Repeat("*", len(r))
	case 2:
		return string(r[0]) + "*"
	}
	return string(r[0]) + strings.Repeat("*", len(r)-2) + string(r[len(r)-1])
}

// maskNumber hides the middle of a number and keeps at most two characters at
// either end.
func maskNumber(no string) string {
	if len(no) <= 4 {
		return strings.Repeat("*", len(no))
	}
	return no[:2] + strings.Repeat("*", len(no)-4) + no[len(no)-2:]
}

// stampOf returns t as cards write it, in Beijing's time.
func stampOf(t time.Time) (s pboc.Stamp) {
	for i, digits := 0, t.In(beijing.Zone).Format("20060102150405"); i < len(s); i++ {
		s[i] = (digits[2*i]-'0')<<4 | (digits[2*i+1] - '0')
	}
	return s
}
