package electricity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"quancun/upstream/biller/vendor"
)

// SynjonesConfig says where TSM is (2.3).
type SynjonesConfig struct {
	Address         string
	CertificateFile string
	App             string // aid of the meters' vendor, 16 digits
	Account         string // the card account that is debited there for what holders pay with us
}

// Synjones is TSM of Synjones (新中新). Its payment has no order number of ours, so
// it cannot be asked: it is no [vendor.Asker], and what it does not answer is for
// people to find out. It is safe for concurrent use.
type Synjones struct {
	line         *vendor.Line
	app, account string
}

var (
	_ Vendor        = (*Synjones)(nil)
	_ vendor.Biller = (*Synjones)(nil)
)

// NewSynjones returns the wire. It makes no call.
func NewSynjones(c SynjonesConfig) (*Synjones, error) {
	line, err := vendor.Dial(c.Address, c.CertificateFile)
	if err == nil && (c.App == "" || c.Account == "") {
		err = errors.New("electricity: synjones needs app and account")
	}
	if err != nil {
		return nil, err
	}
	return &Synjones{line, c.App, c.Account}, nil
}

// synLevels are the levels below each other: the name of the call that lists one,
// its table, and what its places are called there.
var synLevels = []struct {
	kind              Kind
	name, table       string
	idKey, nameKey    string
	payID, payNameKey string
}{
	{Area, "area", "areatab", "area", "areaname", "areaid", "areaname"},
	{Building, "building", "buildingtab", "buildingid", "building", "buildingid", "building"},
	{Floor, "floor", "floortab", "floorid", "floor", "floorid", "floor"},
	{Room, "room", "roomtab", "roomid", "room", "roomid", "room"},
}

// query asks for something about a path.
func (s *Synjones) query(ctx context.Context, name string, path Path) (map[string]json.RawMessage, error) {
	q := map[string]any{"aid": s.app, "account": s.account}
	for _, l := range synLevels {
		if p := path.at(l.kind); p.ID != "" || name == "roominfo" || name == "room" && l.kind == Floor {
			q[l.name] = map[string]string{l.idKey: p.ID, l.nameKey: p.Name}
		}
	}
	key := "query_elec_" + name
	text, err := json.Marshal(map[string]any{key: q})
	if err != nil {
		return nil, err
	}
	_, body, err := s.line.Post(ctx, "web/Common/Tsm.html", url.Values{
		"jsondata": {string(text)}, "funname": {"synjones.onecard.query.elec." + name}, "json": {"true"},
	})
	if err != nil {
		return nil, err
	}
	return parseSynjones(body, key)
}

// parseSynjones returns what an answer has under a key. Campus gateways wrap it in
// a "Msg", as an object or as text.
func parseSynjones(body []byte, key string) (inner map[string]json.RawMessage, err error) {
	var outer map[string]json.RawMessage
	if json.Unmarshal(body, &outer) != nil {
		return nil, errForm
	}
	if wrapped, ok := outer["Msg"]; ok {
		var text string
		if json.Unmarshal(wrapped, &text) == nil {
			wrapped = []byte(text)
		}
		if outer = nil; json.Unmarshal(wrapped, &outer) != nil {
			return nil, errForm
		}
	}
	if json.Unmarshal(outer[key], &inner) != nil || inner == nil {
		return nil, errForm
	}
	return inner, nil
}

// synError is an answer with another code than 0.
type synError struct{ code, message string }

// Error tells what the vendor said.
func (e *synError) Error() string {
	return fmt.Sprintf("electricity: code %s: %.80s", e.code, e.message)
}

// synCode returns a [*synError] unless an answer's code is 0, and its message.
func synCode(answer map[string]json.RawMessage) (message string, err error) {
	var code, text vendor.Text
	if raw, ok := answer["errmsg"]; ok && json.Unmarshal(raw, &text) != nil {
		return "", errForm
	}
	if json.Unmarshal(answer["retcode"], &code) != nil || code == "" {
		return "", errForm
	}
	if code != "0" {
		return "", &synError{string(code), string(text)}
	}
	return string(text), nil
}

