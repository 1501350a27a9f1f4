package electricity

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"quancun/money"
	"quancun/upstream/biller/vendor"
)

func TestParsePaid(t *testing.T) {
	for text, want := range map[string]string{
		`{"pay_elec_gdc":{"retcode":"0","errmsg":"缴费成功"}}`:                 "done",
		`{"pay_elec_gdc":{"retcode":0}}`:                                   "done",
		`{"pay_elec_gdc":{"retcode":"0","errmsg":"缴费失败，请联系管理员"}}`:          "unknown", // in people's words
		`{"Msg":"{\"pay_elec_gdc\":{\"retcode\":\"0\",\"errmsg\":\"\"}}"}`: "done",
		`{"Msg":{"pay_elec_gdc":{"retcode":"-3","errmsg":"no"}}}`:          "unknown",
		`{"pay_elec_gdc":{"retcode":"-1","errmsg":"通讯超时"}}`:                "unknown", // and booked
		`{"pay_elec_gdc":{"errmsg":"缴费成功"}}`:                               "unknown",
		`{"pay_elec_gdc":{}}`:   "unknown",
		`{"pay_elec_gdc":null}`: "unknown",
		`{"retcode":"0"}`:       "unknown",
		`{"Msg":"系统繁忙"}`:        "unknown",
		`<html>`:                "unknown",
	} {
		got := "unknown"
		switch err := parsePaid([]byte(text)); {
		case err == nil:
			got = "done"
		case errors.Is(err, vendor.ErrRefused):
			got = "refused"
		}
		if got != want {
			t.Errorf("parsePaid(%s) = %s, want %s", text, got, want)
		}
	}
}

