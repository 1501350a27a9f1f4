package export

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"quancun/beijing"
	"quancun/journal"
	"quancun/ledger"
	"quancun/money"
)

// sections say where in a chart of accounts ours belong.
var sections = map[string]string{
	"holder": "liabilities", "merchant": "liabilities", "suspense": "liabilities",
	"till": "assets", "safe": "assets", "channel": "assets",
	"fee": "income", "over-short": "income",
}

// hledgerName returns an account as plain-text accounting writes it.
func hledgerName(a journal.Account) string {
	kind, _, _ := strings.Cut(string(a), "/")
	section, ok := sections[kind]
	if !ok {
		section = "equity"
	}
	return section + ":" + strings.ReplaceAll(string(a), "/", ":")
}

// Hledger writes the journal for plain-text accounting (hledger; Ledger and,
// with its own converters, Beancount read it too). Debits are positive there,
// as usual. Entries that move nothing are comments. At the end every account's
// balance is asserted.
func Hledger(s ledger.Snapshot, w io.Writer) error {
	out := &accounts{w: bufio.NewWriter(w), balances: map[journal.Account]money.Fen{}}
	fmt.Fprintf(out.w, "; journal %s/%s, %d entries, head %s\n",
		s.Terminal, s.Head.Epoch, s.Head.Seq, journal.Hex(s.Head.Hash))
	fmt.Fprintf(out.w, "commodity CNY 1000.00\n\n")
	var last time.Time
	for line, err := range s.Lines(s.Head.Seq) {
		if err != nil {
			return fmt.Errorf("export accounts: %w", err)
		}
		last = line.Entry.At
		if err := out.entry(line.Entry); err != nil {
			return fmt.Errorf("export accounts: %w", err)
		}
	}
	out.assert(last)
	return out.w.Flush()
}

// accounts writes transactions and knows what they come to.
type accounts struct {
	w        *bufio.Writer // keeps its first error
	balances map[journal.Account]money.Fen
}

func (a *accounts) entry(e journal.Entry) error {
	if e.Kind == journal.EpochOpened {
		o, err := e.Opening()
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(o.Accounts)) {
			e.Postings = append(e.Postings, journal.Posting{Account: name, Amount: o.Accounts[name]})
		}
	}
	at := e.At.UTC().Format(journal.AtLayout)
	if len(e.Postings) == 0 {
		fmt.Fprintf(a.w, "; %s (%d) %s ref %s\n\n", day(e.At), e.Seq, e.Kind, orDash(e.Ref))
		return nil
	}
	fmt.Fprintf(a.w, "%s (%d) %s\n    ; at %s ref %s card %s account %s\n",
		day(e.At), e.Seq, e.Kind, at, orDash(e.Ref), orDash(e.Card), orDash(e.Account))
	for _, p := range e.Postings {
		a.balances[p.Account] += p.Amount
		fmt.Fprintf(a.w, "    %-40s  CNY %s\n", hledgerName(p.Account), -p.Amount)
	}
	fmt.Fprintln(a.w)
	return nil
}

// assert says what every account comes to in the end, for the reader to check.
func (a *accounts) assert(at time.Time) {
	if len(a.balances) == 0 {
		return
	}
	fmt.Fprintf(a.w, "%s balances\n", day(at))
	for _, name := range slices.Sorted(maps.Keys(a.balances)) {
		fmt.Fprintf(a.w, "    %-40s  CNY 0.00 = CNY %s\n", hledgerName(name), -a.balances[name])
	}
}

func day(at time.Time) string { return at.In(beijing.Zone).Format(time.DateOnly) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
