package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"quancun/lab/disk"
	"quancun/ledger"
)

// failures are the ways in which calls fail, and the calls that can.
var failures = []struct {
	name    string
	calls   disk.Call
	failure disk.Failure
}{
	{"EIO", disk.AnyCall, disk.IO},
	{"ENOSPC", disk.CallOpen | disk.CallWrite | disk.CallTruncate | disk.CallMap, disk.Full},
	{"short write", disk.CallWrite, disk.Short},
	{"failed sync", disk.CallSync | disk.CallSyncDir, disk.IO},
}

// Faults runs one script as often as it makes calls to the disk, and in each
// run has another call fail, in each way, once or from then on. The journal
// must then stop for good, or not have needed that call. Whether its program is
// started again on the repaired disk, or the power is cut before that or
// after, what was acknowledged must be there.
//
// With [Options.Every] it leaves out most of these runs.
//
// A failing sync loses what it should have written, as Linux does.
func Faults(ctx context.Context, o Options) (Result, error) {
	o = o.filled()
	s := setting{page: 4096, pages: 40}
	acts := script(rand.New(rand.NewPCG(o.Seed, 1)), o.Acts)
	base, first, err := s.prepare()
	if err != nil {
		return Result{}, err
	}
	defer base.disk.Close()
	whole := newStation(base.disk.Clone(), s)
	defer whole.disk.Close()
	_, err = whole.run(ctx, acts, first)
	if err := errors.Join(err, whole.close()); err != nil {
		return Result{}, err
	}
	p := newPool()
	for _, f := range failures {
		calls := whole.disk.Calls(f.calls)
		for i := 0; i < 2*calls; i += o.Every {
			fault := disk.Fault{Calls: f.calls, Nth: i/2 + 1, Failure: f.failure, Forever: i%2 == 1}
			p.do(func() (string, []error) {
				name := fmt.Sprintf("seed %d, %s at call %d, forever %v", o.Seed, f.name, fault.Nth, fault.Forever)
				t := newStation(base.disk.Clone(), s)
				defer t.disk.Close()
				return name, []error{t.fail(ctx, fault, acts)}
			})
			if ctx.Err() != nil {
				return p.wait(), ctx.Err()
			}
		}
	}
	return p.wait(), nil
}

// fail plays acts while a call fails.
func (s *station) fail(ctx context.Context, f disk.Fault, acts []act) error {
	s.disk.Break(f)
	s.broken = true
	h, err := s.run(ctx, acts, promise{})
	if err != nil {
		err = s.stopped(ctx, err)
	}
	killed, cut := s.disk.Clone(), s.disk.After(nil) // the process, the power
	defer killed.Close()
	defer cut.Close()
	_ = s.close() // which may fail as well
	if err != nil {
		return err
	}
	last := len(h.promises) - 1
	if err := h.check(ctx, cut, last, false); err != nil {
		return fmt.Errorf("after a power cut: %w", err)
	}
	if err := h.check(ctx, killed, last, true); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	later := killed.After(nil)
	defer later.Close()
	if err := h.check(ctx, later, len(h.promises)-1, false); err != nil {
		return fmt.Errorf("after a restart, and a power cut then: %w", err)
	}
	return nil
}

// stopped reports an error if the journal goes on after err.
func (s *station) stopped(ctx context.Context, err error) error {
	if s.book == nil {
		return nil // it was never opened
	}
	if !errors.Is(err, ledger.ErrFailed) {
		return fmt.Errorf("does not call itself failed: %w", err)
	}
	s.disk.Break(disk.Fault{}) // it must not take heart
	_, headErr := s.book.Head(ctx)
	_, appendErr := s.book.Append(ctx, *more(0))
	for _, again := range []error{headErr, appendErr} {
		if !errors.Is(again, ledger.ErrFailed) {
			return fmt.Errorf("goes on (%w) after it has failed: %w", again, err)
		}
	}
	return nil
}
