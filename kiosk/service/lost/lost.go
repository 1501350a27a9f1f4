// Package lost is a lost card (卡挂失) at the kiosk: whoever has the number and the PIN
// has it stopped, without the card, and is told how many machines know already and from
// when on nothing is at their risk any more. And a lost card that somebody lays on the
// reader is told of to its owner.
package lost

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	"quancun/kiosk/tender"
	"quancun/upstream/client"
	"quancun/upstream/client/lost"
)

// Name is the service's.
const Name dialog.Word = "lost"

// What is asked for, said and told.
const (
	sure      dialog.Word = "lost.sure"
	askNumber dialog.Word = "lost.number"
	askPIN    dialog.Word = "lost.pin"
	working   dialog.Word = "lost.working"
	telling   dialog.Word = "lost.telling"
	wrong     dialog.Word = "lost.wrong"

	factEffect dialog.Word = "lost.fact.effect"
	factUndo   dialog.Word = "lost.fact.undo"
	factNumber dialog.Word = "lost.fact.number"
	factName   dialog.Word = "lost.fact.name"
	factSince  dialog.Word = "lost.fact.since"
	factKnow   dialog.Word = "lost.fact.know"
	factRisk   dialog.Word = "lost.fact.risk"
	factFree   dialog.Word = "lost.fact.free"
	factFound  dialog.Word = "lost.fact.found"
	factWhen   dialog.Word = "lost.fact.when"
	factState  dialog.Word = "lost.fact.state"

	effect   dialog.Word = "lost.effect"
	undo     dialog.Word = "lost.undo"
	allKnow  dialog.Word = "lost.all.know"
	fromNow  dialog.Word = "lost.from.now"
	checking dialog.Word = "lost.checking"
	done     dialog.Word = "lost.done"
	already  dialog.Word = "lost.already"
	next     dialog.Word = "lost.next"

	nextFound   dialog.Word = "lost.next.found"
	nextUnknown dialog.Word = "lost.next.unknown"
)

// Why it was not done.
const (
	tooOften dialog.Word = "lost.too.often"
	noCard   dialog.Word = "lost.no.card"
	offline  dialog.Word = "lost.offline"
	notDone  dialog.Word = "lost.not.done" // it was being checked, and never came
)

// numberLen is how many digits and letters a student or staff number has at most.
const numberLen = 20

// Upstream is what the upstream does about lost cards. [lost.Desk] does.
type Upstream interface {
	Report(ctx context.Context, ref, number string, pin *[pin.Length]byte) (lost.Loss, error)
	Get(ctx context.Context, ref string) (lost.Loss, error)
	End(ctx context.Context, ref string) (l lost.Loss, made bool, err error)
	ReportFound(ctx context.Context, cardNo string, at time.Time) error
}

// Desk reports losses and found cards. It is safe for concurrent use.
type Desk struct {
	Upstream Upstream
	Requests *request.Desk
	Now      func() time.Time // by which a card was found; nil: the machine's clock
	Pace     Pace             // zero: that of a kiosk

	told told
}

// Pace is how long things are tried and waited for.
type Pace struct {
	Try  time.Duration // 20 s: to report, before it is called unknown
	Tell time.Duration // 12 s: for machines to know. Those with a network ask every 5 s
	Look time.Duration // 1 s: between two looks
}

func (p Pace) orDefault() Pace {
	if p == (Pace{}) {
		return Pace{20 * time.Second, 12 * time.Second, time.Second}
	}
	return p
}

func (d *Desk) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

// Service returns the service.
func (d *Desk) Service() service.Service {
	return service.Service{Name: Name, Online: true, Run: d.run}
}

