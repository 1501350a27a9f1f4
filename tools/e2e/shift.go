package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"quancun/journal"
	"quancun/kiosk"
	"quancun/kiosk/till"
	"quancun/ledger"
	"quancun/money"
)

// The drawer of shift-close: what is put in, and what somebody finds in it.
const (
	floatIn = 200 * money.Yuan
	missing = 10 * money.Yuan
)

// shiftClose: a cashier who signs in is asked to open a shift, sells lunch, and
// closes. The drawer is counted blind, ten yuan are missing, and nobody knows why:
// the Z says it all.
func shiftClose(s *stage) error {
	return s.steps(
		func() error { return s.signIn("cashier") },
		s.typed("shift.float.ask", "200"), s.on("shift.open.sure", "done"),
		s.leave("shift.open done"),
		s.sold,
		func() error { return s.await(kiosk.Step(till.Ready), "office") },

		s.pick("1", "shift.close"),
		// A hundred, a fifty and two twenties, instead of 200 yuan.
		s.on("shift.pieces", "digit-1", "next-row", "digit-1", "next-row", "digit-2", "done"),
		s.on("shift.sum.sure", "done"), s.on("shift.differs", "option-3"),
		s.on("shift.close.sure", "done"), s.leave("shift.close done"),
		s.closed,

		s.pick("3", "sales.item"), s.on("sales.when", "option-0"),
		s.on("sales.item done", "save"), s.leave("sales.item done"),
		func() error { return s.here.display.Press("Escape") },
		s.at(till.Ready),
		s.saved,
	)
}

// saved checks that there is a table of what was sold, and a page.
func (s *stage) saved() error {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.here.journal()), "reports", "*-sales-item.*"))
	if err != nil || len(files) != 2 {
		return fmt.Errorf("saved are %q, %w", files, errors.Join(err))
	}
	table, err := os.ReadFile(files[0])
	if err == nil && !bytes.Contains(table, []byte(","+lunch.String()+",1,")) {
		err = fmt.Errorf("saved is %q", table)
	}
	return err
}

// closed checks the Z.
func (s *stage) closed() error {
	var z journal.Report
	err := ledger.ReadFile(s.ctx, s.here.journal(), func(j ledger.Snapshot) error {
		for line, err := range j.Lines(j.Head.Seq) {
			if err == nil && line.Entry.Kind == journal.ShiftClosed {
				z, err = line.Entry.Report()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	want := journal.Sum{Count: 1, Amount: lunch}
	switch {
	case err != nil:
		return err
	case z.Z != 1 || z.Float != floatIn || z.Short != missing || z.Till != floatIn-missing || z.Card != want ||
		z.Perpetual != lunch:
		return fmt.Errorf("the Z says %+v", z)
	}
	return nil
}

// bothFaces: a kiosk is a till for as long as a cashier is signed in, and then it
// is a kiosk again. What it sells and what it loads are in one journal.
func bothFaces(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	return s.steps(
		func() error { return s.await(kiosk.Home, "staff") },
		s.without("staff"), // home and a locked till have one number
		func() error { return s.signIn("cashier") },
		s.typed("shift.float.ask", "200"), s.on("shift.open.sure", "done"), s.leave("shift.open done"),
		s.sold,
		func() error { return s.await(kiosk.Step(till.Ready), "lock") },
		s.without("lock"),
		func() error { return s.spent(before, lunch) },
		s.order,
		func() error { return s.lab("pay", "--last") },
		func() error { _, err := s.see(kiosk.Done); return err },
		s.home,
		func() error { return s.gained(before, twenty-lunch) },
	)
}
