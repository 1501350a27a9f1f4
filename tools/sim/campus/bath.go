package campus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"quancun/bathcode"
	"quancun/beijing"
	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/request"
	"quancun/kiosk/service"
	baths "quancun/kiosk/service/bath"
	"quancun/tools/sim/auditor"
	"quancun/tools/sim/bathhouse"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
	"quancun/upstream/client"
	"quancun/upstream/client/bath"
	"quancun/upstream/store"
)

// want is what a holder is at the kiosk for.
type want int

const (
	toReserve want = iota
	toGiveUp
	toSettle
)

// bathing is a holder at the kiosk, because of a bath. It sees what the kiosk's script
// sees of the upstream.
type bathing struct {
	*visit
	*bath.Desk
	want  want
	about *bathhouse.Ticket // with all but toReserve
	mine  []bath.Reservation
	day   bath.Day
	slot  bath.Slot
	wrong int // stubs that are typed wrong before the right one
	after func()
}

// bathe lets a holder reserve a place in a bath, give it up, or settle a shower: whoever
// has one to settle sooner than the others.
func (m *machine) bathe(ctx context.Context) {
	d, all := m.campus.dice, m.campus.baths.Tickets
	now := m.campus.world.Now
	open := func(t *bathhouse.Ticket) bool { return !t.Over && t.Stub != "" }
	early := func(t *bathhouse.Ticket) bool { return !t.Over && t.Stub == "" && now.Before(t.To) }
	b := &bathing{}
	account := virtual.Pick(d, m.campus.holders).account
	if i := slices.IndexFunc(all, open); i >= 0 {
		b.want, b.about = toSettle, all[i]
		if d.OneIn(6) { // to have showered for nothing
			b.want = toGiveUp
		}
		b.wrong = virtual.Pick(d, []int{0, 0, 0, 0, 1, 6})
	} else if i := slices.IndexFunc(all, early); i >= 0 && d.OneIn(2) {
		b.want, b.about = toGiveUp, all[i]
	}
	if b.about != nil {
		account = b.about.Account
		if !d.OneIn(4) {
			m = m.campus.otherThan(b.about.At, m)
		}
	}
	m.wish(ctx, b, account)
}

// wish has a holder use the kiosk's script as b says.
func (m *machine) wish(ctx context.Context, b *bathing, account string) {
	v, ok := m.atKiosk(ctx, m.campus.holder(account))
	if !ok {
		return
	}
	b.visit, b.Desk = v, bath.New(m.client)
	desk := &baths.Desk{Upstream: b, Requests: m.requests, Now: m.watch.Now, Log: m.campus.log}
	if b.want == toGiveUp && m.campus.world.Now.After(b.about.CancelTill) {
		b.giveUpLate(ctx)
		return
	}
	err := m.serve(ctx, desk.Service(), service.Holder{
		Session: v.session, CardNo: v.card.no, Account: client.Account{No: account},
	}, b.answer)
	if b.after != nil {
		b.after()
	}
	m.campus.note("%s: %s wants a bath, %d: %v", m.name, account, b.want, err)
}

