package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash"
	"strconv"

	"quancun/upstream/store/sqldb"
)

// counted gives each entry its place among all.
const counted = `SELECT id, row_number() OVER (ORDER BY id) AS n FROM entries`

// dump is all that is about money, in an order that is the same on every
// engine. Numbers that an engine gives to rows are not in it: entries are
// counted in their order instead. Nor is what is only a plan, such as when to
// ask the channel again.
var dump = []struct{ table, query string }{
	{"accounts", `SELECT account, balance_fen FROM accounts WHERE balance_fen <> 0 ORDER BY account COLLATE "C"`},
	{"cards", `SELECT card_no, account, factor, uid, status, mirror_fen FROM cards ORDER BY card_no COLLATE "C"`},
	{"orders", `SELECT order_no, terminal, card_no, account, amount_fen, created_ms, expires_ms, state, trade_no,
		paid_ms, late, mismatch FROM orders ORDER BY order_no COLLATE "C"`},
	{"entries", `WITH n AS (` + counted + `)
		SELECT n.n, e.kind, e.order_no, e.place, e.at_ms, e.made_ms, j.terminal, j.epoch, e.seq, e.part,
			c.terminal, c.ref, undone.n
		FROM entries e JOIN n ON n.id = e.id LEFT JOIN n AS undone ON undone.id = e.undoes
		LEFT JOIN journals j ON j.id = e.journal LEFT JOIN claims c ON c.id = e.claim_id ORDER BY e.id`},
	{"postings", `SELECT n.n, p.account, p.amount_fen, p.balance_fen
		FROM postings p JOIN (` + counted + `) AS n ON n.id = p.entry_id ORDER BY p.entry_id, p.account COLLATE "C"`},
	{"loads", `SELECT load_id, card_no, terminal, amount_fen, order_no, created_ms, state, claim, evidence, settled_ms
		FROM loads ORDER BY load_id COLLATE "C"`},
	{"offers", `SELECT card_no, stamp, load_id, balance, counter, key_version, algorithm, random, mac1, terminal_no
		FROM load_offers ORDER BY card_no COLLATE "C", stamp`},
	{"purse moves", `SELECT m.card_no, m.kind, m.load_id, m.amount_fen, m.balance_fen, m.place, m.at_ms, n.n,
			m.counter, m.before_fen, m.proven
		FROM purse_moves m LEFT JOIN (` + counted + `) AS n ON n.id = m.entry_id
		ORDER BY m.card_no COLLATE "C", m.id`},
	{"journals", `SELECT j.terminal, j.epoch, j.head_seq, j.head_hash, j.carrying, o.epoch, s.epoch
		FROM journals j LEFT JOIN journals o ON o.id = j.origin LEFT JOIN journals s ON s.id = j.superseded_by
		ORDER BY j.terminal COLLATE "C", j.epoch`},
	{"journal entries", `SELECT j.terminal, j.epoch, e.seq, e.hash, e.body
		FROM journal_entries e JOIN journals j ON j.id = e.journal ORDER BY j.terminal COLLATE "C", j.epoch, e.seq`},
	{"carried entries", `SELECT j.terminal, j.epoch, c.seq, c.hash, b.epoch, c.by_seq
		FROM carried_entries c JOIN journals j ON j.id = c.journal JOIN journals b ON b.id = c.by_journal
		ORDER BY j.terminal COLLATE "C", j.epoch, c.seq, c.hash, b.epoch`},
	{"holds", `SELECT terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, room, placed_ms,
		state, closed_ms FROM holds ORDER BY terminal COLLATE "C", epoch, seq, attempt COLLATE "C"`},
	{"claims", `SELECT c.terminal, c.ref, j.epoch, c.seq, c.kind, c.card_no, c.account, c.merchant, c.amount_fen,
			c.balance, c.counter, c.state, c.evidence, c.proven, c.settled_ms
		FROM claims c JOIN journals j ON j.id = c.journal ORDER BY c.terminal COLLATE "C", c.ref COLLATE "C"`},
	{"exceptions", `SELECT x.kind, x.ref, x.terminal, x.epoch, x.seq, x.account, x.amount_fen, x.opened_ms, x.closed_ms,
			n.n, x.evidence
		FROM exceptions x LEFT JOIN (` + counted + `) AS n ON n.id = x.closing_entry
		ORDER BY x.kind COLLATE "C", x.ref COLLATE "C", x.id`},
	{"statements", `SELECT source, day, absent, digest, superseded_ms FROM statements
		ORDER BY source COLLATE "C", day COLLATE "C", id`},
	{"settlements", `SELECT account, day, lines, late_lines, sales_fen, refunds_fen, owed_fen, settled_ms, settled_by
		FROM settlements ORDER BY account COLLATE "C", day COLLATE "C"`},
	{"transfers", `SELECT account, no, amount_fen FROM transfers ORDER BY account COLLATE "C", no COLLATE "C"`},
	{"payments", `SELECT order_no, terminal, merchant, amount_fen, created_ms, expires_ms, state, cause, trade_no,
		paid_ms, mismatch FROM payments ORDER BY order_no COLLATE "C"`},
	{"refunds of payments", `SELECT order_no, refund_no, amount_fen, state FROM payment_refunds
		ORDER BY order_no COLLATE "C", refund_no COLLATE "C"`},
	{"bookings of channels", `SELECT b.terminal, b.ref, j.epoch, b.seq
		FROM channel_bookings b JOIN journals j ON j.id = b.journal
		ORDER BY b.terminal COLLATE "C", b.ref COLLATE "C"`},
	{"bills", `SELECT b.order_no, b.terminal, b.account, b.biller, b.target, b.amount_fen, b.created_ms, b.deadline_ms,
			b.state, b.cause, b.sent_ms, b.record_no, n.n, b.late
		FROM bills b LEFT JOIN (` + counted + `) AS n ON n.id = b.entry_id ORDER BY b.order_no COLLATE "C"`},
	{"refunds of bills", `SELECT r.order_no, r.refund_no, r.amount_fen, n.n, r.reason, r.by_one, r.by_two, r.at_ms
		FROM bill_refunds r JOIN (` + counted + `) AS n ON n.id = r.entry_id
		ORDER BY r.order_no COLLATE "C", r.refund_no COLLATE "C"`},
	{"losses", `SELECT ref, terminal, account, version, again, stopped_ms, free_ms, at_ms FROM lost_reports
		ORDER BY ref COLLATE "C"`},
	{"phones", `SELECT device, account, algorithm, public_key, bound_ms, revoked_ms FROM phones
		ORDER BY device COLLATE "C"`},
	{"phone grants", `SELECT device, issuer, code_max_fen, day_max_fen, issued_ms, expires_ms FROM phone_grants
		ORDER BY device COLLATE "C", issued_ms, expires_ms`},
	{"code uses", `SELECT j.terminal, j.epoch, u.seq, u.part, u.device, u.made_s, u.counter, u.account, u.day, u.alone,
			u.amount_fen
		FROM code_uses u JOIN journals j ON j.id = u.journal
		ORDER BY j.terminal COLLATE "C", j.epoch, u.seq, u.part`},
	{"bath reservations", `SELECT r.ref, r.terminal, r.account, r.hall, r.stall, r.day, r.slot, r.n, r.cap_fen,
			r.litre_fen, r.litre_pulses, r.from_ms, r.to_ms, r.cancel_ms, r.made_ms, r.state, r.moved_ms, r.hold,
			r.captured_fen, n.n, r.stub_fen, r.stub_terminal, r.stubs_wrong
		FROM bath_reservations r LEFT JOIN (` + counted + `) AS n ON n.id = r.entry_id ORDER BY r.ref COLLATE "C"`},
	{"bath reservations ended", `SELECT ref, terminal FROM bath_ended ORDER BY ref COLLATE "C"`},
	{"bath requests", `SELECT ref, terminal, kind, reservation, tries, at_ms FROM bath_acts
		ORDER BY ref COLLATE "C"`},
	{"bath reports", `SELECT digest, hall, controller, day, slot, final, line FROM bath_reports ORDER BY digest`},
	{"bath uses", `SELECT hall, controller, day, slot, n, part, stall, start_s, end_s, pulses, amount_fen, pauses,
			ending, inside, ref, report FROM bath_uses ORDER BY hall, controller, day, slot, n, part`},
}

