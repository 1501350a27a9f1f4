// Package electricity is the stand-in for vendors of dormitory electricity. One
// campus of rooms and meters answers on three wires: the integrators' plain one,
// TSM of Synjones (新中新), and the query of 完美校园. Each has the quirks of its
// vendor.
//
// It knows nothing of the program that it serves, and the adapters under test
// share no code with it.
package electricity

import (
	"fmt"
	"math/big"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"quancun/beijing"
	"quancun/lab/breaker"
)

// Config says where the stand-in keeps its things.
type Config struct {
	Dir string
	Key string           // of the plain wire's signatures
	Now func() time.Time // time.Now if nil
}

// Place is an area, a building, a floor or a room.
type Place struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Room is a room with its meter. Energy is in hundredths of a kWh; money in fen.
type Room struct {
	Area     Place  `json:"area"`
	Building Place  `json:"building"`
	Floor    Place  `json:"floor"` // without ID: this building has no such level
	Room     Place  `json:"room"`
	Energy   int64  `json:"energy"`
	Money    int64  `json:"money"`
	ReadAt   int64  `json:"read_at"` // seconds
	Offline  bool   `json:"offline"` // the meter is: no number comes
	NoSale   bool   `json:"no_sale"` // canbuy "false"
	Meter    string `json:"meter"`   // 照明, 空调; a room with two is there twice, and so on two of the wires
}

// Recharge is a payment that was booked.
type Recharge struct {
	No      string `json:"no"`
	OrderNo string `json:"order_no"` // "" on a wire that has none
	Room    string `json:"room"`
	Fen     int64  `json:"fen"`
	At      int64  `json:"at"`
}

// Campus is the stand-in. It is an http.Handler; its methods are safe for
// concurrent use.
type Campus struct {
	*breaker.Board
	key  string
	file string
	now  func() time.Time
	mux  *http.ServeMux

	mu     sync.Mutex
	saved  saved  // guarded by mu
	status string // rechargeStatus of every order; guarded by mu
}

type saved struct {
	Rooms     []*Room    `json:"rooms"`
	Recharges []Recharge `json:"recharges"`
}

// Price is that of a kWh, in fen.
const Price = 56

// New opens the stand-in in c.Dir, which is there already.
func New(c Config) (*Campus, error) {
	s := &Campus{
		Board: breaker.NewBoard("rooms", "room", "recharge", "order", "places", "roominfo", "pay"),
		key:   c.Key, file: filepath.Join(c.Dir, "electricity.json"), now: c.Now, mux: http.NewServeMux(), status: "2",
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.serveRest()
	s.serveSynjones()
	s.serveWanxiao()
	return s, breaker.Load(s.file, &s.saved)
}

// ServeHTTP implements [http.Handler].
func (s *Campus) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Add adds a room.
func (s *Campus) Add(r Room) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved.Rooms = append(s.saved.Rooms, &r)
	return breaker.Save(s.file, s.saved)
}

// Build makes a campus of some hundred rooms, if there is none: with floors and
// without, one room in arrears, one whose meter is offline, and one that was read
// long ago, and one with two meters.
func (s *Campus) Build() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.saved.Rooms) > 0 {
		return nil
	}
	for a, area := range []string{"东区", "西区"} {
		for b := range 3 {
			s.addBuilding(Place{fmt.Sprint(a + 1), area}, a*3+b+1)
		}
	}
	rooms := s.saved.Rooms
	rooms[1].Energy, rooms[1].Money = -118, -66
	rooms[2].Offline = true
	rooms[3].ReadAt -= 5 * 24 * 60 * 60
	rooms[4].Meter = "照明"
	cooling := *rooms[4]
	cooling.Meter, cooling.Energy, cooling.Money = "空调", 0, 0
	s.saved.Rooms = append(rooms, &cooling)
	return breaker.Save(s.file, s.saved)
}

// addBuilding adds a building of 4 floors with 6 rooms each. The third of an area
// has no level of floors. Its caller holds mu.
func (s *Campus) addBuilding(area Place, n int) {
	building := Place{fmt.Sprint(100 + n), fmt.Sprintf("%d号楼", n)}
	for f := 1; f <= 4; f++ {
		floor := Place{fmt.Sprintf("%d%d", 100+n, f), fmt.Sprintf("%d层", f)}
		if n%3 == 0 {
			floor = Place{}
		}
		for r := 1; r <= 6; r++ {
			s.saved.Rooms = append(s.saved.Rooms, &Room{
				Area: area, Building: building, Floor: floor, ReadAt: s.now().Unix(),
				Room:   Place{fmt.Sprintf("%d%d%02d", 100+n, f, r), fmt.Sprintf("%d%02d", f, r)},
				Energy: int64(1000 + 173*r*f), Money: int64(1000+173*r*f) * Price / 100,
			})
		}
	}
}

// Remove removes a room, as when a building is torn down.
func (s *Campus) Remove(room string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved.Rooms = slices.DeleteFunc(s.saved.Rooms, func(r *Room) bool { return r.Room.ID == room })
	return breaker.Save(s.file, s.saved)
}

// Rooms returns all rooms.
func (s *Campus) Rooms() (all []Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.saved.Rooms {
		all = append(all, *r)
	}
	return all
}

// Recharges returns what was booked, oldest first.
func (s *Campus) Recharges() []Recharge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.saved.Recharges)
}

// SetStatus sets what the plain wire says of every recharge that was booked. It begins
// with "2", done.
func (s *Campus) SetStatus(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// twice reports whether a room has several meters. Its caller holds mu.
func (s *Campus) twice(r *Room) bool {
	n := 0
	for _, x := range s.saved.Rooms {
		if x.Room.ID == r.Room.ID && x.Building.ID == r.Building.ID {
			n++
		}
	}
	return n > 1
}

// object is a value of a wire.
type object map[string]any

// find returns the first room that fits. Its caller holds mu.
func (s *Campus) find(fits func(*Room) bool) *Room {
	if i := slices.IndexFunc(s.saved.Rooms, fits); i >= 0 {
		return s.saved.Rooms[i]
	}
	return nil
}

// book feeds a meter. Its caller holds mu.
func (s *Campus) book(r *Room, order string, fen int64) Recharge {
	r.Money += fen
	r.Energy += fen * 100 / Price
	c := Recharge{
		No: fmt.Sprintf("E%08d", len(s.saved.Recharges)+1), OrderNo: order, Room: r.Room.ID,
		Fen: fen, At: s.now().Unix(),
	}
	s.saved.Recharges = append(s.saved.Recharges, c)
	if err := breaker.Save(s.file, s.saved); err != nil {
		panic("lab/electricity: " + err.Error())
	}
	return c
}

func clock(seconds int64) string { return time.Unix(seconds, 0).In(beijing.Zone).Format(time.DateTime) }

// yuan writes hundredths: "14.40".
func yuan(n int64) string { return big.NewRat(n, 100).FloatString(2) }

// fen reads an amount in yuan.
func fen(s string) (int64, bool) {
	r, ok := new(big.Rat).SetString(strings.TrimSpace(s))
	if !ok {
		return 0, false
	}
	r.Mul(r, big.NewRat(100, 1))
	return r.Num().Int64(), r.IsInt() && r.Num().IsInt64() && r.Sign() > 0
}
