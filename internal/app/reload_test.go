package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// hubLog collects what a hub says.
type hubLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *hubLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *hubLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func reload(t testing.TB, hub *Hub) *api.Reload {
	t.Helper()
	r, err := hub.Reload(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) > 0 {
		t.Errorf("warnings: %v", r.Warnings)
	}
	return r
}

// TestReloadUnderLoad: while senders push and flows deliver, files of every kind change again and again. Nothing is lost, doubled,
// reordered, parked or answered wrongly, what did not change is not touched, and at the end the last files count.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	var log hubLog
	hub := p.start(&log)
	notes, orders := hub.named([]string{"notes"})[0], hub.named([]string{"orders"})[0]

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var sent atomic.Int64
	const senders, keys = 6, 5
	last := make([]map[string]int, senders)
	for s := range senders {
		last[s] = map[string]int{}
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				path, no := "shop/orders", fmt.Sprintf("S%d-%d", s, n%keys)
				if n%7 == 0 {
					path = "shop/notes"
				}
				doc := document{No: no, Seq: n, Mark: "a"}
				for {
					status, err := push(context.Background(), hub, path, fmt.Sprintf("d-%d-%d", s, n), doc)
					if err != nil {
						t.Errorf("push: %v", err)
						return
					}
					if status == http.StatusAccepted {
						break
					}
					if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
						t.Errorf("a sender at %s was answered %d", path, status)
						return
					}
				}
				sent.Add(1)
				if path == "shop/orders" {
					last[s][no] = n
				}
			}
		})
	}
	progress := func() {
		t.Helper()
		from := sent.Load()
		g.mu.Lock()
		writes := g.writes
		g.mu.Unlock()
		await(t, "traffic", func() bool {
			g.mu.Lock()
			defer g.mu.Unlock()
			return sent.Load() > from+20 && g.writes > writes+5
		})
	}
	progress()
	for _, step := range []struct {
		name                    string
		edit                    func()
		changed, added, removed []string
		systems                 []string
	}{
		{name: "a mapping", edit: func() { p.edit("mappings/orders.yaml", `by: "first"`, `by: "second"`) }, changed: []string{"orders-to-erp"}},
		{name: "a value map", edit: func() { p.write("mappings/values/marks.yaml", strings.Replace(valueFile, "A:", "B:", 1)) }, changed: []string{"orders"}},
		{name: "a flow", edit: func() { p.edit("flows/erp.yaml", "for: 10m", "for: 11m") }, changed: []string{"orders-to-erp"}},
		{name: "a system", edit: func() { p.edit("configs/waybill.yaml", "timeout: 5s", "timeout: 6s") }, changed: []string{"orders-to-erp"}, systems: []string{"erp"}},
		{name: "a new flow", edit: func() {
			p.write("flows/more.yaml", "flow: more\nentity: order\nfrom: {topic: canonical.order}\nto: {topic: canonical.more}\n---\n"+
				"flow: fresh\nentity: order\nfrom: {topic: canonical.fresh}\nto: {topic: canonical.more}\n")
		}, added: []string{"fresh", "more"}},
		{name: "nothing", edit: func() {}},
		{name: "a flow that goes", edit: func() { p.remove("flows/more.yaml") }, removed: []string{"fresh", "more"}},
		{name: "a mapping again", edit: func() { p.edit("mappings/orders.yaml", `by: "second"`, `by: "third"`) }, changed: []string{"orders-to-erp"}},
	} {
		step.edit()
		r := reload(t, hub)
		if !slices.Equal(r.Flows.Changed, step.changed) || !slices.Equal(r.Flows.Added, step.added) || !slices.Equal(r.Flows.Removed, step.removed) || !slices.Equal(r.Systems.Changed, step.systems) {
			t.Errorf("%s: %+v %+v", step.name, r.Flows, r.Systems)
		}
		if st, err := hub.Status(t.Context()); err != nil || st.Plan != r.Plan {
			t.Errorf("%s: the status says %+v (%v), the reload %+v", step.name, st.Plan, err, r.Plan)
		}
		if step.added != nil {
			known, err := hub.store.Logs(t.Context())
			if _, ok := known["canonical.fresh"]; err != nil || !ok {
				t.Error("a flow reads a new topic whose log is not known", err)
			}
		}
		progress()
	}
	// The last mapping has to have its turn with every key.
	stop()
	wg.Wait()
	for s := range senders {
		for no := range last[s] {
			last[s][no]++
			if status, err := push(t.Context(), hub, "shop/orders", "last-"+no, document{No: no, Seq: 1_000_000, Mark: "a"}); err != nil || status != http.StatusAccepted {
				t.Fatalf("%d %v", status, err)
			}
			sent.Add(1)
		}
	}
	st := rest(t, hub)
	if n := st.Totals; n.Unaccounted != 0 || n.Duplicates != 0 || n.Parked != 0 || n.Waiting != 0 || n.Discarded != 0 {
		t.Errorf("totals %+v", n)
	}
	var accepted int64
	for _, f := range st.Flows {
		if f.Name == "orders" || f.Name == "notes" {
			accepted += f.Accepted
		}
	}
	if accepted < sent.Load() {
		t.Errorf("%d were answered 202, and %d are accounted for", sent.Load(), accepted)
	}
	have := g.newest(t)
	for s := range senders {
		for no := range last[s] {
			if d := have[no]; d.Seq != 1_000_000 || d.By != "third" {
				t.Errorf("order %s is %+v at the target", no, d)
			}
		}
	}
	if now := hub.named([]string{"notes"})[0]; now != notes {
		t.Error("a flow that did not change was started again")
	}
	if now := hub.named([]string{"orders"})[0]; now == orders {
		t.Error("a flow whose value map has changed goes on with the old one")
	}
	if audits, err := hub.Audits(t.Context(), state.AuditFilter{Limit: 100}); err != nil || !slices.ContainsFunc(audits, func(a state.Audit) bool {
		return a.Who == "ann" && a.Action == "reload" && strings.HasPrefix(a.Object, "plan/") && strings.Contains(a.Detail, "1 changed")
	}) {
		t.Errorf("audit %+v: %v", audits, err)
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=ERROR") {
			t.Errorf("the log has an error: %s", line)
		}
	}
}

