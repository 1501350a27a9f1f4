package counter

import (
	"context"
	"errors"
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/office"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// How a holder is found, and what is shown of them.
const (
	findBy     office.Word = "centre.find"
	byNumber   office.Word = "centre.find.number"
	byCard     office.Word = "centre.find.card"
	askNumber  office.Word = "centre.number"
	askCard    office.Word = "centre.card"
	noHolder   office.Word = "centre.no.holder"
	closedWord office.Word = "centre.closed"

	factName      office.Word = "centre.fact.name"
	factNumber    office.Word = "centre.fact.number"
	factBalance   office.Word = "centre.fact.balance"
	factAvailable office.Word = "centre.fact.available"
	factLimit     office.Word = "centre.fact.limit"
	factUntil     office.Word = "centre.fact.until"
	factPIN       office.Word = "centre.fact.pin"
	factCard      office.Word = "centre.fact.card"
	factStatus    office.Word = "centre.fact.status"
	factPurse     office.Word = "centre.fact.purse"
	factAccount   office.Word = "centre.fact.account"
	pinLocked     office.Word = "centre.pin.locked"

	active  office.Word = "centre.status.active"
	hot     office.Word = "centre.status.hot"
	retired office.Word = "centre.status.retired"
	other   office.Word = "centre.status.other"
)

// Which document the clerk has seen.
const (
	askDocument office.Word = "centre.document"
	askEvidence office.Word = "centre.evidence" // the last four characters of its number

	idCard      office.Word = "centre.document.id"
	studentCard office.Word = "centre.document.student"
	staffCard   office.Word = "centre.document.staff"
	passport    office.Word = "centre.document.passport"
)

// evidenceLen is how much of a document's number is kept.
const evidenceLen = 4

// seen is the document that the holder has shown.
type seen struct {
	document centre.Document
	evidence string
}

// find asks who it is about, and shows it from then on.
func (s *serving) find(ctx context.Context) error {
	by, err := s.Choose(ctx, findBy, []office.Option{{Word: byNumber}, {Word: byCard}})
	if err != nil {
		return err
	}
	if by == 0 {
		no, err := s.Number(ctx, askNumber, numberMax)
		if err != nil {
			return err
		}
		return s.lookUp(ctx, centre.Find{Number: no})
	}
	c, err := s.Card(ctx, askCard)
	if err != nil {
		return err
	}
	no := c.Info.CardNo.Full()
	if err := c.Close(); err != nil {
		return err
	}
	return s.lookUp(ctx, centre.Find{Card: no})
}

// numberMax is the longest student or staff number.
const numberMax = 20

// lookUp asks the upstream who it is, and has the clerk show their PIN if that is
// too long ago.
func (s *serving) lookUp(ctx context.Context, by centre.Find) error {
	for again := false; ; again = true {
		if err := s.Work(ctx, looking); err != nil {
			return err
		}
		h, err := s.Centre.Find(ctx, s.clerk, by)
		no := (*centre.Refusal)(nil)
		switch {
		case err == nil:
			s.holder = h
			return nil
		case errors.As(err, &no) && no.Reason == centre.SessionOver && !again:
			if err := s.Own(ctx); err != nil {
				return err
			}
		default:
			return nothing(err)
		}
	}
}

// open finds a holder whose account is open.
func (s *serving) findOpen(ctx context.Context) error {
	if err := s.find(ctx); err != nil {
		return err
	}
	return s.mustBeOpen()
}

func (s *serving) mustBeOpen() error {
	if s.holder.Closed {
		return office.Refuse(closedWord, nil)
	}
	return nil
}

// document asks which document the holder shows. The name in full is on the page,
// to be compared with it.
func (s *serving) document(ctx context.Context) error {
	words := []office.Word{idCard, studentCard, staffCard, passport}
	var options []office.Option
	for _, w := range words {
		options = append(options, office.Option{Word: w})
	}
	n, err := s.Choose(ctx, askDocument, options, s.whole()...)
	if err != nil {
		return err
	}
	e, err := s.Text(ctx, askEvidence, evidenceLen, office.Said(askDocument, words[n]))
	if err != nil {
		return err
	}
	s.seen = seen{centre.IDCard + centre.Document(n), name(e)}
	return nil
}

// name returns s without what no name in a journal may have.
func name(s string) string {
	var kept []byte
	for i := range len(s) {
		if s[i] > ' ' && s[i] < 0x7F {
			kept = append(kept, s[i])
		}
	}
	return string(kept)
}

// whole is who it is, with the name in full.
func (s *serving) whole() []office.Fact {
	h := s.holder
	return []office.Fact{
		{Name: factName, Text: h.Name, Strong: true}, office.Text(factNumber, h.Number),
		office.Amount(factBalance, h.Balance),
	}
}

// masked is who it is, as it may be printed.
func (s *serving) masked() []office.Fact {
	return []office.Fact{office.Text(factName, s.holder.MaskedName), office.Text(factNumber, s.holder.Number)}
}

// with returns who it is, and more.
func (s *serving) with(more ...office.Fact) []office.Fact { return append(s.masked(), more...) }

// look shows a holder.
func (s *serving) look(ctx context.Context) (office.Report, error) {
	if err := s.find(ctx); err != nil {
		return office.Report{}, err
	}
	h := s.holder
	facts := append(s.masked(), office.Fact{
		Name: factBalance, Kind: office.IsAmount, Amount: h.Balance, Strong: true,
	}, office.Amount(factAvailable, h.Available), office.Amount(factLimit, h.DailyLimit))
	if h.Closed {
		facts = append(facts, office.Said(factAccount, closedWord))
	}
	if !h.Until.IsZero() {
		facts = append(facts, day(factUntil, h.Until))
	}
	if h.PINLocked {
		facts = append(facts, office.Said(factPIN, pinLocked))
	}
	t := office.Table{Heads: []office.Word{factCard, factStatus, factPurse}}
	for _, c := range h.Cards {
		t.Rows = append(t.Rows, []office.Fact{
			{Text: end(c.No)}, {Kind: office.IsWord, Word: status(c.Status)}, {Kind: office.IsAmount, Amount: c.Purse},
		})
	}
	return office.Report{Facts: facts, Table: t}, nil
}

// end is as much of a card's number as is shown.
func end(cardNo string) string { return "…" + cardNo[max(len(cardNo)-4, 0):] }

// short is as much of a reference as people tell each other.
func short(ref string) string { return strings.ToUpper(ref[max(len(ref)-8, 0):]) }

func status(s client.CardStatus) office.Word {
	switch s {
	case client.CardActive:
		return active
	case client.CardHot:
		return hot
	case client.CardRetired:
		return retired
	}
	return other
}

// day is a line with a date of the campus.
func day(name office.Word, t time.Time) office.Fact {
	return office.Text(name, t.In(kiosk.Beijing).Format(time.DateOnly))
}
