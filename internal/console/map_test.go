package console

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/api"
)

func TestMap(t *testing.T) {
	w := visit(open(busy()), "GET", "/console/map", nil, nil)
	has(t, w, 200, "<title>Map · Waybill</title>", `href="/console/flows/calm" aria-label="calm: running, 30 delivered in the last two hours"`, `href="/console/flows/slow%3Cb%3E"`, `href="/console/systems/erp" aria-label="erp: down"`, "<title>canonical.order</title>", `class="edge bad"`, "∌<b>")
	hub := busy()
	hub.answers["GET /api/v1/status"] = &api.Status{}
	has(t, visit(open(hub), "GET", "/console/map", nil, nil), 200, "There are no flows.")
}

// Whatever leads where, the picture is sound: well-formed, each flow once, and no box upon another.
func TestMapIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-d<&"]{1,2}`)
		st := &api.Status{}
		for _, n := range rapid.SliceOfNDistinct(name, 0, 5, rapid.ID).Draw(t, "systems") {
			st.Systems = append(st.Systems, api.System{Name: n, State: rapid.SampledFrom([]string{"up", "down"}).Draw(t, "state")})
		}
		for i := range rapid.IntRange(0, 12).Draw(t, "flows") {
			st.Flows = append(st.Flows, api.Flow{Name: fmt.Sprint("f", i, name.Draw(t, "name")), From: name.Draw(t, "from"), To: name.Draw(t, "to"), State: "running"})
		}
		p := &page{Lang: "en"}
		svg := string(p.draw(st, &api.Deliveries{}))
		d := xml.NewDecoder(strings.NewReader(svg))
		type place struct{ x, y string }
		at := map[place]bool{}
		links := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, svg)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			var here place
			for _, a := range e.Attr {
				switch {
				case a.Name.Local == "x":
					here.x = a.Value
				case a.Name.Local == "y":
					here.y = a.Value
				case a.Name.Local == "class" && a.Value == "flow":
					links++
				}
			}
			if e.Name.Local == "rect" {
				if at[here] {
					t.Fatalf("two boxes at %v", here)
				}
				at[here] = true
			}
		}
		if links != len(st.Flows) {
			t.Fatalf("%d of %d flows", links, len(st.Flows))
		}
	})
}

// Pages that are made of the same news share what stands beside the status; of other news all of it is asked for anew, also where nothing of it was kept.
func TestSharedOfTheSameNews(t *testing.T) {
	hub := busy()
	hub.news = 1
	hub.answers["GET /api/v1/parked"] = api.Page{}
	c := open(hub)
	asked := func() (n int) {
		for _, a := range hub.asked {
			if strings.HasPrefix(a, "GET /api/v1/deliveries") || a == "GET /api/v1/reconciliations" || a == "GET /api/v1/rules" || a == "GET /api/v1/parked/causes" {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		page string
		news int64
		want int
	}{{"/", 1, 4}, {"/", 1, 4}, {"/console/map", 1, 4}, {"/console/reconciliations", 1, 4}, {"/console/parked", 1, 4}, {"/", 2, 8}, {"/console/map", 2, 8}} {
		hub.news = step.news
		w := visit(c, "GET", step.page, nil, nil)
		if w.Code != http.StatusOK || asked() != step.want {
			t.Errorf("%s: %d, asked %d times, want %d: %v", step.page, w.Code, asked(), step.want, hub.asked)
		}
	}
	hub.answers["GET /api/v1/deliveries"] = &api.Problem{Status: 503, Detail: "the store is away"}
	hub.news++
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusServiceUnavailable} {
		w := visit(c, "GET", "/", nil, nil)
		if w.Code != want {
			t.Errorf("an answer that says no: %d", w.Code)
		}
	}
	hub.answers["GET /api/v1/deliveries"] = api.Deliveries{}
	w := visit(c, "GET", "/", nil, nil)
	if w.Code != http.StatusOK {
		t.Errorf("an answer that says no was kept: %d", w.Code)
	}
}