func (d *Desk) run(ctx context.Context, v *service.Visit) (dialog.Report, error) {
	err := v.Confirm(ctx, sure, dialog.Said(factEffect, effect), dialog.Said(factUndo, undo))
	if err != nil {
		return dialog.Report{}, err
	}
	ask := dialog.Question{Kind: dialog.AskNumber, Name: askNumber, Length: numberLen, Letters: true}
	for try := 1; ; try++ {
		a, err := v.Ask(ctx, ask)
		if err != nil {
			return dialog.Report{}, err
		}
		p, err := v.PIN(ctx, askPIN, dialog.Text(factNumber, a.Text))
		if err != nil {
			return dialog.Report{}, err
		}
		r, err := d.report(ctx, v, loss{refOf(v.Ref(), try), a.Text, p})
		if no := (*lost.Refusal)(nil); errors.As(err, &no) && no.Reason == lost.Wrong {
			ask.Wrong = wrong
			continue
		}
		return r, explain(err)
	}
}

// refOf names each try of a visit: what was refused is over, and has an end of its own
// in the journal.
func refOf(visit string, try int) string {
	if try == 1 {
		return visit
	}
	return visit + "_" + strconv.Itoa(try)
}

// loss is what is reported.
type loss struct {
	ref, number string
	pin         *pin.PIN
}

// report stops the cards and says how far it has come.
func (d *Desk) report(ctx context.Context, v *service.Visit, l loss) (dialog.Report, error) {
	defer l.pin.Wipe()
	if err := v.Work(ctx, working); err != nil {
		return dialog.Report{}, err
	}
	var made lost.Loss
	_, err := d.Requests.Do(ctx, request.Request{Ref: l.ref, Service: journal.Loss},
		func(ctx context.Context) (o journal.Outcome, err error) {
			made, o, err = d.try(ctx, l)
			return o, err
		})
	if errors.Is(err, tender.ErrUnknown) {
		return d.unknown(l), err
	}
	if err != nil {
		return dialog.Report{}, err
	}
	if err := v.Work(ctx, telling); err != nil {
		return d.tells(made), nil
	}
	return d.tells(d.watch(ctx, made)), nil
}

// try reports the loss until the upstream has answered, for as long as somebody can be
// kept waiting. It is one report, however often it is sent.
func (d *Desk) try(ctx context.Context, l loss) (made lost.Loss, o journal.Outcome, err error) {
	pace := d.Pace.orDefault()
	ctx, cancel := context.WithTimeout(ctx, pace.Try)
	defer cancel()
	sent := false
	for {
		made, err = d.Upstream.Report(ctx, l.ref, l.number, l.pin.Digits())
		switch {
		case err == nil:
			return made, journal.Done, nil
		case refused(err) && !(sent && atDoor(err)):
			return made, journal.NotDone, err
		}
		sent = sent || !errors.Is(err, lost.ErrNotSent)
		select {
		case <-time.After(pace.Look):
			continue
		case <-ctx.Done():
		}
		if !sent {
			return made, journal.NotDone, dialog.Refuse(offline, fmt.Errorf("%w: %w", kiosk.ErrNoAnswer, err))
		}
		return made, 0, err
	}
}

func refused(err error) bool {
	no, other := (*lost.Refusal)(nil), (*client.Refusal)(nil)
	return errors.As(err, &no) || errors.As(err, &other) && other.Reason != client.ChallengeSpent
}

// atDoor reports whether the terminal was not let in, or the holder not: that says
// nothing about a report that was sent before.
func atDoor(err error) bool { return errors.As(err, new(*client.Refusal)) }

// watch waits until all machines know, or for as long as somebody can be kept waiting,
// and returns how far it has come.
func (d *Desk) watch(ctx context.Context, l lost.Loss) lost.Loss {
	pace := d.Pace.orDefault()
	ctx, cancel := context.WithTimeout(ctx, pace.Tell)
	defer cancel()
	for l.Told < l.Terminals {
		select {
		case <-time.After(pace.Look):
		case <-ctx.Done():
			return l
		}
		if is, err := d.Upstream.Get(ctx, l.Ref); err == nil {
			l = is
		}
	}
	return l
}

