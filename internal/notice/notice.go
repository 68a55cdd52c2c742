// Package notice tells people once of what happens a thousand times: one line in the log for a flow, a cause and a change, and one when it is over,
// with how often it was. What goes on at present can be asked for.
package notice

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// What names what happens.
type What string

// What is told once.
const (
	Retry   What = "retry"   // calls for messages fail and are made again
	Park    What = "park"    // messages are parked for a person
	Read    What = "read"    // the source cannot be read
	Refusal What = "refusal" // requests to a webhook are refused
)

// kinds say how each of them is told, and for how long nothing of it must have come for it to be over.
var kinds = map[What]struct {
	begins, ends string
	quiet        time.Duration
}{
	Retry:   {"messages are not taken, and tried again", "no message is tried again for this any more", 3 * time.Minute},
	Park:    {"a message is parked and waits for a person; more of the cause are counted, and shown by `waybill parked list`", "no more messages are parked for this", 15 * time.Minute},
	Read:    {"the source cannot be read, and is tried again", "the source is read again", 0},
	Refusal: {"a request to the webhook was refused; more of the cause are counted, and shown by `waybill status`", "no more requests are refused for this", 15 * time.Minute},
}

const (
	// mostCauses bounds the causes that are told apart of one flow; the rest is one cause.
	mostCauses = 20
	restCause  = "and others"
	mostText   = 500
)

// Entry is what goes on: Count times since Since, Text was said of the first time.
type Entry struct {
	Flow  string
	What  What
	Cause string
	Text  string
	Since time.Time
	Last  time.Time
	Count int
}

type key struct {
	flow  string
	what  What
	cause string
}

type entry struct {
	Entry
	began, at time.Duration // by the clock's Elapsed: the first and the last time
}

// Board keeps what goes on.
type Board struct {
	clock lifecycle.Clock
	log   *slog.Logger

	mu   sync.Mutex
	open map[key]*entry
}

// New makes an empty board.
func New(clock lifecycle.Clock, log *slog.Logger) *Board {
	return &Board{clock: clock, log: log, open: map[key]*entry{}}
}

// Tell notes that something happened to a flow, for a cause that is the same for all of its kind, and logs the first. The text, which says more of
// this one time, must hold no secret.
func (b *Board) Tell(flow string, what What, cause, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{flow, what, cause}
	e := b.open[k]
	if e == nil && b.causes(flow, what) >= mostCauses {
		k.cause, text = restCause, ""
		e = b.open[k]
	}
	now := b.clock.Elapsed()
	if e == nil {
		if r := []rune(text); len(r) > mostText {
			text = string(r[:mostText-1]) + "…"
		}
		e = &entry{Entry: Entry{Flow: flow, What: what, Cause: k.cause, Text: text, Since: b.clock.Now()}, began: now}
		b.open[k] = e
		args := []any{"flow", name(flow), "cause", k.cause}
		if text != "" {
			args = append(args, "error", text)
		}
		b.log.Warn(kinds[what].begins, args...)
	}
	e.Count++
	e.Last, e.at = b.clock.Now(), now
}

// causes is called with the lock held.
func (b *Board) causes(flow string, what What) (n int) {
	for k := range b.open {
		if k.flow == flow && k.what == what {
			n++
		}
	}
	return n
}

// Look ends what has not come for its time. What rests holds for, such as messages whose system is down and is not asked, is not over.
func (b *Board) Look(rests func(flow string, what What) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Elapsed()
	for k, e := range b.open {
		quiet := kinds[k.what].quiet
		switch {
		case quiet == 0 || now-e.at < quiet:
		case rests(k.flow, k.what):
			e.at = now
		default:
			b.end(k, e, e.at)
		}
	}
}

// Over ends what went on of that kind with a flow.
func (b *Board) Over(flow string, what What) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, e := range b.open {
		if k.flow == flow && k.what == what {
			b.end(k, e, b.clock.Elapsed())
		}
	}
}

// end tells that it is over, and until when it lasted: what is said to be over was going on until now, else until it came last.
func (b *Board) end(k key, e *entry, until time.Duration) {
	delete(b.open, k)
	b.log.Info(kinds[k.what].ends, "flow", name(k.flow), "cause", k.cause, "times", e.Count, "for", (until - e.began).Round(time.Second))
}

// name is how a flow is called in the log; requests to unknown paths are of none.
func name(flow string) string {
	if flow == "" {
		return "(none)"
	}
	return flow
}

// Keep forgets flows that are no more.
func (b *Board) Keep(is func(flow string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.open {
		if k.flow != "" && !is(k.flow) {
			delete(b.open, k)
		}
	}
}

// Open gives what goes on, the newest first.
func (b *Board) Open() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Entry, 0, len(b.open))
	for _, e := range b.open {
		out = append(out, e.Entry)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.What, b.What), cmp.Compare(a.Cause, b.Cause))
	})
	return out
}
