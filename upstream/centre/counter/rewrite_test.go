package counter_test

import (
	"testing"

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

// done tells that a card of the holder says a name.
func (w *world) done(ref, no string) error {
	_, err := w.desk.Do(w.t.Context(), "k7", centre.Act{
		Ref: ref, Kind: centre.Rewritten, Account: holder, Document: centre.IDCard, Card: no, Name: "张三丰",
	}, nil)
	return err
}
