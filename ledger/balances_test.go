package ledger

import (
	"encoding/json"
	"testing"

	"quancun/journal"
	"quancun/money"
)

// TestBalancesOfDamagedOpening: the first entry was damaged, the mirror has it, and
// so it comes last. The books balance all the same.
func TestBalancesOfDamagedOpening(t *testing.T) {
	details, err := json.Marshal(journal.Opening{
		Accounts: map[journal.Account]money.Fen{"holder": -2539, "merchant/shop": 2539},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &remains{
		rows: []row{{Entry: journal.Entry{Seq: 2, Kind: journal.CashTopUp, Postings: []journal.Posting{
			{Account: "till/K1", Amount: -10000}, {Account: "holder", Amount: 10000},
		}}}},
		extra: []row{{Entry: journal.Entry{Seq: 1, Kind: journal.EpochOpened, Details: details}}},
	}
	var sum money.Fen
	all := r.balances(Options{Terminal: "K1"})
	for _, balance := range all {
		sum += balance
	}
	if sum != 0 || all["holder"] != 7461 || all["till/K1"] != -10000 {
		t.Errorf("balances %v come to %s", all, sum)
	}
}
