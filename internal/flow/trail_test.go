package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/search"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// keeping lets a world keep documents.
func (w *world) keeping() {
	w.store.KeepDocuments(store.Keep{Age: time.Hour, Size: 1 << 20})
	w.deps.KeepsDocuments = func() bool { return true }
	p := privacy.Of(w.plan)
	w.deps.Private = p.Flow
}

// story is the journal of a flow, oldest first, with the documents.
func (w *world) story(flow string) []state.Journal {
	w.t.Helper()
	rows, err := w.store.Journal(w.t.Context(), state.JournalFilter{Flow: flow, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Documents(w.t.Context(), rows); err != nil {
		w.t.Fatal(err)
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

func told(j *state.Journal) string {
	s := fmt.Sprintf("%s %s %s field=%s local=%s", j.Outcome, j.Action, j.Reason, j.Field, j.Local)
	if d := j.Documents; d != nil {
		s += fmt.Sprintf(" source=%s mapped=%s sent=%s status=%s answer=%s failed=%v", d.Source, d.Mapped, d.Sent, d.Status, d.Answer, d.Failed)
	}
	return s
}

// Each entry of a trace tells the operation, the object's id there, the documents and what was answered, and of a skip why.
func TestTraceTellsWhatWasDone(t *testing.T) {
	refusal := &fault.Error{Kind: fault.Invalid, System: "erp", Op: "update order", Code: "422", Field: "lines[0].sku", Answer: []byte(`{"error":"no such sku"}`), Err: fmt.Errorf("no such sku")}
	del := func(e *event.Event) { e.Operation = event.Delete }
	for _, c := range []struct {
		name   string
		script []step
		events []event.Event
		want   []string // what the last entries hold, word by word
	}{
		{"created, then updated", nil, []event.Event{order("A", 1, "1"), order("A", 2, "2")}, []string{"delivered create local=T1 source={ mapped={ failed=false", `delivered update local=T1 "qty":2`}},
		{"deleted", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "2"), del)}, []string{"delivered create", "delivered delete local=T1"}},
		{"refused by the target", []step{{apply: true}, {false, refusal, nil}}, []event.Event{order("A", 1, "1"), order("A", 2, "2")},
			[]string{"delivered create", `parked update field=lines[0].sku "qty":2 status=422 answer={"error":"no such sku"} failed=true`}},
		{"refused by the schema", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A"}`) })}, []string{`parked field= source={"no":"A"} failed=true`}},
		{"its outcome is unknown", []step{{false, dropped, nil}}, []event.Event{order("A", 1, "1")}, []string{"held create failed=true"}},
		{"filtered", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A","qty":1,"status":"draft"}`) })}, []string{"skipped filtered source={ draft"}},
		{"the same again", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "1"), func(e *event.Event) { e.ID = "again" })}, []string{"delivered", "skipped duplicate"}},
		{"the same content under a newer version", nil, []event.Event{order("A", 1, "1"), with(order("A", 1, "2"), func(e *event.Event) { e.ID = "again" })}, []string{"delivered", "skipped duplicate"}},
		{"an older version", nil, []event.Event{order("A", 2, "2"), order("A", 1, "1")}, []string{"delivered", "skipped stale"}},
		{"its own change", nil, []event.Event{with(order("A", 1, "1"), func(e *event.Event) { e.Origin = "erp" })}, []string{"skipped echo"}},
		{"nothing there to delete", nil, []event.Event{with(order("A", 1, "3"), del)}, []string{"skipped delete-ignored"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.keeping()
			w.erp.script = c.script
			r := w.flow("orders-to-erp")
			w.must(r, c.events...)
			got := w.story("orders-to-erp")
			if len(got) != len(c.want) {
				t.Fatalf("%d entries, want %d", len(got), len(c.want))
			}
			for i := range got {
				text := told(&got[i])
				for _, word := range strings.Fields(strings.ReplaceAll(c.want[i], "no such sku", "no\x00such\x00sku")) {
					if word = strings.ReplaceAll(word, "\x00", " "); !strings.Contains(text, word) {
						t.Errorf("entry %d lacks %q: %s", i, word, text)
					}
				}
				if got[i].Outcome == state.Skipped && got[i].Told == "" {
					t.Errorf("entry %d does not say why: %s", i, text)
				}
				if got[i].Documents == nil {
					t.Errorf("entry %d has no documents: %s", i, text)
				}
			}
		})
	}
}

// TestSkipsBetweenTopicsAreTold: what goes from topic to topic is not journalled, and what is left out there is, with why.
func TestSkipsBetweenTopicsAreTold(t *testing.T) {
	w := newWorldOf(t, "flow: copy\nentity: order\nfrom: {topic: orders}\nwhen: data.no != \"B\"\nto: {topic: copies}\n", store.Config{})
	w.must(w.flow("copy"), order("A", 1, "1"), order("B", 1, "1"))
	w.expect("copy", "delivered=1 filtered=1")
	if got := w.story("copy"); len(got) != 1 || got[0].Outcome != state.Skipped || got[0].Reason != "filtered" {
		t.Errorf("%+v", got)
	}
}

func TestOfFailuresDocumentsAreAlwaysKept(t *testing.T) {
	w := newWorld(t)
	w.erp.script = []step{{apply: true}, {false, wrong, nil}}
	r := w.flow("orders-to-erp")
	w.must(r, order("A", 1, "1"), order("B", 2, "2"))
	got := w.story("orders-to-erp")
	if len(got) != 2 || got[0].Documents != nil || got[1].Documents == nil || !got[1].Documents.Failed {
		t.Errorf("of a success %+v, of a failure %+v", got[0].Documents, got[1].Documents)
	}
}

// An object that was there before is adopted, and the entry says by what it was found.
func TestTraceTellsOfAnAdoption(t *testing.T) {
	w := newWorldOf(t, naturalFlows, store.Config{})
	w.keeping()
	w.deps.Systems["erp"].Connector = byNumber{w.erp}
	r := w.own("orders-to-erp", 0)
	w.erp.made("T9", event.Event{}, map[string]any{"no": "A", "qty": 5.0})
	rec := event.Record{Topic: "orders", Offset: 0, Key: []byte("A"), Value: []byte(`{"no":"A","qty":1}`)}
	b := &event.Batch{Topic: "orders", Epoch: r.parts[partKey{"orders", 0}].Epoch, Lane: event.LaneOf("A", 16), Records: []event.Record{rec}}
	if err := w.hand(r, b); err != nil {
		t.Fatal(err)
	}
	got := w.story("orders-to-erp")
	if len(got) != 1 || got[0].Action != state.DidAdopt || got[0].Local != "T9" || !strings.Contains(got[0].Reason, "found by no") {
		t.Errorf("the story %+v", got)
	}
}

// secretMail stands in the marked field of every document.
const secretMail = "jane.doe@example.org"

// No masked value stands in clear in anything that the store keeps for people, nor in what is logged, whatever becomes of the message; and the system gets it.
func TestMaskedValuesStayOut(t *testing.T) {
	quoting := func(kind fault.Kind) *fault.Error {
		return &fault.Error{Kind: kind, System: "erp", Op: "create order", Code: "422", Answer: []byte(`{"error":"` + strings.ToUpper(secretMail) + ` is taken"}`), Err: fmt.Errorf("%s is taken", secretMail)}
	}
	for name, script := range map[string][]step{"delivered": nil, "parked": {{false, quoting(fault.Invalid), nil}}, "held": {{false, quoting(fault.UnknownOutcome), nil}, {false, quoting(fault.UnknownOutcome), nil}}} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, testFlows, store.Config{}, strings.Replace(testMappings, "status?: source.status", "status?: source.status\n  number?: upper(source.phone)", 1)+plainMappings,
				strings.Replace(testSchema, `"phone":{"type":"string"}`, `"phone":{"type":"string","x-pii":true}`, 1))
			w.keeping()
			hider := search.Hider{Secret: []byte("the store's")}
			found := &search.Plan{Flows: map[string]search.Flow{"orders-to-erp": {Fields: []string{"no", "phone"}}}}
			w.deps.Hidden = func(flow string, source, mapped []byte, kept *state.Documents) []state.Term {
				return found.Hidden(hider, flow, source, mapped, kept)
			}
			var logged bytes.Buffer
			w.deps.Log = slog.New(slog.NewTextHandler(&logged, nil))
			w.erp.script = script
			r := w.flow("orders-to-erp")
			e := order("A", 1, "1")
			e.Data = []byte(`{"no":"A","qty":1,"status":"new","phone":"` + secretMail + `"}`)
			w.must(r, e)
			if name == "delivered" && w.erp.objects["T1"]["number"] != strings.ToUpper(secretMail) {
				t.Errorf("the target got %v", w.erp.objects["T1"])
			}
			rows := w.story("orders-to-erp")
			if len(rows) == 0 {
				t.Fatal("no journal")
			}
			all, err := json.Marshal(rows)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range rows {
				if d := j.Documents; d == nil || !bytes.Contains(d.Source, []byte(`"phone":"***"`)) {
					t.Errorf("the documents %+v", d)
				} else if len(d.Hidden) == 0 || d.Hidden[0] != (state.Term{Field: "phone", Text: hider.Hash(secretMail)}) {
					t.Errorf("whoever knows it does not find it: %q", d.Hidden)
				} else {
					all = append(all, bytes.Join([][]byte{d.Source, d.Mapped, d.Sent, d.Answer}, nil)...)
				}
			}
			for _, q := range w.queue("orders-to-erp") {
				all = append(all, q.Reason+q.Code+q.Cause...)
			}
			if at := bytes.Index(bytes.ToLower(all), []byte(secretMail)); at >= 0 {
				t.Errorf("it stands in the journal, or in a reason: …%s…", all[max(0, at-80):at+len(secretMail)])
			}
			if strings.Contains(strings.ToLower(logged.String()), secretMail) {
				t.Errorf("it was logged: %s", logged.String())
			}
			w.onlyInQueueAndInbox(secretMail)
		})
	}
}

// onlyInQueueAndInbox looks at the bytes of the store: the message itself is there as long as it waits, and nothing else holds its value.
func (w *world) onlyInQueueAndInbox(secret string) {
	w.t.Helper()
	waiting := len(w.queue("orders-to-erp")) > 0
	path := w.path
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if has := bytes.Contains(bytes.ToLower(b), []byte(secret)); has != waiting {
		w.t.Errorf("the value stands in the store: %v, and a message that holds it waits there: %v", has, waiting)
	}
}
