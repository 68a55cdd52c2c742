package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Times of the event stream: how often it is looked whether something has changed, from when that was asked for last, when a listener hears of the hub although nothing has, and when a
// stream ends so that the listener comes again, to whichever hub answers then.
const (
	pulseEvery  = 500 * time.Millisecond
	beatEvery   = 15 * time.Second
	streamLasts = 10 * time.Minute
	// streamPatience is how long a listener may take to read one event.
	streamPatience = 10 * time.Second
)

// mostStreams is how many listeners one hub has.
const mostStreams = 256

// Pulse is what the event stream tells each time that something has changed, twice a second at most: enough to see whether it is worth while to ask for more.
type Pulse struct {
	Time    time.Time     `json:"time"`
	Plan    string        `json:"plan"` // the hash of the files
	Summary Summary       `json:"summary"`
	Totals  Totals        `json:"totals"`
	Flows   []PulseFlow   `json:"flows"`
	Systems []PulseSystem `json:"systems"`
}

// PulseFlow is one flow's part of a pulse.
type PulseFlow struct {
	Name      string `json:"name"`
	State     string `json:"state"`
	Delivered int64  `json:"delivered"`
	InFlight  int64  `json:"in_flight"`
	Parked    int64  `json:"parked"`
	Waiting   int64  `json:"waiting"`
}

// PulseSystem is one system's part of a pulse.
type PulseSystem struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

func pulseOf(st *Status) *Pulse {
	p := &Pulse{Time: st.Time, Plan: st.Plan.Hash, Summary: st.Summary, Totals: st.Totals, Flows: []PulseFlow{}, Systems: []PulseSystem{}}
	for i := range st.Flows {
		f := &st.Flows[i]
		p.Flows = append(p.Flows, PulseFlow{Name: f.Name, State: f.State, Delivered: f.Delivered, InFlight: f.InFlight, Parked: f.Parked, Waiting: f.Waiting})
	}
	for i := range st.Systems {
		p.Systems = append(p.Systems, PulseSystem{Name: st.Systems[i].Name, State: st.Systems[i].State})
	}
	return p
}

// glance is the status as it was a moment ago, or why there was none, for all who look at the same time. It is replaced as a whole, never changed.
type glance struct {
	turn  chan struct{} // of capacity one: held by whoever looks or asks; it holds what follows
	seen  seen
	until time.Duration // by the clock's Elapsed: so long it is of now
	of    int64         // what changes was when it was asked; 0: it was not

	changes atomic.Int64 // by people, from 1
	news    atomic.Int64 // as News tells
}

// seen is what was seen in one glance.
type seen struct {
	status *Status
	err    error
	told   *told
	next   time.Duration // by the clock's Elapsed: when streams look again
}

// told is what the streams tell of a glance. One that tells the same as the one before, but for its time, has its number.
type told struct {
	number int64 // from 1
	name   string
	same   []byte // what is compared: all but the time
	text   string // the event
}

func (g *glance) init() {
	g.turn = make(chan struct{}, 1)
	g.changes.Store(1)
}

// steady is how long a status is that of now, for pages and streams that share it, from when it was asked for. One that takes long to be told is so for as long again, up to this: a hub
// that has much to do is not always asked.
const steady = 400 * time.Millisecond

// look gives the status of now, or of a moment ago where several look.
func (s *Server) look(ctx context.Context) (*Status, error) {
	now := s.see(ctx)
	return now.status, now.err
}

// see gives what is to be seen now, or what was a moment ago where several look. What cannot be told is the same for all of them: a store that takes seconds to say nothing is asked once,
// not by each listener behind the other.
func (s *Server) see(ctx context.Context) seen {
	g := &s.glance
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return seen{err: context.Cause(ctx)}
	}
	of, began := g.changes.Load(), s.cfg.Clock.Elapsed()
	if g.of == of && began < g.until {
		return g.seen
	}
	st, err := s.newStatus(ctx)
	if ctx.Err() != nil { // it was this one that did not wait
		return seen{status: st, err: err}
	}
	ended := s.cfg.Clock.Elapsed()
	g.until = max(began+steady, ended+min(ended-began, steady))
	g.seen, g.of = seen{status: st, err: err, told: tell(st, err, g.seen.told), next: g.until + pulseEvery - steady}, of
	g.news.Add(1)
	return g.seen
}

