package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// What the console asks of a hub is true of one that runs: previews by today's files, fates, definitions, deliveries; and its pages answer on it.
func TestConsoleOfAHub(t *testing.T) {
	g := newTarget(t)
	p := newProject(t, g.URL)
	p.write("mappings/values/marks.yaml", "values: marks\ncodes:\n  A: {shop: a}\n")
	p.edit("schemas/order.v1.json", `"mark": {"type": "string"}`, `"mark": {"type": "string", "x-pii": true}`)
	var stream *http.Response
	t.Cleanup(func() { // when the hub has stopped, which ends streams and does not wait for their readers
		if stream != nil {
			stream.Body.Close()
		}
	})
	hub := p.start(io.Discard)
	for i := range 5 {
		if code, err := push(t.Context(), hub, "shop/orders", fmt.Sprint("d", i), document{No: fmt.Sprint("N-", i), Seq: 1}); err != nil || code != 202 {
			t.Fatal(code, err)
		}
	}
	if code, err := push(t.Context(), hub, "shop/orders", "strange", document{No: "N-9", Seq: 7, Mark: "zz"}); err != nil || code != 202 {
		t.Fatal(code, err)
	}
	rest(t, hub)
	rows, err := hub.Listed(t.Context(), state.QueueFilter{Heads: true, Limit: 10}, 0)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	id := rows[0].ID
	v, err := hub.Preview(t.Context(), id, nil)
	if err != nil || v.Rehearsal.Outcome != "parked" || v.Kind != "mapping" || v.Flow != "orders" || v.To != "canonical.order" || v.Plan.Hash == "" || strings.Contains(v.Rehearsal.Reason, "zz") {
		t.Errorf("as it is: %+v %v", v, err)
	}
	v, err = hub.Preview(t.Context(), id, []byte(`{"no":"N-9","seq":8,"mark":"a"}`))
	if err != nil || v.Rehearsal.Outcome != "delivered" || v.Key != "N-9" || !strings.Contains(string(v.Mapped), privacy.Masked) || strings.Contains(string(v.Mapped), `"A"`) {
		t.Errorf("mended: %+v %s %v", v, v.Mapped, err)
	}
	var no *api.Invalid
	for doc, want := range map[string]string{`{"no":"","seq":8}`: "no", `{"no":"N-9","seq":8,"mark":"` + privacy.Masked + `"}`: "masked", `{`: "JSON", `{"no":"N-8","seq":8}`: "business key"} {
		if _, err := hub.Preview(t.Context(), id, []byte(doc)); !errors.As(err, &no) || !strings.Contains(no.Detail, want) {
			t.Errorf("%s: %v", doc, err)
		}
	}
	if _, err := hub.Preview(t.Context(), id+1000, nil); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
	if again, err := hub.Listed(t.Context(), state.QueueFilter{Heads: true, Limit: 10}, 0); err != nil || len(again) != 1 || again[0].Rev != rows[0].Rev {
		t.Errorf("previews have changed the message: %+v %v", again, err)
	}

	all, next, err := hub.Fates(t.Context(), state.JournalFilter{Flow: "orders-to-erp", Limit: 10})
	if err != nil || next != 0 || len(all) != 5 || all[0].ID < all[4].ID || all[0].Outcome != state.Delivered {
		t.Fatalf("%+v %v", all, err)
	}
	older, _, err := hub.Fates(t.Context(), state.JournalFilter{Flow: "orders-to-erp", Outcome: state.Delivered, Before: all[1].ID, Limit: 2})
	if err != nil || len(older) != 2 || older[0].ID != all[2].ID {
		t.Errorf("%+v %v", older, err)
	}
	d, err := hub.Definition(t.Context(), "orders")
	if err != nil || d.By != "webhook" || d.Path != "shop/orders" || d.Accept != "order.v1" || d.Mapping != "orders" || !strings.HasSuffix(d.File, "orders.yaml") || d.Line != 1 || d.Sum == "" || d.LateAfterSeconds != 900 {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := hub.Definition(t.Context(), "none"); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
	await(t, "the deliveries to be counted", func() bool {
		got, err := hub.Deliveries(t.Context(), "orders-to-erp", time.Hour)
		if err != nil || len(got.Flows) != 1 || len(got.Flows[0].Delivered) != 13 || got.StepSeconds != 300 {
			t.Fatalf("%+v %v", got, err)
		}
		n := int64(0)
		for _, v := range got.Flows[0].Delivered {
			n += v
		}
		return n == 5
	})
	if stream, err = http.Get(hub.URL() + "/api/v1/events"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "event: pulse\n" {
		t.Errorf("the stream begins with %q %v", line, err)
	}
	st, err := hub.Status(t.Context())
	if err != nil || st.Summary.Text != "1 message waits for a person; nothing is late, stuck, lost, doubled, drifting or silent." || st.Summary.State != "attention" {
		t.Errorf("%+v %v", st.Summary, err)
	}
	for path, want := range map[string]string{"/": st.Summary.Text, "/console/parked": "N-9", fmt.Sprint("/console/parked/", id): "What a replay would do now", "/console/flows/orders-to-erp": "N-4", "/console/find?q=N-3": "delivered"} {
		if page := shown(t, hub, path); !strings.Contains(page, want) || strings.Contains(page, "zz") {
			t.Errorf("%s: %s", path, page)
		}
	}
	await(t, "the index to have everything, so that nothing is nothing", func() bool {
		page := shown(t, hub, "/console/find?q=nothing")
		none, looked := strings.Contains(page, "The hub remembers nothing under nothing."), strings.Contains(page, `id="looked"`)
		if none == looked {
			t.Fatalf("neither nothing nor not yet:\n%s", page)
		}
		return none
	})
}

// shown is a page of the console.
func shown(t *testing.T, hub *Hub, path string) string {
	t.Helper()
	resp, err := http.Get(hub.URL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v\n%s", path, resp.StatusCode, err, page)
	}
	return string(page)
}
