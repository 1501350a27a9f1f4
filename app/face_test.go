package app

import (
	"slices"
	"sync"
	"testing"
	"time"

	"quancun/reader/scanner"
)

// TestWedge has a scanner type a wallet's code, and then a person an amount.
func TestWedge(t *testing.T) {
	var mu sync.Mutex
	var pressed []rune
	var scans []scanner.Scan
	w := &wedge{scans: func(s scanner.Scan) {
		mu.Lock()
		defer mu.Unlock()
		scans = append(scans, s)
	}}
	pass := func(r rune) {
		mu.Lock()
		defer mu.Unlock()
		pressed = append(pressed, r)
	}
	const code = "281234567890123456"
	for _, r := range code + "\n" {
		w.take(r, pass)
	}
	w.take('7', pass)
	until := time.Now().Add(time.Minute)
	for done := false; !done; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		done = slices.Equal(pressed, []rune{'7'}) || time.Now().After(until)
		mu.Unlock()
	}
	w.take('\n', pass)
	mu.Lock()
	defer mu.Unlock()
	if string(pressed) != "7\n" || len(scans) != 1 || scans[0].Text != code || scans[0].Kind != scanner.Alipay {
		t.Errorf("pressed %q, scanned %+v; want 7 and Enter, and Alipay's code", string(pressed), scans)
	}
}
