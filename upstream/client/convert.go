package client

import (
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"quancun/money"
	v1 "quancun/upstream/wire/quancun/v1"
)

// Getters of a missing message return zero values, so a short answer becomes
// an empty value here and never a crash.

func welcome(m *v1.HelloResponse) (Welcome, error) {
	w := Welcome{Time: at(m.Time), SchoolZH: m.SchoolZh, SchoolEN: m.SchoolEn, Place: Place{m.PlaceZh, m.PlaceEn}}
	if len(m.TerminalNo) != len(w.TerminalNo) || m.Policy == nil || m.Time == nil {
		return Welcome{}, errors.New("malformed answer")
	}
	copy(w.TerminalNo[:], m.TerminalNo)
	if m.Journal != nil { // of before 0.2 it says nothing
		var err error
		if w.Journal, err = head(m.Journal); err != nil {
			return Welcome{}, err
		}
	}
	w.Feeds = m.Feeds
	for _, f := range m.Policy.TopUpChoicesFen {
		w.Policy.TopUpChoices = append(w.Policy.TopUpChoices, money.Fen(f))
	}
	w.Policy.TopUpMin = money.Fen(m.Policy.TopUpMinFen)
	w.Policy.TopUpMax = money.Fen(m.Policy.TopUpMaxFen)
	w.Policy.BalanceCap = money.Fen(m.Policy.BalanceCapFen)
	w.Policy.Pay = time.Duration(m.Policy.PaySeconds) * time.Second
	return w, nil
}

func account(m *v1.Account) Account {
	a := Account{
		No: m.GetAccountNo(), MaskedName: m.GetMaskedName(), MaskedNumber: m.GetMaskedNumber(),
		Balance: money.Fen(m.GetBalanceFen()), Available: money.Fen(m.GetAvailableFen()),
		Kept: money.Fen(m.GetKeptFen()), Purse: money.Fen(m.GetPurseFen()), ToLoad: money.Fen(m.GetToLoadFen()),
	}
	for _, o := range m.GetOpen() {
		a.Open = append(a.Open, OpenItem{
			Kind: OpenKind(o.Kind), Amount: money.Fen(o.AmountFen), Since: at(o.Since), OrderNo: o.OrderNo,
			Place: o.Place, Where: Place{o.PlaceZh, o.PlaceEn},
		})
	}
	return a
}

func topUp(m *v1.TopUp) TopUp {
	return TopUp{
		OrderNo: m.GetOrderNo(), State: TopUpState(m.GetState()), Amount: money.Fen(m.GetAmountFen()),
		QR: m.GetQr(), Expires: at(m.GetExpires()), PaidAt: at(m.GetPaidAt()),
		Balance: money.Fen(m.GetBalanceFen()), Late: m.GetLate(),
	}
}

func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