// tell is what the streams tell of a status, or of why there is none.
func tell(st *Status, trouble error, before *told) *told {
	t := &told{name: "pulse"}
	var of, at any
	if trouble != nil {
		t.name = "trouble"
		of = Problem{Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: trouble.Error()}
		at = of
	} else {
		p := pulseOf(st)
		of = *p
		p.Time = time.Time{} // that alone is no change
		at = p
	}
	same, err := json.Marshal(at)
	if err != nil {
		panic(err) // both forms are made of texts, numbers and times of this age
	}
	t.number = 1
	if before != nil {
		t.number = before.number
		if before.name != t.name || !bytes.Equal(before.same, same) {
			t.number++
		}
	}
	data, err := json.Marshal(of)
	if err != nil {
		panic(err)
	}
	t.same, t.text = same, "event: "+t.name+"\ndata: "+string(data)+"\n\n"
	return t
}

// forgetGlance has the next page show what a person has just changed.
func (s *Server) forgetGlance() {
	s.glance.changes.Add(1)
	s.glance.news.Add(1)
}

// News grows each time that the hub has looked how it does, and each time that a person has changed something: what was made before is not of now.
func (s *Server) News() int64 { return s.glance.news.Load() }

// streams counts listeners.
type streams struct {
	mu sync.Mutex
	n  int
}

func (s *streams) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= mostStreams {
		return false
	}
	s.n++
	return true
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
}

// events streams pulses as server-sent events named "pulse", until the listener goes, may not ask any more, or is to come again.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if !s.streams.enter() {
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d listen already: ask for /api/v1/status now and then", mostStreams))
		return
	}
	defer s.streams.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	to := &eventWriter{w: w, rc: http.NewResponseController(w)}
	_ = to.rc.SetReadDeadline(time.Time{}) // the listener's own limit is for requests; a writer that has none needs no other
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	w.WriteHeader(http.StatusOK)
	began := s.cfg.Clock.Elapsed()
	spoke, asked := began, began
	for s.cfg.Clock.Elapsed()-began < streamLasts {
		told, next, err := s.pulse(ctx, to)
		now := s.cfg.Clock.Elapsed()
		if told {
			spoke = now
		}
		if err == nil && now-asked >= beatEvery { // however much there is to tell
			asked = now
			if _, no := s.admit(r, access.Need{Role: access.Viewer, Scope: access.Status}); no != nil { // its token was taken away, or its session is over
				return
			}
		}
		if err == nil && now-spoke >= beatEvery {
			spoke = now
			err = to.write(": the hub lives\n\n")
		}
		if err != nil || lifecycle.Sleep(ctx, s.cfg.Clock, next-now) != nil {
			return
		}
	}
}

// pulse tells a listener what has changed since it was told last, if anything, and when to look again: all listeners look at the same time. A hub that cannot tell its status says so.
func (s *Server) pulse(ctx context.Context, to *eventWriter) (told bool, next time.Duration, err error) {
	now := s.see(ctx)
	if ctx.Err() != nil {
		return false, 0, context.Cause(ctx)
	}
	if now.told.number == to.last {
		return false, now.next, nil
	}
	to.last = now.told.number
	return true, now.next, to.write(now.told.text)
}

type eventWriter struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	last int64 // the number of what it was told; 0: nothing
}

func (w *eventWriter) write(text string) error {
	_ = w.rc.SetWriteDeadline(time.Now().Add(streamPatience)) // a writer that has no deadline waits for nobody
	if _, err := w.w.Write([]byte(text)); err != nil {
		return err
	}
	return w.rc.Flush()
}

// Close ends the streams, so that the listener can stop.
func (s *Server) Close() { s.end() }

// writesOf has what is shown be asked anew after a write.
func (s *Server) writesOf(next actor) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		defer s.forgetGlance()
		next(w, r, who)
	}
}

// Visitor is who a request of the pages is from.
func Visitor(r *http.Request) access.Visitor { return access.Of(r.Context()) }
