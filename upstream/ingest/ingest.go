// Package ingest takes terminals' journals into the upstream's books: what a
// terminal has written down is kept byte by byte, and posted once.
//
// # What it promises
//
// A position (terminal, epoch, number) never expires and is posted once,
// however often and by whom it is brought. An answer leaves when what it says
// is durable, and not before. An entry is never refused for what it says: what
// it says wrongly moves nothing and becomes a line of the exceptions inbox, and
// the next entry goes on. Only a batch that its checkpoint does not prove is
// not taken.
//
// # Holds
//
// [Ingest.Authorize] holds money under the number that a terminal's next entry
// will have. When the journal passes that number, the entry either is that
// attempt or is not, and the hold is bound or released. No timer decides.
//
// # Claims
//
// A purchase or a load whose outcome its terminal could not learn is a claim
// until there is evidence: the terminal's own later entry, what the card says
// at another terminal, or a counter that the card shows anywhere. The amount of
// a purchase is in suspense meanwhile.
//
// It knows no network. Which terminal brings something is what its caller says.
package ingest

import (
	"context"
	"crypto"

	"quancun/journal"
	"quancun/money"
	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/store"
)

// Keys is what is asked of the upstream's keys: [keys.Store] or its equal.
type Keys interface {
	CheckTAC(ctx context.Context, l keys.Load, tac pboc.MAC) error
	CheckPurchaseTAC(ctx context.Context, f keys.Factor, p pboc.Purchase, tac pboc.MAC) error
	Campus() crypto.Signer
}

// Policy is what the school has decided.
type Policy struct {
	CardReserve money.Fen // of each balance, that only the physical card may spend
	DailyLimit  money.Fen // above which the PIN is asked, unless the account says otherwise
}

// CosignerName is the name under which the campus cosigns checkpoints.
const CosignerName = "quancun/campus"

// Ingest takes journals into books. It is safe for concurrent use, and so are
// several of them on one database.
type Ingest struct {
	books  *store.Books
	keys   Keys
	policy Policy
	known  known
}

// New returns an Ingest into books.
func New(books *store.Books, k Keys, p Policy) *Ingest {
	g := &Ingest{books: books, keys: k, policy: p}
	g.known.cards, g.known.holders = map[string]card{}, map[string]bool{}
	return g
}

// campus returns who cosigns.
func (g *Ingest) campus() journal.Campus {
	return journal.Campus{Name: CosignerName, Key: g.keys.Campus()}
}
