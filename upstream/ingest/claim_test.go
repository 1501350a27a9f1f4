package ingest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/clearing"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// torn is a world with a purchase of 3 yuan in doubt at C01, whether the card
// has made it or not.
func torn(t *testing.T, w *world, made bool) (p *purse, a, b *till, in journal.Entry, tac pboc.MAC) {
	t.Helper()
	owner := w.holder("1001", 100*yuan)
	p, a, b = w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02")
	in = a.intend(p, "torn", 3*yuan)
	if made {
		tac = p.debit(in)
	}
	a.doubt(in)
	a.push()
	w.wants(map[store.Account]money.Fen{owner: 97 * yuan, suspense("C01"): 3 * yuan})
	if claims := w.claims(p); len(claims) != 1 || claims[0].Position != in.Position() || claims[0].Ref != "torn" ||
		claims[0].Amount != 3*yuan || claims[0].Purse != *in.Purse || claims[0].Kind != journal.SaleIntent {
		t.Fatalf("claims = %+v", claims)
	}
	return p, a, b, in, tac
}

// settled checks what has become of the purchase of [torn].
func (w *world) settled(p *purse, written bool) {
	w.t.Helper()
	want := map[store.Account]money.Fen{"holder/1001": 100 * yuan, suspense("C01"): 0, payee: 0}
	mirror, outcome := 50*yuan, journal.ElsewhereNot
	if written {
		want["holder/1001"], want[payee] = 97*yuan, 3*yuan
		mirror, outcome = 47*yuan, journal.Elsewhere
	}
	w.wants(want)
	w.mirror(p, mirror)
	if open := w.claims(p); len(open) != 0 {
		w.t.Errorf("still open: %+v", open)
	}
	got, err := w.in.Settlements(w.t.Context(), "C01", []string{"torn", "never"})
	if err != nil || len(got) != 1 || got["torn"] != outcome {
		w.t.Errorf("Settlements = %v, %v; want %s", got, err, outcome)
	}
	w.sound()
}

// TestClaimEvidence settles by what the card says elsewhere (the decision table
// for torn transactions).
func TestClaimEvidence(t *testing.T) {
	for _, c := range []struct {
		name    string
		made    bool
		say     func(w *world, b *till, of journal.Claim, tac pboc.MAC)
		settles bool
		inbox   []ingest.ExceptionKind
	}{
		{"Proof", true, func(_ *world, b *till, of journal.Claim, tac pboc.MAC) {
			b.evidence(of, journal.Written, "prove", tac)
		}, true, nil},
		{"Log", true, func(_ *world, b *till, of journal.Claim, _ pboc.MAC) {
			b.evidence(of, journal.Written, "log", pboc.MAC{})
		}, true, nil},
		{"Counter", false, func(_ *world, b *till, of journal.Claim, _ pboc.MAC) {
			b.evidence(of, journal.NotWritten, "counter", pboc.MAC{})
		}, true, nil},
		// 9000 with a TAC of something else: the next purchase at that counter.
		{"ForeignTAC", true, func(_ *world, b *till, of journal.Claim, tac pboc.MAC) {
			b.evidence(of, journal.Written, "prove", pboc.MAC{tac[0] + 1, 2, 3, 4})
		}, false, []ingest.ExceptionKind{ingest.NoEvidence}},
		// 9406: not made, or something else since.
		{"NoProof", false, func(_ *world, b *till, of journal.Claim, _ pboc.MAC) {
			b.evidence(of, journal.NotWritten, "prove", pboc.MAC{})
		}, false, []ingest.ExceptionKind{ingest.NoEvidence}},
		{"OtherCard", true, func(w *world, b *till, of journal.Claim, tac pboc.MAC) {
			of.Card = w.card(9, "holder/1001", 0).no
			b.evidence(of, journal.Written, "prove", tac)
		}, false, []ingest.ExceptionKind{ingest.NoEvidence}},
		{"SightedAfter", true, func(w *world, b *till, of journal.Claim, _ pboc.MAC) {
			p := w.stranger(1, 47*yuan)
			p.offline = of.Purse.Counter + 1
			b.sighted(p)
		}, true, nil},
		// The reading may be from before.
		{"SightedBefore", false, func(w *world, b *till, of journal.Claim, _ pboc.MAC) {
			p := w.stranger(1, 50*yuan)
			p.offline = of.Purse.Counter
			b.sighted(p)
		}, false, nil},
		// Something was bought in between, and nobody knows what.
		{"SightedLater", true, func(w *world, b *till, of journal.Claim, _ pboc.MAC) {
			p := w.stranger(1, 40*yuan)
			p.offline = of.Purse.Counter + 2
			b.sighted(p)
		}, false, nil},
		{"SightedOther", false, func(w *world, b *till, of journal.Claim, _ pboc.MAC) {
			p := w.stranger(1, 48*yuan)
			p.offline = of.Purse.Counter + 1
			b.sighted(p)
		}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				p, _, b, _, tac := torn(t, w, c.made)
				c.say(w, b, w.claims(p)[0], tac)
				b.push()
				w.inbox(c.inbox...)
				if c.settles {
					w.settled(p, c.made)
				} else if len(w.claims(p)) != 1 {
					t.Error("it was settled, and nobody can know")
				}
				w.sound()
			})
		})
	}
}

