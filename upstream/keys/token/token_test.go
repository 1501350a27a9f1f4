package token

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"quancun/pboc"
	"quancun/upstream/keys"
	"quancun/upstream/keys/keystest"
)

// softHSM is where Debian has it.
const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// newToken initializes a SoftHSM token in a folder of the test's own. SoftHSM
// reads where that is when it is initialized, so tests here do not run at once.
func newToken(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	write(t, conf, "directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "campus",
		"--so-pin", "12345678", "--pin", "87654321").CombinedOutput()
	slot := regexp.MustCompile(`slot (\d+)\s*$`).FindSubmatch(out)
	if err != nil || slot == nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	n, err := strconv.ParseUint(string(slot[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(dir, "pin")
	write(t, pin, "87654321\n")
	return Config{Module: softHSM, Slot: uint(n), PINFile: pin}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestGenerated(t *testing.T) {
	c := newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	keystest.Run(t, func(t *testing.T) keystest.Store { return open(t, c) })
}

// TestImported: a school that moves its keys into a token goes on with the
// same cards, PINs and terminals.
func TestImported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := keys.WriteBlanks(path, pboc.Key{1, 35, 69, 103, 137, 171, 205, 239}); err != nil {
		t.Fatal(err)
	}
	soft, err := keys.OpenSoftware(path)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := keys.ReadSecrets(path)
	if err != nil {
		t.Fatal(err)
	}
	c := newToken(t)
	if err := Import(c, secrets); err != nil {
		t.Fatal(err)
	}
	keystest.Run(t, func(t *testing.T) keystest.Store { return open(t, c) })

	hard, f := open(t, c), keys.Factor{9, 8, 7}
	card, err := hard.IssueCard(t.Context(), f)
	if err != nil || card != soft.CardKeys(f) {
		t.Errorf("keys of a card differ, %v", err)
	}
	for _, part := range []pboc.Part{
		pboc.PartAnswer, pboc.PartControl, pboc.PartMaintenance, pboc.PartTAC, pboc.PartLoad, pboc.PartLock,
		pboc.PartProof,
	} {
		o := pboc.Order{Part: part, Challenge: pboc.Challenge{4, 3, 2, 1}, Index: 1}
		a, errA := soft.Personalise(t.Context(), f, o)
		b, errB := hard.Personalise(t.Context(), f, o)
		if string(a) != string(b) || errA != errB { //nolint:errorlint // both are the refusal itself
			t.Errorf("a blank gets %x, %v and %x, %v as part %d", a, errA, b, errB, part)
		}
	}
	pin := [6]byte([]byte("271828"))
	a, errA := soft.Pepper(t.Context(), "1", &pin)
	b, errB := hard.Pepper(t.Context(), "1", &pin)
	if a != b || errors.Join(errA, errB) != nil {
		t.Errorf("peppered PINs differ, %v, %v", errA, errB)
	}
	if string(hard.PINPublicKey()) != string(soft.PINPublicKey()) ||
		string(hard.SealPublicKey()) != string(soft.SealPublicKey()) ||
		fmt.Sprint(hard.Campus().Public()) != fmt.Sprint(soft.Campus().Public()) {
		t.Error("public keys differ")
	}
}

// TestFillTwice: nothing replaces keys with which cards may have been issued.
func TestFillTwice(t *testing.T) {
	c := newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	if err := Generate(c); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second Generate = %v, want it refused", err)
	}
	open(t, c)
}

// TestFillBroken: what could not be filled to the end is as empty as before.
func TestFillBroken(t *testing.T) {
	c := newToken(t)
	sick := errors.New("token pulled")
	for i := range all {
		err := fill(c, all, func(n *session, label string) ([]pkcs11.ObjectHandle, error) {
			if label == all[i] {
				return nil, sick
			}
			return n.generate(label)
		})
		if !errors.Is(err, sick) {
			t.Fatalf("fill = %v, want %v", err, sick)
		}
	}
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "was the token filled") {
		t.Errorf("Open of an empty token = %v, want it refused", err)
	}
	if err := Generate(c); err != nil {
		t.Errorf("Generate after broken ones = %v", err)
	}
}

// TestNothingComesOut asks the token for each key, as a thief who has the PIN
// would.
func TestNothingComesOut(t *testing.T) {
	c := newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	s := open(t, c)
	err := s.with(t.Context(), func(n *session) error {
		card, err := n.derive(n.keys[loadMaster], make([]byte, 16))
		if err != nil {
			return err
		}
		defer n.destroy(card)
		n.keys["a card's load key"] = card
		for label, h := range n.keys {
			a, err := n.ctx.GetAttributeValue(n.handle, h,
				[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
			if !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)) {
				t.Errorf("%s: %d attributes, %v; want it kept", label, len(a), err)
			}
		}
		delete(n.keys, "a card's load key")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLooseKey: a key that somebody put into the token so that it can be
// copied is not used.
func TestLooseKey(t *testing.T) {
	c := newToken(t)
	err := fill(c, all, func(n *session, label string) ([]pkcs11.ObjectHandle, error) {
		if label != tacMaster {
			return n.generate(label)
		}
		h, err := n.ctx.GenerateKey(n.handle, mechanism(pkcs11.CKM_DES2_KEY_GEN), append(n.kept(label),
			pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true)))
		return []pkcs11.ObjectHandle{h}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "give this key out") {
		t.Errorf("Open = %v, want it refused", err)
	}
}

// TestTokenAway: a token that has forgotten its sessions and log-ins is used
// again without anybody noticing.
func TestTokenAway(t *testing.T) {
	c := newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	s := open(t, c)
	for range 3 {
		if _, err := s.SessionMAC(t.Context(), []byte("token")); err != nil {
			t.Fatal(err)
		}
		if err := s.ctx.CloseAllSessions(s.slot); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWrongPIN: the token counts wrong PINs, and locks itself.
func TestWrongPIN(t *testing.T) {
	c := newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	s := open(t, c)
	s.pool.pin = "00000000"
	if err := s.ctx.CloseAllSessions(s.slot); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := s.SessionMAC(t.Context(), []byte("token")); !errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_INCORRECT)) {
			t.Fatalf("SessionMAC with a wrong PIN = %v", err)
		}
	}
	s.pool.pin = "87654321"
	if _, err := s.SessionMAC(t.Context(), []byte("token")); err == nil {
		t.Error("a log-in was tried again after a wrong PIN")
	}
	for name, spoil := range map[string]func(*Config){
		"Module": func(c *Config) { c.Module = c.PINFile },
		"Slot":   func(c *Config) { c.Slot += 12345 },
		"NoPIN":  func(c *Config) { c.PINFile += "x" },
		"Empty":  func(c *Config) { c.PINFile += ".empty"; write(t, c.PINFile, "\n") },
	} {
		bad := c
		spoil(&bad)
		if _, err := Open(bad); err == nil {
			t.Errorf("%s: Open was not refused", name)
		}
	}
	if err := os.Chmod(c.PINFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("Open with a PIN that everybody may read = %v, want it refused", err)
	}
}

// TestBlanks: a token makes of a blank what the files make of it, as far as keys
// that nobody has drawn by chance go, and its transport key fits the blank.
func TestBlanks(t *testing.T) {
	ctx, f, c := t.Context(), keys.Factor{9, 8, 7}, newToken(t)
	if err := Generate(c); err != nil {
		t.Fatal(err)
	}
	o := pboc.Order{Part: pboc.PartControl, Challenge: pboc.Challenge{4, 3, 2, 1}}
	without, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := without.Personalise(ctx, f, o); !errors.Is(err, keys.ErrNoBlanks) {
		t.Errorf("without a transport key: %v, want %v", err, keys.ErrNoBlanks)
	}
	if err := without.Close(); err != nil {
		t.Fatal(err)
	}
	transport := pboc.Key{1, 35, 69, 103, 137, 171, 205, 239, 254, 220, 186, 152, 118, 84, 50, 16}
	if err := ImportBlanks(c, transport); err != nil {
		t.Fatal(err)
	}
	if err := ImportBlanks(c, transport); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second ImportBlanks = %v, want it refused", err)
	}
	s := open(t, c)
	open := func(under pboc.Key, o pboc.Order) []byte {
		t.Helper()
		field, err := s.Personalise(ctx, f, o)
		if err != nil {
			t.Fatal(err)
		}
		concealed, ok := under.Unprotect(o.Head(), o.Challenge, field)
		data, ok2 := under.Reveal(concealed)
		if !ok || !ok2 {
			t.Fatalf("part %d does not open: %t, %t", o.Part, ok, ok2)
		}
		return data
	}
	answer, err := s.Personalise(ctx, f, pboc.Order{Part: pboc.PartAnswer, Challenge: o.Challenge})
	if want := transport.Answer(o.Challenge); err != nil || string(answer) != string(want[:]) {
		t.Errorf("answer = %x, %v, want %x", answer, err, want)
	}
	control := pboc.Key(open(transport, o)[5:])
	card, err := s.IssueCard(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[pboc.Part]pboc.Key{
		pboc.PartTAC: card.DTK, pboc.PartReload: card.DRPK, pboc.PartPurchase: card.DPK, pboc.PartLoad: card.DLK,
	} {
		if got := pboc.Key(open(control, pboc.Order{Part: part, Challenge: o.Challenge, Index: 1})[5:]); got != want {
			t.Errorf("part %d is another key", part)
		}
	}
	lock := pboc.Key(open(transport, pboc.Order{Part: pboc.PartLock, Challenge: o.Challenge}))
	if lock == control || lock.Diversify(f) != control {
		t.Error("the card's control key and its application's do not belong together")
	}
	for _, o := range []pboc.Order{{}, {Part: 12}, {Part: pboc.PartFile}} {
		if _, err := s.Personalise(ctx, f, o); !errors.Is(err, pboc.ErrNoPart) {
			t.Errorf("order %+v: %v, want %v", o, err, pboc.ErrNoPart)
		}
	}
}
