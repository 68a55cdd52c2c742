package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestFindOfAHub: what went through a hub is found by key, by its id in a system and by the fields of its flow, with what its document names; a masked value is found
// by who knows it and shown to nobody; and a field that is added later is found in what was there before.
func TestFindOfAHub(t *testing.T) {
	g := newTarget(t)
	p := newProject(t, g.URL)
	p.write("schemas/order.v1.json", strings.Replace(schemaFile, `"mark": {"type": "string"}`, `"mark": {"type": "string", "x-pii": true}, "order_number": {"type": "string"}`, 1))
	p.edit("flows/erp.yaml", "entity: order", "entity: order\nsearch: [mark]")
	p.edit("mappings/orders.yaml", `  by: "first"`, "  by: \"first\"\n  mark?: source.mark")
	p.edit("flows/notes.yaml", "to: {topic: canonical.note}", "map: notes\njournal: all\nsearch: [seq]\nto: {topic: canonical.note}")
	p.write("mappings/notes.yaml", "mapping: notes\nfrom: order.v1\nto: order.v1\nset:\n  no: source.no\n  seq: source.seq\n  order_number?: source.by\n")
	hub := p.start(io.Discard)
	for path, doc := range map[string]document{"shop/orders": {No: "SO-77", Seq: 8765, Mark: "Jane Dóe"}, "shop/notes": {No: "N-1", Seq: 4321, By: "SO-77"}} {
		if status, err := push(t.Context(), hub, path, path, doc); status != http.StatusAccepted {
			t.Fatal(status, err)
		}
	}
	find := func(text string) (out []string, complete bool) {
		t.Helper()
		page, err := hub.Search(t.Context(), state.SearchQuery{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			out = append(out, fmt.Sprint(o.Entity, " ", o.Key, " ", o.State(), " ", o.Fields))
		}
		return out, page.Complete()
	}
	await(t, "all of it is indexed", func() bool {
		order, _ := find("jane doe")
		note, done := find("4321")
		return len(order) == 1 && len(note) == 1 && done
	})
	external := ""
	for id := range g.orders {
		external = id
	}
	for text, want := range map[string]string{"JANE  DOE": "[order SO-77 delivered [mark]]", "dóe": "[order SO-77 delivered [mark]]", "jan": "[]", "so-7": "[order SO-77 delivered [id key]]", "77": "[order SO-77 delivered [key]]",
		"4321": "[contact N-1 delivered [seq]]", external: "[order SO-77 delivered [id]]", "nothing": "[]"} {
		if got, _ := find(text); fmt.Sprint(got) != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
	if got, err := hub.Search(t.Context(), state.SearchQuery{Text: "77", Entity: "contact"}); err != nil || len(got.Objects) != 0 {
		t.Errorf("of another kind: %+v, %v", got.Objects, err)
	}
	for name, sel := range map[string]api.Selection{"flow": {Flow: "orders-to-epr"}, "system": {System: "epr"}, "entity": {Entity: "ordr"}} {
		if _, err := hub.Select(t.Context(), sel); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), name) {
			t.Errorf("messages of a %s that there is not: %v", name, err)
		}
	}
	if f, err := hub.Select(t.Context(), api.Selection{Flow: "orders-to-erp", System: "erp", Entity: "order"}); err != nil || len(f.Flows) == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := hub.Search(t.Context(), state.SearchQuery{Text: "77", Entity: "ordr"}); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), "order") {
		t.Errorf("of no kind: %v", err)
	}
	page, err := hub.Search(t.Context(), state.SearchQuery{Text: "jane doe"})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := json.Marshal(page); err != nil || strings.Contains(strings.ToLower(string(all)), "jane") {
		t.Errorf("a masked value is shown: %s, %v", all, err)
	}
	for key, want := range map[string]string{"SO-77": "order_number true contact N-1", "N-1": "order_number false order SO-77"} {
		tr, err := hub.Trace(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := hub.Relate(t.Context(), &tr); err != nil {
			t.Fatal(err)
		}
		if len(tr.Related) != 1 {
			t.Errorf("%s is related to %+v", key, tr.Related)
			continue
		}
		if r := tr.Related[0]; fmt.Sprint(r.Field, " ", r.Backward, " ", r.Entity, " ", r.Key) != want {
			t.Errorf("%s: %+v, want %s", key, r, want)
		}
	}
	// What waits before a flow is known by its key; that nobody has looked at the rest of it is said.
	if err := hub.Pause(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	if status, err := push(t.Context(), hub, "shop/orders", "waits", document{No: "SO-78", Seq: 1, Mark: "Bo Waits"}); status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	if got, complete := find("bo waits"); len(got) != 0 || complete {
		t.Errorf("a none that is false: %v, complete: %v", got, complete)
	}
	await(t, "it waits before the flow", func() bool {
		page, err := hub.Search(t.Context(), state.SearchQuery{Text: "SO-78"})
		return err == nil && len(page.Objects) > 0 && page.Unread.IsZero() && !page.Underway.IsZero()
	})
	if other, err := hub.Search(t.Context(), state.SearchQuery{Text: "bo waits", Entity: "contact"}); err != nil || !other.Complete() {
		t.Errorf("nothing of that kind is on its way: %+v, %v", other.Looked, err)
	}
	if err := hub.Resume(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "it is found by its name", func() bool {
		got, complete := find("bo waits")
		return fmt.Sprint(got) == "[order SO-78 delivered [mark]]" && complete
	})
	p.edit("flows/erp.yaml", "search: [mark]", "search: [mark, seq]")
	if _, err := hub.Reload(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "the new field is found in what was there", func() bool {
		got, _ := find("8765")
		return fmt.Sprint(got) == "[order SO-77 delivered [seq]]"
	})
}
