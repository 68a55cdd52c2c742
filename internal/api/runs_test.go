package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

func (s *stub) Reconciliations(context.Context) ([]Reconciliation, error) {
	return []Reconciliation{{Name: "customers", Standing: Standing{State: StateDrift, Trend: []TrendPoint{{Run: 6}}}}}, s.err
}
func (s *stub) Rules(context.Context) ([]Rule, error) {
	return []Rule{{Name: "shipped", Violations: 2, Standing: Standing{State: StateDrift}}}, s.err
}
func (s *stub) Want(_ context.Context, kind, name string, q RunRequest, who string) (*state.Comparison, error) {
	run := state.Comparison{ID: 7, Kind: kind, Name: name, State: state.RunWanted, Who: who, Why: q.Note, Options: q.Options()}
	switch name {
	case "custmers":
		return nil, state.ErrNotFound
	case "busy":
		return nil, fmt.Errorf("want: %w", &UnderWay{Run: run})
	}
	return &run, s.err
}
func (s *stub) Runs(_ context.Context, f state.ComparisonFilter) ([]state.Comparison, error) {
	if f.Name == "custmers" {
		return nil, state.ErrNotFound
	}
	if f.Before == 0 {
		f.Before = 8
	}
	var out []state.Comparison
	for id := f.Before - 1; id > 0 && len(out) < f.Limit; id-- {
		out = append(out, state.Comparison{ID: id, Kind: f.Kind, Name: f.Name, State: state.RunAgreed})
	}
	return out, s.err
}

// Of the stub's runs the seventh is running, those below are over, and there are no others.
func (s *stub) RunByID(_ context.Context, id int64) (*state.Comparison, error) {
	switch {
	case id > 7:
		return nil, state.ErrNotFound
	case id == 7:
		return &state.Comparison{ID: id, State: state.RunRunning, Progress: state.CompareProgress{Phase: "reading"}}, s.err
	}
	return &state.Comparison{ID: id, Name: "a/b \"c", State: state.RunDrift, Summary: state.CompareSummary{Different: 3, Repaired: 1}}, s.err
}
func (s *stub) NoRepair(_, name string) string {
	return map[string]string{"a/b \"c": "it says not how"}[name]
}
func (s *stub) Differences(_ context.Context, f state.DifferenceFilter) ([]state.Difference, error) {
	var out []state.Difference
	for n := f.After + 1; n <= 3 && len(out) < f.Limit; n++ {
		if f.Run == 4 && n == 3 {
			return nil, errors.New("the store has gone")
		}
		out = append(out, state.Difference{Run: f.Run, N: n, Kind: state.DiffDifferent, LeftDoc: json.RawMessage(`"` + strings.Repeat("x", 50_000) + `"`)})
		if f.Run == 4 {
			break
		}
	}
	return out, s.err
}
func (s *stub) CancelRun(_ context.Context, id int64, who, note string) (*state.Comparison, error) {
	switch {
	case id > 7:
		return nil, state.ErrNotFound
	case id < 7:
		return nil, fmt.Errorf("over: %w", state.ErrBusy)
	}
	return &state.Comparison{ID: id, State: state.RunRunning, Cancel: state.Why(who, note)}, s.err
}
func (s *stub) Forget(_ context.Context, rule, object, _, _ string) error {
	if rule != "terms" || object != "C1" {
		return state.ErrNotFound
	}
	return s.err
}
func (s *stub) RepairRun(_ context.Context, id int64, q RepairRequest, who string) (*state.Comparison, error) {
	if id == 5 {
		return nil, &Invalid{Detail: "there is nothing to repair"}
	}
	return &state.Comparison{ID: 8, State: state.RunWanted, Who: who, Options: q.Options(id)}, s.err
}

