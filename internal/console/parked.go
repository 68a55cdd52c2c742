package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// pageSize is how many messages, runs or differences a page lists.
const pageSize = 50

// selectionOf is what the address of a page selects; unknown names are left to whoever else reads them.
func selectionOf(q url.Values) api.Selection {
	return api.Selection{Flow: q.Get("flow"), System: q.Get("system"), Entity: q.Get("entity"), Key: q.Get("key"), State: q.Get("state"), Cause: q.Get("cause"), Code: q.Get("code"), OlderThan: q.Get("older_than")}
}

// parkedBody is the list of what is parked, waits or is held.
type parkedBody struct {
	Select   api.Selection
	Flows    []string
	Systems  []string
	Causes   []api.Cause
	Messages []api.Queued
	Next     string // the address of the next page
	// Unknown: codes that value maps do not know have stopped some of them. Codes are those of the cause that is selected.
	Unknown bool
	Codes   []codeLine
	// Replays are those at a rate that go on, and the last that have ended.
	Replays []api.Replay
	// One is the cause that is selected, where it is one of those.
	One *api.Cause
}

func (c *Console) parked(p *page) error {
	b := parkedBody{Select: selectionOf(p.r.URL.Query())}
	st := &api.Status{}
	var err error
	if p.May("GET /{$}") { // else flows and systems cannot be chosen from a list
		if st, err = p.glance(); err != nil {
			return err
		}
	}
	for i := range st.Flows {
		b.Flows = append(b.Flows, st.Flows[i].Name)
	}
	for i := range st.Systems {
		b.Systems = append(b.Systems, st.Systems[i].Name)
	}
	all := b.Select
	all.Cause = ""
	if b.Causes, err = p.causes(all); err != nil {
		return err
	}
	for i := range b.Causes {
		_, is := api.UnknownCodeOf(b.Causes[i].Example.Code)
		b.Unknown = b.Unknown || is
		if b.Select.Cause != "" && b.Causes[i].Cause == b.Select.Cause {
			b.One = &b.Causes[i]
		}
	}
	if b.One != nil && b.Unknown {
		if b.Codes, err = p.codes(b.One.Cause); err != nil {
			return err
		}
	}
	q := b.Select.Query()
	if b.Select.State != "follower" {
		q.Set("heads", "true")
	}
	q.Set("limit", strconv.Itoa(pageSize))
	if after := p.r.URL.Query().Get("after"); after != "" {
		q.Set("after", after)
	}
	var list api.Page
	if err := p.get("/api/v1/parked", q, &list); err != nil {
		return err
	}
	b.Messages = list.Parked
	if err := p.replays(&b); err != nil {
		return err
	}
	if list.Next != 0 {
		more := b.Select.Query()
		more.Set("after", strconv.FormatInt(list.Next, 10))
		b.Next = "/console/parked?" + more.Encode()
	}
	return p.show("parked", p.T("parked.title"), b)
}

// causes are those of what is selected; of everything, those that other pages show as well.
func (p *page) causes(s api.Selection) ([]api.Cause, error) {
	type causeList struct{ Causes []api.Cause }
	if s == (api.Selection{}) {
		list, err := latest[causeList](p, "/api/v1/parked/causes")
		if err != nil {
			return nil, err
		}
		return list.Causes, nil
	}
	var list causeList
	err := p.get("/api/v1/parked/causes", s.Query(), &list)
	return list.Causes, err
}

// messageBody is one message with its document, what is wrong with it, and what a replay would come to.
type messageBody struct {
	api.Queued
	Lines []docLine
	Text  string // of a document that is no JSON
	// Editing: the document can be changed, in clear. Edited is its text then, as it was found or as a person has left it, Note why.
	Editing bool
	Edited  string
	Note    string
	// Checked is what a replay of the document would come to; Refused why it cannot be sent, with the places.
	Checked *previewed
	Refused *api.Problem
}

// previewed is a preview with its documents in lines.
type previewed struct {
	api.Preview
	MappedLines, SentLines []docLine
}

func (c *Console) message(p *page) error {
	edit := p.r.URL.Query().Get("edit") == "true"
	b, err := p.message(edit)
	var no *problem
	if key := p.r.URL.Query().Get("key"); key != "" && p.Said != "" && errors.As(err, &no) && no.Status == http.StatusNotFound {
		return &redirect{At("/console/find", "q", key, "said", p.r.URL.Query().Get("said"))} // it has gone on: there is what became of it
	}
	if err != nil {
		return err
	}
	b.Editing, p.still = edit, edit // what is being typed is not looked at again
	return p.showMessage(b, nil)
}

