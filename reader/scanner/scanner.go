// Package scanner turns what a code scanner sends into whole codes, and says
// whose each is. Scanners come in two forms: on a serial line, and as a
// keyboard (HID keyboard wedge) whose keys are told from a person's by how fast
// they come.
//
// Half a code is never taken for a code: what is not ended as a code is, or
// falters on its way, is thrown away, and said so. The package checks no
// signature and knows no wallet; it tells them apart by how their codes begin.
package scanner

import (
	"strings"

	"quancun/journal"
	"quancun/paycode"
)

// Kind is whose a code is.
type Kind int

// The kinds of code.
const (
	Unknown  Kind = 0 // nobody's that is known here
	Campus   Kind = 1 // a virtual card's (虚拟卡码)
	Alipay   Kind = 2 // 支付宝付款码
	WeChat   Kind = 3 // 微信付款码
	UnionPay Kind = 4 // 云闪付付款码
	ECNY     Kind = 5 // 数字人民币付款码
	Receipt  Kind = 6 // of a receipt of ours
)

// String returns the kind's name, for logs.
func (k Kind) String() string {
	return [...]string{"unknown", "campus", "Alipay", "WeChat", "UnionPay", "e-CNY", "receipt"}[k]
}

// Scan is what has come from a scanner: a whole code, or the word that half of
// one was thrown away.
type Scan struct {
	Text string // as it was read; a wallet's is a secret for a minute
	Kind Kind
	Half bool // there is no code: ask to scan again
}

// KindOf says whose a code is. Wallets are told by the digits that their codes
// begin with, and how many there are.
func KindOf(text string) Kind {
	switch {
	case paycode.Ours(text):
		return Campus
	case strings.Contains(text, journal.ReceiptPrefix):
		return Receipt
	case len(text) < 16 || len(text) > 24 || strings.Trim(text, "0123456789") != "":
		return Unknown
	}
	switch n, head := len(text), text[:2]; {
	case head >= "25" && head <= "30":
		return Alipay
	case n == 18 && head >= "10" && head <= "15":
		return WeChat
	case n == 19 && head == "62":
		return UnionPay
	case n == 19 && head == "01":
		return ECNY
	}
	return Unknown
}

// whole is a code that was ended as one.
func whole(text string) Scan { return Scan{Text: text, Kind: KindOf(text)} }
