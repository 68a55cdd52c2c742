package decide

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// nobody knows no object.
type nobody struct{}

func (nobody) HubID(context.Context, string, string, string) (string, bool, error) {
	return "", false, nil
}

func (nobody) LocalID(context.Context, string, string, string) (string, bool, error) {
	return "", false, nil
}

// write is the flow of the tests: from a topic into erp.
func write(change func(*config.Flow)) *config.Flow {
	f := &config.Flow{Name: "orders-to-erp", Entity: "order"}
	f.From.Topic, f.To.System, f.To.OnDelete = "orders", "erp", "delete"
	if change != nil {
		change(f)
	}
	return f
}

func before(f *config.Flow, ev event.Event) *Target {
	return &Target{Message: &Message{Flow: f, Event: &ev, Lookup: nobody{}, Out: ev.Data}, System: "erp", Finds: true, Now: now, Known: state.Target{External: "ext"}}
}

func upsert(version string) event.Event {
	return event.Event{ID: "e" + version, Entity: "order", Hub: "h", Key: "K", Origin: "shop", Version: version, Operation: event.Upsert, Data: []byte(`{"qty":1}`), Accepted: now}
}

func removal(version string) event.Event {
	ev := upsert(version)
	ev.Operation, ev.Data = event.Delete, nil
	return ev
}

func said(v *Verdict) string {
	if v == nil {
		return "goes on"
	}
	if v.Outcome == state.Waiting {
		return "waiting " + v.Reason
	}
	return string(v.Outcome) + " " + strings.Trim(v.Reason+" "+v.Kind+" "+v.Code, " ")
}

