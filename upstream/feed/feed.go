// Package feed publishes what every terminal has to know: the hotlist, and
// contents that are given whole (settings, public keys, the baths' timetable).
//
// A feed is a row of versions that only go forward. A step leads from one of
// them to the newest, as what has changed or as all there is, and the campus
// signs it: so it does not matter who carries it. The package knows no network
// and no terminal.
package feed

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/upstream/store"
	"quancun/upstream/store/sqldb"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Publisher makes steps from what is in the books.
type Publisher struct {
	Books  *store.Books
	Campus crypto.Signer // Ed25519
}

// ErrAhead means that somebody has a version that there never was: the books
// are older than they were. What was in it is not known, so nothing is given
// until an operator has entered it again and moved the feed forward
// ([store.Books.ForwardFeed]).
var ErrAhead = errors.New("feed: asked for what follows a later version")

// Versions returns the newest version of each feed.
func (p *Publisher) Versions(ctx context.Context) (map[string]uint64, error) {
	return p.Books.Feeds(ctx)
}

// Step returns what leads from version have, 0 for none, to the newest one. A
// name that is no feed's is [store.ErrNone]. issued is when the step to have was; zero if
// nobody has said.
func (p *Publisher) Step(ctx context.Context, name string, have uint64, issued time.Time) (*v1.Feed, error) {
	h := wire.FeedHead{Name: name, From: have, Issued: p.Books.Now().Truncate(time.Millisecond)}
	if err := p.passRemade(ctx, name, have, issued); err != nil {
		return nil, err
	}
	body, err := p.body(ctx, &h)
	if errors.Is(err, store.ErrBackward) {
		return nil, errors.Join(ErrAhead, p.alarm(ctx, name, have))
	}
	if err != nil {
		return nil, err
	}
	sig, err := wire.SignFeed(p.Campus, h, body)
	if err != nil {
		return nil, err
	}
	return &v1.Feed{
		Name: name, Version: h.Version, From: h.From, Issued: timestamppb.New(h.Issued), Body: body, Signature: sig,
	}, nil
}

// body returns the step's content, and says in h what it leads from and to.
func (p *Publisher) body(ctx context.Context, h *wire.FeedHead) ([]byte, error) {
	if h.Name == wire.FeedHotlist {
		return p.hotlist(ctx, h)
	}
	version, content, err := p.Books.Content(ctx, h.Name)
	if err != nil {
		return nil, err
	}
	if h.From > version {
		return nil, store.ErrBackward
	}
	if h.Version = version; h.From == version && version > 0 {
		return nil, nil // it is the newest
	}
	h.From = 0
	return content, nil
}

func (p *Publisher) hotlist(ctx context.Context, h *wire.FeedHead) ([]byte, error) {
	list, err := p.Books.Hotlist(ctx, h.From)
	if err != nil {
		return nil, err
	}
	h.Version = list.Version
	if list.Whole {
		h.From = 0
	}
	var adds []wire.HotCard
	var removes []string
	for _, c := range list.Cards {
		if c.Status == store.CardActive {
			removes = append(removes, c.CardNo)
		} else {
			adds = append(adds, wire.HotCard{CardNo: c.CardNo, Status: byte(c.Status)})
		}
	}
	var body v1.HotlistBody
	if body.Adds, err = wire.AppendHot(nil, adds); err != nil {
		return nil, err
	}
	if body.Removes, err = wire.AppendCards(nil, removes); err != nil {
		return nil, err
	}
	return proto.Marshal(&body)
}

// passRemade sees to it that who has a version which was lost gets everything, if the books
// have made another one of that number since.
func (p *Publisher) passRemade(ctx context.Context, name string, have uint64, issued time.Time) error {
	is, err := p.Books.IsRemade(ctx, name, have, issued)
	if err != nil || !is {
		return err
	}
	return p.Books.Write(ctx, func(tx *sqldb.Tx) error {
		moved, err := p.Books.PassRemade(ctx, tx, name, have, issued)
		if err != nil || !moved {
			return err
		}
		return p.Books.Except(ctx, tx, []store.Exception{ahead(name, have)})
	})
}

// ahead is the line about a version of a feed that these books have not made.
func ahead(name string, version uint64) store.Exception {
	return store.Exception{
		Kind: "feed ahead", Ref: name, Owner: "operator",
		Detail:   fmt.Sprintf("a terminal has version %d", version),
		NextStep: "these books are older than they were: enter again what was lost, then move the feed forward",
	}
}

func (p *Publisher) alarm(ctx context.Context, name string, have uint64) error {
	return p.Books.Write(ctx, func(tx *sqldb.Tx) error {
		if err := p.Books.PassOver(ctx, tx, name, have); err != nil {
			return err
		}
		return p.Books.Except(ctx, tx, []store.Exception{ahead(name, have)})
	})
}
