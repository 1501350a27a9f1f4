package holder

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Check is what the holder of a card compares with the card (首次使用核对).
type Check struct {
	Wanted     bool // it is new and nobody has compared it, or the name was corrected since it was wrong
	Name       string
	Number     string
	InitialPIN bool // the PIN is still the one that was made from the ID number
}

// Acts of package centre.
const (
	named  = 4
	pinSet = 5
	issued = 7
	opened = 8 // with a PIN that the holder has chosen
)

// DetailsWrong is the kind of a line of the inbox: what is registered is not what
// is on a card. It is about the card's number.
const DetailsWrong = "card details wrong"

// Check returns what is to be compared with a card of an account.
func (d *Desk) Check(ctx context.Context, a store.Account, cardNo string) (c Check, err error) {
	err = d.Books.Read(ctx, func(tx *sqldb.Tx) error {
		c = Check{}
		var set bool
		err := tx.QueryRow(ctx, `
			SELECT name, number, EXISTS (SELECT 1 FROM centre_acts WHERE account = ?1 AND kind IN (?2, ?3))
			FROM holders WHERE account = ?1`, a, pinSet, opened).Scan(&c.Name, &c.Number, &set)
		if err != nil {
			return err
		}
		c.InitialPIN = !set
		c.Wanted, _, err = wanted(ctx, tx, a, cardNo)
		return err
	})
	if err != nil {
		return Check{}, fmt.Errorf("read card check: %w", err)
	}
	return c, nil
}

// said is what was said of a card last; at 0 for nothing.
type said struct {
	at     int64
	agrees bool
}

func last(ctx context.Context, tx *sqldb.Tx, cardNo string) (s said, err error) {
	err = tx.QueryRow(ctx, `SELECT at_ms, agrees FROM card_checks WHERE card_no = ? ORDER BY at_ms DESC LIMIT 1`,
		cardNo).Scan(&s.at, &s.agrees)
	if errors.Is(err, sql.ErrNoRows) {
		return said{}, nil
	}
	return s, err
}

// wanted reports whether a card is to be compared: it was issued here and never was,
// or the name was corrected since it was called wrong. What was in use before these
// books were kept is not new to its holder.
func wanted(ctx context.Context, tx *sqldb.Tx, a store.Account, cardNo string) (yes bool, before said, err error) {
	before, err = last(ctx, tx, cardNo)
	if err != nil || before.agrees {
		return false, before, err
	}
	query, args := `SELECT EXISTS (SELECT 1 FROM centre_acts WHERE account = ? AND kind = ? AND card_no = ?)`,
		[]any{a, issued, cardNo}
	if before.at != 0 {
		query = `SELECT EXISTS (SELECT 1 FROM centre_acts WHERE account = ? AND kind = ? AND at_ms > ?)`
		args = []any{a, named, before.at}
	}
	err = tx.QueryRow(ctx, query, args...).Scan(&yes)
	return yes, before, err
}

// Checked is what a holder has said of a card.
type Checked struct {
	Card     string
	Terminal string
	Agrees   bool // what is registered is what is on the card
}

// Checked writes down what a holder has said. The same again changes nothing. What
// is wrong is a line of the inbox, for the card centre.
func (d *Desk) Checked(ctx context.Context, c Checked) error {
	err := d.Books.Write(ctx, func(tx *sqldb.Tx) error {
		var a store.Account
		err := tx.QueryRow(ctx, `SELECT account FROM cards WHERE card_no = ? FOR NO KEY UPDATE`, c.Card).Scan(&a)
		if err != nil {
			return err
		}
		again, before, err := wanted(ctx, tx, a, c.Card)
		if err != nil || !again && before.at != 0 && before.agrees == c.Agrees {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO card_checks (card_no, at_ms, terminal, agrees) VALUES (?, ?, ?, ?)`,
			c.Card, max(d.Books.Now().UnixMilli(), before.at+1), c.Terminal, c.Agrees)
		if err != nil || c.Agrees {
			return err
		}
		return d.Books.Except(ctx, tx, []store.Exception{{
			Kind: DetailsWrong, Ref: c.Card, Terminal: c.Terminal, Owner: "card centre",
			Detail:   "its holder says that name or number is not what is on the card",
			NextStep: "compare the register with the card when its holder comes; correct the name",
		}})
	})
	if err != nil {
		return fmt.Errorf("write card check: %w", err)
	}
	return nil
}

// checks are promises as queries for what breaks them.
var checks = []struct{ name, query string }{
	{"card was called wrong by its holder, and is not in the inbox", `
		SELECT c.card_no FROM card_checks c WHERE NOT c.agrees AND NOT EXISTS (SELECT 1 FROM exceptions x
			WHERE x.kind = '` + DetailsWrong + `' AND x.ref = c.card_no)`},
}

// Verify checks what must always hold. It returns one line for each break, and none
// when all is well.
func Verify(ctx context.Context, books *store.Books) (broken []string, err error) {
	err = books.Read(ctx, func(tx *sqldb.Tx) error {
		broken = nil
		for _, c := range checks {
			lines, err := sqldb.Texts(ctx, tx, c.query)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			for _, which := range lines {
				broken = append(broken, c.name+": "+which)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify card checks: %w", err)
	}
	return broken, nil
}
