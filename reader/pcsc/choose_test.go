package pcsc

import "testing"

func TestChoose(t *testing.T) {
	names := []string{
		"ACS ACR1281 1S Dual Reader 00 02 SAM", "ACS ACR1281 1S Dual Reader 00 01 PICC", "Virtual PCD 00 00",
	}
	for _, tt := range []struct{ want, name string }{
		{"", names[1]},
		{"sam", names[0]},
		{"picc", names[1]},
		{"VIRTUAL", names[2]},
		{"omnikey", ""},
	} {
		if got := choose(names, tt.want); got != tt.name {
			t.Errorf("choose(%q) = %q, want %q", tt.want, got, tt.name)
		}
	}
	if got := choose(nil, ""); got != "" {
		t.Errorf("choose of none = %q", got)
	}
}
