package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/store/sqldb"
)

// LoadState says how far a load has come. Stored: never renumbered.
type LoadState int

// The states of a load. One that is not written may be offered again, and may
// still prove written: then the evidence wins.
const (
	LoadOpen       LoadState = 1
	LoadWritten    LoadState = 2
	LoadNotWritten LoadState = 3
)

// Load is the writing up of one purse.
type Load struct {
	ID       string // 32 hexadecimal digits, lower case
	CardNo   string
	Terminal string
	Amount   money.Fen
	OrderNo  string // the top-up that it carries out, or ""

	State    LoadState
	Claim    string // what a terminal says without proof
	Evidence string // what settled it
	Created  time.Time
}

// Offer is a card's answer to INITIALIZE FOR LOAD that was answered with a
// MAC2, and the stamp in that MAC2.
type Offer struct {
	LoadID     string
	Balance    uint32
	Counter    uint16
	KeyVersion byte
	Algorithm  byte
	Random     [4]byte
	MAC1       pboc.MAC
	Terminal   pboc.TerminalNo
	Stamp      pboc.Stamp
}

// Same reports whether o and p are one answer of the card.
func (o Offer) Same(p Offer) bool {
	o.Stamp, p.Stamp = pboc.Stamp{}, pboc.Stamp{}
	return o == p
}

// CardTx is one card and its loads, for one caller alone until it is done.
type CardTx interface {
	Card() Card
	// Available is the balance of the card's account less what is held.
	Available() (money.Fen, error)
	// Load returns a load of any card, or ErrNone.
	Load(id string) (Load, error)
	// Open returns the open loads of this card.
	Open() ([]Load, error)
	// Offers returns the offers of a load, newest first.
	Offers(loadID string) ([]Offer, error)
	// LastOffer returns this card's newest offer, or ErrNone.
	LastOffer() (Offer, error)
	// WrittenAt returns the load that is known to have been written at a value
	// of the card's counter, or ErrNone.
	WrittenAt(counter uint16) (Load, error)
	// AddLoad writes an open load down.
	AddLoad(l Load) error
	// AddOffer writes down an offer that will be answered. Its stamp is later
	// than all earlier ones of this card.
	AddOffer(o Offer) error
	// Settle moves a load, the claim of it, and when it is written the card's
	// mirror. A load that is written already does not move: ErrBackward.
	Settle(loadID string, to LoadState, evidence string) error
	// Claim notes what a terminal says of a load without proof.
	Claim(loadID, claim string) error
	Alarm(a Alarm) error
}

// WithCard lets do work on a card, all or nothing. Its error is ErrNone if
// the card was not issued here, or that of do; do may also keep what it has
// done and report its refusal otherwise. It may be called again from the start
// when the database asks for that, and what it did before is then undone.
func (b *Books) WithCard(ctx context.Context, no string, do func(CardTx) error) error {
	return b.db.Write(ctx, func(tx *sqldb.Tx) error {
		c, err := b.CardTx(ctx, tx, no)
		if err != nil {
			return err
		}
		return do(c)
	})
}

// CardTx locks a card and returns it for the rest of a transaction, or ErrNone.
func (b *Books) CardTx(ctx context.Context, tx *sqldb.Tx, no string) (CardTx, error) {
	if err := lockRow(ctx, tx, `SELECT 1 FROM cards WHERE card_no = ? FOR NO KEY UPDATE`, no); err != nil {
		return nil, err
	}
	c, err := readCard(ctx, tx, no)
	if err != nil {
		return nil, err
	}
	return &cardTx{ctx, b, tx, c}, nil
}

// Load returns a load, or ErrNone.
func (b *Books) Load(ctx context.Context, id string) (Load, error) { return readLoad(ctx, b.db, id) }

// LoadsOf returns the loads of a card, newest first.
func (b *Books) LoadsOf(ctx context.Context, cardNo string) ([]Load, error) {
	return readLoads(ctx, b.db, `WHERE card_no = ? ORDER BY created_ms DESC, load_id`, cardNo)
}

