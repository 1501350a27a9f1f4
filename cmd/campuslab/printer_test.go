package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPrinter prints as a till does, reads what came out, and takes the paper
// away.
func TestPrinter(t *testing.T) {
	dir := t.TempDir()
	p, said := start(t, dir, "--printer", "127.0.0.1:0", "--columns", "32")
	t.Setenv("CAMPUSLAB", p.Control)
	conn, err := net.Dial("tcp", p.Printer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// ESC @, a line, GS r 1, cut.
	if _, err := conn.Write([]byte("\x1b@\xb2\xcd\xcc\xc3 12.50\n\x1dr\x01\x1dVB\x03")); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := conn.Read(b[:]); err != nil || b[0] != 0 {
		t.Errorf("GS r: %x, %v", b, err)
	}
	for begin := time.Now(); !strings.Contains(said.String(), "餐堂 12.50"); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("said:\n%s", said.String())
		}
	}
	if pictures, err := filepath.Glob(filepath.Join(dir, "receipts", "*.png")); err != nil || len(pictures) != 1 {
		t.Errorf("pictures %q, %v", pictures, err)
	}
	if out := do(t, "paper out"); !strings.Contains(out, "paper out") {
		t.Errorf("paper out said %q", out)
	}
	if _, err := conn.Write([]byte{0x10, 0x04, 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(b[:]); err != nil || b[0] != 0x7E {
		t.Errorf("DLE EOT 4 with the paper out: %x, %v; want 7e", b, err)
	}
	if out := do(t, "paper"); !strings.Contains(out, "paper out") {
		t.Errorf("paper said %q", out)
	}
	if err := run(t.Context(), []string{"paper", "gone"}, new(bytes.Buffer)); err == nil {
		t.Error("paper gone: no error")
	}
}

// TestPrinterAlone runs nothing but a printer.
func TestPrinterAlone(t *testing.T) {
	for line, want := range map[string]string{
		"printer":                                    "--dir",
		"printer --dir x --listen 0.0.0.0:0":         "this machine alone",
		"printer --dir x --listen 127.0.0.1:0 extra": "no words",
	} {
		err := run(t.Context(), strings.Fields(strings.Replace(line, "--dir x", "--dir "+t.TempDir(), 1)), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("campuslab %s: %v, want %q", line, err, want)
		}
	}
}
