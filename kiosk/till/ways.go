package till

import "quancun/kiosk"

// dark is why nothing may be sold without the upstream; nil: something may.
type dark struct{ card, code error }

// sources are the ways of paying in the order in which a cashier asks for them,
// each with the reason if it is not there. sam says whether there is one, without
// which no card pays.
func sources(ways []Way, h kiosk.Health, sam bool, d dark) []Source {
	card := Source{Kind: ByCard}
	switch {
	case !h.Reader:
		card.Why = NoReader
	case !sam:
		card.Why = NoSAM
	case !h.Upstream:
		card.Why = alone(d.card)
	}
	all := []Source{card}
	for _, kind := range []Kind{ByCode, ByAlipay} {
		all = append(all, Source{kind, codeReason(kind, ways, h, d)})
	}
	return all
}

func codeReason(kind Kind, ways []Way, h kiosk.Health, d dark) Reason {
	for _, w := range ways {
		switch {
		case w.Kind != kind:
		case h.Upstream:
			return NoReason
		case w.Online:
			return NoUpstream
		default:
			return alone(d.code)
		}
	}
	return NotBuilt
}

// alone is why nothing is sold without the upstream.
func alone(err error) Reason {
	switch {
	case err == nil:
		return NoReason
	case kiosk.Explain(err) == kiosk.CodeOldList: // which a refusal says, too
		return OldList
	}
	return NoDark
}
