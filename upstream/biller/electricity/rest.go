package electricity

import (
	"cmp"
	"context"
	"crypto/md5" // the wire's signature; TLS is what keeps strangers out
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"quancun/money"
	"quancun/upstream/biller/vendor"
)

// RestConfig says where the integrator's interface is (2.4).
type RestConfig struct {
	Address         string
	CertificateFile string
	KeyFile         string // of the key that requests are signed with
	JobNo           string // whom the vendor's books name for what we pay
	Now             func() time.Time
}

// Rest is the integrators' plain wire. The same order code gives the first result
// again, and queryOrder tells of it. It is safe for concurrent use.
type Rest struct {
	line  *vendor.Line
	key   string
	jobNo string
	now   func() time.Time

	mu    sync.Mutex
	rooms []restRoom // guarded by mu
	until time.Time  // when they are asked for again; guarded by mu
}

var (
	_ Vendor       = (*Rest)(nil)
	_ vendor.Asker = (*Rest)(nil)
)

// bussiType of electricity; 2 is water.
const bussiElectricity = "1"

// roomsLife is how long the list of all rooms is kept: it is long, and rooms are
// not built every day.
const roomsLife = 10 * time.Minute

// NewRest returns the wire. It makes no call.
func NewRest(c RestConfig) (*Rest, error) {
	line, err := vendor.Dial(c.Address, c.CertificateFile)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("electricity: read key: %w", err)
	}
	r := &Rest{line: line, key: strings.TrimSpace(string(key)), jobNo: c.JobNo, now: c.Now}
	if r.key == "" {
		return nil, errors.New("electricity: the key is empty")
	}
	if r.now == nil {
		r.now = time.Now
	}
	return r, nil
}

// sign returns a form with its signature: the values in the order of their keys,
// joined by "|", under MD5 twice, each time with the key behind.
func (r *Rest) sign(form url.Values) url.Values {
	var values []string
	for _, k := range slices.Sorted(mapsKeys(form)) {
		if v := form.Get(k); v != "" && k != "sign" && k != "serialVersionUID" && !strings.HasPrefix(k, "t_") {
			values = append(values, v)
		}
	}
	once := hash(strings.Join(values, "|") + "|" + r.key)
	form.Set("sign", hash(once+"|"+r.key))
	return form
}

func mapsKeys(form url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range form {
			if !yield(k) {
				return
			}
		}
	}
}

func hash(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// restAnswer is around every answer.
type restAnswer struct {
	Status  vendor.Text     `json:"statusCode"`
	Message vendor.Text     `json:"message"`
	Data    json.RawMessage `json:"data"`
	Rows    json.RawMessage `json:"rows"`
	Total   vendor.Text     `json:"total"`
}

// restError is an answer that says no.
type restError struct{ message string }

// Error tells what the vendor said.
func (e *restError) Error() string { return fmt.Sprintf("electricity: refused: %.80s", e.message) }

// parseRest reads an answer. A [*restError] is one that says no; every other
// error is no answer at all.
func parseRest(body []byte) (a restAnswer, err error) {
	if json.Unmarshal(body, &a) != nil {
		return restAnswer{}, errForm
	}
	switch a.Status {
	case "0":
		return a, nil
	case "-1":
		return a, &restError{string(a.Message)}
	}
	return restAnswer{}, errForm
}

func (r *Rest) call(ctx context.Context, method string, form url.Values) (restAnswer, error) {
	_, body, err := r.line.Post(ctx, "api/electric/"+method, r.sign(form))
	if err != nil {
		return restAnswer{}, err
	}
	return parseRest(body)
}

// restRoom is a row of queryRoomList.
type restRoom struct {
	Area         vendor.Text `json:"areaCode"`
	AreaName     vendor.Text `json:"areaName"`
	Building     vendor.Text `json:"buildingCode"`
	BuildingName vendor.Text `json:"buildingName"`
	Floor        vendor.Text `json:"floorCode"`
	FloorName    vendor.Text `json:"floorName"`
	Room         vendor.Text `json:"roomCode"`
	RoomName     vendor.Text `json:"roomName"`
}

// path returns a row as a path, without the levels that it does not have.
func (w restRoom) path() (p Path) {
	for _, x := range []Place{
		{Area, string(w.Area), string(w.AreaName)}, {Building, string(w.Building), string(w.BuildingName)},
		{Floor, string(w.Floor), string(w.FloorName)}, {Room, string(w.Room), string(w.RoomName)},
	} {
		if x.ID != "" {
			x.Name = cmp.Or(x.Name, x.ID)
			p = append(p, x)
		}
	}
	return p
}

func parseRooms(a restAnswer) ([]restRoom, error) {
	rooms, err := vendor.OneOrMany[restRoom](a.Rows)
	if err != nil {
		return nil, errForm
	}
	for _, w := range rooms {
		if w.Room == "" {
			return nil, errForm
		}
	}
	return rooms, nil
}

func (r *Rest) all(ctx context.Context) ([]restRoom, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms != nil && r.now().Before(r.until) {
		return r.rooms, nil
	}
	a, err := r.call(ctx, "queryRoomList", url.Values{"bussiType": {bussiElectricity}})
	if err != nil {
		return nil, err
	}
	if r.rooms, err = parseRooms(a); err != nil {
		return nil, err
	}
	r.until = r.now().Add(roomsLife)
	return r.rooms, nil
}

// Places implements [Vendor].
func (r *Rest) Places(ctx context.Context, above Path) (found []Place, err error) {
	if err := above.check(false); err != nil {
		return nil, err
	}
	rooms, err := r.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range rooms {
		p := w.path()
		if len(p) > len(above) && p[:len(above)].Same(above) && !slices.Contains(found, p[len(above)]) {
			found = append(found, p[len(above)])
		}
	}
	if len(found) == 0 {
		return nil, vendor.ErrNoTarget
	}
	return join(found), nil
}

func roomForm(room Path) url.Values {
	return url.Values{
		"areaCode": {room.at(Area).ID}, "buildingCode": {room.at(Building).ID}, "floorCode": {room.at(Floor).ID},
		"roomCode": {room.at(Room).ID}, "bussiType": {bussiElectricity},
	}
}

// Meters implements [Vendor].
func (r *Rest) Meters(ctx context.Context, room Path) ([]Meter, error) {
	if err := room.check(true); err != nil {
		return nil, err
	}
	return metersOf(ctx, room, r.meter)
}

func (r *Rest) meter(ctx context.Context, room Path) (Meter, error) {
	a, err := r.call(ctx, "querySurplus", roomForm(room))
	var no *restError
	switch {
	case errors.As(err, &no) && strings.Contains(no.message, "不存在"):
		return Meter{}, fmt.Errorf("%w: %w", vendor.ErrNoTarget, err)
	case errors.As(err, &no): // it is busy, or does not take our signature
		return Meter{}, &vendor.Unclear{Err: err}
	case err != nil:
		return Meter{}, err
	}
	return parseSurplus(a)
}

// parseSurplus reads what is left: kWh, and money if the extra field is that.
func parseSurplus(a restAnswer) (m Meter, err error) {
	var w struct {
		Surplus    vendor.Text `json:"surplus"`
		RecordTime vendor.Text `json:"recordTime"`
		FieldName  vendor.Text `json:"fieldName"`
		FieldValue vendor.Text `json:"fieldValue"`
	}
	if json.Unmarshal(a.Data, &w) != nil {
		return m, errForm
	}
	left, err := energy(w.Surplus)
	if err != nil { // a success without a number
		return m, fmt.Errorf("%w: %w", vendor.ErrNotSaid, err)
	}
	m = Meter{Energy: &left, ReadAt: readTime(w.RecordTime), Payable: true}
	if strings.Contains(string(w.FieldName), "金额") {
		f, err := w.FieldValue.AboutYuan()
		if err != nil {
			return Meter{}, err
		}
		m.Money = &f
	}
	return m, nil
}

// Pay implements [vendor.Biller].
func (r *Rest) Pay(ctx context.Context, c vendor.Charge) (vendor.Receipt, error) {
	t, err := readTarget(c.Target)
	var room Path
	if err == nil {
		room, err = t.paid()
	}
	if err != nil {
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrRefused, err)
	}
	form := roomForm(room)
	form.Set("orderCode", c.OrderNo)
	form.Set("rechargeMoney", yuan(c.Amount))
	form.Set("jobNo", r.jobNo)
	a, err := r.call(ctx, "recharge", form)
	var no *restError
	if errors.As(err, &no) {
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrRefused, err)
	}
	if err != nil {
		return vendor.Receipt{}, err
	}
	return parseReceipt(a)
}

