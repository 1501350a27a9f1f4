package app_test

import (
	"bufio"
	"io"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"quancun/app"
	"quancun/tools/xvfb"
)

// servesEnv has this program be a terminal.
const servesEnv = "QUANCUN_TEST_SERVES"

// TestMain sees to it that no test leaves a goroutine behind. One is there before
// them: Fyne starts it when it is loaded.
func TestMain(m *testing.M) {
	if os.Getenv(servesEnv) == "" {
		goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
	}
	if err := app.Serve(); err != nil {
		panic(err)
	}
}

// TestStopFinishes: a terminal that is told to stop finishes what it is at. Its window
// goes at once: Fyne hears of it, too.
func TestStopFinishes(t *testing.T) {
	d, err := xvfb.Start(t.Context(), 640, 640)
	if err != nil {
		t.Skip(err)
	}
	defer d.Close()
	cmd := d.Command(t.Context(), os.Args[0])
	cmd.Env = append(cmd.Env, servesEnv+"=yes")
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	words := bufio.NewReader(said)
	if word, err := words.ReadString('\n'); word != "ready\n" {
		t.Fatalf("%q, %v", word, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(words)
	if string(rest) != "finished\n" || err != nil {
		t.Errorf("it has said %q, %v; want that it has finished", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it has ended by %v", err)
	}
}