// message asks for the message of the page's address; clear: with its personal data, and the audit tells who saw it.
func (p *page) message(clear bool) (*messageBody, error) {
	b := &messageBody{}
	q := url.Values{}
	if clear {
		q.Set("clear", "true")
	}
	if err := p.get("/api/v1/parked/"+url.PathEscape(p.r.PathValue("id")), q, &b.Queued); err != nil {
		return nil, err
	}
	b.Edited = pretty(b.Data, b.DataText)
	return b, nil
}

// showMessage shows a message with what a replay of it would come to; data: of that document instead.
func (p *page) showMessage(b *messageBody, data json.RawMessage) error {
	var v previewed
	err := p.ask(http.MethodPost, "/api/v1/parked/"+strconv.FormatInt(b.ID, 10)+"/preview", nil, api.PreviewRequest{Data: data}, &v.Preview)
	var no *problem
	switch {
	case err == nil:
		v.MappedLines, v.SentLines = lines(v.Mapped, nil), lines(v.Sent, nil)
		b.Checked = &v
	case errors.As(err, &no) && no.Status < http.StatusInternalServerError:
		b.Refused = &no.Problem
	default:
		return err
	}
	var places []api.Place
	if b.Refused != nil {
		places = b.Refused.Places
	}
	if b.Lines = lines(b.Data, places); b.Lines == nil {
		b.Text = b.DataText
	}
	return p.show("message", p.T("message.title", strconv.FormatInt(b.ID, 10)), b)
}

// here is the message's own page, which leads on to its key when the message has gone.
func (p *page) here(said string) string {
	return At("/console/parked/"+url.PathEscape(p.r.PathValue("id")), "said", said, "key", p.r.PostForm.Get("key"))
}

// revision is the header by which a write is refused where the message is not what the page showed any more.
func (p *page) revision() http.Header {
	if etag := p.r.PostForm.Get("etag"); etag != "" {
		return http.Header{"If-Match": {etag}}
	}
	return nil
}

// mark replays or discards the message.
func (c *Console) mark(act string) func(*page) error {
	return func(p *page) error {
		path := "/api/v1/parked/" + url.PathEscape(p.r.PathValue("id")) + "/" + act
		if err := p.ask(http.MethodPost, path, p.revision(), map[string]string{"note": p.r.PostForm.Get("note")}, nil); err != nil {
			return err
		}
		return &redirect{p.here(act)}
	}
}

// edit stores another document in the place of the message's, or only says what would come of it.
func (c *Console) edit(p *page) error {
	f := p.r.PostForm
	text := f.Get("data")
	again := func(no *api.Problem) error {
		b, err := p.message(false) // what is edited was sent along
		if err != nil {
			return err
		}
		b.Editing, b.Edited, b.Note, b.ETag = true, text, f.Get("note"), f.Get("etag")
		if no != nil {
			b.Lines, b.Refused = lines(b.Data, nil), no
			p.status = no.Status
			return p.show("message", p.T("message.title", strconv.FormatInt(b.ID, 10)), b)
		}
		return p.showMessage(b, json.RawMessage(text))
	}
	if !json.Valid([]byte(text)) {
		return again(&api.Problem{Status: http.StatusUnprocessableEntity, Detail: noJSON(text)})
	}
	if f.Get("act") == "check" {
		return again(nil)
	}
	body := map[string]any{"data": json.RawMessage(text), "note": f.Get("note"), "replay": f.Get("act") == "replay"}
	err := p.ask(http.MethodPut, "/api/v1/parked/"+url.PathEscape(p.r.PathValue("id")), p.revision(), body, nil)
	var no *problem
	if errors.As(err, &no) && no.Status < http.StatusInternalServerError && no.Status != http.StatusNotFound {
		return again(&no.Problem) // what was typed is not lost
	}
	if err != nil {
		return err
	}
	return &redirect{p.here("edit")}
}

// noJSON says where a text stops being JSON.
func noJSON(text string) string {
	var any json.RawMessage
	err := json.Unmarshal([]byte(text), &any)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return "the document is no JSON"
	}
	before := text[:min(int(syntax.Offset), len(text))]
	line := strings.Count(before, "\n") + 1
	return "line " + strconv.Itoa(line) + ": " + syntax.Error()
}

