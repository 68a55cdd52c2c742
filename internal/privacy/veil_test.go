package privacy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
)

const keyedFlows = `flow: people
entity: customer
from: {system: crm, poll: {every: 1m}}
accept: person.v1
key: lower(source.mail)
to: {topic: canonical.customer}
---
flow: people-on
entity: customer
from: {topic: canonical.customer}
to: {topic: canonical.contact}
---
flow: renamed
entity: contact
from: {topic: canonical.contact}
key: source.no
to: {system: erp}
---
flow: orders
entity: order
from: {system: erp, poll: {every: 1m}}
accept: person.v1
key: source.no
to: {topic: canonical.order}
`

func keyedPlan(t *testing.T) *Plan {
	t.Helper()
	src := func(name, file, text string) []config.Source {
		return []config.Source{{Name: name, FS: fstest.MapFS{file: &fstest.MapFile{Data: []byte(text)}}}}
	}
	plan, problems := config.Load(config.Paths{Config: "waybill.yaml", ConfigFS: src("", "waybill.yaml", "systems:\n  crm: {connector: script}\n  erp: {connector: script}\n")[0].FS,
		Flows:   src("flows", "f.yaml", keyedFlows),
		Schemas: src("schemas", "person.v1.json", `{"type":"object","properties":{"no":{"type":"string"},"mail":{"type":"string","x-pii":true}},"required":["no","mail"]}`)},
		config.Options{Kinds: map[string]connector.Kind{"script": kind{}}})
	if problems.Len() > 0 {
		t.Fatal(problems.Err())
	}
	return Of(plan)
}

// A key that is made of a marked field is personal, and goes with its events over topics until a flow makes another one.
func TestPersonalKeys(t *testing.T) {
	p := keyedPlan(t)
	for flow, want := range map[string]bool{"people": true, "people-on": true, "renamed": false, "orders": false, "gone": true} {
		if got := p.PersonalKey(flow, ""); got != want || p.Flow(flow).Keyed != want {
			t.Errorf("%s: %v %v", flow, got, p.Flow(flow).Keyed)
		}
	}
	if !p.PersonalKey("", "customer") || p.PersonalKey("", "order") || !p.PersonalKey("", "") || !p.PersonalKey("", "gone") || !p.PersonalKey("", Unknown) || p.PersonalKey("orders", "order") {
		t.Error("entities, or whether there are any")
	}
	none := Of(planOf(t))
	if none.PersonalKey("", "") || none.PersonalKey("", Unknown) || none.PersonalKey("in", "customer") || (*Plan)(nil).PersonalKey("", "") {
		t.Error("a plan without personal keys has some")
	}
}

// What is a personal key in one place of an answer is masked in all of them; keys that are none, and what the API itself says, stay.
func TestVeil(t *testing.T) {
	p := keyedPlan(t)
	for _, tt := range []struct{ name, answer, about, want string }{
		{"a row of a flow", `{"journal":[{"flow":"people","key":"ann@a.example","reason":"ann@a.example is none","n":1.50},{"flow":"orders","key":"SO-1"}]}`, "",
			`{"journal":[{"flow":"people","key":"***","reason":"*** is none","n":1.50},{"flow":"orders","key":"SO-1"}]}`},
		{"what names its entity", `{"objects":[{"entity":"customer","key":"ann@a.example","refs":[{"system":"erp","id":"ANN@A.EXAMPLE"}]},{"entity":"order","key":"SO-1"}]}`, "",
			`{"objects":[{"entity":"customer","key":"***","refs":[{"system":"erp","id":"***"}]},{"entity":"order","key":"SO-1"}]}`},
		{"what names neither", `{"differences":[{"n":1,"key":"ann@a.example","left":"7"}]}`, "customer", `{"differences":[{"n":1,"key":"***","left":"***"}]}`},
		{"what names neither, of others", `{"differences":[{"n":1,"key":"SO-1"}]}`, "order", `{"differences":[{"n":1,"key":"SO-1"}]}`},
		{"what names neither, of nobody knows what", `{"differences":[{"n":1,"key":"ann@a.example"}]}`, Unknown, `{"differences":[{"n":1,"key":"***"}]}`},
		{"the key of the whole", `{"key":"ann@a.example","queued":[{"flow":"people","key":"ann@a.example"}]}`, "", `{"key":"***","queued":[{"flow":"people","key":"***"}]}`},
		{"an id that is a key", `{"key":"h-1","objects":[{"entity":"customer","hub":"h-1","refs":[{"system":"crm","id":"ann@a.example"},{"system":"erp","id":"70001"}]}]}`, "",
			`{"key":"h-1","objects":[{"entity":"customer","hub":"h-1","refs":[{"system":"crm","id":"***"},{"system":"erp","id":"70001"}]}]}`},
		{"what is missing", `{"flow":"orders","key":"SO-1","missing":{"entity":"customer","system":"crm","local":"ann@a.example"}}`, "", `{"flow":"orders","key":"SO-1","missing":{"entity":"customer","system":"crm","local":"***"}}`},
		{"nothing personal", `{"flow":"orders","key":"SO-1","x":null}`, "", `{"flow":"orders","key":"SO-1","x":null}`},
		{"no key yet", `{"flow":"people","key":""}`, "", `{"flow":"people","key":""}`},
	} {
		got, ok := p.Veil([]byte(tt.answer), tt.about)
		if !ok || string(got) != tt.want {
			t.Errorf("%s: %v %s", tt.name, ok, got)
		}
	}
	if _, ok := p.Veil([]byte(`{"flow":`), ""); ok {
		t.Error("what cannot be read is shown")
	}
	if got, ok := Of(planOf(t)).Veil([]byte(`{"flow":`), ""); !ok || string(got) != `{"flow":` {
		t.Error("a plan without personal keys changes answers")
	}
	deep := strings.Repeat(`{"a":`, 70) + `{"flow":"people","key":"ann@a.example"}` + strings.Repeat("}", 70)
	if got, ok := p.Veil([]byte(deep), ""); !ok || strings.Contains(string(got), "ann@") {
		t.Error("a deep answer")
	}
}

// Of more keys than texts are searched for, none is shown either, and the answer stays one.
func TestVeilOfManyKeys(t *testing.T) {
	p := keyedPlan(t)
	var rows []map[string]string
	for i := range mostForms + 10 {
		rows = append(rows, map[string]string{"flow": "people", "key": fmt.Sprintf("p%d@a.example", i), "state": "parked", "reason": fmt.Sprintf("p%d@a.example is none", i)})
	}
	answer, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := p.Veil(answer, "")
	if !ok || strings.Contains(string(got), "@a.example") || strings.Count(string(got), `"state":"parked"`) != len(rows) {
		t.Errorf("%v %.300s", ok, got)
	}
}
