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
	b.Found = &api.Message{}
	if err := p.get("/api/v1/messages", url.Values{"key": {b.Query}, "documents": {"20"}}, b.Found); err != nil {
		return err
	}
	b.steps(p)
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
