package kiosk

import (
	"context"
	"errors"

	"quancun/ledger"
	"quancun/reader/apdu"
	"quancun/reader/purse"
	"quancun/upstream/client"
)

// reasons says which code a refusal of the upstream has.
var reasons = map[client.Reason]Code{
	client.CardIsUnknown:    CodeUnknownCard,
	client.CardIsHot:        CodeHot,
	client.CardIsRetired:    CodeRetired,
	client.PINLocked:        CodePINLocked,
	client.ChallengeSpent:   CodeSessionOver,
	client.SessionOver:      CodeSessionOver,
	client.AmountOutOfRange: CodeAmount,
	client.BalanceCap:       CodeCap,
	client.OrderConflict:    CodeConflict,
	client.ChannelRefused:   CodeNoChannel,
	client.MAC1Wrong:        CodeNotGenuine,
	client.NothingToLoad:    CodeLoadRefused,
	client.LoadDone:         CodeLoadRefused,
	client.LoadConflict:     CodeLoadRefused,
	client.CardAhead:        CodeCardAhead,
	client.TerminalUnknown:  CodeTerminal,
}

// causes says which code an error has, the most telling first.
var causes = []struct {
	err  error
	code Code
}{
	{ledger.ErrFailed, CodeJournal}, // a full disk may be why, and a restart is needed all the same
	{ledger.ErrFull, CodeFull},
	{ledger.ErrTampered, CodeJournal},
	{ledger.ErrUnsafe, CodeJournal},
	{ledger.ErrConflict, CodeConflict},
	{ErrInDoubt, CodeLoadDoubt},
	{errCardPINLock, CodeCardPINLock},
	{errCardPIN, CodeCardPIN},
	{ErrNoAnswer, CodeOffline},
	{ErrCardGone, CodeCardSilent},
	{purse.ErrForeign, CodeForeignCard},
	{purse.ErrLocked, CodeHot},
	{purse.ErrNotEnabled, CodeNotEnabled},
	{purse.ErrNotStarted, CodeNotStarted},
	{purse.ErrExpired, CodeExpired},
	{purse.ErrZeroMAC, CodeNotGenuine},
	{apdu.ErrNoAnswer, CodeCardSilent},
	{context.DeadlineExceeded, CodeOffline},
}

// Explain returns the code of an error that came from the upstream, the card
// or the journal. It is the one place where errors become codes; what it does
// not know is CodeInternal, and its caller logs the error whole.
func Explain(err error) Code {
	if no := (*client.Refusal)(nil); errors.As(err, &no) {
		if code, ok := reasons[no.Reason]; ok {
			return code
		}
		return CodeInternal
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	if apdu.Answered(err) {
		return CodeCardRefused
	}
	return CodeInternal
}
