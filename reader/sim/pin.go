package sim

import (
	"bytes"
	"slices"

	"quancun/pboc"
	"quancun/reader/apdu"
)

// verifyPIN is VERIFY PIN, 4.3.
func (c *Card) verifyPIN(cmd command) ([]byte, apdu.Status) {
	switch {
	case !c.inDF || c.state.PIN == nil:
		return nil, apdu.KeyNotFound
	case len(cmd.data) < 2 || len(cmd.data) > 6:
		return nil, apdu.WrongLength
	}
	s := c.checkPIN(cmd.data)
	c.verified = s == apdu.OK
	return nil, s
}

// checkPIN compares, and counts down the tries if it is wrong.
func (c *Card) checkPIN(pin []byte) apdu.Status {
	if c.state.PINTries == 0 {
		return apdu.AuthBlocked
	}
	right := bytes.Equal(pin, c.state.PIN)
	s := c.state.clone()
	if s.PINTries--; right {
		s.PINTries = pinTriesMax
	}
	if s.PINTries != c.state.PINTries {
		if err := c.keep(s); err != nil {
			return apdu.WriteFailed
		}
	}
	if !right {
		return 0x63C0 | apdu.Status(s.PINTries)
	}
	return apdu.OK
}

// changePIN is CHANGE PIN (P1 01) and RELOAD PIN (P1 00), 4.3.
func (c *Card) changePIN(cmd command) ([]byte, apdu.Status) {
	switch {
	case !c.inDF || c.state.PIN == nil:
		return nil, apdu.KeyNotFound
	case cmd.p1 == 0x01:
		old, pin, ok := bytes.Cut(cmd.data, []byte{0xFF})
		if !ok || len(pin) < 2 || len(pin) > 6 {
			return nil, apdu.BadData
		}
		if s := c.checkPIN(old); s != apdu.OK {
			return nil, s
		}
		return nil, c.setPIN(pin)
	case cmd.p1 == 0x00:
		n := len(cmd.data) - len(pboc.MAC{})
		if n < 2 || n > 6 {
			return nil, apdu.WrongLength
		}
		key := pboc.Key(c.state.Keys.Reload).Folded()
		if !key.MAC(cmd.data[:n]).Equal(pboc.MAC(cmd.data[n:])) {
			return nil, apdu.WrongMAC
		}
		return nil, c.setPIN(cmd.data[:n])
	}
	return nil, apdu.WrongP1P2
}

func (c *Card) setPIN(pin []byte) apdu.Status {
	s := c.state.clone()
	s.PIN, s.PINTries = slices.Clone(pin), pinTriesMax
	if err := c.keep(s); err != nil {
		return apdu.WriteFailed
	}
	c.verified = false
	return apdu.OK
}
