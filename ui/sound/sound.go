// Package sound plays the terminal's short sounds through aplay, where there
// is one. A sound is never the only signal and never waited for: one that
// cannot be played at once is dropped.
package sound

import (
	"bytes"
	"cmp"
	"context"
	"os/exec"

	"quancun/assets"
)

// Name is a sound of assets/sounds.
type Name string

// The sounds.
const (
	Key       Name = "key"       // a finger came down, or a key of a keypad
	Erase     Name = "erase"     // the key that takes back
	Accepted  Name = "accepted"  // what was typed is right; it goes on
	OK        Name = "ok"        // it went well
	Attention Name = "attention" // something is asked of the person
	Refuse    Name = "refuse"    // it did not
)

// Player plays one sound after the other.
type Player struct {
	program string // "": none is installed
	device  string // ALSA's name
	queue   chan Name
}

// NewPlayer looks for aplay, which is to play on one of ALSA's devices; "" for the
// default. A player without it is silent.
func NewPlayer(device string) *Player {
	program, err := exec.LookPath("aplay")
	if err != nil {
		program = ""
	}
	// One sound may wait for the one before it: a click and what it led to.
	return &Player{program: program, device: cmp.Or(device, "default"), queue: make(chan Name, 2)}
}

// Play has a sound played soon, or not at all. It does not wait.
func (p *Player) Play(n Name) {
	if p.program == "" {
		return
	}
	select {
	case p.queue <- n:
	default: // a terminal that is busy making noise needs no more of it
	}
}

// Run plays what Play was given until ctx ends, and returns ctx's error.
func (p *Player) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-p.queue:
			cmd := exec.CommandContext(ctx, p.program, "-q", "-D", p.device, "-")
			cmd.Stdin = bytes.NewReader(assets.Sound(string(n)))
			// Without a sound card aplay fails each time, and nobody is worse
			// off than before.
			_ = cmd.Run()
		}
	}
}
