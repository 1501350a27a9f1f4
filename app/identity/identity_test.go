package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quancun/app/identity"
	"quancun/upstream/client"
)

// swtpm is a TPM in software: a process of the test's own, with its state in a
// folder.
type swtpm struct {
	t      *testing.T
	dir    string
	socket string
	cmd    *exec.Cmd
}

// newTPM makes a TPM and switches it on.
func newTPM(t *testing.T) *swtpm {
	t.Helper()
	s := &swtpm{t: t, dir: t.TempDir()}
	// A socket's path has to be short.
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.socket = filepath.Join(dir, "s")
	s.on()
	t.Cleanup(s.off)
	return s
}

// on switches the TPM on, as when the machine starts.
func (s *swtpm) on() {
	s.t.Helper()
	s.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.dir,
		"--server", "type=unixio,path="+s.socket, "--flags", "startup-clear,not-need-init")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // with this test, however it ends
	var said bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if conn, err := net.Dial("unix", s.socket); err == nil {
			conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.off()
	s.t.Fatalf("swtpm does not answer: %s", said.String())
}

func (s *swtpm) off() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	_ = os.Remove(s.socket)
}

// stores are the ways to keep keys. Each call of reboot is a start of the
// machine.
func stores(t *testing.T, do func(t *testing.T, c identity.Config, reboot func())) {
	t.Run("File", func(t *testing.T) {
		do(t, identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys")}, func() {})
	})
	t.Run("TPM", func(t *testing.T) {
		s := newTPM(t)
		c := identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys"), TPM: s.socket}
		do(t, c, func() { s.off(); s.on() })
	})
}

func makeKeys(t *testing.T, c identity.Config) client.Keys {
	t.Helper()
	k, err := identity.Make(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// check makes a signature with each key and verifies it.
func check(t *testing.T, k client.Keys) {
	t.Helper()
	digest := sha256.Sum256([]byte("handshake"))
	sig, err := k.TLS.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(k.TLS.Public().(*ecdsa.PublicKey), digest[:], sig) {
		t.Errorf("signature of a handshake: %v, want a good one", err)
	}
	sig, err = k.Journal.Sign(nil, []byte("checkpoint"), crypto.Hash(0))
	if err != nil || !ed25519.Verify(k.Journal.Public().(ed25519.PublicKey), []byte("checkpoint"), sig) {
		t.Errorf("signature of a checkpoint: %v, want a good one", err)
	}
}

func same(a, b client.Keys) bool {
	return a.TLS.Public().(*ecdsa.PublicKey).Equal(b.TLS.Public()) &&
		a.Journal.Public().(ed25519.PublicKey).Equal(b.Journal.Public())
}

// TestKeys: keys are made once, and are the same after every start.
func TestKeys(t *testing.T) {
	stores(t, func(t *testing.T, c identity.Config, reboot func()) {
		if _, err := identity.Open(c); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open before Make = %v, want %v", err, fs.ErrNotExist)
		}
		k := makeKeys(t, c)
		check(t, k)
		for range 2 {
			reboot()
			again, err := identity.Open(c)
			if err != nil {
				t.Fatal(err)
			}
			check(t, again)
			check(t, k) // and who had them open goes on
			if !same(k, again) || !same(k, makeKeys(t, c)) {
				t.Error("the keys have changed")
			}
		}
		info, err := os.Stat(c.File)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("file of keys: %v, %v; want mode 0600", info, err)
		}
		if err := os.Chmod(c.File, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(c); err == nil || !strings.Contains(err.Error(), "mode") {
			t.Errorf("Open of what the group may read = %v, want it refused", err)
		}
		if err := identity.Destroy(c); err != nil {
			t.Fatal(err)
		}
		if same(k, makeKeys(t, c)) {
			t.Error("keys came back after they were destroyed")
		}
	})
}

func TestBrokenFile(t *testing.T) {
	stores(t, func(t *testing.T, c identity.Config, _ func()) {
		makeKeys(t, c)
		whole, err := os.ReadFile(c.File)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{
			"Empty": nil, "Cut": whole[:len(whole)/2], "Twice": append(bytes.Clone(whole), whole...),
			"Other": []byte("nonsense"),
		} {
			if err := os.WriteFile(c.File, text, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := identity.Open(c)
			if err == nil || len(text) > 100 && strings.Contains(err.Error(), string(text[60:80])) {
				t.Errorf("%s: %v, want an error without the key", name, err)
			}
			if _, err := identity.Make(c); err == nil {
				t.Errorf("%s: Make has replaced a file that it does not understand", name)
			}
		}
	})
}

// TestCopiedDisk: a copy of the disk in another machine is not the terminal.
func TestCopiedDisk(t *testing.T) {
	s, thiefs := newTPM(t), newTPM(t)
	c := identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys"), TPM: s.socket}
	k := makeKeys(t, c)
	text, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	secret := hex.EncodeToString(k.Journal.(ed25519.PrivateKey).Seed())
	if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte("PRIVATE KEY")) {
		t.Error("the file holds a key")
	}
	copied := identity.Config{File: c.File, TPM: thiefs.socket}
	if _, err := identity.Open(copied); !errors.Is(err, identity.ErrOtherTPM) {
		t.Errorf("Open on another TPM = %v, want %v", err, identity.ErrOtherTPM)
	}
	copied.TPM = ""
	if _, err := identity.Open(copied); err == nil {
		t.Error("Open without a TPM was not refused")
	}
	if again, err := identity.Open(c); err != nil || !same(k, again) {
		t.Errorf("the machine itself: %v", err)
	}
}

// TestTPMAway: a TPM that does not answer is no reason to make other keys.
func TestTPMAway(t *testing.T) {
	s := newTPM(t)
	c := identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys"), TPM: s.socket}
	k := makeKeys(t, c)
	s.off()
	if _, err := identity.Make(c); err == nil || errors.Is(err, identity.ErrOtherTPM) {
		t.Errorf("Make without its TPM = %v, want an error", err)
	}
	digest := make([]byte, 32)
	if _, err := k.TLS.Sign(nil, digest, crypto.SHA256); err == nil {
		t.Error("a signature came from nowhere")
	}
	s.on()
	check(t, k)
}

// TestNothingLeft: a TPM has room for a handful of objects, so each use takes
// its own away, also when several are under way.
func TestNothingLeft(t *testing.T) {
	s := newTPM(t)
	k := makeKeys(t, identity.Config{File: filepath.Join(t.TempDir(), "terminal.keys"), TPM: s.socket})
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 5 {
				check(t, k)
			}
		})
	}
	g.Wait()
	if _, err := k.TLS.Sign(nil, make([]byte, 48), crypto.SHA384); err == nil {
		t.Error("the TPM's key has signed what it is not for")
	}
}
