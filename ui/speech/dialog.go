package speech

import (
	"slices"
	"strings"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/money"
	"quancun/ui/text"
)

// service is the page of a service: what it asks, that it works, or what came of it.
func (s *teller) service(v kiosk.View) {
	d := v.Dialog
	switch d.Page {
	case dialog.Asking:
		s.question(d)
	case dialog.Ended:
		s.verdict(d, v)
		s.report(d.Report)
		s.printed(d)
	}
}

// word says a word of a dialog, and what else there is to say of it.
func (s *teller) word(w dialog.Word) {
	s.key("dialog." + string(w))
	if hint := "dialog." + string(w) + ".hint"; s.t.Has(hint) {
		s.key(hint)
	}
}

func (s *teller) question(d dialog.View) {
	q := d.Question
	s.key("dialog." + string(d.Task))
	s.word(q.Name)
	switch {
	case q.Wrong == dialog.WrongAmount:
		s.key("dialog."+string(q.Wrong), "least", text.Amount(q.Min), "most", text.Amount(q.Max))
	case q.Wrong != "":
		s.key("dialog." + string(q.Wrong))
	}
	s.facts(q.Facts)
	switch q.Kind {
	case dialog.AskAmount:
		s.key("dialog.limits", "least", text.Amount(q.Min), "most", text.Amount(q.Max))
		s.key("speech.amount")
	case dialog.AskNumber:
		s.key("speech.number")
		if q.Letters {
			s.key("speech.letters")
		}
	case dialog.AskText:
		s.key("speech.letters")
	case dialog.AskPIN, dialog.AskStaffPIN:
		s.key("speech.pin")
	case dialog.Working:
		s.key("dialog.wait")
	case dialog.AskChoice:
		s.options(q)
		if s.Digits {
			s.key("speech.search")
		}
	}
}

// options are those that cannot be chosen, and why. The others are keys.
func (s *teller) options(q dialog.Question) {
	for _, o := range q.Options {
		if o.Note != "" {
			s.label("speech.why", "what", s.t.Option(o, s.Now), "why", s.t.T("dialog."+string(o.Note)))
		}
	}
}

// facts are what a question or a report is about. A word says nothing of its owner;
// any other value may.
func (s *teller) facts(all []dialog.Fact) {
	for _, f := range all {
		name, value := "", s.t.Value(f, s.Now)
		if f.Name != "" {
			name = s.t.T("dialog." + string(f.Name))
		}
		words := strings.TrimSpace(name + " " + value)
		switch f.Kind {
		case dialog.IsWord:
			s.say(words)
		case dialog.IsCode:
			s.code(name, f)
		default:
			s.own = append(s.own, value)
			s.tell(words)
		}
	}
}

// code reads digits one by one, and once more if they are what the page is about:
// who hears them has to keep them.
func (s *teller) code(name string, f dialog.Fact) {
	digits := name + "，" + Digits(f.Text, s.t.Language())
	s.tell(digits)
	if f.Strong {
		s.tell(s.t.T("speech.again", "what", digits))
	}
}

// verdict is how a task ended, and what to do now.
func (s *teller) verdict(d dialog.View, v kiosk.View) {
	r := d.Titled()
	switch d.Outcome {
	case dialog.Done:
		s.key("dialog." + string(r.Title))
		if r.No != "" {
			s.tell(r.No)
		}
		if bare(d.Report) && r.Next == "" {
			s.key("dialog.ok")
		}
		if r.Next != "" {
			s.key("dialog." + string(r.Next))
		}
	case dialog.Unknown:
		if d.Why != "" {
			s.key("dialog." + string(d.Why))
			s.key("dialog." + string(d.Why) + ".advice")
		} else {
			s.key("dialog.unknown")
			s.key("dialog.unknown.body")
		}
		s.called(v)
		if r.Next != "" {
			s.key("dialog." + string(r.Next))
		}
		if d.Followed {
			s.key("dialog.followed")
		}
	default:
		s.refused(d, v)
	}
}

// bare reports whether there is nothing to say but how a task ended.
func bare(r dialog.Report) bool {
	return len(r.Facts) == 0 && len(r.Table.Rows) == 0 && len(r.Plot) == 0 && r.QR == ""
}

// refused says why a task was not done, what came of the money, and what to do now.
func (s *teller) refused(d dialog.View, v kiosk.View) {
	title, advice := s.t.Fault(v.Fault)
	if d.Why != "" {
		title, advice = s.t.T("dialog."+string(d.Why)), s.t.T("dialog."+string(d.Why)+".advice")
	}
	s.say(title)
	s.key("dialog.refused")
	s.say(advice)
	s.called(v)
}

// called says what a person says on the telephone of what has a code.
func (s *teller) called(v kiosk.View) {
	if v.Fault != 0 {
		s.reference(v)
	}
}

// report says the lines of a report, what it is about first.
func (s *teller) report(r dialog.Report) {
	weaker := func(f dialog.Fact) bool { return !f.Strong }
	s.facts(slices.DeleteFunc(slices.Clone(r.Facts), weaker))
	s.facts(slices.DeleteFunc(slices.Clone(r.Facts), func(f dialog.Fact) bool { return f.Strong }))
	for _, row := range r.Table.Rows {
		var cells []string
		for i, f := range row {
			if i < len(r.Table.Heads) {
				cells = append(cells, s.t.T("dialog."+string(r.Table.Heads[i])))
			}
			cells = append(cells, s.t.Value(f, s.Now))
		}
		s.tell(strings.Join(cells, " "))
	}
	for _, b := range r.Plot {
		s.tell(b.Label + " " + text.Amount(b.Value))
	}
	if r.QR != "" {
		s.key("dialog.qr")
	}
}

func (s *teller) printed(d dialog.View) {
	switch d.Printed {
	case dialog.Printing:
		s.key("dialog.printing")
	case dialog.Printed:
		s.key("dialog.printed")
	case dialog.NotYet:
		s.tell(s.t.NotPrinted(d, s.Now))
	}
}

// withAmount says a text with an amount, or the one for when it is not known.
func (s *teller) withAmount(key string, f money.Fen) {
	if f == 0 {
		s.key(key + ".none")
		return
	}
	s.key(key, "amount", text.Amount(f))
}