// StateHash returns the SHA-256 of all that the books say about money, at one
// moment. Books with the same history have the same hash, whatever engine
// keeps them.
func (b *Books) StateHash(ctx context.Context) (sum [sha256.Size]byte, err error) {
	err = b.db.Read(ctx, func(tx *sqldb.Tx) error {
		sum, err = stateHash(ctx, tx)
		return err
	})
	return sum, err
}

func stateHash(ctx context.Context, tx *sqldb.Tx) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, d := range dump {
		writeValue(h, d.table)
		if err := hashRows(ctx, tx, h, d.query); err != nil {
			return sum, fmt.Errorf("hash %s: %w", d.table, err)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func hashRows(ctx context.Context, tx *sqldb.Tx, h hash.Hash, query string) error {
	var values, places []any
	return sqldb.Each(ctx, tx, func(rows *sql.Rows) error {
		if values == nil {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values, places = make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		for _, v := range values {
			writeValue(h, v)
		}
		return nil
	}, query)
}

// writeValue writes a value so that no two lists of values look alike: its
// length, which is one more than it is and 0 for NULL, and its text.
func writeValue(h hash.Hash, v any) {
	var text []byte
	switch v := v.(type) {
	case nil:
		h.Write(make([]byte, 4))
		return
	case bool: // SQLite has 1 and 0
		text = []byte{'0'}
		if v {
			text[0] = '1'
		}
	case int64:
		text = strconv.AppendInt(nil, v, 10)
	case string:
		text = []byte(v)
	case []byte:
		text = v
	default:
		panic(fmt.Sprintf("store: internal error: a %T in the books", v))
	}
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text)+1)))
	h.Write(text)
}
