package ingest_test

import (
	"slices"

	"quancun/journal"
	"quancun/money"
	"quancun/upstream/ingest"
	"quancun/upstream/store"
)

// plain is an upstream of a few maps: what [TestModel] holds the books to. It
// knows no SQL, no locks and no proofs. What has become of a claim it does not
// work out: it is told, and says whether the card agrees.
type plain struct {
	balances map[store.Account]money.Fen // without what is or was in doubt
	mirrors  map[string]money.Fen        // by card, likewise
	owners   map[string]store.Account    // of cards
	journals map[journal.Epoch]*copied   // epochs are unique among all terminals here
	brought  map[copyOf]bool
	intents  map[string]*announced // open ones, by ref
	claims   map[string]*announced // all that there ever were, by ref
	ended    map[string]bool       // loads whose end a terminal has told, by ref
	holds    []*held
}

// copied is the upstream's copy of a journal.
type copied struct {
	hashes     []journal.Hash
	superseded bool
	carrying   bool
	carried    map[copyOf]bool // what it has brought over
}

// copyOf names one entry, whoever brings it.
type copyOf struct {
	at   journal.Position
	hash journal.Hash
}

type announced struct {
	journal.Entry
	copy    copyOf
	claimed bool
}

type held struct {
	at      journal.Position
	attempt string
	account store.Account
	amount  money.Fen
	state   ingest.HoldState
}

// passing is what one push says about holds.
type passing struct {
	attempts map[journal.Position]string
	passed   map[journal.Epoch]int64
	ended    map[string]ingest.HoldState
	released []journal.Position // no number above it will come
	alone    journal.Position   // if set: the only epoch of its terminal that goes on
}

func (p *plain) journal(e journal.Epoch) *copied {
	if p.journals[e] == nil {
		p.journals[e] = &copied{carried: map[copyOf]bool{}}
	}
	return p.journals[e]
}

// refuses says why a batch of a journal with these hashes is not taken.
func (p *plain) refuses(e journal.Epoch, hashes []journal.Hash, from, to int64) error {
	j := p.journal(e)
	have := int64(len(j.hashes))
	both := min(to, have)
	switch {
	case from > have+1:
		return journal.ErrGap
	case !slices.Equal(j.hashes[:both], hashes[:both]), to > have && j.superseded:
		return journal.ErrFork
	}
	return nil
}

// take takes the entries of a journal up to a number.
func (p *plain) take(e journal.Epoch, bodies [][]byte, to int64) {
	j := p.journal(e)
	if to <= int64(len(j.hashes)) {
		return
	}
	said := &passing{
		attempts: map[journal.Position]string{}, passed: map[journal.Epoch]int64{e: to},
		ended: map[string]ingest.HoldState{},
	}
	for _, body := range bodies[len(j.hashes):to] {
		entry, _, err := journal.Decode(body)
		if err != nil {
			panic(err)
		}
		hash, own := journal.HashOf(body), true
		j.hashes = append(j.hashes, hash)
		if entry.Kind == journal.Carried {
			inner, err1 := entry.Inner()
			body, err2 := entry.Body()
			if err1 != nil || err2 != nil {
				panic("carries nothing")
			}
			entry, hash, own = inner, journal.HashOf(body), false
			j.carried[copyOf{inner.Position(), hash}] = true
		}
		if c := (copyOf{entry.Position(), hash}); !p.brought[c] {
			p.brought[c] = true
			p.fact(j, announced{entry, c, false}, own, said)
		}
	}
	p.pass(said)
}

