package campus

import (
	"fmt"

	"quancun/lab/disk"
	"quancun/tools/sim/bathhouse"
	"quancun/tools/sim/outside"
	"quancun/tools/sim/treasury"
)

// Branch is something rare that has to happen often enough in a run, because
// code that was never reached has not been tested: TigerBeetle and FoundationDB
// call it a sometimes assertion.
type Branch int

// The branches. Their numbers die with the process.
const (
	branchRequestLost Branch = iota
	branchAnswerLost
	branchCallTwice
	branchCallLate

	branchTornBefore
	branchTornAfter
	branchLoadTornBefore
	branchLoadTornAfter

	branchSoldOnline
	branchSoldAlone
	branchDeclined
	branchHotRefused
	branchPaidBefore
	branchNotGenuine
	branchSettledHere
	branchWitness

	branchHoldCaptured
	branchHoldReleased
	branchRewound
	branchForked
	branchCarried
	branchByCounter
	branchByRival
	branchOverdrawn
	branchOverspent
	branchClockStep
	branchClockUnsure
	branchFeedWhole
	branchFeedStep

	branchPoison
	branchBatchRefused
	branchPowerCut
	branchDiskError
	branchDiskFull
	branchOfficeCut
	branchRestored
	branchPaidLate

	branchOldPushed
	branchReopened
	branchDiskLost
	branchPageDamaged
	branchMirrorAhead
	branchOldDamaged
	branchRecovered
	branchJournalRestored

	branchActLost
	branchActHeard

	branchBillPaid
	branchBillLost
	branchBillUnheard
	branchBillDenied
	branchBillDown
	branchBillEnded
	branchBillAbsent
	branchBillLate
	branchBillDecided

	branchBathReserved
	branchBathFull
	branchBathGivenUp
	branchBathTooLate
	branchBathNoShow
	branchBathOpened
	branchBathGivenUpOpens
	branchBathWrong
	branchBathLocked
	branchBathOtherHall
	branchBathOtherSlot
	branchBathTwice
	branchBathCut
	branchBathClock
	branchBathLeft
	branchBathAhead
	branchBathEarly
	branchBathInVain
	branchBathTooSoon
	branchBathStub
	branchBathElsewhere
	branchBathStubWrong
	branchBathStubLocked
	branchBathLog
	branchBathStubLate
	branchBathLogAgain
	branchBathLapsed
	branchBathLate
	branchBathKept
	branchBathNever
	branchBathBack
	branchBathBackFreed
	branchBathBackLate
	branchBathBackAnew
	branchBathBackTwice
	branchBathBackUsed

	branchLossTold
	branchLossWrong
	branchLossOften
	branchLossAgain
	branchLossDark
	branchLostSold
	branchLossFound
	branchLossUndone
	branchLossKept
	branchLossNever

	branchWalletPaid
	branchWalletRefused
	branchWalletUnknown
	branchWalletReturned

	branchTreasuryAssigned
	branchTreasuryReturned
	branchTreasuryWrittenOff
	branchTreasuryPaid
	branchTreasuryEntered
	branchTreasuryCarried

	branchCount
)

