package main

// equivalent is the mutants that do what the code as it is does, or the same more
// slowly, by what they are called in [mutant.key], and why. They count for
// nothing.
var equivalent = map[string]string{
	"ledger/append.go request: requests.Put(r)":  "makes a new one each time",
	"ledger/append.go write: b.inside.Add(1)":    "groups are of other sizes",
	"ledger/feed/list.go find: if low > k.low {": "looks at the rest of the place too",
}
