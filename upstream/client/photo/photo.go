// Package photo is how a till asks for the photo of whoever has paid there.
//
// It has its calls in common with package client. Nothing moves money, and nothing is
// lost with an answer that does not come.
package photo

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // what the upstream keeps
	"time"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/upstream/client"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// quick is the deadline of a call, for callers that set no earlier one.
const quick = 3 * time.Second

// sideMax is more than a photo has, in pixels: the upstream is believed no more.
const sideMax = 1000

// Desk makes the calls of one terminal. It is safe for concurrent use.
type Desk struct {
	rpc quancunv1connect.PhotoServiceClient
}

// New returns the desk of the terminal that c is the connection of.
func New(c *client.Client) *Desk {
	w := c.Way()
	return &Desk{quancunv1connect.NewPhotoServiceClient(w.HTTP, w.URL, w.Options...)}
}

// Photo returns the photo of whoever has paid the sale that has its first entry at a
// place of the journal; nil if there is none.
func (d *Desk) Photo(ctx context.Context, ref string, first journal.Position) (image.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	r, err := d.rpc.GetPhoto(ctx, connect.NewRequest(&v1.GetPhotoRequest{
		Ref: ref, Epoch: first.Epoch[:], Seq: first.Seq,
	}))
	if err != nil {
		return nil, fmt.Errorf("photo: %w", err)
	}
	if len(r.Msg.Jpeg) == 0 {
		return nil, nil
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(r.Msg.Jpeg))
	if err != nil || c.Width > sideMax || c.Height > sideMax {
		return nil, fmt.Errorf("photo: not one of %d pixels at most: %w", sideMax, err)
	}
	i, _, err := image.Decode(bytes.NewReader(r.Msg.Jpeg))
	if err != nil {
		return nil, fmt.Errorf("photo: %w", err)
	}
	return i, nil
}
