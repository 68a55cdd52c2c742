// Package console measures the console and the API of a hub that holds very much: every page and every list, searches, how soon an event is on the screen. The hub is a
// process of its own, on a store that was filled beforehand.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/process"
	"github.com/waybill-hub/waybill/internal/bench/road"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// Options say what is measured.
type Options struct {
	// Rows is how much the journal is to hold, in lots of 10,000; Parked how many messages are parked.
	Rows, Parked int64
	// Rounds is how often each page is asked, and each kind of search; Events how many events are sent while a page is open.
	Rounds, Events int
	// Postgres is the URL of an empty database; "": SQLite, in Dir.
	Postgres string
	// Dir takes the hub's files and data. A store that an earlier run has filled there, or in Postgres, is taken as it is.
	Dir string
	// Only are the pages that are asked, by the beginnings of their names; empty: all.
	Only     string
	Out, Log io.Writer
}

// Limits of what is no remark worth: of a page's p95, and of a search's.
const (
	pageLimit   = 100 * time.Millisecond
	searchLimit = 200 * time.Millisecond
	eventLimit  = time.Second
)

// Result is what the last line tells: the p95 of the page, and of the kind of search, that takes longest.
type Result struct {
	Rows         int64
	Page, Search time.Duration
	Slow         []string // pages and searches beyond their limit
	Event        time.Duration
}

// String is the result line.
func (r *Result) String() string {
	return fmt.Sprintf("console: rows=%d page_p95_ms=%.0f search_p95_ms=%.0f event_p95_ms=%.0f slow=%d", r.Rows, ms(r.Page), ms(r.Search), ms(r.Event), len(r.Slow))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Run fills the store, unless it is full, starts the hub on it, and measures.
func Run(ctx context.Context, o Options) (r Result, err error) {
	if o.Rows%blockRows != 0 || o.Rows <= 0 || o.Parked < 100 || o.Rounds < 1 || o.Events < 1 {
		return r, fmt.Errorf("rows come in lots of %d, and there are at least 100 parked messages, a round and an event", blockRows)
	}
	target, err := road.StartTarget(0, o.Log)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, target.Stop()) }()
	b := &bencher{Options: &o, target: target.Addr, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: time.Minute}}
	if err := b.filled(ctx); err != nil {
		return r, err
	}
	h, err := b.startHub(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	r.Rows = o.Rows
	if err := b.pages(ctx, &r); err != nil {
		return r, err
	}
	if o.Only != "" {
		return r, nil
	}
	if err := b.searches(ctx, &r); err != nil {
		return r, err
	}
	return r, b.events(ctx, &r)
}

// bencher is one run.
type bencher struct {
	*Options
	target      string
	http, hooks string // addresses
	client      *http.Client
}

func (b *bencher) sqlite() string { return filepath.Join(b.Dir, "data", "waybill.db") }

// startHub starts a hub on the store and waits until it is ready.
func (b *bencher) startHub(ctx context.Context) (h *process.Child, err error) {
	if b.http, err = process.FreeAddr(); err != nil {
		return nil, err
	}
	if b.hooks, err = process.FreeAddr(); err != nil {
		return nil, err
	}
	store, env := "{sqlite: {path: data/waybill.db}}", []string{"HOOK_SECRET=" + road.Secret}
	if b.Postgres != "" {
		store, env = `{postgres: {url: "${env:BENCH_DATABASE}"}}`, append(env, "BENCH_DATABASE="+b.Postgres)
	}
	config, err := writeProject(b.Dir, store, b.http, b.hooks, b.target)
	if err != nil {
		return nil, err
	}
	var cmd *exec.Cmd
	if cmd, err = process.Self(context.WithoutCancel(ctx), "run", "-c", config, "--log-level", "warn"); err != nil {
		return nil, err
	}
	cmd.Dir, cmd.Env = b.Dir, append(cmd.Env, env...)
	if h, err = process.StartCommand(cmd, b.Log); err != nil {
		return nil, err
	}
	if err := h.Listening(ctx, "http://"+b.http+"/readyz", http.StatusOK); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

// filled fills the store where that was not done before.
func (b *bencher) filled(ctx context.Context) error {
	mark, says := filepath.Join(b.Dir, "filled"), fmt.Sprintf("%d rows, %d parked\n", b.Rows, b.Parked)
	if was, err := os.ReadFile(mark); err == nil {
		if string(was) != says {
			return fmt.Errorf("%s holds another store: %s", b.Dir, was)
		}
		return nil
	}
	fmt.Fprintf(b.Out, "filling the store: %s", says)
	if err := b.begin(ctx); err != nil {
		return fmt.Errorf("the first start: %w", err)
	}
	place := b.sqlite()
	if b.Postgres != "" {
		place = b.Postgres
	}
	if err := fill(ctx, place, size{b.Rows, b.Parked}, b.Out); err != nil {
		return err
	}
	if err := b.compared(ctx); err != nil {
		return fmt.Errorf("runs of comparisons: %w", err)
	}
	return os.WriteFile(mark, []byte(says), 0o644)
}

// thing is a webhook's document.
func thing(number string, rev int) []byte {
	return fmt.Appendf(nil, `{"number":%q,"rev":%d,"name":"a thing"}`, number, rev)
}

// begin lets a hub make the store, its topics and the place of its search index, with one message through every flow.
func (b *bencher) begin(ctx context.Context) (err error) {
	h, err := b.startHub(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Stop()) }()
	for i := range kinds {
		if err := b.post(ctx, &kinds[i], fmt.Sprint("FIRST-", i), 1); err != nil {
			return err
		}
	}
	return b.until(ctx, func() (bool, error) {
		var st struct {
			Flows []struct{ Delivered int64 }
		}
		if err := b.json(ctx, "/api/v1/status", &st); err != nil {
			return false, err
		}
		for _, f := range st.Flows {
			if f.Delivered == 0 {
				return false, nil
			}
		}
		var found struct {
			Objects []json.RawMessage
			Looked  struct{ Behind int64 }
		}
		err := b.json(ctx, fmt.Sprintf("/api/v1/find?q=FIRST-%d", len(kinds)-1), &found)
		return len(found.Objects) > 0 && found.Looked.Behind == 0, err
	})
}

