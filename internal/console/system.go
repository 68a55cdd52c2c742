package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/waybill-hub/waybill/internal/api"
)

// systemBody is the page of one system: how it does, and which flows wait for it.
type systemBody struct {
	api.System
	Flows  []systemFlow
	Causes []api.Cause
}

// systemFlow is a flow that reads the system or writes to it.
type systemFlow struct {
	api.Flow
	Reads, Writes bool
	// Resumable: it is paused or in alarm, and goes on when a person says so.
	Resumable bool
}

func (*Console) system(p *page) error {
	name := p.r.PathValue("name")
	st, err := p.glance()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(st.Systems, func(s api.System) bool { return s.Name == name })
	if i < 0 {
		return notFound
	}
	b := systemBody{System: st.Systems[i]}
	for i := range st.Flows {
		f := &st.Flows[i]
		if f.From == name || f.To == name {
			b.Flows = append(b.Flows, systemFlow{Flow: *f, Reads: f.From == name, Writes: f.To == name, Resumable: resumable(f)})
		}
	}
	slices.SortStableFunc(b.Flows, func(x, y systemFlow) int {
		return cmp.Or(cmp.Compare(severity(y.State), severity(x.State)), cmp.Compare(y.InFlight, x.InFlight))
	})
	if p.May("GET /console/parked") {
		if b.Causes, err = p.causes(api.Selection{System: name}); err != nil {
			return err
		}
	}
	return p.show("system", name, b)
}

// reload has the hub load its files again, and leads back to where the wish came from.
func (c *Console) reload(p *page) error {
	if err := p.ask(http.MethodPost, "/api/v1/reload", nil, map[string]string{}, nil); err != nil {
		return err
	}
	to, err := url.Parse(ownPath(p.r.PostForm.Get("to")))
	if err != nil {
		to = &url.URL{Path: "/"}
	}
	q := to.Query()
	q.Set("said", "reload")
	to.RawQuery = q.Encode()
	return &redirect{to.String()}
}

// fetch reads what a message waits for from its source, and sends it through the flow that takes it from there.
func (c *Console) fetch(p *page) error {
	var m api.Queued
	if err := p.get("/api/v1/parked/"+url.PathEscape(p.r.PathValue("id")), nil, &m); err != nil {
		return err
	}
	if m.Missing == nil {
		return &redirect{p.here("")} // it has gone on meanwhile
	}
	// The note goes with another object than the message, to readers from whom the message's key may have to be kept: its number says enough.
	ask := api.ResendRequest{Entity: m.Missing.Entity, Key: cmp.Or(m.Missing.Local, m.Missing.Hub), Note: "message " + strconv.FormatInt(m.ID, 10) + " waits for it"}
	if m.Missing.Local != "" { // the id is one of that system, which so knows the object
		ask.System = m.Missing.System
	}
	if err := p.ask(http.MethodPost, "/api/v1/resend", nil, ask, nil); err != nil {
		return err
	}
	return &redirect{p.here("fetch")}
}
