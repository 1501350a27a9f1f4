package purse_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

var errPulled = errors.New("card was pulled")

// script is a card that follows a transcript.
type script struct {
	t     testing.TB
	lines []string
}

// newScript returns a card that expects the commands after ">" and answers with
// the responses after "<", in order. A "<" with nothing after it is an answer of
// no bytes, and "< pulled" an error. What follows a # is a comment. At the end of
// the test the transcript must have been used up.
func newScript(t testing.TB, transcript string) *script {
	s := &script{t: t}
	for line := range strings.Lines(transcript) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.ToUpper(strings.Join(strings.Fields(line), "")); line != "" {
			s.lines = append(s.lines, line)
		}
	}
	t.Cleanup(func() {
		if len(s.lines) > 0 && !t.Failed() {
			t.Errorf("never sent: %s", s.lines[0])
		}
	})
	return s
}

func (s *script) Transmit(command []byte) ([]byte, error) {
	s.t.Helper()
	if len(s.lines) < 2 {
		s.t.Fatalf("sent %X after the end of the transcript", command)
	}
	if got := strings.ToUpper(">" + hex.EncodeToString(command)); got != s.lines[0] {
		s.t.Fatalf("sent %s, want %s", got, s.lines[0])
	}
	answer := strings.TrimPrefix(s.lines[1], "<")
	s.lines = s.lines[2:]
	if answer == "PULLED" {
		return nil, errPulled
	}
	b, err := hex.DecodeString(answer)
	if err != nil {
		s.t.Fatalf("transcript: %v in %q", err, answer)
	}
	return b, nil
}
