// Package rules says what a terminal may sell while upstream does not answer:
// the offline rules of design chapter 2. They bound what can be lost in the
// dark, and are the school's, which sends them down in the feed "settings".
//
// It is pure: it reads no clock, no card and no list, and is told what they say.
package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quancun/money"
)

// Rules are the limits. Make them with [Default] or [Parse].
type Rules struct {
	// DailyLimit is what a card may spend in a day before its PIN is asked,
	// where upstream does not say otherwise.
	DailyLimit money.Fen `json:"daily_limit_fen"`

	SaleMax  money.Fen `json:"offline_sale_max_fen"`  // of one sale
	DayMax   money.Fen `json:"offline_day_max_fen"`   // of one card, one day, at one terminal
	DayCount int       `json:"offline_day_count_max"` // of the same, sales
	HourMax  money.Fen `json:"offline_hour_max_fen"`  // of one terminal, in any hour

	// A hotlist that is too old misses cards that were lost since: the limits
	// are halved, and then nothing is sold.
	ListHalve Hours `json:"hotlist_halve_hours"`
	ListStop  Hours `json:"hotlist_stop_hours"`

	// So do sales that nobody upstream knows of: the limits are halved, then
	// only small sums are sold, then nothing.
	QueueHalve Hours     `json:"queue_halve_hours"`
	QueueSmall Hours     `json:"queue_small_hours"`
	QueueStop  Hours     `json:"queue_stop_hours"`
	Small      money.Fen `json:"queue_small_fen"`
	QueueMax   money.Fen `json:"queue_max_fen"` // what may wait in all
	QueueCount int64     `json:"queue_count_max"`

	// A phone's code is good for so long, from when it was made. The list of lost
	// phones may be so old, and then no code is taken without asking upstream.
	CodeLife Seconds `json:"code_life_seconds"`
	CodeStop Hours   `json:"code_list_stop_hours"`
}

// Hours is a length of time, in whole hours.
type Hours int

func (h Hours) before(age time.Duration) bool { return age > time.Duration(h)*time.Hour }

// Default returns the limits of a school that has not set any.
func Default() Rules {
	return Rules{
		DailyLimit: 50 * money.Yuan,
		SaleMax:    100 * money.Yuan, DayMax: 200 * money.Yuan, DayCount: 20,
		HourMax:   20_000 * money.Yuan, // twice what a busy till takes at noon
		ListHalve: 72, ListStop: 7 * 24,
		QueueHalve: 24, QueueSmall: 72, QueueStop: 7 * 24, Small: 30 * money.Yuan,
		QueueMax: 100_000 * money.Yuan, QueueCount: 100_000, // more than a busy till sells in three days
		CodeLife: 60, CodeStop: 48,
	}
}

// hoursMax keeps a slip of the pen, a year for a day, from being a rule.
const hoursMax Hours = 31 * 24

// Parse reads the content of the feed "settings": JSON, of which what is left
// out is as in [Default], and what this program does not know is for later ones.
func Parse(content []byte) (Rules, error) {
	r := Default()
	if err := json.Unmarshal(content, &r); err != nil {
		return Rules{}, fmt.Errorf("settings: %w", err)
	}
	if err := r.check(); err != nil {
		return Rules{}, fmt.Errorf("settings: %w", err)
	}
	return r, nil
}

// limitError is a limit that cannot be one.
type limitError struct{ key, why string }

func (e *limitError) Error() string { return e.key + " " + e.why }

func (r Rules) check() error {
	for key, n := range map[string]int64{
		"daily_limit_fen":      int64(r.DailyLimit),
		"offline_sale_max_fen": int64(r.SaleMax),
		"offline_day_max_fen":  int64(r.DayMax), "offline_day_count_max": int64(r.DayCount),
		"offline_hour_max_fen": int64(r.HourMax),
		"queue_small_fen":      int64(r.Small),
		"queue_max_fen":        int64(r.QueueMax), "queue_count_max": r.QueueCount,
	} {
		if n < 0 {
			return &limitError{key, "is below zero"}
		}
	}
	for key, h := range map[string]Hours{
		"hotlist_halve_hours": r.ListHalve, "hotlist_stop_hours": r.ListStop,
		"queue_halve_hours": r.QueueHalve, "queue_small_hours": r.QueueSmall, "queue_stop_hours": r.QueueStop,
		"code_list_stop_hours": r.CodeStop,
	} {
		if h < 0 || h > hoursMax {
			return &limitError{key, fmt.Sprintf("is not between 0 and %d", hoursMax)}
		}
	}
	if r.CodeLife < codeLifeMin || r.CodeLife > codeLifeMax {
		return &limitError{"code_life_seconds", fmt.Sprintf("is not between %d and %d", codeLifeMin, codeLifeMax)}
	}
	return nil
}

