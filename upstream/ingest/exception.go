package ingest

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/hot"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// ExceptionKind says what is wrong. Stored: never renamed.
type ExceptionKind string

// The kinds of exception that journals lead to.
const (
	NotReadable      ExceptionKind = "not readable"         // no program can have written these bytes
	NewerForm        ExceptionKind = "newer form"           // a later program has
	NotItsOwn        ExceptionKind = "not its own"          // it says that it is another entry, or another terminal's
	RuleBroken       ExceptionKind = "rule broken"          // what it says cannot be
	ChainBroken      ExceptionKind = "chain broken"         // it does not follow the entry before it
	IntentTwice      ExceptionKind = "intent twice"         // announced while it was open already
	NoIntent         ExceptionKind = "end without intent"   // or ended before
	EndDiffers       ExceptionKind = "end differs"          // from its intent
	UnknownCard      ExceptionKind = "unknown card"         // the money is in suspense
	UnknownAccount   ExceptionKind = "unknown account"      // the money is in suspense
	AccountDiffers   ExceptionKind = "account differs"      // from the card's, which counts
	Overdrawn        ExceptionKind = "overdrawn"            // a holder is below zero
	HotCard          ExceptionKind = hot.Kind               // a card that may not be used was used
	TACWrong         ExceptionKind = "TAC wrong"            // posted all the same, but no proof
	TACMissing       ExceptionKind = "TAC missing"          // posted on the terminal's word
	CounterTwice     ExceptionKind = "counter used twice"   // two purchases are proved at one value of a card's counter
	RefundUnmatched  ExceptionKind = "refund unmatched"     // we do not have what it gives back
	RefundTooHigh    ExceptionKind = "refund too high"      // above what was paid
	Contradicted     ExceptionKind = "claim contradicted"   // settled, and now the other way, without proof
	Corrected        ExceptionKind = "settlement corrected" // the card has proved the other way
	NoEvidence       ExceptionKind = "evidence not proof"   // it settles nothing
	EarlyEvidence    ExceptionKind = "evidence early"       // for a claim that we do not have yet
	LoadUnknown      ExceptionKind = "load unknown"         // never authorized here
	LoadTACWrong     ExceptionKind = "load TAC wrong"       // the card's evidence does not prove it
	TopUpDiffers     ExceptionKind = "top-up differs"       // the order came to something else here
	ChannelDiffers   ExceptionKind = "channel differs"      // from what a sale by code, or its refund, says
	ChannelTwice     ExceptionKind = "channel twice"        // a sale by code, or its refund, that is booked already
	OrderUnknown     ExceptionKind = "order unknown"        // its code was shown, and it is not in the books
	ActMissing       ExceptionKind = "act missing"          // the card centre has done it, and it is not in the books
	ActDiffers       ExceptionKind = "act differs"          // from what the card centre's clerk has written down
	RequestMissing   ExceptionKind = store.RequestMissing   // of a holder: it was done, and it is not in the books
	RequestDiffers   ExceptionKind = "request differs"      // from what the books have under its name
	Fork             ExceptionKind = "fork"                 // two entries under one number
	EpochOpened      ExceptionKind = "epoch opened"         // a journal was rewound, or two machines have one name
	EpochUnexplained ExceptionKind = "epoch unexplained"    // a new journal that does not name the one before
	Lost             ExceptionKind = "upstream restored"    // we have acknowledged more than we have
	HoldLost         ExceptionKind = "hold lost"            // a sale that we had approved, for which we hold nothing
	ReportDiffers    ExceptionKind = "report differs"       // a Z says something else than the entries come to
	DrawerDiffers    ExceptionKind = store.DrawerDiffers    // the books have other cash in a drawer than the terminal
	Gone             ExceptionKind = "entries gone"         // and the terminal has not got them any more
	CodeMissing      ExceptionKind = "code missing"         // posted on the terminal's word
	CodeWrong        ExceptionKind = "code wrong"           // posted all the same, but no proof
	CodeTwice        ExceptionKind = "code used twice"      // at two terminals that did not hear of each other
	CodeStray        ExceptionKind = "code of a lost phone" // or of one that is not the account's
	CodeOver         ExceptionKind = "code over allowance"  // more than may be bought in the dark
)

const (
	clerk    = "card centre"
	operator = "operator"
)