// TestClaimOwnEnd has the terminal itself find out, before or after somebody
// else has.
func TestClaimOwnEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		made  bool
		other journal.Outcome // what C02 says before, by the log
		own   journal.Outcome
		tac   bool
		want  bool // written in the end
		inbox []ingest.ExceptionKind
	}{
		{"Written", true, 0, journal.Written, true, true, nil},
		{"NotWritten", false, 0, journal.NotWritten, false, false, nil},
		{"WithoutTAC", true, 0, journal.Written, false, true, []ingest.ExceptionKind{ingest.TACMissing}},
		{"Told", true, journal.Written, journal.Elsewhere, false, true, nil},
		{"ToldNot", false, journal.NotWritten, journal.ElsewhereNot, false, false, nil},
		{"Same", true, journal.Written, journal.Written, true, true, nil},
		{"ProofWins", true, journal.NotWritten, journal.Written, true, true, []ingest.ExceptionKind{ingest.Corrected}},
		{"WordDoesNot", true, journal.NotWritten, journal.Written, false, false,
			[]ingest.ExceptionKind{ingest.TACMissing, ingest.Contradicted}},
		{"NotAfterAll", true, journal.Written, journal.NotWritten, false, true,
			[]ingest.ExceptionKind{ingest.Contradicted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				p, a, b, in, tac := torn(t, w, c.made)
				if c.other != 0 {
					b.evidence(w.claims(p)[0], c.other, "log", pboc.MAC{})
					b.push()
				}
				if !c.tac {
					tac = pboc.MAC{}
				}
				a.end(in, c.own, tac)
				a.push()
				w.inbox(c.inbox...)
				w.settled(p, c.want)
			})
		})
	}
}

// TestClaimRival settles a torn purchase by another one that the card has
// proved at the same counter, whichever comes first.
func TestClaimRival(t *testing.T) {
	for _, first := range []bool{true, false} {
		onBoth(t, func(t *testing.T, w *world) {
			owner := w.holder("1001", 100*yuan)
			p, a, b := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02")
			a.doubt(a.intend(p, "torn", 3*yuan)) // not made
			b.sell(p, "other", 5*yuan)
			order := []*till{a, b}
			if first {
				slices.Reverse(order)
			}
			for _, c := range order {
				c.push()
			}
			w.wants(map[store.Account]money.Fen{owner: 95 * yuan, payee: 5 * yuan, suspense("C01"): 0})
			w.mirror(p, 45*yuan)
			w.inbox()
			w.sound()
		})
	}
}