// Places implements [Vendor]. A building without floors leads on to its rooms.
func (s *Synjones) Places(ctx context.Context, above Path) ([]Place, error) {
	if err := above.check(false); err != nil {
		return nil, err
	}
	last := Kind(0)
	if len(above) > 0 {
		last = above[len(above)-1].Kind
	}
	for _, l := range synLevels {
		if l.kind <= last {
			continue
		}
		answer, err := s.query(ctx, l.name, above)
		if err == nil {
			_, err = synCode(answer)
		}
		if err != nil {
			return nil, err
		}
		places, err := parsePlaces(answer[l.table], l.kind, l.idKey, l.nameKey)
		if err != nil || len(places) > 0 {
			return places, err
		}
		if l.kind != Floor {
			break
		}
	}
	return nil, vendor.ErrNoTarget
}

func parsePlaces(table json.RawMessage, k Kind, idKey, nameKey string) (places []Place, err error) {
	rows, err := vendor.OneOrMany[map[string]json.RawMessage](table)
	if err != nil {
		return nil, errForm
	}
	for _, row := range rows {
		var id, name vendor.Text
		if json.Unmarshal(row[idKey], &id) != nil || json.Unmarshal(row[nameKey], &name) != nil || id == "" {
			return nil, errForm
		}
		places = append(places, Place{k, string(id), string(name)})
	}
	return places, nil
}

// Meters implements [Vendor]. What is left is money.
func (s *Synjones) Meters(ctx context.Context, room Path) ([]Meter, error) {
	if err := room.check(true); err != nil {
		return nil, err
	}
	answer, err := s.query(ctx, "roominfo", room)
	if err != nil {
		return nil, err
	}
	return one(parseRoomInfo(answer))
}

// Numbers in a sentence: with a point, and any. What comes before one keeps the
// hyphen of "3-301" from being a minus.
var (
	decimal = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])(-?[0-9]+\.[0-9]+)`)
	integer = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])(-?[0-9]+)`)
)

// balanceIn returns the balance in a sentence, or "": the first number that has a
// point, since a room's has none, or the only one that there is.
func balanceIn(sentence string) string {
	if m := decimal.FindStringSubmatch(sentence); m != nil {
		return m[1]
	}
	if all := integer.FindAllStringSubmatch(sentence, -1); len(all) == 1 {
		return all[0][1]
	}
	return ""
}

// parseRoomInfo takes the balance from the sentence in which it is. Code 0 comes
// with sentences of failure too, so that no number is a failure.
func parseRoomInfo(answer map[string]json.RawMessage) (Meter, error) {
	message, err := synCode(answer)
	if err != nil {
		return Meter{}, err
	}
	found := balanceIn(message)
	if found == "" {
		if strings.Contains(message, "没有查询到") {
			return Meter{}, vendor.ErrNoTarget
		}
		return Meter{}, fmt.Errorf("%w: no number in %.80q", vendor.ErrNotSaid, message)
	}
	left, err := vendor.Text(found).AboutYuan()
	if err != nil {
		return Meter{}, err
	}
	return Meter{Money: &left, Payable: true}, nil
}

// Pay implements [vendor.Biller], at most once.
func (s *Synjones) Pay(ctx context.Context, c vendor.Charge) (vendor.Receipt, error) {
	t, err := readTarget(c.Target)
	if err != nil {
		return vendor.Receipt{}, fmt.Errorf("%w: %w", vendor.ErrRefused, err)
	}
	form := url.Values{
		"acctype": {"###"}, "paytype": {"1"}, "qpwd": {""}, "account": {s.account}, "aid": {s.app},
		"tran": {strconv.FormatInt(int64(c.Amount), 10)}, "json": {"true"},
	}
	for _, l := range synLevels {
		form.Set(l.payID, t.Room.at(l.kind).ID)
		form.Set(l.payNameKey, t.Room.at(l.kind).Name)
	}
	_, body, err := s.line.Post(ctx, "web/Elec/PayElecGdc.html", form)
	if err != nil {
		return vendor.Receipt{}, err
	}
	return vendor.Receipt{}, parsePaid(body)
}

// parsePaid returns nil only for code 0. No document names a code with which nothing was
// moved, and TSM asks the meters' system in turn: another code is [vendor.Unclear]. So is
// code 0 with a sentence of failure, which it comes with on this wire.
func parsePaid(body []byte) error {
	answer, err := parseSynjones(body, "pay_elec_gdc")
	if err != nil {
		return err
	}
	message, err := synCode(answer)
	if err == nil && strings.Contains(message, "失败") {
		err = &synError{"0", message}
	}
	var no *synError
	if errors.As(err, &no) {
		return &vendor.Unclear{Code: no.code, Err: err}
	}
	return err
}
