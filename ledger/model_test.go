package ledger

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"testing"
	"time"

	"quancun/money"
)

var seeds = flag.Int("seeds", 25, "number of random histories that TestModel lives through")

// model is what a Book should be, as plain Go that keeps nothing on a disk.
type model struct {
	journal []Entry // as Append returned them; zero where the Book wrote by itself
	items   map[string]*modelItem
	due     map[int64]bool // reports, true once confirmed
}

type modelItem struct{ intent, end Entry }

// append returns what Append should: an error, or the entry said before, or
// the zero entry for one that is new.
func (m *model) append(e Entry) (Entry, error) {
	item := m.items[e.Ref]
	if e.Kind == TopUpIntent || e.Kind == LoadIntent {
		switch {
		case item == nil:
			return Entry{}, nil
		case m.equal(item.intent, e):
			return item.intent, nil
		}
		return Entry{}, ErrConflict
	}
	if item == nil || item.intent.Kind != e.Kind-1 {
		return Entry{}, ErrNoIntent
	}
	e = inherit(e, item.intent)
	switch {
	case e.Card != item.intent.Card || e.Amount != item.intent.Amount:
		return Entry{}, ErrConflict
	case item.end.Seq == 0:
		return Entry{}, nil
	case m.equal(item.end, e):
		return item.end, nil
	}
	return Entry{}, ErrResolved
}

func inherit(e, intent Entry) Entry {
	if e.Card == "" {
		e.Card = intent.Card
	}
	if e.Amount == 0 {
		e.Amount = intent.Amount
	}
	return e
}

func (m *model) equal(a, b Entry) bool {
	a.Seq, a.At, b.Seq, b.At = 0, time.Time{}, 0, time.Time{}
	return reflect.DeepEqual(a, b)
}

// wrote takes over an entry that Append says it has written.
func (m *model) wrote(e Entry) {
	for int64(len(m.journal)) < e.Seq-1 {
		m.journal = append(m.journal, Entry{}) // starts and clock steps
	}
	m.journal = append(m.journal, e)
	if e.Kind == TopUpIntent || e.Kind == LoadIntent {
		m.items[e.Ref] = &modelItem{intent: e}
		return
	}
	m.items[e.Ref].end = e
	m.due[e.Seq] = false
}

func (m *model) open(card string) (all []Entry) {
	for _, item := range m.items {
		if item.end.Seq == 0 && (card == "" || card == item.intent.Card) {
			all = append(all, item.intent)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return int(a.Seq - b.Seq) })
	return all
}

func (m *model) unreported() (all []Entry) {
	for seq, done := range m.due {
		e := m.journal[seq-1]
		if !done && (e.Kind != LoadIntent || m.items[e.Ref].end.Seq == 0) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return int(a.Seq - b.Seq) })
	return all
}

// restarted puts up the loads that are open, as Open does.
func (m *model) restarted() {
	for _, e := range m.open("") {
		if _, put := m.due[e.Seq]; e.Kind == LoadIntent && !put {
			m.due[e.Seq] = false
		}
	}
}

// TestModel lives through random histories of few references, so that they
// collide all the time, and compares the Book with the model after each step.
func TestModel(t *testing.T) {
	reached := map[string]int{}
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewSource(int64(seed)))
			l := newLab(t)
			m := &model{items: map[string]*modelItem{}, due: map[int64]bool{}}
			for range 60 {
				reached[step(t, r, l, m)]++
				agree(t, l, m)
			}
			if rep, err := l.Verify(t.Context()); err != nil || rep.Open != len(m.open("")) {
				t.Errorf("Verify = %+v, %v, want %d open", rep, err, len(m.open("")))
			}
		})
	}
	for _, branch := range []string{
		"new", "again", "restart", "doubt", "reported",
		ErrConflict.Error(), ErrNoIntent.Error(), ErrResolved.Error(), ErrNotFound.Error(),
	} {
		if reached[branch] < *seeds {
			t.Errorf("%q was reached %d times, want %d at least", branch, reached[branch], *seeds)
		}
	}
}

