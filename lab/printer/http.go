package printer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"quancun/lab/reply"
)

// bodyMax is the longest body of a call, in bytes.
const bodyMax = 4 << 10

// Handler is how the printer is handled from elsewhere. Bodies are JSON.
//
//	GET  /printer              its [State]
//	POST /printer              a [State]: what is done to it
//	GET  /printer/receipts     the list of [Receipt], the oldest first
//	GET  /printer/receipts/1   the picture of the first
func (p *Printer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /printer", func(w http.ResponseWriter, _ *http.Request) { reply.OK(w, p.State()) })
	mux.HandleFunc("POST /printer", p.set)
	mux.HandleFunc("GET /printer/receipts", func(w http.ResponseWriter, _ *http.Request) {
		reply.OK(w, append([]Receipt{}, p.Receipts()...))
	})
	mux.HandleFunc("GET /printer/receipts/{n}", p.picture)
	return mux
}

func (p *Printer) set(w http.ResponseWriter, r *http.Request) {
	s := p.State()
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		reply.Refuse(w, http.StatusBadRequest, fmt.Errorf("lab/printer: not a state: %w", err))
		return
	}
	if err := p.Set(s); err != nil {
		reply.Refuse(w, http.StatusBadRequest, err)
		return
	}
	reply.OK(w, s)
}

func (p *Printer) picture(w http.ResponseWriter, r *http.Request) {
	all := p.Receipts()
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 || n > len(all) {
		http.NotFound(w, r)
		return
	}
	b, err := all[n-1].Picture(p.Columns)
	if err != nil {
		reply.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(b)
}
