package server

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"quancun/journal"
	"quancun/upstream/feed"
	"quancun/upstream/ingest"
	"quancun/upstream/keys"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	"quancun/upstream/store/booktest"
	v1 "quancun/upstream/wire/quancun/v1"
)

// asked is a call of the contract, as one that takes bytes.
type asked func(ctx context.Context, b []byte) error

// ask makes one.
func ask[Q, P any, M interface {
	*Q
	proto.Message
}](do func(context.Context, *connect.Request[Q]) (*connect.Response[P], error)) asked {
	return func(ctx context.Context, b []byte) error {
		q := M(new(Q))
		if proto.Unmarshal(b, q) != nil {
			return nil // no handler sees it
		}
		_, err := do(ctx, connect.NewRequest((*Q)(q)))
		return err
	}
}

// FuzzRequests has a terminal that was let in ask anything. It gets an answer,
// a refusal, or the word that its batch does not fit; never an error that would
// leave it in doubt, and nothing moves.
func FuzzRequests(f *testing.F) {
	dir, ctx := f.TempDir(), context.Background()
	k, err := keys.OpenSoftware(filepath.Join(dir, "keys.json"))
	if err != nil {
		f.Fatal(err)
	}
	books, err := booktest.Open(ctx, filepath.Join(dir, "books.db"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { books.Close() })
	const no, account = "00002026000100012345", store.Account("holder/1001")
	_, err1 := books.AddTerminal(ctx, store.Terminal{ID: "K01"})
	err2 := books.AddHolder(ctx, store.Holder{Account: account, Number: "1001"}, store.PIN{}, 1000)
	err3 := books.AddCard(ctx, store.Card{No: no, Account: account, Status: store.CardActive})
	who, err4 := books.Terminal(ctx, "K01")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		f.Fatal(err)
	}
	s := New(Config{
		Books: books, Keys: k, Journals: ingest.New(books, k, ingest.Policy{}),
		Feeds: &feed.Publisher{Books: books, Campus: k.Campus()}, Now: time.Now,
	})
	calls := []asked{
		ask(s.Push), ask(s.Authorize), ask(s.ListClaims), ask(s.GetSettlements), ask(s.PullFeed),
		ask(s.Hello), ask(s.LookUpCard), ask(s.SignIn), ask(s.GetAccount), ask(s.PlanLoad), ask(s.ListHistory),
		ask(s.AuthorizeLoad), ask(s.ReportLoad), ask(s.CreateTopUp), ask(s.GetTopUp), ask(s.CancelTopUp),
	}
	for i, m := range []proto.Message{
		&v1.PushRequest{Epoch: make([]byte, 8), From: 1, Entries: [][]byte{{1}}, Note: []byte("note")},
		&v1.AuthorizeRequest{
			Epoch: make([]byte, 8), Seq: 1, Attempt: "a", CardNo: no, AmountFen: 1,
			Reading: &v1.Reading{PurseFen: 1, Offline: 70000},
		},
		&v1.ListClaimsRequest{CardNo: no}, &v1.GetSettlementsRequest{Refs: []string{"r", "\x00"}},
		&v1.PullFeedRequest{Name: "hotlist", Have: 1 << 63}, &v1.HelloRequest{Epoch: "0102030405060708", JournalHead: -1},
		&v1.LookUpCardRequest{CardNo: no}, &v1.SignInRequest{CardNo: no}, &v1.GetAccountRequest{Session: []byte{1}},
		&v1.PlanLoadRequest{Session: []byte{1}}, &v1.ListHistoryRequest{Session: []byte{1}, Page: -1},
		&v1.AuthorizeLoadRequest{CardNo: no, AmountFen: -1}, &v1.ReportLoadRequest{LoadId: "x"},
		&v1.CreateTopUpRequest{Session: []byte{1}, AmountFen: 1 << 62}, &v1.GetTopUpRequest{OrderNo: "\x00"},
		&v1.CancelTopUpRequest{OrderNo: "O1"},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), b)
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		// Nobody waits for ever, so that a long poll is no hang.
		ctx, cancel := context.WithTimeout(call.WithTerminal(t.Context(), who), 200*time.Millisecond)
		defer cancel()
		err := calls[int(which)%len(calls)](ctx, b)
		var no *refusal
		var unfit *journal.PushError
		ahead := errors.Is(err, feed.ErrAhead) // unknown on purpose, and an alarm
		if err != nil && !ahead && !errors.As(err, &no) && !errors.As(err, &unfit) && ctx.Err() == nil {
			t.Errorf("call %d: %v", which, err)
		}
		if got, err := books.Balance(t.Context(), account); err != nil || got != 1000 {
			t.Errorf("call %d has moved the balance to %s, %v", which, got, err)
		}
	})
}
