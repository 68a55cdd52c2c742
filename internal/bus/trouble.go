package bus

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/fault"
)

const (
	// patience is how long what passes by itself is no trouble: leaders and coordinators move, a group forms anew.
	patience = 5 * time.Second
	// churnTimes: a group that begins anew so often within SubscriberConfig.churn does not read, it only ever begins to.
	churnTimes = 8
	// forgotten is after which time a write that nobody has tried again is nobody's any more.
	forgotten = time.Minute
)

// ailment is one trouble while it lasts. Its zero value is none.
type ailment struct{ at atomic.Pointer[illness] }

type illness struct {
	since, last time.Time
	err         error
}

// note: it has failed, once more.
func (a *ailment) note(err error) {
	now := time.Now()
	since := now
	if old := a.at.Load(); old != nil {
		since = old.since
	}
	a.at.Store(&illness{since: since, last: now, err: err})
}

// heal: it has been done.
func (a *ailment) heal() { a.at.Store(nil) }

// trouble gives what has to be told: what needs mending at once, what may pass by itself after the patience.
func (a *ailment) trouble(now time.Time) *fault.Trouble {
	i := a.at.Load()
	if i == nil || aboutOf(i.err) != aboutHub && now.Sub(i.since) < patience {
		return nil
	}
	return &fault.Trouble{Since: i.since, Why: explain(i.err)}
}

// joinFailed adds to a join's failure what it means where nobody else says it. kafka-go leaves out of its metadata a field that its version has; Kafka
// reads the metadata only where the group is one of the new protocol, and answers then that it does not know what is wrong.
func joinFailed(err error) error {
	if errors.Is(err, kafka.Unknown) {
		return fmt.Errorf("%w; Kafka answers so where a program with group.protocol=consumer holds the group: end that program, or give it a group of its own; else see to the broker's log", err)
	}
	return err
}

// membership is what is known of a member's place in its group.
type membership struct {
	joining ailment

	mu      sync.Mutex
	waits   time.Time   // since when it has no generation; zero: it has one
	began   []time.Time // the last generations
	lately  string      // what kafka-go said last of why it gave one up
	strange string      // members of other programs that have partitions of the topic
	met     time.Time   // when they were seen first
}

// wait: there is no generation.
func (m *membership) wait() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waits.IsZero() {
		m.waits = time.Now()
	}
}

// begin: there is one, and its partitions are read.
func (m *membership) begin() {
	m.joining.heal()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits = time.Time{}
	m.began = append(m.began, time.Now())
	if len(m.began) > churnTimes {
		m.began = slices.Delete(m.began, 0, 1)
	}
}

// Printf hears what kafka-go says of the group, of which it tells in no other way why a generation has ended.
func (m *membership) Printf(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lately = fmt.Sprintf(format, args...)
}

// meet notes the members of other programs.
func (m *membership) meet(strangers string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.strange == "" {
		m.met = time.Now()
	}
	m.strange = strangers
}

func (m *membership) trouble(group string, churn time.Duration, now time.Time) *fault.Trouble {
	if t := m.joining.trouble(now); t != nil {
		return &fault.Trouble{Since: t.Since, Why: fmt.Sprintf("it cannot be in its consumer group %s: %s", group, t.Why)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.waits.IsZero() && now.Sub(m.waits) >= patience:
		return &fault.Trouble{Since: m.waits, Why: fmt.Sprintf("its consumer group %s has given it no partitions for %s: the group's coordinator does not answer, or other members hold the group up",
			group, now.Sub(m.waits).Truncate(time.Second))}
	case len(m.began) == churnTimes && now.Sub(m.began[0]) < churn:
		why := fmt.Sprintf("its consumer group %s was formed anew %d times within %s: members come and go, or are too slow for the group", group, churnTimes, churn)
		if m.lately != "" {
			why += " (" + m.lately + ")"
		}
		return &fault.Trouble{Since: m.began[0], Why: why}
	case m.strange != "":
		return &fault.Trouble{Since: m.met, Why: fmt.Sprintf("other programs are in its consumer group %s and are given its partitions: %s; end them, or give them a group of their own", group, m.strange)}
	}
	return nil
}

// trouble is why the partition is not read.
func (p *partition) trouble(now time.Time) *fault.Trouble {
	t := p.ill.trouble(now)
	if t == nil {
		if q := p.asked.Load(); q != nil && now.Sub(q.at) >= q.wait+patience {
			t = &fault.Trouble{Since: q.at, Why: "the broker does not answer"}
		}
	}
	if t != nil {
		t.Why = fmt.Sprintf("%s cannot be read: %s", p.name, t.Why)
	}
	return t
}

func (sub *subscription) trouble(now time.Time) *fault.Trouble {
	if t := sub.member.trouble(sub.s.cfg.Group, sub.s.cfg.churn, now); t != nil {
		if i := sub.opening.at.Load(); i != nil { // the group only ever begins where its topic is gone
			t.Why = explain(i.err)
		}
		return t
	}
	if t := sub.opening.trouble(now); t != nil {
		return t
	}
	var worst *fault.Trouble
	for _, p := range sub.current() {
		worst = older(worst, p.trouble(now))
	}
	return worst
}

func older(a, b *fault.Trouble) *fault.Trouble {
	if a == nil || b != nil && b.Since.Before(a.Since) {
		return b
	}
	return a
}

// Trouble is why a topic that is subscribed to is not read at present; nil: it is. What passes by itself within seconds is none.
func (s *Subscriber) Trouble() *fault.Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	var worst *fault.Trouble
	now := time.Now()
	for sub := range s.subs {
		worst = older(worst, sub.trouble(now))
	}
	return worst
}

// Trouble is why what was to be written to a topic is not on it; nil: it is, or nothing was to be. Callers of Send make the same call again
// until it succeeds, so that what is not tried again for a minute is nobody's any more.
func (p *Publisher) Trouble(topic string) *fault.Trouble {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var worst *fault.Trouble
	see := func(a *ailment) {
		if i := a.at.Load(); i != nil && now.Sub(i.last) > forgotten {
			a.at.CompareAndSwap(i, nil)
		}
		worst = older(worst, a.trouble(now))
	}
	if a := p.lookups[topic]; a != nil {
		see(a)
	}
	for at, q := range p.parts {
		if at.topic == topic {
			see(&q.ill)
		}
	}
	return worst
}
