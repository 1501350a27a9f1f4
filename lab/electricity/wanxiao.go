package electricity

import (
	"net/http"
	"strings"

	"quancun/lab/breaker"
)

// serveWanxiao serves the query of 完美校园. There is no payment in it.
func (s *Campus) serveWanxiao() {
	no := object{"returncode": "FAIL", "returnmsg": "系统繁忙"}
	s.mux.HandleFunc("GET /CloudPayment/user/getRoom.do", func(w http.ResponseWriter, r *http.Request) {
		s.Serve(w, r, breaker.Call{Method: "places", Refused: no, Do: func() any {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.wanxiaoPlaces(r)
		}})
	})
	s.mux.HandleFunc("GET /CloudPayment/user/getRoomState.do", func(w http.ResponseWriter, r *http.Request) {
		done := object{"returncode": "100", "returnmsg": "SUCCESS", "quantity": nil}
		s.Serve(w, r, breaker.Call{Method: "room", Refused: no, Done: done, Do: func() any {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.wanxiaoRoom(r)
		}})
	})
}

func wanxiaoKnows(r *http.Request) bool {
	q := r.URL.Query()
	return q.Get("payProId") == "726" && q.Get("schoolcode") == "43" && q.Get("businesstype") == "2"
}

// notAnswered is what a wrong project gets.
var notAnswered = object{"returncode": "-400", "returnmsg": "缴费平台无返回"}

func (s *Campus) wanxiaoPlaces(r *http.Request) object {
	if !wanxiaoKnows(r) {
		return notAnswered
	}
	q := r.URL.Query()
	list, seen := []any{}, map[string]bool{}
	add := func(id, name string) {
		if !seen[id] {
			seen[id] = true
			list = append(list, object{"id": id, "name": name})
		}
	}
	for _, x := range s.saved.Rooms {
		switch op := q.Get("optype"); {
		case op == "1":
			add(x.Area.ID, x.Area.Name)
		case op == "2" && x.Area.ID == q.Get("areaid"):
			add(x.Building.ID, x.Building.Name)
		case op == "4" && x.Area.ID == q.Get("areaid") && x.Building.ID == q.Get("buildid"):
			add(verifyOf(x), x.Room.Name+x.Meter)
		}
	}
	return object{"returncode": "100", "returnmsg": "SUCCESS", "roomlist": list}
}

// verifyOf is a room's roomverify: with a double hyphen where the unit is left
// out, and another one for each meter.
func verifyOf(r *Room) string {
	v := strings.Join([]string{r.Area.ID, r.Building.ID, "", r.Room.ID}, "-")
	if r.Meter != "" {
		v += "-" + r.Meter
	}
	return v
}

func (s *Campus) wanxiaoRoom(r *http.Request) object {
	if !wanxiaoKnows(r) {
		return notAnswered
	}
	x := s.find(func(x *Room) bool { return verifyOf(x) == r.URL.Query().Get("roomverify") })
	if x == nil {
		return object{"returncode": "FAIL", "returnmsg": "房间校验失败"}
	}
	sale := "true"
	if x.NoSale {
		sale = "false"
	}
	answer := object{
		"returncode": "100", "returnmsg": "SUCCESS", "quantity": yuan(x.Energy), "quantityunit": "度", "canbuy": sale,
		"description": x.Room.Name, "custparams": nil,
	}
	if x.Offline {
		answer["quantity"] = ""
	}
	return answer
}
