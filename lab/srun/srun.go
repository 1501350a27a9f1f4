// Package srun is the stand-in for Srun's northbound interface (深澜). It speaks
// the wire that the vendor's box speaks, with its quirks: HTTP status 200 on
// everything, numbers as texts here and as numbers there, one package as an
// object and several as a list, a token that anybody gets who may ask, a code of
// its own for an order number that was used, and a certificate that it has made
// itself.
//
// It knows nothing of the program that it serves, and the adapter under test
// shares no code with it.
package srun

import (
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"quancun/lab/breaker"
)

// Config says where the stand-in keeps its things.
type Config struct {
	Dir    string
	Now    func() time.Time // time.Now if nil
	Anyone bool             // whoever is asked about has an account
}

// User is somebody's network account. Amounts are in fen.
type User struct {
	Name     string    `json:"name"`
	RealName string    `json:"real_name"`
	Status   int       `json:"status"`
	Wallet   int64     `json:"wallet_fen"`
	Products []Product `json:"products"`
}

// Product is what a user has subscribed.
type Product struct {
	ID       int    `json:"id"`
	Name     string `json:"name"`
	Balance  int64  `json:"balance_fen"`
	Checkout string `json:"checkout"`
}

// Record is a payment that was booked.
type Record struct {
	No      int64  `json:"no"`
	User    string `json:"user"`
	Fen     int64  `json:"fen"`
	OrderNo string `json:"order_no"`
	PayType int    `json:"pay_type"`
	Product int    `json:"product"` // 0 for the wallet
	At      int64  `json:"at"`      // seconds
}

// Box is the stand-in. It is an http.Handler; its methods are safe for concurrent
// use.
type Box struct {
	*breaker.Board
	file   string
	anyone bool
	now    func() time.Time
	mux    *http.ServeMux

	mu    sync.Mutex
	saved saved // guarded by mu
}

type saved struct {
	Token   string   `json:"token"`
	Users   []*User  `json:"users"`
	Records []Record `json:"records"`
}

// New opens the stand-in in c.Dir, which has a certificate already.
func New(c Config) (*Box, error) {
	b := &Box{
		Board: breaker.NewBoard("token", "view", "packages", "recharge", "records"),
		file:  filepath.Join(c.Dir, "srun.json"), now: c.Now, anyone: c.Anyone, mux: http.NewServeMux(),
		saved: saved{Token: "J5lYyFcqFgXwK4cG8D9eR0mN1pQ2sT3u"},
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.mux.HandleFunc("GET /api/v1/auth/get-access-token", b.serve("token", (*Box).token))
	b.mux.HandleFunc("GET /api/v1/user/view", b.serve("view", (*Box).view))
	b.mux.HandleFunc("GET /api/v1/package/users-packages", b.serve("packages", (*Box).packages))
	b.mux.HandleFunc("POST /api/v1/financial/recharge-wallet", b.serve("recharge", (*Box).wallet))
	b.mux.HandleFunc("POST /api/v1/product/recharge", b.serve("recharge", (*Box).product))
	b.mux.HandleFunc("GET /api/v1/financial/payment-records", b.serve("records", (*Box).records))
	return b, breaker.Load(b.file, &b.saved)
}

// Add adds a user, or replaces the one of that name.
func (b *Box) Add(u User) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved.Users = slices.DeleteFunc(b.saved.Users, func(o *User) bool { return o.Name == u.Name })
	b.saved.Users = append(b.saved.Users, &u)
	return breaker.Save(b.file, b.saved)
}

// Users returns all users.
func (b *Box) Users() (all []User) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.saved.Users {
		all = append(all, *u)
	}
	return all
}

// Records returns what was booked, oldest first.
func (b *Box) Records() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.saved.Records)
}

// ChangeToken makes every token that was given out a bad one.
func (b *Box) ChangeToken(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved.Token = token
}

// ServeHTTP implements [http.Handler].
func (b *Box) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.mux.ServeHTTP(w, r) }

// object is a value of the wire.
type object map[string]any

func done(data any) object {
	return object{"code": 0, "message": "ok", "version": "v1.6.0", "data": data}
}

func failed(code int, message string) object {
	return object{"code": code, "message": message, "version": "v1.6.0", "data": []any{}}
}

// serve answers a method, with the token checked first.
func (b *Box) serve(method string, do func(*Box, *http.Request) object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := r.ParseForm()
		b.Serve(w, r, breaker.Call{
			Method: method, Refused: failed(10001, "充值失败"), Done: object{"code": 0},
			Do: func() any {
				b.mu.Lock()
				defer b.mu.Unlock()
				switch {
				case err != nil:
					return failed(400, "bad request")
				case method != "token" && r.Form.Get("access_token") != b.saved.Token:
					return failed(401, "Your request was made with invalid credentials.")
				}
				return do(b, r)
			},
		})
	}
}

func (b *Box) token(*http.Request) object { return done(object{"access_token": b.saved.Token}) }

func (b *Box) user(r *http.Request) *User {
	name := r.Form.Get("user_name")
	for _, u := range b.saved.Users {
		if u.Name == name {
			return u
		}
	}
	if !b.anyone || name == "" {
		return nil
	}
	u := &User{Name: name, RealName: "同学", Wallet: 350, Products: []Product{
		{ID: 7, Name: "学生包月", Balance: 1250, Checkout: b.now().AddDate(0, 0, 12).Format(time.DateOnly)},
	}}
	b.saved.Users = append(b.saved.Users, u)
	return u
}

