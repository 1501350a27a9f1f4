// Package tapetest records what a service shows: see package tape. It is for the tests
// of services.
package tapetest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/pin"
	"quancun/kiosk/service"
	"quancun/kiosk/service/tape"
)

var update = flag.Bool("update", false, "replace the recordings by what is shown now")

// Recorder records the pages of a service. It belongs to the test's goroutine.
type Recorder struct {
	// Now is the time of the world that is recorded, if it is not [tape.Now] already.
	// Times are then those of [tape.Now], rounded, for that world's clock runs.
	Now func() time.Time
	// Fixed are texts that differ from run to run, such as a vendor's own number, and
	// what is recorded instead.
	Fixed map[dialog.Word]string
	// Scrambled says that what a QR code says differs from run to run. Its length does
	// not.
	Scrambled bool

	t      testing.TB
	name   string
	visits int
	shots  []tape.Shot
	seen   map[string]bool // the shapes of pages so far
	names  map[string]bool
}

// rounding is more than a test takes to get from one page to the next.
const rounding = 5 * time.Minute

// New records the service of that name of [tape.Services]. At its end the test
// compares what was recorded with what was before, or replaces that.
func New(t testing.TB, name string) *Recorder {
	r := &Recorder{t: t, name: name, seen: map[string]bool{}, names: map[string]bool{}}
	t.Cleanup(r.compare)
	return r
}

// Visit is a holder's.
type Visit struct {
	Name    string // what is special about it; it names the pages that were not seen before
	Service service.Service
	Holder  service.Holder
	Answer  func(dialog.Question) dialog.Answer // of questions that want one
}

// Record has a holder use a service, and records each page. It returns how it ended.
// What is being checked is followed to its end.
func (r *Recorder) Record(v Visit) dialog.End {
	r.t.Helper()
	r.visits++
	ref := fmt.Sprintf("5c3b90d1a4e7f26884b0c1d2%08x", 0x41c7a000+r.visits*0x1f3)
	e := r.talk(v, dialog.Begin(r.t.Context(), ref, func(ctx context.Context, t *dialog.Talk) (dialog.Report, error) {
		return v.Service.Run(ctx, &service.Visit{Talk: t, Holder: v.Holder})
	}))
	r.ended(v, v.Name, e)
	return e
}

// Follow waits for the end of what e says is being checked, and records it.
func (r *Recorder) Follow(v Visit, e dialog.End) {
	r.t.Helper()
	report, err := e.Report.Follow(r.t.Context())
	r.ended(v, v.Name+"-then", dialog.End{Report: report, Err: err})
}

func (r *Recorder) talk(v Visit, c *dialog.Conversation) dialog.End {
	defer c.Stop()
	for {
		select {
		case q := <-c.Asks():
			r.add(v, r.named(string(q.Name), v.Name), dialog.View{Page: dialog.Asking, Question: q}, 0)
			if q.Kind != dialog.Working {
				c.Answer(v.Answer(q))
			}
		case e := <-c.Ended():
			return e
		}
	}
}

// named names a page by what is asked and, if that was asked before, by the visit.
func (r *Recorder) named(asked, visit string) string {
	asked = strings.TrimPrefix(strings.ReplaceAll(asked, ".", "-"), r.name+"-")
	if r.names[asked] {
		return asked + "-" + visit
	}
	return asked
}

// ended records how a visit has ended, unless it was left.
func (r *Recorder) ended(v Visit, name string, e dialog.End) {
	if errors.Is(e.Err, dialog.ErrLeft) {
		return
	}
	how, code, why := kiosk.HowEnded(e.Err)
	r.add(v, "end-"+name, dialog.View{
		Page: dialog.Ended, Outcome: how, Report: e.Report, Why: why,
		CanPrint: how != dialog.Refused || !e.Report.Bare(),
		Followed: how == dialog.Unknown && e.Report.Follow != nil,
	}, code)
}

// add records a page of a shape that was not there yet.
func (r *Recorder) add(v Visit, name string, d dialog.View, code kiosk.Code) {
	r.t.Helper()
	d.No, d.Task = 7, v.Service.Name
	d.Question.Facts, d.Report.Facts = r.fixed(d.Question.Facts), r.fixed(d.Report.Facts)
	d.Report.Follow, d.Report.QR = nil, r.scrambled(d.Report.QR)
	if d.Report.Print {
		d.Printed = dialog.Printed
	}
	shape := shapeOf(d)
	if r.seen[shape] {
		return
	}
	for n, first := 2, name; r.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", first, n)
	}
	r.seen[shape], r.names[name] = true, true
	r.shots = append(r.shots, tape.Shot{
		Name: r.name + "-" + name, Chosen: d.Task, SignIn: v.Service.SignIn, View: d, Code: code,
	})
}

// shapeOf is what a page says whatever the amounts and times on it are: one with others
// does not look different.
func shapeOf(d dialog.View) string {
	bare := func(facts []dialog.Fact) (all []dialog.Fact) {
		for _, f := range facts {
			all = append(all, dialog.Fact{Name: f.Name, Kind: f.Kind, Word: f.Word, Strong: f.Strong})
		}
		return all
	}
	d.Question.Facts, d.Report.Facts, d.Report.QR, d.Report.No = bare(d.Question.Facts), bare(d.Report.Facts), "", ""
	if d.Question.Kind == dialog.Working {
		d.Task = ""
	}
	return fmt.Sprintf("%+v", d)
}

// fixed replaces what differs from run to run. The facts are the service's.
func (r *Recorder) fixed(facts []dialog.Fact) []dialog.Fact {
	facts = slices.Clone(facts)
	for i := range facts {
		f := &facts[i]
		text, ok := r.Fixed[f.Name]
		switch {
		case ok && f.Kind == dialog.IsText:
			f.Text = text
		case f.Kind == dialog.IsDay: // as a vendor has written it, whatever the clock says
		case !f.At.IsZero() && r.Now != nil:
			f.At = tape.Now.Add(f.At.Sub(r.Now()).Round(rounding))
		}
		if !f.At.IsZero() {
			f.At = f.At.In(tape.Now.Location())
		}
	}
	return facts
}

// scrambled is a code of about the same length, so that it is as fine when it is drawn.
func (r *Recorder) scrambled(code string) string {
	if !r.Scrambled || code == "" {
		return code
	}
	head, _, _ := strings.Cut(code, ":")
	const letters = "ANFTAMLWAFXLORJSDXVA"
	return head + ":" + strings.Repeat(letters, (len(code)-len(head))/len(letters))
}

// compare holds what was recorded against what was before.
func (r *Recorder) compare() {
	if r.t.Failed() {
		return
	}
	file := filepath.Join("..", "tape", r.name+".json")
	got, err := tape.Write(r.shots)
	if err != nil {
		r.t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			r.t.Error(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	old, now := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(old), len(now)) {
		if old[i] != now[i] {
			r.t.Errorf("%s, line %d: the service shows\n%s\nand was recorded with\n%s\n"+
				"look at it, and record it anew with -update", file, i+1, now[i], old[i])
			return
		}
	}
	if !bytes.Equal(want, got) {
		r.t.Errorf("%s: the service shows %d lines, and was recorded with %d", file, len(now), len(old))
	}
}

// PIN answers with a PIN.
func PIN(digits string) dialog.Answer {
	p := new(pin.PIN)
	for _, d := range []byte(digits) {
		p.Add(d)
	}
	return dialog.Answer{PIN: p}
}
