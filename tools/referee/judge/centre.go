package judge

import (
	"encoding/json"
	"fmt"
)

// centre checks what the document says of a clerk's entries.
func (e entry) centre() error {
	if e.kind != 90 && e.kind != 91 {
		return nil
	}
	if e.operator == "" || e.account == "" || e.amount != 0 || e.merchant != "" {
		return fmt.Errorf("kind %d names clerk %q, account %q, merchant %q and %d fen",
			e.kind, e.operator, e.account, e.merchant, e.amount)
	}
	if e.kind == 91 {
		if e.outcome != 21 && e.outcome != 22 {
			return fmt.Errorf("kind 91 with outcome %d", e.outcome)
		}
		return nil
	}
	var d struct {
		Act, Document int
		Evidence      string
	}
	if err := json.Unmarshal(e.details, &d); err != nil {
		return fmt.Errorf("kind 90: %w", err)
	}
	if d.Act < 1 || d.Document < 1 || len(d.Evidence) > 4 {
		return fmt.Errorf("kind 90 of act %d, document %d, evidence of length %d", d.Act, d.Document, len(d.Evidence))
	}
	return nil
}
