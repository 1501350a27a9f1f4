package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// StaffRole is what a member of the staff is. Numbers as on the wire.
type StaffRole int

// Staff is a member of the staff.
type Staff struct {
	No         string
	MaskedName string
	Role       StaffRole
	Card       string // number of the member's card
	PINVersion int64  // another one whenever the PIN or the card is another
}

// StaffReason says why somebody cannot sign in. The numbers are printed: never
// renumbered.
type StaffReason int

// The reasons, as on the wire.
const (
	StaffMalformed      StaffReason = 1
	StaffChallengeSpent StaffReason = 2
	StaffCardUnknown    StaffReason = 3 // nobody of the staff has this card, or they are revoked
	StaffRevoked        StaffReason = 4
	StaffPINWrong       StaffReason = 5
	StaffPINLocked      StaffReason = 6
)

// StaffRefusal is the upstream's "no" to a member of the staff. Find it with
// [errors.As]; every other error of these calls is "unknown".
type StaffRefusal struct {
	Reason    StaffReason
	TriesLeft int // with StaffPINWrong: before the PIN is locked
}

// Error names the reason.
func (r *StaffRefusal) Error() string {
	return "upstream refused: " + v1.StaffReason(r.Reason).String()
}

// SignInStaff checks a member's card and PIN, which is six ASCII digits. The
// caller wipes pin; no copy of it is left here. Its refusals are
// *[StaffRefusal]: StaffPINWrong with the tries left, StaffPINLocked (also for
// the fifth wrong PIN itself), StaffCardUnknown.
func (c *Client) SignInStaff(ctx context.Context, cardNo string, pin *[wire.PINLen]byte) (Staff, error) {
	ctx, cancel := within(ctx, 2*quick)
	defer cancel()
	key, err := c.sealingKey(ctx)
	if err != nil {
		return Staff{}, fmt.Errorf("sign in staff: %w", err)
	}
	looked, err := c.staff.LookUpStaff(ctx, connect.NewRequest(&v1.LookUpStaffRequest{CardNo: cardNo}))
	if err != nil {
		return Staff{}, explain("look up staff", err)
	}
	sealed, err := wire.SealPIN(key, looked.Msg.Challenge, wire.StaffCard(cardNo), pin)
	if err != nil {
		return Staff{}, fmt.Errorf("sign in staff: %w", err)
	}
	r, err := c.staff.SignInStaff(ctx, connect.NewRequest(&v1.SignInStaffRequest{
		CardNo: cardNo, Challenge: looked.Msg.Challenge, SealedPin: sealed,
	}))
	if err != nil {
		err = explain("sign in staff", err)
		if no := (*StaffRefusal)(nil); errors.As(err, &no) && no.Reason == StaffMalformed {
			c.forgetKey() // the upstream may have a new one
		}
		return Staff{}, err
	}
	m := staffOf(r.Msg.Member)
	c.KeepStaffSession(m.No, r.Msg.Session)
	return m, nil
}

// StaffSession returns the session that a member's last sign-in has opened here,
// by staff number, or nil. It is in this process's memory and nowhere else.
func (c *Client) StaffSession(no string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signed[no]
}

// KeepStaffSession keeps a session in place of the member's last one; an empty one
// ends it.
func (c *Client) KeepStaffSession(no string, session []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.signed, no); len(session) > 0 {
		c.signed[no] = session
	}
}

// EndStaffSession forgets a member's session.
func (c *Client) EndStaffSession(no string) { c.KeepStaffSession(no, nil) }

// SealPIN seals a PIN to the upstream, for a challenge and a name. The caller
// wipes pin.
func (c *Client) SealPIN(ctx context.Context, challenge []byte, name string, pin *[wire.PINLen]byte) ([]byte, error) {
	key, err := c.sealingKey(ctx)
	if err != nil {
		return nil, err
	}
	return wire.SealPIN(key, challenge, name, pin)
}

// checkMax is how many members the upstream is asked about at once.
const checkMax = 200

// CheckStaff returns those of the members who may still sign in, as they are
// now.
func (c *Client) CheckStaff(ctx context.Context, nos []string) (all []Staff, err error) {
	ctx, cancel := within(ctx, quick)
	defer cancel()
	for part := range slices.Chunk(nos, checkMax) {
		r, err := c.staff.CheckStaff(ctx, connect.NewRequest(&v1.CheckStaffRequest{Nos: part}))
		if err != nil {
			return nil, explain("check staff", err)
		}
		for _, m := range r.Msg.Members {
			all = append(all, staffOf(m))
		}
	}
	return all, nil
}

func staffOf(m *v1.StaffMember) Staff {
	return Staff{m.GetNo(), m.GetMaskedName(), StaffRole(m.GetRole()), m.GetCardNo(), m.GetPinVersion()}
}
