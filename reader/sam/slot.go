package sam

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"quancun/pboc"
	"quancun/reader"
	"quancun/reader/purse"
)

// Slot is a SAM in a reader's slot. It is powered when it is first asked for and
// then stays so; after a failure, or when it was pulled, the next command powers
// it anew. It is safe for use by several goroutines.
type Slot struct {
	Device   reader.Device
	Terminal pboc.TerminalNo // that it has to be of

	mu   sync.Mutex
	sam  reader.Card  // powered; nil: none; guarded by mu
	seen reader.State // of the slot when it was powered; guarded by mu
}

// Transmit implements purse.Card.
func (s *Slot) Transmit(command []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sam == nil {
		if err := s.power(); err != nil {
			return nil, err
		}
	}
	answer, err := s.sam.Transmit(command)
	if errors.Is(err, reader.ErrGone) && begins(command) {
		answer, err = s.anew(command, err)
	}
	switch {
	case err == nil:
		return answer, nil
	case s.sam == nil:
		return nil, err
	}
	// Whatever it was asked is lost: a sale that has not been debited is begun
	// anew, and one that has is checked by its TAC.
	return nil, errors.Join(err, s.drop())
}

// begins reports whether a command may be told to a SAM that was powered anew: it
// begins a purchase, and of a number that it has used up before nobody has heard. What
// ends one means nothing to a SAM that has begun none.
func begins(command []byte) bool { return len(command) > 1 && command[1] == initPurchase }

// anew tells the SAM once more that was pulled and has been put back since: nobody has
// asked it anything meanwhile, and the next customer is not to be sent away for it.
func (s *Slot) anew(command []byte, gone error) ([]byte, error) {
	if err := s.drop(); err != nil {
		return nil, errors.Join(gone, err)
	}
	if !s.isBack() {
		return nil, gone
	}
	if err := s.power(); err != nil {
		return nil, errors.Join(gone, err)
	}
	return s.sam.Transmit(command)
}

// isBack reports whether a SAM was put in since the last one was powered. It waits
// until the reader has seen that that one is gone: who powers a SAM that has just left
// confuses pcscd, which then never sees the one that is put back in its place.
func (s *Slot) isBack() bool {
	ctx, stop := context.WithTimeout(context.Background(), lookMax)
	defer stop()
	now, err := s.Device.Wait(ctx, s.seen)
	return err == nil && now.Card
}

// lookMax bounds the look for the slot before a SAM is powered, for which a tap
// waits. A reader that is plugged in is seen at once.
const lookMax = 500 * time.Millisecond

// power connects to the SAM and makes sure whose it is. Nobody waits at the slot
// as somebody does at the reader of cards, so it is looked for first: that is how
// a device learns what its slot is called.
func (s *Slot) power() error {
	ctx, stop := context.WithTimeout(context.Background(), lookMax)
	s.seen, _ = s.Device.Wait(ctx, reader.State{}) // Connect says what is wrong
	stop()
	sam, err := s.Device.Connect()
	if err != nil {
		return fmt.Errorf("sam: %w", err)
	}
	s.sam = sam
	no, err := purse.ReadTerminalNo{}.Send(sam)
	if err == nil && no != s.Terminal {
		err = fmt.Errorf("%w: %s", ErrOther, no)
	}
	if err != nil {
		return errors.Join(err, s.drop())
	}
	return nil
}

func (s *Slot) drop() error {
	sam := s.sam
	s.sam = nil
	return sam.Close()
}

// Close gives the SAM and its slot up.
func (s *Slot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.sam != nil {
		err = s.drop()
	}
	return errors.Join(err, s.Device.Close())
}
