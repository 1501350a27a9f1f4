package ingest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"quancun/journal"
	"quancun/money"
	"quancun/paycode"
	"quancun/upstream/phone"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Request asks whether an account may spend. Epoch and Seq are the position
// that the terminal's next entry will have, Attempt is the Ref under which the
// sale would stand there.
type Request struct {
	Epoch    journal.Epoch
	Seq      int64
	Attempt  string
	CardNo   string // "" for a virtual card
	Account  string // account number; "" for the card's
	Merchant string
	Amount   money.Fen
	Virtual  bool     // the card reserve is not to be touched
	Code     string   // that a phone has shown for it; "" for none
	Reading  *Reading // what the card has just said; nil for none

	// Cap is set where it is cash that is about to be taken: room for it is then held
	// below the cap, and no money.
	Cap money.Fen
}

// byClerk reports whether it is a desk of the card centre that takes something off an
// account: it names no merchant, and neither card nor code.
func (q Request) byClerk() bool {
	return q.CardNo == "" && q.Merchant == "" && !q.Virtual && q.Cap == 0
}

// Approval is the answer. A hold stands behind it until the journal has passed
// its number.
type Approval struct {
	Approved   bool
	Reason     v1.Reason // of a decline
	Available  money.Fen // to this sale, before it
	Kept       money.Fen // of a decline: that would be enough, and only the card may spend it
	SpentToday money.Fen // this sale not counted
	DailyLimit money.Fen
	Claims     []journal.Claim // open on the card
}

// ErrMalformed means that a request cannot be one.
var ErrMalformed = errors.New("ingest: malformed request")

// Check returns [ErrMalformed] for what no terminal may ask.
func (q Request) Check() error {
	name := func(s string) bool { return s == "" || journal.IsName(s) }
	if q.Seq < 1 || q.Amount <= 0 || q.Amount > journal.AmountMax || !journal.IsName(q.Attempt) ||
		q.Code != "" && (!q.Virtual || q.CardNo != "") || q.Cap != 0 && (q.Cap < 0 || q.Virtual || q.CardNo != "") ||
		!name(q.CardNo) || !name(q.Account) || !name(q.Merchant) || q.CardNo == "" && q.Account == "" {
		return ErrMalformed
	}
	return nil
}

// Authorize places a hold: of money, or of room for it. The same attempt again is the same hold. A decline
// is an answer and no error; it leaves nothing behind.
//
// A [*journal.PushError] says that we have to be told more of the journal first:
// nothing is held for one of which we have nothing. If its disk were lost before
// it is pushed, no journal would ever pass the number, and the money would be
// held for good.
func (g *Ingest) Authorize(ctx context.Context, t store.Terminal, q Request) (a Approval, err error) {
	if err := q.Check(); err != nil {
		return Approval{}, err
	}
	err = g.books.Write(ctx, func(tx *sqldb.Tx) error {
		ask := &asking{desk: newDesk(context.WithoutCancel(ctx), g, tx, t.ID), request: q}
		err := ask.run()
		a = ask.answer
		return err
	})
	if err != nil {
		return Approval{}, fmt.Errorf("authorize: %w", err)
	}
	return a, nil
}

// asking is a request under way, in a transaction.
type asking struct {
	*desk
	request Request
	answer  Approval
	account store.Account
	ended   bool // its holder has left, or was there for a time, which is over: but a clerk pays out what is left
	journal journalRow
	parted  bool      // it has been shut out since it called: no journal will pass a number of its
	left    bool      // it has asked for the same under a later number since
	kept    money.Fen // that only the card may spend, where a virtual one asks
}

func (a *asking) run() error {
	q := a.request
	if err := lockTerminal(a.ctx, a.tx, a.terminal, a.findParted(), a.leaveBefore()); err != nil {
		return err
	}
	if err := a.findJournal(); err != nil {
		return err
	}
	if err := a.find(); err != nil {
		return err
	}
	if q.Reading != nil && q.CardNo != "" {
		err := errors.Join(a.keepSighting(q.CardNo, *q.Reading), a.settleByReading(q.CardNo, *q.Reading))
		if err != nil {
			return err
		}
	}
	for _, c := range a.openOn(q.CardNo) {
		a.answer.Claims = append(a.answer.Claims, c.Claim)
	}
	if a.answer.Reason != 0 {
		return a.write() // what the reading has settled stays
	}
	a.also = []store.Account{a.account}
	if err := a.write(); err != nil {
		return err
	}
	return a.decide()
}

