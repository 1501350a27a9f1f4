package counter_test

import (
	"slices"
	"testing"
	"time"

	"quancun/pboc"
	"quancun/upstream/client/centre"
)

// TestHolderCommand: only a card that was made here takes another name, and only in
// the file of its holder.
func TestHolderCommand(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ask := func(no string, o pboc.Order) ([]byte, error) {
			return w.desk.HolderCommand(ctx, "k7", centre.Rewrite{CardNo: no, Order: o})
		}
		proof := pboc.Order{Part: pboc.PartProof, Challenge: pboc.Challenge{1, 2, 3, 4, 5, 6, 7, 8}}
		file := pboc.Order{Part: pboc.PartFile, Challenge: pboc.Challenge{1, 2}, SFI: 0x16, Offset: 2, Data: []byte("x")}
		_, err := ask(card, proof)
		w.refused("a card of somebody else's make", err, centre.NotMadeHere)
		_, err = ask("00", proof)
		w.refused("no card", err, centre.CardUnknown)

		p, err := w.make("i1", [8]byte{1, 2})
		w.ok(err)
		_, err = ask(p.CardNo, proof)
		w.refused("a card that was not issued", err, centre.CardUnknown)
		issue := centre.Act{Ref: "i1", Kind: centre.Issued, Account: holder, Document: centre.IDCard, Card: p.CardNo}
		_, err = w.desk.Do(ctx, "k7", issue, nil)
		w.ok(err)
		for _, answer := range []bool{false, true} {
			w.Lose("HolderCommand", answer)
			_, err := ask(p.CardNo, file)
			w.unknown("a lost command", err)
		}
		for _, o := range []pboc.Order{proof, file} {
			if field, err := ask(p.CardNo, o); err != nil || len(field) == 0 {
				t.Errorf("part %d: %x, %v", o.Part, field, err)
			}
		}
		w.stubborn(p.CardNo, func() error {
			_, err := ask(p.CardNo, proof)
			return err
		})
		for _, spoil := range []func(*pboc.Order){
			func(o *pboc.Order) { o.SFI = 0x15 }, func(o *pboc.Order) { o.Part = pboc.PartLock },
			func(o *pboc.Order) { o.Data = nil }, func(o *pboc.Order) { o.Part = pboc.PartAnswer },
		} {
			o := file
			spoil(&o)
			_, err := ask(p.CardNo, o)
			w.refused("what is not the name", err, centre.Malformed)
		}
		_, err = ask(card, proof)
		w.refused("a card that was retired", err, centre.ActRefused)
		w.ok(w.done("r1", p.CardNo))
		w.refused("another holder's card", w.done("r2", clerkCard), centre.CardUnknown)
		w.whole()
	})
}

// stubborn has a card refuse a name: it is told once, whichever answer is lost, shown
// with its holder, and ended by an act that says it was rewritten all the same.
func (w *world) stubborn(no string, ask func() error) {
	w.t.Helper()
	ctx := w.t.Context()
	r := centre.NameRefused{Ref: "x1", CardNo: no, Status: 0x6982, At: time.Now().Add(-time.Second)}
	for _, answer := range []bool{false, true} {
		w.Lose("RefuseName", answer)
		w.unknown("a refusal whose answer is lost", w.desk.RefuseName(ctx, "k7", r))
	}
	w.ok(w.desk.RefuseName(ctx, "k7", r))
	w.refused("a card that has refused", ask(), centre.CardRefuses)
	h, err := w.desk.Find(ctx, "k7", centre.Find{Card: no})
	i := slices.IndexFunc(h.Cards, func(c centre.Card) bool { return c.No == no })
	if err != nil || i < 0 || h.Cards[i].Refused != 0x6982 || h.Cards[i].RefusedAt == "" || h.Cards[i].RefusedOn.IsZero() {
		w.t.Errorf("Find = %+v, %v; want its status word", h, err)
	}
	r.CardNo, r.Ref = "00", "x2"
	w.refused("a refusal of no card", w.desk.RefuseName(ctx, "k7", r), centre.CardUnknown)
	r.CardNo, r.Status = no, 0
	w.refused("a refusal without a word", w.desk.RefuseName(ctx, "k7", r), centre.Malformed)
	w.ok(w.done("x3", no)) // another desk was at it, and the card has taken it
	w.ok(ask())
}

// done tells that a card of the holder says a name.
func (w *world) done(ref, no string) error {
	_, err := w.desk.Do(w.t.Context(), "k7", centre.Act{
		Ref: ref, Kind: centre.Rewritten, Account: holder, Document: centre.IDCard, Card: no, Name: "张三丰",
	}, nil)
	return err
}
