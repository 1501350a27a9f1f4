package wallet

import (
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/skip2/go-qrcode"

	"quancun/lab/reply"
)

//go:embed page
var page embed.FS

// Draw returns a code as a picture of characters, two modules above each other in
// each: black on white, with the white around it that scanners need.
func Draw(text string) (string, error) {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return "", err
	}
	return q.ToSmallString(false), nil
}

// shown is a code as the page gets it. JSON.
type shown struct {
	Account string    `json:"account"`
	Text    string    `json:"text"`
	Counter uint16    `json:"counter"`
	Until   time.Time `json:"until"`
	QR      [][]bool  `json:"qr"` // rows of modules, true for black
}

// Handler shows the phones of a folder below /wallet/. What is bound while it
// runs is there at once.
//
//	GET  /wallet/               the page
//	GET  /wallet/phones         the accounts that have one
//	POST /wallet/code/ACCOUNT   a new code of one
func Handler(dir string) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic("wallet: internal error: " + err.Error())
	}
	var one sync.Mutex // a phone's file has one writer
	mux := http.NewServeMux()
	mux.Handle("GET /wallet/", http.StripPrefix("/wallet/", secure(http.FileServerFS(files))))
	mux.HandleFunc("GET /wallet/phones", func(w http.ResponseWriter, _ *http.Request) {
		all, err := OpenAll(dir)
		if err != nil {
			reply.Refuse(w, http.StatusInternalServerError, err)
			return
		}
		accounts := []string{}
		for _, p := range all {
			accounts = append(accounts, p.Account())
		}
		reply.OK(w, accounts)
	})
	mux.HandleFunc("POST /wallet/code/{account}", func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		s, err := show(r, dir)
		one.Unlock()
		if err != nil {
			reply.Refuse(w, http.StatusBadRequest, err)
			return
		}
		reply.OK(w, s)
	})
	return mux
}

func show(r *http.Request, dir string) (shown, error) {
	account := r.PathValue("account")
	if strings.ContainsFunc(account, func(c rune) bool { return c < '0' || c > '9' }) {
		return shown{}, errors.New("no such phone")
	}
	p, err := Open(File(dir, account))
	if err != nil {
		return shown{}, errors.New("no such phone")
	}
	_ = p.Renew(r.Context()) // it goes on with what it has
	c, until, err := p.Code()
	if err != nil {
		return shown{}, err
	}
	q, err := qrcode.New(c.Text(), qrcode.Medium)
	if err != nil {
		return shown{}, err
	}
	return shown{Account: c.Account, Text: c.Text(), Counter: c.Counter, Until: until, QR: q.Bitmap()}, nil
}

// secure keeps the page from loading anything from elsewhere.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
