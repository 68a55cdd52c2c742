package console

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// findBody is what the hub remembers of a key, an id or the beginning of one.
type findBody struct {
	Query string
	Found *api.Message
	Steps []findStep
	// Search is what the index has found, where the text is no key or id that the hub remembers, or a person goes on from a page of it.
	Search *api.Found
}

// masked stands where the page's visitor may not see a value.
const masked = "***"

// sought is what an object is looked for by: its key, or else another name of it.
func sought(key, other string) string {
	if key == "" || key == masked {
		return other
	}
	return key
}

// Sought is what an object is looked for by: its key, or, where the visitor may not see that, another name.
func (p *page) Sought(key, other string) string { return sought(key, other) }

// Name is what leads to an object: its key, or else the hub's id.
func (b findBody) Name(o api.FoundObject) string { return sought(o.Key, o.Hub) }

// Nothing: nothing that fits is anywhere, and everything was looked at.
func (b findBody) Nothing() bool {
	return !b.Found.Known() && len(b.Found.Keys) == 0 && len(b.Search.Objects) == 0 && b.Search.Next == "" && b.Search.Looked.Complete
}

// findStep is one thing that happened: a receipt, a fate, or what a person did.
type findStep struct {
	Time  time.Time
	Kind  string // "received", "act", "queued" or an outcome
	Flow  string
	Fate  *api.Journal
	Act   *api.Act
	Inbox *api.Inbound
	Rests *api.Queued
	Docs  []docBody
}

// findDocuments is of how many of the newest fates the documents are shown.
const findDocuments = 20

func (c *Console) find(p *page) error {
	b := findBody{Query: p.r.URL.Query().Get("q")}
	if b.Query == "" {
		return p.show("find", p.T("find.title"), b)
	}
	b.Found = &api.Message{Key: b.Query}
	after := p.r.URL.Query().Get("after")
	if after == "" {
		if err := p.get("/api/v1/messages", url.Values{"key": {b.Query}, "documents": {"20"}}, b.Found); err != nil {
			return err
		}
		b.steps(p)
	}
	if !b.Found.Known() {
		b.Search = &api.Found{}
		q := url.Values{"q": {b.Query}, "limit": {"20"}}
		if after != "" {
			q.Set("after", after)
		}
		if err := p.get("/api/v1/find", q, b.Search); err != nil {
			return err
		}
	}
	return p.show("find", b.Query+" · "+p.T("find.title"), b)
}

// steps puts everything that happened into the order of time, the newest first.
func (b *findBody) steps(p *page) {
	for i := range b.Found.Journal {
		j := &b.Found.Journal[i]
		s := findStep{Time: j.Time, Kind: j.Outcome, Flow: j.Flow, Fate: j}
		if d := j.Documents; d != nil && i < findDocuments {
			for _, doc := range []struct {
				key  string
				json []byte
				text string
			}{{"doc.source", d.Source, d.SourceText}, {"doc.mapped", d.Mapped, d.MappedText}, {"doc.sent", d.Sent, d.SentText}, {"doc.answer", d.Answer, d.AnswerText}} {
				all := lines(doc.json, nil)
				if doc.text != "" {
					all = []docLine{{N: 1, Text: doc.text}}
				}
				if all != nil {
					s.Docs = append(s.Docs, docBody{p.T(doc.key), all})
				}
			}
		}
		b.Steps = append(b.Steps, s)
	}
	for i := range b.Found.Acts {
		a := &b.Found.Acts[i]
		b.Steps = append(b.Steps, findStep{Time: a.Time, Kind: "act", Flow: a.Flow, Act: a})
	}
	for i := range b.Found.Inbox {
		in := &b.Found.Inbox[i]
		b.Steps = append(b.Steps, findStep{Time: in.Received, Kind: "received", Flow: in.Flow, Inbox: in})
	}
	for i := range b.Found.Queued {
		q := &b.Found.Queued[i]
		b.Steps = append(b.Steps, findStep{Time: q.Since, Kind: "queued", Flow: q.Flow, Rests: q})
	}
	slices.SortStableFunc(b.Steps, func(x, y findStep) int { return cmp.Compare(y.Time.UnixNano(), x.Time.UnixNano()) })
}
