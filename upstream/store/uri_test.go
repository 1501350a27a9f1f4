package store_test

import (
	"path/filepath"
	"testing"

	"quancun/upstream/store"
)

// TestURI opens books by a URI of SQLite's, and finds the same ones by their path.
func TestURI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	for _, name := range []string{"file:" + path + "?mode=rwc", path} {
		b, err := store.Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddTerminal(t.Context(), store.Terminal{ID: "K01"}); err != nil {
			t.Error(err)
		}
		all, err := b.Terminals(t.Context())
		if err != nil || len(all) != 1 {
			t.Errorf("%s: %d terminals, %v; want the one", name, len(all), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