// tells is a report as its holder is told of it, for as long as the page stands: the
// machines that know are counted on.
func (d *Desk) tells(l lost.Loss) dialog.Report {
	r := said(l)
	if l.Told < l.Terminals && !l.Over {
		r.Follow = func(ctx context.Context) (dialog.Report, error) { return d.count(ctx, l) }
	}
	return r
}

// count waits until l stands otherwise.
func (d *Desk) count(ctx context.Context, l lost.Loss) (dialog.Report, error) {
	for {
		select {
		case <-time.After(d.Pace.orDefault().Look):
		case <-ctx.Done():
			return dialog.Report{}, ctx.Err()
		}
		is, err := d.Upstream.Get(ctx, l.Ref)
		if err == nil && (is.Told != l.Told || is.Terminals != l.Terminals || is.AtRisk != l.AtRisk ||
			is.Over != l.Over || (is.Found == nil) != (l.Found == nil)) {
			return d.tells(is), nil
		}
	}
}

// said is a report as it stands.
func said(l lost.Loss) dialog.Report {
	r := dialog.Report{Title: done, Next: next, Print: true, Facts: []dialog.Fact{
		dialog.Text(factName, l.MaskedName), dialog.Text(factNumber, l.MaskedNumber),
		dialog.Moment(factSince, l.Stopped.In(beijing.Zone)),
	}}
	if l.Again {
		r.Title = already
	}
	if l.Told == l.Terminals {
		r.Facts = append(r.Facts, dialog.Said(factKnow, allKnow), strong(dialog.Said(factFree, fromNow)))
	} else {
		r.Facts = append(r.Facts, dialog.Text(factKnow, fmt.Sprintf("%d / %d", l.Told, l.Terminals)),
			dialog.Amount(factRisk, l.AtRisk), strong(dialog.Moment(factFree, l.Free.In(beijing.Zone))))
	}
	if l.Found != nil {
		r.Next = nextFound
		zh, en := l.Found.Where.With(l.Found.Place)
		r.Facts = append(r.Facts, dialog.Named(factFound, zh, en),
			dialog.Moment(factWhen, l.Found.At.In(beijing.Zone)))
	}
	return r
}

func strong(f dialog.Fact) dialog.Fact {
	f.Strong = true
	return f
}

// unknown says that nobody knows yet, and waits for the end: with the upstream back,
// the loss was reported, or never will be by this request.
func (d *Desk) unknown(l loss) dialog.Report {
	return dialog.Report{
		Next:  nextUnknown,
		Facts: []dialog.Fact{dialog.Text(factNumber, l.number), strong(dialog.Said(factState, checking))},
		Follow: func(ctx context.Context) (dialog.Report, error) {
			return d.follow(ctx, l.ref)
		},
	}
}

func (d *Desk) follow(ctx context.Context, ref string) (dialog.Report, error) {
	for {
		l, made, err := d.Upstream.End(ctx, ref)
		switch {
		case err == nil && made:
			return d.tells(l), nil
		case err == nil:
			return dialog.Report{}, dialog.Refuse(notDone, nil)
		case errors.As(err, new(*lost.Refusal)):
			return dialog.Report{}, explain(err)
		}
		select {
		case <-time.After(d.Pace.orDefault().Look):
		case <-ctx.Done():
			return dialog.Report{}, ctx.Err()
		}
	}
}

// explain has a refusal of the upstream in words.
func explain(err error) error {
	no := (*lost.Refusal)(nil)
	if !errors.As(err, &no) {
		return err
	}
	switch no.Reason {
	case lost.TooOften:
		return dialog.Refuse(tooOften, err)
	case lost.NoCard:
		return dialog.Refuse(noCard, err)
	}
	return err
}

// Ask returns what has become of a loss that was written down. What has not come to
// the upstream by then never will.
func (d *Desk) Ask(ctx context.Context, intent journal.Entry) (journal.Outcome, error) {
	_, made, err := d.Upstream.End(ctx, intent.Ref)
	switch {
	case err != nil:
		return 0, err
	case made:
		return journal.Done, nil
	}
	return journal.NotDone, nil
}