// TestClaimCounterDeceives has a counter call a torn purchase written that was
// another one of the same amount, at a till that pushes last: the card pays
// once for each meal.
func TestClaimCounterDeceives(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b, c := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
		a.doubt(a.intend(p, "torn", 12*yuan)) // not made
		a.push()
		b.sell(p, "dark", 12*yuan) // at the same counter
		c.sell(p, "online", yuan)  // says what the purse held before
		c.push()
		w.wants(map[store.Account]money.Fen{owner: 87 * yuan, payee: 13 * yuan, suspense("C01"): 0})
		b.push()
		w.wants(map[store.Account]money.Fen{owner: 87 * yuan, payee: 13 * yuan, suspense("C01"): 0})
		w.mirror(p, 37*yuan)
		w.inbox(ingest.Corrected)
		w.sound()
	})
}

// TestClaimsAtOneCounter has two tills lose one card at one counter: the
// purchase that was made denies the other, and the card's proof has the last
// word about which it was.
func TestClaimsAtOneCounter(t *testing.T) {
	for _, amount := range []money.Fen{7 * yuan, 12 * yuan} { // another than the first, and the same
		onBoth(t, func(t *testing.T, w *world) {
			owner := w.holder("1001", 100*yuan)
			p, a, b, c := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
			a.doubt(a.intend(p, "torn", 12*yuan)) // not made
			a.push()
			in := b.intend(p, "made", amount)
			tac := p.debit(in)
			b.doubt(in)
			b.push()
			c.sell(p, "next", yuan) // says what the purse held before
			c.push()
			if left := w.claims(p); len(left) != 0 {
				t.Errorf("%d claims are open, and one counter has told of both", len(left))
			}
			want := map[store.Account]money.Fen{
				owner: 99*yuan - amount, payee: yuan + amount, suspense("C01"): 0, suspense("C02"): 0,
			}
			w.wants(want)
			b.end(in, journal.Written, tac)
			b.push()
			w.wants(want)
			w.mirror(p, 49*yuan-amount)
			w.sound()
		})
	}
}

// TestClaimLateAtUsedCounter brings the claim of a purchase that was not made
// when another purchase at its counter has already been called written, though
// the card has not proved that one: a counter is used once, so the late one was
// not made, and does not stay open for ever. What the card proves afterwards has
// the last word; what it does not prove is somebody's to look at.
func TestClaimLateAtUsedCounter(t *testing.T) {
	const nobody, made, late = 0, 1, 2
	for _, c := range []struct {
		name   string
		proves int // whose purchase the card proves in the end
		word   bool
		inbox  []ingest.ExceptionKind
	}{
		{"Unproven", nobody, false, nil},
		{"WordAgainst", nobody, true, []ingest.ExceptionKind{ingest.Contradicted}},
		{"Proven", made, false, nil},
		{"ProofAgainst", late, false, []ingest.ExceptionKind{ingest.Corrected, ingest.Corrected}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				owner := w.holder("1001", 100*yuan)
				p, a, b, third := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
				lateSale := a.intend(p, "torn", 12*yuan)
				a.doubt(lateSale)
				sale := b.intend(p, "made", 12*yuan)
				tacs := map[int]pboc.MAC{made: p.debit(sale)}
				b.doubt(sale)
				b.push()
				third.doubt(third.intend(p, "next", yuan)) // says what the purse held before
				third.push()
				w.wants(map[store.Account]money.Fen{payee: 12 * yuan, suspense("C02"): 0})
				a.push()
				if open := w.claims(p); len(open) != 1 || open[0].Ref != "next" {
					t.Errorf("open are %+v, want only the last purchase", open)
				}
				want := map[store.Account]money.Fen{owner: 87 * yuan, payee: 12 * yuan, suspense("C01"): 0}
				w.wants(want)
				claim := func(in journal.Entry) journal.Claim {
					return journal.Claim{Position: in.Position(), Card: p.no, Purse: *in.Purse}
				}
				tacs[late] = pboc.Purchase{
					Amount: lateSale.Amount, Terminal: lateSale.Purse.TerminalNo, TraceNo: lateSale.Purse.TraceNo,
					At: lateSale.Purse.Stamp,
				}.TAC(p.keys.DTK)
				if c.word {
					third.evidence(claim(lateSale), journal.Written, "log", pboc.MAC{})
				}
				if in := map[int]journal.Entry{made: sale, late: lateSale}[c.proves]; in.Ref != "" {
					third.evidence(claim(in), journal.Written, "prove", tacs[c.proves])
				}
				third.push()
				w.wants(want)
				w.mirror(p, 38*yuan)
				w.inbox(c.inbox...)
				w.sound()
			})
		})
	}
}

