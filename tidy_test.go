package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "quancun"

// layer is what a package may import of this module, and which modules from
// elsewhere it may use besides the standard library. "x/..." is x and all
// below it.
type layer struct{ ours, theirs []string }

const (
	fyne     = "fyne.io/fyne/v2"
	sqlite   = "github.com/mattn/go-sqlite3"
	postgres = "github.com/jackc/pgx/v5"
	toml     = "github.com/BurntSushi/toml"
	connect  = "connectrpc.com/connect"
	protobuf = "google.golang.org/protobuf"
	crypto   = "golang.org/x/crypto"
	text     = "golang.org/x/text"
	sys      = "golang.org/x/sys"
	serial   = "go.bug.st/serial"
	sync     = "golang.org/x/sync"
	mod      = "golang.org/x/mod" // signed notes and Merkle logs
	gmsm     = "github.com/emmansun/gmsm"
)

// testOnly are modules for tests alone, of any package.
var testOnly = []string{"pgregory.net/rapid", "github.com/anishathalye/porcupine", "go.uber.org/goleak"}

// cgo are the packages that may have C in them. Everybody else's C is a
// library's.
var cgo = []string{"lab/disk"}

// calendar is the package that every other may import.
const calendar = "beijing"

// layers is the architecture. docs/ARCHITECTURE.md explains it; this test
// keeps it true. A package stands for itself before it stands below an
// "x/...", and the longest of these counts.
//
// Arrows point one way: app → ui → kiosk → {reader, ledger, upstream/client}.
// Reader, ledger and upstream do not know each other.
var layers = map[string]layer{
	".":       {ours: []string{"app"}},
	"money":   {},
	"beijing": {},
	"pboc":    {ours: []string{"money"}},

	"reader":         {ours: []string{"money", "pboc", "reader/..."}, theirs: []string{text}},
	"reader/apdu":    {},
	"reader/profile": {ours: []string{"money", "pboc"}, theirs: []string{toml}},
	"reader/purse": {
		ours:   []string{"money", "pboc", "reader/apdu", "reader/profile"},
		theirs: []string{crypto, text},
	},
	"reader/sim": {
		ours:   []string{"money", "pboc", "reader", "reader/apdu", "reader/profile", "reader/purse", "reader/vpcd"},
		theirs: []string{text},
	},
	"reader/sam":        {ours: []string{"pboc", "reader", "reader/apdu", "reader/purse", "reader/sim"}},
	"reader/pcsc":       {ours: []string{"reader", "reader/apdu"}, theirs: []string{"github.com/ebfe/scard"}},
	"reader/vpcd":       {ours: []string{"reader", "reader/apdu"}},
	"reader/scanner":    {ours: []string{"journal", "paycode"}, theirs: []string{serial, sys}},
	"reader/evdev":      {theirs: []string{sys}},
	"reader/pinpad":     {ours: []string{"reader/evdev"}},
	"reader/pcsctest":   {ours: []string{"money", "pboc", "reader/..."}},
	"reader/readertest": {ours: []string{"money", "pboc", "reader/..."}},

	"journal":  {ours: []string{"money", "pboc"}, theirs: []string{mod, crypto}},
	"paycode":  {ours: []string{"money"}, theirs: []string{gmsm, crypto}},
	"bathcode": {ours: []string{"money"}},
	"water":    {ours: []string{"money", "bathcode"}},

	"ledger/wal":    {},
	"ledger":        {ours: []string{"money", "pboc", "journal", "ledger/wal"}, theirs: []string{sqlite, sys, mod}},
	"ledger/push":   {ours: []string{"money", "journal", "ledger"}},
	"ledger/export": {ours: []string{"money", "journal", "ledger"}},
	"ledger/feed":   {ours: []string{"money", "journal", "ledger"}, theirs: []string{sqlite, sys, mod}},

	"upstream/wire/...": {ours: []string{"upstream/wire/..."}, theirs: []string{connect, protobuf}},
	"upstream/channel":  {ours: []string{"money"}},
	"upstream/alipay":   {ours: []string{"money", "upstream/channel"}, theirs: []string{"github.com/smartwalle", text}},
	"upstream/client": {
		ours:   []string{"money", "pboc", "journal", "paycode", "upstream/wire/..."},
		theirs: []string{connect, protobuf, toml},
	},
	"upstream/client/centre": {
		ours:   []string{"money", "journal", "pboc", "upstream/client", "upstream/wire", "upstream/wire/..."},
		theirs: []string{connect, protobuf},
	},
	"upstream/client/bill": {
		ours: []string{"money", "upstream/client", "upstream/wire/..."}, theirs: []string{connect, protobuf},
	},
	"upstream/client/holder": {
		ours:   []string{"money", "pboc", "upstream/client", "upstream/wire", "upstream/wire/..."},
		theirs: []string{connect, protobuf},
	},
	"upstream/client/bath": {
		ours: []string{"money", "upstream/client", "upstream/wire/..."}, theirs: []string{connect, protobuf},
	},
	"upstream/client/photo": {
		ours: []string{"journal", "upstream/client", "upstream/wire/..."}, theirs: []string{connect, protobuf},
	},
	"upstream/client/lost": {
		ours:   []string{"money", "upstream/client", "upstream/wire", "upstream/wire/..."},
		theirs: []string{connect, protobuf},
	},
	"upstream/reconcile": {ours: []string{"money", "upstream/channel"}},
	"upstream/clearing": {
		ours: []string{
			"money", "journal", "upstream/channel", "upstream/hot", "upstream/reconcile", "upstream/store",
			"upstream/store/sqldb",
		},
	},
	"upstream/hot": {ours: []string{"journal", "upstream/store", "upstream/store/sqldb"}},
	"upstream/centre": {
		ours: []string{"money", "journal", "upstream/place", "upstream/store", "upstream/store/sqldb"},
	},
	"upstream/centre/counter": {
		ours: []string{
			"money", "pboc", "upstream/centre", "upstream/ingest", "upstream/keys", "upstream/server",
			"upstream/server/call", "upstream/staff", "upstream/store", "upstream/wire", "upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/keys": {ours: []string{"money", "pboc", "upstream/wire"}, theirs: []string{toml, crypto}},
	"upstream/payment": {
		ours: []string{
			"money", "journal", "upstream/channel", "upstream/store", "upstream/store/sqldb", "upstream/server/call",
			"upstream/server/due", "upstream/server/hub", "upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/biller": {
		ours: []string{
			"money", "upstream/biller/vendor", "upstream/server/due", "upstream/server/hub", "upstream/store",
			"upstream/store/sqldb",
		},
	},
	"upstream/biller/electricity": {ours: []string{"money", "upstream/biller/vendor"}},
	"upstream/biller/service": {
		ours: []string{
			"money", "upstream/biller", "upstream/biller/...", "upstream/server", "upstream/server/call", "upstream/store",
			"upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/biller/service/servicetest": {
		ours: []string{"upstream/server/call", "upstream/store"}, theirs: []string{connect},
	},
	"upstream/biller/setup":  {ours: []string{"money", "upstream/biller/...", "upstream/channel"}},
	"upstream/biller/vendor": {ours: []string{"money"}},
	"upstream/biller/srun":   {ours: []string{"money", "upstream/biller/vendor", "upstream/channel"}},
	"upstream/keys/token": {
		ours:   []string{"money", "pboc", "upstream/keys", "upstream/wire"},
		theirs: []string{"github.com/miekg/pkcs11", "github.com/ThalesGroup/crypto11", toml, crypto},
	},
	"upstream/store": {
		ours:   []string{"money", "pboc", "journal", "upstream/channel", "upstream/keys", "upstream/store/sqldb"},
		theirs: []string{mod},
	},
	"upstream/store/sqldb":    {theirs: []string{sqlite, postgres}},
	"upstream/store/booktest": {ours: []string{"upstream/store"}},
	"upstream/store/pgtest":   {theirs: []string{postgres, sys}},
	"upstream/bath": {
		ours: []string{
			"money", "journal", "bathcode", "water", "upstream/store", "upstream/store/sqldb", "upstream/server/call",
			"upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/place": {ours: []string{"upstream/store", "upstream/store/sqldb"}},
	"upstream/photo": {
		ours:   []string{"journal", "upstream/server/call", "upstream/store", "upstream/store/sqldb", "upstream/wire/..."},
		theirs: []string{connect, "golang.org/x/image/draw"},
	},
	"upstream/lost": {
		ours: []string{
			"money", "upstream/place", "upstream/keys", "upstream/server", "upstream/server/call", "upstream/store", "upstream/store/sqldb",
			"upstream/wire", "upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/holder": {
		ours: []string{
			"money", "pboc", "journal", "upstream/keys", "upstream/phone", "upstream/place", "upstream/server/call",
			"upstream/store", "upstream/store/sqldb", "upstream/wire", "upstream/wire/...",
		},
		theirs: []string{connect, protobuf},
	},
	"upstream/request": {ours: []string{"money", "journal", "upstream/store", "upstream/store/sqldb"}},
	"upstream/phone": {
		ours:   []string{"money", "paycode", "upstream/store", "upstream/store/sqldb", "upstream/wire/..."},
		theirs: []string{connect},
	},
	"upstream/ingest": {
		ours: []string{
			"money", "pboc", "journal", "paycode", "upstream/store", "upstream/store/sqldb", "upstream/keys",
			"upstream/centre", "upstream/hot", "upstream/phone", "upstream/request", "upstream/wire/...",
		},
	},
	"upstream/feed": {
		ours:   []string{"upstream/store", "upstream/store/sqldb", "upstream/wire/..."},
		theirs: []string{protobuf},
	},
	"upstream/server": {
		ours:   []string{"money", "pboc", "journal", "upstream/..."},
		theirs: []string{connect, protobuf, toml, crypto, sync, mod},
	},
	"upstream/server/hub": {},
	"upstream/server/due": {},
	"upstream/server/call": {
		ours: []string{"money", "upstream/store", "upstream/wire/..."}, theirs: []string{connect, protobuf},
	},
	"upstream/staff": {
		ours: []string{
			"upstream/keys", "upstream/server", "upstream/server/call", "upstream/store", "upstream/store/sqldb",
			"upstream/wire/...",
		},
		theirs: []string{connect, crypto},
	},
	"upstream/staff/stafftest":    {ours: []string{"money", "pboc", "upstream/..."}},
	"upstream/server/pki/pkitest": {ours: []string{"upstream/server/pki"}},
	"upstream/server/enrol": {
		ours:   []string{"journal", "upstream/server/pki", "upstream/store", "upstream/wire/..."},
		theirs: []string{connect},
	},
	"upstream/...": {
		ours: []string{
			"money", "pboc", "journal", "upstream/channel", "upstream/store", "upstream/keys", "upstream/wire/...",
		},
		theirs: []string{connect, protobuf, toml, crypto, text, sync},
	},

	"lab/disk": {theirs: []string{sqlite}},
	"lab/bath": {ours: []string{"money", "bathcode", "water", "lab/reply"}},
	"lab/wallet": {
		ours:   []string{"money", "paycode", "lab/reply", "upstream/client"},
		theirs: []string{"github.com/skip2/go-qrcode"},
	},
	"lab/...": {
		ours: []string{"money", "pboc", "lab/...", "reader/...", "assets"},
		theirs: []string{
			toml, crypto, text, sync, "github.com/smartwalle",
			"github.com/skip2/go-qrcode", "github.com/makiuchi-d/gozxing",
		},
	},
	"lab/printer": {
		ours: []string{"lab/reply", "assets"}, theirs: []string{text, "golang.org/x/image", "github.com/skip2/go-qrcode"},
	},

	"kiosk/rules":        {ours: []string{"money"}},
	"kiosk/tender":       {ours: []string{"money"}},
	"kiosk/today":        {ours: []string{"journal"}},
	"kiosk/file":         {},
	"kiosk/barcode":      {},
	"kiosk/keysheet":     {ours: []string{"kiosk/file"}},
	"kiosk/pin":          {},
	"kiosk/dialog":       {ours: []string{"money", "kiosk/pin"}},
	"kiosk/service":      {ours: []string{"money", "pboc", "kiosk/dialog", "upstream/client"}},
	"kiosk/service/tape": {ours: []string{"kiosk", "kiosk/dialog"}},
	"kiosk/service/tape/tapetest": {
		ours: []string{"kiosk", "kiosk/dialog", "kiosk/pin", "kiosk/service", "kiosk/service/tape"},
	},
	"kiosk/request": {ours: []string{"money", "journal", "kiosk/tender"}},
	"kiosk/service/pay": {
		ours: []string{
			"money", "journal", "kiosk/dialog", "kiosk/request", "kiosk/service", "kiosk/tender", "upstream/client",
			"upstream/client/bill",
		},
	},
	"kiosk/service/network": {
		ours: []string{"kiosk/dialog", "kiosk/service", "kiosk/service/pay", "upstream/client", "upstream/client/bill"},
	},
	"kiosk/service/electricity": {
		ours: []string{"kiosk/dialog", "kiosk/service", "kiosk/service/pay", "upstream/client", "upstream/client/bill"},
	},
	"kiosk/service/bath": {
		ours: []string{
			"journal", "bathcode", "kiosk", "kiosk/dialog", "kiosk/request", "kiosk/service", "kiosk/tender",
			"upstream/client", "upstream/client/bath",
		},
	},
	"kiosk/channel": {ours: []string{"money", "journal", "kiosk/tender", "ledger", "upstream/client"}},
	"kiosk/refund":  {ours: []string{"money", "journal", "kiosk/channel", "kiosk/tender", "ledger"}},
	"kiosk/shift":   {ours: []string{"money", "journal", "ledger", "kiosk/file", "kiosk/staff", "kiosk/tender"}},
	"kiosk/gossip":  {ours: []string{"money", "journal", "paycode"}, theirs: []string{crypto}},
	"kiosk/code": {
		ours: []string{
			"money", "journal", "paycode", "ledger", "ledger/feed", "kiosk/gossip", "kiosk/rules", "kiosk/tender",
			"kiosk/today", "upstream/client",
		},
	},
	"kiosk/staff": {
		ours:   []string{"money", "journal", "ledger", "kiosk", "kiosk/file", "reader/purse", "upstream/client"},
		theirs: []string{crypto},
	},
	"kiosk": {
		ours: []string{
			"money", "pboc", "journal", "ledger", "ledger/...", "kiosk/dialog", "kiosk/pin", "kiosk/rules",
			"kiosk/service", "kiosk/tender", "kiosk/today", "reader", "reader/apdu",
			"reader/profile", "reader/purse", "upstream/client",
		},
		theirs: []string{sync},
	},
	"kiosk/service/lost": {
		ours: []string{
			"journal", "kiosk", "kiosk/dialog", "kiosk/pin", "kiosk/request", "kiosk/service", "kiosk/tender",
			"upstream/client", "upstream/client/lost",
		},
	},
	"kiosk/standing": {ours: []string{"kiosk", "upstream/client/bath", "upstream/client/bill"}},
	"kiosk/service/own": {
		ours: []string{
			"money", "journal", "kiosk/dialog", "kiosk/service", "upstream/client", "upstream/client/holder",
		},
	},
	"kiosk/office/counter": {
		ours: []string{
			"money", "pboc", "journal", "ledger", "kiosk", "kiosk/dialog", "kiosk/office", "kiosk/shift", "kiosk/staff", "kiosk/tender",
			"reader", "reader/apdu", "reader/profile", "reader/purse", "upstream/client", "upstream/client/centre",
		},
	},
	"kiosk/office": {
		ours: []string{
			"money", "kiosk", "kiosk/dialog", "kiosk/staff", "reader", "reader/profile", "reader/purse",
		},
	},
	"kiosk/office/aftersale": {
		ours: []string{
			"money", "journal", "ledger", "kiosk", "kiosk/dialog", "kiosk/channel", "kiosk/office", "kiosk/refund", "kiosk/staff",
			"kiosk/tender", "reader/purse",
		},
	},
	"kiosk/office/cash": {
		ours: []string{
			"money", "journal", "ledger", "kiosk", "kiosk/dialog", "kiosk/office", "kiosk/shift", "kiosk/staff", "kiosk/tender",
		},
	},
	"kiosk/office/figures": {
		ours: []string{
			"money", "journal", "kiosk", "kiosk/dialog", "kiosk/office", "kiosk/shift", "kiosk/staff", "kiosk/till",
		},
	},
	"kiosk/till": {
		ours: []string{
			"money", "journal", "ledger", "ledger/feed", "kiosk", "kiosk/...", "reader", "reader/pinpad", "reader/profile",
			"reader/purse", "upstream/client",
		},
		theirs: []string{sync},
	},
	"ui/...": {
		ours: []string{
			"money", "kiosk", "kiosk/dialog", "kiosk/office", "kiosk/pin", "kiosk/rules", "kiosk/staff", "kiosk/till", "kiosk/service/tape",
			"ui/...", "assets",
		},
		theirs: []string{fyne, "github.com/skip2/go-qrcode", "github.com/mozillazg/go-pinyin"},
	},
	"ui/specimen": {
		ours: []string{
			"money", "kiosk", "kiosk/dialog", "kiosk/office", "kiosk/pin", "kiosk/rules", "kiosk/staff", "kiosk/till", "kiosk/service/tape",
			"ui/...", "lab/portrait",
		},
		theirs: []string{fyne},
	},
	"ui/speech": {ours: []string{"money", "kiosk", "kiosk/dialog", "kiosk/till", "ui/text"}},
	"app/...": {
		ours: []string{
			"money", "pboc", "journal", "paycode", "app/...", "assets", "ui/...", "kiosk", "kiosk/...", "ledger", "ledger/...", "reader/...",
			"upstream/client", "upstream/client/...",
		},
		theirs: []string{fyne, toml, sync, sys},
	},
	"app/sheet": {
		ours:   []string{"money", "assets", "kiosk", "kiosk/dialog", "kiosk/file", "kiosk/office", "ui/text"},
		theirs: []string{"codeberg.org/go-pdf/fpdf"},
	},
	"app/codes": {
		ours:   []string{"assets", "kiosk", "kiosk/keysheet", "kiosk/till", "ui/text"},
		theirs: []string{"codeberg.org/go-pdf/fpdf", "github.com/skip2/go-qrcode"},
	},
	"app/paper": {
		ours: []string{
			"money", "journal", "paycode", "app/printer", "kiosk", "kiosk/dialog", "kiosk/channel", "kiosk/office", "kiosk/office/...",
			"kiosk/tender", "kiosk/till", "ledger",
		},
	},
	"app/audio":   {ours: []string{"reader/evdev", "ui/speech", "ui/text"}},
	"app/printer": {ours: []string{"money", "journal", "kiosk/file"}, theirs: []string{text, serial, sys}},
	"app/identity": {
		ours:   []string{"journal", "upstream/client"},
		theirs: []string{"github.com/google/go-tpm", toml, sys},
	},
	"assets/...": {},

	"cmd/campusd/bath": {
		ours: []string{"money", "bathcode", "water", "upstream/bath", "upstream/keys", "upstream/store"},
	},
	"cmd/campusd/risk": {
		ours: []string{"money", "kiosk/rules", "upstream/ingest", "upstream/store", "upstream/store/sqldb"},
	},
	"cmd/campusd": {
		ours: []string{
			"money", "pboc", "journal", "paycode", "upstream/...", "kiosk/rules", "cmd/campusd/...", "cmd/internal/...",
		},
		theirs: []string{toml, sync},
	},
	"cmd/campuslab": {
		ours:   []string{"money", "pboc", "paycode", "water", "lab/...", "reader/...", "cmd/internal/..."},
		theirs: []string{toml, sync},
	},
	"cmd/internal/lockfile": {},

	"tools/...": {ours: []string{"..."}, theirs: []string{fyne, toml, sync, sys, "github.com/jackc/pgx/v5"}},
}

// windowless are the packages that have to do without Fyne, whatever they
// import: the servers, and all that is below the screens.
var windowless = []string{
	"cmd/campusd", "cmd/campuslab", "upstream/server", "upstream/client", "reader", "journal", "ledger", "kiosk",
}

// exact are where amounts are computed: a float there is a fen lost some day.
var exact = []string{"money", "pboc", "journal", "paycode", "ledger/...", "kiosk/...", "reader/...", "upstream/..."}

// Limits on size. They bind, so that the argument is about how to split a
// function and never about whether to.
const (
	functionLinesMax = 70
	fileLinesMax     = 500
	testLinesMax     = 1000 // of a file with tests
	columnsMax       = 120
	tabColumns       = 4
	nestingMax       = 3
	parametersMax    = 4 // besides a context
	packageFilesMax  = 15
)

// source is one Go file of this module.
type source struct {
	path      string // relative to the root, with slashes
	dir       string
	text      []byte
	ast       *ast.File
	test      bool
	generated bool
}

var fset = token.NewFileSet()

// reporter is told of each thing that is not tidy. It is t.Errorf, except
// where this test is tested itself.
type reporter func(format string, args ...any)

// paths returns the files of this module that git has or would take.
func paths(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var list []string
	for _, p := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().IsRegular() {
			list = append(list, p)
		}
	}
	return list
}

// sources returns the parsed Go files.
func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	for _, p := range paths(t) {
		if !strings.HasSuffix(p, ".go") || strings.Contains("/"+p, "/testdata/") {
			continue
		}
		code, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(fset, p, code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		list = append(list, source{
			path: p, dir: path.Dir(p), text: code, ast: f,
			test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(f),
		})
	}
	return list
}

// within reports whether package p is one of patterns.
func within(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, all := strings.CutSuffix(pattern, "...")
		return p == pattern || all && strings.HasPrefix(p+"/", below)
	})
}

// layerOf returns the layer of the package in dir.
func layerOf(dir string) (layer, bool) {
	if l, ok := layers[dir]; ok {
		return l, true
	}
	best, found := "", false
	for pattern := range layers {
		if within(dir, []string{pattern}) && len(pattern) > len(best) {
			best, found = pattern, true
		}
	}
	return layers[best], found
}

func TestLayers(t *testing.T) {
	for _, s := range sources(t) {
		l, ok := layerOf(s.dir)
		if !ok {
			t.Errorf("%s: package %s is not in the table of layers", s.path, s.dir)
			continue
		}
		for _, spec := range s.ast.Imports {
			if p := strings.Trim(spec.Path.Value, `"`); !mayImport(s, l, p) {
				t.Errorf("%s: %s may not import %s", fset.Position(spec.Pos()), s.dir, p)
			}
		}
	}
}

// mayImport reports whether s, a file in layer l, may import p. A test may put
// its package together with any other of ours.
func mayImport(s source, l layer, p string) bool {
	if p == "C" {
		return slices.Contains(cgo, s.dir)
	}
	if s.test && slices.Contains(testOnly, p) {
		return true
	}
	if ours, mine := strings.CutPrefix(p, module+"/"); mine {
		return s.test || ours == calendar || within(ours, l.ours)
	}
	if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
		return true // standard library
	}
	return slices.ContainsFunc(l.theirs, func(a string) bool { return p == a || strings.HasPrefix(p, a+"/") })
}

// TestWindowless: what runs without a screen must build without a window
// library, also by way of others.
func TestWindowless(t *testing.T) {
	for _, dir := range windowless {
		if found, _ := filepath.Glob(dir + "/*.go"); found == nil {
			continue
		}
		out, err := exec.Command("go", "list", "-deps", "./"+dir).CombinedOutput()
		if err != nil {
			t.Errorf("go list -deps ./%s: %v\n%s", dir, err, out)
			continue
		}
		for _, dep := range strings.Fields(string(out)) {
			if strings.HasPrefix(dep, "fyne.io/") || strings.Contains(dep, "/glfw") {
				t.Errorf("%s depends on %s", dir, dep)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	files := map[string]int{}
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		lines, max := bytes.Count(s.text, []byte("\n")), fileLinesMax
		if s.test {
			max = testLinesMax
		} else {
			files[s.dir]++
		}
		if lines > max {
			t.Errorf("%s: %d lines, at most %d", s.path, lines, max)
		}
		if !s.test {
			checkColumns(t.Errorf, s)
			checkFunctions(t.Errorf, s)
		}
	}
	for dir, n := range files {
		if n > packageFilesMax {
			t.Errorf("%s: %d files, at most %d", dir, n, packageFilesMax)
		}
	}
}

func checkColumns(report reporter, s source) {
	for i, line := range strings.Split(string(s.text), "\n") {
		columns := 0
		for _, r := range line {
			if columns++; r == '\t' {
				columns += tabColumns - 1
			}
		}
		if columns > columnsMax {
			report("%s:%d: %d columns, at most %d", s.path, i+1, columns, columnsMax)
		}
	}
}

func checkFunctions(report reporter, s source) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch f := n.(type) {
		case *ast.FuncDecl:
			from, to := fset.Position(f.Pos()), fset.Position(f.End())
			if lines := to.Line - from.Line + 1; lines > functionLinesMax {
				report("%s: %s has %d lines, at most %d", from, f.Name.Name, lines, functionLinesMax)
			}
			if n := parameters(f.Type); n > parametersMax {
				report("%s: %s has %d parameters, at most %d", from, f.Name.Name, n, parametersMax)
			}
			if f.Body != nil {
				checkNesting(report, f.Body.List, 0)
			}
		case *ast.FuncLit: // begins anew: it has a beginning and an end of its own
			checkNesting(report, f.Body.List, 0)
		}
		return true
	})
}

// parameters counts what f takes besides a context.
func parameters(f *ast.FuncType) (n int) {
	for _, field := range f.Params.List {
		if sel, ok := field.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Context" {
			continue
		}
		n += max(1, len(field.Names))
	}
	return n
}

// checkNesting reports the statements of list, at the given depth, that are
// too deep inside each other.
func checkNesting(report reporter, list []ast.Stmt, depth int) {
	for _, stmt := range list {
		if labeled, ok := stmt.(*ast.LabeledStmt); ok {
			stmt = labeled.Stmt
		}
		blocks := inner(stmt)
		if len(blocks) > 0 && depth+1 > nestingMax {
			report("%s: %d levels deep, at most %d", fset.Position(stmt.Pos()), depth+1, nestingMax)
			continue
		}
		for _, b := range blocks {
			checkNesting(report, b, depth+1)
		}
	}
}

// inner returns the lists of statements that are one level below stmt.
func inner(stmt ast.Stmt) (blocks [][]ast.Stmt) {
	switch s := stmt.(type) {
	case *ast.IfStmt:
		blocks = append(blocks, s.Body.List)
		switch e := s.Else.(type) {
		case *ast.BlockStmt:
			blocks = append(blocks, e.List)
		case *ast.IfStmt: // else if is no deeper than the if
			blocks = append(blocks, inner(e)...)
		}
	case *ast.ForStmt:
		blocks = append(blocks, s.Body.List)
	case *ast.RangeStmt:
		blocks = append(blocks, s.Body.List)
	case *ast.SwitchStmt:
		return clauses(s.Body)
	case *ast.TypeSwitchStmt:
		return clauses(s.Body)
	case *ast.SelectStmt:
		return clauses(s.Body)
	}
	return blocks
}

func clauses(body *ast.BlockStmt) (blocks [][]ast.Stmt) {
	for _, stmt := range body.List {
		switch c := stmt.(type) {
		case *ast.CaseClause:
			blocks = append(blocks, c.Body)
		case *ast.CommClause:
			blocks = append(blocks, c.Body)
		}
	}
	return blocks
}

func TestNoFloats(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test && !s.generated && within(s.dir, exact) {
			checkFloats(t.Errorf, s)
		}
	}
}

func checkFloats(report reporter, s source) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.Ident:
			if x.Name == "float32" || x.Name == "float64" || x.Name == "ParseFloat" {
				report("%s: %s where amounts are computed", fset.Position(x.Pos()), x.Name)
			}
		case *ast.BasicLit:
			if x.Kind == token.FLOAT || x.Kind == token.IMAG {
				report("%s: %s where amounts are computed", fset.Position(x.Pos()), x.Value)
			}
		}
		return true
	})
}

