// Package phone is the student's phone of the lab: a web page on which a code
// is paid, and the control interface of the gateway's stand-in, for tests and
// the command line. The page uses the same interface, and needs no internet.
//
// It decides nothing: what a payment or a fault does is package lab/alipay's.
package phone

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"quancun/lab/alipay"
	"quancun/lab/reply"
	"quancun/money"
)

//go:embed page
var page embed.FS

// Trade is an order as the phone shows it.
type Trade struct {
	OutTradeNo string        `json:"out_trade_no"`
	TradeNo    string        `json:"trade_no"`
	QR         string        `json:"qr"`
	Subject    string        `json:"subject"`
	Terminal   string        `json:"terminal"`
	Amount     money.Fen     `json:"amount_fen"`
	Yuan       string        `json:"yuan"`   // the amount, for people
	Status     alipay.Status `json:"status"` // "" until somebody has scanned the code
	Open       bool          `json:"open"`   // it can still be paid
	Late       bool          `json:"late"`   // a payment is on its way
	Refunded   money.Fen     `json:"refunded_fen"`
	CreatedAt  time.Time     `json:"created_at"`
	PaidAt     time.Time     `json:"paid_at,omitzero"`
	Sent       int           `json:"notices_sent"`
	Waiting    int           `json:"notices_waiting"` // to be sent, or sent again
}

// Code is a payment code, as the phone shows it.
type Code struct {
	Code string `json:"code"`
}

func view(t alipay.Trade) Trade {
	v := Trade{
		OutTradeNo: t.OutTradeNo, TradeNo: t.TradeNo, QR: t.QR, Subject: t.Subject, Terminal: t.Terminal,
		Amount: t.Amount, Yuan: t.Amount.String(), Status: t.Status, Open: t.Open(), Late: !t.PayAt.IsZero(),
		Refunded: t.Refunded(), CreatedAt: t.CreatedAt, PaidAt: t.PaidAt,
	}
	for _, n := range t.Notices {
		v.Sent += n.Sent
		if !n.Done {
			v.Waiting++
		}
	}
	return v
}

// trades is how many trades are listed: more than a day's demonstration, and
// few enough for a page that asks every second.
const trades = 100

// Handler returns the page at / and the interface below /control. All bodies
// are JSON.
//
//	GET  /control/trades         the list of [Trade], the newest first
//	POST /control/scan           {"ref": "https://qr.alipay.com/…"}: scan, do not pay yet
//	POST /control/pay            {"ref": "last", "late": "5s"}: pay, now or late
//	POST /control/close          {"ref": "K1_42"}: turn it down
//	POST /control/code           {}: a payment code, as {"code": "28…"}
//	POST /control/forge          {"ref": "K1_42"}: send a notification that Alipay did not sign
//	GET  /control/kinds          which faults there are
//	GET  /control/faults         which are armed
//	POST /control/faults         an alipay.Fault, without its ID
//	POST /control/faults/clear   {}
//
// A ref is a code, an order number, a trade number, or "last".
func Handler(g *alipay.Gateway) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic("phone: internal error: " + err.Error())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", secure(http.FileServerFS(files)))
	mux.HandleFunc("GET /control/trades", func(w http.ResponseWriter, _ *http.Request) {
		all := g.Trades()
		list := make([]Trade, 0, len(all))
		for _, t := range all[:min(len(all), trades)] {
			list = append(list, view(t))
		}
		reply.OK(w, list)
	})
	for path, do := range map[string]func(*alipay.Gateway, call) (alipay.Trade, error){
		"scan":  func(g *alipay.Gateway, c call) (alipay.Trade, error) { return g.Scan(c.Ref) },
		"pay":   func(g *alipay.Gateway, c call) (alipay.Trade, error) { return g.Pay(c.Ref, time.Duration(c.Late)) },
		"close": func(g *alipay.Gateway, c call) (alipay.Trade, error) { return g.Close(c.Ref) },
		"forge": func(g *alipay.Gateway, c call) (alipay.Trade, error) { return g.Forge(c.Ref) },
	} {
		mux.HandleFunc("POST /control/"+path, func(w http.ResponseWriter, r *http.Request) {
			c, err := parse(http.MaxBytesReader(w, r.Body, bodyMax))
			if err != nil {
				refuse(w, err)
				return
			}
			t, err := do(g, c)
			if err != nil {
				refuse(w, err)
				return
			}
			reply.OK(w, view(t))
		})
	}
	mux.HandleFunc("POST /control/code", func(w http.ResponseWriter, _ *http.Request) {
		code, err := g.Code()
		if err != nil {
			reply.Refuse(w, http.StatusInternalServerError, err)
			return
		}
		reply.OK(w, Code{code})
	})
	mux.HandleFunc("GET /control/kinds", func(w http.ResponseWriter, _ *http.Request) { reply.OK(w, alipay.Kinds()) })
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) { listFaults(w, g) })
	mux.HandleFunc("POST /control/faults", func(w http.ResponseWriter, r *http.Request) { arm(w, r, g) })
	mux.HandleFunc("POST /control/faults/clear", func(w http.ResponseWriter, _ *http.Request) {
		g.Clear()
		listFaults(w, g)
	})
	return mux
}

// bodyMax is the longest body of a call, in bytes.
const bodyMax = 16 << 10

// call is the body of a call about a trade.
type call struct {
	Ref  string          `json:"ref"`
	Late alipay.Duration `json:"late"`
}

func parse(r io.Reader) (c call, err error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return call{}, fmt.Errorf("phone: not a call: %w", err)
	}
	return c, nil
}

func arm(w http.ResponseWriter, r *http.Request, g *alipay.Gateway) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		refuse(w, err)
		return
	}
	f, err := alipay.ParseFault(b)
	if err == nil {
		_, err = g.Arm(f)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	listFaults(w, g)
}

func listFaults(w http.ResponseWriter, g *alipay.Gateway) {
	list := g.Faults()
	if list == nil {
		list = []alipay.Fault{}
	}
	reply.OK(w, list)
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, alipay.ErrNoTrade):
		status = http.StatusNotFound
	case errors.Is(err, alipay.ErrDead):
		status = http.StatusConflict
	}
	reply.Refuse(w, status, err)
}

// secure keeps the page from loading anything from elsewhere: the lab works
// without internet, or it does not work.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
