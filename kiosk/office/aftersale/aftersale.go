// Package aftersale is what the staff do about sales that were made: give one
// back, take the last one back, look what became of a payment, print a receipt
// once more, and see to the printer.
//
// A sale is found by what the customer has in hand: the receipt's number, its
// code, the order number in the wallet; or among the last ones. It is shown
// before anything is asked about it.
package aftersale

import (
	"context"
	"crypto/ed25519"
	"time"

	"quancun/journal"
	"quancun/kiosk/dialog"
	"quancun/kiosk/office"
	"quancun/kiosk/refund"
	"quancun/kiosk/staff"
	"quancun/kiosk/tender"
	"quancun/ledger"
)

// Book is the part of the journal that is read here. [ledger.Book] is one.
type Book interface {
	Get(ctx context.Context, ref string) (ledger.Item, error)
	OpenItems(ctx context.Context) ([]journal.Entry, error)
	Since(ctx context.Context, from int64, n int) ([]journal.Entry, error)
	Recent(ctx context.Context, n int) ([]journal.Entry, error)
}

// Asker says what became of a sale that a wallet pays; its errors are those of
// [channel.Seller.Query], which is one.
type Asker interface {
	Query(ctx context.Context, ref string) (tender.Sold, error)
}

// Receipts are the receipts of this till, and its printer. An error is an
// [dialog.Refusal] with one of the words of [PrinterOut] and its like.
type Receipts interface {
	// Printer says how the printer is, and how many receipts wait for it.
	Printer(ctx context.Context) (state dialog.Word, waiting int)
	// PrintWaiting prints what waits, and returns how many that were.
	PrintWaiting(ctx context.Context) (int, error)
	// Copy prints the receipt of a reference once more, as the copy of the number
	// that it returns; 0 if it had never been printed. After [PrinterUnsure] it may
	// be on paper.
	Copy(ctx context.Context, ref string) (int, error)
}

// Config is what the tasks work with.
type Config struct {
	Terminal string // as receipts name it
	Book     Book
	Refunds  *refund.Desk
	Wallet   Asker                    // nil: this till takes no codes of wallets
	Receipts Receipts                 // nil: there is no printer
	Campus   func() ed25519.PublicKey // which receipts are checked against
	Online   func() bool              // the upstream answers
	Now      func() time.Time
}

// Tasks returns the tasks, in the order of the menu.
func Tasks(c Config) []office.Task {
	all := []office.Task{
		{Name: Refund, Group: office.Sales, Needs: staff.Refund, Run: c.refund},
		{Name: Void, Group: office.Sales, Needs: staff.Void, Run: c.void},
		{Name: Query, Group: office.Sales, Needs: staff.Query, Run: c.query},
	}
	if c.Receipts == nil {
		return all
	}
	return append(all,
		office.Task{Name: Copy, Group: office.Sales, Needs: staff.Receipts, Run: c.copy},
		office.Task{Name: Printer, Group: office.Machine, Needs: staff.Receipts, Run: c.printer},
	)
}
