package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// lab is a system whose records are what the test says: every poll shows all of them.
type lab struct {
	mu      sync.Mutex
	records []connector.Record
	polls   int
}

func (*lab) Spec() connector.Spec {
	return connector.Spec{Kind: "lab", Can: connector.Abilities{Poll: true}}
}
func (*lab) Check(connector.Settings, *strictyaml.Problems) {}
func (l *lab) Open(context.Context, connector.Settings) (connector.System, error) {
	return l, nil
}
func (*lab) Probe(context.Context) error { return nil }
func (*lab) Close() error                { return nil }

func (l *lab) Poll(context.Context, connector.PollRequest) (connector.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.polls++
	return connector.Page{Records: slices.Clone(l.records), Cursor: "c"}, nil
}

func (l *lab) show(records ...connector.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = records
}

func (l *lab) seen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.polls
}

const labFlow = `flow: measurements
entity: order
from: {system: lab, poll: {every: 1s}}
accept: order.v1
key: source.no
version: source.seq
to: {topic: canonical.order}
`

func measured(no string, seq int, why error) connector.Record {
	return connector.Record{Local: no, Version: fmt.Sprint(seq), Doc: fmt.Appendf(nil, `{"no":%q,"seq":%d}`, no, seq), Err: why}
}

func ofFlow(t *testing.T, st *api.Status, name string) api.Flow {
	t.Helper()
	for _, f := range st.Flows {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no flow %s", name)
	return api.Flow{}
}

// refusals are the parked messages of a flow that the intake has refused, by event id.
func refusals(t *testing.T, h *Hub, flow string) map[string]state.Queued {
	t.Helper()
	rows, err := h.Listed(t.Context(), state.QueueFilter{Flow: flow}, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]state.Queued{}
	for i := range rows {
		if q := rows[i].Queued; q.Event.Refused != nil {
			out[q.Event.ID] = q
		}
	}
	return out
}

// Records of a poll that cannot be read, or that no topic takes, park alone, whole, and once, however often they are shown and the hub is started;
// edited they take the way of all others, and the equation holds throughout.
func TestRefusedRecordsOfAPoll(t *testing.T) {
	t.Parallel()
	target, source := newTarget(t), &lab{}
	p := newProject(t, target.URL)
	p.kinds = []connector.Kind{source}
	p.edit("configs/waybill.yaml", "systems:\n", "systems:\n  lab: {connector: lab}\n")
	p.edit("configs/waybill.yaml", "hooks: {", "hooks: {max-body: 256KiB, ") // topics take a little more than that
	p.write("flows/measurements.yaml", labFlow)
	large := measured("L", 1, nil)
	large.Doc = fmt.Appendf(nil, `{"no":"L","seq":1,"by":%q}`, strings.Repeat("x", 1_200_000))
	source.show(measured("A", 1, nil), measured("B", 1, errors.New("column amount: NaN is no number")), large, measured("C", 1, nil))
	hub := p.start(io.Discard)
	await(t, "two to be delivered and two to be parked", func() bool {
		st, err := hub.Status(t.Context())
		return err == nil && st.AtRest() && ofFlow(t, st, "orders-to-erp").Delivered == 2 && ofFlow(t, st, "measurements").Parked == 2
	})
	first := refusals(t, hub, "measurements")
	if err := hub.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	hub = p.start(io.Discard)
	polls := source.seen()
	await(t, "more polls", func() bool { return source.seen() > polls+2 })
	parked := refusals(t, hub, "measurements")
	if len(parked) != 2 || len(first) != 2 {
		t.Fatalf("parked %v", parked)
	}
	for id, q := range parked {
		shown, err := hub.QueuedByID(t.Context(), q.ID, false, "ann")
		if err != nil || q.ID != first[id].ID {
			t.Fatalf("%s: %v", id, err)
		}
		doc, seq := string(shown.Queued.Event.Data), "2"
		switch {
		case q.Code == event.RefusedRow && strings.HasPrefix(id, "B@") && strings.Contains(q.Reason, "NaN is no number") && doc == `{"no":"B","seq":1}`:
		case q.Code == event.RefusedRecord && q.Event.Key == "L" && doc == string(large.Doc):
			seq = "3"
		default:
			t.Errorf("parked %s %+v: %.100s", id, q, doc)
		}
		would, err := hub.Edit(t.Context(), state.Edit{ID: q.ID, Data: fmt.Appendf(nil, `{"no":%q,"seq":%s}`, id[:1], seq), Who: "ann", Note: "mended", Replay: true})
		if err != nil || would.Outcome != string(state.Delivered) {
			t.Errorf("%s: a replay would come to %+v, %v", id, would, err)
		}
	}
	await(t, "all to be delivered", func() bool { return len(target.newest(t)) == 4 })
	st := rest(t, hub)
	if f := ofFlow(t, st, "measurements"); f.Accepted != 4 || f.Delivered != 4 || f.Parked != 0 || f.Unaccounted != 0 || st.Totals.Duplicates != 0 {
		t.Errorf("measurements %+v of %+v", f, st.Totals)
	}
	if got := target.newest(t); got["B"].Seq != 2 || got["L"].Seq != 3 {
		t.Errorf("the target has %v", got)
	}
}

// A delivery without a key waits for a person beside a key that has its id as its name, which goes on. A reload that mends the flow's key is
// enough for a replay.
func TestRefusedDeliveryAndReload(t *testing.T) {
	t.Parallel()
	target := newTarget(t)
	p := newProject(t, target.URL)
	hub := p.start(io.Discard)
	must := func(delivery string, doc document) {
		t.Helper()
		if code, err := push(t.Context(), hub, "shop/orders", delivery, doc); err != nil || code != 202 {
			t.Fatalf("%s: %d, %v", delivery, code, err)
		}
	}
	must("SO-1", document{Seq: 1, Mark: "SO-7"})
	await(t, "the refusal", func() bool { return len(refusals(t, hub, "orders")) == 1 })
	must("d2", document{No: "SO-1", Seq: 1})
	await(t, "the key of that name", func() bool { return len(target.newest(t)) == 1 })
	q := refusals(t, hub, "orders")["SO-1"]
	replay := func() {
		t.Helper()
		if err := hub.Mark(t.Context(), state.Wish{ID: q.ID, Mark: state.MarkReplay, Who: "ann", Note: "again"}); err != nil {
			t.Fatal(err)
		}
	}
	replay()
	await(t, "it to be refused again", func() bool {
		q := refusals(t, hub, "orders")["SO-1"]
		return q.Mark == "" && q.Attempts == 2 && q.Code == event.RefusedKey
	})
	p.edit("flows/orders.yaml", "key: source.no", `key: 'source.no != "" ? source.no : header("X-Delivery") + "/" + source.mark'`)
	if _, err := hub.Reload(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	replay()
	await(t, "it to have its key", func() bool { return len(refusals(t, hub, "orders")) == 0 })
	st := rest(t, hub)
	if f := ofFlow(t, st, "orders"); f.Accepted != 2 || f.Unaccounted != 0 || f.Parked != 1 {
		t.Errorf("orders %+v", f)
	}
}
