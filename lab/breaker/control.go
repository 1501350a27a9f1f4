package breaker

import (
	"errors"
	"io"
	"net/http"

	"quancun/lab/reply"
)

// Status is what the control interface answers: what a stand-in has booked, what is
// armed, and what could be.
type Status struct {
	Books   any      `json:"books"`
	Faults  []Fault  `json:"faults"`
	Methods []string `json:"methods"`
	Kinds   []Kind   `json:"kinds"`
}

// Control serves the control interface of a stand-in: GET says how it is, POST of
// a [Fault] arms it, and DELETE disarms everything.
func (b *Board) Control(books func() any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPost:
			text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
			f, err2 := ParseFault(text)
			if err = errors.Join(err, err2); err == nil {
				err = b.Arm(f)
			}
			if err != nil {
				reply.Refuse(w, http.StatusBadRequest, err)
				return
			}
		case http.MethodDelete:
			b.Clear()
		default:
			reply.Refuse(w, http.StatusMethodNotAllowed, errors.New("GET, POST or DELETE"))
			return
		}
		reply.OK(w, Status{books(), b.Faults(), b.Methods(), Kinds})
	})
}