// step does one random thing to both, and names the branch it took.
func step(t *testing.T, r *rand.Rand, l *lab, m *model) string {
	t.Helper()
	l.wall = l.wall.Add(time.Duration(r.Int63n(int64(8*time.Second))) - 3*time.Second)
	l.up += time.Duration(r.Int63n(int64(4 * time.Second)))
	switch r.Intn(14) {
	case 0:
		l.restart(t)
		m.restarted()
		return "restart"
	case 1, 2:
		return mark(t, l, m, 1+r.Int63n(int64(len(m.journal))+3))
	case 3, 4:
		return doubt(t, l, m, fmt.Sprint("R", r.Intn(6)))
	}
	e := randomEntry(r)
	said, want := m.append(e)
	got, err := l.Append(t.Context(), e)
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Fatalf("Append(%+v) = %v, want %v", e, err, want)
	}
	switch {
	case want != nil:
		return want.Error()
	case said.Seq > 0:
		if !reflect.DeepEqual(got, said) {
			t.Fatalf("Append(%+v) = %+v, want what it was written as, %+v", e, got, said)
		}
		return "again"
	}
	if item := m.items[e.Ref]; item != nil {
		e = inherit(e, item.intent)
	}
	if last := int64(len(m.journal)); got.Seq <= last || !m.equal(got, e) {
		t.Fatalf("Append(%+v) = %+v after entry %d", e, got, last)
	}
	m.wrote(got)
	return "new"
}

func randomEntry(r *rand.Rand) Entry {
	e := Entry{
		Kind: []Kind{TopUpIntent, TopUpEnd, LoadIntent, LoadEnd}[r.Intn(4)],
		Ref:  fmt.Sprint("R", r.Intn(6)),
		Card: []string{"1001", "1001", "1001", "1002"}[r.Intn(4)],
	}
	if e.Kind == TopUpIntent || e.Kind == LoadIntent || r.Intn(2) == 0 {
		e.Amount = 2000 + money.Fen(r.Intn(8)/7)
	} else {
		e.Card = ""
	}
	switch e.Kind {
	case TopUpEnd:
		e.Outcome = Paid + Outcome(r.Intn(2))
	case LoadEnd:
		e.Outcome = Written + Outcome(r.Intn(2))
	}
	return e
}

func mark(t *testing.T, l *lab, m *model, seq int64) string {
	t.Helper()
	_, due := m.due[seq]
	err := l.MarkReported(t.Context(), seq)
	switch {
	case due && err == nil:
		m.due[seq] = true
		return "reported"
	case !due && errors.Is(err, ErrNotFound):
		return ErrNotFound.Error()
	}
	t.Fatalf("MarkReported(%d) = %v, want due %v", seq, err, due)
	return ""
}

func doubt(t *testing.T, l *lab, m *model, ref string) string {
	t.Helper()
	var want error
	item := m.items[ref]
	switch {
	case item == nil || item.intent.Kind != LoadIntent:
		want = ErrNotFound
	case item.end.Seq > 0:
		want = ErrResolved
	}
	if err := l.LeaveInDoubt(t.Context(), ref); !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Fatalf("LeaveInDoubt(%s) = %v, want %v", ref, err, want)
	}
	if want != nil {
		return want.Error()
	}
	if _, put := m.due[item.intent.Seq]; !put {
		m.due[item.intent.Seq] = false
	}
	return "doubt"
}

// agree compares everything that can be asked.
func agree(t *testing.T, l *lab, m *model) {
	t.Helper()
	ctx := t.Context()
	for _, card := range []string{"1001", "1002"} {
		if got, err := l.OpenFor(ctx, card); err != nil || !reflect.DeepEqual(got, orEmpty(m.open(card))) {
			t.Fatalf("OpenFor(%s) = %+v, %v, want %+v", card, got, err, m.open(card))
		}
	}
	if got, err := l.OpenItems(ctx); err != nil || !reflect.DeepEqual(got, orEmpty(m.open(""))) {
		t.Fatalf("OpenItems = %+v, %v, want %+v", got, err, m.open(""))
	}
	if got, err := l.Unreported(ctx, 1000); err != nil || !reflect.DeepEqual(got, orEmpty(m.unreported())) {
		t.Fatalf("Unreported = %+v, %v, want %+v", got, err, m.unreported())
	}
	for ref, item := range m.items {
		if got, err := l.Get(ctx, ref); err != nil || !reflect.DeepEqual(got, Item{item.intent, item.end}) {
			t.Fatalf("Get(%s) = %+v, %v, want %+v", ref, got, err, *item)
		}
	}
}

func orEmpty(entries []Entry) []Entry {
	if entries == nil {
		return []Entry{}
	}
	return entries
}
