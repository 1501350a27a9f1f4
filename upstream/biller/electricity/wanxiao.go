package electricity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"quancun/upstream/biller/vendor"
)

// WanxiaoConfig says which school asks (2.1).
type WanxiaoConfig struct {
	Address         string
	CertificateFile string
	PayProject      string // payProId
	School          string // schoolcode
}

// Wanxiao is the query of 完美校园. How a merchant would pay there is not known, so
// it is no [vendor.Biller]. It is safe for concurrent use.
type Wanxiao struct {
	line            *vendor.Line
	project, school string
}

var _ Vendor = (*Wanxiao)(nil)

// NewWanxiao returns the wire. It makes no call.
func NewWanxiao(c WanxiaoConfig) (*Wanxiao, error) {
	line, err := vendor.Dial(c.Address, c.CertificateFile)
	if err == nil && (c.PayProject == "" || c.School == "") {
		err = errors.New("electricity: wanxiao needs pay_project and school_code")
	}
	if err != nil {
		return nil, err
	}
	return &Wanxiao{line, c.PayProject, c.School}, nil
}

// wanxiaoAnswer is around every answer. "code" is there only when it is none.
type wanxiaoAnswer struct {
	Code    vendor.Text     `json:"returncode"`
	Message vendor.Text     `json:"returnmsg"`
	Rooms   json.RawMessage `json:"roomlist"`

	Quantity    vendor.Text `json:"quantity"`
	Unit        vendor.Text `json:"quantityunit"`
	CanBuy      vendor.Text `json:"canbuy"`
	Description vendor.Text `json:"description"`
}

func (w *Wanxiao) call(ctx context.Context, method string, query url.Values) (wanxiaoAnswer, error) {
	query.Set("payProId", w.project)
	query.Set("schoolcode", w.school)
	query.Set("businesstype", "2")
	_, body, err := w.line.Get(ctx, "CloudPayment/user/"+method, query)
	if err != nil {
		return wanxiaoAnswer{}, err
	}
	return parseWanxiao(body)
}

// parseWanxiao reads an answer that says yes. A session that is over is answered
// with a page, and so is no answer.
func parseWanxiao(body []byte) (a wanxiaoAnswer, err error) {
	if json.Unmarshal(body, &a) != nil {
		return wanxiaoAnswer{}, errForm
	}
	switch a.Code {
	case "100":
		return a, nil
	case "FAIL":
		return a, fmt.Errorf("%w: %.80s", vendor.ErrNoTarget, a.Message)
	}
	return a, fmt.Errorf("electricity: code %.20s: %.80s", a.Code, a.Message)
}

// Places implements [Vendor]. There are no floors on this wire. A room's ID is its
// roomverify, which is opaque; a room with two meters is there twice.
func (w *Wanxiao) Places(ctx context.Context, above Path) ([]Place, error) {
	if err := above.check(false); err != nil {
		return nil, err
	}
	area, building := above.at(Area).ID, above.at(Building).ID
	query := url.Values{
		"optype": {"1"}, "areaid": {cmp.Or(area, "0")}, "buildid": {cmp.Or(building, "0")}, "unitid": {"0"},
		"levelid": {"0"},
	}
	kind := Area
	switch {
	case above.at(Room).ID != "":
		return nil, vendor.ErrNoTarget
	case building != "":
		kind = Room
		query.Set("optype", "4")
		query.Set("levelid", "-1")
	case area != "":
		kind = Building
		query.Set("optype", "2")
	}
	a, err := w.call(ctx, "getRoom.do", query)
	if err != nil {
		return nil, err
	}
	places, err := parsePlaces(a.Rooms, kind, "id", "name")
	if err == nil && len(places) == 0 {
		err = vendor.ErrNoTarget
	}
	return join(places), err
}

// Meters implements [Vendor]. What is left is energy.
func (w *Wanxiao) Meters(ctx context.Context, room Path) ([]Meter, error) {
	if err := room.check(true); err != nil {
		return nil, err
	}
	return metersOf(ctx, room, w.meter)
}

func (w *Wanxiao) meter(ctx context.Context, room Path) (Meter, error) {
	a, err := w.call(ctx, "getRoomState.do", url.Values{"roomverify": {room.at(Room).ID}})
	if err != nil {
		return Meter{}, err
	}
	return parseRoomState(a)
}

// parseRoomState reads how much is left, if it is in kWh.
func parseRoomState(a wanxiaoAnswer) (Meter, error) {
	if a.Unit != "度" && a.Unit != "" {
		return Meter{}, fmt.Errorf("electricity: %.20q is no unit of energy", string(a.Unit))
	}
	left, err := energy(a.Quantity)
	if err != nil {
		return Meter{}, fmt.Errorf("%w: %w", vendor.ErrNotSaid, err)
	}
	return Meter{Energy: &left}, nil
}
