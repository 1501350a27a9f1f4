package bath

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quancun/bathcode"
	"quancun/journal"
	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/water"
)

// Hall is a bath.
type Hall struct {
	No       uint16
	Name     string
	Merchant string       // to whom the water is owed
	Whole    bool         // a code opens whichever stall is free; else it is of one stall
	Cap      money.Fen    // that is held for a shower
	Tariff   water.Tariff // from now on
	Cancel   int          // minutes before a slot, until when it can be cancelled
	Closed   bool         // nothing is reserved

	Stalls []Stall
	Slots  []Slot
}

// Stall is one of its showers.
type Stall struct {
	No     uint16
	Closed bool
}

// Slot is a time of every day.
type Slot struct {
	water.Time
	Closed bool
}

// ErrHall means that something cannot be a hall, or a part of one.
var ErrHall = errors.New("bath: that cannot be")

// Limits of a hall.
const (
	capMax   = 100 * money.Yuan
	litreMax = money.Yuan
)

func (h Hall) check() error {
	switch {
	case h.No == 0 || h.Name == "" || len(h.Name) > 60 || !journal.IsName(h.Merchant):
		return fmt.Errorf("%w: hall %d, %q, of %q", ErrHall, h.No, h.Name, h.Merchant)
	case h.Cap <= 0 || h.Cap > capMax || h.Tariff.PerLitre <= 0 || h.Tariff.PerLitre > litreMax:
		return fmt.Errorf("%w: %s a litre, %s at most", ErrHall, h.Tariff.PerLitre, h.Cap)
	case h.Tariff.PulsesPerLitre <= 0 || h.Tariff.PulsesPerLitre > 100_000 || h.Cancel < 0 || h.Cancel > 24*60:
		return fmt.Errorf("%w: %d pulses a litre, cancelled %d minutes before",
			ErrHall, h.Tariff.PulsesPerLitre, h.Cancel)
	}
	return nil
}

// AddHall adds a hall without stalls and slots. [store.ErrConflict] for a number
// that is in use.
func (d *Desk) AddHall(ctx context.Context, h Hall) error {
	if err := h.check(); err != nil {
		return err
	}
	return d.change(ctx, "add hall", store.ErrConflict, `
		INSERT INTO bath_halls (hall, name, merchant, whole, cap_fen, litre_fen, litre_pulses, cancel_min)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		h.No, h.Name, h.Merchant, h.Whole, h.Cap, h.Tariff.PerLitre, h.Tariff.PulsesPerLitre, h.Cancel)
}

// SetHall changes a hall's name, price, cap and time to cancel, and whether it is
// closed. What is reserved stays as it was shown. Its controllers need a new setup.
func (d *Desk) SetHall(ctx context.Context, h Hall) error {
	if err := h.check(); err != nil {
		return err
	}
	return d.change(ctx, "set hall", store.ErrNone, `
		UPDATE bath_halls SET name = ?, cap_fen = ?, litre_fen = ?, litre_pulses = ?, cancel_min = ?, closed = ?
		WHERE hall = ?`,
		h.Name, h.Cap, h.Tariff.PerLitre, h.Tariff.PulsesPerLitre, h.Cancel, h.Closed, h.No)
}

// SetStall adds a stall to a hall, or opens or closes it.
func (d *Desk) SetStall(ctx context.Context, hall uint16, s Stall) error {
	if s.No == 0 {
		return fmt.Errorf("%w: stall 0", ErrHall)
	}
	if _, err := d.Hall(ctx, hall); err != nil {
		return err
	}
	return d.change(ctx, "set stall", store.ErrNone, `
		INSERT INTO bath_stalls (hall, stall, closed) VALUES (?, ?, ?)
		ON CONFLICT (hall, stall) DO UPDATE SET closed = excluded.closed`, hall, s.No, s.Closed)
}

// AddSlots divides a time of every day into slots of so many minutes, and returns
// them. Their numbers are new: a number never comes to mean another time.
func (d *Desk) AddSlots(ctx context.Context, hall uint16, t water.Time, minutes int) (added []Slot, err error) {
	if t.From < 0 || t.To > 24*60 || minutes < 5 || t.To-t.From < minutes {
		return nil, fmt.Errorf("%w: slots of %d minutes from %d to %d", ErrHall, minutes, t.From, t.To)
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		added = nil
		if _, err := lockHall(ctx, tx, hall); err != nil {
			return err
		}
		slots, err := readSlots(ctx, tx, hall)
		if err != nil {
			return err
		}
		for from := t.From; from+minutes <= t.To; from += minutes {
			s := Slot{Time: water.Time{No: uint8(len(slots)), From: from, To: from + minutes}}
			if err := fits(s, slots); err != nil {
				return err
			}
			slots, added = append(slots, s), append(added, s)
			_, err := tx.Exec(ctx, `INSERT INTO bath_slots (hall, slot, from_min, to_min) VALUES (?, ?, ?, ?)`,
				hall, s.No, s.From, s.To)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add slots: %w", err)
	}
	return added, nil
}

// fits refuses a slot for which there is no number, or in whose time there is one.
func fits(s Slot, others []Slot) error {
	if len(others) > 255 {
		return fmt.Errorf("%w: a hall has had 256 slots", ErrHall)
	}
	for _, o := range others {
		if !o.Closed && s.From < o.To && o.From < s.To {
			return fmt.Errorf("%w: slot %d is at that time", ErrHall, o.No)
		}
	}
	return nil
}

// CloseSlot ends a slot: nothing more is reserved in it. What is reserved stays.
func (d *Desk) CloseSlot(ctx context.Context, hall uint16, slot uint8) error {
	return d.change(ctx, "close slot", store.ErrNone,
		`UPDATE bath_slots SET closed = ? WHERE hall = ? AND slot = ?`, true, hall, slot)
}

// change runs one statement. none is the error if it changes nothing.
func (d *Desk) change(ctx context.Context, name string, none error, statement string, args ...any) error {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		r, err := tx.Exec(ctx, statement, args...)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err == nil && n == 0 {
			err = none
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Halls returns all halls.
func (d *Desk) Halls(ctx context.Context) (all []Hall, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		all, err = readHalls(ctx, tx, ``)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read halls: %w", err)
	}
	return all, nil
}

// Hall returns a hall, or [store.ErrNone].
func (d *Desk) Hall(ctx context.Context, no uint16) (h Hall, err error) {
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		h, err = readHall(ctx, tx, no)
		return err
	})
	return h, err
}

func readHall(ctx context.Context, q sqldb.Querier, no uint16) (Hall, error) {
	all, err := readHalls(ctx, q, `WHERE hall = ?`, no)
	if err == nil && len(all) == 0 {
		err = store.ErrNone
	}
	if err != nil {
		return Hall{}, fmt.Errorf("read hall: %w", err)
	}
	return all[0], nil
}

// lockHall keeps everybody else from reserving in a hall until the transaction ends.
func lockHall(ctx context.Context, tx *sqldb.Tx, no uint16) (Hall, error) {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM bath_halls WHERE hall = ? FOR NO KEY UPDATE`, no).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return Hall{}, store.ErrNone
	}
	if err != nil {
		return Hall{}, fmt.Errorf("lock hall: %w", err)
	}
	return readHall(ctx, tx, no)
}