// TestReloadRefused: files that cannot run, and settings that a running hub cannot change, leave everything as it is and say why.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t, newTarget(t).URL)
	var log hubLog
	hub := p.start(&log)
	before := hub.now.Load()
	runners := hub.flows()
	unchanged := func(t *testing.T) {
		t.Helper()
		if hub.now.Load() != before || !slices.Equal(hub.flows(), runners) {
			t.Error("something was changed")
		}
		if status, err := push(t.Context(), hub, "shop/orders", t.Name(), document{No: t.Name(), Seq: 1}); err != nil || status != http.StatusAccepted {
			t.Errorf("a webhook is answered %d %v", status, err)
		}
	}
	refuse := func(t *testing.T) error {
		t.Helper()
		_, err := hub.Reload(t.Context(), "ann")
		if err == nil {
			t.Fatal("taken")
		}
		unchanged(t)
		return err
	}
	t.Run("problems", func(t *testing.T) {
		p.edit("flows/erp.yaml", "map: orders-to-erp", "map: orders-to-crp")
		p.edit("flows/notes.yaml", "entity: contact", "entity: contcat")
		defer p.write("flows/erp.yaml", erpFlow)
		defer p.write("flows/notes.yaml", noteFlow)
		var bad *api.BadFiles
		if !errors.As(refuse(t), &bad) || len(bad.Problems) != 2 {
			t.Fatalf("%+v", bad)
		}
		one := bad.Problems[0]
		if !strings.HasSuffix(one.File, "flows/erp.yaml") || one.Line != 4 || one.Column != 6 || !strings.Contains(one.Message, "orders-to-crp") || !strings.Contains(one.Hint, "orders-to-erp") {
			t.Errorf("%+v", one)
		}
		if text := log.String(); !strings.Contains(text, "flows/erp.yaml:4:6") || !strings.Contains(text, "flows/notes.yaml:2:9") {
			t.Errorf("the log says %s", text)
		}
	})
	t.Run("a restart", func(t *testing.T) {
		p.edit("configs/waybill.yaml", "partitions: 2", "partitions: 3")
		p.edit("configs/waybill.yaml", "hooks: {listen: 127.0.0.1:0}", "hooks: {listen: 127.0.0.1:9}")
		p.edit("flows/erp.yaml", "for: 10m", "for: 12m") // goes with it
		defer func() {
			p.edit("configs/waybill.yaml", "partitions: 3", "partitions: 2")
			p.edit("configs/waybill.yaml", "127.0.0.1:9}", "127.0.0.1:0}")
			p.write("flows/erp.yaml", erpFlow)
		}()
		var restart *api.NeedsRestart
		if !errors.As(refuse(t), &restart) || !slices.Equal(restart.Settings, []string{"broker", "hooks.listen"}) {
			t.Errorf("%+v", restart)
		}
	})
	t.Run("a system that cannot be opened", func(t *testing.T) {
		p.edit("configs/waybill.yaml", "    timeout: 5s\n", "    timeout: 5s\n    tls: {ca: none.pem}\n")
		defer p.edit("configs/waybill.yaml", "    tls: {ca: none.pem}\n", "")
		if err := refuse(t); !strings.Contains(err.Error(), "none.pem") {
			t.Errorf("%v", err)
		}
	})
	t.Run("nobody listens any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := hub.Reload(ctx, "ann"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		unchanged(t)
	})
	t.Run("and then it is taken", func(t *testing.T) {
		p.edit("flows/erp.yaml", "for: 10m", "for: 12m")
		if r := reload(t, hub); !slices.Equal(r.Flows.Changed, []string{"orders-to-erp"}) {
			t.Errorf("%+v", r.Flows)
		}
	})
}

