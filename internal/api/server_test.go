package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// stub answers what the handlers ask; the acceptance tests run the same API on a real hub.
type stub struct {
	err      error
	refuses  error // what a mark is answered
	acts     []string
	requests map[string]state.Request
}

func (s *stub) Status(context.Context) (*Status, error) {
	return &Status{Flows: []Flow{{Name: "a", State: StateRunning}}, Systems: []System{}, Reconciliations: []Reconciliation{}, Rules: []Rule{}}, s.err
}
func (s *stub) Deliveries(_ context.Context, flow string, last time.Duration) (*Deliveries, error) {
	if flow == "b" {
		return nil, state.ErrNotFound
	}
	return DeliveriesOf([]string{"a"}, time.Unix(0, 0), 5*time.Minute, int(last/(5*time.Minute)), nil), s.err
}
func (s *stub) Definition(_ context.Context, flow string) (*FlowDefinition, error) {
	if flow != "a" {
		return nil, state.ErrNotFound
	}
	return &FlowDefinition{Name: flow, File: "flows/a.yaml", By: "poll"}, s.err
}
func (s *stub) Fates(_ context.Context, f state.JournalFilter) (rows []state.Journal, next int64, err error) {
	for id := int64(5); id > 0; id-- {
		if f.Before == 0 || id < f.Before {
			rows = append(rows, state.Journal{ID: id, Outcome: f.Outcome, EventID: fmt.Sprint("e", id)})
		}
	}
	if len(rows) > f.Limit {
		rows, next = rows[:f.Limit], rows[f.Limit-1].ID
	}
	return rows, next, s.err
}
func (s *stub) Ready(context.Context) error { return s.err }
func (s *stub) Trace(_ context.Context, key string) (state.Trace, error) {
	return state.Trace{Key: key, Objects: []state.Object{{Entity: "order", Hub: "h", Refs: []state.Ref{{System: "erp", Local: "7"}}}}}, s.err
}
func (s *stub) Search(_ context.Context, q state.SearchQuery) (state.SearchPage, error) {
	switch {
	case q.Entity == "unicorn":
		return state.SearchPage{}, fmt.Errorf("entity unicorn: %w", state.ErrNotFound)
	case q.After == "nonsense":
		return state.SearchPage{}, state.ErrCursor
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return state.SearchPage{Next: "more", Looked: state.Looked{Fate: 7, Until: at, Behind: 3}, Objects: []state.SearchedObject{
		{Entity: "order", Key: "SO-1", Hub: "h", Fate: 7, Outcome: state.Delivered, Time: at, Fields: []string{"number"}, Queued: &state.Queued{ID: 5, State: state.Waiting, Reason: "no customer",
			Missing: &state.Missing{Entity: "customer", System: "erp", Hub: "c"}}},
		{Entity: "order", Key: "SO-2", Hub: "i", Fate: 6, Outcome: state.Delivered, Time: at, Drift: &state.Difference{Run: 9, N: 4, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight}},
		{Entity: "order", Key: "SO-3", Received: at}}}, s.err
}
func (s *stub) PersonalKey(flow, entity string) bool {
	return flow == "" && entity == "" || flow == "people" || entity == "person"
}
func (s *stub) Veil(answer []byte, about string) ([]byte, bool) {
	if about == "person" {
		answer = bytes.ReplaceAll(answer, []byte(`"key"`), []byte(`"veiled"`))
	}
	return answer, !bytes.Contains(answer, []byte("unreadable"))
}
func (s *stub) Compared(_, name string) string {
	return map[string]string{"people": "person", "": "person"}[name] // of what there is not nobody knows
}
func (s *stub) Relate(_ context.Context, t *state.Trace) error {
	t.Related = []state.Related{{SearchedObject: state.SearchedObject{Entity: "customer", Key: "C-1"}, Field: "customer"}}
	return s.err
}
func (s *stub) Documents(_ context.Context, rows []state.Journal) error {
	for i := range rows {
		rows[i].Documents = &state.Documents{Source: []byte(`{"a":1}`), Status: "422", Answer: []byte("no")}
	}
	return s.err
}
func (s *stub) Select(_ context.Context, sel Selection) (state.QueueFilter, error) {
	if sel.System == "nowhere" {
		return state.QueueFilter{}, state.ErrNotFound
	}
	return state.QueueFilter{Flow: sel.Flow, State: state.Outcome(sel.State), Cause: sel.Cause}, nil
}
func (s *stub) Listed(_ context.Context, f state.QueueFilter, followers int) ([]state.Listed, error) {
	l := state.Listed{Queued: state.Queued{ID: f.After + 1, Flow: "a", State: state.Parked, Cause: "c0ffee00"}, Behind: 7}
	for i := range followers {
		l.Followers = append(l.Followers, state.Queued{ID: int64(10 + i), Follower: true})
	}
	return []state.Listed{l}, s.err
}
func (s *stub) UnknownCodes(context.Context) ([]UnknownCode, error) {
	return []UnknownCode{{Map: "units", System: "shop", Direction: CodeOfSystem, Code: "crate", Count: 2, Choices: []string{"each"}}}, s.err
}

func (s *stub) AddCode(_ context.Context, q CodeRequest, _ string) (*AddedCode, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &AddedCode{File: "mappings/values/" + q.Map + ".yaml", Line: 3}, nil
}

func (s *stub) PaceSeconds(rate string, n int64) (float64, error) {
	if rate != "5/s" {
		return 0, &Invalid{Detail: rate + " is no rate"}
	}
	return float64(n) / 5, s.err
}

func (s *stub) BeginPace(_ context.Context, b state.Bulk, rate string) (state.Pace, error) {
	b.From.Act = 9
	s.acts = append(s.acts, fmt.Sprintf("replay of %s at %s by %s: %s", b.About, rate, b.Who, b.Note))
	return state.Pace{Bulk: b, Rate: rate, Matched: 100}, s.err
}

func (s *stub) Paces(context.Context) ([]state.Pace, error) {
	return []state.Pace{{Bulk: state.Bulk{From: state.BulkPlace{Act: 9}, Who: "ann", About: "flow=a"}, Rate: "5/s", Matched: 100, Marked: 40, State: state.PaceRunning},
		{Bulk: state.Bulk{From: state.BulkPlace{Act: 7}, About: "key=ann@a.example", Filter: state.QueueFilter{Key: "ann@a.example"}}, Rate: "5/s", State: state.PaceDone, Ended: time.Unix(1, 0)},
		{Bulk: state.Bulk{From: state.BulkPlace{Act: 8}}, Rate: "5/s", Matched: 10, Marked: 3, State: state.PaceStopped, EndedBy: "bob", Ended: time.Unix(1, 0)}}, s.err
}

func (s *stub) StopPace(_ context.Context, act int64, who string) error {
	if act != 9 {
		return state.ErrNotFound
	}
	s.acts = append(s.acts, fmt.Sprintf("stop %d by %s", act, who))
	return s.err
}

func (s *stub) Causes(context.Context, state.QueueFilter) ([]state.CauseCount, error) {
	return []state.CauseCount{{Cause: "c0ffee00", Text: "invalid erp/422: no", Count: 3, Behind: 2, Flows: []string{"a"}}}, s.err
}
func (s *stub) QueuedByID(_ context.Context, id int64, _ bool, _ string) (Shown, error) {
	if id != 1 && id != 3 {
		return Shown{}, state.ErrNotFound
	}
	return Shown{Queued: state.Queued{ID: id, Rev: 4, Event: event.Event{Data: []byte(`{"a":1}`), Submitted: &event.Submission{Trigger: event.Person, Who: "ann", Why: "lost"}}}, Head: 1, Behind: 7,
		Acts: []state.Act{{Action: "edit", Who: "ann", Note: "typo", Before: []byte("not JSON"), After: []byte(`{"a":1}`)}}}, s.err
}
func (s *stub) Mark(_ context.Context, w state.Wish) error {
	s.acts = append(s.acts, string(w.Mark)+" by "+w.Who+": "+w.Note)
	switch {
	case w.ID == 3:
		return fmt.Errorf("message 3 queues behind message 1: %w", state.ErrBusy)
	case w.Rev != nil && *w.Rev != 4:
		return state.ErrChanged
	}
	return cmp.Or(s.refuses, s.err)
}
func (s *stub) Edit(_ context.Context, e state.Edit) (Rehearsal, error) {
	s.acts = append(s.acts, fmt.Sprintf("edit by %s (%s, replay %v): %s", e.Who, e.Note, e.Replay, e.Data))
	switch {
	case string(e.Data) == "{}":
		return Rehearsal{}, &Invalid{Detail: "not valid", Places: []Place{{Path: "lines[2].sku", Message: "missing"}}}
	case e.Rev != nil && *e.Rev != 4:
		return Rehearsal{}, state.ErrChanged
	}
	return Rehearsal{Outcome: "delivered"}, s.err
}
func (s *stub) Preview(_ context.Context, id int64, data []byte) (*Preview, error) {
	switch {
	case id != 1:
		return nil, state.ErrNotFound
	case string(data) == "{}":
		return nil, &Invalid{Detail: "not valid", Places: []Place{{Path: "lines[2].sku", Message: "missing"}}}
	}
	p := &Preview{ID: id, Flow: "a", Rehearsal: Rehearsal{Outcome: "delivered"}, Action: "update", Local: "7"}
	p.SetDocuments([]byte(`{"b":1}`), []byte("no JSON"))
	return p, s.err
}
func (s *stub) Count(_ context.Context, b state.Bulk) (int64, int64, error) { return 500, 120, s.err }
func (s *stub) Bulk(_ context.Context, b state.Bulk) (state.BulkStep, error) {
	s.acts = append(s.acts, fmt.Sprintf("bulk %s by %s of %s: %s from %v", b.Mark, b.Who, b.About, b.Note, b.From))
	return state.BulkStep{Marked: 5, Total: 10, Next: state.BulkPlace{Act: 9, Top: 100, At: 50}, Done: b.From.At == 50}, s.err
}
func (s *stub) Pause(_ context.Context, flow, who string) error {
	if flow != "a" {
		return state.ErrNotFound
	}
	s.acts = append(s.acts, "pause by "+who)
	return s.err
}
func (s *stub) Resume(_ context.Context, _, who string) error {
	s.acts = append(s.acts, "resume by "+who)
	return s.err
}
func (s *stub) Rewind(_ context.Context, flow string, q RewindRequest, who string) (*Rewound, error) {
	switch {
	case flow != "a":
		return nil, state.ErrNotFound
	case q.To == "yesterday":
		return nil, &Invalid{Detail: "no place"}
	}
	s.acts = append(s.acts, "rewind to "+q.To+" by "+who+": "+q.Note)
	return &Rewound{Flow: flow, To: q.To, State: "asked"}, s.err
}
func (s *stub) Resend(_ context.Context, q ResendRequest, who string) (*Resent, error) {
	switch q.Key {
	case "gone":
		return nil, &Invalid{Detail: "crm holds no order gone"}
	case "other":
		return nil, fmt.Errorf("resend 7: %w", ErrOtherWish)
	}
	s.acts = append(s.acts, fmt.Sprintf("resend %s %s from %s by %s (%s), dry %v: %s", q.Entity, q.Key, q.System, who, q.ID, q.DryRun, q.Note))
	return &Resent{State: ResendAccepted, Entity: q.Entity, Key: q.Key, Document: []byte(`{"a":1}`)}, s.err
}
func (s *stub) Sweep(_ context.Context, flow string, q SweepRequest, who string) (*SweepAsked, error) {
	if flow != "a" {
		return nil, &Invalid{Detail: "not swept"}
	}
	return &SweepAsked{Flow: flow, State: "asked", AtMost: q.AtMost}, s.err
}
func (s *stub) FailedFiles(_ context.Context, flow string) (*FailedFiles, error) {
	switch flow {
	case "a":
		return &FailedFiles{Files: []FailedFile{{Name: "stock.csv", As: "stock.csv", Bytes: 7, Why: "no such column"}}}, s.err
	case "polled":
		return nil, &Invalid{Detail: "flow polled reads no files"}
	}
	return nil, state.ErrNotFound
}
func (s *stub) Retake(ctx context.Context, flow string, q RetakeRequest, who string) (*Retaken, error) {
	if _, err := s.FailedFiles(ctx, flow); err != nil {
		return nil, err
	}
	s.acts = append(s.acts, fmt.Sprintf("retake %v %v by %s: %s", q.Files, q.All, who, q.Note))
	return &Retaken{Flow: flow, Files: q.Files, State: "asked"}, s.err
}
func (s *stub) BeginRequest(_ context.Context, r state.Request) (*state.Request, error) {
	if before, ok := s.requests[r.Who+"/"+r.Key]; ok {
		return &before, s.err
	}
	if s.requests == nil {
		s.requests = map[string]state.Request{}
	}
	asked := r
	asked.Began = time.Unix(0, 0)
	s.requests[r.Who+"/"+r.Key] = asked
	return nil, s.err
}
func (s *stub) EndRequest(_ context.Context, r state.Request) error {
	if r.Status == 0 {
		delete(s.requests, r.Who+"/"+r.Key)
	} else {
		s.requests[r.Who+"/"+r.Key] = r
	}
	return s.err
}
func (s *stub) Reload(_ context.Context, who string) (*Reload, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.acts = append(s.acts, "reload by "+who)
	return &Reload{Plan: Plan{Hash: "abc"}, Flows: Changes{Changed: []string{"a"}}}, nil
}
func (s *stub) Link(_ context.Context, links []state.Link, dry bool, who string) ([]state.Linked, error) {
	s.acts = append(s.acts, fmt.Sprintf("link by %s: %v", who, links))
	out := make([]state.Linked, len(links))
	for i := range links {
		out[i] = state.Linked{Status: []state.LinkStatus{state.LinkMade, state.LinkKnown, state.LinkRefused}[i%3], Hub: "h", Reason: "why"}
	}
	return out, s.err
}
func (s *stub) Recovery(_ context.Context, q RecoverRequest) (*Recovery, error) {
	s.acts = append(s.acts, fmt.Sprint("looked at ", q.Flows, q.From))
	return &Recovery{Topics: []RecoverTopic{}}, s.err
}
func (s *stub) Recover(_ context.Context, q RecoverRequest, who string) (*Recovery, error) {
	refused := map[string]error{"loss": state.ErrLoss, "stale": state.ErrPlan, "moved": state.ErrMoved, "nobody": state.ErrNotFound}[q.Plan]
	if err := errors.Join(refused, s.err); err != nil {
		return nil, err
	}
	s.acts = append(s.acts, fmt.Sprint("recover ", q.Flows, q.From, " ", q.DiscardLost, " by ", who, ": ", q.Note))
	return &Recovery{Done: true, Topics: []RecoverTopic{}}, nil
}
func (s *stub) Backup(_ context.Context, q BackupRequest, who string) (*Backup, error) {
	s.acts = append(s.acts, "backup "+q.Name+" by "+who)
	switch q.Name {
	case "../etc":
		return nil, &Invalid{Detail: "no name for a copy"}
	case "second":
		return nil, fmt.Errorf("the copy first is being written: %w", state.ErrBusy)
	}
	return &Backup{Name: q.Name, State: BackupRunning}, s.err
}
func (s *stub) Alerts(context.Context) (*Alerts, error) {
	return &Alerts{Receivers: []AlertReceiver{{Name: "ops", Way: "slack", Of: []string{"late"}, Urgent: []string{}}}, Alerts: []Alert{NewAlert(&state.Alert{Receiver: "ops", What: "late"})}}, nil
}
func (s *stub) TestAlert(_ context.Context, receiver, _ string) error {
	switch receiver {
	case "ops":
		return nil
	case "dead":
		return errors.New("connection refused")
	}
	return state.ErrNotFound
}
func (s *stub) Backups(context.Context) (*Backups, error) {
	return &Backups{Dir: "copies", Copies: []Backup{{Name: "monday", State: BackupDone}}}, s.err
}
func (s *stub) Restored(context.Context) (*Restored, error) { return nil, s.err }
func (s *stub) SayRestored(_ context.Context, q RestoredRequest, who string) (*Restored, error) {
	if q.Done {
		return nil, &Invalid{Detail: "there is nothing to end"}
	}
	return &Restored{State: "reading", Signs: []string{state.SignPerson}, Who: who, Note: q.Note, AsOf: &q.AsOf}, s.err
}
func (s *stub) Audits(_ context.Context, f state.AuditFilter) ([]state.Audit, error) {
	all := []state.Audit{{ID: 9, Who: "ann", Action: "resend", Object: "flow/people", Detail: "of ann@a.example"}, {ID: 8, Who: "ann", Action: "bulk replay", Object: "messages where key=ann@a.example", Detail: "7 messages"},
		{ID: 7, Who: "ann", Action: "pause", Object: "flow/people", Before: "running", After: "paused"}, {ID: 6, Who: "bob", Action: "link", Object: "cross-reference", After: "person h: crm ann@a.example"},
		{ID: 5, Who: "bob", Action: "reconcile", Object: "reconciliation/people", Detail: "run 7 of ann@a.example"}, {ID: 4, Who: "bob", Action: "reload", Object: "plan/abc"}}
	all = slices.DeleteFunc(all, func(a state.Audit) bool {
		return f.Who != "" && a.Who != f.Who || f.Action != "" && a.Action != f.Action || f.Object != "" && a.Object != f.Object || f.Before > 0 && a.ID >= f.Before
	})
	return all[:min(len(all), f.Limit)], s.err
}
func (s *stub) AuditByID(_ context.Context, id int64) (state.Audit, *state.Act, error) {
	switch id {
	case 1:
		return state.Audit{ID: 1, Who: "ann", Action: "edit", Object: "message/1", Act: 3}, &state.Act{Flow: "a", Message: 1, EventID: "e", Before: []byte("no JSON"), After: []byte(`{"a":1}`)}, s.err
	case 2:
		return state.Audit{ID: 2, Who: "ann", Action: "pause"}, nil, s.err
	}
	return state.Audit{}, nil, state.ErrNotFound
}
func (s *stub) Note(_ context.Context, a state.Audit) error {
	s.acts = append(s.acts, a.Action+" by "+a.Who+": "+a.Detail)
	return s.err
}

// pages stand for the console, which has tests of its own.
type pages struct{ s *Server }

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/console/asks" {
		a := p.s.Ask(r, r.Method, "/api/v1/flows/a/"+r.FormValue("what"), nil, nil)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
		return
	}
	_, _ = io.WriteString(w, "a page for "+Visitor(r).Name)
}
func (pages) Forbidden(w http.ResponseWriter, _ *http.Request, no *access.Refusal) {
	w.WriteHeader(no.Status)
	_, _ = io.WriteString(w, "a page of "+no.Detail)
}
func (pages) Routes() []PageRoute {
	anybody := access.Need{Role: access.Viewer}
	return []PageRoute{{Pattern: "GET /{$}", Need: anybody}, {Pattern: "GET /console/", Need: anybody}, {Pattern: "POST /console/", Need: anybody}, {Pattern: "GET /console/parts/{file}"}, {Pattern: "POST /console/sign-in"},
		{Pattern: "GET /console/edited", Need: anybody, Edits: access.Need{Role: access.Operator}}}
}
func (pages) Open(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a part") }
func (pages) Stranger(w http.ResponseWriter, _ *http.Request, no *access.Refusal) {
	w.WriteHeader(no.Status)
	_, _ = io.WriteString(w, "who are you?")
}

func server(hub Hub, tokens ...Token) *Server {
	return New(hub, Config{Access: access.Rules{Tokens: tokens}, Metrics: http.NotFoundHandler(), Pages: func(s *Server) Pages { return pages{s} }, Clock: lifecycle.Real(), Log: slog.New(slog.DiscardHandler)})
}

func call(s *Server, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	noteAnswer(s, r, w)
	return w
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/readyz", "", 200, "ready"},
		{"GET", "/", "", 200, "a page for local"},
		{"GET", "/console/anything", "", 200, "a page for local"},
		{"GET", "/console/parts/style.css", "", 200, "a part"},
		{"GET", "/api/v1/deliveries", "", 200, `"step_seconds": 300`},
		{"GET", "/api/v1/deliveries?hours=24&flow=a", "", 200, `"name": "a"`},
		{"GET", "/api/v1/deliveries?hours=25", "", 400, "from 1 to 24"},
		{"GET", "/api/v1/deliveries?flow=b", "", 404, "not found"},
		{"GET", "/api/v1/events?from=1", "", 400, "no parameter"},
		{"GET", "/api/v1/status", "", 200, `"unaccounted": 0`},
		{"GET", "/api/v1/flows", "", 200, `"flows"`},
		{"GET", "/api/v1/flows/a", "", 200, `"file": "flows/a.yaml"`},
		{"GET", "/api/v1/flows/b", "", 404, "not found"},
		{"GET", "/api/v1/flows/a?x=1", "", 400, "no parameter"},
		{"GET", "/api/v1/flows/a/journal?limit=2", "", 200, `"next": 4`},
		{"GET", "/api/v1/flows/a/journal?before=2&outcome=parked", "", 200, `"outcome": "parked"`},
		{"GET", "/api/v1/flows/a/journal?outcome=lost", "", 400, "outcome is one of delivered"},
		{"GET", "/api/v1/flows/a/journal?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/flows/b/journal", "", 404, "not found"},
		{"GET", "/api/v1/systems", "", 200, `"systems"`},
		{"GET", "/api/v1/reconciliations", "", 200, `"reconciliations"`},
		{"GET", "/api/v1/messages?key=SO-1", "", 200, `"SO-1"`},
		{"GET", "/api/v1/messages", "", 400, "give ?key="},
		{"GET", "/api/v1/xref?key=x", "", 200, `"id": "7"`},
		{"GET", "/api/v1/parked", "", 200, `"parked"`},
		{"GET", "/api/v1/parked?limit=0", "", 400, "limit"},
		{"GET", "/api/v1/parked?after=x", "", 400, "after"},
		{"GET", "/api/v1/parked?limit=1", "", 200, `"next": 1`},
		{"GET", "/api/v1/parked?followers=2&state=parked&older_than=3d2h", "", 200, `"behind": 7`},
		{"GET", "/api/v1/parked?state=lost", "", 400, "state is one of parked, waiting, held, follower"},
		{"POST", "/api/v1/parked/replay", `{"filter":{"state":"lost"}}`, 400, "parked, waiting or held"},
		{"GET", "/api/v1/status?flow=a", "", 400, `there is no parameter \"flow\"; there are none here`},
		{"POST", "/api/v1/alerts/dead/test", "", 422, "connection refused"},
		{"GET", "/api/v1/parked?older_than=soon", "", 400, "no age"},
		{"GET", "/api/v1/parked?couse=c0ffee00", "", 400, `there is no parameter \"couse\"`},
		{"GET", "/api/v1/parked?system=nowhere", "", 404, "not found"},
		{"GET", "/api/v1/parked/causes", "", 200, `"c0ffee00"`},
		{"GET", "/api/v1/parked/causes?limit=3", "", 400, "no parameter"},
		{"GET", "/api/v1/parked/1", "", 200, `"before_text": "not JSON"`},
		{"GET", "/api/v1/parked/3", "", 200, `"head": 1`},
		{"GET", "/api/v1/parked/2", "", 404, "not found"},
		{"GET", "/api/v1/parked/x", "", 400, "number"},
		{"GET", "/api/v1/audit", "", 200, `"ann"`},
		{"POST", "/api/v1/parked/1/replay", `{"note":"fixed"}`, 202, `"replay"`},
		{"POST", "/api/v1/parked/1/discard", `{"note":"a test"}`, 202, `"discard"`},
		{"POST", "/api/v1/parked/1/discard", "", 400, "say why"},
		{"POST", "/api/v1/parked/1/discard", "{", 400, "JSON"},
		{"POST", "/api/v1/parked/1/discard", `{"note":"a"} {}`, 400, "more than one"},
		{"POST", "/api/v1/parked/3/replay", "", 409, "queues behind message 1"},
		{"PUT", "/api/v1/parked/1", `{"data":{"a":1.10},"note":"typo"}`, 428, "If-Match"},
		{"POST", "/api/v1/parked/replay", `{"filter":{"cause":"c0ffee00"},"dry_run":true}`, 200, `"matched": 500`},
		{"POST", "/api/v1/parked/replay", `{"filter":{"cause":"c0ffee00"}}`, 202, `"continue": "9.100.50.0"`},
		{"POST", "/api/v1/parked/replay", `{"filter":{"cause":"c0ffee00"},"continue":"9.100.50.0"}`, 202, `"done": true`},
		{"POST", "/api/v1/parked/replay", `{"filter":{"cause":"c0ffee00"},"continue":"x"}`, 400, "continue"},
		{"POST", "/api/v1/parked/replay", `{"filter":{}}`, 400, `say \"all\": true`},
		{"POST", "/api/v1/parked/replay", `{"all":true}`, 202, `"act": 9`},
		{"POST", "/api/v1/parked/replay", `{"filter":{"couse":"c0ffee00"},"all":true}`, 400, "couse"},
		{"POST", "/api/v1/parked/replay", `{"filter":{"flow":"a"},"behind":true}`, 409, "in order"},
		{"POST", "/api/v1/parked/discard", `{"filter":{"flow":"a"}}`, 400, "say why"},
		{"POST", "/api/v1/parked/discard", `{"filter":{"flow":"a"},"note":"tests","behind":true}`, 202, `"total": 10`},
		{"POST", "/api/v1/parked/discard", `{"filter":{"system":"nowhere"},"note":"tests"}`, 404, "not found"},
		{"POST", "/api/v1/parked/1/preview", "", 200, `"id_there": "7"`},
		{"POST", "/api/v1/parked/1/preview", `{"data":{"a":1}}`, 200, `"sent_text": "no JSON"`},
		{"POST", "/api/v1/parked/1/preview", `{"data":{}}`, 422, `{"path":"lines[2].sku","message":"missing"}`},
		{"POST", "/api/v1/parked/1/preview", `{"date":{}}`, 400, "unknown field"},
		{"POST", "/api/v1/parked/2/preview", "", 404, "not found"},
		{"GET", "/api/v1/parked/1/preview", "", 405, "use POST"},
		{"POST", "/api/v1/flows/a/pause", "", 200, `"paused"`},
		{"POST", "/api/v1/flows/b/pause", "", 404, "not found"},
		{"POST", "/api/v1/flows/a/resume", "", 200, `"running"`},
		{"POST", "/api/v1/flows/a/rewind", `{"to":"start","note":"a test"}`, 202, `"asked"`},
		{"POST", "/api/v1/flows/a/rewind", `{"to":"yesterday"}`, 422, "no place"},
		{"POST", "/api/v1/flows/a/rewind", "", 400, "give to"},
		{"POST", "/api/v1/flows/a/rewind", `{"too":"start"}`, 400, "unknown field"},
		{"POST", "/api/v1/flows/b/rewind", `{"to":"start"}`, 404, "not found"},
		{"POST", "/api/v1/flows/a/sweep", "", 202, `"asked"`},
		{"POST", "/api/v1/flows/a/sweep", `{"at_most":"12%","note":"gone for good"}`, 202, `"at_most": "12%"`},
		{"POST", "/api/v1/flows/a/sweep", `{"at-most":"12%"}`, 400, "unknown field"},
		{"POST", "/api/v1/flows/b/sweep", "", 422, "not swept"},
		{"GET", "/api/v1/flows/a/files", "", 200, `"why": "no such column"`},
		{"GET", "/api/v1/flows/polled/files", "", 422, "reads no files"},
		{"GET", "/api/v1/flows/b/files", "", 404, "not found"},
		{"POST", "/api/v1/flows/a/files/retake", `{"files":["stock.csv"],"note":"mended"}`, 202, `"asked"`},
		{"POST", "/api/v1/flows/a/files/retake", `{"all":true}`, 202, `"asked"`},
		{"POST", "/api/v1/flows/a/files/retake", "", 400, "say which files"},
		{"POST", "/api/v1/flows/a/files/retake", `{"files":["stock.csv"],"all":true}`, 400, "say which files"},
		{"POST", "/api/v1/flows/a/files/retake", `{"files":[""]}`, 400, "files[0] is empty"},
		{"POST", "/api/v1/flows/polled/files/retake", `{"all":true}`, 422, "reads no files"},
		{"GET", "/api/v1/parked/1", "", 200, `"submitted": "person by ann: lost"`},
		{"POST", "/api/v1/resend", `{"entity":"order","key":"SO-1","system":"crm","id":"7","note":"lost"}`, 202, `"state": "accepted"`},
		{"POST", "/api/v1/resend", `{"entity":"order","key":"SO-1","dry_run":true}`, 200, `"a": 1`},
		{"POST", "/api/v1/resend", `{"entity":"order","key":"gone"}`, 422, "crm holds no order gone"},
		{"POST", "/api/v1/resend", `{"entity":"order","key":"other"}`, 409, "ask under another id"},
		{"POST", "/api/v1/resend", `{"entity":"order"}`, 400, "give entity and key"},
		{"POST", "/api/v1/resend", `{"entity":"order","kye":"SO-1"}`, 400, "unknown field"},
		{"GET", "/api/v1/resend", "", 405, "use POST"},
		{"POST", "/api/v1/reload", "", 200, `"hash": "abc"`},
		{"GET", "/api/v1/reload", "", 405, "use POST"},
		{"POST", "/api/v1/links", `{"links":[{"entity":"customer","ids":[{"system":"crm","id":"1"},{"system":"erp","id":"5"}]}]}`, 200, `"linked": 1`},
		{"POST", "/api/v1/links", `{"links":[]}`, 400, "1 to 5000"},
		{"POST", "/api/v1/links", `{"links":[{"entity":"","ids":[{"system":"crm","id":"1"},{"system":"crm","id":""},{"system":"crm","id":"2"}]}]}`, 422, "one id in a system"},
		{"POST", "/api/v1/links", `{"links":[{"entity":"customer","ids":[{"system":"crm","id":"1"}]}]}`, 422, "two ids or more"},
		{"DELETE", "/api/v1/parked/1", "", 405, "use GET or PUT"},
		{"POST", "/api/v1/flows/a/pause", "garbage", 400, "not the JSON"},
		{"POST", "/api/v1/flows/a/resume", `{"x": 1}`, 400, "unknown field"},
		{"POST", "/api/v1/reload", `{"x": 1}`, 400, "unknown field"},
		{"GET", "/api/v1/replays", "", 200, `"seconds_left": 12`},
		{"GET", "/api/v1/replays", "", 200, `"stopped_by": "bob"`},
		{"GET", "/api/v1/replays?x=1", "", 400, "x"},
		{"POST", "/api/v1/replays/8/stop", "", 404, "not found"},
		{"POST", "/api/v1/parked/replay", `{"filter":{"flow":"a"},"rate":"soon","dry_run":true}`, 422, "soon is no rate"},
		{"POST", "/api/v1/parked/replay", `{"filter":{"flow":"a"},"rate":"5/s","continue":"1.2.3.0"}`, 400, "goes on by itself"},
		{"POST", "/api/v1/parked/discard", `{"filter":{"flow":"a"},"rate":"5/s","note":"x"}`, 400, "a discard has no rate"},
		{"GET", "/api/v1/parked/codes", "", 200, `"code": "crate"`},
		{"GET", "/api/v1/parked/codes?flow=a", "", 400, "flow"},
		{"POST", "/api/v1/parked/codes", `{"map":"units","system":"shop","code":"crate","to":"each"}`, 200, `"file": "mappings/values/units.yaml"`},
		{"POST", "/api/v1/parked/codes", `{"map":"units","system":"shop","code":"crate"}`, 400, "give map, system, code and to"},
		{"POST", "/api/v1/parked/codes", `{"map":"units","system":"shop","code":"crate","to":"each","direction":"back"}`, 400, "direction is"},
		{"GET", "/api/v1/recover?flow=a,b&from=start", "", 200, `"broken": false`},
		{"GET", "/api/v1/recover?from=yesterday", "", 400, "committed"},
		{"POST", "/api/v1/recover", `{"flows": ["a"], "note": "disk", "discard_lost": true}`, 200, `"done": true`},
		{"POST", "/api/v1/recover", `{"from": "yesterday"}`, 400, "committed"},
		{"POST", "/api/v1/recover", `{"plan": "loss"}`, 409, "would be lost"},
		{"POST", "/api/v1/recover", `{"plan": "stale"}`, 409, "look again"},
		{"POST", "/api/v1/recover", `{"plan": "moved"}`, 409, "have moved"},
		{"POST", "/api/v1/recover", `{"plan": "nobody"}`, 404, "not found"},
		{"POST", "/api/v1/backups", `{"name": "monday"}`, 202, `"state": "running"`},
		{"POST", "/api/v1/backups", `{"name": "../etc"}`, 422, "no name for a copy"},
		{"POST", "/api/v1/backups", `{"name": "second"}`, 409, "is being written"},
		{"POST", "/api/v1/backups", `{"dir": "monday"}`, 400, "unknown field"},
		{"GET", "/api/v1/backups", "", 200, `"name": "monday"`},
		{"GET", "/api/v1/restored", "", 200, `"state": "never"`},
		{"POST", "/api/v1/restored", `{"note": "the disk"}`, 200, `"who": "local"`},
		{"POST", "/api/v1/restored", `{"done": true}`, 422, "nothing to end"},
		{"POST", "/api/v1/restored", `{"as_of": "yesterday"}`, 400, "as_of is no time: write for example"},
		{"POST", "/api/v1/restored", `{"as_of": {}}`, 400, "as_of must be a time as 2026"},
		{"POST", "/api/v1/restored", `{"as_of": null}`, 400, "as_of is null: leave it out, or give a time"},
		{"POST", "/api/v1/restored", `{"as_of": "2026-11-29T10:00:00+01:00"}`, 200, `"as_of": "2026-11-29T10:00:00+01:00"`},
		{"GET", "/nothing", "", 404, "openapi.json"},
		{"GET", "/api/v1/find?q=so", "", 200, `"state": "waiting",
      "reason": "no customer"`},
		{"GET", "/api/v1/find?q=so", "", 200, `"reason": "different (edited-right)"`},
		{"GET", "/api/v1/find?q=so", "", 200, `"state": "received",
      "time": "2026-03-01T12:00:00Z"`},
		{"GET", "/api/v1/find?q=so&entity=order&after=x&limit=100", "", 200, `"complete": false,
    "until": "2026-03-01T12:00:00Z",
    "behind": 3`},
		{"GET", "/api/v1/find", "", 400, "any id, number or name"},
		{"GET", "/api/v1/find?q=so&limit=101", "", 400, "limit must be"},
		{"GET", "/api/v1/find?q=so&entity=unicorn", "", 404, "unicorn"},
		{"GET", "/api/v1/find?q=so&after=nonsense", "", 422, "give the next of an answer"},
		{"GET", "/api/v1/messages?key=7", "", 200, `"field": "customer"`},
		{"GET", "/api/v1/reconciliations", "", 200, `"trend"`},
		{"GET", "/api/v1/rules", "", 200, `"violations": 2`},
		{"POST", "/api/v1/reconciliations/customers/run", "", 202, `"state": "wanted"`},
		{"POST", "/api/v1/reconciliations/customers/run", `{"key":"C-1","since":"2026-11-29T10:00:00Z","repair":true,"dry_run":true,"deletes":true,"at_most":7,"note":"a test"}`, 202, `"at_most": 7`},
		{"POST", "/api/v1/reconciliations/custmers/run", "", 404, "not found"},
		{"POST", "/api/v1/reconciliations/busy/run", "", 409, `"run":{"id":7,`},
		{"POST", "/api/v1/reconciliations/customers/run", `{"dry_run":true}`, 422, "give repair, too"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"repair":true,"at_most":-1}`, 400, "from 1 on"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"repair":true,"at_most":1.5}`, 400, "at_most must be a whole number"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"repair":true,"at_most":"7"}`, 400, "at_most must be a whole number"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"repair":true,"at_most":99999999999}`, 400, "at_most must be a whole number"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"key":""}`, 400, "key is empty"},
		{"POST", "/api/v1/reconciliations/customers/run", `{"since":"yesterday"}`, 400, "since is no time"},
		{"POST", "/api/v1/rules/shipped/run", "", 202, `"kind": "rule"`},
		{"GET", "/api/v1/reconciliations/customers/runs?limit=2", "", 200, `"next": 6`},
		{"GET", "/api/v1/reconciliations/customers/runs?before=2", "", 200, `"id": 1`},
		{"GET", "/api/v1/reconciliations/customers/runs?limit=0", "", 400, "limit must be"},
		{"GET", "/api/v1/reconciliations/custmers/runs", "", 404, "not found"},
		{"GET", "/api/v1/rules/shipped/runs", "", 200, `"kind": "rule"`},
		{"POST", "/api/v1/rules/terms/forget", `{"object":"C1","note":"agreed"}`, 200, `"object": "C1"`},
		{"POST", "/api/v1/rules/terms/forget", `{"object":"C2"}`, 404, ""},
		{"POST", "/api/v1/rules/none/forget", `{"object":"C1"}`, 404, ""},
		{"POST", "/api/v1/rules/terms/forget", `{}`, 400, "object is missing"},
		{"POST", "/api/v1/rules/terms/forget", `{"objekt":"C1"}`, 400, ""},
		{"GET", "/api/v1/runs/7", "", 200, `"phase": "reading"`},
		{"GET", "/api/v1/runs/6", "", 200, `"left": 2`},
		{"GET", "/api/v1/runs/99", "", 404, "not found"},
		{"GET", "/api/v1/runs/x", "", 400, "number"},
		{"GET", "/api/v1/runs/6/differences?limit=2", "", 200, `"next": 2`},
		{"GET", "/api/v1/runs/6/differences?after=2&drift=true&kind=different&reason=rounding", "", 200, `"n": 3`},
		{"GET", "/api/v1/runs/6/differences?kind=diferent", "", 400, "kind is one of missing-left"},
		{"GET", "/api/v1/runs/6/differences?drift=1", "", 400, "true or false"},
		{"GET", "/api/v1/runs/99/differences", "", 404, "not found"},
		{"GET", "/api/v1/runs/6/report", "", 200, `"differences":[`},
		{"GET", "/api/v1/runs/6/report?format=csv", "", 200, "n,kind,reason"},
		{"GET", "/api/v1/runs/6/report?format=pdf", "", 400, "format is one of json, csv, xlsx"},
		{"GET", "/api/v1/runs/7/report", "", 409, "not over"},
		{"GET", "/api/v1/runs/99/report", "", 404, "not found"},
		{"POST", "/api/v1/runs/7/cancel", `{"note":"too slow"}`, 202, `"cancelled": "local: too slow"`},
		{"POST", "/api/v1/runs/6/cancel", "", 409, "not now"},
		{"POST", "/api/v1/runs/99/cancel", "", 404, "not found"},
		{"POST", "/api/v1/runs/6/repair", `{"numbers":[1,3.0],"at_most":0.7e1,"note":"a test"}`, 202, `"from": 6`},
		{"POST", "/api/v1/runs/6/repair", `{"reasons":["refused"],"deletes":true}`, 202, `"refused"`},
		{"POST", "/api/v1/runs/6/repair", `{"all":true,"dry_run":true}`, 202, `"dry_run": true`},
		{"POST", "/api/v1/runs/6/repair", `{"all":true,"numbers":[1]}`, 400, "leave numbers and reasons out"},
		{"POST", "/api/v1/runs/6/repair", `{"reasons":["refused"],"numbers":[1]}`, 400, "not both"},
		{"POST", "/api/v1/runs/6/repair", `{"reasons":[""]}`, 400, "reasons[0] is empty"},
		{"POST", "/api/v1/runs/6/repair", `{"numbers":[0]}`, 400, "begin at 1"},
		{"POST", "/api/v1/runs/6/repair", `{"numbers":["1"]}`, 400, "numbers[0] must be a whole number"},
		{"POST", "/api/v1/runs/6/repair", "", 400, "say what is to be repaired"},
		{"POST", "/api/v1/runs/5/repair", `{"all":true}`, 422, "nothing to repair"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := call(server(&stub{}), tt.method, tt.path, tt.body, nil)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if tt.status >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("an error of type %s", w.Header().Get("Content-Type"))
			}
		})
	}
}

// An edit names the revision that it is of, says why, and is refused with the places of the document.
func TestEdit(t *testing.T) {
	hub := &stub{}
	s := server(hub)
	for _, tt := range []struct {
		match, body string
		status      int
		contains    string
	}{
		{`"1-4"`, `{"data":{"a":1.10},"note":"typo"}`, 200, `"edited_by": "local"`},
		{`"1-4"`, `{"data":{"a":2},"note":"typo","replay":true}`, 200, `"outcome": "delivered"`},
		{`*`, `{"data":{"a":3},"note":"typo"}`, 200, `"edited_by"`},
		{`"1-3"`, `{"data":{"a":1},"note":"typo"}`, 412, "changed"},
		{`"2-4"`, `{"data":{"a":1},"note":"typo"}`, 412, "no ETag of this message"},
		{`"4"`, `{"data":{"a":1},"note":"typo"}`, 412, "no ETag of this message"},
		{`W/"1-4"`, `{"data":{"a":1},"note":"typo"}`, 412, "no ETag of this message"},
		{`4`, `{"data":{"a":1},"note":"typo"}`, 400, "no ETag"},
		{``, `{"data":{"a":1},"note":"typo"}`, 400, "If-Match is empty"},
		{`"1-4"`, `{"data":{"a":1}}`, 400, "say why"},
		{`"1-4"`, `{"note":"typo"}`, 400, "data"},
		{`"1-4"`, `{"data":{},"note":"typo"}`, 422, `{"path":"lines[2].sku","message":"missing"}`},
	} {
		w := call(s, "PUT", "/api/v1/parked/1", tt.body, func(r *http.Request) { r.Header.Set("If-Match", tt.match) })
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s %s: %d %s", tt.match, tt.body, w.Code, w.Body)
		}
	}
	if hub.acts[0] != `edit by local (typo, replay false): {"a":1.10}` || hub.acts[1] != `edit by local (typo, replay true): {"a":2}` {
		t.Errorf("acts: %q", hub.acts)
	}
	if w := call(s, "GET", "/api/v1/parked/1", "", nil); w.Header().Get("ETag") != `"1-4"` {
		t.Errorf("ETag %q", w.Header().Get("ETag"))
	}
	if w := call(s, "POST", "/api/v1/parked/1/replay", "", func(r *http.Request) { r.Header.Set("If-Match", `"1-2"`) }); w.Code != 412 {
		t.Errorf("a mark of an old revision: %d", w.Code)
	}
}

// TestBodyLimits: what people send is read up to its limit and refused just past it.
func TestBodyLimits(t *testing.T) {
	s := server(&stub{})
	for _, tt := range []struct {
		method, path, around string // %s is filled up
		most, ok             int
	}{
		{"PUT", "/api/v1/parked/1", `{"note": "typo", "data": {"a": "%s"}}`, maxEdit, 200},
		{"POST", "/api/v1/parked/1/replay", `{"note": "%s"}`, mostNote, 202},
		{"POST", "/api/v1/parked/1/discard", `{"note": "%s"}`, mostNote, 202},
		{"POST", "/api/v1/parked/discard", `{"filter": {"cause": "c0ffee00"}, "note": "%s"}`, mostNote, 202},
		{"POST", "/api/v1/backups", `{"name": "monday"%s}`, 4 << 10, 202},
		{"POST", "/api/v1/restored", `{"note": "%s"}`, 16 << 10, 200},
		{"POST", "/api/v1/flows/a/files/retake", `{"all": true, "note": "%s"}`, 64 << 10, 202},
	} {
		fill := "x"
		if tt.path == "/api/v1/backups" {
			fill = " "
		}
		for past, want := range map[int]int{0: tt.ok, 1: 413} {
			body := fmt.Sprintf(tt.around, strings.Repeat(fill, tt.most+past-len(tt.around)+len("%s")))
			w := call(s, tt.method, tt.path, body, func(r *http.Request) { r.Header.Set("If-Match", "*") })
			if w.Code != want {
				t.Errorf("%s %s with %d bytes: %d %.200s, want %d", tt.method, tt.path, len(body), w.Code, w.Body, want)
			}
		}
	}
}

// Whoever reaches a hub without tokens may say who they are; a token's name cannot be changed.
func TestWho(t *testing.T) {
	for said, want := range map[string]string{"": "local", "ann": "ann (local)", "ann@example.com": "ann@example.com (local)", "a b": "local", "<b>": "local", strings.Repeat("a", 65): "local"} {
		hub := &stub{}
		call(server(hub), "POST", "/api/v1/parked/1/replay", "", func(r *http.Request) { r.Header.Set(UserHeader, said) })
		if got := strings.Join(hub.acts, ""); got != "replay by "+want+": " {
			t.Errorf("%q acts as %q", said, got)
		}
	}
	hub := &stub{}
	call(server(hub, Token{Name: "bob", Value: "0ther", Role: access.Operator}), "POST", "/api/v1/parked/1/replay", "", func(r *http.Request) {
		r.Header.Set(UserHeader, "ann")
		r.Header.Set("Authorization", "Bearer 0ther")
	})
	if got := strings.Join(hub.acts, ""); got != "replay by bob: " {
		t.Errorf("bob acts as %q", got)
	}
}

// What the audit says of a bulk is what was selected.
func TestBulkAbout(t *testing.T) {
	hub := &stub{}
	s := server(hub)
	for _, body := range []string{`{"filter":{"cause":"c0ffee00","flow":"a","older_than":"2h"},"note":"repaired","continue":"9.100.7.0"}`, `{"all":true}`, `{"filter":{"state":"waiting"}}`} {
		if w := call(s, "POST", "/api/v1/parked/replay", body, nil); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	want := "bulk replay by local of flow=a state=parked cause=c0ffee00 older_than=2h: repaired from {9 100 7}; bulk replay by local of state=parked:  from {0 0 0}; " +
		"bulk replay by local of state=waiting:  from {0 0 0}"
	if got := strings.Join(hub.acts, "; "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestStoreFailure(t *testing.T) {
	w := call(server(&stub{err: errors.New("the disk is full")}), "GET", "/api/v1/status", "", nil)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// A code that cannot be written is refused with the line that a person is to add, and one that the files do not allow with their problems.
func TestCodeRefused(t *testing.T) {
	for _, tt := range []struct {
		err      error
		status   int
		contains string
	}{
		{&Unwritable{Why: ErrNoFiles, Line: `pallet: {shop: "crate"}`}, 409, `load the files again: pallet: {shop: \"crate\"}`},
		{&Invalid{Detail: "the map knows it"}, 422, "the map knows it"}, {&BadFiles{Problems: []FileProblem{{File: "a.yaml", Message: "no"}}}, 422, `"file":"a.yaml"`}, {state.ErrNotFound, 404, "not found"},
	} {
		w := call(server(&stub{err: tt.err}), "POST", "/api/v1/parked/codes", `{"map":"units","system":"shop","code":"crate","to":"each"}`, nil)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
		}
	}
	for code, want := range map[string]UnknownCode{"value:units/shop/a/b": {Map: "units", System: "shop", Direction: "value", Code: "a/b"}, "code:units/erp/": {Map: "units", System: "erp", Direction: "code"}, "value:units": {}, "required:sku": {}} {
		if got, ok := UnknownCodeOf(code); ok != (want.Map != "") || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", code, got)
		}
	}
}

