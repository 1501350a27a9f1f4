package clearing_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	lab "quancun/lab/alipay"
	"quancun/upstream/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// pems are a gateway's keys by file, made once: that is slow.
var pems struct {
	sync.Mutex
	files map[string][]byte // guarded by Mutex
}

// layKeys puts a gateway's keys into its folder before it looks for them.
func layKeys(t *testing.T, dir string) {
	t.Helper()
	pems.Lock()
	defer pems.Unlock()
	if pems.files == nil {
		makeKeys(t)
	}
	for name, text := range pems.files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func makeKeys(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if _, err := lab.New(lab.Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	if err != nil || len(names) == 0 {
		t.Fatal("no keys", err)
	}
	pems.files = map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pems.files[filepath.Base(name)] = text
	}
}
