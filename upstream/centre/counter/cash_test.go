package counter_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
	"quancun/upstream/staff"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// drawer is a second clerk's terminal, with a journal.
type drawer struct {
	*world
	id     string
	client *client.Client
	desk   *centre.Desk
	key    ed25519.PrivateKey
	epoch  journal.Epoch
	tree   journal.Frontier
	head   journal.Head
	at     time.Time
}

func (w *world) drawer(id string) *drawer {
	w.t.Helper()
	card := "0000202600010009" + strings.ToUpper(id)
	w.Add(staff.Member{No: id, Name: "王小红", Role: staff.Clerk, Card: card}, pin)
	d := &drawer{world: w, id: id, client: w.Client(id), at: time.Now()}
	d.desk = centre.New(d.client)
	_, err := d.client.SignInStaff(w.t.Context(), card, digits(pin))
	w.ok(err)
	_, d.key, err = ed25519.GenerateKey(nil)
	w.ok(err)
	copy(d.epoch[:], d.key)
	d.head.Epoch = d.epoch
	w.ok(w.Books.Write(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(w.t.Context(), `UPDATE terminals SET journal_key = ? WHERE id = ?`,
			[]byte(d.key.Public().(ed25519.PublicKey)), id)
		return err
	}))
	return d
}

// push writes an entry, and has the upstream take it.
func (d *drawer) push(e journal.Entry) {
	d.t.Helper()
	d.at = d.at.Add(time.Millisecond)
	e.Terminal, e.Epoch, e.Seq, e.At = d.id, d.epoch, d.head.Seq+1, d.at
	body := e.Post(false, 0).Encode(d.head.Hash)
	d.head.Seq, d.head.Hash = e.Seq, journal.HashOf(body)
	d.tree.Append(d.head.Hash)
	note, err := journal.Checkpoint{Terminal: d.id, Epoch: d.epoch, Size: e.Seq, Root: d.tree.Root()}.Sign(d.key)
	d.ok(err)
	_, err = d.client.Push(d.t.Context(), journal.Batch{Epoch: d.epoch, From: e.Seq, Bodies: [][]byte{body}, Note: note})
	d.ok(err)
}

func (d *drawer) allow(account, ref string, amount money.Fen) error {
	return d.desk.AllowCash(d.t.Context(), d.id, centre.Cash{
		Epoch: d.epoch, Seq: d.head.Seq + 1, Attempt: ref, Account: account, Amount: amount,
	})
}

// full checks that not more than room could have been taken.
func (d *drawer) full(err error, room money.Fen) {
	d.t.Helper()
	var no *centre.Refusal
	if !errors.As(err, &no) || no.Reason != centre.AmountOutOfRange || no.Limit != room {
		d.t.Errorf("AllowCash = %v, want room for %s", err, room)
	}
}

func TestCash(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		d := w.drawer("d101")
		if unheard := (*journal.PushError)(nil); !errors.As(d.allow(holder, "a", 100), &unheard) {
			t.Error("room was held under the number of a journal that nobody knows")
		}
		d.push(journal.Entry{Kind: journal.Started})
		w.ok(d.allow(holder, "a", 500*money.Yuan))
		w.ok(d.allow(holder, "a", 500*money.Yuan)) // the same
		w.refused("another of this name", d.allow(holder, "a", money.Yuan), centre.ActConflict)
		for _, f := range []money.Fen{-1, 0, 500*money.Yuan + 1} {
			d.full(d.allow(holder, "b", f), 480*money.Yuan) // of a thousand, with twenty there and what is held
		}
		w.refused("no name", d.allow(holder, "", 1), centre.Malformed)
		w.refused("nobody", d.allow("9", "b", 1), centre.HolderUnknown)
		rich := store.HolderAccount("1002")
		w.ok(w.Books.AddHolder(t.Context(), store.Holder{Account: rich, Name: "钱七", Number: "S1002"}, store.PIN{}, 1200*money.Yuan))
		d.full(d.allow("1002", "b", 1), 0)

		d.push(journal.Entry{Kind: journal.CashTopUp, Ref: "a", Account: holder, Amount: 500 * money.Yuan, Operator: d.id})
		d.full(d.allow(holder, "b", 480*money.Yuan+1), 480*money.Yuan)
		h, err := d.desk.Find(t.Context(), d.id, centre.Find{Account: holder})
		if err != nil || h.Balance != 520*money.Yuan || h.TopUpMax != 480*money.Yuan {
			t.Errorf("Find = %+v, %v; want room for 480.00", h, err)
		}
		d.head.Seq--
		w.refused("a number that has passed", d.allow(holder, "b", 1), centre.NumberPassed)
		w.whole()
	})
}

// TestCashAtTwoDesks has as many desks take cash at once as find room for it.
func TestCashAtTwoDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		desks := []*drawer{w.drawer("d101"), w.drawer("d102"), w.drawer("d103")}
		outcomes := make([]error, len(desks))
		var asking sync.WaitGroup
		for i, d := range desks {
			d.push(journal.Entry{Kind: journal.Started})
			asking.Go(func() { outcomes[i] = d.allow(holder, "a", 400*money.Yuan) })
		}
		asking.Wait()
		allowed := 0
		for i, err := range outcomes {
			if err == nil {
				allowed++
			} else {
				desks[i].full(err, 180*money.Yuan)
			}
		}
		if allowed != 2 {
			t.Errorf("%d desks may take 400.00, want 2", allowed)
		}
	})
}
