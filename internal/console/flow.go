package console

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// flowBody is the page of one flow.
type flowBody struct {
	api.Flow
	Of      api.FlowDefinition
	Skips   []skip
	Day     template.HTML
	Total   int64 // delivered in that day
	Recent  []api.Journal
	Outcome string // of which alone are shown
	Next    string
	Speed   *speed
	// Failed are the files of the flow's drop that could not be taken.
	Failed failedFiles
	// Resumable: it is paused or in alarm, and goes on when a person says so.
	Resumable bool
}

// skip is how many messages were skipped for a reason.
type skip struct {
	Reason string
	Count  int64
}

// speed is how long the newest deliveries took, from when the hub took them up.
type speed struct {
	Of               int
	Median, P95, Max float64
}

// fateOutcomes are those by which recent messages are chosen.
var fateOutcomes = []string{"delivered", "skipped", "parked", "waiting", "discarded"}

func (c *Console) flow(p *page) error {
	name := p.r.PathValue("name")
	path := "/api/v1/flows/" + url.PathEscape(name)
	b := flowBody{Outcome: p.r.URL.Query().Get("outcome")}
	if err := p.get(path, nil, &b.Of); err != nil {
		return err
	}
	st, err := p.glance()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(st.Flows, func(f api.Flow) bool { return f.Name == name })
	if i < 0 {
		return notFound // a reload came between
	}
	b.Flow = st.Flows[i]
	b.Resumable = resumable(&b.Flow)
	for reason, n := range b.SkippedBy {
		b.Skips = append(b.Skips, skip{reason, n})
	}
	slices.SortFunc(b.Skips, func(x, y skip) int { return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Reason, y.Reason)) })
	var day api.Deliveries
	if err := p.get("/api/v1/deliveries", url.Values{"hours": {"24"}, "flow": {name}}, &day); err != nil {
		return err
	}
	for i := range day.Flows {
		d := &day.Flows[i]
		b.Total = sum(d.Delivered)
		b.Day = Bars(d.Delivered, d.Late, p.T("flow.day.label", b.Total, sum(d.Late)))
	}
	if slices.ContainsFunc(b.Remarks, func(r api.Remark) bool { return r.Kind == "failed" }) { // else the place need not be asked
		b.Failed = p.failed(name)
	}
	if p.May("GET /console/parked") {
		if err := p.recent(path, &b); err != nil {
			return err
		}
	}
	return p.show("flow", b.Name, b)
}

// recent asks for the newest messages, and how long deliveries took.
func (p *page) recent(path string, b *flowBody) error {
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if b.Outcome != "" {
		q.Set("outcome", b.Outcome)
	}
	if before := p.r.URL.Query().Get("before"); before != "" {
		q.Set("before", before)
	}
	var list api.Fates
	if err := p.get(path+"/journal", q, &list); err != nil {
		return err
	}
	if b.Recent = list.Journal; list.Next != 0 {
		b.Next = At("/console/flows/"+url.PathEscape(b.Name), "outcome", b.Outcome, "before", list.Next)
	}
	var delivered api.Fates
	if err := p.get(path+"/journal", url.Values{"limit": {"100"}, "outcome": {"delivered"}}, &delivered); err != nil {
		return err
	}
	b.Speed = speedOf(delivered.Journal)
	return nil
}

func speedOf(rows []api.Journal) *speed {
	if len(rows) == 0 {
		return nil
	}
	took := make([]float64, len(rows))
	for i := range rows {
		took[i] = rows[i].Seconds
	}
	slices.Sort(took)
	return &speed{Of: len(took), Median: took[(len(took)-1)/2], P95: took[(len(took)-1)*95/100], Max: took[len(took)-1]}
}

// resumable reports whether a flow is paused or in alarm, and goes on when a person says so.
func resumable(f *api.Flow) bool { return f.Paused != nil || f.State == "alarm" }

// turn pauses a flow, or has it go on.
func (c *Console) turn(act string) func(*page) error {
	return func(p *page) error {
		path := "/flows/" + url.PathEscape(p.r.PathValue("name"))
		if err := p.ask(http.MethodPost, "/api/v1"+path+"/"+act, nil, nil, nil); err != nil {
			return err
		}
		return &redirect{At("/console"+path, "said", act)}
	}
}

// failedFiles are those of a flow's drop that could not be taken, or why they cannot be listed now.
type failedFiles struct {
	api.FailedFiles
	Away string
}

// A drop may be far away: it is asked now and then, however many look and however often, and a page does not wait long for it.
const (
	filesFresh    = 10 * time.Second
	filesPatience = 2 * time.Second
)

func (p *page) failed(flow string) failedFiles {
	known, _ := p.c.failed.LoadOrStore(flow, &shared[failedFiles]{})
	list, _ := known.(*shared[failedFiles]).get(p.c.clock.Elapsed(), filesFresh, func() (failedFiles, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.r.Context()), filesPatience) // others see it who stay
		defer cancel()
		asking := *p
		asking.r = p.r.WithContext(ctx)
		var f failedFiles
		if err := asking.get("/api/v1/flows/"+url.PathEscape(flow)+"/files", nil, &f.FailedFiles); err != nil {
			f.Away = err.Error()
		}
		return f, nil
	})
	return list
}

// retake has a file that has failed taken again, or all of them.
func (c *Console) retake(p *page) error {
	path := "/flows/" + url.PathEscape(p.r.PathValue("name"))
	defer p.c.failed.Delete(p.r.PathValue("name"))
	body := api.RetakeRequest{All: p.r.PostForm.Get("all") == "true"}
	if file := p.r.PostForm.Get("file"); file != "" {
		body.Files = []string{file}
	}
	if err := p.ask(http.MethodPost, "/api/v1"+path+"/files/retake", nil, body, nil); err != nil {
		return err
	}
	return &redirect{At("/console"+path, "said", "retake")}
}

// rewind has a polled source read again.
func (c *Console) rewind(p *page) error {
	path := "/flows/" + url.PathEscape(p.r.PathValue("name"))
	body := api.RewindRequest{To: p.r.PostForm.Get("to"), Note: p.r.PostForm.Get("note")}
	if err := p.ask(http.MethodPost, "/api/v1"+path+"/rewind", nil, body, nil); err != nil {
		return err
	}
	return &redirect{At("/console"+path, "said", "rewind")}
}
