package purse_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

// TestSettleRandom tears a load in a random way, lets a random history happen to
// the card, settles and compares with what the card really did. However the
// dice fall: what is called not executed was not, what the log shows was, and
// what is called executed and was not is given away by the issuer's own books.
func TestSettleRandom(t *testing.T) {
	for seed := range uint64(1500) {
		dice := rand.New(rand.NewPCG(seed, 0))
		b := newBench(t)
		if err := b.card.Update(func(s *sim.State) {
			s.PINForLog = dice.IntN(3) == 0
			s.Ceiling = before + amount*money.Fen(1+dice.IntN(4))
		}); err != nil {
			t.Fatal(err)
		}
		how := []sim.How{sim.TearBefore, sim.TearAfter}[dice.IntN(2)]
		b.card.Break(sim.Break{How: how, INS: 0x52})
		torn, err := b.load(at)
		if err == nil {
			t.Fatal("a torn load was answered")
		}
		b.lay()
		sameCounter := b.live(dice, torn)
		b.lay()
		if dice.IntN(2) == 0 {
			b.verify()
		}
		got, err := purse.SettleLoad(b.card, b.p, torn)
		if err != nil && !errors.Is(err, purse.ErrNeedPIN) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		b.judge(seed, got, torn, how == sim.TearAfter, sameCounter)
	}
}

// live lets other terminals use the card, and reports whether one of them made
// a load with the counter of the torn one.
func (b *bench) live(dice *rand.Rand, torn purse.Torn) (sameCounter bool) {
	for range dice.IntN(14) {
		switch dice.IntN(6) {
		case 0:
			s := b.card.State()
			if money.Fen(s.Balance)+amount > s.Ceiling {
				continue
			}
			other, err := b.load(later)
			b.must(other, err)
			sameCounter = sameCounter || other.Counter == torn.Counter
			b.lay()
		case 1:
			if b.card.State().Balance >= uint32(amount) {
				b.must(b.buy(amount, later))
			}
		default:
			b.must(b.buy(0, later))
		}
	}
	return sameCounter
}

func (b *bench) judge(seed uint64, got purse.Verdict, torn purse.Torn, executed, sameCounter bool) {
	b.t.Helper()
	claimed := got.Outcome == purse.Executed
	switch {
	case got.Outcome == purse.NotExecuted && executed:
		b.t.Errorf("seed %d: %+v, but the card has the money", seed, got)
	case got.Outcome == purse.Elsewhere && got.Evidence&purse.ByLog != 0 && executed:
		b.t.Errorf("seed %d: %+v, but the card has done it", seed, got)
	case !claimed || executed:
	case got.Evidence&purse.ByLog != 0:
		b.t.Errorf("seed %d: %+v, but the card has no such load", seed, got)
	case !sameCounter:
		b.t.Errorf("seed %d: %+v, and no other load explains it", seed, got)
	}
	if claimed && got.TAC.Valid() && b.ours(got.TAC, torn) != executed {
		b.t.Errorf("seed %d: %+v: the issuer takes the TAC for the wrong load's", seed, got)
	}
}

// ours is the issuer's check of a TAC.
func (b *bench) ours(tac pboc.MAC, torn purse.Torn) bool {
	l := pboc.Load{
		Balance: torn.Balance, Counter: torn.Counter, Amount: torn.Amount, Terminal: torn.Terminal, At: torn.At,
	}
	return l.TAC(sim.LabMasters.TAC.Diversify(b.info.Factor)).Equal(tac)
}
