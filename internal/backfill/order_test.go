package backfill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/submit"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// hurried is a clock on which every wait is over at once.
type hurried struct{ at time.Duration }

func (h *hurried) Now() time.Time         { return time.Unix(1_800_000_000, 0).Add(h.at) }
func (h *hurried) Elapsed() time.Duration { return h.at }
func (h *hurried) NewTimer(d time.Duration) lifecycle.Timer {
	h.at += max(d, 0)
	c := make(chan time.Time, 1)
	c <- h.Now()
	return over{c}
}

type over struct{ c chan time.Time }

func (o over) C() <-chan time.Time      { return o.c }
func (o over) Stop() bool               { return true }
func (o over) Reset(time.Duration) bool { return true }

// Ways in which live changes come, and what orders them.
const (
	byStamps   = "polled, by stamps that several changes share"
	byHooks    = "webhooks, by the order of acceptance"
	byDocument = "webhooks, by a version in the document that several changes share"
	unstamped  = "polled, without versions"
)

// thing is the state of an object. rev counts the changes of all objects, stamp is coarser.
type thing struct {
	ID    string `json:"id"`
	Rev   int    `json:"rev"`
	Stamp int    `json:"stamp"`
}

func (s thing) doc() []byte {
	b, _ := json.Marshal(s)
	return b
}

// world is a system, the live way of its changes, the hub's inbox and a target, on one goroutine: what happens between two steps of a backfill is up to
// the dice.
type world struct {
	t     *testing.T
	ctx   context.Context
	dice  *rand.Rand
	how   string
	store *store.Store
	door  *submit.Door
	clock *hurried
	src   intake.Source
	relay state.Lease

	there map[string]thing
	rev   int
	calm  bool
	since time.Time
	quiet bool // nothing happens by itself
	// before is called before a submission.
	before func()
	near   string // the backfill's cursor
	// coarse is how many changes share a stamp, and most how many there are.
	coarse, most int
	// taken is what polls have taken, seen what a poll has read and not committed, hooks what senders have still to deliver.
	taken map[string]thing
	seen  []thing
	hooks []thing

	target  map[string]thing
	applied map[string]string // version, by object
	done    map[string]bool   // events, by id
	// back counts states that were overwritten by older ones of the same version, for the time being.
	back int
}

var errKilled = errors.New("killed")

