package calls

import (
	"flag"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/state"
)

const (
	bound     = 30 * time.Second // of one request
	ownership = 2 * time.Second  // for how long an owner that was replaced may still send
)

func intentOf(event string, epoch int64) state.Intent {
	return state.Intent{Entity: "order", Hub: "h", EventID: event, Epoch: epoch}
}

// request is one that was sent and not answered: it may be applied until a time.
type request struct {
	event string
	until time.Duration
	// theirs: a hub that was replaced has sent it.
	theirs bool
	// forgotten: its call was settled, and who knew that it may be late is gone, or never told: late requests are not stored. See
	// docs/decisions/l-call-ledger.md.
	forgotten bool
}

// model is one object of a target, two messages that write it, the hubs that own their partition one after the other, and the store.
type model struct {
	t        *rapid.T
	create   bool
	now      time.Duration
	epoch    int64
	taken    time.Duration // when the present owner took the partition over
	ledger   *Ledger
	intents  map[string]state.Intent
	at       *Delivery // what the owner is at work on
	event    string
	replaced *Delivery // what an owner was at work on that was replaced, and does not know it
	was      state.Intent
	flying   []request
	made     int // how often the object was created in the target
}

func (m *model) object() Object { return Object{"order", "h"} }

func (m *model) mayArrive(in *state.Intent) time.Duration {
	from := m.now
	if in.Epoch < m.epoch {
		from = m.taken + ownership
	}
	return m.ledger.Until(in, from, bound)
}

// begin takes up a message.
func (m *model) begin(t *rapid.T) {
	if m.at != nil || m.create && m.made > 0 && len(m.intents) == 0 {
		t.Skip("at work")
	}
	m.event = rapid.SampledFrom([]string{"e1", "e2"}).Draw(t, "event")
	m.at = m.ledger.Deliver(m.event)
	var all []state.Intent
	for _, in := range m.intents {
		all = append(all, in)
	}
	m.at.Meet(all)
	m.at.Restored(false)
}

// call does what a delivery does: looks where a create is in doubt, waits for what is in the way, stores the intent, sends.
func (m *model) call(t *rapid.T) {
	if m.at == nil {
		t.Skip("nothing to do")
	}
	if m.create && m.at.InDoubt() && !m.look() {
		return
	}
	if m.create && m.made > 0 { // known by the cross-reference or found just now
		m.end()
		return
	}
	if !m.create && m.at.OthersUntil(m.object(), m.mayArrive) > m.now {
		m.end()
		return
	}
	in := intentOf(m.event, m.epoch)
	if !m.at.Fresh(m.now, ownership) {
		if err := m.at.Opened(m.now, false); err != nil {
			t.Fatal(err)
		}
		m.intents[m.event] = in
	}
	if rapid.Bool().Draw(t, "interrupted") {
		return // whatever comes next comes between the intent and the request
	}
	if err := m.at.Sending(&in); err != nil {
		t.Fatal(err)
	}
	m.request(t, m.event)
	switch rapid.SampledFrom([]string{"answer", "refuse", "lose", "withhold"}).Draw(t, "outcome") {
	case "answer":
		m.apply()
		m.at.Answered()
		m.end()
	case "refuse":
		m.at.Refused()
	case "withhold":
		m.at.Withheld()
	case "lose":
		m.flying = append(m.flying, request{event: m.event, until: m.now + bound})
		m.at.Lost(&in, m.now+bound, true, "")
	}
}

// request checks what must hold before one is made.
func (m *model) request(t *rapid.T, event string) {
	if m.create && m.made > 0 {
		t.Fatalf("%s creates what is there", event)
	}
	for _, r := range m.flying {
		if m.create || r.event != event && !r.forgotten {
			t.Fatalf("%s sends at %v while a request of %s may arrive until %v", event, m.now, r.event, r.until)
		}
	}
}

func (m *model) apply() {
	if m.create {
		m.made++
	}
}

// look asks the target for the object; false: the message rests.
func (m *model) look() bool {
	if m.made > 0 {
		m.at.Looked()
		m.ledger.Found(m.object())
		return true
	}
	if m.at.Underway(m.mayArrive) > m.now {
		m.end()
		return false
	}
	m.at.Looked()
	return true
}

// end stores the fate with what it closes.
func (m *model) end() {
	d := m.at
	m.at = nil
	switch how := d.Ending(); how {
	case CloseAll:
		all := intentOf("", 0)
		m.ledger.Settle(&all, m.now)
		clear(m.intents)
		for i := range m.flying {
			r := &m.flying[i]
			r.forgotten = r.forgotten || !m.create && r.theirs && r.event == m.event
		}
	case CloseOwn:
		own := m.intents[m.event]
		m.ledger.Settle(&own, m.now)
		delete(m.intents, m.event)
	case KeepOwn, Nothing:
		if _, stands := m.intents[m.event]; stands != (how == KeepOwn) {
			m.t.Fatalf("ending %d, and an intent stands: %v", how, stands)
		}
	}
}