// parseReceipt reads what recharge says. A success without a number is none.
func parseReceipt(a restAnswer) (vendor.Receipt, error) {
	var w struct {
		Time  vendor.Text `json:"rechargeTime"`
		Order vendor.Text `json:"bussiOrder"`
	}
	if json.Unmarshal(a.Data, &w) != nil || w.Order == "" {
		return vendor.Receipt{}, errForm
	}
	return vendor.Receipt{RecordNo: string(w.Order), At: readTime(w.Time)}, nil
}

// Ask implements [vendor.Asker].
func (r *Rest) Ask(ctx context.Context, c vendor.Charge) (vendor.Receipt, error) {
	t, err := readTarget(c.Target)
	if err != nil {
		return vendor.Receipt{}, err
	}
	a, err := r.call(ctx, "queryOrder", url.Values{
		"areaCode": {t.Room.at(Area).ID}, "orderCode": {c.OrderNo},
	})
	var no *restError
	// An area or a merchant that is not there says nothing of the order.
	if errors.As(err, &no) && strings.Contains(no.message, "订单") && strings.Contains(no.message, "不存在") {
		return vendor.Receipt{}, vendor.ErrAbsent
	}
	if err != nil {
		return vendor.Receipt{}, err
	}
	return parseOrder(a, c)
}

// parseOrder reads what became of an order. Status 2 is done. What others mean no
// document says, so none is taken for a no: the order is under way until people know.
func parseOrder(a restAnswer, c vendor.Charge) (vendor.Receipt, error) {
	var w struct {
		Code   vendor.Text `json:"orderCode"`
		Status vendor.Text `json:"rechargeStatus"`
		Money  vendor.Text `json:"rechargeMoney"`
		Time   vendor.Text `json:"rechargeTime"`
		Order  vendor.Text `json:"bussiOrder"`
	}
	if json.Unmarshal(a.Data, &w) != nil {
		return vendor.Receipt{}, errForm
	}
	if w.Code != "" && string(w.Code) != c.OrderNo {
		return vendor.Receipt{}, errors.New("electricity: the answer is about another order")
	}
	if w.Money != "" { // not every integrator gives it
		if f, err := w.Money.Yuan(); err != nil || f != c.Amount {
			return vendor.Receipt{}, fmt.Errorf("%w: it is of %s yuan", vendor.ErrMismatch, moneyText(f, err))
		}
	}
	if w.Status != "2" {
		return vendor.Receipt{}, fmt.Errorf("%w: the order is under way, status %.20q", vendor.ErrNotSaid, w.Status)
	}
	return vendor.Receipt{RecordNo: string(w.Order), At: readTime(w.Time)}, nil
}

func moneyText(f money.Fen, err error) string {
	if err != nil {
		return "no"
	}
	return f.String()
}