func newWorld(t *testing.T, seed uint64, how string) *world {
	w := &world{t: t, ctx: t.Context(), dice: rand.New(rand.NewPCG(seed, 1)), how: how, clock: &hurried{}, there: map[string]thing{}, taken: map[string]thing{}, target: map[string]thing{},
		applied: map[string]string{}, done: map[string]bool{}}
	w.coarse, w.most = 1+w.dice.IntN(40), 16+w.dice.IntN(160)
	var err error
	if w.store, err = store.Open(w.ctx, store.Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	if w.relay, _, err = w.store.AcquireLease(w.ctx, "relay/things", "hub", 1000*time.Hour); err != nil {
		t.Fatal(err)
	}
	id := func(_ context.Context, in inbox.Input) (string, error) {
		return in.Doc.Root().Get("id").Str(), nil
	}
	w.src = intake.Source{Flow: "things", Entity: "thing", System: "crm", Topic: "in.things", Key: id, ID: id, Lists: &intake.Lists{Lister: w, Object: "thing", Limit: 3}, Finder: &intake.Finder{System: w, Object: "thing"},
		Versioned: how == byDocument}
	if how == byStamps || how == unstamped {
		w.src.Poll = &intake.Poll{}
	} else {
		w.src.Webhook = &webhook.Endpoint{}
	}
	if w.dice.IntN(4) == 0 {
		w.src.Finder = nil // then the page is read again
	}
	w.door = submit.New(submit.Config{Inbox: w.store, Clock: lifecycle.Real(), Observer: silent{}, Wake: func(string) {}})
	w.door.Open([]submit.Flow{{Name: "things", Entity: "thing", System: "crm", Topic: "in.things", Keyed: true}})
	for i := range 8 {
		w.change(strconv.Itoa(100 + i))
	}
	return w
}

type silent struct{}

func (silent) Submitted(string, event.Trigger, int) {}

func (w *world) no(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// change changes an object, or makes it.
func (w *world) change(id string) {
	w.rev++
	s := thing{ID: id, Rev: w.rev, Stamp: w.rev / w.coarse}
	w.there[id] = s
	if w.src.Webhook != nil {
		w.hooks = append(w.hooks, s)
	}
}

// some lets a few things happen.
func (w *world) some() {
	if w.quiet {
		return
	}
	for range w.dice.IntN(5) {
		w.step()
	}
}

func (w *world) step() {
	switch n := w.dice.IntN(8); {
	case n < 3 && !w.calm && w.rev < w.most:
		ids := slices.Sorted(maps.Keys(w.there))
		if at, _ := slices.BinarySearch(ids, w.near+"~"); at < len(ids) && w.dice.IntN(2) == 0 {
			ids = ids[at:min(at+3, len(ids))] // the page that is worked off
		}
		w.change(ids[w.dice.IntN(len(ids))])
	case n == 3 && w.dice.IntN(2) == 0 && !w.calm && w.rev < w.most:
		w.change(strconv.Itoa(100 + w.dice.IntN(20)))
	case n < 6:
		w.live()
	default:
		w.engine(1 + w.dice.IntN(3))
	}
}

// live brings a change in: a poll reads, or what it has read is committed, or a webhook comes.
func (w *world) live() {
	switch {
	case w.src.Webhook != nil && len(w.hooks) > 0:
		w.accept(w.hooks[:1])
		w.hooks = w.hooks[1:]
	case w.src.Poll != nil && w.seen == nil:
		for _, id := range slices.Sorted(maps.Keys(w.there)) {
			if w.taken[id] != w.there[id] {
				w.seen = append(w.seen, w.there[id])
			}
		}
	case w.src.Poll != nil:
		for _, s := range w.seen {
			w.taken[s.ID] = s
		}
		w.accept(w.seen)
		w.seen = nil
	}
}

func (w *world) accept(all []thing) {
	rows := make([]state.Inbound, len(all))
	for i, s := range all {
		id := fmt.Sprintf("live/%d", s.Rev)
		rows[i] = state.Inbound{Flow: "things", ID: id, DeliveryID: id, Body: s.doc(), Received: w.clock.Now()}
		if w.src.Poll != nil {
			rows[i].Headers = map[string]string{inbox.HeaderLocal: s.ID}
		}
		if w.how == byStamps {
			rows[i].Headers[inbox.HeaderVersion] = strconv.Itoa(s.Stamp)
		}
	}
	_, _, err := w.store.Accept(w.ctx, rows, nil, nil)
	w.no(err)
}

// engine decides the oldest rows of the inbox, as the guards do: what is older than what was applied is left out, what has the same version counts in the
// order in which it comes.
func (w *world) engine(n int) (left int) {
	rows, err := w.store.Unpublished(w.ctx, "things", 1000, 0)
	w.no(err)
	for i := range rows[:min(n, len(rows))] {
		r := &rows[i]
		var s thing
		w.no(json.Unmarshal(r.Body, &s))
		version := strconv.FormatInt(r.Seq, 10)
		if r.Event != nil {
			version = cmp.Or(r.Event.Version, version)
		} else {
			version = cmp.Or(r.Headers[inbox.HeaderVersion], version)
		}
		if w.how == byDocument {
			version = strconv.Itoa(s.Stamp)
		}
		if w.done[r.ID] {
			w.t.Errorf("%s is decided twice", r.ID)
		}
		w.done[r.ID] = true
		if before, ok := w.applied[s.ID]; !ok || event.CompareVersions(version, before) >= 0 {
			// A webhook, or a page of a poll, that was read before and comes late is the live way's own matter: the next one mends it.
			if was := w.target[s.ID]; was.Rev > s.Rev && r.Event != nil {
				if event.CompareVersions(version, before) > 0 {
					w.t.Errorf("object %s: revision %d is overwritten by %d of the backfill, which calls itself newer (%s, %s before)", s.ID, was.Rev, s.Rev, version, before)
				}
				w.back++
			}
			w.applied[s.ID], w.target[s.ID] = version, s
		}
		w.no(w.store.MarkPublished(w.ctx, w.relay, []state.Published{{Seq: r.Seq}}, nil))
	}
	return max(0, len(rows)-n)
}

func (w *world) record(s thing) connector.Record {
	r := connector.Record{Local: s.ID, Doc: s.doc()}
	if w.how == byStamps {
		r.Version = strconv.Itoa(s.Stamp)
	}
	return r
}

// Poll reads a page behind an id.
func (w *world) Poll(_ context.Context, r connector.PollRequest) (connector.Page, error) {
	var p connector.Page
	for _, id := range slices.Sorted(maps.Keys(w.there)) {
		if id <= r.Cursor {
			continue
		}
		if len(p.Records) == r.Limit {
			p.More = true
			break
		}
		p.Records, p.Cursor = append(p.Records, w.record(w.there[id])), id
	}
	return p, nil
}

func (w *world) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	if s, ok := w.there[l.Local]; ok {
		return []connector.Record{w.record(s)}, nil
	}
	return nil, nil
}

// List reads some at a time, and gives them one by one.
func (w *world) List(context.Context, string, time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		for cursor := ""; ; {
			p, _ := w.Poll(w.ctx, connector.PollRequest{Cursor: cursor, Limit: 5})
			for _, r := range p.Records {
				if !yield(r, nil) {
					return
				}
			}
			if cursor = p.Cursor; !p.More {
				return
			}
		}
	}
}

func (w *world) Probe(context.Context) error { return nil }
func (w *world) Close() error                { return nil }

