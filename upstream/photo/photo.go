// Package photo keeps a small photo of each holder, which a till shows beside a sale, so
// that a cashier sees whether the card is in its holder's hand. A holder without one is
// no fault, and no sale waits for one.
//
// A photo is personal. The newest alone is kept, it goes with the account, and a
// terminal can ask for no photo but that of whoever has just paid there.
package photo

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	_ "image/png" // photos come in either format
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/image/draw"

	"quancun/journal"
	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
)

// Width and Height are the size of a photo that is kept, in pixels.
const (
	Width  = 240
	Height = 320
)

const (
	quality = 80 // of the JPEG that is kept: some 15 kB

	// Bounds of a file that is taken: what a camera makes, and no bomb.
	fileMax   = 20 << 20
	pixelsMax = 50_000_000

	// shownFor is for how long after a sale its holder's photo is told.
	shownFor = time.Hour
)

// ErrPhoto means that a file is no photo that could be shown.
var ErrPhoto = errors.New("not a photo: a JPEG or PNG of at most 20 MB and 50 million pixels")

// Shrink reads a photo, and returns the middle of it as it is kept.
func Shrink(r io.Reader) ([]byte, error) {
	file, err := io.ReadAll(io.LimitReader(r, fileMax+1))
	if err != nil {
		return nil, err
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || len(file) > fileMax || c.Width < 1 || c.Height < 1 || c.Width > pixelsMax/c.Height {
		return nil, ErrPhoto
	}
	whole, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, ErrPhoto
	}
	small := image.NewRGBA(image.Rect(0, 0, Width, Height))
	draw.Draw(small, small.Rect, image.White, image.Point{}, draw.Src) // below what is transparent
	draw.CatmullRom.Scale(small, small.Rect, whole, middle(whole.Bounds()), draw.Over, nil)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: quality}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// middle is the largest part of a picture that has a photo's form.
func middle(all image.Rectangle) image.Rectangle {
	w, h := all.Dx(), all.Dy()
	if w*Height > h*Width {
		w = max(1, h*Width/Height)
	} else {
		h = max(1, w*Height/Width)
	}
	corner := all.Min.Add(image.Pt((all.Dx()-w)/2, (all.Dy()-h)/2))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(w, h))}
}

// Put keeps a photo, as [Shrink] has made it, in place of the one before. It returns
// [store.ErrNone] for an account that no holder has, or has any more.
func Put(ctx context.Context, b *store.Books, a store.Account, jpeg []byte) error {
	return b.Write(ctx, func(tx *sqldb.Tx) error { return put(ctx, b, tx, a, jpeg) })
}

func put(ctx context.Context, b *store.Books, tx *sqldb.Tx, a store.Account, jpeg []byte) error {
	var open bool
	err := tx.QueryRow(ctx, `SELECT closed_ms IS NULL FROM holders WHERE account = ? FOR NO KEY UPDATE`, a).Scan(&open)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !open {
		return store.ErrNone
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO holder_photos (account, jpeg, at_ms) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET jpeg = excluded.jpeg, at_ms = excluded.at_ms`,
		a, jpeg, b.Now().UnixMilli())
	return err
}

// Remove forgets the photo of a holder, if there is one.
func Remove(ctx context.Context, b *store.Books, a store.Account) error {
	return b.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM holder_photos WHERE account = ?`, a)
		return err
	})
}

// Load keeps each photo of a folder, whose files are called by the student or staff
// numbers of holders, such as 2026000101.jpg. It calls told for each file that is not
// taken, with the reason, and returns how many were.
func Load(ctx context.Context, b *store.Books, dir fs.FS, told func(file string, why error)) (taken int, err error) {
	files, err := fs.ReadDir(dir, ".")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		why, err := take(ctx, b, dir, f.Name())
		if err != nil {
			return taken, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if why != nil {
			told(f.Name(), why)
			continue
		}
		taken++
	}
	return taken, nil
}

// take keeps the photo in a file, or returns why it does not.
func take(ctx context.Context, b *store.Books, dir fs.FS, name string) (why, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return err, nil
	}
	defer f.Close()
	small, err := Shrink(f)
	if err != nil {
		return err, nil
	}
	number := strings.TrimSuffix(name, path.Ext(name))
	err = b.Write(ctx, func(tx *sqldb.Tx) error {
		var a store.Account
		switch err := tx.QueryRow(ctx, `SELECT account FROM holders WHERE number = ?`, number).Scan(&a); {
		case errors.Is(err, sql.ErrNoRows):
			return store.ErrNone
		case err != nil:
			return err
		}
		return put(ctx, b, tx, a, small)
	})
	if errors.Is(err, store.ErrNone) {
		return errors.New("no holder has that number"), nil
	}
	return nil, err
}

// OfSale returns the photo of whoever pays a sale at a terminal: one that the upstream
// was asked about in the last hour, and that has its first entry, or will have it, at
// that place of the journal. It is nil if there is none.
func OfSale(ctx context.Context, b *store.Books, ref string, at journal.Position) (jpeg []byte, err error) {
	err = b.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT p.jpeg FROM holds h JOIN holder_photos p ON p.account = h.account
			WHERE h.terminal = ? AND h.epoch = ? AND h.seq = ? AND h.attempt = ? AND h.placed_ms > ?`,
			at.Terminal, at.Epoch[:], at.Seq, ref, b.Now().Add(-shownFor).UnixMilli()).Scan(&jpeg)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("photo: %w", err)
	}
	return jpeg, nil
}