func (b *Box) view(r *http.Request) object {
	u := b.user(r)
	if u == nil {
		return failed(10401, "用户不存在")
	}
	data := object{
		"user_id": 1000 + len(u.Name), "user_name": u.Name, "user_real_name": u.RealName, "group_id": "1",
		"user_expire_time": "0", "balance": yuan(u.Wallet), "user_available": strconv.Itoa(u.Status),
		"cert_num": "", "max_online_num": 3,
	}
	if u.Status == 0 && len(u.Products) > 1 {
		data["user_available"] = nil // as some versions say "normal"
	}
	return done(data)
}

func (b *Box) packages(r *http.Request) object {
	u := b.user(r)
	if u == nil {
		return failed(10401, "用户不存在")
	}
	var all []any
	for _, p := range u.Products {
		all = append(all, object{
			"user_id": 1, "products_id": p.ID, "products_name": p.Name, "billing_name": p.Name + "计费",
			"checkout_date": p.Checkout, "sum_bytes": 52428800, "user_balance": number(p.Balance),
			"user_charge": "0.00", "allow_payment": "yes",
		})
	}
	if len(all) == 1 {
		return done(all[0])
	}
	return done(all)
}

func (b *Box) wallet(r *http.Request) object {
	return b.book(r, func(u *User, fen int64) (int, error) {
		u.Wallet += fen
		return 0, nil
	})
}

func (b *Box) product(r *http.Request) object {
	return b.book(r, func(u *User, fen int64) (int, error) {
		for i := range u.Products {
			if p := &u.Products[i]; r.Form.Get("product") == "" || r.Form.Get("product") == strconv.Itoa(p.ID) {
				p.Balance += fen
				return p.ID, nil
			}
		}
		return 0, errors.New("产品不存在")
	})
}

// book books a payment once for each order number.
func (b *Box) book(r *http.Request, feed func(*User, int64) (product int, err error)) object {
	u, order := b.user(r), r.Form.Get("order_no")
	fen, err := fen(r.Form.Get("pay_num"))
	payType, err2 := strconv.Atoi(r.Form.Get("pay_type_id"))
	switch {
	case u == nil:
		return failed(10401, "用户不存在")
	case err != nil || err2 != nil || fen <= 0:
		return failed(10601, "金额错误")
	case slices.ContainsFunc(b.saved.Records, func(o Record) bool { return order != "" && o.OrderNo == order }):
		return failed(10702, "订单号已存在")
	}
	product, err := feed(u, fen)
	if err != nil {
		return failed(10501, err.Error())
	}
	b.saved.Records = append(b.saved.Records, Record{
		No: int64(88000001 + len(b.saved.Records)), User: u.Name, Fen: fen, OrderNo: order, PayType: payType,
		Product: product, At: b.now().Unix(),
	})
	if err := breaker.Save(b.file, b.saved); err != nil {
		panic("lab/srun: " + err.Error())
	}
	return object{"code": 0, "message": "ok", "version": "v1.6.0"}
}

func (b *Box) records(r *http.Request) object {
	var found []any
	ask := func(key string) (string, bool) { return r.Form.Get(key), r.Form.Get(key) != "" }
	from, hasFrom := ask("start_at")
	to, hasTo := ask("stop_at")
	for _, o := range b.saved.Records {
		user, hasUser := ask("user_name")
		order, hasOrder := ask("order_no")
		kind, hasKind := ask("pay_type_id")
		at := strconv.FormatInt(o.At, 10) // of ten digits for a long time, so they compare as texts
		if hasUser && user != o.User || hasOrder && order != o.OrderNo || hasKind && kind != strconv.Itoa(o.PayType) ||
			hasFrom && at < from || hasTo && at > to {
			continue
		}
		found = append(found, object{
			"bill_number": strconv.FormatInt(o.No, 10), "user_name": o.User, "create_at": o.At,
			"pay_num": number(o.Fen), "order_no": o.OrderNo, "pay_type_id": strconv.Itoa(o.PayType),
			"package_id": nil, "product_id": o.Product,
		})
	}
	total := len(found)
	size, page := atoiOr(r.Form.Get("per-page"), 20), atoiOr(r.Form.Get("page"), 1)
	found = found[min((page-1)*size, total):min(page*size, total)]
	data := any(found)
	if found == nil {
		data = []any{}
	}
	answer := done(data)
	answer["_meta"] = object{"totalCount": strconv.Itoa(total), "currentPage": page}
	return answer
}

func atoiOr(s string, or int) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return n
	}
	return or
}

// fen reads an amount in yuan.
func fen(s string) (int64, error) {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	r.Mul(r, big.NewRat(100, 1))
	if !r.IsInt() || !r.Num().IsInt64() {
		return 0, fmt.Errorf("%q is no amount", s)
	}
	return r.Num().Int64(), nil
}

// yuan writes an amount as a text: "10.00".
func yuan(fen int64) string { return big.NewRat(fen, 100).FloatString(2) }

// number writes an amount as a number: 10, 10.5, -0.66.
func number(fen int64) rawNumber {
	s := strings.TrimRight(yuan(fen), "0")
	return rawNumber(strings.TrimSuffix(s, "."))
}

type rawNumber string

// MarshalJSON writes the digits as they are.
func (n rawNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }
