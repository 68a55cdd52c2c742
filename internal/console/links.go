package console

import (
	"html/template"

	"github.com/waybill-hub/waybill/internal/api"
)

// navItem is a page that every page leads to.
type navItem struct {
	Path, Name string
	Current    bool
}

// Nav are the pages that every page leads to.
func (p *page) Nav() []navItem {
	items := []navItem{{Path: "/", Name: p.T("nav.overview")}}
	for i := range items {
		items[i].Current = p.r.URL.Path == items[i].Path
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

// FlowLink is a flow's name.
func (p *page) FlowLink(name string) template.HTML {
	return template.HTML(template.HTMLEscapeString(name))
}

// CauseLink is a cause's text.
func (p *page) CauseLink(c api.Cause) template.HTML {
	return template.HTML(template.HTMLEscapeString(c.Text))
}

// ComparedLink is the name of a reconciliation or a rule; kind is as the API's paths have it.
func (p *page) ComparedLink(kind, name string) template.HTML {
	return template.HTML(template.HTMLEscapeString(name))
}