// Why a sale may not be made. Nothing has moved.
var (
	ErrHot   = errors.New("rules: card is on the hotlist")
	ErrPurse = errors.New("rules: purse holds less")
	ErrSale  = errors.New("rules: more than may be sold at once without asking upstream")
	ErrDay   = errors.New("rules: more than this card may spend here in a day without asking upstream")
	ErrHour  = errors.New("rules: more than this terminal may sell in an hour without asking upstream")
	ErrPast  = errors.New("rules: nobody can tell what was sold here earlier today")
	ErrList  = errors.New("rules: hotlist is too old")
	ErrQueue = errors.New("rules: too much has not been told upstream")
	ErrPIN   = errors.New("rules: above the daily limit, the PIN is asked")
)

// Sale is all that is known about a sale and its card.
type Sale struct {
	Amount money.Fen
	Purse  money.Fen // on the card
	PIN    bool      // the holder's PIN was checked for this sale

	Hot     bool
	ListAge time.Duration

	Spent     money.Fen // by this card today: the most that anything says
	Here      money.Fen // by this card today at this terminal
	HereCount int
	Unknown   bool // whether there was more here today: a part of the journal cannot be read

	QueueAge    time.Duration
	QueueAmount money.Fen
	QueueCount  int64
	QueueHour   money.Fen // of QueueAmount, in the last hour
}

// NeedPIN returns [ErrPIN] if a sale that is otherwise good wants the holder's
// PIN. limit is the card's daily limit.
func NeedPIN(s Sale, limit money.Fen) error {
	if !s.PIN && s.Spent+s.Amount > limit {
		return ErrPIN
	}
	return nil
}

// Alone decides about a sale of which upstream has said nothing.
func (r Rules) Alone(s Sale) error {
	if s.Hot {
		return ErrHot
	}
	r, err := r.aged(s)
	switch {
	case err != nil:
		return err
	case s.Amount > s.Purse:
		return ErrPurse
	case s.Amount > r.SaleMax:
		return ErrSale
	case s.Here+s.Amount > r.DayMax, s.HereCount >= r.DayCount:
		return ErrDay
	case s.Unknown:
		return ErrPast
	case s.QueueHour+s.Amount > r.HourMax:
		return ErrHour
	}
	return NeedPIN(s, r.DailyLimit)
}

// Budget is what may still be sold without asking upstream, as things stand.
// Its zero value is nothing.
type Budget struct {
	Sale money.Fen // at once
	Left money.Fen // in all, until upstream has been told or an hour is over
	Max  money.Fen // that Left can be
}

// Budget returns what may still be sold alone, for the age of the list and of
// the queue in s and what the queue holds, to who has bought nothing yet. Of the
// card nothing is asked.
func (r Rules) Budget(s Sale) Budget {
	most := r.QueueMax
	r, err := r.aged(Sale{
		ListAge: s.ListAge, QueueAge: s.QueueAge, QueueAmount: s.QueueAmount, QueueCount: s.QueueCount,
	})
	if err != nil {
		return Budget{Max: most}
	}
	left := max(most-s.QueueAmount, 0)
	if hour := max(r.HourMax-s.QueueHour, 0); hour < left {
		left, most = hour, r.HourMax
	}
	if r.DayCount == 0 {
		return Budget{Max: most}
	}
	return Budget{Sale: min(r.SaleMax, r.DayMax, left), Left: left, Max: most}
}

// Dark says why nothing may be sold to any card without asking upstream, or nil. It
// looks at what [Rules.Budget] looks at, and at the price, if s has one; Unknown is
// whether nobody can tell of any card what it has spent here today.
func (r Rules) Dark(s Sale) error {
	price := max(s.Amount, 1)
	s.Amount = 0
	_, err := r.aged(s)
	switch {
	case err != nil:
		return err
	case s.Unknown:
		return ErrPast
	case price > r.Budget(s).Sale:
		return ErrSale
	}
	return nil
}

// aged returns the limits as they are for how old the list and the queue are.
func (r Rules) aged(s Sale) (Rules, error) {
	switch {
	case r.ListStop.before(s.ListAge):
		return r, ErrList
	case r.QueueStop.before(s.QueueAge), s.QueueAmount+s.Amount > r.QueueMax, s.QueueCount >= r.QueueCount:
		return r, ErrQueue
	}
	if r.ListHalve.before(s.ListAge) || r.QueueHalve.before(s.QueueAge) {
		r.SaleMax, r.DayMax, r.DayCount, r.HourMax = r.SaleMax/2, r.DayMax/2, r.DayCount/2, r.HourMax/2
	}
	if r.QueueSmall.before(s.QueueAge) {
		r.SaleMax = min(r.SaleMax, r.Small)
	}
	return r, nil
}
