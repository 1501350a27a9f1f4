package centre

import (
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"quancun/journal"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Register is how the school calls its people, by student or staff number. A clerk
// takes names from it, because a terminal has no keyboard for them.
type Register map[string]string

// ReadRegister reads a table (RFC 4180, UTF-8) with a number and a name in each
// line. A line that cannot be is an error, which names the line and not the person.
func ReadRegister(r io.Reader) (Register, error) {
	all, in := Register{}, csv.NewReader(r)
	in.FieldsPerRecord = 2
	for {
		words, err := in.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
		switch line, _ := in.FieldPos(0); {
		case !journal.IsName(words[0]) || !isName(words[1]):
			return nil, fmt.Errorf("register: line %d is not a number and a name", line)
		case all[words[0]] != "":
			return nil, fmt.Errorf("register: line %d has a number that was there before", line)
		}
		all[words[0]] = words[1]
	}
}

// SetRegister puts r in the place of the register before.
func (d *Desk) SetRegister(ctx context.Context, r Register) error {
	var numbers, names []string
	for number, name := range r {
		numbers, names = append(numbers, number), append(names, name)
	}
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock(ctx, "centre register"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM centre_register`); err != nil || len(numbers) == 0 {
			return err
		}
		return tx.Insert(ctx, "centre_register (number, name)", "", numbers, names)
	})
	if err != nil {
		return fmt.Errorf("set register: %w", err)
	}
	return nil
}

// Registered returns how the school calls whoever has a number, or [store.ErrNone].
func (d *Desk) Registered(ctx context.Context, number string) (name string, err error) {
	err = d.books.Live().QueryRow(ctx, `SELECT name FROM centre_register WHERE number = ?`, number).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	return name, err
}
