package purse_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"quancun/reader/profile"
	"quancun/reader/purse"
)

func FuzzParseFCI(f *testing.F) {
	f.Add([]byte("\x6F\x15\x84\x0E1PAY.SYS.DDF01\xA5\x03\x88\x01\x01"))
	f.Add([]byte("\x6F\x81\x07\xA5\x05\x9F\x0C\x02\x01\x02"))
	f.Add([]byte("\x6F\xFF"))
	f.Add([]byte("\x1F"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fci, err := purse.ParseFCI(data)
		if err == nil && (!bytes.Contains(data, fci.Name) || !bytes.Contains(data, fci.Application)) {
			t.Errorf("%X was read as %+v", data, fci)
		}
	})
}

func FuzzParseApplication(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x20}, 30))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := purse.ParseApplication(profile.Default(), file)
		if (err == nil) != (len(file) >= 30) {
			t.Fatalf("%X: %v", file, err)
		}
		if err == nil && (a.Start > 99999999 || a.Expiry > 99999999) {
			t.Errorf("%X was read as %+v", file, a)
		}
	})
}

func FuzzParseHolder(f *testing.F) {
	f.Add(append([]byte{1, 0, 0xD5, 0xC5, 0xC8, 0xFD}, make([]byte, 33)...))
	f.Add(bytes.Repeat([]byte{0xFF}, 39))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := purse.ParseHolder(profile.Default(), file)
		if (err == nil) != (len(file) >= 39) {
			t.Fatalf("%X: %v", file, err)
		}
		if !utf8.ValidString(h.Name) || !utf8.ValidString(h.Number) {
			t.Errorf("%X was read as %+q", file, h)
		}
	})
}

func FuzzParseLogRecord(f *testing.F) {
	f.Add(make([]byte, 23))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := purse.ParseLogRecord(data); (err == nil) != (len(data) == 23) {
			t.Errorf("%X: %v", data, err)
		}
	})
}

func FuzzParseOffers(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add(bytes.Repeat([]byte{1}, 15))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := purse.ParseLoadOffer(data)
		if err == nil && (len(data) != 16 || !o.MAC1.Valid()) {
			t.Errorf("%X was read as %+v", data, o)
		}
		if _, err := purse.ParsePurchaseOffer(data); (err == nil) != (len(data) == 15) {
			t.Errorf("%X: %v", data, err)
		}
	})
}
