package electricity

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"quancun/lab/breaker"
)

// serveRest serves the integrators' plain wire.
func (s *Campus) serveRest() {
	for path, m := range map[string]struct {
		method string
		do     func(*Campus, url.Values) object
	}{
		"queryRoomList": {"rooms", (*Campus).restRooms},
		"querySurplus":  {"room", (*Campus).restSurplus},
		"recharge":      {"recharge", (*Campus).restRecharge},
		"queryOrder":    {"order", (*Campus).restOrder},
	} {
		s.mux.HandleFunc("POST /api/electric/"+path, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm() // what is not there is not signed
			s.Serve(w, r, breaker.Call{
				Method: m.method, Refused: restNo("系统维护中"), Done: object{"statusCode": 0, "message": "成功"},
				Do: func() any {
					s.mu.Lock()
					defer s.mu.Unlock()
					if r.Form.Get("sign") != s.sign(r.Form) {
						return restNo("签名错误")
					}
					return m.do(s, r.Form)
				},
			})
		})
	}
}

func restNo(message string) object { return object{"statusCode": -1, "message": message} }

// sign is the wire's: the values in the order of their keys, MD5 twice.
func (s *Campus) sign(form url.Values) string {
	var keys, values []string
	for k := range form {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if k == "sign" || k == "serialVersionUID" || strings.HasPrefix(k, "t_") || form.Get(k) == "" {
			continue
		}
		values = append(values, form.Get(k))
	}
	first := md5.Sum([]byte(strings.Join(append(values, s.key), "|")))
	second := md5.Sum([]byte(hex.EncodeToString(first[:]) + "|" + s.key))
	return hex.EncodeToString(second[:])
}

func (s *Campus) restRoom(form url.Values) *Room {
	return s.find(func(r *Room) bool {
		return r.Area.ID == form.Get("areaCode") && r.Building.ID == form.Get("buildingCode") &&
			r.Floor.ID == form.Get("floorCode") && s.restPlace(r).ID == form.Get("roomCode")
	})
}

// restPlace is a room as the plain wire has it: once for each of its meters.
func (s *Campus) restPlace(r *Room) Place {
	if !s.twice(r) {
		return r.Room
	}
	return Place{r.Room.ID + "-" + r.Meter, r.Room.Name + r.Meter}
}

func (s *Campus) restRooms(url.Values) object {
	rows := []any{}
	for _, r := range s.saved.Rooms {
		room := s.restPlace(r)
		rows = append(rows, object{
			"areaCode": r.Area.ID, "areaName": r.Area.Name,
			"buildingCode": r.Building.ID, "buildingName": r.Building.Name,
			"floorCode": r.Floor.ID, "floorName": r.Floor.Name, "roomCode": room.ID, "roomName": room.Name,
		})
	}
	return object{"statusCode": 0, "message": "成功", "rows": rows, "total": len(rows)}
}

func (s *Campus) restSurplus(form url.Values) object {
	r := s.restRoom(form)
	if r == nil {
		return restNo("房间不存在")
	}
	data := object{"recordTime": clock(r.ReadAt), "fieldName": "剩余金额", "fieldValue": yuan(r.Money)}
	if !r.Offline {
		data["surplus"] = yuan(r.Energy)
	}
	return object{"statusCode": "0", "message": "成功", "data": data}
}

func (s *Campus) restRecharge(form url.Values) object {
	r, order := s.restRoom(form), form.Get("orderCode")
	amount, ok := fen(form.Get("rechargeMoney"))
	switch {
	case r == nil:
		return restNo("房间不存在")
	case !ok || order == "":
		return restNo("参数错误")
	}
	i := slices.IndexFunc(s.saved.Recharges, func(c Recharge) bool { return c.OrderNo == order })
	if i < 0 { // or the first result again
		s.book(r, order, amount)
		i = len(s.saved.Recharges) - 1
	}
	c := s.saved.Recharges[i]
	return object{"statusCode": 0, "message": "成功", "data": object{"rechargeTime": clock(c.At), "bussiOrder": c.No}}
}

func (s *Campus) restOrder(form url.Values) object {
	if s.find(func(r *Room) bool { return r.Area.ID == form.Get("areaCode") }) == nil {
		return restNo("区域不存在")
	}
	for _, c := range s.saved.Recharges {
		if c.OrderNo == form.Get("orderCode") {
			return object{"statusCode": 0, "message": "成功", "data": object{
				"orderCode": c.OrderNo, "rechargeStatus": s.status, "rechargeMoney": yuan(c.Fen),
				"rechargeTime": clock(c.At), "bussiOrder": c.No,
			}}
		}
	}
	return restNo("订单不存在")
}
