package intake

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/webhook"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// holding is a store whose Accept of one flow's rows waits.
type holding struct {
	Store
	flow           string
	begun, release chan struct{}
}

func (h *holding) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if len(rows) > 0 && rows[0].Flow == h.flow {
		h.begun <- struct{}{}
		<-h.release
	}
	return h.Store.Accept(ctx, rows, cur, lease)
}

func source(flow, path string) Source {
	w := standardHook()
	w.Path = path
	return Source{Flow: flow, Entity: "order", System: "crm", Topic: "in." + flow, Key: inboxtest.Field("id"), Webhook: w}
}

// at sends a signed delivery to a path.
func (b *bench) at(path, id string) *httptest.ResponseRecorder {
	const body = `{"id":"1"}`
	return b.serve(webhooktest.Delivery(path, id, b.Clock.Now(), body))
}

// TestChange: while sources change, the paths that stay take deliveries all the time, a path that goes to another flow says that it is to
// be tried again, and whoever was about to be told 202 at a path that goes is still waited for. What is the same is left alone.
func TestChange(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hold := &holding{Store: b.Store, flow: "gone", begun: make(chan struct{}), release: make(chan struct{})}
		in, err := Start(Config{Store: hold, Publisher: b.Topic, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen, Holder: "hub", LeaseTTL: time.Hour,
			Sources: []Source{source("same", "a/same"), source("changed", "a/changed"), source("gone", "a/gone"), source("left", "a/moved")}})
		if err != nil {
			t.Fatal(err)
		}
		b.intake = in
		same, changed := in.find("same"), in.find("changed")

		fresh := source("changed", "a/changed")
		fresh.Webhook.Split = "orders"
		c, err := in.Prepare([]Source{source("same", "a/same"), fresh, source("taker", "a/moved"), source("new", "a/new")}, func(flow string) bool { return flow == "same" })
		if err != nil {
			t.Fatal(err)
		}
		webhooktest.WantAnswer(t, b.at("a/moved", "m0"), http.StatusAccepted, "accepted") // nothing has happened yet

		answered := make(chan *httptest.ResponseRecorder, 1)
		go func() { answered <- b.at("a/gone", "g1") }()
		<-hold.begun
		closed := make(chan error, 1)
		go func() { closed <- c.Close(context.Background()) }()
		b.Await("the path to be gone", func() bool {
			return b.serve(httptest.NewRequest(http.MethodGet, webhook.PathPrefix+"a/gone", nil)).Code == http.StatusNotFound
		})
		webhooktest.WantAnswer(t, b.at("a/gone", "g2"), http.StatusNotFound, "nothing is received")
		if w := b.at("a/moved", "m1"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("a path between two flows answers %d %v", w.Code, w.Header())
		}
		webhooktest.WantAnswer(t, b.at("a/changed", "c1"), http.StatusAccepted, "accepted")
		webhooktest.WantAnswer(t, b.at("a/same", "s1"), http.StatusAccepted, "accepted")
		webhooktest.WantAnswer(t, b.at("a/new", "n1"), http.StatusNotFound, "nothing is received")
		if len(closed) > 0 {
			t.Fatal("the relay of a flow was ended before a request of it was answered")
		}
		close(hold.release)
		webhooktest.WantAnswer(t, <-answered, http.StatusAccepted, "accepted")
		for len(closed) == 0 {
			b.Clock.Advance(5 * time.Millisecond) // Close looks again
			yield()
		}
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		webhooktest.WantAnswer(t, b.at("a/changed", "c2"), http.StatusAccepted, "accepted")

		c.Open()
		for path, status := range map[string]int{"a/same": 202, "a/changed": 202, "a/moved": 202, "a/new": 202, "a/gone": 404} {
			if w := b.at(path, "after"); w.Code != status {
				t.Errorf("%s answers %d afterwards", path, w.Code)
			}
		}
		if in.find("same") != same {
			t.Error("what did not change was begun anew")
		}
		if in.find("changed") == changed || in.find("gone") != nil {
			t.Error("what changed is as before")
		}
		// What was accepted when the old relay had ended is carried by the new one, also what came in under the old definition.
		b.Turn("both to be relayed", func() bool {
			rows, err := b.Store.Unpublished(t.Context(), "changed", 10, 1<<20)
			return err == nil && len(rows) == 0
		})
		var ids []string
		for _, no := range b.Refused() {
			ids = append(ids, no.ID+" "+no.Refused.Code)
		}
		if !slices.Contains(ids, "c2 "+event.RefusedSplit) || !slices.Contains(ids, "after "+event.RefusedSplit) { // their list is not there
			t.Errorf("refused %v", ids)
		}
	})
}

// TestChangeRefused: a source that is not complete changes nothing.
func TestChangeRefused(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		in := b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		open := source("open", "a/open")
		open.Webhook.Verify.Secrets = nil
		for name, sources := range map[string][]Source{
			"a verification that refuses nobody": {open},
			"a path twice":                       {source("one", "a/b"), source("two", "a/b")},
			"a flow twice":                       {source("one", "a/b"), source("one", "a/c")},
			"a flow without a source":            {{Flow: "one", System: "crm", Topic: "in.one"}},
		} {
			if _, err := in.Prepare(sources, func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), "flow ") {
				t.Errorf("%s: %v", name, err)
			}
		}
		webhooktest.WantAnswer(t, b.post("d1", `{"id":"1"}`), http.StatusAccepted, "accepted")
		b.Turn("the event", func() bool { return b.Topic.Count() == 1 })
	})
}

// TestStopMarksWhatIsPublished: what a relay has given to the broker when the hub stops in order is also marked, and does not come twice.
func TestStopMarksWhatIsPublished(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		sending, release := make(chan struct{}, 1), make(chan struct{})
		b.Topic.Refuse = func(event.Record) error {
			sending <- struct{}{}
			<-release
			return nil
		}
		b.Accept(inboxtest.Inbound("d1", `{"id":"a"}`))
		in := b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		<-sending
		stopped := make(chan error, 1)
		go func() { stopped <- in.Stop(context.Background()) }()
		<-in.ctx.Done()
		close(release)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if n := b.Unpublished(); n != 0 || b.Topic.Count() != 1 {
			t.Errorf("%d rows are not marked, %d records", n, b.Topic.Count())
		}
	})
}