// findParted finds out whether the terminal is shut out, now that it is locked.
func (a *asking) findParted() sqldb.Step {
	return sqldb.Step{
		Statement: `SELECT revoked_ms IS NOT NULL FROM terminals WHERE id = ?`, Args: []any{a.terminal},
		Row: func(row sqldb.Row) error { return row.Scan(&a.parted) },
	}
}

// leaveBefore lets go of what the attempt holds under numbers before. A terminal that asks
// for it once more, as after a PIN, has written something else there.
func (a *asking) leaveBefore() sqldb.Step {
	q := a.request
	return sqldb.Step{
		Statement: `UPDATE holds SET state = 4, closed_ms = ?
			WHERE terminal = ? AND epoch = ? AND seq < ? AND attempt = ? AND state = 1`,
		Args: []any{a.now.UnixMilli(), a.terminal, q.Epoch[:], q.Seq, q.Attempt},
	}
}

// aheadMax is how far a number may be ahead of what we have of its journal: more
// than a terminal sells in a week without us. So a number that no journal will
// come to holds nothing.
const aheadMax = 50_000

// findJournal reads the journal under whose number money is to be held.
func (a *asking) findJournal() (err error) {
	a.journal, err = readJournal(a.ctx, a.tx, a.terminal, a.request.Epoch)
	if err != nil && !errors.Is(err, store.ErrNone) {
		return err
	}
	h := a.journal.head
	if !a.journal.superseded && (h.Seq == 0 || a.request.Seq > h.Seq+aheadMax) {
		return &journal.PushError{Reason: journal.ErrGap, Head: h}
	}
	return nil
}

// find reads the card and the account, and says why they may not be used.
func (a *asking) find() (err error) {
	q := a.request
	if a.cards, err = readCards(a.ctx, a.tx, names(map[string]bool{q.CardNo: true})); err != nil {
		return err
	}
	if a.holders, err = readHolders(a.ctx, a.tx, names(map[string]bool{q.Account: true})); err != nil {
		return err
	}
	card, known := a.cards[q.CardNo]
	a.account = card.account
	switch {
	case q.CardNo != "" && !known:
		a.answer.Reason = v1.Reason_REASON_CARD_UNKNOWN
		return nil
	case q.CardNo == "" && !a.holders[q.Account],
		known && q.Account != "" && q.Account != card.account.No():
		a.answer.Reason = v1.Reason_REASON_ACCOUNT_UNKNOWN
		return nil
	case q.CardNo == "":
		a.account = store.HolderAccount(q.Account)
		return nil
	}
	if err := a.lockCards([]string{q.CardNo}); err != nil {
		return err
	}
	if _, err := a.readClaims(`WHERE c.state = 1 AND c.card_no = ?`, q.CardNo); err != nil {
		return err
	}
	switch status, hot := a.hot[q.CardNo]; {
	case hot && status == store.CardRetired:
		a.answer.Reason = v1.Reason_REASON_CARD_RETIRED
	case hot:
		a.answer.Reason = v1.Reason_REASON_CARD_HOT
	}
	return nil
}

// decide places the hold, or says why not. The account is locked.
func (a *asking) decide() error {
	q := a.request
	err := errors.Join(a.readAvailable(), a.readSpending())
	if err != nil {
		return err
	}
	switch again, same, err := a.again(); {
	case err != nil:
		return err
	case again && !same:
		a.answer.Reason = v1.Reason_REASON_ATTEMPT_CONFLICT
		return nil
	case again:
		a.answer.Approved = true
		return nil
	}
	switch {
	case a.ended:
		a.answer.Reason = v1.Reason_REASON_ACCOUNT_UNKNOWN
		return nil
	case q.Seq <= a.journal.head.Seq || a.journal.superseded || a.parted || a.left:
		a.answer.Reason = v1.Reason_REASON_NUMBER_PASSED
		return nil
	case q.Cap > 0 && q.Amount > a.answer.Available:
		a.answer.Reason = v1.Reason_REASON_BALANCE_CAP
		return nil
	case q.Amount > a.answer.Available:
		a.answer.Reason = v1.Reason_REASON_NOT_ENOUGH
		if a.kept > 0 && q.Amount <= a.answer.Available+a.g.policy.CardReserve {
			a.answer.Kept = a.kept
		}
		return nil
	}
	if reason, err := a.admit(); err != nil || reason != 0 {
		a.answer.Reason = reason
		return err
	}
	a.answer.Approved = true
	return a.place()
}

