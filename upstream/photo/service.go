package photo

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"quancun/journal"
	"quancun/upstream/server/call"
	"quancun/upstream/store"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// Server answers terminals.
type Server struct {
	quancunv1connect.UnimplementedPhotoServiceHandler

	books *store.Books
}

// NewServer returns a server, to be served by the upstream's beside its own services.
func NewServer(b *store.Books) *Server { return &Server{books: b} }

// Handler implements the upstream's services.
func (s *Server) Handler(options ...connect.HandlerOption) (path string, h http.Handler) {
	return quancunv1connect.NewPhotoServiceHandler(s, options...)
}

// GetPhoto implements the contract.
func (s *Server) GetPhoto(ctx context.Context, q *connect.Request[v1.GetPhotoRequest],
) (*connect.Response[v1.GetPhotoResponse], error) {
	at := journal.Position{Terminal: call.Terminal(ctx).ID, Seq: q.Msg.Seq}
	if copy(at.Epoch[:], q.Msg.Epoch) != len(at.Epoch) || len(q.Msg.Epoch) != len(at.Epoch) {
		return nil, call.Refuse(v1.Reason_REASON_MALFORMED)
	}
	jpeg, err := OfSale(ctx, s.books, q.Msg.Ref, at)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.GetPhotoResponse{Jpeg: jpeg}), nil
}
