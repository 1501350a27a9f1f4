package campus_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"quancun/tools/sim/campus"
)

// TestSameStory tells stories twice. The same seed is the same story, to the
// byte: otherwise nobody could look at what went wrong.
func TestSameStory(t *testing.T) {
	for seed := range uint64(20) {
		var story, again bytes.Buffer
		first, err := campus.Run(t.Context(), campus.Config{Seed: seed, Story: &story})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		second, err := campus.Run(t.Context(), campus.Config{Seed: seed, Story: &again})
		if err != nil || first.Story != second.Story {
			t.Errorf("seed %d: %v; the second time it went another way:\n%s\nand then\n%s", seed, err, &story, &again)
		}
	}
}

// TestSameStoryElsewhere has another process tell the stories: a seed that was
// red in one must be red in all.
func TestSameStoryElsewhere(t *testing.T) {
	var stories string
	for seed := range uint64(5) {
		told, err := campus.Run(t.Context(), campus.Config{Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		stories += told.Story + "\n"
	}
	if os.Getenv(elsewhere) != "" {
		fmt.Print(stories)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), elsewhere+"=1")
	got, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(got), stories) {
		t.Errorf("%v; another process tells\n%s\nand this one\n%s", err, got, stories)
	}
}

// elsewhere is set in the other process.
const elsewhere = "CAMPUS_ELSEWHERE"

// TestControl has disks lie about what they keep, and checks that the oracle
// finds it out: an oracle that never cries has seen nothing.
func TestControl(t *testing.T) {
	found := 0
	const seeds = 60
	for seed := range uint64(seeds) {
		if _, err := campus.Run(t.Context(), campus.Config{Seed: seed, Days: 2, Lying: true}); err != nil {
			found++
		}
	}
	if found < seeds/4 {
		t.Errorf("%d of %d stories with lying disks were found out", found, seeds)
	}
}
