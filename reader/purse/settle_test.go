package purse_test

import (
	"errors"
	"testing"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/apdu"
	"quancun/reader/profile"
	"quancun/reader/purse"
	"quancun/reader/sim"
)

const (
	before = 50 * money.Yuan
	amount = 10 * money.Yuan
)

var later = pboc.Stamp{0x20, 0x26, 0x09, 0x16, 0x12, 0, 0}

// bench is a campus card with everything that it needs to load and to buy.
type bench struct {
	t    *testing.T
	p    *profile.Profile
	card *sim.Card
	info purse.Info
	sam  *sim.SAM
}

func newBench(t *testing.T) *bench {
	t.Helper()
	p := profile.Default()
	s, err := sim.Issue(p, sim.LabMasters, sim.Holder{
		CardNo: purse.CardNo{9: 0x45}, UID: [4]byte{4, 1, 2, 3}, Balance: before,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Online, s.Offline = 0x11, 0x203
	b := &bench{t: t, p: p, card: sim.New(s), sam: sim.NewSAM(terminal, sim.LabMasters.Purchase, 1)}
	b.lay()
	return b
}

// lay puts the card back on the reader, which forgets its PIN.
func (b *bench) lay() {
	b.t.Helper()
	b.card.PowerOn()
	var err error
	if b.info, err = purse.Open(b.card, b.p); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) verify() {
	b.t.Helper()
	pin := purse.PIN{'1', '2', '3', '4', '5', '6'}
	if err := (purse.VerifyPIN{PIN: &pin}).Send(b.card); err != nil {
		b.t.Fatal(err)
	}
}

// load loads amount and returns what is needed to settle it, and the error of
// CREDIT FOR LOAD.
func (b *bench) load(at pboc.Stamp) (purse.Torn, error) {
	b.t.Helper()
	b.verify()
	o, err := purse.InitLoad{KeyIndex: 1, Amount: amount, Terminal: terminal}.Send(b.card)
	if err != nil {
		b.t.Fatal(err)
	}
	l := pboc.Load{Balance: o.Balance, Counter: o.Counter, Amount: amount, Terminal: terminal, At: at}
	session := sim.LabMasters.Load.Diversify(b.info.Factor).LoadSession(o.Random, o.Counter)
	_, err = purse.CreditLoad{At: at, MAC2: l.MAC2(session)}.Send(b.card)
	return purse.Torn{Counter: o.Counter, Balance: o.Balance, Amount: amount, Terminal: terminal, At: at}, err
}

// buy buys for amount, as load loads.
func (b *bench) buy(amount money.Fen, at pboc.Stamp) (purse.Torn, error) {
	b.t.Helper()
	o, err := purse.InitPurchase{KeyIndex: 1, Amount: amount, Terminal: terminal}.Send(b.card)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := purse.InitSAM{
		Offer: o, Amount: amount, Type: pboc.TypePurchase, At: at, Factor: b.info.Factor,
	}.Send(b.sam)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = purse.DebitPurchase{TraceNo: m.TraceNo, At: at, MAC1: m.MAC1}.Send(b.card)
	return purse.Torn{Counter: o.Counter, Balance: o.Balance, Amount: amount, Terminal: terminal, At: at}, err
}

// buyOften buys so many small things.
func (b *bench) buyOften(n int) {
	b.t.Helper()
	for range n {
		b.must(b.buy(money.Yuan, later))
	}
}

// must fails the test if a transaction that nobody broke failed.
func (b *bench) must(_ purse.Torn, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestSettleLoad tears a load, lets more happen to the card, and settles, with
// the PIN and without. The outcome that is said must never contradict what the
// card really did.
func TestSettleLoad(t *testing.T) {
	for _, tt := range []struct {
		name      string
		how       sim.How
		meanwhile func(*bench) // on other terminals
		pin       bool
		want      purse.Verdict // TAC only as valid or not
		tac       bool
		err       error
	}{
		{name: "Before", how: sim.TearBefore, pin: true,
			want: purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "BeforeNoPIN", how: sim.TearBefore, err: purse.ErrNeedPIN},
		{name: "After", how: sim.TearAfter, pin: true, tac: true,
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByProof | purse.ByLog}},
		{name: "AfterNoPIN", how: sim.TearAfter, tac: true,
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByProof | purse.ByLog}},
		{name: "BeforeThenBought", how: sim.TearBefore, pin: true,
			meanwhile: func(b *bench) { b.must(b.buy(100, later)) },
			want:      purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		// Bought for as much as was loaded, so that the balance is the old one.
		{name: "AfterThenBought", how: sim.TearAfter, pin: true,
			meanwhile: func(b *bench) { b.must(b.buy(amount, later)) },
			want:      purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByLog}},
		{name: "AfterThenBoughtNoPIN", how: sim.TearAfter,
			meanwhile: func(b *bench) { b.must(b.buy(amount, later)) },
			want:      purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByLog}},
		// The other load has this counter's proof, and the same new balance.
		{name: "BeforeThenLoaded", how: sim.TearBefore, pin: true, tac: true,
			meanwhile: func(b *bench) { b.must(b.load(later)) },
			want:      purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByProof | purse.ByLog}},
		{name: "BeforeThenLoadedAndBought", how: sim.TearBefore, pin: true,
			meanwhile: func(b *bench) { b.must(b.load(later)); b.must(b.buy(0, later)) },
			want:      purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByCounter | purse.ByLog}},
		{name: "AfterThenLoaded", how: sim.TearAfter, pin: true,
			meanwhile: func(b *bench) { b.must(b.load(later)) },
			want:      purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByLog}},
		{name: "AfterThenMuchBought", how: sim.TearAfter, pin: true, // the log has scrolled
			meanwhile: func(b *bench) {
				for range 10 {
					b.must(b.buy(100, later))
				}
			},
			want: purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByCounter}},
		{name: "AfterThenNothingBought", how: sim.TearAfter, pin: true, // scrolled by purchases of nothing
			meanwhile: func(b *bench) {
				for range 10 {
					b.must(b.buy(0, later))
				}
			},
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByCounter}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.card.Break(sim.Break{How: tt.how, INS: 0x52})
			torn, err := b.load(at)
			if err == nil || purse.Certain(err) {
				t.Fatalf("CREDIT FOR LOAD = %v, want an unknown outcome", err)
			}
			b.lay()
			if tt.meanwhile != nil {
				tt.meanwhile(b)
				b.lay()
			}
			if tt.pin {
				b.verify()
			}
			for range 2 { // the second time is a crash right after settling
				got, err := purse.SettleLoad(b.card, b.p, torn)
				if got.TAC.Valid() != tt.tac {
					t.Errorf("TAC = %X, want one %v", got.TAC, tt.tac)
				}
				got.TAC, got.MAC2 = pboc.MAC{}, pboc.MAC{}
				if got != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("SettleLoad() = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
				}
			}
		})
	}
}

