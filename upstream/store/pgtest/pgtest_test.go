package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"quancun/upstream/store/pgtest"
)

// TestMain also is the process that TestKilled kills.
func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_CHILD") == "" {
		pgtest.Main(m)
	}
	c, err := pgtest.Start(context.Background())
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	println(c.Socket())
	select {}
}

func query(t *testing.T, dsn, statement string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), statement).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDatabase(t *testing.T) {
	d := pgtest.New(t)
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "is_superuser": "off", "port": "5432",
		"listen_addresses": "",
	} {
		if got := query(t, d.DSN, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	if got := query(t, d.Admin, "SELECT current_database() || current_setting('is_superuser')"); got != d.Name+"on" {
		t.Errorf("admin is %q", got)
	}
}

func TestRestart(t *testing.T) {
	d := pgtest.New(t)
	for _, crash := range []bool{false, true} {
		before := query(t, d.DSN, "SELECT pg_postmaster_start_time()::text")
		if err := pgtest.Shared(t).Restart(t.Context(), crash); err != nil {
			t.Fatal(err)
		}
		if after := query(t, d.DSN, "SELECT pg_postmaster_start_time()::text"); after == before {
			t.Errorf("started at %s, as before its restart", after)
		}
	}
}

// TestKilled kills a process that has started a cluster, and waits until
// nothing is left of it.
func TestKilled(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "PGTEST_CHILD=1")
	pipe, err := child.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := pipe.Read(line)
	socket := strings.TrimSpace(string(line[:n]))
	if err != nil || !strings.HasPrefix(socket, pgtest.Folder()+"/") {
		t.Fatalf("child says %q, %v", socket, err)
	}
	pid, err := os.ReadFile(filepath.Join(filepath.Dir(socket), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	server, _, _ := strings.Cut(string(pid), "\n")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, running := os.Stat("/proc/" + server)
		_, there := os.Stat(filepath.Dir(socket))
		if os.IsNotExist(running) && os.IsNotExist(there) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server %s: %v; its folder: %v", server, running, there)
		}
	}
}
