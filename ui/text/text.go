// Package text turns keys, amounts and times into what a person reads, in the
// language that the person has chosen. It holds an own small table because
// Fyne's follows the environment and cannot be switched while it runs. It is
// used from the UI goroutine only.
package text

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"quancun/assets"
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/money"
)

// Language is a language of the terminal.
type Language string

// The languages.
const (
	Chinese Language = "zh"
	English Language = "en"
)

// Languages lists the languages. The first is the one a session begins with.
var Languages = []Language{Chinese, English}

// Texts is the words of the terminal in the language of now.
type Texts struct {
	language  Language
	tables    map[Language]map[string]string
	listeners []func()
}

// New begins with Chinese. An error means that the program was built with a broken
// table.
func New() (*Texts, error) {
	tables, err := tables()
	if err != nil {
		return nil, err
	}
	return &Texts{language: Chinese, tables: tables}, nil
}

// tables reads the tables of every language, once: they are built in, and nobody
// writes into them.
var tables = sync.OnceValues(func() (map[Language]map[string]string, error) {
	all := make(map[Language]map[string]string)
	for _, l := range Languages {
		table := make(map[string]string)
		if err := json.Unmarshal(assets.Words(string(l)), &table); err != nil {
			return nil, fmt.Errorf("words of %q: %w", l, err)
		}
		all[l] = table
	}
	return all, nil
})

// Language returns the language of now.
func (t *Texts) Language() Language { return t.language }

// SetLanguage switches, and tells the listeners if that changed anything.
func (t *Texts) SetLanguage(l Language) {
	if l == t.language {
		return
	}
	t.language = l
	for _, f := range t.listeners {
		f()
	}
}

// Other returns the language that one touch leads to.
func (t *Texts) Other() Language {
	if t.language == Chinese {
		return English
	}
	return Chinese
}

// OnChange has f called after each switch.
func (t *Texts) OnChange(f func()) { t.listeners = append(t.listeners, f) }

