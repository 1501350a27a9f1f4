package server

import (
	"errors"
	"net"
	"net/http"

	"quancun/upstream/channel"
	"quancun/upstream/store"
)

// NotifyHandler serves what the channel sends by itself: POST /alipay/notify.
// It belongs behind the school's reverse proxy.
func (s *Server) NotifyHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /alipay/notify", s.notify)
	return mux
}

// notify takes a notification as a reason to ask, and for nothing else. So the
// same twice, late, or out of order does no harm. It is acknowledged when the
// order is due in the books, and not before.
func (s *Server) notify(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	t, err := s.Channel.Notice(r)
	if err != nil {
		s.refuseNotice(w, r, err)
		return
	}
	err = s.Books.Hasten(r.Context(), t.OrderNo)
	if errors.Is(err, store.ErrNone) && s.Notices != nil {
		err = s.Notices.Hasten(r.Context(), t.OrderNo)
	}
	switch {
	case errors.Is(err, store.ErrNone): // another program's under the same app ID
		s.Log.Warn("notice of an order that is not ours", "order", t.OrderNo)
	case err != nil:
		s.Log.Error("notice not taken", "order", t.OrderNo, "err", err)
		http.Error(w, "later", http.StatusServiceUnavailable)
		return
	}
	s.engine.clerk.Hasten()
	s.Channel.Acknowledge(w)
}

// refuseNotice logs the first of an address; the alarm counts the others.
func (s *Server) refuseNotice(w http.ResponseWriter, r *http.Request, err error) {
	http.Error(w, "refused", http.StatusBadRequest)
	if !errors.Is(err, channel.ErrForged) {
		s.Log.Warn("notice not read", "err", err)
		return
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // always host:port, by net/http
	first, err2 := s.Books.Alarm(r.Context(), store.Alarm{
		Kind: store.AlarmNoticeForged, Ref: host, Detail: "not signed by the channel",
	})
	if first || err2 != nil {
		s.Log.Error("notice forged", "from", host, "err", errors.Join(err, err2))
	}
}
