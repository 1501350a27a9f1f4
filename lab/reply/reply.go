// Package reply is how the control interfaces of the lab answer: in JSON, and
// with one shape for everything that they refuse.
package reply

import (
	"encoding/json"
	"net/http"
)

// OK answers with v.
func OK(w http.ResponseWriter, v any) { write(w, http.StatusOK, v) }

// Refuse answers with an HTTP status and {"error": "…"}, for people to read.
func Refuse(w http.ResponseWriter, status int, err error) {
	write(w, status, map[string]string{"error": err.Error()})
}

// write leaves an error be: whoever asked has hung up.
func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
