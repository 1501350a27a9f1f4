package dialog

import "context"

// Conversation is a script that is under way: the end of whoever shows its
// questions. Its methods belong to one goroutine. A nil one asks nothing and does
// not end.
type Conversation struct {
	asks   chan Question
	answer chan Answer
	end    chan End
	stop   context.CancelFunc
}

// End is how a script ended.
type End struct {
	Report Report
	Err    error
}

// Begin begins a script, which is named ref for good. It runs until its end, or
// soon after ctx's.
func Begin(ctx context.Context, ref string, script Script) *Conversation {
	ctx, stop := context.WithCancel(ctx)
	c := &Conversation{make(chan Question), make(chan Answer, 1), make(chan End, 1), stop}
	t := &Talk{ref: ref, ask: c.asks, answer: c.answer}
	go func() {
		defer stop()
		var e End
		e.Report, e.Err = script(ctx, t)
		c.end <- e
	}()
	return c
}

// Asks is what the script asks, one question after the answer to the other. A
// question of the kind Working wants no answer.
func (c *Conversation) Asks() <-chan Question {
	if c == nil {
		return nil
	}
	return c.asks
}

// Ended has how the script ended, once.
func (c *Conversation) Ended() <-chan End {
	if c == nil {
		return nil
	}
	return c.end
}

// Answer answers the question that was asked last.
func (c *Conversation) Answer(a Answer) { c.answer <- a }

// Stop ends ctx for the script. Nobody may stop one that is at work: see
// [Talk.Work].
func (c *Conversation) Stop() { c.stop() }
