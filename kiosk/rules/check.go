package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Check reads settings as [Parse] does, for who publishes them. It also
// refuses what Parse leaves to later programs, a name that is none of ours, for
// a name that is misspelt would leave its limit at the default and say nothing.
// Its errors say the line.
func Check(content []byte) (Rules, error) {
	r, err := Parse(content)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var limit *limitError
	switch {
	case errors.As(err, &syntax):
		return Rules{}, onLine(content, int(syntax.Offset), err)
	case errors.As(err, &kind):
		return Rules{}, onLine(content, int(kind.Offset), err)
	case errors.As(err, &limit):
		return Rules{}, onLine(content, bytes.Index(content, []byte(`"`+limit.key+`"`)), err)
	case err != nil:
		return Rules{}, err
	}
	return r, known(content)
}

// known returns an error if there are no settings, or one that is none of ours.
func known(content []byte) error {
	said, err := names(content)
	if err != nil {
		return err
	}
	if said == nil {
		return errors.New("settings: null is no settings")
	}
	all, err := json.Marshal(Default())
	if err != nil {
		return err
	}
	ours, err := names(all)
	if err != nil {
		return err
	}
	for name := range said {
		if _, ok := ours[name]; !ok {
			at := bytes.Index(content, []byte(`"`+name+`"`))
			return onLine(content, at, fmt.Errorf("settings: %q is not a setting", name))
		}
	}
	return nil
}

func names(content []byte) (all map[string]json.RawMessage, err error) {
	return all, json.Unmarshal(content, &all)
}

// onLine says on which line of content the byte at an offset is, that an error
// is about.
func onLine(content []byte, at int, err error) error {
	at = min(max(at, 0), len(content))
	return fmt.Errorf("line %d: %w", 1+bytes.Count(content[:at], []byte("\n")), err)
}