var branchNames = [branchCount]string{
	branchRequestLost: "request lost",
	branchAnswerLost:  "answer lost",
	branchCallTwice:   "call arrives twice",
	branchCallLate:    "call arrives late",

	branchTornBefore:     "sale torn before the write",
	branchTornAfter:      "sale torn after the write",
	branchLoadTornBefore: "load torn before the write",
	branchLoadTornAfter:  "load torn after the write",

	branchSoldOnline:  "sold online",
	branchSoldAlone:   "sold while upstream did not answer",
	branchDeclined:    "declined by upstream",
	branchHotRefused:  "hot card refused in the dark",
	branchPaidBefore:  "earlier sale turns out to be paid",
	branchNotGenuine:  "card could not prove itself",
	branchSettledHere: "sale settled where it was torn",
	branchWitness:     "claim settled at another terminal",

	branchHoldCaptured: "hold captured",
	branchHoldReleased: "hold released by another entry",
	branchRewound:      "epoch opened after a rewind",
	branchForked:       "epoch opened after a fork",
	branchCarried:      "entry carried over",
	branchByCounter:    "claim settled by a counter",
	branchByRival:      "claim settled by a rival",
	branchOverdrawn:    "account overdrawn in the dark",
	branchOverspent:    "overspending held to its bound",
	branchClockStep:    "clock step noted",
	branchClockUnsure:  "entry by a clock that is unsure",
	branchFeedWhole:    "feed taken whole",
	branchFeedStep:     "feed taken by a step",

	branchPoison:       "poison entry taken",
	branchBatchRefused: "broken batch refused",
	branchPowerCut:     "power cut at a terminal",
	branchDiskError:    "journal failed by an I/O error",
	branchDiskFull:     "full disk at a terminal",
	branchOfficeCut:    "power cut at the upstream",
	branchRestored:     "upstream restored from a backup",
	branchPaidLate:     "order paid after it was closed",

	branchOldPushed:       "older epoch pushed again",
	branchReopened:        "epoch opened after a recovery",
	branchDiskLost:        "terminal's disk lost",
	branchPageDamaged:     "damaged page noticed",
	branchMirrorAhead:     "mirror ahead of the journal",
	branchOldDamaged:      "older epoch damaged",
	branchRecovered:       "journal recovered",
	branchJournalRestored: "journal restored from a backup",

	branchActLost:  "clerk's act closed before it was done",
	branchActHeard: "clerk's act closed, and it was done",

	branchBillPaid:    "bill paid",
	branchBillLost:    "biller has not heard",
	branchBillUnheard: "biller was not heard",
	branchBillDenied:  "biller says no, and has booked",
	branchBillDown:    "bill released at its deadline",
	branchBillEnded:   "bill ended by its holder",
	branchBillAbsent:  "bill released as not booked",
	branchBillLate:    "bill booked after its release",
	branchBillDecided: "bill decided by people",

	branchBathReserved:     "bath reserved",
	branchBathFull:         "bath taken by a faster one",
	branchBathGivenUp:      "bath given up in time",
	branchBathTooLate:      "bath given up too late",
	branchBathNoShow:       "nobody came to a bath",
	branchBathOpened:       "code opens a shower",
	branchBathGivenUpOpens: "code that was given up opens",
	branchBathWrong:        "code is none",
	branchBathLocked:       "panel locked by wrong codes",
	branchBathOtherHall:    "code of another hall",
	branchBathOtherSlot:    "code at another time",
	branchBathTwice:        "code used twice",
	branchBathCut:          "power cut in a shower",
	branchBathClock:        "controller's clock lost",
	branchBathLeft:         "shower left open",
	branchBathAhead:        "controller's clock ahead",
	branchBathEarly:        "code opens early by that",
	branchBathInVain:       "came to a bath in vain for it",
	branchBathTooSoon:      "log came before its time",
	branchBathStub:         "shower settled by its stub",
	branchBathElsewhere:    "stub typed at another machine",
	branchBathStubWrong:    "stub is wrong",
	branchBathStubLocked:   "too many stubs were wrong",
	branchBathLog:          "shower settled by the log",
	branchBathStubLate:     "stub typed after the log came",
	branchBathLogAgain:     "log brought again",
	branchBathLapsed:       "bath let go after a day",
	branchBathLate:         "log came after that",
	branchBathKept:         "keeper: bath was done",
	branchBathNever:        "keeper: bath never will be",
	branchBathBack:         "lost bath comes back",
	branchBathBackFreed:    "lost bath is given up again",
	branchBathBackLate:     "lost bath comes back too late",
	branchBathBackAnew:     "lost bath had been reserved anew",
	branchBathBackTwice:    "lost bath was another's by then",
	branchBathBackUsed:     "shower of a lost bath is paid",

	branchLossTold:   "loss reported",
	branchLossWrong:  "loss with a wrong PIN",
	branchLossOften:  "loss wrong too often",
	branchLossAgain:  "loss reported again",
	branchLossDark:   "loss that not all know of",
	branchLostSold:   "lost card used in the dark",
	branchLossFound:  "lost card found",
	branchLossUndone: "loss undone",
	branchLossKept:   "keeper: loss was reported",
	branchLossNever:  "keeper: loss never will be",

	branchWalletPaid:     "wallet paid",
	branchWalletRefused:  "wallet did not pay",
	branchWalletUnknown:  "nobody knows whether a wallet paid",
	branchWalletReturned: "wallet was given back",

	branchTreasuryAssigned:   "line of a bill assigned",
	branchTreasuryReturned:   "line of a bill given back",
	branchTreasuryWrittenOff: "line of a bill written off",
	branchTreasuryPaid:       "merchant paid",
	branchTreasuryEntered:    "transfer entered afterwards",
	branchTreasuryCarried:    "transfer carried to another day",
}

// String returns the branch in words.
func (b Branch) String() string {
	if b >= 0 && b < branchCount {
		return branchNames[b]
	}
	return fmt.Sprintf("Branch(%d)", int(b))
}

// Coverage counts how often each branch was taken.
type Coverage [branchCount]int

// Add adds the counts of d.
func (c *Coverage) Add(d Coverage) {
	for i, n := range d {
		c[i] += n
	}
}

// mishaps are the branches that billers take.
var mishaps = map[outside.Mishap]Branch{
	outside.Lost: branchBillLost, outside.Unheard: branchBillUnheard, outside.Denied: branchBillDenied,
}

// events are the branches that people in baths take.
var events = map[bathhouse.Event]Branch{
	bathhouse.Opened: branchBathOpened, bathhouse.GivenUp: branchBathGivenUpOpens, bathhouse.Wrong: branchBathWrong,
	bathhouse.LockedOut: branchBathLocked, bathhouse.OtherHall: branchBathOtherHall,
	bathhouse.OtherSlot: branchBathOtherSlot, bathhouse.Twice: branchBathTwice, bathhouse.PowerCut: branchBathCut,
	bathhouse.ClockLost: branchBathClock, bathhouse.Left: branchBathLeft,
	bathhouse.ClockAhead: branchBathAhead, bathhouse.Early: branchBathEarly, bathhouse.InVain: branchBathInVain,
}

// decided are the branches that the finance office takes.
var decided = map[treasury.Event]Branch{
	treasury.Assigned: branchTreasuryAssigned, treasury.GivenBack: branchTreasuryReturned,
	treasury.WrittenOff: branchTreasuryWrittenOff, treasury.PaidOut: branchTreasuryPaid,
	treasury.EnteredLate: branchTreasuryEntered, treasury.Carried: branchTreasuryCarried,
}

// bathed notes what has happened at a bath.
func (c *Campus) bathed(e bathhouse.Event) { c.cover(events[e]) }

// met notes what a call to a biller has met with. Now and then the upstream dies
// before it has written down what it heard.
func (c *Campus) met(m outside.Mishap) {
	if b, rare := mishaps[m]; rare {
		c.cover(b)
	}
	if m != outside.NotReached && !c.healed && c.dice.OneIn(8) {
		c.office.disk.Break(disk.Fault{Nth: c.dice.Between(1, 8), Failure: disk.IO, Forever: true})
		c.office.dying = true
	}
}
