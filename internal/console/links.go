package console

import (
	"encoding/json"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
)

// navItem is a page that every page leads to.
type navItem struct {
	Path, Name string
	Current    bool
}

// Nav are the pages that every page leads to.
func (p *page) Nav() []navItem {
	var items []navItem
	for _, to := range []struct{ name, path string }{{"nav.overview", "/{$}"}, {"parked.title", "/console/parked"}, {"find.title", "/console/find"}, {"compared.nav", "/console/reconciliations"}, {"map.title", "/console/map"}, {"audit.title", "/console/audit"}} {
		path := strings.TrimSuffix(to.path, "{$}")
		if p.May("GET " + to.path) {
			items = append(items, navItem{Path: path, Name: p.T(to.name)})
		}
	}
	for i := range items {
		path := items[i].Path
		items[i].Current = p.r.URL.Path == path || path != "/" && strings.HasPrefix(p.r.URL.Path, path+"/")
	}
	return items
}

// stated is a state with its word, for the template that shows one.
type stated struct{ State, Word string }

// Stated is a state with its word.
func (p *page) Stated(state string) stated { return stated{state, p.State(state)} }

// direction is how a system does where it is written to, or read.
type direction struct{ Name, State, Word, Why string }

// Direction is one with its words.
func (p *page) Direction(key string, d api.Direction) direction {
	return direction{p.T(key), d.State, p.State(d.State), d.Why}
}

// FlowLink is a flow's name, which leads to its page.
func (p *page) FlowLink(name string) template.HTML {
	return link("/console/flows/"+url.PathEscape(name), name)
}

// Outcomes are those by which recent messages are chosen.
func (p *page) Outcomes() []string { return fateOutcomes }

// CauseLink is a cause's text, which leads to its messages.
func (p *page) CauseLink(c api.Cause) template.HTML {
	if c.Cause == "" { // what is just due
		return template.HTML(template.HTMLEscapeString(c.Text))
	}
	return link(At("/console/parked", "cause", c.Cause), c.Text)
}

func link(to, text string) template.HTML {
	return template.HTML(`<a href="` + template.HTMLEscapeString(to) + `">` + template.HTMLEscapeString(text) + `</a>`)
}

// ParkedAt is the address of what is selected, of that cause.
func (p *page) ParkedAt(s api.Selection, cause string) string {
	s.Cause = cause
	return withQuery("/console/parked", s)
}

// BulkAt is where all that is selected is replayed or discarded.
func (p *page) BulkAt(act string, s api.Selection) string {
	return withQuery("/console/parked-all/"+act, s)
}

func withQuery(path string, s api.Selection) string {
	if q := s.Query().Encode(); q != "" {
		return path + "?" + q
	}
	return path
}

// formField is a hidden field of a form.
type formField struct{ Name, Value string }

// Fields are a selection as a form sends it.
func (p *page) Fields(s api.Selection) (out []formField) {
	for name, values := range s.Query() {
		out = append(out, formField{name, values[0]})
	}
	slices.SortFunc(out, func(a, b formField) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// QueueStates are those by which messages are selected.
func (p *page) QueueStates() []string { return []string{"parked", "waiting", "held", "follower"} }

// Act is the word for what a person does to a message.
func (p *page) Act(act string) string {
	if texts["act."+act] == nil {
		return act
	}
	return p.T("act." + act)
}

// docBody is a document for the template that shows one.
type docBody struct {
	Label string
	Lines []docLine
}

// Doc is one with its name.
func (p *page) Doc(key string, lines []docLine) docBody { return docBody{p.T(key), lines} }

// Lines are a document's, without any places.
func (p *page) Lines(doc json.RawMessage) []docLine { return lines(doc, nil) }

// ComparedLink is the name of a reconciliation or a rule, which leads to its page; kind is as the API's paths have it.
func (p *page) ComparedLink(kind, name string) template.HTML {
	return link("/console/"+kind+"/"+url.PathEscape(name), name)
}