// readAvailable reads what there is to hold: money, or room below the cap.
func (a *asking) readAvailable() (err error) {
	q, balance := a.request, a.held[a.account].Balance
	var less money.Fen
	if q.Cap > 0 {
		less, err = store.Coming(a.ctx, a.tx, a.account)
		a.answer.Available = q.Cap - balance - less
	} else {
		less, err = store.Held(a.ctx, a.tx, a.account)
		a.answer.Available = balance - less
	}
	if q.Virtual {
		a.kept = store.Kept(a.answer.Available, a.g.policy.CardReserve)
		a.answer.Available -= a.g.policy.CardReserve
	}
	if err != nil {
		return fmt.Errorf("read holds: %w", err)
	}
	return nil
}

// admit says why the code that a phone has shown is good for nothing: it is not
// what the terminal takes it for, its phone is lost, or another terminal has it.
func (a *asking) admit() (v1.Reason, error) {
	q := a.request
	if q.Code == "" {
		return 0, nil
	}
	k, err := phone.Issuers(a.ctx, a.tx)
	if err != nil {
		return 0, err
	}
	c, err := paycode.Parse(q.Code)
	if err == nil {
		err = k.Verify(c, paycode.Pay)
	}
	if err != nil || c.Account != q.Account {
		return v1.Reason_REASON_ACCOUNT_UNKNOWN, nil
	}
	lost, err := phone.IsRevoked(a.ctx, a.tx, c.Device.ID(), a.now)
	if err != nil || lost {
		return v1.Reason_REASON_CARD_HOT, err
	}
	first, err := phone.Ask(a.ctx, a.tx, c.Use(), a.terminal)
	if err != nil || first {
		return 0, err
	}
	return v1.Reason_REASON_CHALLENGE_SPENT, nil
}

