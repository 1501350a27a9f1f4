package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"quancun/lab/breaker"
	"quancun/upstream/biller/electricity"
	"quancun/upstream/biller/srun"
	"quancun/upstream/biller/vendor"
)

// TestBillers pays both of the lab's billers over the real wire, and breaks one by
// hand.
func TestBillers(t *testing.T) {
	dir := t.TempDir()
	p, _ := start(t, dir, "--network", "127.0.0.1:0", "--electricity", "127.0.0.1:0")
	network, err := srun.New(srun.Config{
		Address: p.Network, CertificateFile: filepath.Join(dir, "network", breaker.CertificateFile),
	})
	if err != nil {
		t.Fatal(err)
	}
	charge := vendor.Charge{OrderNo: "N1", Target: "2024001", Amount: 1000}
	hand := func(words ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), append([]string{"biller"}, words...), &out); err != nil {
			t.Fatalf("biller %v: %v", words, err)
		}
		return out.String()
	}
	hand("network", "fault", "recharge", "drop", "--booked")
	if _, err := network.Pay(t.Context(), charge); err == nil || errors.Is(err, vendor.ErrRefused) {
		t.Errorf("a payment whose answer is dropped: %v", err)
	}
	if _, err := network.Ask(t.Context(), charge); err != nil {
		t.Errorf("Ask: %v", err)
	}
	if said := hand("network"); !strings.Contains(said, "N1") || !strings.Contains(said, "1 booked") {
		t.Errorf("the lab says %q", said)
	}
	hand("electricity", "fault", "rooms", "html", "--standing")
	hand("electricity", "mend")
	meters, err := electricity.NewRest(electricity.RestConfig{
		Address: p.Electricity, CertificateFile: filepath.Join(dir, "electricity", breaker.CertificateFile),
		KeyFile: filepath.Join(dir, "electricity", breaker.KeyFile),
	})
	if err != nil {
		t.Fatal(err)
	}
	if areas, err := meters.Places(t.Context(), nil); err != nil || len(areas) != 2 {
		t.Errorf("Places = %v, %v", areas, err)
	}
	if err := run(t.Context(), []string{"biller", "network", "fault", "nothing", "drop"}, new(bytes.Buffer)); err == nil {
		t.Error("a misspelt method is armed")
	}
}