// TestReloadKeepsWhatPeopleDid: a paused flow stays paused when it changes, and goes on when resumed; what a flow that goes has parked is
// still listed, and the flow finds it when it comes back.
func TestReloadKeepsWhatPeopleDid(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	var log hubLog
	hub := p.start(&log)
	send := func(no string, seq int) {
		t.Helper()
		if status, err := push(t.Context(), hub, "shop/orders", fmt.Sprint(no, seq), document{No: no, Seq: seq}); err != nil || status != http.StatusAccepted {
			t.Fatalf("%d %v", status, err)
		}
	}
	flow := func(name string) *api.Flow {
		t.Helper()
		st, err := hub.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range st.Flows {
			if st.Flows[i].Name == name {
				return &st.Flows[i]
			}
		}
		return nil
	}
	if err := hub.Pause(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	send("A", 1)
	p.edit("flows/erp.yaml", "for: 10m", "for: 11m")
	reload(t, hub)
	await(t, "the order to be on the topic", func() bool { f := flow("orders-to-erp"); return f.State == api.StatePaused && f.Lag == 1 })
	if len(g.newest(t)) != 0 {
		t.Error("a paused flow has delivered")
	}
	if err := hub.Resume(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "the order", func() bool { return g.newest(t)["A"].Seq == 1 })

	// A schema that it does not fit parks the next one.
	p.edit("schemas/order.v1.json", `"minLength": 1`, `"minLength": 2`)
	reload(t, hub)
	send("A", 2)
	await(t, "one to be parked", func() bool { f := flow("orders"); return f != nil && f.Parked == 1 })
	p.remove("flows/orders.yaml")
	if r := reload(t, hub); !slices.Equal(r.Flows.Removed, []string{"orders"}) {
		t.Fatalf("%+v", r.Flows)
	}
	if flow("orders") != nil {
		t.Error("a removed flow has a status")
	}
	if status, err := push(t.Context(), hub, "shop/orders", "A3", document{No: "A", Seq: 3}); err != nil || status != http.StatusNotFound {
		t.Errorf("a removed path answers %d %v", status, err)
	}
	queued, err := hub.Queued(t.Context(), state.QueueFilter{Flow: "orders"})
	if err != nil || len(queued) != 1 {
		t.Fatalf("%+v %v", queued, err)
	}
	if f, err := hub.Select(t.Context(), api.Selection{Flow: "orders"}); err != nil || f.Flow != "orders" {
		t.Errorf("what it has left is not found: %+v %v", f, err)
	}
	p.write("flows/orders.yaml", orderFlow)
	p.write("schemas/order.v1.json", schemaFile)
	if r := reload(t, hub); !slices.Equal(r.Flows.Added, []string{"orders"}) {
		t.Fatalf("%+v", r.Flows)
	}
	if err := hub.Mark(t.Context(), state.Wish{ID: queued[0].ID, Mark: state.MarkReplay, Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the parked order", func() bool { return g.newest(t)["A"].Seq == 2 })
	// What is sent on counts as parked until its new fate is stored, which the next flow need not wait for.
	await(t, "its fate to be stored", func() bool { f := flow("orders"); return f != nil && f.Parked == 0 })
	if st := rest(t, hub); st.Totals.Unaccounted != 0 || st.Totals.Parked != 0 {
		t.Errorf("%+v", st.Totals)
	}
}

// TestReloadAndStop: a stop comes through a reload that waits for a slow target, and afterwards nothing is reloaded any more. Reloads
// that are asked for at the same time are made one after the other.
func TestReloadAndStop(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	called, answer := make(chan struct{}, 100), make(chan struct{})
	p := newProject(t, g.URL)
	var log hubLog
	hub := p.start(&log)
	var together sync.WaitGroup
	p.edit("flows/erp.yaml", "for: 10m", "for: 11m")
	changed := make([]int, 3)
	for i := range changed {
		together.Go(func() { changed[i] = len(reload(t, hub).Flows.Changed) })
	}
	together.Wait()
	if slices.Sort(changed); !slices.Equal(changed, []int{0, 0, 1}) {
		t.Errorf("three at the same time changed %v flows", changed)
	}

	g.mu.Lock()
	g.block = func(document) { called <- struct{}{}; <-answer }
	g.mu.Unlock()
	if status, err := push(t.Context(), hub, "shop/orders", "A1", document{No: "A", Seq: 1}); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %v", status, err)
	}
	<-called
	p.edit("flows/erp.yaml", "for: 11m", "for: 12m")
	reloaded, stopped := make(chan error, 1), make(chan error, 1)
	go func() { _, err := hub.Reload(t.Context(), "ann"); reloaded <- err }()
	await(t, "the reload to wait for the call", func() bool { return strings.Count(log.String(), "msg=reloading") == 4 })
	go func() { stopped <- hub.Stop(context.Background()) }()
	<-hub.life.Done()
	close(answer)
	if err := <-reloaded; !errors.Is(err, api.ErrStopping) {
		t.Errorf("the reload that was under way: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := hub.Reload(t.Context(), "ann"); !errors.Is(err, api.ErrStopping) {
		t.Errorf("after the stop: %v", err)
	}
	// The call came back and counts: the next hub, with the new files, has nothing to do.
	again := p.start(&log)
	if st := rest(t, again); st.Totals.Unaccounted != 0 || st.Totals.Delivered != 2 {
		t.Errorf("%+v", st.Totals)
	}
	if n := len(g.newest(t)); n != 1 || g.writes != 1 {
		t.Errorf("%d orders after %d writes", n, g.writes)
	}
}
