package main

// equivalent is the mutants that do what the code as it is does, or the same more
// slowly, by what they are called in [mutant.key], and why. They count for
// nothing.
var equivalent = map[string]string{
	"ledger/append.go request: requests.Put(r)":                                                              "each request is a new one",
	"ledger/append.go write: b.inside.Add(1)":                                                                "groups are of other sizes",
	"ledger/append.go lead: if g.half {":                                                                     "a group's callers are woken before the disk is given on",
	"ledger/append.go gather: runtime.Gosched()":                                                             "groups are of other sizes",
	"ledger/store.go openStore: s.readers.SetMaxIdleConns(readersMax)":                                       "readers open the file more often",
	"ledger/store.go checkWriter: if err := checkVersion(c); err != nil {":                                   "the library is linked, and TestUnsafe looks at it",
	`ledger/store.go detach: err = fmt.Errorf("journal mode is %q", mode)`:                                   "SQLite gives an error, and no other mode",
	"ledger/store.go close: stmt.compiled = nil":                                                             "the driver closes a statement once",
	"ledger/store.go close: s.all = nil":                                                                     "the driver closes a statement once",
	"ledger/store.go fetch: err = errors.Join(err, rows.Close())":                                            "each query is read to its end, and the next one would end it",
	"ledger/sync.go movedBetween: if after >= through {":                                                     "nothing comes to zero",
	"ledger/writer.go transact: ready()":                                                                     "the next group is prepared later",
	"ledger/writer.go itemOf: if !said && ref > w.refMax {":                                                  "what is not there is looked for",
	"ledger/epoch.go replace: err = fmt.Errorf(\"open new epoch: %w\", named(err))":                          "it only says where",
	"ledger/mirror.go renew: if err := f.Sync(); err != nil {":                                               "what is added is synced, and nothing is lost of a mirror without entries",
	`ledger/mirror.go readMirror: if path == "" {`:                                                           "there is no file without a name",
	"ledger/mirror.go mirrorItem: if !journal.HasForm(body) || journal.HashOf(body) != journal.Hash(hash) {": "parseRow looks at both",
	"ledger/recover.go hasCarried: e.agreed.Terminal, e.opening.Epoch = b.o.Terminal, r.Epoch":               "what has no epoch is found neither way",
	"ledger/recover.go hasCarried: if old.Kind != journal.Carried {":                                         "nothing behind it is carried over",
	"ledger/feed/list.go find: if low > k.low {":                                                             "the rest of the place is looked at too",
}
