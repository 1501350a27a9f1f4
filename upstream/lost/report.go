package lost

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/money"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Request asks for the cards of an account to be stopped. Whose it is has been
// proved by then.
type Request struct {
	Ref      string
	Terminal string
	Account  store.Account
}

// refMax is how long a reference may be: as in the schema.
const refMax = 64

// Report stops the cards of an account. The same reference again is the same report,
// as it stands by now. Refusals: NoCard, Conflict, Ended.
func (d *Desk) Report(ctx context.Context, q Request) (Loss, error) {
	err := d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, q.Ref); err != nil {
			return err
		}
		was, err := readReport(ctx, tx, q.Ref)
		switch {
		case err == nil && (was.Terminal != q.Terminal || was.Account != q.Account):
			return refuse(Conflict)
		case err == nil || !errors.Is(err, store.ErrNone):
			return err
		}
		if err := mayBegin(ctx, tx, q.Ref); err != nil {
			return err
		}
		return d.stop(ctx, tx, q)
	})
	if err != nil {
		return Loss{}, fmt.Errorf("report a loss of %s: %w", q.Account, err)
	}
	return d.Loss(ctx, q.Terminal, q.Ref)
}

// stop puts the cards onto the hotlist that are not on it, and writes the report.
func (d *Desk) stop(ctx context.Context, tx *sqldb.Tx, q Request) error {
	if _, err := d.books.LockHolder(ctx, tx, q.Account); err != nil {
		return err
	}
	cards, err := d.books.CardsIn(ctx, tx, q.Account)
	if err != nil {
		return err
	}
	again := true
	for _, c := range cards {
		if c.Status != store.CardActive {
			continue
		}
		again = false
		if err := d.books.ChangeCard(ctx, tx, c.No, store.CardHot); err != nil {
			return err
		}
	}
	var version, stopped int64
	err = tx.QueryRow(ctx, hotOf+` ORDER BY h.version DESC LIMIT 1`, q.Account).Scan(&version, &stopped)
	if errors.Is(err, sql.ErrNoRows) {
		return refuse(NoCard)
	}
	if err != nil {
		return err
	}
	free := stopped + d.policy.Risk.Milliseconds()
	_, err = tx.Exec(ctx, `
		INSERT INTO lost_reports (ref, terminal, account, version, again, stopped_ms, free_ms, at_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		q.Ref, q.Terminal, q.Account, version, again, stopped, free, max(stopped, d.books.Now().UnixMilli()))
	return err
}

// lastChange is the number of the last change of a card c's status.
const lastChange = `(SELECT max(version) FROM hot_changes WHERE card_no = c.card_no)`

// hotOf is with which version, and when, the lost cards of an account ?1 came
// onto the hotlist.
const hotOf = `
	SELECT h.version, h.at_ms FROM cards c JOIN hot_changes h ON h.version = ` + lastChange + `
	WHERE c.account = ?1 AND c.status = 2`

// Loss returns a terminal's report as it stands. Refusal: RefUnknown.
func (d *Desk) Loss(ctx context.Context, terminal, ref string) (l Loss, err error) {
	var purse money.Fen
	var know []string
	err = d.books.Read(ctx, func(tx *sqldb.Tx) error {
		l, err = readReport(ctx, tx, ref)
		if err == nil && l.Terminal != terminal {
			err = store.ErrNone
		}
		if err == nil {
			purse, err = l.readCards(ctx, tx)
		}
		if err == nil {
			know, err = sqldb.Texts(ctx, tx, `SELECT id FROM terminals WHERE EXISTS (
				SELECT 1 FROM hotlists_heard WHERE terminal = terminals.id AND version >= ?)`, int64(l.Version))
		}
		return err
	})
	if errors.Is(err, store.ErrNone) {
		return Loss{}, refuse(RefUnknown)
	}
	if err != nil {
		return Loss{}, fmt.Errorf("loss %q: %w", ref, err)
	}
	all, err := d.books.Terminals(ctx)
	if err != nil {
		return Loss{}, fmt.Errorf("who knows of loss %q: %w", ref, err)
	}
	now := d.books.Now()
	l.count(all, know, now)
	if l.Stopped.After(now.Add(aheadMax)) {
		l.Stopped, l.Free = now, now // by a clock that was ahead: nobody knows when, and its holder bears nothing
	}
	if l.Told < l.Terminals && now.Before(l.Free) {
		l.AtRisk = max(0, purse)
	}
	return l, nil
}

// aheadMax is how far another campusd's clock may be ahead.
const aheadMax = time.Hour

// readCards reads what has become of the cards that were stopped, and returns what
// the purses of those that still are may hold.
func (l *Loss) readCards(ctx context.Context, tx *sqldb.Tx) (purse money.Fen, err error) {
	var n int
	err = tx.QueryRow(ctx, `
		SELECT count(*), CAST(coalesce(sum(c.mirror_fen), 0) AS BIGINT) FROM cards c
		WHERE c.account = ? AND c.status = 2 AND `+lastChange+` <= ?`, l.Account, l.Version).Scan(&n, &purse)
	if err != nil {
		return 0, err
	}
	l.Over = n == 0
	if !l.Over {
		l.Found, err = foundOf(ctx, tx, l.Account)
	}
	return purse, err
}

// silentMax is how long a terminal may have said nothing and still be waited for. No
// school can have terminals sell by a list that is older than that (kiosk/rules), so
// one that was forgotten in a cupboard does not keep anybody waiting.
const silentMax = 31 * 24 * time.Hour

// count counts the terminals that take cards, and those of them that know: they have told
// so, and have not gone back since.
func (l *Loss) count(all []store.Terminal, know []string, now time.Time) {
	for _, t := range all {
		if t.Revoked || t.Heard.IsZero() || now.Sub(t.Heard) > silentMax {
			continue
		}
		l.Terminals++
		if t.Feeds[store.FeedHotlist] >= l.Version && slices.Contains(know, t.ID) {
			l.Told++
		}
	}
}

// End returns a terminal's report if it was made, and otherwise sees to it that it
// never is; was says which. It is for a report whose answer was lost, and may be
// repeated. Refusal: Conflict, for the report of another terminal.
func (d *Desk) End(ctx context.Context, terminal, ref string) (l Loss, was bool, err error) {
	if ref == "" || len(ref) > refMax {
		return Loss{}, false, refuse(Malformed)
	}
	err = d.books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := lockRef(ctx, tx, ref); err != nil {
			return err
		}
		l, err := readReport(ctx, tx, ref)
		if was = err == nil; was && l.Terminal != terminal {
			return refuse(Conflict)
		}
		if was || !errors.Is(err, store.ErrNone) {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO lost_ended (ref, terminal, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			ref, terminal, d.books.Now().UnixMilli())
		return err
	})
	if err != nil {
		return Loss{}, false, fmt.Errorf("end loss %q: %w", ref, err)
	}
	if was {
		l, err = d.Loss(ctx, terminal, ref)
	}
	return l, was, err
}

// lockRef keeps whoever makes, or ends, the report of the same name out until the
// transaction ends.
func lockRef(ctx context.Context, tx *sqldb.Tx, ref string) error { return tx.Lock(ctx, "lost "+ref) }

// mayBegin returns nil if nobody has given the report of a name up.
func mayBegin(ctx context.Context, tx *sqldb.Tx, ref string) error {
	var ended bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM lost_ended WHERE ref = ?)`, ref).Scan(&ended)
	if err == nil && ended {
		err = refuse(Ended)
	}
	return err
}

// readReport returns a report, or [store.ErrNone].
func readReport(ctx context.Context, q sqldb.Querier, ref string) (l Loss, err error) {
	var stopped, free, at int64
	err = q.QueryRow(ctx, `
		SELECT r.ref, r.terminal, r.account, h.name, h.number, r.version, r.again, r.stopped_ms, r.free_ms, r.at_ms
		FROM lost_reports r JOIN holders h ON h.account = r.account WHERE r.ref = ?`, ref).
		Scan(&l.Ref, &l.Terminal, &l.Account, &l.Name, &l.Number, &l.Version, &l.Again, &stopped, &free, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNone
	}
	l.Stopped, l.Free, l.At = time.UnixMilli(stopped).UTC(), time.UnixMilli(free).UTC(), time.UnixMilli(at).UTC()
	return l, err
}