// What refuses a reload is told apart: files to correct, a restart to make, a hub that ends.
func TestReloadRefused(t *testing.T) {
	bad := &BadFiles{Problems: []FileProblem{{File: "flows/a.yaml", Line: 3, Column: 5, Message: "unknown key", Hint: "did you mean to?"}}}
	for name, tt := range map[string]struct {
		err      error
		status   int
		contains string
	}{
		"bad files":    {fmt.Errorf("reload: %w", bad), 422, `"problems":[{"file":"flows/a.yaml","line":3,"column":5,"message":"unknown key","hint":"did you mean to?"}]`},
		"a restart":    {&NeedsRestart{Settings: []string{"store", "hooks.listen"}}, 409, "need a restart of the hub: store, hooks.listen"},
		"no files":     {ErrNoFiles, 409, "does not run from files"},
		"a stop":       {ErrStopping, 503, "the hub is stopping"},
		"a store down": {errors.New("the disk is full"), 503, "the disk is full"},
	} {
		w := call(server(&stub{err: tt.err}), "POST", "/api/v1/reload", "", nil)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// Whoever gives no token, or a wrong one, is told nothing by any route but those that a load balancer asks.
func TestEveryRouteAsksForAToken(t *testing.T) {
	hub := &stub{}
	asked := 0
	for _, r := range server(hub).routes() {
		method, path, _ := strings.Cut(strings.NewReplacer("{$}", "", "{id}", "1", "{name}", "a").Replace(r.pattern), " ")
		want := 401
		if path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/console/parts/") || path == "/console/sign-in" {
			want = 200
		}
		for _, header := range []string{"", "Bearer wrong"} {
			s := server(hub, Token{Name: "ann", Value: "s3cret", Role: access.Admin}) // of its own: many wrong tokens have to wait
			w := call(s, method, path, "{}", func(r *http.Request) {
				if header != "" {
					r.Header.Set("Authorization", header)
				}
			})
			if asked++; w.Code != want {
				t.Errorf("%s %s with %q: %d, want %d", method, path, header, w.Code, want)
			}
		}
	}
	if asked < 60 || len(hub.acts) > 0 {
		t.Errorf("%d requests were made, and did %v", asked, hub.acts)
	}
}

func TestTokens(t *testing.T) {
	hub := &stub{}
	s := server(hub, Token{Name: "ann", Value: "s3cret", Role: access.Admin}, Token{Name: "bob", Value: "0ther", Role: access.Operator})
	as := func(v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Authorization", v) } }
	if w := call(s, "GET", "/api/v1/status", "", nil); w.Code != 401 || !strings.HasPrefix(strings.Join(w.Header().Values("WWW-Authenticate"), " "), "Bearer ") ||
		!strings.Contains(strings.Join(w.Header().Values("WWW-Authenticate"), " "), "Basic ") || !strings.Contains(w.Body.String(), "give a token") {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := call(s, "GET", "/api/v1/status", "", as("Bearer wrong")); w.Code != 401 || strings.Contains(w.Body.String(), "wrong") {
		t.Errorf("with a wrong token: %d %s", w.Code, w.Body)
	}
	for value, want := range map[string]int{"bearer s3cret": 200, "BEARER   s3cret": 200, "Bearers3cret": 401, "Bearer": 401, "bearer S3CRET": 401, "s3cret": 401} {
		if w := call(s, "GET", "/api/v1/status", "", as(value)); w.Code != want {
			t.Errorf("%q: %d, want %d", value, w.Code, want)
		}
	}
	if w := call(s, "GET", "/healthz", "", nil); w.Code != 200 {
		t.Errorf("liveness needs a token: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/parked/1/discard", `{"note":"test"}`, as("Bearer 0ther")); w.Code != 202 {
		t.Errorf("bob: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", func(r *http.Request) { r.SetBasicAuth("", "s3cret") }); w.Code != 200 {
		t.Errorf("a browser's password: %d", w.Code)
	}
	s.SetAccess(access.Rules{Tokens: []Token{{Name: "eve", Value: "n3w", Role: access.Engineer}}})
	if w := call(s, "POST", "/api/v1/reload", "", as("Bearer 0ther")); w.Code != 401 {
		t.Errorf("bob's token was replaced: %d", w.Code)
	}
	if w := call(s, "POST", "/api/v1/reload", "", as("Bearer n3w")); w.Code != 200 {
		t.Errorf("eve: %d", w.Code)
	}
	if got := strings.Join(hub.acts, "; "); got != "discard by bob: test; pause by ann; reload by eve" {
		t.Errorf("acts: %s", got)
	}
}

// Without tokens only loopback names are answered, and never a page of somebody else's.
func TestForeignPages(t *testing.T) {
	s := server(&stub{})
	for name, change := range map[string]func(*http.Request){
		"a rebound name":      func(r *http.Request) { r.Host = "evil.example" },
		"another site":        func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another page":        func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a page without name": func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		if w := call(s, "POST", "/api/v1/flows/a/pause", "", change); w.Code != 403 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := call(s, "POST", "/api/v1/flows/a/pause", "", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8080") }); w.Code != 200 {
		t.Errorf("the console itself: %d", w.Code)
	}
}

// Every answer tells a browser how it is to be treated: of the page, of data, of errors and of refusals alike.
func TestHeaders(t *testing.T) {
	with, without := server(&stub{}, Token{Name: "ann", Value: "s3cret", Role: access.Admin}), server(&stub{})
	for _, tt := range []struct {
		s            *Server
		method, path string
		status       int
		policy       string
	}{
		{without, "GET", "/", 200, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types 'none'"},
		{without, "GET", "/console/parts/style.css", 200, "trusted-types 'none'"},
		{without, "GET", "/console/parked", 200, "trusted-types 'none'"},
		{without, "GET", "/console/api", 200, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"},
		{without, "GET", "/console/api/swagger-ui.css", 200, "trusted-types 'none'"},
		{without, "GET", "/console/apis", 200, "trusted-types 'none'"},
		{without, "GET", "/api/v1/status", 200, "default-src 'none'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"},
		{without, "GET", "/nothing", 404, "base-uri 'none'"},
		{without, "DELETE", "/api/v1/status", 405, "base-uri 'none'"},
		{without, "GET", "/healthz", 200, "base-uri 'none'"},
		{without, "GET", "/metrics", 404, "base-uri 'none'"},
		{without, "GET", "//healthz", 307, "base-uri 'none'"},
		{with, "GET", "/", 401, "base-uri 'none'"},
		{with, "POST", "/api/v1/reload", 401, "base-uri 'none'"},
	} {
		w := call(tt.s, tt.method, tt.path, "", nil)
		if w.Code != tt.status || !strings.Contains(w.Header().Get("Content-Security-Policy"), tt.policy) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, w.Code, w.Header().Get("Content-Security-Policy"))
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s: %q", tt.method, tt.path, name, got)
			}
		}
	}
}

// A path that is written out is no message's id, whatever the method; Allow names what there is.
func TestMethods(t *testing.T) {
	for path, want := range map[string]string{"/api/v1/parked/causes": "GET, HEAD", "/api/v1/parked/replay": "POST", "/api/v1/parked/discard": "POST",
		"/api/v1/parked/1": "GET, HEAD, PUT", "/api/v1/recover": "GET, HEAD, POST", "/healthz": "GET, HEAD", "/api/v1/flows/a/pause": "POST"} {
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"} {
			w := call(server(&stub{}), m, path, "", nil)
			if there := slices.Contains(strings.Split(want, ", "), m); (w.Code == 405) == there || !there && w.Header().Get("Allow") != want {
				t.Errorf("%s %s: %d, Allow: %s", m, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}

// A body is what is described, to the letter: the library alone takes names in any case and twice, and null for everything.
func TestBodies(t *testing.T) {
	for body, want := range map[string]string{
		`{"filter":{"cause":"c"},"DRY_RUN":true}`:           `unknown field \"DRY_RUN\"`,
		`{"filter":{"cause":"c"},"filter":{"flow":"a"}}`:    `\"filter\" stands twice`,
		`{"filter":{"flow":"a","cause":""}}`:                "filter.cause is empty",
		`{"filter":{"cause":null}}`:                         "filter.cause is null",
		`{"filter":null,"all":true}`:                        "filter is null",
		`{"all":"true"}`:                                    "all must be true or false",
		`{"filter":[]}`:                                     "filter must be an object",
		`{"filter":{"cause":7}}`:                            "filter.cause must be a text",
		`[]`:                                                "it must be an object",
		"{\"all\":true,\"note\":\"\\u0000\"}":               "code 0",
		"{\"all\":true,\"note\":\"\xff\"}":                  "no UTF-8",
		`{"all":true`:                                       "unexpected EOF",
		`{"all":true,"continue":"+9.1.1.0"}`:                "what the last answer gave",
		`{"all":true,"continue":"9.1.1.0 and more"}`:        "what the last answer gave",
		`{"filter":{"older_than":"1ms"}}`:                   "is no age",
		`{"filter":{"older_than":"-3d"}}`:                   "is no age",
		`{"filter":{"older_than":"99999999999999999999s"}}`: "is no age",
	} {
		hub := &stub{}
		w := call(server(hub), "POST", "/api/v1/parked/replay", body, nil)
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) || len(hub.acts) > 0 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	for media, want := range map[string]int{"": 202, "application/json": 202, "application/json; charset=UTF-8": 202, "application/problem+json": 202, "text/plain": 415,
		"application/x-www-form-urlencoded": 415, "multipart/form-data": 415, "application/json; charset=utf-16": 415, "json": 415} {
		w := call(server(&stub{}), "POST", "/api/v1/parked/replay", `{"all":true}`, func(r *http.Request) { r.Header.Set("Content-Type", media) })
		if w.Code != want {
			t.Errorf("%q: %d %s", media, w.Code, w.Body)
		}
	}
	if w := call(server(&stub{}), "POST", "/api/v1/flows/a/rewind", `{"to":"`+strings.Repeat("a", 5000)+`"}`, nil); w.Code != 413 {
		t.Errorf("a large body: %d", w.Code)
	}
}

// A parameter stands there once, and says something.
func TestQueries(t *testing.T) {
	for q, want := range map[string]string{"parked?flow=a&flow=b": "2 times", "parked?state=": "is empty", "parked?heads=1": "true or false", "parked?after=%2B1": "number",
		"parked?key=%00": "code 0", "parked?key=%ff": "no text in UTF-8", "messages?key=%00": "code 0", "messages?kye=1": "no parameter", "recover?from=": "is empty", "recover?form=start": "no parameter",
		"parked?a;b": "cannot be read", "parked/-1": "number", "parked/+1": "number"} {
		if w := call(server(&stub{}), "GET", "/api/v1/"+q, "", nil); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
}

// The description asks for what this hub asks for, and the status tells of wrong tokens.
func TestDescriptionIsOfThisHub(t *testing.T) {
	var doc struct{ Security []map[string][]string }
	for _, tt := range []struct {
		s    *Server
		want int
	}{{server(&stub{}), 3}, {server(&stub{}, Token{Name: "ann", Value: "s3cret", Role: access.Admin}), 2}} {
		as := func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }
		w := call(tt.s, "GET", "/openapi.json", "", as)
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || len(doc.Security) != tt.want {
			t.Errorf("%v %v", doc.Security, err)
		}
		doc.Security = nil
	}
	s := server(&stub{}, Token{Name: "ann", Value: "s3cret", Role: access.Admin})
	call(s, "GET", "/api/v1/status", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") })
	w := call(s, "GET", "/api/v1/status", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") })
	var st Status
	if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || st.Access.WrongTokens != 1 || st.Access.LastWrongFrom != "192.0.2.1" || st.Access.LastWrong == nil {
		t.Errorf("%+v %v", st.Access, err)
	}
}

// Every route that takes a body says what it answers to one that is too large, of another type or not understood, and every route of the API
// what it answers to a wrong token, from elsewhere and without a store.
func TestOpenAPIRefusals(t *testing.T) {
	data, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Body      json.RawMessage `json:"requestBody"`
			Responses map[string]struct {
				Headers map[string]json.RawMessage `json:"headers"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			var want []string
			if strings.HasPrefix(path, "/api/") {
				want = append(want, "401", "403", "503")
			}
			if o.Body != nil {
				want = append(want, "400", "413", "415")
			}
			for _, code := range want {
				answer, ok := o.Responses[code]
				if !ok {
					t.Errorf("%s %s does not say when it answers %s", method, path, code)
				}
				for header, of := range map[string]string{"WWW-Authenticate": "401", "Retry-After": "503"} {
					if of == code && answer.Headers[header] == nil {
						t.Errorf("%s %s does not say that %s comes with %s", method, path, code, header)
					}
				}
			}
		}
	}
}

func TestFailing(t *testing.T) {
	for _, tt := range []struct {
		name string
		st   Status
		want bool
	}{
		{"running", Status{Flows: []Flow{{State: StateRunning}, {State: StatePaused}, {State: StateSilent}}}, false},
		{"parked messages alone", Status{Totals: Totals{Parked: 3}, Flows: []Flow{{State: StateAttention}}}, false},
		{"late", Status{Flows: []Flow{{State: StateLate}}}, true},
		{"failing", Status{Flows: []Flow{{State: StateFailing}}}, true},
		{"alarm", Status{Flows: []Flow{{State: StateAlarm}}}, true},
		{"unaccounted", Status{Totals: Totals{Unaccounted: 1}}, true},
		{"no broker", Status{Broker: Broker{State: BrokerDown}}, true},
		{"duplicates", Status{Totals: Totals{Duplicates: 1}}, true},
		{"reconciliations agree", Status{Reconciliations: []Reconciliation{{Standing: Standing{State: StateAgreed, Stands: StateAgreed}}, {Standing: Standing{State: StateRunning, Stands: StateNeverRun}}}}, false},
		{"drift", Status{Reconciliations: []Reconciliation{{Standing: Standing{State: StateDrift, Stands: StateDrift}}}}, true},
		{"drift, and it runs again", Status{Reconciliations: []Reconciliation{{Standing: Standing{State: StateRunning, Stands: StateDrift}}}}, true},
		{"overdue", Status{Rules: []Rule{{Standing: Standing{State: StateOverdue, Stands: StateOverdue}}}}, true},
	} {
		if down := tt.st.Broker.State == BrokerDown; tt.st.AtRest() == down {
			t.Errorf("%s: at rest is %v", tt.name, tt.st.AtRest())
		}
		if got := tt.st.Failing(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What moved up in its queue has no reason of its own yet: the list says why it lies there.
func TestHeldWithoutReason(t *testing.T) {
	for reason, want := range map[string]string{"": "what it queued behind has gone: it is tried next", "503": "503"} {
		if got := queuedView(&state.Queued{State: state.Held, Reason: reason}, false).Reason; got != want {
			t.Errorf("%q: %q", reason, got)
		}
	}
	if got := queuedView(&state.Queued{State: state.Held, Follower: true}, false).Reason; got != "" {
		t.Errorf("a follower: %q", got)
	}
}
