package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"quancun/money"
)

// shower is what 25 litres cost.
const shower = money.Yuan

// bathing: a shower is reserved at the kiosk and opened by its code, while the upstream
// is gone. Its holder settles it at the kiosk by what the panel shows; the
// controller's log comes later, says the same, and moves nothing.
func bathing(s *stage) error {
	before, err := s.books()
	if err != nil {
		return err
	}
	var code, stub string
	return s.steps(
		s.reserve,
		func() (err error) { code, err = s.digitsShown(); return err },
		s.leave("bath done"), s.home,
		s.stack.Upstream.Stop,
		func() error { return s.lab("bath", "2/1", "confirm", "00000000") }, // of nobody
		func() error { return s.lab("bath", "2/1", "confirm", code) },
		func() error { return s.lab("bath", "2/1", "water", "25") },
		func() error { return s.lab("bath", "2/1", "cancel") },
		func() (err error) { stub, err = s.stub(); return err },
		func() error { return s.lab("bath", "2/1", "confirm", code) }, // a second time: it stays shut
		func() error { return s.stack.StartAndWait(s.ctx, s.stack.Upstream, s.stack.UpstreamAddr) },
		func() error { return s.pause(heardMax) },
		func() error { return s.settleShower(stub) },
		func() error { return s.gained(before, -shower) },
		s.carryLog,
		func() error { s.aside = shower; return s.gained(before, -shower) },
	)
}

// reserve reserves in the bath that is open round the clock, at once.
func (s *stage) reserve() error {
	return s.steps(
		s.to("bath"),
		s.on("bath.hall", "option-1"), s.on("bath.day", "option-0"), s.on("bath.slot", "option-0"),
		s.on("bath.sure", "done"),
		func() error { return s.asked("bath done") },
	)
}

var grouped = regexp.MustCompile(`^\d{4} \d{4}$`)

// digitsShown returns the eight digits that the window shows.
func (s *stage) digitsShown() (string, error) {
	now, err := s.look(time.Now().Add(seeMax))
	if err != nil {
		return "", err
	}
	for _, text := range now.Texts {
		if grouped.MatchString(text) {
			return strings.ReplaceAll(text, " ", ""), nil
		}
	}
	return "", errors.New("the window shows no code")
}

// stub returns what the shower's panel shows after its end.
func (s *stage) stub() (string, error) {
	r, err := http.Get(s.stack.LabURL() + "/baths/2/0")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var box struct {
		Panels []struct{ Stub string }
	}
	if err := json.NewDecoder(r.Body).Decode(&box); err != nil {
		return "", err
	}
	if len(box.Panels) == 0 || box.Panels[0].Stub == "" {
		return "", fmt.Errorf("the first panel shows no stub: %+v", box)
	}
	return box.Panels[0].Stub, nil
}

// settleShower ends the shower at the kiosk by its stub.
func (s *stage) settleShower(stub string) error {
	return s.steps(
		s.to("bath"),
		s.on("bath.what", "option-1"), s.on("bath.which", "option-0"), s.on("bath.deed", "option-1"),
		s.typed("bath.stub", stub),
		s.leave("bath done"), s.home,
	)
}

// carryLog carries the controller's log to the upstream, as somebody does now and then.
func (s *stage) carryLog() error {
	log, err := s.tool("campuslab", "bath", "2/1", "log")
	if err != nil {
		return err
	}
	file := s.stack.File("bath.log")
	if err := os.WriteFile(file, log, 0o600); err != nil {
		return err
	}
	out, err := s.tool("campusd", "bath", "take", file, "--data", s.stack.File("upstream"))
	if err == nil && !strings.Contains(string(out), "1 showers paid 0.00") {
		err = fmt.Errorf("the log came to %s", out)
	}
	return err
}