// TestClaimTwins has two merchants ask for the same amount at one counter, and
// both lose the card. A counter cannot tell who is to be paid, so the card has to.
// When a counter has told before the second one was heard of, somebody has to
// look, until the card proves it.
func TestClaimTwins(t *testing.T) {
	const other = "merchant/canteen-2"
	for _, late := range []bool{false, true} {
		onBoth(t, func(t *testing.T, w *world) {
			owner := w.holder("1001", 100*yuan)
			p, a, b, third := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
			a.doubt(a.intend(p, "torn", 12*yuan)) // not made
			a.push()
			in := b.intendFor("canteen-2", p, "made", 12*yuan)
			tac := p.debit(in)
			b.doubt(in)
			if !late {
				b.push()
			}
			third.sell(p, "next", yuan) // says what the purse held before
			third.push()
			if late {
				b.push()
				w.wants(map[store.Account]money.Fen{payee: 13 * yuan, other: 0, suspense("C02"): 0})
				w.inbox(ingest.Contradicted)
			} else if open := w.claims(p); len(open) != 2 {
				t.Errorf("%d claims are open, and only the card can tell", len(open))
			}
			third.evidence(journal.Claim{Position: in.Position(), Card: p.no, Purse: *in.Purse}, journal.Written, "prove", tac)
			third.push()
			w.wants(map[store.Account]money.Fen{
				owner: 87 * yuan, payee: yuan, other: 12 * yuan, suspense("C01"): 0, suspense("C02"): 0,
			})
			w.mirror(p, 37*yuan)
			w.sound()
		})
	}
}

// TestClaimBehindItsRival brings a doubt in the push of the purchase that was made
// at its counter, and behind it, when the purchase after that is known. By that
// one alone the doubt would look as if it had been made.
func TestClaimBehindItsRival(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02")
		lost := a.intend(p, "lost", 3*yuan)
		a.sell(p, "made", 3*yuan)
		b.sell(p, "next", 2*yuan)
		b.push()
		a.doubt(lost)
		a.push()
		w.wants(map[store.Account]money.Fen{owner: 95 * yuan, payee: 5 * yuan, suspense("C01"): 0})
		w.mirror(p, 45*yuan)
		w.sound()
	})
}

// TestCounterTwice: two terminals bring a purchase each that is proved at one
// value of a card's counter. A card uses it once, so there are two cards. Both
// purchases have happened, and count; somebody has to look. One that only comes
// late is none of that.
func TestCounterTwice(t *testing.T) {
	for _, doubted := range []bool{false, true} {
		onBoth(t, func(t *testing.T, w *world) {
			owner := w.holder("1001", 100*yuan)
			p, a, b, late := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
			late.sell(p, "late", yuan)
			copied := *p
			in := a.intend(p, "first", 3*yuan)
			tac := p.debit(in)
			if doubted {
				a.doubt(in)
			}
			a.end(in, journal.Written, tac)
			a.sell(p, "next", yuan)
			a.push()
			late.push()
			w.inbox()
			twice := b.sell(&copied, "second", 4*yuan)
			b.push()
			w.inbox(ingest.CounterTwice)
			lines, err := w.books.Exceptions(t.Context())
			if err != nil || lines[0].Ref != twice.Position().String() || lines[0].Amount != 4*yuan ||
				!strings.Contains(lines[0].Detail, "3.00") || !strings.Contains(lines[0].Detail, "C01/") {
				t.Errorf("the inbox has %+v, %v; want both purchases", lines, err)
			}
			w.wants(map[store.Account]money.Fen{owner: 91 * yuan, payee: 9 * yuan})
			w.sound()
		})
	}
}