// TestComments: every package says what it is, and every exported name what
// the caller gets.
func TestComments(t *testing.T) {
	described, seen := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.generated {
			continue
		}
		seen[s.dir] = true
		described[s.dir] = described[s.dir] || s.ast.Doc != nil
		for _, d := range s.ast.Decls {
			for _, name := range undescribed(d) {
				t.Errorf("%s: exported %s has no comment", fset.Position(name.Pos()), name.Name)
			}
		}
	}
	for dir := range seen {
		if !described[dir] {
			t.Errorf("%s: package has no comment", dir)
		}
	}
}

// undescribed returns the exported names in d that lack a comment.
func undescribed(d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, exported(s.Names)...)
				}
			}
		}
	}
	return names
}

func exported(names []*ast.Ident) []*ast.Ident {
	return slices.DeleteFunc(slices.Clone(names), func(n *ast.Ident) bool { return !n.IsExported() })
}

// receiver returns the name of the type that d is a method of.
func receiver(d *ast.FuncDecl) string {
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return name
}

// TestDependencies: each module that we build upon is a decision, and
// docs/ARCHITECTURE.md says why it and not another.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\t" + fyne + " v2.8.1\n"; !bytes.Contains(mod, []byte(want)) {
		t.Errorf("go.mod does not require %q: any other version needs the tap test and a look at its touch input", want)
	}
	if bytes.Contains(mod, []byte("replace")) {
		t.Error("go.mod replaces a module")
	}
	reasons, err := os.ReadFile("docs/ARCHITECTURE.md")
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatal("docs/ARCHITECTURE.md is missing")
	}
	if err != nil {
		t.Fatal(err)
	}
	for scanner := bufio.NewScanner(bytes.NewReader(mod)); scanner.Scan(); {
		line := scanner.Text()
		if !strings.HasPrefix(line, "\t") || strings.HasSuffix(line, "// indirect") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !bytes.Contains(reasons, []byte(name)) {
			t.Errorf("docs/ARCHITECTURE.md does not say why %s", name)
		}
	}
}

