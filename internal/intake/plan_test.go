package intake

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/webhook"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

func expression(t *testing.T, text string) *mapping.Expr {
	t.Helper()
	p := &strictyaml.Problems{}
	nodes := strictyaml.Parse("flow.yaml", []byte("key: "+text+"\n"), p)
	e := mapping.CompileExpr(nodes[0].Get("key"), mapping.ExprContext{Headers: true}, p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFromPlan(t *testing.T) {
	plan := &config.Plan{
		Hub: config.Hub{Hooks: config.Hooks{MaxBody: 1000, Rate: strictyaml.Rate{N: 30, Per: time.Minute}}},
		Flows: []*config.Flow{
			{Name: "hooked", Entity: "order", Key: expression(t, "source.No"), Version: expression(t, "source.V"), From: config.From{System: "crm", Webhook: &config.Webhook{
				Path: "crm/orders", Split: "items", ContentTypes: []string{"text/plain"}, FormField: "payload", Ignore: []string{"a.b"}, Handshakes: []string{"get"},
				Answer: &config.Answer{Status: 200, Type: "text/plain", Body: "ok"}, DeliveryID: expression(t, `header("x-id")`),
				Verify: config.Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("k"), Tolerance: time.Minute},
			}}, To: config.To{Topic: "canonical.order"}},
			{Name: "polled", Entity: "order", Key: expression(t, "source.No"), From: config.From{System: "erp", Poll: &config.Poll{Every: time.Minute, Overlap: time.Second, Limit: 5}}},
			{Name: "nightly", Entity: "order", From: config.From{System: "erp", Poll: &config.Poll{Object: "sale", Schedule: "0 2 * * *", Timezone: "Asia/Shanghai"}}},
			{Name: "dropped", Entity: "order", From: config.From{System: "edi", Files: &config.Files{Every: time.Hour}}},
			{Name: "inner", Entity: "order", From: config.From{Topic: "canonical.order"}, To: config.To{Topic: "next"}},
			{Name: "foreign", Entity: "order", From: config.From{Topic: "theirs"}, To: config.To{System: "erp"}},
		},
	}
	systems := map[string]connector.System{"erp": &script{}, "edi": newDrop()}
	got, err := FromPlan(plan, systems, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 6 {
		t.Fatalf("%d sources", len(got))
	}
	if inner, foreign := got[4], got[5]; inner.System != "" || inner.Topic != "canonical.order" || !inner.Known || inner.Onward != "next" || foreign.Topic != "theirs" || foreign.Known || foreign.Onward != "" {
		t.Errorf("of topics: %+v %+v", inner, foreign)
	}
	hook := got[0]
	if hook.Topic != "in.hooked" || hook.System != "crm" || !hook.Versioned || hook.Webhook.Path != "crm/orders" || hook.Webhook.Split != "items" ||
		hook.Webhook.MaxBody != 1000 || hook.Webhook.Rate != 0.5 || hook.Webhook.Verify.Tolerance != time.Minute || len(hook.Webhook.Verify.Secrets) != 1 {
		t.Errorf("webhook %+v %+v", hook, hook.Webhook)
	}
	if w := hook.Webhook; !slices.Equal(w.ContentTypes, []string{"text/plain"}) || w.FormField != "payload" || !slices.Equal(w.Ignore, []string{"a.b"}) || !slices.Equal(w.Handshakes, []string{"get"}) ||
		*w.Answer != (webhook.Answer{Status: 200, Type: "text/plain", Body: "ok"}) || hook.Onward != "canonical.order" {
		t.Errorf("webhook %+v %+v", hook, w)
	}
	doc, err := jsondoc.Parse([]byte(`{"No":"SO-1"}`), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := hook.Key(t.Context(), inbox.Input{Doc: doc}); err != nil || key != "SO-1" {
		t.Errorf("key %q, %v", key, err)
	}
	if id, err := hook.Webhook.DeliveryID(t.Context(), inbox.Input{Doc: doc, Headers: map[string]string{"x-id": "d1"}}); err != nil || id != "d1" {
		t.Errorf("delivery id %q, %v", id, err)
	}
	if p := got[1].Poll; p.Object != "order" || p.Overlap != time.Second || p.Limit != 5 || !p.When.Next(noon).Equal(noon.Add(time.Minute)) || got[1].Versioned {
		t.Errorf("poll %+v", p)
	}
	if p := got[2].Poll; p.Object != "sale" || !p.When.Next(noon).Equal(time.Date(2026, 1, 15, 18, 0, 0, 0, time.UTC)) || got[2].Key != nil {
		t.Errorf("nightly %+v: %v", p, p.When.Next(noon))
	}
	if f := got[3].Files; f.Object != "order" || !f.When.Next(noon).Equal(noon.Add(time.Hour)) {
		t.Errorf("files %+v", f)
	}
}

func TestFromPlanRefuses(t *testing.T) {
	pos := strictyaml.Pos{File: "flows/x.yaml", Line: 3, Col: 1}
	systems := map[string]connector.System{"erp": &script{}, "edi": newDrop()}
	for name, from := range map[string]config.From{
		"a drop that is polled":     {System: "edi", Poll: &config.Poll{Every: time.Minute}},
		"a poller that is a drop":   {System: "erp", Files: &config.Files{}},
		"a system that is not open": {System: "crm", Poll: &config.Poll{}},
		"a bad cron line":           {System: "erp", Poll: &config.Poll{Schedule: "CRON_TZ=UTC"}},
		"nothing":                   {System: "erp"},
	} {
		_, err := FromPlan(&config.Plan{Flows: []*config.Flow{{Name: "x", Pos: pos, From: from}}}, systems, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "flows/x.yaml:3:1: flow x: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	ok := Source{Flow: "f", Topic: "in.f", System: "s", Poll: &Poll{Poller: &script{}, When: every(0)}}
	for name, sources := range map[string][]Source{
		"two of one flow": {ok, ok},
		"no topic":        {{Flow: "f", System: "s", Poll: ok.Poll}},
		"nothing to do":   {{Flow: "f", Topic: "t", System: "s"}},
		"two things":      {{Flow: "f", Topic: "t", System: "s", Poll: ok.Poll, Files: &Files{}}},
		"no poller":       {{Flow: "f", Topic: "t", System: "s", Poll: &Poll{}}},
		"no drop":         {{Flow: "f", Topic: "t", System: "s", Files: &Files{}}},
		"a bad webhook":   {{Flow: "f", Topic: "t", System: "s", Webhook: &webhook.Endpoint{Path: "x"}}},
	} {
		if in, err := Start(Config{Clock: lifecycle.NewManual(noon), Sources: sources}); err == nil {
			t.Errorf("%s: started", name)
			_ = in.Stop(t.Context())
		}
	}
}