type cardTx struct {
	ctx  context.Context //nolint:containedctx // lives for one transaction
	b    *Books
	tx   *sqldb.Tx
	card Card
}

func (t *cardTx) Card() Card { return t.card }

func (t *cardTx) Available() (money.Fen, error) {
	at, err := t.b.lockAccounts(t.ctx, t.tx, []Account{t.card.Account}, nil)
	if err != nil {
		return 0, err
	}
	held, err := Held(t.ctx, t.tx, t.card.Account)
	return at[t.card.Account].Balance - held, err
}

// Held returns what holds, baths and unpaid bills keep of an account. Whoever
// decides by it has the account locked: nothing is held without that.
func Held(ctx context.Context, q sqldb.Querier, a Account) (f money.Fen, err error) {
	err = q.QueryRow(ctx, `SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM (
		SELECT amount_fen FROM holds WHERE account = ?1 AND state <= 2 AND NOT room
		UNION ALL SELECT cap_fen FROM bath_reservations WHERE account = ?1 AND hold = 1
		UNION ALL SELECT amount_fen FROM bills WHERE account = ?1 AND state IN (1, 2, 3, 6)) AS held`, a).Scan(&f)
	return f, err
}

// Kept returns what of an account's available money only the card may spend, where
// reserve is what the school keeps for it.
func Kept(available, reserve money.Fen) money.Fen { return min(max(available, 0), reserve) }

// Coming returns what may still come onto an account: by orders that might be paid,
// and in cash that a desk is about to take. Whoever decides by it has the account
// locked.
func Coming(ctx context.Context, q sqldb.Querier, a Account) (f money.Fen, err error) {
	err = q.QueryRow(ctx, `SELECT CAST(coalesce(sum(amount_fen), 0) AS BIGINT) FROM (
		SELECT amount_fen FROM orders WHERE account = ?1 AND state IN (1, 2, 3)
		UNION ALL SELECT amount_fen FROM holds WHERE account = ?1 AND state <= 2 AND room) AS coming`, a).Scan(&f)
	return f, err
}

func (t *cardTx) Load(id string) (Load, error) { return readLoad(t.ctx, t.tx, id) }

func (t *cardTx) Open() ([]Load, error) {
	return readLoads(t.ctx, t.tx, `WHERE card_no = ? AND state = 1 ORDER BY created_ms, load_id`, t.card.No)
}

func (t *cardTx) Offers(loadID string) ([]Offer, error) {
	return readOffers(t.ctx, t.tx, `WHERE load_id = ? ORDER BY stamp DESC`, loadID)
}

func (t *cardTx) LastOffer() (Offer, error) {
	all, err := readOffers(t.ctx, t.tx, `WHERE card_no = ? ORDER BY stamp DESC LIMIT 1`, t.card.No)
	if err == nil && len(all) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Offer{}, err
	}
	return all[0], nil
}

func (t *cardTx) WrittenAt(counter uint16) (Load, error) {
	all, err := readLoads(t.ctx, t.tx, `WHERE card_no = ?1 AND state = 2 AND load_id IN (
		SELECT load_id FROM load_offers WHERE card_no = ?1 GROUP BY load_id HAVING max(counter) = ?2)`,
		t.card.No, counter)
	if err == nil && len(all) == 0 {
		err = ErrNone
	}
	if err != nil {
		return Load{}, err
	}
	return all[0], nil
}

func (t *cardTx) AddLoad(l Load) error {
	_, err := t.tx.Exec(t.ctx, `
		INSERT INTO loads (load_id, card_no, terminal, amount_fen, order_no, created_ms) VALUES (?, ?, ?, ?, ?, ?)`,
		l.ID, t.card.No, l.Terminal, l.Amount, l.OrderNo, t.b.ms())
	if err != nil {
		return fmt.Errorf("write load: %w", err)
	}
	return nil
}

