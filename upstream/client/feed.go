package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// HotCard is a card that may not be used, and why: it is lost or replaced.
type HotCard struct {
	CardNo string // 20 hexadecimal digits, upper case
	Reason CardStatus
}

// Feed is a step forward of something that every terminal has to know. The
// campus has signed it: nobody else can have made it, or changed it.
type Feed struct {
	Name     string
	Version  uint64 // that it leads to
	From     uint64 // that it leads on from
	Snapshot bool   // it leads on from nothing, and replaces all that was there
	Issued   time.Time

	Adds    []HotCard // of the hotlist; a card that is there gets this reason
	Removes []HotCard // of the hotlist; without a reason
	Content []byte    // of every other feed, which is always whole
}

// Feed returns what brings a feed from version have, 0 for none, to the newest
// one. When have is the newest, the answer leads from it to itself, and says
// that it was so at Issued. issued is when the step to have was; zero if nobody knows.
func (c *Client) Feed(ctx context.Context, name string, have uint64, issued time.Time) (Feed, error) {
	campus := c.campusKey()
	if len(campus) == 0 {
		return Feed{}, errors.New("feed: the provisioning has no campus_key to check it with")
	}
	ctx, cancel := within(ctx, long)
	defer cancel()
	q := &v1.PullFeedRequest{Name: name, Have: have}
	if !issued.IsZero() {
		q.Issued = timestamppb.New(issued)
	}
	r, err := c.bulk.PullFeed(ctx, connect.NewRequest(q))
	if err != nil {
		return Feed{}, explain("feed", err)
	}
	f, err := openFeed(r.Msg.Feed, campus)
	if err != nil {
		return Feed{}, fmt.Errorf("feed %s: %w", name, err)
	}
	if f.Name != name || f.Version < have || !f.Snapshot && f.From != have {
		return Feed{}, fmt.Errorf("feed %s: asked for what follows %d, told of %s from %d to %d",
			name, have, f.Name, f.From, f.Version)
	}
	return f, nil
}

// openFeed checks the signature before it reads anything else.
func openFeed(m *v1.Feed, campus ed25519.PublicKey) (Feed, error) {
	f := Feed{
		Name: m.GetName(), Version: m.GetVersion(), From: m.GetFrom(), Snapshot: m.GetFrom() == 0,
		Issued: at(m.GetIssued()),
	}
	err := wire.VerifyFeed(campus, wire.FeedHead{
		Name: f.Name, Version: f.Version, From: f.From, Issued: f.Issued,
	}, m.GetBody(), m.GetSignature())
	if err != nil {
		return Feed{}, err
	}
	if f.Version < f.From {
		return Feed{}, fmt.Errorf("it goes back from %d to %d", f.From, f.Version)
	}
	if f.Name != wire.FeedHotlist {
		f.Content = m.Body
		return f, nil
	}
	var body v1.HotlistBody
	if err := proto.Unmarshal(m.Body, &body); err != nil {
		return Feed{}, err
	}
	adds, removes, err := wire.ParseHotlist(body.Adds, body.Removes)
	if err != nil {
		return Feed{}, err
	}
	for _, h := range adds {
		f.Adds = append(f.Adds, HotCard{h.CardNo, CardStatus(h.Status)})
	}
	for _, no := range removes {
		f.Removes = append(f.Removes, HotCard{CardNo: no})
	}
	return f, nil
}
