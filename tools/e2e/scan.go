package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"quancun/kiosk/keysheet"
	"quancun/kiosk/till"
	"quancun/money"
	"quancun/tools/stack"
)

// Codes of the till's products, and one that none has.
const (
	lunchCode = "CANTEEN-1/LUNCH"
	sideCode  = "2000000000015"
	drinkCode = "20000011"
	noCode    = "4006381333931"
)

// scannerOnly works a till with nothing but a scanner: products are priced by their
// codes, and questions are answered from the sheet. A product that nobody knows, and a
// sheet from elsewhere, do nothing.
func scannerOnly(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	scan := func(code string) func() error { return func() error { return s.scan(code) } }
	took := func() error { return s.lab("take") }
	return s.steps(
		s.at(till.Ready), s.printSheet,
		scan(lunchCode), s.at(till.Present), s.says("12.00"), s.lay, s.at(till.Sold), took,
		s.sheetKey(keysheet.Next), s.at(till.Ready), s.receipts(1, lunch),

		// The same card for the same price: the sheet says yes.
		scan(lunchCode), s.at(till.Present), s.lay, s.at(till.Ask),
		s.sheetKey(keysheet.Yes), s.at(till.Sold), took, s.sheetKey(keysheet.Next), s.at(till.Ready),

		scan(noCode), s.says("没有这个商品条码"),
		scan("QCK1-NEXT-AAAAAAAAAAAAAAAA"), s.says("不是本机的"),
		s.sheetKey(keysheet.Other), s.says("用不到这个操作码"), s.at(till.Ready),

		// Two products that a phone pays, once one of another customer was cancelled.
		scan(sideCode), s.at(till.Present), s.sheetKey(keysheet.No), s.at(till.Ready),
		scan(sideCode), s.at(till.Present), scan(drinkCode), s.says("共 2 件"), s.says("5.00"),
		s.scanPhone, s.at(till.Sold), s.sheetKey(keysheet.Next), s.at(till.Ready),
		s.receipts(3, side+drink),

		func() error { return s.spent(before, 2*lunch+side+drink) },
		func() error { s.aside = side + drink; return nil },
	)
}

// printSheet has the terminal's program write the sheet of keys, beside the till at
// work.
func (s *stage) printSheet() error {
	_, err := s.tool(filepath.Base(s.stack.TerminalPath), "till-codes", "--config", s.stack.File("terminal.toml"),
		"-o", s.stack.File("till-codes.pdf"))
	return err
}

// sheetKey scans a key of the sheet.
func (s *stage) sheetKey(k keysheet.Key) func() error {
	return func() error {
		code, err := keysheet.Sheet{File: s.stack.File("till.codes"), Terminal: stack.Terminal}.Code(k)
		if err != nil {
			return err
		}
		return s.scan(code)
	}
}

// scanPhone scans the code of the person's phone.
func (s *stage) scanPhone() error {
	code, err := s.campusCode()
	if err != nil {
		return err
	}
	return s.scan(code)
}

// receipts waits until the lab's printer has cut off n receipts, of which the last is
// of an amount and proves itself.
func (s *stage) receipts(n int, amount money.Fen) func() error {
	return func() error {
		var all []receipt
		for end := time.Now().Add(seeMax); len(all) < n; {
			var err error
			if all, err = s.paper(); err != nil {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("%d receipts on paper, not %d", len(all), n)
			}
			if err := s.pause(pollEvery); err != nil {
				return err
			}
		}
		last := all[len(all)-1]
		if len(all) != n || len(last.Codes) != 1 || !strings.Contains(last.Text, amount.String()) {
			return fmt.Errorf("%d receipts on paper, and the last is not one of %s: %+v", len(all), amount, last)
		}
		return s.proves(last.Codes[0])
	}
}
