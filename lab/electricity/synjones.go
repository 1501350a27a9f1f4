package electricity

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"quancun/lab/breaker"
)

// App is the one application that the stand-in's TSM knows.
const App = "0030000000002501"

// serveSynjones serves TSM: the query, and the payment that has no order number.
func (s *Campus) serveSynjones() {
	s.mux.HandleFunc("POST /web/Common/Tsm.html", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		name := strings.TrimPrefix(r.Form.Get("funname"), "synjones.onecard.query.elec.")
		var q map[string]synQuery
		_ = json.Unmarshal([]byte(r.Form.Get("jsondata")), &q) // what can not be read asks for nothing
		method := "places"
		if name == "roominfo" {
			method = "roominfo"
		}
		key := "query_elec_" + name
		s.Serve(w, r, breaker.Call{
			Method: method, Refused: object{key: object{"retcode": "-1", "errmsg": "系统忙"}},
			Done: object{key: object{"retcode": "0", "errmsg": "成功"}},
			Do: func() any {
				s.mu.Lock()
				defer s.mu.Unlock()
				// A gateway of some campuses wraps what TSM says, as text.
				text, _ := json.Marshal(object{key: s.synAnswer(name, q[key])})
				return object{"Msg": string(text)}
			},
		})
	})
	s.mux.HandleFunc("POST /web/Elec/PayElecGdc.html", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.Serve(w, r, breaker.Call{
			Method: "pay", Refused: synPaid("-5", "电控系统拒绝"), Done: object{"pay_elec_gdc": object{}},
			Do: func() any {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.synPay(r)
			},
		})
	})
}

type synQuery struct {
	App      string                `json:"aid"`
	Area     struct{ Area string } `json:"area"`
	Building struct {
		ID string `json:"buildingid"`
	} `json:"building"`
	Floor struct {
		ID string `json:"floorid"`
	} `json:"floor"`
	Room struct {
		ID string `json:"roomid"`
	} `json:"room"`
}

func (s *Campus) synAnswer(name string, q synQuery) object {
	answer := object{"retcode": "0", "errmsg": "", "aid": q.App, "account": "1"}
	if q.App != App {
		return object{"retcode": "-2", "errmsg": "应用不存在"}
	}
	list := func(key string, take func(*Room) (Place, bool), idKey, nameKey string) object {
		all, seen := []any{}, map[string]bool{}
		for _, r := range s.saved.Rooms {
			if p, ok := take(r); ok && p.ID != "" && !seen[p.ID] {
				seen[p.ID] = true
				all = append(all, object{idKey: p.ID, nameKey: p.Name})
			}
		}
		answer[key] = all
		return answer
	}
	in := func(r *Room) bool {
		return r.Area.ID == q.Area.Area && (q.Building.ID == "" || r.Building.ID == q.Building.ID) &&
			(q.Floor.ID == "" || r.Floor.ID == q.Floor.ID)
	}
	switch name {
	case "area":
		return list("areatab", func(r *Room) (Place, bool) { return r.Area, true }, "area", "areaname")
	case "building":
		return list("buildingtab", func(r *Room) (Place, bool) { return r.Building, in(r) }, "buildingid", "building")
	case "floor":
		return list("floortab", func(r *Room) (Place, bool) { return r.Floor, in(r) }, "floorid", "floor")
	case "room":
		return list("roomtab", func(r *Room) (Place, bool) { return r.Room, in(r) }, "roomid", "room")
	case "roominfo":
		r := s.find(func(r *Room) bool { return in(r) && r.Room.ID == q.Room.ID })
		if r == nil {
			answer["errmsg"] = "没有查询到该房间的信息" // with retcode 0
			return answer
		}
		answer["errmsg"], answer["bal"], answer["meterflag"] = "房间当前剩余金额"+yuan(r.Money), "", "amt"
		if r.Offline {
			answer["errmsg"] = "电表离线"
		}
		return answer
	}
	return object{"retcode": "-1", "errmsg": "未知接口"}
}

func synPaid(code, message string) object {
	return object{"pay_elec_gdc": object{"retcode": code, "errmsg": message}}
}

func (s *Campus) synPay(q *http.Request) object {
	room := s.find(func(r *Room) bool {
		return r.Area.ID == q.Form.Get("areaid") && r.Building.ID == q.Form.Get("buildingid") &&
			r.Floor.ID == q.Form.Get("floorid") && r.Room.ID == q.Form.Get("roomid")
	})
	amount, err := strconv.ParseInt(q.Form.Get("tran"), 10, 64)
	switch {
	case q.Form.Get("aid") != App || room == nil:
		return synPaid("-3", "房间不存在")
	case err != nil || amount <= 0 || q.Form.Get("acctype") != "###" || q.Form.Get("paytype") != "1":
		return synPaid("-4", "参数错误")
	}
	s.book(room, "", amount)
	return synPaid("0", "缴费成功")
}
