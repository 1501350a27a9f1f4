package risk

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// JSON writes a report for programs. Amounts are in fen.
func (r Report) JSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// Table writes a report for people.
func (r Report) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TERMINAL\tDARK SINCE\tHOTLIST AGE\tUNSENT\tHELD\tAT MOST BESIDES\tSELLS UNTIL\t")
	for _, t := range r.Terminals {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s in %d\t%s\t%s\t%s\n", t.ID, since(t.Dark, t.Heard), t.list(), t.Unsent,
			t.Held, t.Holds, t.AtMost, since(t.Dark && t.Stops.After(r.At), t.Stops), t.note())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `
known: %d entries were told of and are not here; %s are held for sales that were asked about
bound: terminals may have sold for %s more without asking, and may have sold nothing
       besides, the rules would have let terminals that have never sold anything sell for %s,
       and terminals that are shut out for %s
`, r.Unsent, r.Held, r.AtMost, r.Unsold, r.Revoked)
	return err
}

func since(yes bool, at time.Time) string {
	if !yes {
		return "-"
	}
	return at.Format(time.RFC3339)
}

func (t Terminal) list() string {
	age := (time.Duration(t.ListAge) * time.Second).String()
	switch {
	case t.Behind < 0:
		return "unknown"
	case t.Behind > 0:
		return fmt.Sprintf("%s, %d behind", age, t.Behind)
	}
	return age
}

func (t Terminal) note() string {
	switch {
	case t.Revoked:
		return "shut out"
	case !t.Sells:
		return "never sold"
	}
	return ""
}
