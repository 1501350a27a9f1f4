package centre_test

import (
	"testing"

	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// tamper changes the books as somebody would who has their file.
func tamper(t *testing.T, b *store.Books, statement string) error {
	return b.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), statement)
		return err
	})
}