func (t *cardTx) AddOffer(o Offer) error {
	_, err := t.tx.Exec(t.ctx, `
		INSERT INTO load_offers (load_id, card_no, balance, counter, key_version, algorithm,
			random, mac1, terminal_no, stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		o.LoadID, t.card.No, o.Balance, o.Counter, o.KeyVersion, o.Algorithm,
		o.Random[:], o.MAC1[:], o.Terminal[:], o.Stamp[:])
	if err != nil {
		return fmt.Errorf("write offer: %w", err)
	}
	return nil
}

func (t *cardTx) Settle(loadID string, to LoadState, evidence string) error {
	l, err := t.Load(loadID)
	if err != nil {
		return err
	}
	if l.State == to {
		return nil
	}
	if l.State == LoadWritten {
		return fmt.Errorf("settle load: %w", ErrBackward)
	}
	var settled any
	if to != LoadOpen {
		settled = t.b.ms()
	}
	_, err = t.tx.Exec(t.ctx, `UPDATE loads SET state = ?, evidence = ?, settled_ms = ? WHERE load_id = ?`,
		to, evidence, settled, loadID)
	if err == nil && to != LoadOpen {
		_, err = t.tx.Exec(t.ctx, `UPDATE claims SET state = ?, evidence = ?, settled_ms = ?
			WHERE terminal = ? AND ref = ? AND kind = 20`, to, evidence, settled, l.Terminal, loadID)
	}
	if err != nil {
		return fmt.Errorf("settle load: %w", err)
	}
	if to != LoadWritten {
		return nil
	}
	err = t.b.movePurse(t.ctx, t.tx, purseMove{
		card: l.CardNo, kind: KindLoad, loadID: loadID, amount: l.Amount, place: l.Terminal,
	})
	t.card.Mirror += l.Amount
	return err
}

func (t *cardTx) Claim(loadID, claim string) error {
	_, err := t.tx.Exec(t.ctx, `UPDATE loads SET claim = ? WHERE load_id = ?`, claim, loadID)
	return err
}

func (t *cardTx) Alarm(a Alarm) error {
	_, err := t.b.alarm(t.ctx, t.tx, a)
	return err
}

func readLoad(ctx context.Context, q sqldb.Querier, id string) (Load, error) {
	all, err := readLoads(ctx, q, `WHERE load_id = ?`, id)
	if err != nil {
		return Load{}, fmt.Errorf("read load: %w", err)
	}
	if len(all) == 0 {
		return Load{}, ErrNone
	}
	return all[0], nil
}

func readLoads(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Load, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var l Load
		var created sql.NullInt64
		err := rows.Scan(&l.ID, &l.CardNo, &l.Terminal, &l.Amount, &l.OrderNo,
			&l.State, &l.Claim, &l.Evidence, &created)
		l.Created = fromMS(created)
		all = append(all, l)
		return err
	}, `SELECT load_id, card_no, terminal, amount_fen, order_no, state, claim, evidence, created_ms
		FROM loads `+where, args...)
	return all, err
}

func readOffers(ctx context.Context, q sqldb.Querier, where string, args ...any) (all []Offer, err error) {
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var o Offer
		var random, mac1, terminal, stamp []byte
		err := rows.Scan(&o.LoadID, &o.Balance, &o.Counter, &o.KeyVersion, &o.Algorithm,
			&random, &mac1, &terminal, &stamp)
		if err != nil {
			return err
		}
		o.Random, o.MAC1 = [4]byte(random), pboc.MAC(mac1)
		o.Terminal, o.Stamp = pboc.TerminalNo(terminal), pboc.Stamp(stamp)
		all = append(all, o)
		return nil
	}, `SELECT load_id, balance, counter, key_version, algorithm, random, mac1, terminal_no, stamp
		FROM load_offers `+where, args...)
	return all, err
}