// T returns the text of key. Its {placeholders} are replaced by the values
// that follow their names in pairs: T("pay.left", "seconds", 30). A key that
// does not exist is returned as it is, so that a page is never empty.
func (t *Texts) T(key string, pairs ...any) string {
	s, ok := t.tables[t.language][key]
	if !ok {
		return key
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return s
}

// Has reports whether key has a text in every language.
func (t *Texts) Has(key string) bool {
	for _, table := range t.tables {
		if table[key] == "" {
			return false
		}
	}
	return true
}

// Keys returns the sorted keys of a language.
func (t *Texts) Keys(l Language) []string {
	return slices.Sorted(maps.Keys(t.tables[l]))
}

// Fault returns what a code means and what to do about it.
func (t *Texts) Fault(c kiosk.Code) (title, advice string) {
	return t.T(fmt.Sprintf("fault.%d.title", c)), t.T(fmt.Sprintf("fault.%d.advice", c))
}

// Where is the key of where the money is after a fault: unless the code says
// otherwise none has moved.
func Where(c kiosk.Code) string {
	switch c {
	case kiosk.CodeLoadRefused, kiosk.CodeLoadDoubt, kiosk.CodeLoadNoAnswer: // after it was credited
		return "onaccount.title"
	case kiosk.CodeSaleDoubt, kiosk.CodeSaleForged, kiosk.CodePayDoubt: // nobody knows yet whether it has moved
		return "fault.open"
	case kiosk.CodePaidBefore:
		return "fault.earlier"
	}
	return "fault.nothing"
}

// Notice is the key of a notice.
func Notice(n kiosk.Notice) string { return fmt.Sprintf("notice.%d", n) }

// Moved is the key of a kind of movement; one that this program does not know yet is
// called other.
func (t *Texts) Moved(k kiosk.MovementKind) string {
	if key := fmt.Sprintf("moved.%d", k); t.Has(key) {
		return key
	}
	return fmt.Sprintf("moved.%d", kiosk.MovedOther)
}

// Open begins the keys of money on its way: ".title" and ".body" go on.
func Open(k kiosk.OpenKind) string {
	switch k {
	case kiosk.TopUpChecking:
		return "open.checking"
	case kiosk.TopUpLate:
		return "open.late"
	case kiosk.LoadDoubt:
		return "open.doubt"
	case kiosk.PurchaseDoubt:
		return "open.purchase"
	}
	return "open.level"
}

// Code returns a fault code as it is read out on the telephone: "E-2103".
func Code(c kiosk.Code) string { return fmt.Sprintf("E-%04d", c) }

// Amount returns f as money: "¥12.30", "-¥12.30".
func Amount(f money.Fen) string {
	if f < 0 {
		return "-¥" + strings.TrimPrefix(f.String(), "-")
	}
	return "¥" + f.String()
}

// Change returns f as a movement of money, with its sign: "+¥12.30".
func Change(f money.Fen) string {
	if f > 0 {
		return "+" + Amount(f)
	}
	return Amount(f)
}

// wordsMax is how much a phone takes of a code at arm's length, in bytes.
const wordsMax = 600

// Carried returns what the QR code of a report says that a holder reads: its own, or, if
// it could not be printed, what the paper would have said. "" is none: nothing is there
// to be taken along, or it is too long for a code.
func (t *Texts) Carried(v dialog.View, now time.Time) string {
	r := v.Titled()
	if r.QR != "" || v.Printed != dialog.NotYet || len(r.Facts) == 0 || len(r.Table.Rows)+len(r.Plot) > 0 {
		return r.QR
	}
	lines := []string{strings.TrimSpace(t.T("dialog."+string(r.Title)) + "  " + r.No)}
	for _, f := range r.Facts {
		lines = append(lines, t.T("dialog."+string(f.Name))+": "+t.OnPaper(f, now.Location()))
	}
	if words := strings.Join(lines, "\n"); len(words) <= wordsMax {
		return words
	}
	return ""
}

// NotPrinted says why a holder's report is not on paper, or that it may be, and how it is
// taken along all the same.
func (t *Texts) NotPrinted(v dialog.View, now time.Time) string {
	key := "dialog.touch.notprinted"
	if t.Carried(v, now) != "" {
		key += ".scan"
	}
	why := "dialog.unprinted"
	if v.NoPaper != "" {
		why = "dialog." + string(v.NoPaper)
	}
	return t.T(key, "why", t.T(why))
}

// Value returns what stands for the value of a fact, as it is read at now: times are in
// its zone, and those of another year say of which.
func (t *Texts) Value(f dialog.Fact, now time.Time) string {
	switch {
	case f.Kind == dialog.IsAmount:
		return Amount(f.Amount)
	case f.Kind == dialog.IsCount:
		return fmt.Sprint(f.Count)
	case f.At.IsZero(): // there is no time in it
	case f.Kind == dialog.IsMoment:
		return t.When(f.At, now)
	case f.Kind == dialog.IsDay:
		return t.Day(f.At, now)
	case f.Kind == dialog.IsSpan:
		return t.Span(f.At, f.Till, now)
	}
	switch {
	case f.Kind == dialog.IsWord && f.Word != "":
		return t.T("dialog." + string(f.Word))
	case f.Kind == dialog.IsCode:
		return Digits(f.Text)
	case f.TextEN != "" && t.Language() == English:
		return f.TextEN
	}
	return f.Text
}

// Place is where money is that is on its way.
func (t *Texts) Place(o kiosk.Open) string {
	if o.PlaceEN != "" && t.language == English {
		return o.PlaceEN
	}
	return o.Place
}

// Digits returns digits as people type them, in groups of four: "1234 5678".
func Digits(s string) string {
	var groups []string
	for part := range slices.Chunk([]byte(s), 4) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, " ")
}