// TestLoadClaimLate brings the claim of a load after a purchase whose counter
// has the same value: purchases and loads are counted apart, and it stays open.
func TestLoadClaimLate(t *testing.T) {
	loadID := strings.Repeat("0a", 16)
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b := w.card(1, owner, 50*yuan), w.till("K01"), w.till("C02")
		p.online = p.offline
		at := pboc.Stamp{0x20, 0x26, 0x03, 0x02, 0x12, 0, 1}
		err := w.books.WithCard(t.Context(), p.no, func(c store.CardTx) error {
			return errors.Join(
				c.AddLoad(store.Load{ID: loadID, Terminal: "K01", Amount: 5 * yuan}),
				c.AddOffer(store.Offer{LoadID: loadID, Counter: p.online, Balance: p.balance, Stamp: at}))
		})
		if err != nil {
			t.Fatal(err)
		}
		in := a.write(journal.Entry{
			Kind: journal.LoadIntent, Ref: loadID, Card: p.no, Amount: 5 * yuan, Purse: &journal.Purse{
				Balance: p.balance, Counter: p.online, TerminalNo: a.terminal.No, Stamp: at,
			},
		})
		in.Kind = journal.LoadDoubt
		a.write(in)
		b.sell(p, "sold", yuan)
		b.push()
		a.push()
		if open := w.claims(p); len(open) != 1 || open[0].Ref != loadID {
			t.Errorf("open are %+v, want the load", open)
		}
		w.inbox()
		w.sound()
	})
}

// TestClaimLate settles a claim that comes after what settles it.
func TestClaimLate(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		a, b := w.till("C01"), w.till("C02")
		bought, seen := w.card(1, owner, 50*yuan), w.card(2, owner, 50*yuan)
		for i, p := range []*purse{bought, seen} {
			in := a.intend(p, []string{"r1", "r2"}[i], 3*yuan)
			p.debit(in)
			a.doubt(in)
		}
		b.sell(bought, "next", yuan) // says what the purse held before
		b.sighted(seen)
		b.push()
		a.push()
		w.wants(map[store.Account]money.Fen{owner: 93 * yuan, payee: 7 * yuan, suspense("C01"): 0})
		w.mirror(bought, 46*yuan)
		w.mirror(seen, 47*yuan)
		w.inbox()
		w.sound()
	})
}

// TestEvidenceEarly has evidence come before the claim, as after a restore of
// the upstream.
func TestEvidenceEarly(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02")
		in := a.intend(p, "torn", 3*yuan)
		tac := p.debit(in)
		a.doubt(in)
		b.evidence(journal.Claim{Position: in.Position(), Card: p.no, Purse: *in.Purse}, journal.Written, "prove", tac)
		b.push()
		w.inbox(ingest.EarlyEvidence)
		a.push()
		w.inbox()
		w.settled(p, true)
		w.closedBy(ingest.EarlyEvidence, "settlement of 3.00 for torn")
	})
}

// closedBy checks by which entries about which claims lines of a kind were closed.
func (w *world) closedBy(k ingest.ExceptionKind, want ...string) {
	w.t.Helper()
	got, err := sqldb.Texts(w.t.Context(), w.books.Live(), `
		SELECT CASE WHEN e.id IS NULL THEN 'nothing' WHEN e.kind = ?1 THEN 'settlement' ELSE 'another kind' END
			|| coalesce(' of ' || (e.amount_fen / 100) || '.00 for ' || c.ref, '')
		FROM exceptions x LEFT JOIN entries e ON e.id = x.closing_entry LEFT JOIN claims c ON c.id = e.claim_id
		WHERE x.kind = ?2 AND x.closed_ms IS NOT NULL ORDER BY x.id`, int64(store.KindSettlement), string(k))
	if err != nil || !slices.Equal(got, want) {
		w.t.Errorf("lines of %q are closed by %q, %v; want %q", k, got, err, want)
	}
}

