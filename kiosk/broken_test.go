package kiosk_test

import (
	"context"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/money"
	"quancun/upstream/client"
)

// upstream is all that a terminal may ask, for every face.
type upstream interface {
	kiosk.Upstream
	kiosk.Authorizer
	Push(ctx context.Context, b journal.Batch) (journal.Ack, error)
	Feed(ctx context.Context, name string, have uint64, issued time.Time) (client.Feed, error)
}

// brokenUpstream is an upstream of which one answer, or one request, is lost.
type brokenUpstream struct {
	mu   sync.Mutex
	real upstream // guarded by mu
	at   brokenAt // guarded by mu
	stay bool     // guarded by mu; what is lost first stays away
	away bool     // guarded by mu
}

func (u *brokenUpstream) set(at brokenAt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at, u.away, u.stay = at, false, false
}

// broke reports whether what it was set to break has broken.
func (u *brokenUpstream) broke() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.at == brokenAt{}
}

// whole returns the upstream behind it.
func (u *brokenUpstream) whole() upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.real
}

// replace puts another upstream behind it, under a terminal that runs.
func (u *brokenUpstream) replace(real upstream) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.real = real
}

// lost makes the call, or not, and says whether its answer is lost.
func (u *brokenUpstream) lost(point string, call func()) bool {
	u.mu.Lock()
	broken, kept := u.at.take(point)
	u.away = u.away || broken && u.stay
	if u.away {
		broken, kept = true, kept && broken
	}
	u.mu.Unlock()
	if !broken || kept {
		call()
	}
	return broken
}

func (u *brokenUpstream) LookUpCard(ctx context.Context, no string) (c client.Card, err error) {
	if u.lost("LookUpCard", func() { c, err = u.whole().LookUpCard(ctx, no) }) {
		return client.Card{}, errLost
	}
	return c, err
}

func (u *brokenUpstream) SignIn(ctx context.Context, no string, challenge []byte, pin *[kiosk.PINLength]byte) (
	s client.Session, a client.Account, err error,
) {
	if u.lost("SignIn", func() { s, a, err = u.whole().SignIn(ctx, no, challenge, pin) }) {
		return nil, client.Account{}, errLost
	}
	return s, a, err
}

func (u *brokenUpstream) CreateTopUp(ctx context.Context, s client.Session, no string, amount money.Fen) (
	o client.TopUp, err error,
) {
	if u.lost("CreateTopUp", func() { o, err = u.whole().CreateTopUp(ctx, s, no, amount) }) {
		return client.TopUp{}, errLost
	}
	return o, err
}

func (u *brokenUpstream) GetTopUp(ctx context.Context, no string, known client.TopUpState, wait time.Duration) (
	o client.TopUp, err error,
) {
	if u.lost("GetTopUp", func() { o, err = u.whole().GetTopUp(ctx, no, known, wait) }) {
		return client.TopUp{}, errLost
	}
	return o, err
}

func (u *brokenUpstream) CancelTopUp(ctx context.Context, no string) (o client.TopUp, err error) {
	if u.lost("CancelTopUp", func() { o, err = u.whole().CancelTopUp(ctx, no) }) {
		return client.TopUp{}, errLost
	}
	return o, err
}

func (u *brokenUpstream) PlanLoad(ctx context.Context, s client.Session, purse money.Fen) (p client.Plan, err error) {
	if u.lost("PlanLoad", func() { p, err = u.whole().PlanLoad(ctx, s, purse) }) {
		return client.Plan{}, errLost
	}
	return p, err
}

func (u *brokenUpstream) AuthorizeLoad(ctx context.Context, l client.LoadRequest) (a client.Authorization, err error) {
	if u.lost("AuthorizeLoad", func() { a, err = u.whole().AuthorizeLoad(ctx, l) }) {
		return client.Authorization{}, errLost
	}
	return a, err
}

func (u *brokenUpstream) ReportLoad(ctx context.Context, l client.LoadReport) (s client.LoadStatus, err error) {
	if u.lost("ReportLoad", func() { s, err = u.whole().ReportLoad(ctx, l) }) {
		return client.LoadStatus{}, errLost
	}
	return s, err
}

func (u *brokenUpstream) Hello(ctx context.Context, h client.Hello) (w client.Welcome, err error) {
	if u.lost("Hello", func() { w, err = u.whole().Hello(ctx, h) }) {
		return client.Welcome{}, errLost
	}
	return w, err
}

func (u *brokenUpstream) Account(ctx context.Context, s client.Session) (a client.Account, err error) {
	if u.lost("Account", func() { a, err = u.whole().Account(ctx, s) }) {
		return client.Account{}, errLost
	}
	return a, err
}

func (u *brokenUpstream) Claims(ctx context.Context, no string) (c []journal.Claim, err error) {
	if u.lost("Claims", func() { c, err = u.whole().Claims(ctx, no) }) {
		return nil, errLost
	}
	return c, err
}

func (u *brokenUpstream) Settlements(ctx context.Context, refs []string) (o map[string]journal.Outcome, err error) {
	if u.lost("Settlements", func() { o, err = u.whole().Settlements(ctx, refs) }) {
		return nil, errLost
	}
	return o, err
}

func (u *brokenUpstream) Authorize(ctx context.Context, q client.AuthorizeRequest) (a client.Approval, err error) {
	if u.lost("Authorize", func() { a, err = u.whole().Authorize(ctx, q) }) {
		return client.Approval{}, errLost
	}
	return a, err
}

func (u *brokenUpstream) Push(ctx context.Context, b journal.Batch) (a journal.Ack, err error) {
	if u.lost("Push", func() { a, err = u.whole().Push(ctx, b) }) {
		return journal.Ack{}, errLost
	}
	return a, err
}

func (u *brokenUpstream) Feed(ctx context.Context, name string, have uint64, issued time.Time,
) (f client.Feed, err error) {
	if u.lost("Feed", func() { f, err = u.whole().Feed(ctx, name, have, issued) }) {
		return client.Feed{}, errLost
	}
	return f, err
}

// leave has the upstream be away at once.
func (u *brokenUpstream) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away = true
}

// goAway has the upstream go away at a point, and not come back.
func (u *brokenUpstream) goAway(point string, kept bool) {
	u.set(brokenAt{point, kept})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stay = true
}
