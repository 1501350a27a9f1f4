package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// Why somebody cannot sign in. Besides these there is *[PINWrong].
var (
	// ErrNobody means that the card is nobody's of the staff, or of somebody who
	// was revoked.
	ErrNobody = errors.New("staff: not a card of the staff")
	// ErrPINLocked means that the PIN was wrong too often: another one is needed
	// (campusd staff reset-pin), or, where the upstream is away, the upstream.
	ErrPINLocked = errors.New("staff: PIN is locked")
	// ErrAway means that the upstream does not answer, and that this member has
	// not signed in at this terminal for too long, or never.
	ErrAway = errors.New("staff: upstream is away, and the member's last sign-in too long ago")
)

// PINWrong means that the PIN is not the member's.
type PINWrong struct{ Left int } // tries, before it is locked

// Error says how many tries are left.
func (e *PINWrong) Error() string { return fmt.Sprintf("staff: PIN wrong, %d tries left", e.Left) }

// Upstream checks cards and PINs. [client.Client] is one. A *[client.StaffRefusal]
// is "no"; any other error is that nobody has answered.
type Upstream interface {
	SignInStaff(ctx context.Context, cardNo string, pin *[kiosk.PINLength]byte) (client.Staff, error)
	CheckStaff(ctx context.Context, nos []string) ([]client.Staff, error)
	// EndStaffSession ends what a sign-in has allowed the member to ask upstream.
	EndStaffSession(no string)
}

// Book is the journal. [ledger.Book] is one.
type Book interface {
	Append(ctx context.Context, e journal.Entry) (journal.Entry, error)
}

// Config is what a Desk is made of. Only Now may be left out.
type Config struct {
	Upstream Upstream
	Book     Book
	Keep     *Keep
	Offline  time.Duration // how long after a sign-in upstream this terminal may do it alone
	Patience time.Duration // how long the upstream may take to answer
	Now      func() time.Time
	Log      *slog.Logger
}

// Desk is where the staff sign in. Its methods may be called from any goroutine.
type Desk struct {
	Config

	acts sync.Mutex // one sign-in or sign-out at a time

	mu sync.Mutex
	in Member // who is signed in; guarded by mu
}

// NewDesk returns a desk at which nobody is signed in.
func NewDesk(c Config) *Desk {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Desk{Config: c}
}

// Current returns who is signed in; the zero Member is nobody.
func (d *Desk) Current() Member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in
}

// SignIn signs a member in, in place of whoever was, and wipes pin. The journal
// says so before it returns.
func (d *Desk) SignIn(ctx context.Context, card purse.Info, pin *kiosk.PIN) (Member, error) {
	m, offline, err := d.prove(ctx, card, pin)
	if err != nil {
		return Member{}, err
	}
	d.acts.Lock()
	defer d.acts.Unlock()
	if err := d.signOut(ctx, signed{}, m.No); err != nil {
		return Member{}, err
	}
	e := entry(journal.SignedIn, m, signed{Role: m.Role.String(), Offline: offline})
	e.Card = card.CardNo.Full()
	if _, err := d.Book.Append(ctx, e); err != nil {
		return Member{}, fmt.Errorf("sign in: %w", err)
	}
	d.set(m)
	return m, nil
}

// SignOut signs out whoever is signed in. The shift goes on.
func (d *Desk) SignOut(ctx context.Context) error {
	d.acts.Lock()
	defer d.acts.Unlock()
	return d.signOut(ctx, signed{}, "")
}

// signOut makes room for a member, or for nobody. Whoever signs in once more keeps
// the session upstream that this has just begun. Its caller has acts.
func (d *Desk) signOut(ctx context.Context, why signed, next string) error {
	m := d.Current()
	if m.No == "" {
		return nil
	}
	if _, err := d.Book.Append(ctx, entry(journal.SignedOut, m, why)); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	if m.No != next {
		d.Upstream.EndStaffSession(m.No)
	}
	d.set(Member{})
	return nil
}

func (d *Desk) set(m Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in = m
}

// Unlock returns nil if card and pin are of who is signed in, or of somebody who
// may unlock anybody's till. It wipes pin. Who is signed in stays it.
func (d *Desk) Unlock(ctx context.Context, card purse.Info, pin *kiosk.PIN) error {
	m, err := d.visit(ctx, card, pin)
	if err == nil && m.No != d.Current().No {
		err = m.Allow(Unlock, "", nil)
	}
	return err
}