// bulkBody is a replay or discard of all that is selected: how many that are, and how far it has come.
type bulkBody struct {
	Act      string
	Select   api.Selection
	About    string
	Count    api.BulkAnswer
	Note     string
	Rate     string
	Continue string
	Total    int64
	Wrong    string
}

// bulk asks a person whether all that is selected is to be replayed or discarded, with how many that are.
func (c *Console) bulk(p *page) error {
	act := p.r.PathValue("act")
	if act != "replay" && act != "discard" {
		return notFound
	}
	b := bulkBody{Act: act, Select: selectionOf(p.r.URL.Query()), Rate: p.r.URL.Query().Get("rate"), Note: p.r.URL.Query().Get("note")}
	return p.askBulk(&b)
}

func (p *page) askBulk(b *bulkBody) error {
	b.About = b.Select.String()
	ask := api.BulkRequest{Filter: b.Select, All: b.Select == api.Selection{}, DryRun: true, Rate: b.Rate}
	err := p.ask(http.MethodPost, "/api/v1/parked/"+b.Act, nil, ask, &b.Count)
	var no *problem
	if errors.As(err, &no) && no.Status == http.StatusUnprocessableEntity && b.Rate != "" { // the rate is none: the count is known without it
		p.status, b.Wrong, ask.Rate = no.Status, no.Detail, ""
		err = p.ask(http.MethodPost, "/api/v1/parked/"+b.Act, nil, ask, &b.Count)
	}
	if err != nil {
		return err
	}
	return p.show("bulk", p.T("bulk."+b.Act), b)
}

// bulkSteps is how many times one click marks a few thousand messages, so that an answer comes in a moment; what is left goes on with the next one.
const bulkSteps = 5

func (c *Console) doBulk(p *page) error {
	act, f := p.r.PathValue("act"), p.r.PostForm
	if act != "replay" && act != "discard" {
		return notFound
	}
	b := bulkBody{Act: act, Select: selectionOf(f), Note: f.Get("note"), Rate: f.Get("rate"), Continue: f.Get("continue")}
	if f.Get("do") == "estimate" {
		return &redirect{At("/console/parked-all/"+act, slices.Concat(pairs(b.Select), []any{"rate", b.Rate, "note", b.Note})...)}
	}
	ask := api.BulkRequest{Filter: b.Select, All: b.Select == api.Selection{}, Note: b.Note, Rate: b.Rate, Continue: b.Continue}
	for range bulkSteps {
		var a api.BulkAnswer
		err := p.ask(http.MethodPost, "/api/v1/parked/"+act, nil, ask, &a)
		var no *problem
		if errors.As(err, &no) && (no.Status == http.StatusBadRequest || no.Status == http.StatusUnprocessableEntity) && b.Continue == "" {
			p.status, b.Wrong = no.Status, no.Detail
			return p.askBulk(&b)
		}
		if err != nil {
			return err
		}
		if b.Total = a.Total; a.Done || b.Rate != "" {
			q := b.Select.Query()
			q.Del("cause")
			q.Set("said", "bulk")
			if b.Rate != "" {
				q.Set("said", "pace")
			}
			return &redirect{"/console/parked?" + q.Encode()}
		}
		ask.Continue, b.Continue = a.Continue, a.Continue
	}
	return p.askBulk(&b)
}

// pairs are a selection as At takes it.
func pairs(s api.Selection) (out []any) {
	for name, values := range s.Query() {
		out = append(out, name, values[0])
	}
	return out
}

// lastReplays is how many replays at a rate the list shows that have ended, and for how long.
const (
	lastReplays  = 3
	replaysShown = 24 * time.Hour
)

// replays asks for replays at a rate.
func (p *page) replays(b *parkedBody) error {
	var list struct{ Replays []api.Replay }
	if err := p.get("/api/v1/replays", nil, &list); err != nil {
		return err
	}
	ended := 0
	for _, r := range list.Replays {
		if r.Ended != nil {
			if ended++; ended > lastReplays || p.Now.Sub(*r.Ended) > replaysShown {
				continue
			}
		}
		b.Replays = append(b.Replays, r)
	}
	return nil
}

// stopReplay ends a replay at a rate.
func (c *Console) stopReplay(p *page) error {
	if err := p.ask(http.MethodPost, "/api/v1/replays/"+url.PathEscape(p.r.PathValue("id"))+"/stop", nil, nil, nil); err != nil {
		return err
	}
	return &redirect{"/console/parked?said=stop"}
}