// care is whose an exception is and what to do, for each kind.
var care = map[ExceptionKind]struct{ owner, next string }{
	NotReadable:    {operator, "read it with the terminal's program; book by hand what it moved"},
	NewerForm:      {operator, "update this program, then book by hand what it moved"},
	NotItsOwn:      {operator, "find out who has the terminal's key; revoke the terminal"},
	RuleBroken:     {operator, "look at the terminal's program; book by hand what it moved"},
	ChainBroken:    {operator, "verify the terminal's journal; book by hand what it moved"},
	IntentTwice:    {operator, "look at the terminal's program"},
	NoIntent:       {operator, "compare with the terminal's journal; book by hand what it moved"},
	EndDiffers:     {operator, "compare with the terminal's journal; book by hand what it moved"},
	UnknownCard:    {clerk, "find the holder, and move the amount out of suspense"},
	UnknownAccount: {clerk, "find the holder, and move the amount out of suspense"},
	AccountDiffers: {clerk, "compare the card with the account; correct the posting if it is wrong"},
	Overdrawn:      {clerk, "ask the holder to pay in what is owed"},
	HotCard: {clerk, "ask who used the card; exceptions bear gives back what the school bears, which is " +
		"what somebody else has spent after loss_risk_hours"},
	TACWrong:         {operator, "have the card read; is it ours?"},
	TACMissing:       {operator, "nothing if the card's log has it; otherwise have the card read"},
	CounterTwice:     {operator, "block the card: it or its keys are copied. Refund what was another's"},
	RefundUnmatched:  {clerk, "find the sale with the merchant; correct the refund if there was none"},
	RefundTooHigh:    {clerk, "ask the merchant; correct the refund"},
	Contradicted:     {clerk, "have the card read, and correct the settlement if it is wrong"},
	Corrected:        {clerk, "tell the holder why the balance changed"},
	NoEvidence:       {clerk, "have the card read"},
	EarlyEvidence:    {operator, "nothing: it is used when the claim comes"},
	LoadUnknown:      {operator, "compare with the terminal; were these books restored from a copy?"},
	LoadTACWrong:     {operator, "have the card read; is it ours?"},
	TopUpDiffers:     {clerk, "compare with the channel's bill, and tell the holder"},
	ChannelDiffers:   {operator, "compare with the channel's bill; correct the sale if it was never paid"},
	ChannelTwice:     {operator, "nothing, if the terminal was restored from a copy: it is booked once"},
	OrderUnknown:     {clerk, "look for the order in the channel's bill; credit or refund it"},
	ActMissing:       {operator, "these books are older than they were: have the clerk do it again"},
	ActDiffers:       {clerk, "ask the clerk what was done, and do again what was not"},
	RequestMissing:   {operator, "the books are older than they were: ask biller or holder, and do what is missing"},
	RequestDiffers:   {operator, "ask the biller or the holder, and tell the holder what is true"},
	Fork:             {operator, "find the second machine with this terminal's name, or who restored it"},
	EpochOpened:      {operator, "find out whether the machine was restored, or is there twice"},
	EpochUnexplained: {operator, "find out what became of the terminal's disk; push or export the old journal"},
	Lost:             {operator, "these books are older than they were: look for lost orders, holds and cards"},
	HoldLost:         {operator, "these books are older than they were: look for accounts that were spent twice"},
	ReportDiffers:    {operator, "verify the terminal's journal; count its drawer before anybody signs for it"},
	DrawerDiffers:    {operator, "count what cash there is, put it into the safe, and say so: exceptions count"},
	Gone:             {operator, "look for the terminal's old journal and for receipts; book by hand what is missing"},
	CodeMissing:      {operator, "look at the terminal's program; refund the holder if there was no code"},
	CodeWrong:        {operator, "look at the terminal: who has its keys? Refund the holder"},
	CodeTwice:        {clerk, "ask the holder; refund what somebody else bought with a picture of the code"},
	CodeStray:        {clerk, "ask who has the phone; refund the holder if it was lost"},
	CodeOver:         {clerk, "nothing if the balance allows it; otherwise ask the holder to pay in what is owed"},
}

// exception returns a line of the inbox about the entry at a position.
func exception(k ExceptionKind, at journal.Position, detail string) store.Exception {
	c := care[k]
	return store.Exception{
		Kind: string(k), Ref: at.String(), Terminal: at.Terminal, Epoch: at.Epoch[:], Seq: at.Seq,
		Detail: detail, Owner: c.owner, NextStep: c.next,
	}
}

// standing is an exception with an amount that stands in an account.
func standing(e store.Exception, a store.Account, amount money.Fen) store.Exception {
	e.Account, e.Amount = a, amount
	return e
}

// noteHot puts a purchase with a card into the inbox that may not be used. Since when
// it may not says who bears it: a lost card that was used soon after, at a terminal that
// could not know, is its holder's. Nothing is posted for it: when it was is the word of
// a terminal without a network, and whether it was the holder nobody has asked yet.
func (d *desk) noteHot(e journal.Entry) error {
	if _, is := d.hot[e.Card]; !is {
		return nil
	}
	u := hot.Use{Card: e.Card, Terminal: e.Terminal, At: e.At, Now: d.now}
	f, err := hot.Look(d.ctx, d.tx, u)
	if err != nil {
		return err
	}
	d.exceptAmount(HotCard, e.Position(), e.Amount, f.Text(u))
	return nil
}

