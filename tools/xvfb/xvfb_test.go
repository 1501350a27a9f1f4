package xvfb

import (
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// newDisplay starts a display for one test, if this machine has what it takes.
func newDisplay(t *testing.T) *Display {
	t.Helper()
	for _, program := range []string{"Xvfb", "xdotool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v: make setup installs it", err)
		}
	}
	d, err := Start(t.Context(), 320, 200)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDisplay(t *testing.T) {
	d := newDisplay(t)
	if err := d.Tap(100, 50); err != nil {
		t.Fatal(err)
	}
	cmd := d.Command(t.Context(), "xdotool", "getmouselocation", "--shell")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(out), "X=100\nY=50\n") {
		t.Errorf("pointer after Tap(100, 50) at %q", out)
	}
	if err := d.Press("ctrl+a", "Return"); err != nil {
		t.Error(err)
	}
	if err := d.Type("-12.30"); err != nil {
		t.Error(err)
	}
}

func TestScreenshot(t *testing.T) {
	d := newDisplay(t)
	path := filepath.Join(t.TempDir(), "screen.png")
	if err := d.Screenshot(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Size(); got.X != 320 || got.Y != 200 {
		t.Errorf("size = %v, want 320x200", got)
	}
}

func TestTwoDisplays(t *testing.T) {
	a, b := newDisplay(t), newDisplay(t)
	if a.Number == b.Number || a.Home() == b.Home() {
		t.Errorf("two displays share %s or %s", a.Name(), a.Home())
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("WAYLAND_DISPLAY", "wayland-0")
	t.Setenv("FYNE_SCALE", "2")
	d := &Display{Number: 7, dir: "/nowhere"}
	env := d.Env()
	for _, want := range []string{"DISPLAY=:7", "HOME=/nowhere/home", "FYNE_SCALE=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("Env lacks %s", want)
		}
	}
	for _, pair := range env {
		if pair == "FYNE_SCALE=2" || named(pair, []string{"WAYLAND_DISPLAY"}) {
			t.Errorf("Env has %s", pair)
		}
	}
}

// TestClose: nothing may be left behind, neither the server nor its files.
func TestClose(t *testing.T) {
	d := newDisplay(t)
	pid := d.cmd.Process.Pid
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("server %d after Close: %v, want %v", pid, err, syscall.ESRCH)
	}
	if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
		t.Errorf("%s after Close: %v", d.dir, err)
	}
}

func TestDecode(t *testing.T) {
	words := make([]byte, 4*headerWords)
	put := func(i int, v byte) { words[4*i+3] = v }
	put(headerSize, 4*headerWords)
	put(imageWidth, 1)
	put(imageHeight, 2)
	put(bitsPerPixel, 32)
	put(bytesPerLine, 8) // a line may be longer than its pixels
	put(colourCount, 1)
	dump := append(words, make([]byte, colourSize)...)
	dump = append(dump, 0x30, 0x20, 0x10, 0, 9, 9, 9, 9)
	dump = append(dump, 0x33, 0x22, 0x11, 0, 9, 9, 9, 9)

	img, err := decode(dump)
	if err != nil {
		t.Fatal(err)
	}
	for y, want := range []color.RGBA{{0x10, 0x20, 0x30, 0xff}, {0x11, 0x22, 0x33, 0xff}} {
		if got := img.RGBAAt(0, y); got != want {
			t.Errorf("pixel 0,%d = %v, want %v", y, got, want)
		}
	}
	for _, short := range [][]byte{nil, dump[:len(dump)-1], dump[:50]} {
		if _, err := decode(short); err == nil {
			t.Errorf("decode took %d bytes", len(short))
		}
	}
}