// otherThan returns a machine that is on at another terminal than at, or else m.
func (c *Campus) otherThan(at string, m *machine) *machine {
	var others []*machine
	for _, o := range c.machines {
		if o.on() && o.station.ID != at {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		return m
	}
	return virtual.Pick(c.dice, others)
}

func (c *Campus) holder(account string) *holder {
	return c.holders[slices.IndexFunc(c.holders, func(h *holder) bool { return h.account == account })]
}

// answer answers what the kiosk asks.
func (b *bathing) answer(ctx context.Context, q dialog.Question) dialog.Answer {
	switch q.Name {
	case "bath.what":
		return b.choose(q, map[bool]dialog.Word{true: "bath.reserve", false: "bath.mine"}[b.want == toReserve])
	case "bath.hall":
		return b.choose(q, "")
	case "bath.day":
		return b.choose(q, map[bool]dialog.Word{true: "bath.tomorrow", false: "bath.today"}[b.campus.dice.OneIn(12)])
	case "bath.slot":
		return b.when(q)
	case "bath.stall":
		return b.choose(q, "")
	case "bath.sure":
		if b.campus.dice.OneIn(2) {
			b.beFaster(ctx)
		}
		b.trouble()
	case "bath.which":
		i := -1
		if b.about != nil {
			i = slices.IndexFunc(b.mine, func(r bath.Reservation) bool { return r.Ref == b.about.Ref })
		}
		return dialog.Answer{Choice: i, Left: i < 0}
	case "bath.deed":
		return b.choose(q, map[bool]dialog.Word{true: "bath.settle", false: "bath.cancel"}[b.want == toSettle])
	case "bath.cancel.sure":
		b.dawdle()
		b.trouble()
	case "bath.stub":
		return b.type8(ctx)
	default:
		return left
	}
	return dialog.Answer{}
}

// trouble is [machine.disturb], once in a visit.
func (b *bathing) trouble() {
	if b.after == nil {
		b.after = b.disturb()
	}
}

// when chooses a slot: one of the next two, more often than not.
func (b *bathing) when(q dialog.Question) dialog.Answer {
	a := b.choose(q, "")
	if a.Left {
		return a
	}
	soon := b.campus.dice.IntN(3)
	if soon < len(q.Options) && q.Options[soon].Note == "" {
		a.Choice = soon
	}
	shown := slices.DeleteFunc(slices.Clone(b.day.Slots), func(s bath.Slot) bool { return s.Places == 0 })
	b.slot = shown[a.Choice]
	return a
}

// giveUpLate asks for what the kiosk does not offer any more, as one does whose page has
// stood too long.
func (b *bathing) giveUpLate(ctx context.Context) {
	a := bath.Act{Ref: kiosk.NewRef(), Reservation: b.about.Ref}
	outcome, err := b.requests.Do(ctx, request.Request{
		Ref: a.Ref, Service: baths.Cancelling, Account: b.about.Account,
		What: map[string]string{"reservation": b.about.Ref},
	}, func(ctx context.Context) (journal.Outcome, error) {
		_, err := b.Cancel(ctx, b.session, a)
		return outcomeOf(err), err
	})
	b.campus.note("%s: %s is given up too late: %s, %v", b.name, b.about.Ref, outcome, err)
}

// beFaster has somebody at another machine take the place that is being thought about.
func (b *bathing) beFaster(ctx context.Context) {
	c := b.campus
	m, h := virtual.Pick(c.dice, c.machines), virtual.Pick(c.dice, c.holders)
	if m == b.machine || h == b.holder || !m.on() {
		return
	}
	m.takePlace(ctx, h, bath.Request{Hall: b.day.Hall.No, Slot: b.slot.No, Day: b.day.Start})
}

// takePlace has a holder reserve what somebody else may want.
func (m *machine) takePlace(ctx context.Context, h *holder, q bath.Request) {
	v, ok := m.atKiosk(ctx, h)
	if !ok {
		return
	}
	q.Ref = kiosk.NewRef()
	what := map[string]any{"hall": q.Hall, "day": q.Day.In(beijing.Zone).Format(time.DateOnly), "slot": q.Slot}
	rival := &bathing{visit: v, Desk: bath.New(m.client)}
	outcome, err := m.requests.Do(ctx, request.Request{
		Ref: q.Ref, Service: baths.Service, Account: h.account, What: what,
	}, func(ctx context.Context) (journal.Outcome, error) {
		_, err := rival.Reserve(ctx, v.session, q)
		return outcomeOf(err), err
	})
	m.campus.note("%s: %s is faster: %s, %v", m.name, h.account, outcome, err)
}

// outcomeOf is what an error of a call about a bath means.
func outcomeOf(err error) journal.Outcome {
	no := (*bath.Refusal)(nil)
	switch {
	case err == nil:
		return journal.Done
	case errors.As(err, &no), refused(err):
		return journal.NotDone
	}
	return 0
}

// dawdle has a page stand until it is too late, if that is not long.
func (b *bathing) dawdle() {
	i := slices.IndexFunc(b.mine, func(r bath.Reservation) bool { return r.Ref == b.about.Ref })
	if left := b.mine[i].CancelTill.Sub(b.campus.world.Now); left > 0 && left < 9*time.Minute {
		b.campus.world.Pass(left + time.Second)
	}
}

// type8 types a stub, or something else first.
func (b *bathing) type8(ctx context.Context) dialog.Answer {
	if b.wrong == 0 {
		if b.campus.dice.OneIn(3) { // the log is faster than who types
			b.carry(ctx)
		}
		b.trouble()
		b.wrong = -1
		return dialog.Answer{Text: b.about.Stub}
	}
	if b.wrong < 0 { // it is not taken: somebody asks at the desk
		return left
	}
	b.wrong--
	n, _ := strconv.Atoi(b.about.Stub)
	return dialog.Answer{Text: fmt.Sprintf("%08d", (n+b.wrong+1)%100_000_000)}
}

// Day implements [baths.Upstream].
func (b *bathing) Day(ctx context.Context, hall uint16, ahead int) (day bath.Day, err error) {
	b.day, err = b.Desk.Day(ctx, hall, ahead)
	return b.day, err
}

// Mine implements [baths.Upstream].
func (b *bathing) Mine(ctx context.Context, s client.Session) (all []bath.Reservation, err error) {
	b.mine, err = b.Desk.Mine(ctx, s)
	for _, r := range b.mine {
		b.see(r)
	}
	return b.mine, err
}

// Reserve implements [baths.Upstream].
func (b *bathing) Reserve(ctx context.Context, s client.Session, q bath.Request) (bath.Reservation, error) {
	r, err := b.Desk.Reserve(ctx, s, q)
	b.met(err)
	if err == nil {
		b.see(r)
	}
	return r, err
}

// Cancel implements [baths.Upstream].
func (b *bathing) Cancel(ctx context.Context, s client.Session, a bath.Act) (bath.Reservation, error) {
	r, err := b.Desk.Cancel(ctx, s, a)
	if b.met(err); err == nil {
		b.about.Over = true
	}
	return r, err
}

// Close implements [baths.Upstream]. Now and then it is said twice.
func (b *bathing) Close(ctx context.Context, s client.Session, a bath.Act, stub string) (bath.Reservation, error) {
	r, err := b.Desk.Close(ctx, s, a, stub)
	if b.met(err); err != nil {
		return r, err
	}
	b.about.Over = true
	if b.campus.dice.OneIn(4) {
		again, err := b.Desk.Close(ctx, s, a, stub)
		if err == nil && again.Captured != r.Captured {
			b.campus.wrong("shower %s was settled with %s, and then with %s", r.Ref, r.Captured, again.Captured)
		}
	}
	return r, nil
}

func slotOf(r bath.Reservation) bathcode.Slot {
	return bathcode.Slot{
		Place: bathcode.Place{Hall: r.Hall, Stall: r.Stall}, Day: bathcode.DayOf(r.From), No: r.Slot,
	}
}

// see has the holder learn of a reservation.
func (b *bathing) see(r bath.Reservation) {
	if r.Code == "" {
		return
	}
	b.campus.baths.Hold(bathhouse.Ticket{
		Ref: r.Ref, Account: b.visit.holder.account, At: b.station.ID, Code: r.Code,
		From: r.From, To: r.To, CancelTill: r.CancelTill, Slot: slotOf(r),
	})
}

// met notes a refusal.
func (b *bathing) met(err error) {
	no := (*bath.Refusal)(nil)
	if !errors.As(err, &no) {
		return
	}
	branches := map[bath.Reason]Branch{
		bath.SlotFull: branchBathFull, bath.TooLate: branchBathTooLate, bath.StubWrong: branchBathStubWrong,
	}
	if r, rare := branches[no.Reason]; rare {
		b.campus.cover(r)
	}
	if no.Reason == bath.StubWrong && no.Tries == 0 {
		b.campus.cover(branchBathStubLocked)
		b.about.Over = true
	}
	if no.Reason == bath.StubWrong && b.wrong < 0 && !b.campus.restored {
		b.campus.wrong("stub of %s is refused", b.about.Ref)
	}
}

// carry has somebody bring a part of the controllers' logs to a machine.
func (m *machine) carry(ctx context.Context) {
	c := m.campus
	lines := c.baths.Lines(c.baths.Known)
	c.dice.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for _, l := range lines[:min(len(lines), 3)] {
		for range 1 + c.dice.IntN(2) {
			t, err := bath.New(m.client).Take(ctx, l.Text)
			c.note("%s: log of hall %d: %+v, %v", m.name, l.Slot.Place.Hall, t, err)
			if c.took(l, err); err == nil && t.Again {
				c.cover(branchBathLogAgain)
			}
		}
	}
}

// took notes that the upstream has taken a line, if it has. The last word about a slot
// that is not over is the word of a clock that is wrong: it frees nothing, and says of
// nobody that they did not come, nor does it later.
func (c *Campus) took(l bathhouse.Line, err error) {
	switch {
	case err != nil || !l.Final || c.office.down():
	case c.world.Now.Before(l.To):
		c.tooSoon[l.Slot] = true
	case !c.tooSoon[l.Slot]:
		c.office.auditor.Sealed(l.Slot)
	}
}

// bringLogs has all logs brought to the upstream itself, once no code opens any more. Now
// and then that takes more than a day.
func (c *Campus) bringLogs(ctx context.Context) {
	up, err := c.office.copied(ctx)
	if c.broken != nil || err != nil || len(c.baths.Tickets)+len(up.baths) == 0 {
		c.found("upstream", nil, err)
		return
	}
	for _, t := range c.baths.Tickets {
		if t.Stub != "" && !t.Over && !c.dice.OneIn(3) {
			virtual.Pick(c.dice, c.machines).bathe(ctx)
		}
	}
	over := later(c.world.Now, c.baths.Last())
	for _, r := range up.baths {
		over = later(over, r.To.Add(works.BathPolicy().Grace))
	}
	for _, t := range c.baths.Tickets {
		over = later(over, t.To.Add(works.BathPolicy().Grace))
	}
	if c.world.Pass(over.Sub(c.world.Now)); c.dice.OneIn(3) || len(c.tooSoon) > 0 {
		c.world.Pass(works.BathPolicy().ReleasedIn)
		c.office.lapse(ctx)
	}
	c.world.Pass(time.Second)
	c.baths.Live()
	for _, l := range c.baths.Lines(func(s bathcode.Slot) bool {
		of := func(r auditor.Reservation) bool { return r.Slot == s }
		return c.baths.Known(s) || slices.ContainsFunc(up.baths, of)
	}) {
		_, err := c.office.baths.Take(ctx, "console", l.Text)
		if c.took(l, err); err != nil {
			c.wrong("log of hall %d is not taken: %v", l.Slot.Place.Hall, err)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// judgeBaths holds what showers have cost against the water that has run: each is paid
// once, and nothing else is.
func (c *Campus) judgeBaths(up *copied) {
	for _, r := range up.baths {
		least, most, opened := c.baths.Cost(r.Slot, c.works.Code(r.Slot, r.N))
		switch {
		case r.State == 4 && c.tooSoon[r.Slot] && !c.restored: // books restored from a copy may not know it
			c.wrong("nobody came to shower %s, by a clock that was ahead", r.Ref)
		case r.State == 4 && c.baths.Refused(r.Slot, c.works.Code(r.Slot, r.N)):
			c.wrong("nobody came to shower %s, whose code was typed", r.Ref)
		case r.Hold == 1:
			c.wrong("shower %s holds %s in the end", r.Ref, r.Cap)
		case opened && (r.State != 3 || r.Captured < least || r.Captured > most):
			c.wrong("shower %s has cost %s to %s, and has paid %s in state %d", r.Ref, least, most, r.Captured, r.State)
		case !opened && (r.State == 3 || r.Captured != 0):
			c.wrong("shower %s has paid %s, and no water has run", r.Ref, r.Captured)
		}
	}
}

// cameBack looks at a reservation before and after those that were lost came back.
func (c *Campus) cameBack(was, is auditor.Reservation) {
	switch {
	case was.Ref == "" && !c.office.lost[is.Ref]:
		c.wrong("bath %s came back, and was not lost", is.Ref)
	case was.Ref == "":
		branches := map[int]Branch{1: branchBathBack, 2: branchBathBackAnew, 5: branchBathBackLate}
		if is.State == 2 && is.Hold == 1 { // it came back, and was given up
			branches[2] = branchBathBackFreed
		}
		c.cover(branches[is.State])
	case was.State == 1 && is.State == 2:
		c.cover(branchBathBackFreed)
	case was.State != is.State:
		c.wrong("bath %s was in state %d, and others came back: it is in %d", is.Ref, was.State, is.State)
	}
}

// judgeBack checks that every reservation which was lost has come back as its holder knows
// it, unless its code is another's by now, or has opened a shower before.
func (c *Campus) judgeBack(up *copied) {
	have := map[string]auditor.Reservation{}
	codes := map[string]bool{}
	code := func(s bathcode.Slot, n uint8) string { return fmt.Sprint(s, n) }
	for _, r := range up.baths {
		have[r.Ref] = r
		codes[code(r.Slot, r.N)] = true
		if c.office.lost[r.Ref] && r.State == 3 {
			c.cover(branchBathBackUsed)
		}
	}
	for _, t := range c.baths.Tickets {
		r, here := have[t.Ref]
		if here && (r.Slot != t.Slot || r.Account != string(store.HolderAccount(t.Account)) ||
			c.works.Code(r.Slot, r.N) != t.Code) {
			c.wrong("bath %s is %+v, and its holder knows %+v", t.Ref, r, *t)
		}
		var end struct{ N *uint8 }
		e, told := up.entries[saying{t.Ref, journal.RequestEnd}]
		if q, err := e.Request(); here || !told || e.Outcome != journal.Done || err != nil ||
			json.Unmarshal(q.What, &end) != nil || end.N == nil {
			continue
		}
		if _, _, opened := c.baths.Cost(t.Slot, t.Code); !opened && !codes[code(t.Slot, *end.N)] {
			c.wrong("bath %s was lost, and has not come back", t.Ref)
		}
	}
}
