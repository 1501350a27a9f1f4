// Referee checks the archive of a terminal's journal. It was written from
// docs/JOURNAL.md and shares no code with the terminal, so that what both agree
// on is what the document says.
//
//	referee CAMPUSKEY FILE
//
// CAMPUSKEY is 64 hexadecimal digits. It prints what every account comes to, in
// fen, credits positive.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"quancun/tools/referee/judge"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: referee CAMPUSKEY FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "referee:", err)
		os.Exit(1)
	}
}

func run(key, file string, out io.Writer) error {
	campus, err := hex.DecodeString(key)
	if err != nil {
		return fmt.Errorf("campus key: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	v, err := judge.Judge(bufio.NewReader(f), campus)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d entries of %s/%x\n", v.Entries, v.Terminal, v.Epoch)
	for _, account := range slices.Sorted(maps.Keys(v.Totals)) {
		fmt.Fprintf(out, "%s\t%d\n", account, v.Totals[account])
	}
	return nil
}
