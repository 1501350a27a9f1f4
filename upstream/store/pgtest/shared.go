package pgtest

import (
	"context"
	"os"
	"sync"
	"testing"
)

// The cluster that all tests of a process share: a start takes a second or two.
var (
	sharing sync.Mutex
	shared  *Cluster // guarded by sharing; nil until a test asks for it
)

// Main runs a package's tests, and ends the shared cluster after them. A
// package calls it from its TestMain. Without it the cluster ends as well, but
// a moment after the process.
func Main(m *testing.M) {
	code := m.Run()
	sharing.Lock()
	defer sharing.Unlock()
	if shared != nil {
		if err := shared.Close(); err != nil {
			println("pgtest:", err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// Shared returns the cluster that the tests of this process share.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	sharing.Lock()
	defer sharing.Unlock()
	if shared == nil {
		c, err := Start(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		shared = c
	}
	return shared
}

// New returns an empty database in the shared cluster, for one test.
func New(t testing.TB) Database {
	t.Helper()
	c := Shared(t)
	d, err := c.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Drop(context.Background(), d); err != nil {
			t.Error(err)
		}
	})
	return d
}