func readHalls(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Hall, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var h Hall
		err := rows.Scan(&h.No, &h.Name, &h.Merchant, &h.Whole, &h.Cap, &h.Tariff.PerLitre,
			&h.Tariff.PulsesPerLitre, &h.Cancel, &h.Closed)
		all = append(all, h)
		return err
	}, `SELECT hall, name, merchant, whole, cap_fen, litre_fen, litre_pulses, cancel_min, closed
		FROM bath_halls `+where+` ORDER BY hall`, args...)
	for i := range all {
		h := &all[i]
		var err1, err2 error
		h.Slots, err1 = readSlots(ctx, q, h.No)
		h.Stalls, err2 = readStalls(ctx, q, h.No)
		err = errors.Join(err, err1, err2)
	}
	return all, err
}

func readStalls(ctx context.Context, q sqldb.Querier, hall uint16) (all []Stall, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var s Stall
		err := rows.Scan(&s.No, &s.Closed)
		all = append(all, s)
		return err
	}, `SELECT stall, closed FROM bath_stalls WHERE hall = ? ORDER BY stall`, hall)
	return all, err
}

func readSlots(ctx context.Context, q sqldb.Querier, hall uint16) (all []Slot, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var s Slot
		err := rows.Scan(&s.No, &s.From, &s.To, &s.Closed)
		all = append(all, s)
		return err
	}, `SELECT slot, from_min, to_min, closed FROM bath_slots WHERE hall = ? ORDER BY slot`, hall)
	return all, err
}

// The times of a controller (section 5.2).
const (
	noFlow   = 90
	pauseMax = 8 * 60
)

// Setup returns what a controller is to be given: that of a stall, or for stall 0
// that of a whole hall. It holds keys for this month and the next, and no others.
func (d *Desk) Setup(ctx context.Context, hall, stall uint16) (water.Setup, error) {
	h, err := d.Hall(ctx, hall)
	if err != nil {
		return water.Setup{}, err
	}
	s := water.Setup{
		Hall: hall, Stall: stall, Name: h.Name, Tariff: h.Tariff, Cap: h.Cap,
		Grace: water.Seconds(d.policy.Grace / time.Second), NoFlow: noFlow, PauseMax: pauseMax,
	}
	for _, t := range h.Stalls {
		if stall == 0 || t.No == stall {
			s.Stalls = append(s.Stalls, t.No)
		}
	}
	for _, t := range h.Slots { // the closed ones too: a code may have been given
		s.Times = append(s.Times, t.Time)
	}
	switch {
	case h.Whole != (stall == 0):
		return water.Setup{}, fmt.Errorf("%w: hall %d has codes of another kind: of one stall, or of the whole hall",
			ErrHall, hall)
	case len(s.Stalls) == 0 || len(s.Times) == 0:
		return water.Setup{}, fmt.Errorf("%w: hall %d has no such stall, or no slots", ErrHall, hall)
	}
	now := bathcode.DayOf(d.books.Now())
	for _, day := range []bathcode.Day{now, nextMonth(now)} {
		s.Keys = append(s.Keys, water.MonthKey{Day: day, Key: water.Secret(d.master.Key(s.Place(), day).Bytes())})
	}
	return s, nil
}

// nextMonth returns the first day of the month after that of d.
func nextMonth(d bathcode.Day) bathcode.Day {
	t := d.Start()
	return bathcode.DayOf(time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, t.Location()))
}
