package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestBillersConfig reads the billers of a configuration, whose paths are relative
// to it.
func TestBillersConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "campusd.toml")
	text := `
[network]
address = "https://srun.example.edu.cn:8001"
certificate_file = "srun.pem"
pay_type_id = 4
max_fen = 30000
[electricity]
wire = "wanxiao"
address = "https://power.example.edu.cn"
pay_project = "726"
school_code = "43"
title = "龙山校区电费"
title_en = "Electricity, Longshan"
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Network; n.PayType != 4 || n.Max != 30000 || n.CertificateFile != filepath.Join(dir, "srun.pem") {
		t.Errorf("network = %+v", n)
	}
	c.Network.Address = "" // its certificate is not there
	b, err := c.Config.Open()
	if err != nil || len(b.Shown) != 1 || b.Shown[0].Pays || b.Shown[0].TitleZH != "龙山校区电费" ||
		b.Shown[0].TitleEN != "Electricity, Longshan" || len(b.Payable) != 0 {
		t.Errorf("billers = %+v, %v; want one that only shows", b, err)
	}
	if err := os.WriteFile(file, []byte("[electricity]\naddress = \"https://a\"\nwire = \"gas\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(file); err == nil {
		t.Error("a wire that is none is taken")
	}
}

// TestBills: the commands for bills are reached, and say what is missing.
func TestBills(t *testing.T) {
	s := newSite(t)
	s.must("demo", "--cards", s.path("cards.json"))
	if got := s.must("bills", "list"); got != "0 bills are open\n" {
		t.Errorf("bills list: %q", got)
	}
	for _, wrong := range [][]string{
		{"bills"}, {"bills", "settle", "F1", "--booked", "--by", "li", "--evidence", "their page"},
		{"bills", "refund", "F1", "--no", "R1", "--amount", "1", "--reason", "x", "--by", "li", "--and", "wang"},
	} {
		if _, err := s.campusd(wrong...); err == nil || len(wrong) > 1 && errors.Is(err, errUsage) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
