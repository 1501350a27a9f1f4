package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Addresses are where the programs listen: host:port on the loopback
// interface, chosen when the stack is made.
type Addresses struct {
	UpstreamAddr string // campusd, for terminals
	NotifyAddr   string // campusd, for the payment channel's notices
	AlipayAddr   string // the lab's Alipay gateway
	LabAddr      string // the lab's control panel, phone page and vendors
	VPCDAddr     string // where virtual cards find the reader

	NetworkAddr     string // the lab's Srun, which takes the network fee
	ElectricityAddr string // the lab's vendor of meters
	PrinterAddr     string // the lab's receipt printer
}

// LabURL returns where the lab is: in a browser, the page that stands for the
// student's phone.
func (a Addresses) LabURL() string { return "http://" + a.LabAddr }

// addressesIn returns the addresses that the file at path names, if they are
// free, and otherwise others, which it writes there. A later run keeps the
// addresses of an earlier one, so that a bookmark and a provisioned terminal
// stay good.
func addressesIn(path string) (Addresses, error) {
	var a Addresses
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &a); err != nil {
			return a, fmt.Errorf("read %s: %w", path, err)
		}
		if a.free() {
			return a, nil
		}
	case !errors.Is(err, os.ErrNotExist):
		return a, err
	}
	free, err := freeAddresses(len(a.all()))
	if err != nil {
		return a, err
	}
	for i, addr := range a.all() {
		*addr = free[i]
	}
	if text, err = json.MarshalIndent(a, "", "\t"); err != nil {
		return a, err
	}
	return a, os.WriteFile(path, append(text, '\n'), 0o600)
}

func (a *Addresses) all() []*string {
	return []*string{
		&a.UpstreamAddr, &a.NotifyAddr, &a.AlipayAddr, &a.LabAddr, &a.VPCDAddr, &a.NetworkAddr, &a.ElectricityAddr,
		&a.PrinterAddr,
	}
}

// free reports whether nobody listens on any of the addresses.
func (a *Addresses) free() bool {
	for _, addr := range a.all() {
		if !strings.HasPrefix(*addr, "127.0.0.1:") {
			return false // an earlier version's file
		}
		l, err := net.Listen("tcp", *addr)
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// freeAddresses returns n different addresses on the loopback interface that
// nobody listens on. Somebody may before we do: then the program that gets the
// address says so when it starts. So they are none that the kernel gives away by
// itself, and programs that ask at once begin at different ones.
func freeAddresses(n int) (addrs []string, err error) {
	begin := os.Getpid() * portsEach
	for i := 0; i < portsLast-portsFirst && len(addrs) < n; i++ {
		addr := fmt.Sprintf("127.0.0.1:%d", portsFirst+(begin+i)%(portsLast-portsFirst))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) < n {
		return nil, fmt.Errorf("there are no %d free ports from %d to %d", n, portsFirst, portsLast)
	}
	return addrs, nil
}

// Ports that programs take by number: of those below what Linux gives away itself.
const (
	portsFirst = 10_000
	portsLast  = 30_000
	portsEach  = 20 // about what one asks for
)