// TestEvidenceEarlyTwice has two terminals bring evidence before the claim. The
// first is none, and the second was carried over into another epoch: none of that
// may keep the claim open.
func TestEvidenceEarlyTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b, third := w.card(1, owner, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
		in := a.intend(p, "torn", 3*yuan)
		tac := p.debit(in)
		a.doubt(in)
		claim := journal.Claim{Position: in.Position(), Card: p.no, Purse: *in.Purse}
		b.evidence(claim, journal.NotWritten, "prove", pboc.MAC{})
		b.push()
		third.evidence(claim, journal.Written, "prove", tac)
		third.reopen(0, journal.ReasonRewound).push()
		w.inbox(ingest.EarlyEvidence, ingest.EarlyEvidence, ingest.EpochOpened)
		a.push()
		w.inbox(ingest.NoEvidence, ingest.EpochOpened)
		w.settled(p, true)
		w.closedBy(ingest.EarlyEvidence, "nothing", "settlement of 3.00 for torn")
	})
}

// TestEvidenceForTwoMachines has two machines with one identity lose a card each
// under the same number. Evidence for the one settles the one.
func TestEvidenceForTwoMachines(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, q, a, b := w.card(1, owner, 50*yuan), w.card(2, owner, 50*yuan), w.till("C01"), w.till("C02")
		clone := a.rewind(0)
		first, second := a.intend(p, "r1", 3*yuan), clone.intend(q, "r2", 5*yuan)
		tac := q.debit(second)
		a.doubt(first)
		clone.doubt(second)
		a.push()
		clone.rejectedAs(t, journal.ErrFork)
		clone.reopen(0, journal.ReasonForked).push()
		w.wants(map[store.Account]money.Fen{suspense("C01"): 8 * yuan})
		claim := w.claims(q)[0]
		if claim.Position != first.Position() {
			t.Fatalf("claim at %s, want it under the number of both, %s", claim.Position, first.Position())
		}
		b.evidence(claim, journal.Written, "prove", tac)
		b.evidence(w.claims(p)[0], journal.NotWritten, "counter", pboc.MAC{})
		b.push()
		w.wants(map[store.Account]money.Fen{owner: 95 * yuan, payee: 5 * yuan, suspense("C01"): 0})
		w.sound()
	})
}

// TestClaimUnknownCard keeps what is of nobody that we know in suspense.
func TestClaimUnknownCard(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		p, a, b := w.stranger(1, 50*yuan), w.till("C01"), w.till("C02")
		in := a.intend(p, "torn", 3*yuan)
		a.doubt(in)
		a.sell(p, "sold", 2*yuan)
		a.push()
		w.wants(map[store.Account]money.Fen{payee: 2 * yuan, suspense("C01"): -2 * yuan})
		w.inbox(ingest.UnknownCard, ingest.UnknownCard)
		b.evidence(w.claims(p)[0], journal.Written, "log", pboc.MAC{})
		b.push()
		w.wants(map[store.Account]money.Fen{payee: 5 * yuan, suspense("C01"): -5 * yuan})
		w.inbox(ingest.UnknownCard, ingest.UnknownCard, ingest.UnknownCard)
		w.sound()
	})
}

