package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/waybill-hub/waybill/internal/api"
)

// codesBody is the worklist of codes that value maps do not know.
type codesBody struct{ Codes []codeLine }

// codeLine is one of them, with what was typed for it and why that was refused.
type codeLine struct {
	api.UnknownCode
	To, Note string
	Refused  *api.Problem
}

func (c *Console) codes(p *page) error {
	lines, err := p.codes("")
	if err != nil {
		return err
	}
	return p.show("codes", p.T("codes.title"), codesBody{lines})
}

// codes asks for unknown codes: those of one cause, or all.
func (p *page) codes(cause string) ([]codeLine, error) {
	var list struct{ Codes []api.UnknownCode }
	if err := p.get("/api/v1/parked/codes", nil, &list); err != nil {
		return nil, err
	}
	var out []codeLine
	for _, u := range list.Codes {
		if cause == "" || u.Cause == cause {
			out = append(out, codeLine{UnknownCode: u})
		}
	}
	return out, nil
}

// addCode writes a code into its map, and replays what it has stopped.
func (c *Console) addCode(p *page) error {
	f := p.r.PostForm
	ask := api.CodeRequest{Map: f.Get("map"), System: f.Get("system"), Direction: f.Get("direction"), Code: f.Get("code"), To: f.Get("to"), Note: f.Get("note")}
	if f.Get("known") == "" {
		err := p.ask(http.MethodPost, "/api/v1/parked/codes", nil, ask, nil)
		var no *problem
		if errors.As(err, &no) && no.Status < http.StatusInternalServerError {
			return p.codeAgain(&ask, &no.Problem)
		}
		if err != nil {
			return err
		}
	}
	b := api.BulkRequest{Filter: api.Selection{Cause: f.Get("cause")}, Note: f.Get("note")}
	for range bulkSteps {
		var a api.BulkAnswer
		if err := p.ask(http.MethodPost, "/api/v1/parked/replay", nil, b, &a); err != nil {
			return err
		}
		if a.Done {
			return &redirect{"/console/codes?said=code"}
		}
		b.Continue = a.Continue
	}
	return &redirect{"/console/parked-all/replay?" + url.Values{"cause": {f.Get("cause")}, "said": {"code"}}.Encode()} // many: the rest is for the next click
}

// codeAgain shows the list with what was typed, and why it was refused.
func (p *page) codeAgain(ask *api.CodeRequest, no *api.Problem) error {
	lines, err := p.codes("")
	if err != nil {
		return err
	}
	for i := range lines {
		if l := &lines[i]; l.Map == ask.Map && l.System == ask.System && l.Code == ask.Code && l.Direction == ask.Direction {
			l.To, l.Note, l.Refused = ask.To, ask.Note, no
			p.status = no.Status
			return p.show("codes", p.T("codes.title"), codesBody{lines})
		}
	}
	return &problem{*no} // it has gone meanwhile
}