// A run that is asked for says why it is not repaired.
func TestNoRepair(t *testing.T) {
	if w := call(server(&stub{}), "GET", "/api/v1/runs/7", "", nil); w.Code != 200 || strings.Contains(w.Body.String(), "no_repair") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := call(server(&stub{}), "GET", "/api/v1/runs/6", "", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"no_repair": "it says not how"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A report says what it is; one that breaks off ends the connection, so that nobody takes half of it for the whole.
func TestReport(t *testing.T) {
	w := call(server(&stub{}), "GET", "/api/v1/runs/6/report?format=csv", "", nil)
	if got := w.Header().Get("Content-Type"); got != "text/csv; charset=utf-8; header=present" {
		t.Errorf("type %s", got)
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="a-b--c-6.csv"` {
		t.Errorf("disposition %s", got)
	}
	w = call(server(&stub{}), "GET", "/api/v1/runs/6/report?format=xlsx", "", nil)
	if !bytes.HasPrefix(w.Body.Bytes(), []byte("PK")) || !strings.Contains(w.Header().Get("Content-Type"), "spreadsheetml") {
		t.Errorf("%s %.20q", w.Header().Get("Content-Type"), w.Body)
	}
	hub := httptest.NewUnstartedServer(server(&stub{}))
	hub.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	hub.Start()
	defer hub.Close()
	for id, whole := range map[int]bool{6: true, 4: false} {
		resp, err := http.Get(fmt.Sprintf("%s/api/v1/runs/%d/report", hub.URL, id))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it is read
		if resp.StatusCode != 200 || (err == nil) != whole || json.Valid(data) != whole {
			t.Errorf("run %d: %d, %d bytes, %v", id, resp.StatusCode, len(data), err)
		}
	}
	// What fails before the first piece is a problem like any other.
	if w := call(server(&stub{err: errors.New("the store has gone")}), "GET", "/api/v1/runs/6/report", "", nil); w.Code != 503 {
		t.Errorf("without a store: %d %s", w.Code, w.Body)
	}
}

// slowly is a hub whose differences come when they are let.
type slowly struct {
	stub
	come chan struct{}
	now  atomic.Int32
	over atomic.Bool // more asked at once than may
}

func (s *slowly) Differences(ctx context.Context, _ state.DifferenceFilter) ([]state.Difference, error) {
	if s.now.Add(1) > mostBooks {
		s.over.Store(true)
	}
	defer s.now.Add(-1)
	select {
	case s.come <- struct{}{}:
	case <-ctx.Done():
	}
	return nil, ctx.Err()
}

// Few workbooks are made at once; who goes away while waiting for one makes none.
func TestBooksWait(t *testing.T) {
	hub := &slowly{come: make(chan struct{})}
	s := server(hub)
	var all sync.WaitGroup
	get := func(ctx context.Context) {
		call(s, "GET", "/api/v1/runs/6/report?format=xlsx", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
	}
	for range mostBooks {
		all.Go(func() { get(t.Context()) })
	}
	for hub.now.Load() < mostBooks {
		runtime.Gosched()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	get(gone) // returns at once
	all.Go(func() { get(t.Context()) })
	for range mostBooks + 1 {
		<-hub.come
	}
	all.Wait()
	if hub.over.Load() || len(s.books) != 0 {
		t.Errorf("more at once than may: %v; %d places taken", hub.over.Load(), len(s.books))
	}
}

// A run shows how far it is, and when it is over what it found; a trend leaves out what says nothing of the whole.
func TestRunView(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	running := RunView(&state.Comparison{State: state.RunRunning, Started: at, Summary: state.CompareSummary{Different: 1}})
	if running.Progress == nil || running.Summary != nil || running.Drift != 0 || running.Finished != nil || !running.Started.Equal(at) {
		t.Errorf("%+v", running)
	}
	over := RunView(&state.Comparison{State: state.RunDrift, Finished: at, Summary: state.CompareSummary{MissingLeft: 2, Doubled: 1, Repaired: 1, Totals: make([]state.TotalLine, 1)}})
	if over.Progress != nil || over.Summary == nil || over.Drift != 4 || over.Left != 3 {
		t.Errorf("%+v", over)
	}
	trend := Trend([]state.Comparison{{ID: 5, State: state.RunRunning}, {ID: 4, State: state.RunAgreed}, {ID: 3, State: state.RunDrift, Options: state.CompareOptions{Key: "x"}},
		{ID: 2, State: state.RunFailed, Finished: at}, {ID: 1, State: state.RunDrift, Summary: state.CompareSummary{Compared: 9, Different: 2, Repaired: 1}}})
	if len(trend) != 3 || trend[0].Run != 1 || trend[0].Drift != 2 || trend[0].Repaired != 1 || trend[1].State != "failed" || trend[2].Run != 4 {
		t.Errorf("%+v", trend)
	}
}

func (s *stub) Backfill(_ context.Context, flow string, q BackfillRequest, who string) (*state.Backfill, error) {
	if flow == "busy" {
		return nil, fmt.Errorf("backfill 3 of flow busy is under way already: %w", state.ErrBusy)
	}
	return &state.Backfill{ID: 4, Flow: flow, State: state.BackfillWanted, Who: who, Why: q.Note, Since: q.Since}, nil
}

func (s *stub) Backfills(_ context.Context, f state.BackfillFilter) ([]state.Backfill, error) {
	var out []state.Backfill
	for id := int64(3); id > 0 && len(out) < f.Limit; id-- {
		if f.Before == 0 || id < f.Before {
			out = append(out, state.Backfill{ID: id, Flow: "orders", State: state.BackfillDone, Progress: state.BackfillProgress{Submitted: 10, PerHour: 18000}})
		}
	}
	return out, nil
}

func (s *stub) BackfillByID(_ context.Context, id int64) (*state.Backfill, error) {
	if id != 4 {
		return nil, fmt.Errorf("backfill %d: %w", id, state.ErrNotFound)
	}
	return &state.Backfill{ID: 4, Flow: "orders", State: state.BackfillRunning, Progress: state.BackfillProgress{Submitted: 10, Expect: 20, PerHour: 18000, Left: 2 * time.Second, AtOnce: 8, Text: "waits"}}, nil
}

func (s *stub) CancelBackfill(_ context.Context, id int64, who, note string) (*state.Backfill, error) {
	if id != 4 {
		return nil, fmt.Errorf("backfill %d is over: %w", id, state.ErrBusy)
	}
	return &state.Backfill{ID: 4, Flow: "orders", State: state.BackfillRunning, Cancel: who + ": " + note}, nil
}
