package photo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"quancun/journal"
	"quancun/upstream/photo"
	"quancun/upstream/store"
	"quancun/upstream/store/pgtest"
	"quancun/upstream/store/sqldb"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// picture is one of a size, of one colour but for a red stripe on the left, a tenth of
// its width.
func picture(w, h int, c color.Color) *image.NRGBA {
	i := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(i, i.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	draw.Draw(i, image.Rect(0, 0, w/10, h), image.NewUniform(color.NRGBA{R: 255, A: 255}), image.Point{}, draw.Src)
	return i
}

func pngOf(i image.Image) string {
	var b bytes.Buffer
	if err := png.Encode(&b, i); err != nil {
		panic(err)
	}
	return b.String()
}

var green = color.NRGBA{G: 160, A: 255}

// TestShrink: what comes is kept in one form, the middle of it, and what is no photo is
// refused.
func TestShrink(t *testing.T) {
	for name, i := range map[string]image.Image{
		"wide": picture(1600, 900, green), "tall": picture(300, 2000, green), "tiny": picture(1, 1, green),
		"clear": picture(480, 640, color.NRGBA{G: 160}),
	} {
		small, err := photo.Shrink(strings.NewReader(pngOf(i)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := jpeg.Decode(bytes.NewReader(small))
		if err != nil || got.Bounds() != image.Rect(0, 0, photo.Width, photo.Height) {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		r, g, b, _ := got.At(photo.Width/2, photo.Height/2).RGBA()
		if dark := r < 0x3000 && b < 0x3000; g < 0x8000 || dark == (name == "clear") {
			t.Errorf("%s: the middle is %x %x %x", name, r, g, b)
		}
		edge, _, _, _ := got.At(2, photo.Height/2).RGBA()
		if red := edge > 0xC000; red != (name == "tall" || name == "clear") {
			t.Errorf("%s: the left edge has %x of red", name, edge)
		}
	}
	head := pngOf(picture(1, 1, green))
	ihdr := head[12:16] + "\x00\x01\x00\x00\x00\x01\x00\x00" + head[24:29] // 65,536 pixels wide, and high
	bomb := head[:12] + ihdr + string(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(ihdr)))) + head[33:]
	if c, err := png.DecodeConfig(strings.NewReader(bomb)); err != nil || c.Width != 1<<16 {
		t.Fatalf("the bomb is none: %+v, %v", c, err)
	}
	for name, file := range map[string]string{
		"empty": "", "text": "not a photo", "half": pngOf(picture(200, 200, green))[:200], "bomb": bomb,
		"long": pngOf(picture(9, 9, green)) + strings.Repeat("x", 20<<20),
	} {
		if small, err := photo.Shrink(strings.NewReader(file)); !errors.Is(err, photo.ErrPhoto) {
			t.Errorf("%s: %d bytes, %v", name, len(small), err)
		}
	}
}

// TestOfSale: a photo is told to the terminal where its holder has just paid, and to
// nobody else; the newest counts, and it goes with the account.
func TestOfSale(t *testing.T) {
	for engine, dsn := range map[string]func() string{
		"SQLite":     func() string { return filepath.Join(t.TempDir(), "books.db") },
		"PostgreSQL": func() string { return pgtest.New(t).DSN },
	} {
		t.Run(engine, func(t *testing.T) { testOfSale(t, dsn()) })
	}
}

func testOfSale(t *testing.T, dsn string) {
	ctx, noon := t.Context(), time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	clock := noon
	b, err := store.OpenDSN(ctx, dsn, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"C01", "C02"} {
		_, err := b.AddTerminal(ctx, store.Terminal{ID: id})
		ok(err)
	}
	who := store.HolderAccount("1001")
	ok(b.AddHolder(ctx, store.Holder{Account: who, Name: "张三", Number: "2026000101"}, store.PIN{}, 0))
	at := journal.Position{Terminal: "C01", Epoch: journal.Epoch{7}, Seq: 12}
	ok(hold(ctx, b, who, "sale1", at))
	is := func(what, want, ref string, at journal.Position) {
		t.Helper()
		got, err := photo.OfSale(ctx, b, ref, at)
		if err != nil || string(got) != want {
			t.Errorf("%s: %.20q, %v; want %.20q", what, got, err, want)
		}
	}
	is("without a photo", "", "sale1", at)

	ok(photo.Put(ctx, b, who, []byte("old")))
	is("with one", "old", "sale1", at)
	dir := fstest.MapFS{
		"2026000101.png": {Data: []byte(pngOf(picture(30, 40, green)))},
		"2026000102.png": {Data: []byte(pngOf(picture(30, 40, green)))},
		"notes.txt":      {Data: []byte("of the photographer")},
		"old/1.png":      {Data: []byte("not looked at")},
	}
	var left []string
	n, err := photo.Load(ctx, b, dir, func(file string, why error) { left = append(left, file+": "+why.Error()) })
	if err != nil || n != 1 || len(left) != 2 || !strings.Contains(left[0], "2026000102.png: no holder") ||
		!strings.Contains(left[1], "notes.txt: not a photo") {
		t.Errorf("loaded %d, %v; left %q", n, err, left)
	}
	newest, err := photo.OfSale(ctx, b, "sale1", at)
	if err != nil || len(newest) < 500 {
		t.Fatalf("the newest is %d bytes, %v", len(newest), err)
	}

	for what, p := range map[string]journal.Position{
		"another terminal": {Terminal: "C02", Epoch: at.Epoch, Seq: at.Seq},
		"another epoch":    {Terminal: "C01", Epoch: journal.Epoch{8}, Seq: at.Seq},
		"another number":   {Terminal: "C01", Epoch: at.Epoch, Seq: at.Seq + 1},
	} {
		is(what, "", "sale1", p)
	}
	is("another sale", "", "sale2", at)
	clock = noon.Add(time.Hour)
	is("an hour later", "", "sale1", at)
	clock = noon

	if err := photo.Put(ctx, b, store.HolderAccount("1002"), []byte("x")); !errors.Is(err, store.ErrNone) {
		t.Errorf("for nobody: %v", err)
	}
	ok(photo.Remove(ctx, b, who))
	is("removed", "", "sale1", at)
	ok(photo.Remove(ctx, b, who)) // the same again
	ok(photo.Put(ctx, b, who, newest))
	ok(b.Write(ctx, func(tx *sqldb.Tx) error { return b.CloseHolder(ctx, tx, who, noon) }))
	is("of an account that is closed", "", "sale1", at)
	if err := photo.Put(ctx, b, who, newest); !errors.Is(err, store.ErrNone) {
		t.Errorf("for a closed account: %v", err)
	}
}

// hold writes down that the upstream was asked about a sale.
func hold(ctx context.Context, b *store.Books, a store.Account, ref string, at journal.Position) error {
	return b.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO holds (terminal, epoch, seq, attempt, account, card_no, merchant, amount_fen, virtual, room, placed_ms)
			VALUES (?, ?, ?, ?, ?, '', 'merchant/1', 100, false, false, ?)`,
			at.Terminal, at.Epoch[:], at.Seq, ref, a, b.Now().UnixMilli())
		return err
	})
}