// named is a test as docs/FAILURES.md names it: its package, itself, and perhaps
// the beginning of a subtest's name.
var named = regexp.MustCompile("`(\\S+) ((?:Test|Fuzz)\\w+)(?:/([^`]+))?`")

// TestFailures: what docs/FAILURES.md says to be tested is. Every failure has a
// test, or the word that there is nothing yet that could fail.
func TestFailures(t *testing.T) {
	page, err := os.ReadFile("docs/FAILURES.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{} // code of the file that has a test, by package and test
	for _, s := range sources(t) {
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
				tests[s.dir+" "+f.Name.Name] = string(s.text)
			}
		}
	}
	for _, line := range strings.Split(string(page), "\n") {
		found := named.FindAllStringSubmatch(line, -1)
		for _, n := range found {
			if code, ok := tests[n[1]+" "+n[2]]; !ok || n[3] != "" && !strings.Contains(code, `{"`+n[3]) {
				t.Errorf("docs/FAILURES.md names %s, which is not there", n[0])
			}
		}
		row := strings.HasPrefix(line, "| ") && !strings.HasSuffix(line, "| test |")
		if row && found == nil && !strings.Contains(line, "| nothing yet") {
			t.Errorf("docs/FAILURES.md has no test for %q", line)
		}
	}
}

