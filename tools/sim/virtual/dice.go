// Package virtual is chance and time that a simulation owns: all dice of a story
// come from its seed, and its one clock moves only when somebody lets it. It also
// keeps the story itself, line by line, as a hash that tells two runs apart.
package virtual

import (
	"encoding/binary"
	"math/rand/v2"

	"quancun/money"
)

// Dice are where all chance comes from.
type Dice struct{ *rand.Rand }

// The streams of one seed. What happens is drawn from another stream than the
// bytes that programs draw for keys and names, so that a program which draws
// one byte more does not change the story.
const (
	StreamActs   = 1
	StreamBytes  = 2
	StreamSQLite = 3
)

// NewDice returns the dice of one stream of a seed.
func NewDice(seed, stream uint64) Dice { return Dice{rand.New(rand.NewPCG(seed, stream))} }

// OneIn reports true once in n times.
func (d Dice) OneIn(n int) bool { return d.IntN(n) == 0 }

// Between returns a number from least to most, both included.
func (d Dice) Between(least, most int) int { return least + d.IntN(most-least+1) }

// Amount returns 1 fen to most, or 0 if there is nothing.
func (d Dice) Amount(most money.Fen) money.Fen {
	if most <= 0 {
		return 0
	}
	return 1 + money.Fen(d.Int64N(int64(most)))
}

// Pick returns one of list, which is not empty.
func Pick[T any](d Dice, list []T) T { return list[d.IntN(len(list))] }

// Chance is a random source for programs, in the place of crypto/rand's. It is
// called from whichever goroutine draws, but never from two at once: one act
// happens at a time.
type Chance struct{ Dice }

// Read fills p.
func (c Chance) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], c.Uint64())
		copy(p[i:], b[:])
	}
	return len(p), nil
}
