package stack

import (
	"net"
	"path/filepath"
	"testing"
)

func TestAddressesStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	first, err := addressesIn(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := addressesIn(path)
	if err != nil || again != first {
		t.Errorf("second run has %+v, %v, want %+v", again, err, first)
	}

	l, err := net.Listen("tcp", first.LabAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, err := addressesIn(path)
	if err != nil || other.LabAddr == first.LabAddr {
		t.Errorf("run beside another has %+v, %v, want others than %+v", other, err, first)
	}
}

func TestAddressesDiffer(t *testing.T) {
	addrs, err := freeAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range addrs {
		if seen[a] {
			t.Errorf("%s twice", a)
		}
		seen[a] = true
	}
}