func TestParseRoomInfo(t *testing.T) {
	for text, want := range map[string]string{
		"房间当前剩余金额718.01": "718.01", "3-301房间剩余718.01": "718.01", "301房间剩余20": "none", "剩余20元": "20.00",
		"欠费-0.66元": "-0.66",
		"电表离线":     "none", "": "none", "剩余1234567890123456元": "none",
	} {
		message, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		m, err := parseRoomInfo(map[string]json.RawMessage{"retcode": []byte(`"0"`), "errmsg": message})
		if err == nil {
			got = m.Money.String()
		}
		if got != want {
			t.Errorf("parseRoomInfo(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
}

// TestParseOrder: an order that is under way is neither booked nor absent, and the vendor
// has answered.
func TestParseOrder(t *testing.T) {
	for text, want := range map[string]error{
		`{"statusCode":0,"data":{"orderCode":"N1","rechargeStatus":"2","bussiOrder":"E1"}}`:                      nil,
		`{"statusCode":0,"data":{"orderCode":"N1","rechargeStatus":1}}`:                                          vendor.ErrNotSaid,
		`{"statusCode":0,"data":{"orderCode":"N1","rechargeStatus":1,"rechargeMoney":"11"}}`:                     vendor.ErrMismatch,
		`{"statusCode":0,"data":{"orderCode":"N2","rechargeStatus":"2","rechargeMoney":"10","bussiOrder":"E1"}}`: errOther,
		`{"statusCode":0,"data":{"orderCode":"N2","rechargeStatus":"2","rechargeMoney":"11","bussiOrder":"E1"}}`: errOther,
	} {
		a, err := parseRest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseOrder(a, vendor.Charge{OrderNo: "N1", Amount: 10 * money.Yuan})
		other := err != nil && !errors.Is(err, vendor.ErrNotSaid) && !errors.Is(err, vendor.ErrMismatch)
		if want == errOther && !other || want != errOther && !errors.Is(err, want) {
			t.Errorf("parseOrder(%s) = %v, want %v", text, err, want)
		}
	}
}

var errOther = errors.New("no word about this order")

// FuzzRest: no answer makes the plain wire panic, and no payment is done without a
// number.
func FuzzRest(f *testing.F) {
	for _, s := range []string{
		`{"statusCode":0,"message":"ok","data":{"surplus":"14.40","recordTime":"2026-03-01 08:00:00"}}`,
		`{"statusCode":"0","data":{"rechargeTime":"2026-03-01 08:00:00","bussiOrder":"E1"}}`,
		`{"statusCode":0,"data":{"orderCode":"N1","rechargeStatus":2,"rechargeMoney":"10","bussiOrder":1}}`,
		`{"statusCode":0,"rows":[{"areaCode":"1","roomCode":"301"}],"total":1}`,
		`{"statusCode":-1,"message":"订单不存在"}`, `<html>`,
	} {
		f.Add([]byte(s))
	}
	c := vendor.Charge{OrderNo: "N1", Amount: 10 * money.Yuan}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseRest(body)
		if err != nil {
			return
		}
		if r, err := parseReceipt(a); err == nil && r.RecordNo == "" {
			t.Fatalf("%q is a payment without a number", body)
		}
		if m, err := parseSurplus(a); err == nil && m.Energy == nil {
			t.Fatalf("%q is a meter without a number", body)
		}
		_, _ = parseOrder(a, c)
		rooms, _ := parseRooms(a)
		for _, r := range rooms {
			_ = r.path()
		}
	})
}

// FuzzTSM: no answer makes TSM's wire panic, and no payment is done without its
// code.
func FuzzTSM(f *testing.F) {
	for _, s := range []string{
		`{"pay_elec_gdc":{"retcode":"0","errmsg":"ok"}}`, `{"Msg":"{\"query_elec_roominfo\":{\"retcode\":\"0\"}}"}`,
		`{"Msg":{"query_elec_area":{"retcode":"0","areatab":{"area":1,"areaname":"a"}}}}`, `{"Msg":1}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if parsePaid(body) == nil {
			answer, err := parseSynjones(body, "pay_elec_gdc")
			if _, no := synCode(answer); err != nil || no != nil {
				t.Fatalf("%q is a payment without its code", body)
			}
		}
		if answer, err := parseSynjones(body, "query_elec_roominfo"); err == nil {
			if m, err := parseRoomInfo(answer); err == nil && m.Money == nil {
				t.Fatalf("%q is a meter without a number", body)
			}
		}
		if answer, err := parseSynjones(body, "query_elec_area"); err == nil {
			_, _ = parsePlaces(answer["areatab"], Area, "area", "areaname")
		}
	})
}

// FuzzWanxiao: no answer makes the wire panic or show a meter without a number.
func FuzzWanxiao(f *testing.F) {
	for _, s := range []string{
		`{"returncode":"100","quantity":"14.40","quantityunit":"度"}`,
		`{"returncode":100,"roomlist":[{"id":1,"name":"a"}]}`,
		`{"returncode":"FAIL"}`, `{"code":"FAIL","msg":"busy"}`, `<html>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseWanxiao(body)
		if err != nil {
			return
		}
		if m, err := parseRoomState(a); err == nil && m.Energy == nil {
			t.Fatalf("%q is a meter without a number", body)
		}
		_, _ = parsePlaces(a.Rooms, Room, "id", "name")
	})
}

// FuzzJoin: rooms that are joined by their meters are all still there, once, under the
// vendor's own IDs, and a target is read as it was written.
func FuzzJoin(f *testing.F) {
	f.Add("415照明", "6415", "415空调", "6416", "416", "6417")
	f.Add("照明", "a=b", "照明", "c|d", "空调", "")
	f.Add("1照明", "1", "1照明", "2", "1 空调", "3")
	f.Fuzz(func(t *testing.T, n1, id1, n2, id2, n3, id3 string) {
		var rooms []Place
		var want, got []string
		for _, r := range []Place{{Room, id1, n1}, {Room, id2, n2}, {Room, id3, n3}} {
			if r.ID != "" && !slices.ContainsFunc(rooms, func(x Place) bool { return x.ID == r.ID }) {
				rooms, want = append(rooms, r), append(want, r.ID)
			}
		}
		for _, r := range join(rooms) {
			path := Path{r}
			parts := path.parts()
			if parts == nil || slices.Contains(want, r.ID) {
				got = append(got, r.ID)
				continue
			}
			for _, p := range parts {
				got = append(got, p.id)
				text, err := Target(path, p.id)
				if err != nil {
					return // more than a target may have
				}
				back, err := readTarget(text)
				if err != nil || !utf8.ValidString(r.ID+r.Name+p.id) {
					return // vendors write UTF-8, or their answers are not read
				}
				if to, err := back.paid(); err != nil || to.at(Room).ID != p.id {
					t.Fatalf("%q pays for %v, %v", text, to, err)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("of %q are left %q", want, got)
		}
	})
}
