package till

import (
	"slices"
	"strings"
	"testing"
	"time"

	"quancun/beijing"
	"quancun/kiosk"
	"quancun/kiosk/rules"
	"quancun/kiosk/tender"
	"quancun/ledger"
	"quancun/ledger/feed"
	"quancun/money"
	"quancun/pboc"
	"quancun/reader"
)

// lists are feeds that were compared with the upstream so long ago, or never.
type lists struct {
	nothing
	ages map[string]time.Duration
}

func (l lists) Status(name string) feed.Status {
	age, here := l.ages[name]
	if !here {
		return feed.Status{Name: name}
	}
	return feed.Status{Name: name, Version: 1, Checked: now.Add(-age)}
}

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, beijing.Zone)

// TestWays: the ways of paying stand in the order in which a cashier asks for them,
// and each that is not there has its reason. What the upstream would say matters only
// while it is away; what is missing here always does.
func TestWays(t *testing.T) {
	takes := func(string) bool { return true }
	code, alipay := Way{Kind: ByCode, Takes: takes}, Way{Kind: ByAlipay, Online: true, Takes: takes}
	both := []Way{alipay, code} // in whatever order they were set up
	r := rules.Default()
	fresh := map[string]time.Duration{feed.Hotlist: time.Hour, feed.Keys: time.Hour}
	oldCards := map[string]time.Duration{feed.Hotlist: time.Duration(r.ListStop+1) * time.Hour, feed.Keys: time.Hour}
	oldPhones := map[string]time.Duration{feed.Hotlist: time.Hour, feed.Keys: time.Duration(r.CodeStop+1) * time.Hour}
	waits := func(amount money.Fen) kiosk.Queue {
		return kiosk.Queue{Count: 100, Amount: amount, Since: now.Add(-2 * time.Hour)}
	}
	thisHour := waits(r.HourMax)
	thisHour.Hour = r.HourMax
	forLong := waits(money.Yuan)
	forLong.Since = now.Add(-time.Duration(r.QueueStop+1) * time.Hour)
	gone, shut := tender.Outlook{Unknown: true}, tender.Outlook{Closed: tender.ErrClosed}
	known := map[string]outlooks{
		"past is gone": {ByCode: gone}, "dark, past is gone": {ByCode: gone}, "dark, cards are silent": {ByCard: gone},
		"dark, past is gone, hour is sold": {ByCard: gone, ByCode: gone}, "dark, past is gone, old": {ByCard: gone, ByCode: gone},
		"no keys": {ByCode: shut}, "dark, no keys": {ByCode: shut},
	}
	prices := map[string]money.Fen{
		"100 yuan": 100 * money.Yuan, "dark, 100 yuan": 100 * money.Yuan, "dark, 101 yuan": 101 * money.Yuan,
		"dark, 50 yuan": 50 * money.Yuan, "dark, past is gone": 101 * money.Yuan,
	}
	up, away := kiosk.Health{Reader: true, Upstream: true}, kiosk.Health{Reader: true}
	for name, tt := range map[string]struct {
		health kiosk.Health
		ways   []Way
		ages   map[string]time.Duration
		want   [3]Reason // of card, code and Alipay
	}{
		"past is gone":           {up, both, fresh, [3]Reason{}},
		"dark, past is gone":     {away, both, fresh, [3]Reason{TooDear, PastGone, NoUpstream}},
		"dark, cards are silent": {away, both, fresh, [3]Reason{PastGone, 0, NoUpstream}},
		"dark, past is gone, hour is sold": {kiosk.Health{Reader: true, Queue: thisHour}, both, fresh,
			[3]Reason{PastGone, PastGone, NoUpstream}},
		"dark, past is gone, old": {away, both, oldCards, [3]Reason{OldList, PastGone, NoUpstream}},
		"no keys":                 {up, both, fresh, [3]Reason{0, Closed, 0}},
		"dark, no keys":           {away, both, nil, [3]Reason{OldList, Closed, NoUpstream}},
		"100 yuan":                {up, both, fresh, [3]Reason{}},
		"dark, 50 yuan":           {away, both, fresh, [3]Reason{0, 0, NoUpstream}},
		"dark, 100 yuan":          {away, both, fresh, [3]Reason{0, TooDear, NoUpstream}},
		"dark, 101 yuan":          {away, both, fresh, [3]Reason{TooDear, TooDear, NoUpstream}},

		"all there":          {kiosk.Health{Reader: true, Upstream: true}, both, fresh, [3]Reason{}},
		"no reader":          {kiosk.Health{Upstream: true}, both, fresh, [3]Reason{NoReader, 0, 0}},
		"no scanner":         {kiosk.Health{Reader: true, Upstream: true}, nil, fresh, [3]Reason{0, NotBuilt, NotBuilt}},
		"no Alipay":          {kiosk.Health{Reader: true, Upstream: true}, []Way{code}, fresh, [3]Reason{0, 0, NotBuilt}},
		"old, but asked":     {kiosk.Health{Reader: true, Upstream: true}, both, oldCards, [3]Reason{}},
		"spent, but asked":   {kiosk.Health{Reader: true, Upstream: true, Queue: thisHour}, both, fresh, [3]Reason{}},
		"dark":               {kiosk.Health{Reader: true}, both, fresh, [3]Reason{0, 0, NoUpstream}},
		"dark, no reader":    {kiosk.Health{}, both, fresh, [3]Reason{NoReader, 0, NoUpstream}},
		"dark, no scanner":   {kiosk.Health{Reader: true}, nil, fresh, [3]Reason{0, NotBuilt, NotBuilt}},
		"dark, old hotlist":  {kiosk.Health{Reader: true}, both, oldCards, [3]Reason{OldList, 0, NoUpstream}},
		"dark, lost phones":  {kiosk.Health{Reader: true}, both, oldPhones, [3]Reason{0, OldList, NoUpstream}},
		"dark, never heard":  {kiosk.Health{Reader: true}, both, nil, [3]Reason{OldList, OldList, NoUpstream}},
		"dark, hour is sold": {kiosk.Health{Reader: true, Queue: thisHour}, both, fresh, [3]Reason{NoDark, NoDark, NoUpstream}},
		"dark, budget spent": {kiosk.Health{Reader: true, Queue: waits(r.QueueMax)}, both, fresh,
			[3]Reason{NoDark, NoDark, NoUpstream}},
		"dark, untold for long": {kiosk.Health{Reader: true, Queue: forLong}, both, fresh,
			[3]Reason{NoDark, NoDark, NoUpstream}},
		"dark, old and spent": {kiosk.Health{Reader: true, Queue: waits(r.QueueMax)}, both, oldCards,
			[3]Reason{OldList, NoDark, NoUpstream}},
		"the SAM is out":       {kiosk.Health{Reader: true, Upstream: true}, both, fresh, [3]Reason{NoSAM, 0, 0}},
		"no reader and no SAM": {kiosk.Health{Upstream: true}, both, fresh, [3]Reason{NoReader, 0, 0}},
		"dark, the SAM is out": {kiosk.Health{Reader: true}, both, oldCards, [3]Reason{NoSAM, 0, NoUpstream}},
	} {
		s := Session{
			Desk:  &Desk{Ways: tt.ways, Clock: kiosk.NewClock(func() time.Time { return now }, ledger.Uptime)},
			Terms: kiosk.NewTerms("T1", pboc.TerminalNo{1}), Feeds: lists{ages: tt.ages},
		}
		s.view.Health, s.known, s.view.Step, s.view.Amount = tt.health, known[name], Present, prices[name]
		if strings.Contains(name, "SAM") {
			s.SAM = make(chan reader.State)
		}
		s.look()
		want := []Source{{ByCard, tt.want[0]}, {ByCode, tt.want[1]}, {ByAlipay, tt.want[2]}}
		if !slices.Equal(s.view.Ways, want) {
			t.Errorf("%s: %+v, want %+v", name, s.view.Ways, want)
		}
		if all := known[name]; all[ByCard].Unknown && all[ByCode].Unknown && (s.view.Dark.Sale != 0 || s.view.Dark.Left != 0) {
			t.Errorf("%s: nothing is sold, and %+v is left", name, s.view.Dark)
		}
	}
}