// What keeps a message from its target.
func TestGuardOfATarget(t *testing.T) {
	// as is what the guard remembers of an event that was applied.
	as := func(ev event.Event) *state.Applied {
		was := before(write(nil), ev)
		if _, err := was.Guard(t.Context()); err != nil {
			t.Fatal(err)
		}
		return was.Applied()
	}
	ahead := upsert(now.Add(48 * time.Hour).Format(time.RFC3339))
	again := func(trigger event.Trigger, ev event.Event) event.Event {
		ev.ID, ev.Submitted = "submitted/"+ev.ID, &event.Submission{Trigger: trigger}
		return ev
	}
	other := func(ev event.Event) event.Event { ev.ID, ev.Data = "other", []byte(`{"qty":2}`); return ev }
	for name, c := range map[string]struct {
		ev   event.Event
		was  *state.Applied
		want string
	}{
		"the first":                         {upsert("2"), nil, "goes on"},
		"newer":                             {upsert("3"), as(upsert("2")), "goes on"},
		"older":                             {upsert("1"), as(upsert("2")), "skipped stale"},
		"the same again":                    {upsert("2"), as(upsert("2")), "skipped duplicate"},
		"the same version, another content": {other(upsert("2")), as(upsert("2")), "goes on"},
		"its own echo":                      {func() event.Event { ev := upsert("2"); ev.Origin = "erp"; return ev }(), nil, "skipped echo"},
		"a version that is ahead":           {ahead, as(upsert("2")), "goes on"},
		"the same one, ahead, again":        {ahead, as(ahead), "skipped duplicate"},
		"what an older hub believed holds up nothing":  {upsert("2"), &state.Applied{Version: now.Add(48 * time.Hour).Format(time.RFC3339), Hash: "x"}, "goes on"},
		"a deletion of the same version as the change": {removal("2"), as(upsert("2")), "goes on"},
		"a deletion twice": {removal("2"), as(removal("2")), "skipped duplicate"},
		// What is submitted to repair, or by a person, is sent although it is known to be there, once; nothing newer is overwritten.
		"a repair of what was applied": {again(event.Repair, upsert("2")), as(upsert("2")), "goes on"},
		"a person's resend of it":      {again(event.Person, upsert("2")), as(upsert("2")), "goes on"},
		"the same resend twice":        {again(event.Person, upsert("2")), as(again(event.Person, upsert("2"))), "skipped duplicate"},
		"a backfill of what was there": {again(event.Backfill, upsert("2")), as(upsert("2")), "skipped duplicate"},
		"a repair of an older state":   {again(event.Repair, upsert("1")), as(upsert("2")), "skipped stale"},
		"a repair of its own":          {func() event.Event { ev := again(event.Repair, upsert("2")); ev.Origin = "erp"; return ev }(), nil, "skipped echo"},
	} {
		t.Run(name, func(t *testing.T) {
			to := before(write(nil), c.ev)
			to.Known.Applied = c.was
			v, err := to.Guard(t.Context())
			if got := said(v); got != c.want || err != nil {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
		})
	}
}

// Of the events of one version the guard knows each, the newest sixteen.
func TestAppliedRemembersSixteen(t *testing.T) {
	var was *state.Applied
	of := func(i int) *Target {
		ev := upsert("2")
		ev.ID, ev.Data = "e"+string(rune('a'+i)), []byte(`{"n":"`+string(rune('a'+i))+`"}`)
		to := before(write(nil), ev)
		to.Known.Applied = was
		return to
	}
	for i := range mostApplied + 1 {
		to := of(i)
		if v, err := to.Guard(t.Context()); v != nil || err != nil {
			t.Fatalf("event %d: %s (%v)", i, said(v), err)
		}
		was = to.Applied()
	}
	for i := range mostApplied + 1 {
		v, _ := of(i).Guard(t.Context())
		if want := map[bool]string{true: "goes on", false: "skipped duplicate"}[i == 0]; said(v) != want {
			t.Errorf("event %d again: %s, want %s", i, said(v), want)
		}
	}
}

// The call that is made, by what is known of the object there.
func TestPlan(t *testing.T) {
	there := &state.Ref{Local: "7", ETag: "t"}
	gone := &state.Ref{Local: "7", Deleted: true}
	applied := &state.Applied{Hash: deletedHash, Version: "1"}
	for name, c := range map[string]struct {
		flow func(*config.Flow)
		ev   event.Event
		set  func(*Target)
		want string
	}{
		"a new object":                  {nil, upsert("2"), nil, `create "" {"qty":1} look first`},
		"a new object, found later":     {func(f *config.Flow) { f.To.AfterConflict = true }, upsert("2"), nil, `create "" {"qty":1}`},
		"a target that cannot be asked": {nil, upsert("2"), func(t *Target) { t.Finds = false }, `create "" {"qty":1}`},
		"a known object":                {nil, upsert("2"), func(t *Target) { t.Known.Ref = there }, `update "7" {"qty":1}`},
		"the flow's fields alone":       {func(f *config.Flow) { f.To.Owns = []string{"price", "qty"} }, upsert("2"), func(t *Target) { t.Known.Ref = there }, `update "7" {"qty":1}`},
		"updates alone, and unknown":    {func(f *config.Flow) { f.To.Operation = "update" }, upsert("2"), nil, "waiting the order h has no id in erp yet"},
		"deleted there":                 {nil, upsert("2"), func(t *Target) { t.Known.Ref = gone }, "parked the object was deleted in erp; an update from shop would create it again: discard the message, or remove the deletion there and replay not-found erp/gone"},
		"deleted by its origin before":  {nil, upsert("2"), func(t *Target) { t.Known.Ref, t.Known.Applied = gone, applied }, `create "" {"qty":1}`},
		"written once":                  {nil, upsert("2"), func(t *Target) { t.WriteOnce = true }, `create "" {"qty":1}`},
		"written once, after deletion":  {nil, upsert("2"), func(t *Target) { t.WriteOnce, t.Known.Ref, t.Known.Applied = true, gone, applied }, `update "7" {"qty":1}`},
		"a deletion":                    {nil, removal("2"), func(t *Target) { t.Known.Ref = there }, `delete "7" `},
		"a deletion of nothing":         {nil, removal("2"), nil, "skipped delete-ignored"},
		"a deletion of what may be":     {nil, removal("2"), func(t *Target) { t.InDoubt = true }, `delete "" `},
		"deletions are ignored":         {func(f *config.Flow) { f.To.OnDelete = "ignore" }, removal("2"), func(t *Target) { t.Known.Ref = there }, "skipped delete-ignored"},
		"deactivated":                   {func(f *config.Flow) { f.To.OnDelete, f.To.Deactivated = "deactivate", []byte(`{"off":true}`) }, removal("2"), func(t *Target) { t.Known.Ref = there }, `update "7" {"off":true}`},
		"no policy":                     {func(f *config.Flow) { f.To.OnDelete = "" }, removal("2"), func(t *Target) { t.Known.Ref = there }, "parked the object was deleted in shop and the flow has no on-delete policy: replay after setting on-delete, or discard delete on-delete"},
	} {
		t.Run(name, func(t *testing.T) {
			to := before(write(c.flow), c.ev)
			if c.set != nil {
				c.set(to)
			}
			w, v := to.Plan()
			got := said(v)
			if v == nil {
				got = string(w.Action) + ` "` + w.Local + `" ` + string(w.Doc)
				if to.Unmet(w.Action) {
					got += " look first"
				}
				if w.Object != "order" || w.External != "ext" || !strings.HasPrefix(w.IdempotencyKey, c.ev.ID+"/orders-to-erp") {
					t.Errorf("the call is %+v", w)
				}
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// An edited message is another question to a target that remembers questions.
func TestEditsAreOtherQuestions(t *testing.T) {
	to := before(write(nil), upsert("2"))
	first, _ := to.Plan()
	to.Edits = 1
	second, _ := to.Plan()
	if first.IdempotencyKey == second.IdempotencyKey {
		t.Error("an edited message asks what was asked before")
	}
}

// What has to be looked up is found by whole keys alone.
func TestNatural(t *testing.T) {
	f := write(func(f *config.Flow) {
		f.To.FindBy = []config.FindBy{{Field: "no"}, {Field: "branch.id", Compare: connector.Fold}}
	})
	for doc, want := range map[string]string{
		`{"no":"A","branch":{"id":7}}`:    "A 7",
		`{"no":"A","branch":{"id":""}}`:   "",
		`{"no":"A","branch":{}}`:          "",
		`{"no":null,"branch":{"id":"x"}}`: "",
	} {
		ev := upsert("1")
		ev.Data = []byte(doc)
		values, rules := before(f, ev).Natural()
		got := strings.Trim(values["no"]+" "+values["branch.id"], " ")
		if got != want || want != "" && rules["branch.id"] != connector.Fold {
			t.Errorf("%s: found by %q, %v", doc, got, rules)
		}
	}
}

// A look-up that fails decides nothing.
func TestFailingLookup(t *testing.T) {
	away := errors.New("away")
	to := before(write(nil), upsert("2"))
	to.Lookup = failing{away}
	if _, err := DryRun(t.Context(), &config.Plan{}, to.Flow, *to.Event, nil, failing{away}, now); !errors.Is(err, away) {
		t.Errorf("the dry run ended with %v", err)
	}
}

type failing struct{ err error }

func (f failing) HubID(context.Context, string, string, string) (string, bool, error) {
	return "", false, f.err
}

func (f failing) LocalID(context.Context, string, string, string) (string, bool, error) {
	return "", false, f.err
}