// TestClaimUnknownCardCorrected has somebody pay for a purchase with a card that nobody knew,
// which was not made as the card proves later: what was paid for it can be given back.
func TestClaimUnknownCardCorrected(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		owner := w.holder("1001", 100*yuan)
		p, a, b, c := w.stranger(1, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
		a.doubt(a.intend(p, "torn", 12*yuan)) // not made
		a.push()
		w.card(1, owner, 50*yuan)
		b.sell(p, "dark", 12*yuan) // at the same counter
		c.sell(p, "online", yuan)  // says what the purse held before
		c.push()
		w.wants(map[store.Account]money.Fen{owner: 99 * yuan, payee: 13 * yuan, suspense("C01"): -12 * yuan})
		house := clearing.New(w.books)
		assign := func(amount money.Fen) {
			t.Helper()
			lines, err := house.Exceptions(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range lines {
				if x.Amount == amount && x.Account == suspense("C01") {
					s := clearing.Signature{Reason: "1001 的卡", One: "王敏"}
					if _, err = house.Assign(t.Context(), x.ID, owner, s); err != nil {
						t.Error(err)
					}
					return
				}
			}
			t.Errorf("no line of %s can be given to its holder: %+v", amount, lines)
		}
		assign(-12 * yuan)
		w.wants(map[store.Account]money.Fen{owner: 87 * yuan, payee: 13 * yuan, suspense("C01"): 0})
		b.push()
		w.wants(map[store.Account]money.Fen{owner: 75 * yuan, payee: 13 * yuan, suspense("C01"): 12 * yuan})
		assign(12 * yuan)
		w.wants(map[store.Account]money.Fen{owner: 87 * yuan, payee: 13 * yuan, suspense("C01"): 0})
		w.sound()
	})
}

// TestSaleExceptions posts what has happened all the same, and lists it.
func TestSaleExceptions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 4*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		in := c.intend(p, "s1", 3*yuan)
		p.debit(in)
		c.end(in, journal.Written, pboc.MAC{1, 2, 3, 4})
		c.push()
		w.inbox(ingest.TACWrong)
		if err := w.books.SetCardStatus(t.Context(), p.no, store.CardHot); err != nil {
			t.Fatal(err)
		}
		c.sell(p, "s2", 2*yuan)
		c.sell(p, "s3", 2*yuan)
		c.push()
		w.inbox(ingest.TACWrong, ingest.HotCard, ingest.HotCard, ingest.Overdrawn)
		w.wants(map[store.Account]money.Fen{a: -3 * yuan, payee: 7 * yuan})
		w.sound()
	})
}

// TestEndsOnce refuses to count an end twice, or one that is of something else.
func TestEndsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		in := c.intend(p, "s1", 3*yuan)
		tac := p.debit(in)
		c.end(in, journal.Written, tac)
		c.end(in, journal.Written, tac)
		c.push()
		c.end(in, journal.Written, tac)
		dear := c.intend(p, "s2", yuan)
		c.write(dear) // announced twice
		dear.Amount = 40 * yuan
		c.end(dear, journal.Written, tac)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 97 * yuan, payee: 3 * yuan})
		w.inbox(ingest.NoIntent, ingest.NoIntent, ingest.IntentTwice, ingest.EndDiffers)
		w.sound()
	})
}

// TestDoubtAgain: a terminal announces a sale once more under the name of one that was in
// doubt and has ended. That is listed, and what comes after it is taken.
func TestDoubtAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		for range 2 {
			in := c.intend(p, "s1", 10*yuan)
			c.doubt(in)
			c.end(in, journal.NotWritten, pboc.MAC{})
		}
		c.sell(p, "s2", yuan)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 99 * yuan, payee: yuan, suspense("C01"): 0})
		w.inbox(ingest.IntentTwice, ingest.RuleBroken)
		w.sound()
	})
}

func TestRefund(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c := w.card(1, a, 50*yuan), w.till("C01")
		refund := func(ref string, of journal.Entry, amount money.Fen) {
			c.write(journal.Entry{
				Kind: journal.Refund, Ref: ref, Card: p.no, Merchant: merchant, Amount: amount, Origin: of.Position(),
			})
		}
		sale := c.sell(p, "s1", 10*yuan)
		refund("r1", sale, 4*yuan) // in the same push
		c.push()
		refund("r2", sale, 6*yuan)
		refund("r3", sale, 1)
		c.push()
		never := sale
		never.Seq = 999
		refund("r4", never, 2)
		c.put([]byte("nonsense"))
		nonsense := sale
		nonsense.Seq = c.next() - 1
		refund("r5", nonsense, 3)
		c.push()
		w.wants(map[store.Account]money.Fen{a: 100*yuan + 6, payee: -6})
		w.inbox(ingest.RefundTooHigh, ingest.RefundUnmatched, ingest.NotReadable, ingest.RefundUnmatched)
		w.sound()
	})
}