func (a *asking) place() error {
	q := a.request
	_, err := a.tx.Exec(a.ctx, `
		INSERT INTO holds
			(terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, room, placed_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.terminal, q.Epoch[:], q.Seq, q.Attempt, a.account, q.CardNo, q.Merchant, q.Amount, q.Virtual, q.Cap > 0,
		a.now.UnixMilli())
	if err != nil {
		return fmt.Errorf("place hold: %w", err)
	}
	return nil
}

// again finds the hold of the same attempt, and reports whether it is for the same
// thing. What is held under its number is available to it, whoever holds it: only one of
// them can come. One that was released is none: the journal has passed it, or the terminal
// has said that it will.
func (a *asking) again() (again, same bool, err error) {
	q := a.request
	err = sqldb.Each(a.ctx, a.tx, func(rows *sql.Rows) error {
		was := Request{Epoch: q.Epoch, Seq: q.Seq, Account: q.Account, Reading: q.Reading, Code: q.Code, Cap: q.Cap}
		var account store.Account
		var state HoldState
		var room bool
		err := rows.Scan(&was.Attempt, &account, &was.CardNo, &was.Merchant, &was.Amount, &was.Virtual, &room, &state)
		like := account == a.account && room == (q.Cap > 0)
		if like && state <= HoldBound {
			a.answer.Available += was.Amount
		}
		if was.Attempt == q.Attempt {
			a.left = state == HoldReleased
			again, same = !a.left, like && was == q
		}
		return err
	}, `SELECT attempt, account, card_no, merchant, amount_fen, virtual, room, state FROM holds
		WHERE terminal = ? AND epoch = ? AND seq = ?`, a.terminal, q.Epoch[:], q.Seq)
	if err != nil {
		return false, false, fmt.Errorf("read holds: %w", err)
	}
	return again, same, nil
}

// readSpending reads what the account has spent today, as far as we know.
func (a *asking) readSpending() error {
	s, err := a.g.books.Spending(a.ctx, a.tx, a.account)
	if err != nil {
		return err
	}
	a.answer.DailyLimit, a.answer.SpentToday = a.g.policy.DailyLimit, s.Today
	a.ended = s.Ended && !(s.Over && a.request.byClerk())
	if s.Limit != nil {
		a.answer.DailyLimit = *s.Limit
	}
	return nil
}

// Claims returns the open claims on a card, oldest first.
func (g *Ingest) Claims(ctx context.Context, cardNo string) (all []journal.Claim, err error) {
	err = g.books.Read(ctx, func(tx *sqldb.Tx) error {
		all = nil
		return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			c, err := scanClaim(rows)
			if err == nil {
				all = append(all, c.Claim)
			}
			return err
		}, claimColumns+`WHERE c.state = 1 AND c.card_no = ? ORDER BY c.id`, cardNo)
	})
	if err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	return all, nil
}

// Settlements returns what has become of a terminal's own doubts, by the Refs of their
// intents. One that is still open is absent. One without a claim had ended before, in what
// the terminal has lost since.
func (g *Ingest) Settlements(ctx context.Context, terminal string, refs []string) (map[string]journal.Outcome, error) {
	all := map[string]journal.Outcome{}
	if len(refs) == 0 {
		return all, nil
	}
	outcomes := map[ClaimState]journal.Outcome{
		ClaimWritten: journal.Elsewhere, ClaimNotWritten: journal.ElsewhereNot,
	}
	err := g.books.Read(ctx, func(tx *sqldb.Tx) error {
		clear(all)
		rest := slices.Clone(refs)
		err := sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
			var ref string
			var s ClaimState
			err := rows.Scan(&ref, &s)
			rest = slices.DeleteFunc(rest, func(r string) bool { return r == ref })
			if s != ClaimOpen {
				all[ref] = outcomes[s]
			}
			return err
		}, `SELECT ref, state FROM claims WHERE terminal = ?1 AND ref = ANY (?2)
			UNION ALL SELECT ref, 1 FROM intents WHERE terminal = ?1 AND ref = ANY (?2)`, terminal, refs)
		if err != nil || len(rest) == 0 {
			return err
		}
		before, err := endedBefore(ctx, tx, terminal, rest)
		for ref, end := range before {
			all[ref] = outcomes[ClaimNotWritten]
			if end.Outcome.Happened() {
				all[ref] = outcomes[ClaimWritten]
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read settlements: %w", err)
	}
	return all, nil
}

// endSpan is how many entries after an intent its end is looked for: what never was in
// doubt ends at once.
const endSpan = 500

// endedBefore returns the ends of intents that a terminal has brought over as open: it was
// put back to a copy of before. Those that are open, or have a claim, are not asked for.
func endedBefore(ctx context.Context, q sqldb.Querier, terminal string, refs []string,
) (ended map[string]journal.Entry, err error) {
	type place struct {
		journal, seq int64
		journal.Entry
	}
	var begun []place
	err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
		var p place
		var body []byte
		err := rows.Scan(&p.journal, &p.seq, &body)
		if p.Entry = journal.Innermost(body); p.Kind.IsIntent() && slices.Contains(refs, p.Ref) {
			begun = append(begun, p)
		}
		return err
	}, `SELECT c.journal, c.seq, e.body FROM journals j JOIN carried_entries c ON c.by_journal = j.id
		JOIN journal_entries e ON e.journal = c.by_journal AND e.seq = c.by_seq
		WHERE j.terminal = ?1 AND j.superseded_by IS NULL
		AND c.journal IN (SELECT id FROM journals WHERE terminal = ?1)`, terminal)
	ended = map[string]journal.Entry{}
	for i := 0; i < len(begun) && err == nil; i++ {
		in := &begun[i]
		err = sqldb.Each(ctx, q, func(rows *sql.Rows) error {
			var by int64
			var body []byte
			err := rows.Scan(&by, &body)
			e := journal.Innermost(body)
			if _, found := ended[e.Ref]; !found && e.Ref == in.Ref && e.Kind.IsEnd() && e.Kind.Intent() == in.Kind {
				ended[e.Ref] = e // the first that was taken
			}
			return err
		}, `SELECT 0 AS by_journal, body FROM journal_entries WHERE journal = ?1 AND seq > ?2 AND seq <= ?3
			UNION ALL SELECT c.by_journal, e.body FROM carried_entries c
			JOIN journal_entries e ON e.journal = c.by_journal AND e.seq = c.by_seq
			WHERE c.journal = ?1 AND c.seq > ?2 AND c.seq <= ?3
			ORDER BY by_journal`, in.journal, in.seq, in.seq+endSpan)
	}
	if err != nil {
		return nil, fmt.Errorf("read what had ended: %w", err)
	}
	return ended, nil
}
