//go:build !linux

package vpcd

import "net"

// quickAck does nothing where TCP has no such wish: exchanges take longer.
func quickAck(net.Conn) {}