// TestRefundOfSettled gives back a sale that was in doubt and was settled by somebody else
// before its own terminal could: it is that sale, and is given back once.
func TestRefundOfSettled(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c, other, third := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02"), w.till("C03")
		in := c.intend(p, "s1", 10*yuan)
		c.doubt(in)
		c.push()
		other.sell(p, "s2", 10*yuan) // which looks like it, and is not pushed
		third.sighted(p)
		third.push()
		end := c.end(in, journal.Elsewhere, pboc.MAC{})
		refund := func(at *till, ref string, amount money.Fen) {
			at.write(journal.Entry{
				Kind: journal.Refund, Ref: ref, Card: p.no, Merchant: merchant, Amount: amount, Origin: end.Position(),
			})
			at.push()
		}
		refund(c, "r1", 4*yuan)
		w.wants(map[store.Account]money.Fen{a: 94 * yuan, payee: 6 * yuan})
		w.inbox()
		refund(third, "r2", 7*yuan)
		w.inbox(ingest.RefundTooHigh)
		other.push() // the card has paid this one: the other's price goes back, once more
		w.wants(map[store.Account]money.Fen{a: 101 * yuan, payee: -yuan})
		w.inbox(ingest.RefundTooHigh, ingest.Corrected, ingest.RefundTooHigh)
		w.sound()
	})
}

// TestPartMeetsEvidence: a terminal is parted with while it has a sale open to a card
// that nobody knows, and another till brings evidence about it at that moment.
// Whichever comes first, the claim is settled.
func TestPartMeetsEvidence(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, emptied(t))
	known := w.card(1, w.holder("1001", 10*yuan), 50*yuan)
	p, c, d := w.stranger(7, 50*yuan), w.till("C01"), w.till("C02")
	in := c.intend(p, "s1", 3*yuan)
	c.push()
	c.approved(c.ask(known, "a1", yuan), 10*yuan)
	if err := w.books.RevokeTerminal(ctx, c.terminal.ID); err != nil {
		t.Fatal(err)
	}
	d.evidence(journal.Claim{Position: in.Position(), Card: in.Card, Purse: *in.Purse},
		journal.NotWritten, "counter", pboc.MAC{})
	parted, pushed := make(chan error, 1), make(chan error, 1)
	err := w.books.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1 FROM holds WHERE attempt = 'a1' FOR UPDATE`); err != nil {
			return err
		}
		go func() { parted <- w.in.Part(ctx, c.terminal) }() // waits for the hold, its claim written
		time.Sleep(500 * time.Millisecond)
		go func() { _, err := w.in.Push(ctx, d.terminal, d.batch(1, d.next()-1)); pushed <- err }()
		time.Sleep(500 * time.Millisecond)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := <-parted, <-pushed; a != nil || b != nil {
		t.Error(a, b)
	}
	if open := w.claims(p); len(open) != 0 {
		t.Errorf("still open: %+v", open)
	}
}

// TestReadingNoise has a card with noise in the top bit of its balance, of which a
// till tells two things: in its journal the balance as it is, and before a sale
// without the noise.
func TestReadingNoise(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		a := w.holder("1001", 100*yuan)
		p, c, d := w.card(1, a, 50*yuan), w.till("C01"), w.till("C02")
		p.balance |= 1 << 31
		in := c.intend(p, "torn", 3*yuan)
		p.debit(in)
		c.doubt(in)
		c.push()
		q := d.ask(p, "b2", yuan)
		q.Reading = &ingest.Reading{Purse: money.Fen(p.balance &^ (1 << 31)), Offline: p.offline} // as kiosk.Seller asks
		if got := d.authorize(q); !got.Approved || len(got.Claims) != 0 {
			t.Errorf("answer %+v, want the claim settled", got)
		}
		w.wants(map[store.Account]money.Fen{payee: 3 * yuan, suspense("C01"): 0})
		w.sound()
	})
}