// Release has a second person release one thing that who is signed in may not do
// alone, and wipes pin. ref is the Ref of that thing.
func (d *Desk) Release(ctx context.Context, card purse.Info, pin *kiosk.PIN, what Ask) (*Release, error) {
	m, err := d.visit(ctx, card, pin)
	if err != nil {
		return nil, err
	}
	r := &Release{What: what.Privilege, For: what.Ref, Of: d.Current(), By: m}
	if !r.covers(r.Of, what.Privilege, what.Ref) {
		return nil, fmt.Errorf("%w: %s by a %s", ErrForbidden, what.Privilege, m.Role)
	}
	return r, nil
}

// Ask is what is to be released.
type Ask struct {
	Privilege Privilege
	Ref       string // of the thing that it is for
}

// visit is prove for somebody who does not stay, and asks nothing of the upstream.
func (d *Desk) visit(ctx context.Context, card purse.Info, pin *kiosk.PIN) (Member, error) {
	m, _, err := d.prove(ctx, card, pin)
	if err == nil && m.No != d.Current().No {
		d.Upstream.EndStaffSession(m.No)
	}
	return m, err
}

// prove returns whose card and PIN these are, and wipes the PIN. The upstream's
// word counts, whatever it is; only its silence is made up for here.
func (d *Desk) prove(ctx context.Context, card purse.Info, pin *kiosk.PIN) (m Member, offline bool, err error) {
	defer pin.Wipe()
	if !pin.Full() {
		return Member{}, false, errors.New("staff: a PIN has six digits")
	}
	no := card.CardNo.Full()
	asked, cancel := context.WithTimeout(ctx, d.Patience)
	s, err := d.Upstream.SignInStaff(asked, no, pin.Digits())
	cancel()
	var refused *client.StaffRefusal
	switch {
	case err == nil:
		d.keep("sign-in not kept for when the upstream is away", d.Keep.Put(s, pin.Digits(), d.Now()))
		return memberOf(s), false, nil
	case errors.As(err, &refused):
		return Member{}, false, d.refused(no, refused)
	case ctx.Err() != nil:
		return Member{}, false, ctx.Err()
	}
	m, err = d.Keep.Check(no, pin.Digits(), d.Now(), d.Offline)
	return m, true, err
}

// keep logs what is only about a later sign-in.
func (d *Desk) keep(what string, err error) {
	if err != nil {
		d.Log.Warn(what, "err", err)
	}
}

// refused returns what a refusal means, and forgets who may not come back.
func (d *Desk) refused(cardNo string, r *client.StaffRefusal) error {
	switch r.Reason {
	case client.StaffPINWrong:
		return &PINWrong{r.TriesLeft}
	case client.StaffPINLocked:
		d.keep("member's lock not kept", d.Keep.Lock(cardNo))
		return ErrPINLocked
	case client.StaffCardUnknown, client.StaffRevoked:
		d.keep("revoked member not forgotten", d.Keep.Forget(func(s client.Staff) bool { return s.Card == cardNo }))
		return ErrNobody
	}
	return r
}

// Refresh asks the upstream what has become of everybody who could sign in here
// without it, and of who is signed in. Whoever was revoked is signed out, and has
// another role from now on if it was changed. It is called at every contact with
// the upstream; an error is that there was none.
func (d *Desk) Refresh(ctx context.Context) error {
	in := d.Current()
	nos := d.Keep.Members()
	if in.No != "" {
		nos = append(nos, in.No)
	}
	if len(nos) == 0 {
		return nil
	}
	all, err := d.Upstream.CheckStaff(ctx, nos)
	if err != nil {
		return fmt.Errorf("refresh staff: %w", err)
	}
	now := map[string]client.Staff{}
	for _, s := range all {
		now[s.No] = s
	}
	d.keep("staff not kept", d.Keep.Update(nos, now))
	d.acts.Lock()
	defer d.acts.Unlock()
	if in.No == "" || d.Current().No != in.No { // the answer is not about who has signed in since
		return nil
	}
	s, still := now[in.No]
	if !still {
		return d.signOut(ctx, signed{Revoked: true}, "")
	}
	d.set(memberOf(s))
	return nil
}

// signed is the Details of a sign-in and of a sign-out.
type signed struct {
	Role    string `json:"role,omitempty"`
	Offline bool   `json:"offline,omitempty"` // the upstream did not answer
	Revoked bool   `json:"revoked,omitempty"` // signed out by the upstream
}

func entry(k journal.Kind, m Member, s signed) journal.Entry {
	text, err := json.Marshal(s)
	if err != nil {
		panic("staff: internal error: " + err.Error()) // texts
	}
	return journal.Entry{Kind: k, Ref: kiosk.NewRef(), Operator: m.No, Details: text}
}

func memberOf(s client.Staff) Member { return Member{No: s.No, Name: s.MaskedName, Role: Role(s.Role)} }
