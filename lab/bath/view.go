package bath

import (
	"errors"
	"fmt"

	"quancun/bathcode"
	"quancun/money"
)

// View is what a panel shows.
type View struct {
	Stall  uint16    `json:"stall"`
	Step   Step      `json:"step"`
	Valve  bool      `json:"valve"` // open
	Text   string    `json:"text"`
	Pulses int64     `json:"pulses"`
	Amount money.Fen `json:"fen"`

	Stub bathcode.Code `json:"stub,omitempty"` // of the last shower, until somebody begins the next
}

// View returns what a stall's panel shows.
func (b *Controller) View(stall uint16) (View, error) {
	p := b.panels[stall]
	if p == nil {
		return View{}, fmt.Errorf("lab/bath: no stall %d here", stall)
	}
	v := View{Stall: stall, Step: p.step, Valve: p.step == Running, Text: p.notice, Stub: p.stub}
	if p.use != nil {
		v.Pulses, v.Amount = p.use.Pulses, min(b.setup.Tariff.Price(p.use.Pulses), b.setup.Cap)
	}
	switch p.step {
	case Idle:
		if v.Text == "" {
			v.Text = "请按确认"
		}
	case Entering:
		v.Text = "预约码 " + p.digits
	case Running:
		v.Text = "用水中 " + v.Amount.String() + " 元"
	case Paused:
		v.Text = "已暂停，按确认继续，按取消结束"
	}
	return v, nil
}

// Stalls returns which stalls the controller works.
func (b *Controller) Stalls() []uint16 { return b.setup.Stalls }

// errOff means that the power is off.
var errOff = errors.New("lab/bath: the power is off")
