package counter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/kiosk/dialog"
	"quancun/upstream/client"
	"quancun/upstream/client/centre"
)

// How a holder is found, and what is shown of them.
const (
	findBy     dialog.Word = "centre.find"
	byNumber   dialog.Word = "centre.find.number"
	byCard     dialog.Word = "centre.find.card"
	askNumber  dialog.Word = "centre.number"
	askCard    dialog.Word = "centre.card"
	noHolder   dialog.Word = "centre.no.holder"
	closedWord dialog.Word = "centre.closed"

	factName      dialog.Word = "centre.fact.name"
	factNumber    dialog.Word = "centre.fact.number"
	factBalance   dialog.Word = "centre.fact.balance"
	factOwed      dialog.Word = "centre.fact.owed"
	factAvailable dialog.Word = "centre.fact.available"
	factLimit     dialog.Word = "centre.fact.limit"
	factUntil     dialog.Word = "centre.fact.until"
	factPIN       dialog.Word = "centre.fact.pin"
	factCard      dialog.Word = "centre.fact.card"
	factStatus    dialog.Word = "centre.fact.status"
	factPurse     dialog.Word = "centre.fact.purse"
	factFoundAt   dialog.Word = "centre.fact.found.at"
	factFound     dialog.Word = "centre.fact.found"
	factRefused   dialog.Word = "centre.fact.refused" // the card's own word
	factRefusedAt dialog.Word = "centre.fact.refused.at"
	factRefusedOn dialog.Word = "centre.fact.refused.on"
	factAccount   dialog.Word = "centre.fact.account"
	pinLocked     dialog.Word = "centre.pin.locked"

	active  dialog.Word = "centre.status.active"
	hot     dialog.Word = "centre.status.hot"
	retired dialog.Word = "centre.status.retired"
	other   dialog.Word = "centre.status.other"
)

// Which document the clerk has seen.
const (
	askDocument dialog.Word = "centre.document"
	askEvidence dialog.Word = "centre.evidence" // the last four characters of its number

	idCard      dialog.Word = "centre.document.id"
	studentCard dialog.Word = "centre.document.student"
	staffCard   dialog.Word = "centre.document.staff"
	passport    dialog.Word = "centre.document.passport"
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
	by, err := s.Choose(ctx, findBy, []dialog.Option{{Word: byNumber}, {Word: byCard}})
	if err != nil {
		return err
	}
	if by == 0 {
		q := dialog.Question{Kind: dialog.AskNumber, Name: askNumber, Length: numberMax, Letters: true}
		a, err := s.Ask(ctx, q)
		if err != nil {
			return err
		}
		return s.lookUp(ctx, centre.Find{Number: a.Text})
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
		return dialog.Refuse(closedWord, nil)
	}
	return nil
}

// document asks which document the holder shows. The name in full is on the page,
// to be compared with it.
func (s *serving) document(ctx context.Context) error {
	words := []dialog.Word{idCard, studentCard, staffCard, passport}
	var options []dialog.Option
	for _, w := range words {
		options = append(options, dialog.Option{Word: w})
	}
	n, err := s.Choose(ctx, askDocument, options, s.whole()...)
	if err != nil {
		return err
	}
	e, err := s.Text(ctx, askEvidence, evidenceLen, dialog.Said(askDocument, words[n]))
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
func (s *serving) whole() []dialog.Fact {
	h := s.holder
	return []dialog.Fact{
		{Name: factName, Text: h.Name, Strong: true}, dialog.Text(factNumber, h.Number), s.balance(),
	}
}

// balance is what the holder has, or owes.
func (s *serving) balance() dialog.Fact {
	if b := s.holder.Balance; b < 0 {
		return dialog.Fact{Name: factOwed, Kind: dialog.IsAmount, Amount: -b, Strong: true}
	}
	return dialog.Amount(factBalance, s.holder.Balance)
}

// masked is who it is, as it may be printed.
func (s *serving) masked() []dialog.Fact {
	return []dialog.Fact{dialog.Text(factName, s.holder.MaskedName), dialog.Text(factNumber, s.holder.Number)}
}

// with returns who it is, and more.
func (s *serving) with(more ...dialog.Fact) []dialog.Fact { return append(s.masked(), more...) }

// look shows a holder.
func (s *serving) look(ctx context.Context) (dialog.Report, error) {
	if err := s.find(ctx); err != nil {
		return dialog.Report{}, err
	}
	h := s.holder
	balance := s.balance()
	balance.Strong = true
	facts := append(s.masked(), balance, dialog.Amount(factAvailable, h.Available),
		dialog.Amount(factLimit, h.DailyLimit))
	if h.Closed {
		facts = append(facts, dialog.Said(factAccount, closedWord))
	}
	if !h.Until.IsZero() {
		facts = append(facts, day(factUntil, h.Until))
	}
	if h.PINLocked {
		facts = append(facts, dialog.Said(factPIN, pinLocked))
	}
	for _, c := range h.Cards {
		if c.FoundAt != "" {
			zh, en := c.FoundWhere.With(c.FoundAt)
			facts = append(facts, dialog.Named(factFoundAt, zh, en),
				dialog.Moment(factFound, c.Found.In(beijing.Zone)))
		}
	}
	for _, c := range h.Cards {
		if c.Refused != 0 {
			zh, en := c.RefusedWhere.With(c.RefusedAt)
			facts = append(facts, dialog.Text(factRefused, fmt.Sprintf("%04X", c.Refused)),
				dialog.Named(factRefusedAt, zh, en), dialog.Moment(factRefusedOn, c.RefusedOn.In(beijing.Zone)))
		}
	}
	t := dialog.Table{Heads: []dialog.Word{factCard, factStatus, factPurse}}
	for _, c := range h.Cards {
		t.Rows = append(t.Rows, []dialog.Fact{
			{Text: end(c.No)}, {Kind: dialog.IsWord, Word: status(c.Status)}, {Kind: dialog.IsAmount, Amount: c.Purse},
		})
	}
	return dialog.Report{Facts: facts, Table: t}, nil
}

// end is as much of a card's number as is shown.
func end(cardNo string) string { return "…" + cardNo[max(len(cardNo)-4, 0):] }

// short is as much of a reference as people tell each other.
func short(ref string) string { return strings.ToUpper(ref[max(len(ref)-8, 0):]) }

func status(s client.CardStatus) dialog.Word {
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
func day(name dialog.Word, t time.Time) dialog.Fact {
	return dialog.Text(name, t.In(beijing.Zone).Format(time.DateOnly))
}
