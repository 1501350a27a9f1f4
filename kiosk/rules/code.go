package rules

import (
	"errors"
	"time"

	"quancun/money"
)

// Seconds is a length of time, in whole seconds.
type Seconds int

// Duration returns the length.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// The shortest and the longest life of a code. A code that lives longer is one
// that can be photographed.
const (
	codeLifeMin Seconds = 30
	codeLifeMax Seconds = 60
)

// Why a code may not be taken without asking upstream. Nothing has moved.
var (
	ErrAllowance = errors.New("rules: more than this virtual card may spend without asking upstream")
	ErrKeys      = errors.New("rules: list of lost phones is too old")
)

// Allowance is what the campus has signed for a phone, and how much of it is
// known to be gone.
type Allowance struct {
	CodeMax money.Fen // of one code
	DayMax  money.Fen // of all of an account's codes in a day, in the dark
	Spent   money.Fen // of the day: by this terminal and those that it hears
}

// DarkCode says why no code at all may be taken without asking upstream, or nil, as
// [Rules.Dark] does of cards. Of s, ListAge is the age of the list of lost phones.
func (r Rules) DarkCode(s Sale) error {
	if r.CodeStop.before(s.ListAge) {
		return ErrKeys
	}
	if err := r.Dark(s); err != nil {
		return err
	}
	if max(s.Amount, 1) > r.DailyLimit { // which a code has no PIN for
		return ErrAllowance
	}
	return nil
}

// AloneCode decides about a code of which upstream has said nothing. Of s, ListAge
// is the age of the list of lost phones, and Here is the account's. A phone keeps
// no PIN that could be checked here: what would want one is not sold.
func (r Rules) AloneCode(s Sale, a Allowance) error {
	if r.CodeStop.before(s.ListAge) {
		return ErrKeys
	}
	r, err := r.aged(s)
	switch {
	case err != nil:
		return err
	case s.Amount > a.CodeMax, a.Spent+s.Amount > a.DayMax, !s.PIN && s.Spent+s.Amount > r.DailyLimit:
		return ErrAllowance
	case s.Amount > r.SaleMax:
		return ErrSale
	case s.Here+s.Amount > r.DayMax, s.HereCount >= r.DayCount:
		return ErrDay
	case s.Unknown:
		return ErrPast
	case s.QueueHour+s.Amount > r.HourMax:
		return ErrHour
	}
	return nil
}
