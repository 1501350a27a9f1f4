package cards

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quancun/lab/reply"
	"quancun/reader/sim"
)

// Handler returns the control API, below /cards. All bodies are JSON.
//
//	GET  /cards          the list of [Info]
//	POST /cards/lay      {"card": "2024001"}: the holder's number, the card's, or a name;
//	                     "reader": "127.0.0.1:35964" for another reader than the lab's own
//	POST /cards/take     {}
//	POST /cards/tear     {"when": "before"|"after", "command": "credit"|"debit"|…|3, "card": ""};
//	                     before and credit if left out, and the card on the reader
//	POST /cards/silent   the same, any command if left out: the card stays, and never answers it
//	POST /cards/slow     {"ms": 15}: every command, from now on
//	POST /cards/mend     {}: no tear, no silence, no slowness
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cards", func(w http.ResponseWriter, _ *http.Request) { reply.OK(w, s.List()) })
	post := func(path string, do func(call) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			c, err := parse(http.MaxBytesReader(w, r.Body, 4096))
			if err == nil {
				err = do(c)
			}
			if err != nil {
				refuse(w, err)
				return
			}
			reply.OK(w, s.List())
		})
	}
	post("/cards/lay", func(c call) error { return s.LayAt(c.Card, cmp.Or(c.Reader, s.vpcd)) })
	post("/cards/take", func(call) error { return s.Take() })
	post("/cards/tear", func(c call) error {
		if !c.Command.said {
			c.Command = command{ins: instructions["credit"]}
		}
		return s.arm(c, sim.TearBefore, sim.TearAfter)
	})
	post("/cards/silent", func(c call) error { return s.arm(c, sim.SilentBefore, sim.SilentAfter) })
	post("/cards/slow", func(c call) error {
		if c.MS < 0 || c.MS > 60_000 {
			return errors.New("lab/cards: ms is not 0 to 60000")
		}
		s.Slow(time.Duration(c.MS) * time.Millisecond)
		return nil
	})
	post("/cards/mend", func(call) error { s.Mend(); return nil })
	return mux
}

// call is the body of any call.
type call struct {
	Card    string  `json:"card"`
	Reader  string  `json:"reader"`
	When    string  `json:"when"`
	Command command `json:"command"`
	MS      int     `json:"ms"`
}

func parse(r io.Reader) (c call, err error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return call{}, fmt.Errorf("lab/cards: not a call: %w", err)
	}
	return c, nil
}

// command says at which command a break happens: the next with an instruction
// byte, or the nth of all.
type command struct {
	ins  byte
	skip int
	said bool
}

// instructions are the commands by name. "credit" and "debit" are the two that
// move money; until then the card is untouched.
var instructions = map[string]byte{
	"credit": 0x52, // CREDIT FOR LOAD
	"debit":  0x54, // DEBIT FOR PURCHASE
	"init":   0x50, // INITIALIZE FOR LOAD, PURCHASE
	"prove":  0x5A, // GET TRANSACTION PROVE
	"verify": 0x20, // VERIFY
	"select": 0xA4,
	"read":   0xB0, // READ BINARY
	"record": 0xB2, // READ RECORD
	"any":    0,
}

// UnmarshalJSON reads a name, or the number of the command, counted from 1.
func (c *command) UnmarshalJSON(b []byte) error {
	word := strings.Trim(string(b), `"`)
	if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= 1000 {
		*c = command{skip: n - 1, said: true}
		return nil
	}
	ins, ok := instructions[word]
	if !ok {
		names := slices.Sorted(maps.Keys(instructions))
		return fmt.Errorf("there is no command %q: %s, or 1 to 1000", word, strings.Join(names, ", "))
	}
	*c = command{ins: ins, said: true}
	return nil
}

// arm makes a card break before or after it has done a command.
func (s *Server) arm(c call, before, after sim.How) error {
	how := before
	switch c.When {
	case "before", "":
	case "after":
		how = after
	default:
		return errors.New(`lab/cards: when is "before" or "after"`)
	}
	return s.Break(c.Card, sim.Break{How: how, INS: c.Command.ins, Skip: c.Command.skip})
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, ErrNoCard):
		status = http.StatusNotFound
	case errors.Is(err, ErrNoneLaid), errors.Is(err, ErrAmbiguous):
		status = http.StatusConflict
	case errors.Is(err, ErrNoReader):
		status = http.StatusBadGateway
	}
	reply.Refuse(w, status, err)
}
