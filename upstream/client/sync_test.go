package client

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/journal"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
)

// TestPushRejected reads every reason, and takes one that it does not know for
// unknown.
func TestPushRejected(t *testing.T) {
	h := journal.Head{Epoch: journal.Epoch{1}, Seq: 3, Hash: journal.Hash{9}}
	rejected := func(r v1.PushReason, m *v1.JournalHead) error {
		d, err := connect.NewErrorDetail(&v1.PushRejected{Reason: r, Head: m})
		if err != nil {
			t.Fatal(err)
		}
		return refusal(d)
	}
	wire := &v1.JournalHead{Epoch: h.Epoch[:], Seq: h.Seq, Hash: h.Hash[:]}
	for r, want := range pushReasons {
		var e *journal.PushError
		if err := rejected(r, wire); !errors.As(err, &e) || e.Reason != want || e.Head != h {
			t.Errorf("%s = %v, want %v with %v", r, err, want, h)
		}
	}
	if len(pushReasons) != len(v1.PushReason_name)-1 {
		t.Errorf("%d reasons, the wire has %d", len(pushReasons), len(v1.PushReason_name)-1)
	}
	for name, err := range map[string]error{
		"later reason": rejected(99, wire), "no reason": rejected(0, wire),
		"no head": rejected(v1.PushReason_PUSH_REASON_GAP, nil),
	} {
		if err != nil {
			t.Errorf("%s = %v, want unknown", name, err)
		}
	}
}

type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// TestOverBadLine: a batch has the time that half a megabyte takes over 100 kbit/s, and
// so has a hotlist of fifty thousand cards.
func TestOverBadLine(t *testing.T) {
	var left time.Duration
	p := Provisioning{CA: new(x509.Certificate), CampusKey: make([]byte, ed25519.PublicKeySize)}
	c := Dial(&p, Options{Address: "campus", Transport: carrier(func(r *http.Request) (*http.Response, error) {
		if end, is := r.Context().Deadline(); is {
			left = time.Until(end)
		}
		return nil, errors.New("no line")
	})})
	for what, ask := range map[string]func() error{
		"batch": func() error {
			_, err := c.Push(t.Context(), journal.Batch{From: 1, Bodies: [][]byte{{1}}})
			return err
		},
		"hotlist": func() error {
			_, err := c.Feed(t.Context(), "hotlist", 0, time.Time{})
			return err
		},
	} {
		left = 0
		if err := ask(); err == nil {
			t.Errorf("%s: no error, and there is no line", what)
		}
		if left < 8*journal.BatchBytesMax/100_000*time.Second {
			t.Errorf("%s: it has %v", what, left)
		}
	}
}

func signedFeed(t testing.TB, key ed25519.PrivateKey, m *v1.Feed) *v1.Feed {
	t.Helper()
	sig, err := wire.SignFeed(key, wire.FeedHead{
		Name: m.Name, Version: m.Version, From: m.From, Issued: m.Issued.AsTime(),
	}, m.Body)
	if err != nil {
		t.Fatal(err)
	}
	m.Signature = sig
	return m
}

func hotlistBody(t testing.TB) []byte {
	t.Helper()
	adds, err1 := wire.AppendHot(nil, []wire.HotCard{{CardNo: "00002026000100012345", Status: 2}})
	removes, err2 := wire.AppendCards(nil, []string{"00002026000100012346"})
	body, err3 := proto.Marshal(&v1.HotlistBody{Adds: adds, Removes: removes})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return body
}

func TestOpenFeed(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	issued := timestamppb.New(time.UnixMilli(1_700_000_000_123))
	hot := func() *v1.Feed {
		return signedFeed(t, private, &v1.Feed{
			Name: wire.FeedHotlist, Version: 7, From: 6, Issued: issued, Body: hotlistBody(t),
		})
	}
	f, err := openFeed(hot(), public)
	if err != nil || f.Version != 7 || f.From != 6 || f.Snapshot || !f.Issued.Equal(issued.AsTime()) ||
		len(f.Adds) != 1 || f.Adds[0] != (HotCard{"00002026000100012345", CardHot}) ||
		len(f.Removes) != 1 || f.Removes[0].CardNo != "00002026000100012346" {
		t.Errorf("openFeed = %+v, %v", f, err)
	}
	f, err = openFeed(signedFeed(t, private, &v1.Feed{
		Name: wire.FeedBath, Version: 2, Issued: issued, Body: []byte("timetable"),
	}), public)
	if err != nil || !f.Snapshot || string(f.Content) != "timetable" {
		t.Errorf("openFeed of content = %+v, %v", f, err)
	}
	forged := hot()
	forged.Version++
	unsigned := hot()
	unsigned.Signature = nil
	for name, m := range map[string]*v1.Feed{
		"forged": forged, "unsigned": unsigned, "none": nil,
		"back":      signedFeed(t, private, &v1.Feed{Name: wire.FeedBath, Version: 5, From: 6, Issued: issued}),
		"malformed": signedFeed(t, private, &v1.Feed{Name: wire.FeedHotlist, Version: 7, Body: []byte{1}}),
	} {
		if f, err := openFeed(m, public); err == nil {
			t.Errorf("%s: %+v, want it refused", name, f)
		}
	}
}

// FuzzSyncAnswers gives an upstream's bytes to what reads them.
func FuzzSyncAnswers(f *testing.F) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	body := hotlistBody(f)
	f.Add(body)
	claim, err := proto.Marshal(&v1.ListClaimsResponse{Claims: []*v1.Claim{{
		Terminal: "K01", Epoch: make([]byte, 8), Seq: 1, Kind: 40, Ref: "r",
		Purse: &v1.ClaimPurse{TerminalNo: make([]byte, 6), Stamp: make([]byte, 7)},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(claim)
	f.Fuzz(func(t *testing.T, b []byte) {
		signed := signedFeed(t, private, &v1.Feed{Name: wire.FeedHotlist, Version: 1, Body: bytes.Clone(b)})
		if feed, err := openFeed(signed, private.Public().(ed25519.PublicKey)); err == nil {
			for _, h := range feed.Adds {
				if len(h.CardNo) != 20 {
					t.Errorf("a card %q", h.CardNo)
				}
			}
		}
		var list v1.ListClaimsResponse
		if proto.Unmarshal(b, &list) == nil {
			all, err := claims(list.Claims)
			if err == nil && len(all) != len(list.Claims) {
				t.Errorf("%d claims of %d", len(all), len(list.Claims))
			}
		}
		var m v1.JournalHead
		if proto.Unmarshal(b, &m) == nil {
			if h, err := head(&m); err == nil && h.Seq < 0 {
				t.Errorf("head %+v", h)
			}
		}
	})
}