// giveUp ends the message undelivered: it is held, or parked.
func (m *model) giveUp(t *rapid.T) {
	if m.at == nil {
		t.Skip("nothing to give up")
	}
	m.end()
}

// leave leaves the message as it was, its intent with it.
func (m *model) leave(t *rapid.T) {
	if m.at == nil {
		t.Skip("nothing to leave")
	}
	in, stands := m.intents[m.event]
	if stands {
		m.at.Leave(&in)
	}
	m.at = nil
}

// crash ends the hub; another one owns the partition, or the same after a restart.
func (m *model) crash(*rapid.T) { m.owner(NewLedger()) }

// handOver takes the partition from the hub and gives it back: what it knows, it still knows.
func (m *model) handOver(*rapid.T) { m.owner(m.ledger) }

// fence replaces a hub that goes on with what it was at.
func (m *model) fence(t *rapid.T) {
	if m.at == nil || m.replaced != nil || !m.at.own.fresh() {
		t.Skip("nothing to go on with")
	}
	m.replaced, m.was = m.at, m.intents[m.event]
	m.owner(NewLedger())
}

func (m *model) owner(l *Ledger) {
	if l != m.ledger {
		for i := range m.flying {
			r := &m.flying[i]
			_, stands := m.intents[r.event]
			r.forgotten = r.forgotten || !stands
		}
	}
	m.epoch, m.taken, m.at, m.ledger = m.epoch+1, m.now, nil, l
}

// goOn lets the replaced hub send what it was about to, while it may still believe that it owns the partition.
func (m *model) goOn(t *rapid.T) {
	if m.replaced == nil {
		t.Skip("nobody was replaced")
	}
	d := m.replaced
	m.replaced = nil
	if m.now >= m.taken+ownership || !d.Fresh(m.now, ownership) {
		return
	}
	if err := d.Sending(&m.was); err != nil {
		t.Fatal(err)
	}
	m.flying = append(m.flying, request{event: m.was.EventID, until: m.now + bound, theirs: true, forgotten: !m.create && m.intents[m.was.EventID].Epoch != m.was.Epoch})
}

// arrive lets a late request be applied.
func (m *model) arrive(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("none is under way")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "which")
	m.flying = slices.Delete(m.flying, i, i+1)
	m.apply()
}

func (m *model) tick(t *rapid.T) {
	m.now += rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, ownership, bound}).Draw(t, "time")
	m.flying = slices.DeleteFunc(m.flying, func(r request) bool { return r.until <= m.now })
}

// check: never two creates; a request that may still arrive is known by an intent that stands or, where its call is settled, by the ledger.
func (m *model) check(t *rapid.T) {
	if m.made > 1 {
		t.Fatalf("the object was created %d times", m.made)
	}
	for _, r := range m.flying {
		if _, stands := m.intents[r.event]; !stands && !r.forgotten && m.ledger.LateUntil(m.object()) < r.until {
			t.Fatalf("a request of %s may arrive until %v, and nobody knows", r.event, r.until)
		}
	}
	for e := range m.intents {
		if m.at == nil && e == m.event {
			if in := m.intents[e]; m.ledger.met(&in) == Refused {
				for _, r := range m.flying {
					if r.event == e && !r.forgotten {
						t.Fatalf("the lost call of %s counts as refused", e)
					}
				}
			}
		}
	}
}

// Whatever comes between, in whatever order: two messages to one object, late answers, hubs that end, are replaced and go on, partitions that
// change hands and come back.
func TestNothingInDoubtIsForgotten(t *testing.T) {
	// What goes wrong takes a certain order of five steps. Who has asked for a number of tries gets it, and other tests keep theirs.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("3000"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
	}
	for name, create := range map[string]bool{"create": true, "update": false} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := &model{t: t, create: create, epoch: 1, ledger: NewLedger(), intents: map[string]state.Intent{}}
				t.Repeat(map[string]func(*rapid.T){"begin": m.begin, "call": m.call, "call again": m.call, "call once more": m.call, "begin again": m.begin, "leave": m.leave, "give up": m.giveUp, "crash": m.crash, "hand over": m.handOver,
					"fence": m.fence, "go on": m.goOn, "arrive": m.arrive, "tick": m.tick, "": m.check})
			})
		})
	}
}
