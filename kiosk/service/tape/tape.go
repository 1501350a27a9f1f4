// Package tape has what the campus services show, as their own tests have recorded it:
// each question, each report and each "no", in the words and with the values that their
// scripts have for it before a real upstream. Whoever draws pages for somebody to look
// at draws these, so that nobody looks at what no script says any more.
//
// A script that says something else makes its test red, until it is recorded anew:
//
//	go test ./kiosk/service/... -run Tape -update
//
// It refuses to know how they are recorded (package tapetest) or drawn.
package tape

import (
	"embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"quancun/kiosk"
	"quancun/kiosk/dialog"
)

// Now is the time at which everything is recorded.
var Now = time.Date(2026, 11, 23, 14, 5, 0, 0, time.FixedZone("CST", 8*60*60))

// Shot is one page of a service.
type Shot struct {
	Name   string // the service's, and what is shown: "bath-slot-taken"
	Chosen dialog.Word
	SignIn bool // whoever sees it has signed in
	View   dialog.View
	Code   kiosk.Code // why not, where there are no words for it
}

// Services are the names of the recordings.
var Services = []string{"network", "electricity", "bath", "lost", "own"}

//go:embed *.json
var files embed.FS

// Shots returns all pages, service by service, in the order in which they are seen.
func Shots() (all []Shot) {
	for _, name := range Services {
		text, err := files.ReadFile(name + ".json")
		if err != nil {
			panic(fmt.Sprintf("tape: internal error: %v", err))
		}
		shots, err := Read(text)
		if err != nil {
			panic(fmt.Sprintf("tape: internal error: %s: %v", name, err))
		}
		all = append(all, shots...)
	}
	return all
}

// Read reads a recording.
func Read(text []byte) (shots []Shot, err error) {
	err = json.Unmarshal(text, &shots)
	return shots, err
}

// Write writes a recording as people read it: what is zero is left out.
func Write(shots []Shot) ([]byte, error) {
	text, err := json.Marshal(shots)
	if err != nil {
		return nil, err
	}
	var all any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	err = e.Encode(prune(all))
	return []byte(b.String()), err
}

// prune leaves out what is zero. Elements of lists stay, even empty ones.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, of := range v {
			if of = prune(of); isZero(of) {
				delete(v, name)
			} else {
				v[name] = of
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case string:
		return v == "" || v == "0001-01-01T00:00:00Z"
	}
	return reflect.ValueOf(v).IsZero()
}