// noteNoIntent puts an end or a doubt into the inbox of what is not open. A terminal that
// was put back to a copy says once more what is booked, which nobody is to book by hand.
func (d *desk) noteNoIntent(e journal.Entry) error {
	line := standing(exception(NoIntent, e.Position(), fmt.Sprintf("%s, %s", e.Kind, e.Outcome)), "", e.Amount)
	at, err1 := d.bookedAt(e)
	ended, err2 := endedBefore(d.ctx, d.tx, d.terminal, []string{e.Ref})
	was, had := ended[e.Ref]
	switch {
	case at.Seq > 0:
		line.Detail += ", booked as " + at.String()
		line.NextStep = "nothing, if the terminal was restored from a copy: it is booked once"
	case had && (e.Kind.IsDoubt() ||
		was.Position() != e.Position() && was.Outcome.Happened() == e.Outcome.Happened()):
		line.Detail += fmt.Sprintf(", had ended as %s, %s", was.Position(), was.Outcome)
		line.NextStep = "nothing, if the terminal was restored from a copy: it is as it had ended"
	}
	d.exceptions = append(d.exceptions, line)
	return errors.Join(err1, err2)
}

// bookedAt returns the entry by which the books have the purchase that an entry says was
// made, or is in doubt; the zero Position for none.
func (d *desk) bookedAt(e journal.Entry) (at journal.Position, err error) {
	if e.Kind != journal.SaleDoubt && !(e.Kind == journal.SaleEnd && e.Outcome.Happened()) || e.Purse == nil {
		return at, nil
	}
	found, err := d.readClaims(`WHERE c.terminal = ? AND c.ref = ? AND c.state = 2`, d.terminal, e.Ref)
	if err != nil {
		return at, err
	}
	if len(found) > 0 && found[0].state == ClaimWritten {
		return found[0].Position, nil
	}
	var ends []journal.Position
	err = sqldb.Each(d.ctx, d.tx, func(rows *sql.Rows) error {
		end := journal.Position{Terminal: d.terminal}
		var epoch []byte
		err := rows.Scan(&epoch, &end.Seq)
		copy(end.Epoch[:], epoch)
		ends = append(ends, end)
		return err
	}, `SELECT j.epoch, e.seq FROM purse_moves m JOIN entries e ON e.id = m.entry_id JOIN journals j ON j.id = e.journal
		WHERE m.card_no = ? AND m.counter = ? AND m.kind = 4 AND m.amount_fen = ? AND j.terminal = ?`,
		e.Card, int64(e.Purse.Counter), -e.Amount, d.terminal)
	if err != nil {
		return at, fmt.Errorf("read purse moves: %w", err)
	}
	for _, end := range ends {
		is, err := d.entryAt(end, func(x journal.Entry) bool { return x.Kind == journal.SaleEnd && x.Ref == e.Ref })
		if err != nil || is.Ref == e.Ref {
			return end, err
		}
	}
	return at, nil
}

// noteSettled puts into the inbox what it leads to that a claim is settled by the booking that
// comes next.
func (d *desk) noteSettled(c *claim, v verdict) error {
	switch written := c.state == ClaimWritten; {
	case v.happened && !written:
		return d.noteHotClaim(c)
	case written && !v.happened:
		d.refunds = append(d.refunds, refund{len(d.bookings), c.Amount})
		return d.forgetHot(c, v.by)
	}
	return nil
}

// noteHotClaim is [desk.noteHot] for a purchase that was in doubt and is settled as made.
// What counts is when the card was used, and what was known of it when the terminal told
// of that: a card that its holder has lost since, or found, changes nothing.
func (d *desk) noteHotClaim(c *claim) error {
	at, err := d.usedWhen(c)
	if errors.Is(err, store.ErrNone) { // it is nobody's
		return nil
	}
	if err != nil {
		return err
	}
	u := hot.Use{Card: c.Card, Terminal: c.Terminal, At: at, Listed: c.opened, Now: d.now}
	f, err := hot.Look(d.ctx, d.tx, u)
	if errors.Is(err, store.ErrNone) || err == nil && f.Status == store.CardActive {
		return nil
	}
	if err != nil {
		return err
	}
	line := standing(exception(HotCard, c.Position, f.Text(u)), "", c.Amount)
	line.Ref = hot.ClaimRef(c.Position, c.Ref)
	d.exceptions = append(d.exceptions, line)
	return nil
}

// usedWhen returns what [hot.ClaimUsed] does, also of a claim that this push has opened.
func (d *desk) usedWhen(c *claim) (time.Time, error) {
	for _, b := range d.bookings {
		if b.Claim == c.id && b.Kind == store.KindDoubt {
			return b.Made, nil
		}
	}
	return hot.ClaimUsed(d.ctx, d.tx, c.id)
}

// forgetHot closes the line about a claim that was called written, and was not.
func (d *desk) forgetHot(c *claim, by string) error {
	ref := hot.ClaimRef(c.Position, c.Ref)
	d.exceptions = slices.DeleteFunc(d.exceptions, func(x store.Exception) bool {
		return x.Kind == hot.Kind && x.Ref == ref
	})
	lines, err := store.ReadExceptions(d.ctx, d.tx, `WHERE kind = ? AND ref = ? AND closed_ms IS NULL`, hot.Kind, ref)
	if err != nil || len(lines) == 0 {
		return err
	}
	return d.g.books.CloseException(d.ctx, d.tx, lines[0].ID, 0, "the card was not used: "+by)
}