// secret finds private keys, and a path of somebody's own machine.
var (
	secret = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	place  = regexp.MustCompile(`(^|[^\w./:-])/(work|root|tmp)/\w`)
)

// TestNothingPrivate looks through every text file that is, or would be,
// committed.
func TestNothingPrivate(t *testing.T) {
	for _, p := range paths(t) {
		content, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsRune(content[:min(len(content), 8000)], 0) {
			continue // not text
		}
		for i, line := range strings.Split(string(content), "\n") {
			at := fmt.Sprintf("%s:%d", p, i+1)
			if secret.MatchString(line) {
				t.Errorf("%s: a private key", at)
			}
			if place.MatchString(line) {
				t.Errorf("%s: a path of one machine: %s", at, strings.TrimSpace(line))
			}
		}
	}
}

// untidy has one of each thing that the checks are for.
const untidy = `package p

func Bare() { return }

type T struct{ f float64 }

const rate = 0.1

// Many takes a context and five.
func Many(ctx context.Context, a, b, c int, d, e string) {}

func deep() {
	for {
		if true {
			switch {
			case true:
				if true {
				}
			}
		} else if false {
			func() { for { for { for { for { } } } } }()
		}
	}
}
`

// TestChecks: a check that finds nothing proves nothing until it is seen to
// find something.
func TestChecks(t *testing.T) {
	code := untidy + "\n// " + strings.Repeat("x", columnsMax) +
		"\nfunc long() {" + strings.Repeat("\n", functionLinesMax) + "}\n"
	f, err := parser.ParseFile(fset, "untidy.go", code, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := source{path: "untidy.go", dir: "money", text: []byte(code), ast: f}
	count := func(check func(reporter, source)) (n int) {
		check(func(format string, args ...any) {
			n++
			t.Logf(format, args...)
		}, s)
		return n
	}
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"columns", count(checkColumns), 1},
		{"functions", count(checkFunctions), 4}, // parameters, two nests, one length
		{"floats", count(checkFloats), 2},
		{"comments", len(undescribed(f.Decls[0])) + len(undescribed(f.Decls[1])), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d found, want %d", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct {
		dir, path string
		want      bool
	}{
		{"money", "strings", true},
		{"money", module + "/pboc", false},
		{"reader/purse", module + "/reader/sim", false},
		{"ledger", module + "/upstream/client", false},
		{"upstream/wire/quancun/v1", protobuf + "/runtime/protoimpl", true},
		{"upstream/server", fyne, false},
		{"ui/screen", fyne + "/widget", true},
		{"kiosk", module + "/upstream/server", false},
		{"kiosk", module + "/upstream/client", true},
	} {
		l, _ := layerOf(c.dir)
		if got := mayImport(source{dir: c.dir}, l, c.path); got != c.want {
			t.Errorf("%s may import %s = %v, want %v", c.dir, c.path, got, c.want)
		}
	}
}
