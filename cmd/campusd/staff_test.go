package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"quancun/upstream/client"
)

// TestStaff adds a member, lets them in at a terminal, and takes it all back, with
// commands alone.
func TestStaff(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	const card = "0000202600000000aB01"
	told := regexp.MustCompile(`^c7: PIN (\d{6})\n$`)
	pin := func(args ...string) string {
		t.Helper()
		m := told.FindStringSubmatch(s.must(args...))
		if m == nil {
			t.Fatalf("campusd %q tells no PIN", args)
		}
		return m[1]
	}
	first := pin("staff", "add", "c7", "李小明", "--role", "cashier", "--card", card, "--by", "boss")
	addr, stop := s.serve()
	defer stop()
	c := client.Dial(s.enrol("K01", addr).papers, client.Options{})
	defer c.Close()
	signIn := func(digits string) (client.Staff, error) {
		return c.SignInStaff(t.Context(), strings.ToUpper(card), (*[6]byte)([]byte(digits)))
	}
	if m, err := signIn(first); err != nil || m.No != "c7" || m.Role != 1 {
		t.Errorf("SignInStaff = %+v, %v", m, err)
	}
	boss := s.card("supervisor") // of the demonstration
	if m, err := c.SignInStaff(t.Context(), boss.CardNo, (*[6]byte)([]byte(boss.PIN))); err != nil || m.No != boss.HolderNo {
		t.Errorf("SignInStaff = %+v, %v", m, err)
	}
	s.must("staff", "role", "c7", "supervisor")
	second := pin("staff", "reset-pin", "c7")
	if m, err := signIn(second); err != nil || m.Role != 2 {
		t.Errorf("with another role and PIN: %+v, %v", m, err)
	}
	if got := s.must("staff", "list"); !strings.Contains(got, "李小明") || !strings.Contains(got, "supervisor") ||
		strings.Contains(got, second) {
		t.Errorf("staff list: %s", got)
	}
	s.must("staff", "revoke", "c7")
	var no *client.StaffRefusal
	if _, err := signIn(second); !errors.As(err, &no) || no.Reason != client.StaffCardUnknown {
		t.Errorf("after revoke: %v", err)
	}
	for _, args := range [][]string{
		{"staff", "add", "c7", "王芳", "--card", card}, {"staff", "role", "c7", "admin"}, {"staff", "role", "c9", "admin"},
		{"staff", "role", "c7", "king"}, {"staff", "card", "c7", "1"}, {"staff", "revoke"}, {"staff"}, {"staff", "x", "c7"},
	} {
		if out, err := s.campusd(args...); err == nil {
			t.Errorf("campusd %q: %s", args, out)
		}
	}
	s.must("verify")
}