// backfill runs one to its end, and kills it now and then on its way: another process goes on from what was kept.
func (w *world) backfill(id int64, kills int) {
	w.t.Helper()
	b := state.Backfill{ID: id, Flow: "things", Who: "ann"}
	for {
		b.Attempt++
		l, err := intake.NewListing(&w.src, w.store, w.since)
		w.no(err)
		k := &keeper{w: w, place: b.Place, p: b.Progress, after: -1}
		if b.Attempt <= kills {
			k.after = w.dice.IntN(60)
		}
		err = New(Config{Source: between{l, k}, Hub: k, Keeper: k, Clock: w.clock, About: "crm/thing"}, b).Do(w.ctx)
		l.Close()
		if b.Place, b.Progress = k.place, k.p; err == nil {
			return
		}
		if !errors.Is(err, errKilled) {
			w.t.Fatal(err)
		}
	}
}

// keeper is the hub around a backfill; each call is a place where others get their turn, and where it may be killed: before the call, or after.
type keeper struct {
	w     *world
	place state.BackfillPlace
	p     state.BackfillProgress
	after int // calls until it is killed; negative: it is not
}

func (k *keeper) around(op func() error) error {
	if k.after == 0 {
		return errKilled
	}
	k.w.some()
	err := op()
	k.w.some()
	if k.after--; k.after == 0 && err == nil {
		return errKilled
	}
	return err
}

func (k *keeper) Save(_ context.Context, place state.BackfillPlace, p state.BackfillProgress) error {
	return k.around(func() error { k.place, k.p, k.w.near = place, p, place.Cursor; return nil })
}
func (k *keeper) Told(state.BackfillProgress) {}
func (k *keeper) Now(ctx context.Context) (n int64, err error) {
	err = k.around(func() (err error) { n, err = k.w.store.NextInbox(ctx); return err })
	return n, err
}
func (k *keeper) Submit(ctx context.Context, events []event.Event, by event.Submission) (r submit.Receipt, err error) {
	if k.w.before != nil {
		k.w.before()
	}
	err = k.around(func() (err error) { r, err = k.w.door.Submit(ctx, "things", events, by); return err })
	return r, err
}
func (k *keeper) Clear(context.Context) (text string, err error) {
	err = k.around(func() error { return nil })
	return "", err
}
func (k *keeper) Through(ctx context.Context, m *Mark) (done bool, text string, err error) {
	err = k.around(func() error {
		k.w.engine(2)
		n, err := k.w.store.UnpublishedUpTo(ctx, "things", m.Inbox)
		done = n == 0
		return err
	})
	return done, "", err
}

// between lets others have their turn around each question to the source as well.
type between struct {
	*intake.Listing
	k *keeper
}

func (b between) Page(ctx context.Context, cursor string, asOf int64) (p *intake.ListPage, err error) {
	err = b.k.around(func() (err error) { p, err = b.Listing.Page(ctx, cursor, asOf); return err })
	return p, err
}

func (b between) Again(ctx context.Context, cursor string, locals []string, asOf int64) (out []intake.Listed, err error) {
	err = b.k.around(func() (err error) { out, err = b.Listing.Again(ctx, cursor, locals, asOf); return err })
	return out, err
}

func (b between) Touched(ctx context.Context, asOf int64, own string) (t *intake.Touched, err error) {
	err = b.k.around(func() (err error) { t, err = b.Listing.Touched(ctx, asOf, own); return err })
	return t, err
}

// TestOrder: however live changes and a backfill come between each other, and wherever it is killed, the target holds in the end what the system holds,
// nothing that calls itself newer is older, and nothing is decided twice.
func TestOrder(t *testing.T) {
	seeds := 32
	if testing.Short() {
		seeds = 12
	}
	for _, how := range []string{byStamps, byHooks, byDocument, unstamped} {
		t.Run(strings.Fields(how)[0]+" "+strings.Fields(how)[len(strings.Fields(how))-1], func(t *testing.T) {
			t.Parallel()
			back, loaded := 0, 0
			for seed := range uint64(seeds) {
				w := newWorld(t, seed, how)
				if seed%3 == 0 { // what was there before the flow was is known to nobody
					w.hooks = nil
					if w.src.Poll != nil {
						maps.Copy(w.taken, w.there)
					}
				}
				if seed%4 == 1 { // then it is listed
					w.since = time.Unix(1, 0)
				}
				w.backfill(1, int(seed%4))
				if seed%5 == 0 {
					w.backfill(2, 1)
				}
				w.calm = true
				for range 3 { // what is under way comes in
					w.live()
					w.live()
					for len(w.hooks) > 0 {
						w.live()
					}
				}
				for w.engine(1000) > 0 {
				}
				for id, s := range w.there {
					if w.target[id] != s {
						t.Errorf("seed %d: the system holds %+v, and the target %+v", seed, s, w.target[id])
					}
				}
				for id := range w.done {
					if strings.HasPrefix(id, "submitted/") {
						loaded++
					}
				}
				back += w.back
				if t.Failed() {
					return
				}
				_ = w.store.Close()
			}
			t.Logf("%d events of backfills; %d times a state was overwritten by an older one of the same version, until the look behind", loaded, back)
			if loaded == 0 {
				t.Error("nothing was loaded")
			}
		})
	}
}