func TestSettlePurchase(t *testing.T) {
	for _, tt := range []struct {
		name      string
		how       sim.How
		meanwhile func(*bench)
		want      purse.Verdict
	}{
		{name: "Before", how: sim.TearBefore,
			want: purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "After", how: sim.TearAfter,
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByProof | purse.ByLog}},
		{name: "BeforeThenLoaded", how: sim.TearBefore,
			meanwhile: func(b *bench) { b.must(b.load(later)) },
			want:      purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "AfterThenLoaded", how: sim.TearAfter,
			meanwhile: func(b *bench) { b.must(b.load(later)) },
			want:      purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByLog}},
		{name: "BeforeThenBought", how: sim.TearBefore,
			meanwhile: func(b *bench) { b.must(b.buy(amount, later)) },
			want:      purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByProof | purse.ByLog}},
		// The log still goes back to this counter, and has another purchase there.
		{name: "BeforeThenBoughtOften", how: sim.TearBefore,
			meanwhile: func(b *bench) { b.buyOften(b.p.Log.Records) },
			want:      purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByCounter | purse.ByLog}},
		// It has forgotten ours, which the same counter tells.
		{name: "AfterThenBoughtOften", how: sim.TearAfter,
			meanwhile: func(b *bench) { b.buyOften(b.p.Log.Records) },
			want:      purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByCounter}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.card.Break(sim.Break{How: tt.how, INS: 0x54})
			torn, err := b.buy(amount, at)
			if err == nil || purse.Certain(err) {
				t.Fatalf("DEBIT FOR PURCHASE = %v, want an unknown outcome", err)
			}
			b.lay()
			if tt.meanwhile != nil {
				tt.meanwhile(b)
				b.lay()
			}
			got, err := purse.SettlePurchase(b.card, b.p, torn)
			if got.MAC2.Valid() != (got.Evidence&purse.ByProof != 0) {
				t.Errorf("MAC2 = %X with evidence %b", got.MAC2, got.Evidence)
			}
			got.TAC, got.MAC2 = pboc.MAC{}, pboc.MAC{}
			if got != tt.want || err != nil {
				t.Errorf("SettlePurchase() = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// TestSettleTranscripts has the cards that sim is not: without GET TRANSACTION
// PROVE, with another counter rule, without a readable log.
func TestSettleTranscripts(t *testing.T) {
	const (
		prove  = "> 805A0002 02 0012 08\n"
		log1   = "> 00B201C4 17\n"
		ours   = "< 0012 000000 000003E8 02 010203040506 20260915083015 9000\n> 00B202C4 17\n< 6A83\n"
		init   = "> 80500002 0B 01 00000001 010203040506 10\n"
		random = "01 00 7A3C91E5 B2E40978 9000\n"
	)
	tac := pboc.MAC{0x9B, 0xC1, 0x6C, 0xA2}
	for _, tt := range []struct {
		name, transcript, profile string
		want                      purse.Verdict
		err                       error
	}{
		{name: "NoProveCommand", transcript: prove + "< 6D00\n" + log1 + ours,
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByLog}},
		{name: "NoProveNoLog", transcript: prove + "< 6A81\n" + log1 + "< 6982\n" + init + "< 00001770 0012" + random,
			want: purse.Verdict{Outcome: purse.Executed, Evidence: purse.ByCounter}},
		{name: "NoProveNoLogNotExecuted",
			transcript: prove + "< 6985\n" + log1 + "< 6A82\n" + init + "< 00001388 0011" + random,
			want:       purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "NoPIN", transcript: prove + "< 9406\n" + log1 + "< 6982\n" + init + "< 6982\n", err: purse.ErrNeedPIN},
		{name: "ProofWithoutLog", transcript: prove + "< 88FA226D 9BC16CA2 9000\n" + log1 + "< 6982\n",
			want: purse.Verdict{
				Outcome: purse.Executed, Evidence: purse.ByProof, TAC: tac, MAC2: pboc.MAC{0x88, 0xFA, 0x22, 0x6D},
			}},
		{name: "ZeroProof", transcript: prove + "< 0000000000000000 9000\n" + log1 + "< 6A83\n" +
			init + "< 00001388 0011" + random,
			want: purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "OldRule", profile: `prove = "before"`,
			transcript: "> 805A0002 02 0011 08\n< 9406\n" + log1 + "< 6A83\n" + init + "< 00001388 0011" + random,
			want:       purse.Verdict{Outcome: purse.NotExecuted, Evidence: purse.ByCounter}},
		{name: "FarAhead", transcript: prove + "< 9406\n" + log1 + "< 6A83\n" + init + "< 00001770 0019" + random,
			want: purse.Verdict{Outcome: purse.Elsewhere, Evidence: purse.ByCounter}},
		{name: "WillNotSay", transcript: prove + "< 9406\n" + log1 + "< 6A83\n" + init + "< 6985\n",
			want: purse.Verdict{Outcome: purse.Elsewhere}},
		{name: "SilentAtProve", transcript: prove + "< pulled\n", err: errPulled},
		{name: "SilentAtLog", transcript: prove + "< 9406\n" + log1 + "<\n", err: apdu.ErrNoAnswer},
		{name: "SilentAtProvenLog", transcript: prove + "< 88FA226D 9BC16CA2 9000\n" + log1 + "< pulled\n", err: errPulled},
		{name: "SilentAtInit", transcript: prove + "< 9406\n" + log1 + "< 6A83\n" + init + "< pulled\n", err: errPulled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := profile.Parse(tt.profile)
			if err != nil {
				t.Fatal(err)
			}
			torn := purse.Torn{Counter: 0x11, Balance: 5000, Amount: amount, Terminal: terminal, At: at}
			got, err := purse.SettleLoad(newScript(t, tt.transcript), p, torn)
			if got != tt.want || !errors.Is(err, tt.err) || apdu.Answered(err) {
				t.Errorf("SettleLoad() = %+v, %v; want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}
