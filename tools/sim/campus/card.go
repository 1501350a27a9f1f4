package campus

import (
	"time"

	"quancun/money"
	"quancun/pboc"
	"quancun/reader/sim"
	"quancun/tools/sim/virtual"
	"quancun/tools/sim/works"
)

// plastic is a card in somebody's pocket: a real chip, and somebody who watches
// it. Whatever the programs believe, the chip's counters say what happened, and
// every change of them is told to the oracle at once.
type plastic struct {
	campus *Campus
	chip   *sim.Card
	no     string
	holder *holder
	factor [8]byte

	balance         money.Fen
	level           money.Fen // the most that the books and the chip together may have let it spend
	online, offline uint16
	hot             bool      // reported lost
	stopped         bool      // so its holder was told
	undone          time.Time // when it was found again
	used            bool      // since the story began
}

// ATR implements [reader.Card].
func (p *plastic) ATR() []byte { return p.chip.ATR() }

// Close implements [reader.Card].
func (p *plastic) Close() error { return p.chip.Close() }

// lay puts the card on a reader.
func (p *plastic) lay() *plastic {
	p.used = true
	p.chip.PowerOn()
	return p
}

// Instructions of the commands at which a card is torn, and of the two that
// write.
const (
	insInitialize = 0x50
	insCredit     = 0x52
	insDebit      = 0x54
	insProve      = 0x5A
	insReadRecord = 0xB2
)

// Transmit passes a command on to the chip, and looks at what it did.
func (p *plastic) Transmit(command []byte) ([]byte, error) {
	writes := len(command) > 1 && (command[1] == insCredit || command[1] == insDebit)
	response, err := p.chip.Transmit(command)
	if writes {
		p.look(command[1], err)
	}
	return response, err
}

// look tells the oracle what a write has done, which the program that sent it
// may never learn.
func (p *plastic) look(ins byte, err error) {
	s := p.chip.State()
	switch {
	case s.Offline != p.offline:
		amount := p.balance - money.Fen(s.Balance)
		p.campus.oracle.debited(p, debit{counter: p.offline, amount: amount, tac: pboc.MAC(s.Last.TAC)})
		p.campus.note("chip %s paid %s, counter %d", p.name(), amount, p.offline)
	case s.Online != p.online:
		took := money.Fen(s.Balance) - p.balance
		p.level = max(p.level, p.campus.office.auditor.Mirror(p.no)+took)
		p.campus.note("chip %s took %s, counter %d", p.name(), took, p.online)
	}
	if err != nil && ins == insDebit {
		p.campus.cover(map[bool]Branch{true: branchTornAfter, false: branchTornBefore}[s.Offline != p.offline])
	}
	if err != nil && ins == insCredit {
		p.campus.cover(map[bool]Branch{true: branchLoadTornAfter, false: branchLoadTornBefore}[s.Online != p.online])
	}
	p.balance, p.online, p.offline = money.Fen(s.Balance), s.Online, s.Offline
}

func (p *plastic) name() string { return p.no[len(p.no)-4:] }

// Where and how cards are torn, the more often the more times it is here. 0 is
// at any command.
var (
	instructions = []byte{insDebit, insDebit, insDebit, insCredit, insCredit, insInitialize, insProve, insReadRecord, 0}
	hows         = []sim.How{sim.TearBefore, sim.TearAfter, sim.TearBefore, sim.TearAfter, sim.WrongMAC}
)

// maybeTear has the card leave the reader at one of its next commands, one time
// in n.
func (p *plastic) maybeTear(n int) {
	d := p.campus.dice
	if p.campus.healed || !d.OneIn(n) {
		return
	}
	b := sim.Break{How: virtual.Pick(d, hows), INS: virtual.Pick(d, instructions)}
	if b.INS == 0 {
		b.Skip = d.IntN(12)
	}
	if b.How == sim.WrongMAC && b.INS != insDebit {
		b.How = sim.TearAfter
	}
	p.chip.Break(b)
}

// holder is a person with an account, a card and a phone.
type holder struct {
	account string
	opening money.Fen
	card    *plastic
	dark    money.Fen            // spent by its virtual card while the upstream did not answer
	codeDay int                  // of the year, on which that was last
	clerks  money.Fen            // taken by clerks, who ask nobody
	sold    map[string]money.Fen // spent at each station
}

// enrol gives a resident of the town a place in the story.
func (c *Campus) enrol(r works.Resident) {
	h := &holder{account: r.Account, opening: r.Opening, sold: map[string]money.Fen{}}
	p := &plastic{
		campus: c, chip: sim.New(r.Card), no: r.CardNo, holder: h, factor: r.Factor,
		balance: r.Opening, level: r.Opening,
	}
	h.card = p
	c.holders = append(c.holders, h)
	c.cards = append(c.cards, p)
}
