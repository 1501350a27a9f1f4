package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quancun/journal"
	"quancun/money"
)

// This file reads the journal from one end to the other and rebuilds what
// follows from the entries, apart from the code that has written it, and
// compares.

// line is a whole row of the table journal, as it was found.
type line struct {
	row
	seq     int64
	problem string // with the row itself
	broken  error  // the rule that the entry breaks

	debit, credit, amount sql.NullInt64
	ref                   sql.NullString
	role                  sql.Null[role]
}

// chunk is a part of the journal on its way from the disk.
type chunk struct {
	lines  []line
	err    error
	parsed chan struct{} // closed when lines can be looked at
}

// chunksAhead is how many chunks are read and parsed ahead of the one that is
// looked at, so that both processors of a small machine have work.
const chunksAhead = 4

// scan gives f each row from number from on, in order. Reading, hashing and
// decoding, which are most of the work, go on beside f.
func scan(ctx context.Context, q querier, from int64, f func(*line) error) error {
	chunks, enough := make(chan *chunk, chunksAhead), make(chan struct{})
	go func() {
		defer close(chunks)
		for more := true; more; {
			c := &chunk{parsed: make(chan struct{})}
			c.lines, c.err = readLines(ctx, q, from)
			if more = c.err == nil && len(c.lines) == chunkSpan; more {
				from = c.lines[chunkSpan-1].seq + 1
			}
			go c.parse()
			select {
			case chunks <- c:
			case <-enough:
				more = false
			}
		}
	}()
	defer func() {
		close(enough)
		for range chunks { // until the reader has let go of q
		}
	}()
	for c := range chunks {
		<-c.parsed
		for i := range c.lines {
			if err := f(&c.lines[i]); err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// readLines reads the rows from number from on, as many as are in memory at a
// time.
func readLines(ctx context.Context, q querier, from int64) (all []line, err error) {
	err = each(ctx, q, `SELECT seq, body, hash, debit, credit, amount, ref, role FROM journal
		WHERE seq >= ? ORDER BY seq LIMIT ?`, func(rows *sql.Rows) error {
		var l line
		var hash []byte
		err := rows.Scan(&l.seq, &l.body, &hash, &l.debit, &l.credit, &l.amount, &l.ref, &l.role)
		if len(hash) == len(l.hash) {
			l.hash = journal.Hash(hash)
		}
		all = append(all, l)
		return err
	}, from, chunkSpan)
	return all, err
}

// readWhole adds the entries of a journal that are whole: forwards until it cannot
// go on, and backwards the same.
func readWhole(ctx context.Context, db *sql.DB, whole map[int64]row) error {
	var errs []error
	for _, order := range []string{"", " DESC"} {
		err := each(ctx, db, `SELECT seq, body, hash FROM journal ORDER BY seq`+order, func(rows *sql.Rows) error {
			var seq int64
			var body, hash []byte
			if err := rows.Scan(&seq, &body, &hash); err != nil {
				return err
			}
			if parsed, problem := parseRow(seq, body, hash); problem == "" {
				whole[seq] = parsed
			}
			return nil
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// parse hashes, decodes and checks what concerns each row alone.
func (c *chunk) parse() {
	defer close(c.parsed)
	for i := range c.lines {
		l := &c.lines[i]
		if l.row, l.problem = parseRow(l.seq, l.body, l.hash[:]); l.problem == "" && l.Kind.Known() {
			l.broken = l.Check()
		}
	}
}

// movement is what an entry takes from one account and gives to another.
type movement struct {
	from, to journal.Account
	amount   money.Fen
}

// movementOf returns the movement that postings are, and false if they are
// something else. The form of every kind of entry is a movement, or nothing.
func movementOf(p []journal.Posting) (m movement, ok bool) {
	if len(p) != 2 || p[0].Amount >= 0 || p[0].Amount != -p[1].Amount {
		return movement{}, false
	}
	return movement{p[0].Account, p[1].Account, p[1].Amount}, true
}

// moved compares what a row says that its entry moves with what the entry says.
func (v *verifier) moved(l *line) {
	want, _ := movementOf(l.Postings)
	got := movement{v.names[l.debit.Int64], v.names[l.credit.Int64], money.Fen(l.amount.Int64)}
	if got != want {
		v.found(l.seq, "its row moves %v, the entry %v", got, want)
	}
	for _, p := range l.Postings {
		v.move(p)
	}
}

// summed adds up the journal again, and compares what reports say of it.
func (v *verifier) summed(l *line) {
	if !v.whole() {
		return
	}
	if l.Kind.Sums() {
		if err := v.tally.Check(l.Entry); err != nil {
			v.found(l.seq, "%v", err)
		}
	}
	if err := v.tally.Add(l.Entry); err != nil {
		v.found(l.seq, "%v", err)
	}
}

func (v *verifier) move(p journal.Posting) {
	a := v.accounts[p.Account]
	if a == nil {
		a = &account{name: p.Account}
		v.accounts[p.Account] = a
	}
	a.add(p.Amount)
}

// itemState is what the entries so far say under a Ref.
type itemState struct {
	kind              journal.Kind
	first, doubt, end int64 // 0 while there is none
}

// replay applies the rules of intents and ends to an entry, apart from the code
// that applied them when it was written, and compares its row with that.
func (v *verifier) replay(l *line) error {
	if l.Kind == journal.EpochOpened {
		v.inherit(l.Entry)
	}
	e, err := l.Inner()
	if err != nil {
		v.found(l.seq, "%v", err)
		return nil
	}
	said, as := e.Ref, roleOf(e.Kind)
	if e.Kind.LedgerOnly() || !e.Kind.Known() {
		said, as = "", 0
	} else if l.Kind == journal.Carried {
		i, err := v.itemBefore(e.Ref, l.seq)
		if err != nil {
			return err
		}
		if !i.takes(e.Kind) {
			said, as = "", 0
		}
	}
	if l.ref.String != said || l.role.V != as {
		v.found(l.seq, "its row says %q with role %d, the entry %q with %d", l.ref.String, l.role.V, said, as)
	}
	if as == 0 {
		return nil
	}
	return v.replayItem(l.seq, e)
}

// takes reports whether there is a place in the item for an entry of kind k,
// which was carried over. What two copies of a journal said may be there twice.
func (i itemState) takes(k journal.Kind) bool {
	switch {
	case k.IsIntent(), k.Intent() == 0:
		return i.first == 0
	case i.kind != k.Intent() || i.end > 0:
		return false
	}
	return k.IsEnd() || i.doubt == 0
}

// inherit begins the books with what an opening says.
func (v *verifier) inherit(e journal.Entry) {
	o, err := e.Opening()
	if err != nil || e.Seq != 1 {
		v.found(e.Seq, "an epoch is opened here, %v", err)
		return
	}
	for name, balance := range o.Accounts {
		v.move(journal.Posting{Account: name, Amount: balance})
	}
}

// replayItem goes on with what is open. That nothing is begun twice, the table
// as a whole has to show: see [verifier.said].
func (v *verifier) replayItem(seq int64, e journal.Entry) (err error) {
	if as := roleOf(e.Kind); as == roleIntent || as == roleAlone {
		if i, open := v.open[e.Ref]; open {
			v.found(seq, "%q was begun before, in entry %d", e.Ref, i.first)
		} else if as == roleIntent {
			v.open[e.Ref] = itemState{kind: e.Kind, first: seq}
		}
		return nil
	}
	i, open := v.open[e.Ref]
	if !open {
		if i, err = v.itemBefore(e.Ref, min(seq, v.from)); err != nil {
			return err
		}
	}
	switch {
	case i.first == 0 || i.kind != e.Kind.Intent():
		v.found(seq, "%q goes on and is not open", e.Ref)
	case i.end > 0:
		v.found(seq, "%q had ended before, in entry %d", e.Ref, i.end)
	case e.Kind.IsEnd():
		delete(v.open, e.Ref)
	case i.doubt > 0:
		v.found(seq, "%q was in doubt before, in entry %d", e.Ref, i.doubt)
	default:
		i.doubt = seq
		v.open[e.Ref] = i
	}
	return nil
}

// itemBefore returns what the rows before number seq say under a Ref.
func (v *verifier) itemBefore(ref string, seq int64) (i itemState, err error) {
	var first []byte
	err = v.q.QueryRowContext(v.ctx, `SELECT
		coalesce(max(CASE WHEN role IN (1, 8) THEN seq END), 0), max(CASE WHEN role IN (1, 8) THEN body END),
		coalesce(max(CASE role WHEN 2 THEN seq END), 0), coalesce(max(CASE WHEN role IN (4, 8) THEN seq END), 0)
		FROM journal WHERE ref = ? AND seq < ?`, ref, seq).Scan(&i.first, &first, &i.doubt, &i.end)
	if err != nil {
		return itemState{}, err
	}
	e, _, err := journal.Decode(first)
	if err == nil {
		e, err = e.Inner()
	}
	if err != nil {
		return itemState{}, nil // there is none, or it is found wrong by itself
	}
	i.kind = e.Kind
	return i, nil
}

// said looks for Refs under which too much is said, or too little. Rows that
// are right by themselves make this the last that could be wrong.
func (v *verifier) said() error {
	// Each number below is the sum of the roles, and sixteen for each row: alone; an
	// intent; with a doubt; with an end; with both.
	query := `SELECT max(seq), ref FROM journal WHERE ref IS NOT NULL %s GROUP BY ref
		HAVING sum(role + 16) NOT IN (8+16, 1+16, 1+2+32, 1+4+32, 1+2+4+48) LIMIT ?`
	args := []any{problemsMax}
	if v.whole() {
		query = fmt.Sprintf(query, "")
	} else {
		query = fmt.Sprintf(query, `AND ref IN (SELECT ref FROM journal WHERE seq >= ? AND ref IS NOT NULL)`)
		args = []any{v.from, problemsMax}
	}
	return each(v.ctx, v.q, query, func(rows *sql.Rows) error {
		var seq int64
		var ref string
		err := rows.Scan(&seq, &ref)
		v.found(seq, "%q is not what was said once", ref)
		return err
	}, args...)
}

// openTable compares what has not ended with the table of it.
func (v *verifier) openTable() error {
	open := map[int64]string{}
	for ref, i := range v.open {
		open[i.first] = ref
	}
	err := each(v.ctx, v.q, `SELECT o.seq, coalesce(j.ref, '') FROM open_item o LEFT JOIN journal j ON j.seq = o.seq`,
		func(rows *sql.Rows) error {
			v.Open++
			var seq int64
			var ref string
			if err := rows.Scan(&seq, &ref); err != nil {
				return err
			}
			if seq >= v.from && open[seq] == "" {
				v.found(seq, "table open_item has it, and it is not open")
			} else if seq < v.from {
				i, err := v.itemBefore(ref, 1<<62)
				if err != nil {
					return err
				}
				if i.first != seq || i.end > 0 || !i.kind.IsIntent() {
					v.found(seq, "table open_item has it, and it is not open")
				}
			}
			delete(open, seq)
			return nil
		})
	for seq, ref := range open {
		v.found(seq, "table open_item lacks %q", ref)
	}
	return err
}

// accountTable compares each account with the sum of its postings, and all of
// them with each other.
func (v *verifier) accountTable() error {
	var sum money.Fen
	err := each(v.ctx, v.q, `SELECT name, debits, credits FROM account ORDER BY id`, func(rows *sql.Rows) error {
		var got account
		if err := rows.Scan(&got.name, &got.debits, &got.credits); err != nil {
			return err
		}
		sum += got.credits - got.debits
		want := v.accounts[got.name]
		if want == nil {
			want = &account{}
		}
		delete(v.accounts, got.name)
		if v.whole() && (got.debits != want.debits || got.credits != want.credits) {
			v.found(0, "table account has %s with debits %s and credits %s, its postings come to %s and %s",
				got.name, got.debits, got.credits, want.debits, want.credits)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name := range v.accounts {
		v.found(0, "table account lacks %s", name)
	}
	if sum != 0 {
		v.found(0, "accounts come to %s and not to zero", sum)
	}
	return nil
}

// grow adds an entry to the tree, and checks the nodes and the checkpoints that
// it completes.
func (v *verifier) grow(seq int64, h journal.Hash) error {
	for _, n := range v.tree.add(h) {
		v.nodeRows++
		var stored []byte
		err := v.q.QueryRowContext(v.ctx, `SELECT hash FROM node WHERE level = ? AND n = ?`, n.level, n.n).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			v.found(seq, "table node lacks node %d of level %d", n.n, n.level)
			v.nodeRows--
		} else if err != nil {
			return err
		} else if string(stored) != string(n.hash[:]) {
			v.found(seq, "table node has another hash for node %d of level %d", n.n, n.level)
		}
	}
	for ; len(v.signed) > 0 && v.signed[0].size <= seq; v.signed = v.signed[1:] {
		v.checkpoint(v.signed[0])
	}
	return nil
}

func (v *verifier) nodeTable() error {
	if !v.whole() {
		return nil
	}
	var rows int64
	err := v.q.QueryRowContext(v.ctx, `SELECT count(*) FROM node`).Scan(&rows)
	if err == nil && rows != v.nodeRows {
		v.found(0, "table node has %d rows, the tree %d", rows, v.nodeRows)
	}
	return err
}
