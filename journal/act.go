package journal

import "encoding/json"

// CentreAct is the Details of a [CentreIntent]: what a clerk is about to do for the
// holder of the entry's account, and on sight of what.
type CentreAct struct {
	Act      int    `json:"act"`      // its kind, numbered as upstream/centre does
	Document int    `json:"document"` // that was shown, numbered there too
	Evidence string `json:"evidence,omitempty"`
	Limit    int64  `json:"limit_fen,omitempty"`
	Fee      int64  `json:"fee_fen,omitempty"`  // that goes with it, in an entry of its own
	Until    string `json:"until,omitempty"`    // last day, 2006-01-02
	Released string `json:"released,omitempty"` // staff number of who allowed it, if the operator may not alone
}

// evidenceMax is how much of a document's number may be kept: enough to say which
// it was to whoever has it, and to nobody else.
const evidenceMax = 4

// Centre returns what a [CentreIntent] announces.
func (e Entry) Centre() (a CentreAct, err error) {
	if e.Kind != CentreIntent || json.Unmarshal(e.Details, &a) != nil || a.Act < 1 || a.Document < 1 {
		return CentreAct{}, e.rule("it does not say what the card centre does, on sight of what")
	}
	if len(a.Evidence) > evidenceMax || a.Evidence != "" && !IsName(a.Evidence) {
		return CentreAct{}, e.rule("more of a document than its last %d characters", evidenceMax)
	}
	return a, nil
}

// checkCentre: the card centre's desk moves nothing by itself, and says what it
// does.
func (e Entry) checkCentre() error {
	if e.Kind.Intent() != CentreIntent {
		return nil
	}
	if e.Amount != 0 || e.Merchant != "" {
		return e.rule("it moves money, or sells")
	}
	if e.Kind == CentreEnd {
		return nil
	}
	_, err := e.Centre()
	return err
}

// Request is the Details of a request. A [RequestEnd] names the service again, so that
// it can be held against upstream's books by itself; of a [RequestIntent] it is what a holder is about to ask upstream
// for at a terminal, under the entry's reference. It has all that is needed to ask
// upstream later what became of it, and never a PIN.
type Request struct {
	Service string          `json:"service"`        // such as "bill"; see docs/JOURNAL.md
	What    json.RawMessage `json:"what,omitempty"` // in the service's own words
}

// serviceLenMax bounds the name of a service.
const serviceLenMax = 16

// Request returns what a [RequestIntent] announces, or the service of a [RequestEnd].
func (e Entry) Request() (r Request, err error) {
	if e.Kind.Intent() != RequestIntent || json.Unmarshal(e.Details, &r) != nil ||
		!IsName(r.Service) || len(r.Service) > serviceLenMax {
		return Request{}, e.rule("it does not say what upstream is asked for")
	}
	return r, nil
}

// Loss is the service of a [RequestIntent] by which somebody without a card reports a
// loss. Whose it is only upstream knows: what was typed as a number may be anything,
// and stays out of the journal.
const Loss = "lost"

// checkRequest: a request moves nothing here, says what it is, and whose, but for a
// [Loss]. That is an account or a card: of a card that was found nobody at the terminal
// knows the owner.
func (e Entry) checkRequest() error {
	if e.Kind.Intent() != RequestIntent {
		return nil
	}
	if e.Merchant != "" || e.Origin != (Position{}) {
		return e.rule("it sells, or is about another entry")
	}
	if e.Kind == RequestEnd {
		return nil // it is whose its intent is
	}
	r, err := e.Request()
	if err == nil && e.Account == "" && e.Card == "" && r.Service != Loss {
		return e.rule("it is nobody's")
	}
	return err
}
