package main

import "slices"

// equivalents are the mutants that do what the code as it is does, or the same
// more slowly, as [mutant.key] calls them, under the reason. They count for
// nothing.
var equivalents = map[string][]string{
	"groups are of other sizes, or are woken or prepared at another time": {
		"ledger/append.go write: b.inside.Add(1)",
		"ledger/append.go gather: runtime.Gosched()",
		"ledger/append.go lead: if g.half {",
		"ledger/writer.go transact: ready()",
	},
	"the same is made, opened or looked for more often": {
		"ledger/append.go request: requests.Put(r)",
		"ledger/store.go openStore: s.readers.SetMaxIdleConns(readersMax)",
		"ledger/writer.go itemOf: if !said && ref > w.refMax {",
		"ledger/feed/list.go find: if low > k.low {",
	},
	"it only says where an error happened": {
		`ledger/epoch.go replace: err = fmt.Errorf("open new epoch: %w", named(err))`,
	},
	"the library is linked, and TestUnsafe looks at it": {
		"ledger/store.go checkWriter: if err := checkVersion(c); err != nil {",
	},
	"SQLite gives an error, and no other mode": {
		`ledger/store.go detach: err = fmt.Errorf("journal mode is %q", mode)`,
	},
	"the driver closes a statement once": {
		"ledger/store.go close: stmt.compiled = nil",
		"ledger/store.go close: s.all = nil",
	},
	"each query is read to its end, and the next one would end it": {
		"ledger/store.go fetch: err = errors.Join(err, rows.Close())",
	},
	"no entries come to zero": {
		"ledger/sync.go movedBetween: if after >= through {",
	},
	"what is added is synced, and of a mirror without entries nothing is lost": {
		"ledger/mirror.go renew: if err := f.Sync(); err != nil {",
	},
	"there is no file without a name": {
		`ledger/mirror.go readMirror: if path == "" {`,
	},
	"parseRow looks at both": {
		"ledger/mirror.go mirrorItem: if !journal.HasForm(body) || journal.HashOf(body) != journal.Hash(hash) {",
	},
	"an entry of the first form is found neither way": {
		"ledger/recover.go hasCarried: e.agreed.Terminal, e.opening.Epoch = b.o.Terminal, r.Epoch",
	},
	"nothing behind it is carried over": {
		"ledger/recover.go hasCarried: if old.Kind != journal.Carried {",
	},
}

// isEquivalent reports whether m is one of them.
func (m mutant) isEquivalent() bool {
	for _, all := range equivalents {
		if slices.Contains(all, m.key()) {
			return true
		}
	}
	return false
}
