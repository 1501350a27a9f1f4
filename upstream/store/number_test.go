package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// TestNumbered looks people up by numbers as they are typed: capitals from a kiosk's
// letters, and nobody for what may be two.
func TestNumbered(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		b := open(t, p, nil)
		for i, no := range []string{"b20a", "c1", "C1", "dD1", "Dd1", "É1", "2026000101"} {
			h := store.Holder{Account: store.HolderAccount(fmt.Sprint(i)), Name: "张三", Number: no}
			if err := b.AddHolder(t.Context(), h, store.PIN{}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for typed, want := range map[string]string{
			"B20A": "b20a", "b20a": "b20a", "c1": "c1", "C1": "C1", "dD1": "dD1", "DD1": "", "dd1": "",
			"É1": "É1", "é1": "", "2026000101": "2026000101", "2026000102": "", "": "",
		} {
			h, err := store.Numbered(t.Context(), b.Live(), typed)
			if want == "" && !errors.Is(err, store.ErrNone) || want != "" && err != nil || h.Number != want {
				t.Errorf("Numbered(%q) = %q, %v; want %q", typed, h.Number, err, want)
			}
		}
		check(t, b)
	})
}

// TestNumberedByIndex: nobody is looked at whose number was not typed.
func TestNumberedByIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		b := open(t, p, nil)
		how := `EXPLAIN QUERY PLAN ` + store.ByNumber
		if p.postgres() {
			how = `EXPLAIN ` + store.ByNumber
		}
		var plan []string
		err := b.Read(t.Context(), func(tx *sqldb.Tx) error {
			if p.postgres() { // so few people would be faster to look through
				var was string
				if err := tx.QueryRow(t.Context(), `SELECT set_config('enable_seqscan', 'off', true)`).Scan(&was); err != nil {
					return err
				}
			}
			return sqldb.Each(t.Context(), tx, func(rows *sql.Rows) error {
				line, places := "", []any{}
				names, err := rows.Columns()
				for range names {
					places = append(places, new(any))
				}
				err = errors.Join(err, rows.Scan(places...))
				for _, v := range places {
					line += fmt.Sprintln(*v.(*any))
				}
				plan = append(plan, line)
				return err
			}, how, 5, "b20a")
		})
		if text := strings.Join(plan, ""); err != nil || !strings.Contains(text, "holders_by_number") {
			t.Errorf("it is looked for by %s, %v", text, err)
		}
	})
}
