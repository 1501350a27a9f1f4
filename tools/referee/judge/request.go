package judge

import (
	"encoding/json"
	"fmt"
)

// request checks what the document says of a holder's requests.
func (e entry) request() error {
	if e.kind != 92 && e.kind != 93 {
		return nil
	}
	if e.merchant != "" || e.origin != 0 {
		return fmt.Errorf("kind %d names merchant %q, origin %d", e.kind, e.merchant, e.origin)
	}
	if e.kind == 93 {
		if e.outcome != 21 && e.outcome != 22 {
			return fmt.Errorf("kind 93 with outcome %d", e.outcome)
		}
		return nil
	}
	var d struct {
		Service string
		What    json.RawMessage
	}
	if err := json.Unmarshal(e.details, &d); err != nil {
		return fmt.Errorf("kind 92: %w", err)
	}
	if d.Service == "" || len(d.Service) > 16 {
		return fmt.Errorf("kind 92 of service %q", d.Service)
	}
	if e.account == "" && e.card == "" && d.Service != "lost" {
		return fmt.Errorf("kind 92 of service %q is nobody's", d.Service)
	}
	if d.Service == "bath_cancel" || d.Service == "bath_settle" {
		return e.aboutBath(d.Service, d.What)
	}
	return nil
}

// aboutBath checks what is done about a reservation.
func (e entry) aboutBath(service string, what []byte) error {
	var d struct{ Reservation string }
	if json.Unmarshal(what, &d) != nil || e.account == "" || d.Reservation == "" {
		return fmt.Errorf("kind 92 of service %q is about no reservation of anybody's", service)
	}
	return nil
}