// until asks again and again until it is so, for a minute at most.
func (b *bencher) until(ctx context.Context, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := so(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("what was sent is not there after a minute: %w", context.Cause(ctx))
		}
	}
}

func (b *bencher) post(ctx context.Context, k *kind, number string, rev int) error {
	return road.Post(ctx, b.client, "http://"+b.hooks+"/hooks/shop/"+k.entity, fmt.Sprintf("%s-%d", number, rev), thing(number, rev), http.StatusAccepted)
}

func (b *bencher) get(ctx context.Context, path string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.http+path, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	body, err := io.ReadAll(resp.Body)
	return body, resp.StatusCode, errors.Join(err, resp.Body.Close())
}

func (b *bencher) json(ctx context.Context, path string, into any) error {
	body, status, err := b.get(ctx, path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s is answered %d: %.200s", path, status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// Runs of reconciliations and rules: so many of each name, of which the newest has found so many differences.
const (
	comparedRuns        = 40
	comparedDifferences = 3000
)

// compared stores runs of the reconciliations and of the rule, as a hub does.
func (b *bencher) compared(ctx context.Context) (err error) {
	cfg := store.Config{SQLite: b.sqlite()}
	if b.Postgres != "" {
		cfg = store.Config{Postgres: b.Postgres}
	}
	s, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, one := range []struct{ kind, name, entity string }{
		{state.RunReconciliation, "customers-crm-erp", "customer"}, {state.RunReconciliation, "orders-erp-wms", "order"}, {state.RunRule, "name-given", "order"},
	} {
		for run := range comparedRuns {
			differences := comparedDifferences
			if run < comparedRuns-1 {
				differences = 20
			}
			if err := b.compare(ctx, s, one.kind, one.name, one.entity, differences); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bencher) compare(ctx context.Context, s *store.Store, kind, name, entity string, differences int) error {
	run, _, err := s.WantComparison(ctx, state.Comparison{Kind: kind, Name: name, Trigger: state.TriggerSchedule})
	if err != nil {
		return err
	}
	lease, ok, err := s.AcquireLease(ctx, state.RunLease(kind, name), "bench", time.Hour)
	if err != nil || !ok {
		return errors.Join(err, errors.New("the lease of "+name+" is another's"))
	}
	if run, err = s.BeginComparison(ctx, lease, run.ID); err != nil {
		return err
	}
	what := state.DiffDifferent
	if kind == state.RunRule {
		what = state.DiffViolation
	}
	var list []state.Difference
	for i := range differences {
		o := int64(i*100+firstOf(entity)) % (b.Rows / fatesEach)
		list = append(list, state.Difference{N: i + 1, Kind: what, Reason: []string{"edited-left", "never-arrived", "unknown"}[i%3], Hub: hubOf(o), Key: keyOf(o), Left: localOf(o), Right: localOf(o),
			Fields: []state.DifferentField{{Path: "name"}}, LeftDoc: json.RawMessage(`{"name":"acme"}`), RightDoc: json.RawMessage(`{"name":"ACME Ltd"}`), Text: "name differs"})
	}
	for chunk := range slices.Chunk(list, 500) {
		if err := s.AddDifferences(ctx, lease, run.ID, chunk); err != nil {
			return err
		}
	}
	run.State = state.RunDrift
	run.Summary = state.CompareSummary{Compared: 100_000, Different: int64(differences), Reasons: map[string]int64{"edited-left": int64(differences / 3)}}
	if err := s.EndComparison(ctx, lease, run); err != nil {
		return err
	}
	return s.ReleaseLease(ctx, lease)
}