// fact does what an entry says that is heard for the first time.
func (p *plain) fact(j *copied, f announced, own bool, said *passing) {
	e := f.Entry
	said.passed[e.Epoch] = max(said.passed[e.Epoch], e.Seq)
	if own && e.Kind == journal.EpochOpened {
		o, err := e.Opening()
		if err != nil {
			panic(err)
		}
		p.journal(o.Epoch).superseded = true
		j.carrying = true
		said.released = append(said.released, journal.Position{Epoch: o.Epoch, Seq: o.Head})
		return
	}
	if own {
		said.alone = e.Position()
	}
	if own && j.carrying {
		j.carrying = false
		for _, in := range p.intents {
			if in.Terminal == e.Terminal && in.Epoch != e.Epoch && !in.claimed && !j.carried[in.copy] {
				p.doubt(in, said)
			}
		}
	}
	switch e.Kind {
	case journal.SaleIntent:
		said.attempts[e.Position()] = e.Ref
		p.intents[e.Ref] = &f
	case journal.LoadIntent:
		p.intents[e.Ref] = &f
	case journal.LoadEnd:
		if p.intents[e.Ref] != nil {
			delete(p.intents, e.Ref)
			p.ended[e.Ref] = true
		}
	case journal.SaleDoubt, journal.LoadDoubt:
		if in := p.intents[e.Ref]; in != nil && !in.claimed {
			p.doubt(in, said)
		}
	case journal.SaleEnd:
		p.end(e, said)
	case journal.CodeSale:
		said.attempts[e.Position()] = e.Ref
		said.ended[e.Ref] = ingest.HoldCaptured
		p.post(e)
	default:
		p.post(e)
	}
}

func (p *plain) doubt(in *announced, said *passing) {
	in.claimed = true
	p.claims[in.Ref] = in
	said.ended[in.Ref] = ingest.HoldCaptured
}

func (p *plain) end(e journal.Entry, said *passing) {
	in := p.intents[e.Ref]
	if in == nil {
		return // somebody has ended it before
	}
	delete(p.intents, e.Ref)
	said.ended[e.Ref] = ingest.HoldReleased
	if e.Outcome.Happened() {
		said.ended[e.Ref] = ingest.HoldCaptured
	}
	if in.claimed {
		return
	}
	p.post(e)
	if e.Outcome.Happened() {
		p.mirrors[e.Card] -= e.Amount
	}
}

func (p *plain) post(e journal.Entry) {
	for _, posting := range e.Postings {
		a := store.Account(posting.Account)
		if posting.Account == journal.Holder {
			a = p.owner(e)
		}
		p.balances[a] += posting.Amount
	}
}

func (p *plain) owner(e journal.Entry) store.Account {
	if e.Card != "" {
		return p.owners[e.Card]
	}
	return store.HolderAccount(e.Account)
}

// pass moves the holds on.
func (p *plain) pass(said *passing) {
	for _, h := range p.holds {
		if h.state == ingest.HoldPlaced && h.at.Seq <= said.passed[h.at.Epoch] {
			h.state = ingest.HoldReleased
			if said.attempts[h.at] == h.attempt {
				h.state = ingest.HoldBound
			}
		}
		for _, r := range said.released {
			if h.state == ingest.HoldPlaced && h.at.Epoch == r.Epoch && h.at.Seq > r.Seq {
				h.state = ingest.HoldReleased
			}
		}
		if h.state == ingest.HoldPlaced && h.at.Terminal == said.alone.Terminal && h.at.Epoch != said.alone.Epoch {
			h.state = ingest.HoldReleased
		}
		if end, ok := said.ended[h.attempt]; ok && h.state == ingest.HoldBound {
			h.state = end
		}
	}
}

// holding is what is held of an account under other numbers than one.
func (p *plain) holding(a store.Account, but journal.Position) (sum money.Fen) {
	for _, h := range p.holds {
		if h.account == a && h.at != but && h.state <= ingest.HoldBound {
			sum += h.amount
		}
	}
	return sum
}

// books returns all balances and mirrors, given what has become of claims.
func (p *plain) books(settled map[string]journal.Outcome) (map[store.Account]money.Fen, map[string]money.Fen) {
	balances, mirrors := map[store.Account]money.Fen{}, map[string]money.Fen{}
	for a, f := range p.balances {
		balances[a] = f
	}
	for c, f := range p.mirrors {
		mirrors[c] = f
	}
	for ref, c := range p.claims {
		if c.Kind == journal.LoadIntent {
			continue // it has moved no money
		}
		to := suspense(c.Terminal)
		switch settled[ref] {
		case journal.Elsewhere:
			to = store.Account(journal.MerchantAccount(c.Merchant))
			mirrors[c.Card] -= c.Amount
		case journal.ElsewhereNot:
			to = p.owner(c.Entry)
		}
		balances[p.owner(c.Entry)] -= c.Amount
		balances[to] += c.Amount
	}
	return balances, mirrors
}
