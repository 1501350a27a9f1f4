package auditor_test

import (
	"slices"
	"testing"

	"quancun/tools/sim/auditor"
)

func TestLeaks(t *testing.T) {
	secrets := []auditor.Secret{{"PIN", []byte("271828")}, {"key", []byte{0, 0xAB, 0xCD, 1, 2, 3}}}
	for _, tt := range []struct {
		content string
		want    []string
	}{
		{`{"pin":"271828"}`, []string{"PIN"}},
		{"271828", []string{"PIN"}},
		{"in a name a2718280: no; here: x271828", []string{"PIN"}},
		{"ref a2718280", nil},
		{"\x01\x00\xAB\xCD\x01\x02\x03\x04", []string{"key"}},
		{"key=00abcd010203", []string{"key"}},
		{"key=00ABCD010203 271828", []string{"PIN", "key"}},
		{"", nil},
	} {
		if got := auditor.Leaks([]byte(tt.content), secrets); !slices.Equal(got, tt.want) {
			t.Errorf("Leaks(%q) = %q, want %q", tt.content, got, tt.want)
		}
	}
}
