package flow

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// mostDocument is how much of a document a trace keeps: a longer one is named with its size alone. The message itself is where it was.
	mostDocument = 256 << 10
	// mostAnswer is how much of an answer it keeps.
	mostAnswer = 64 << 10
)

// private are the masks of the flow's documents, as the plan says that is in force.
func (r *Runner) private() *privacy.Flow {
	if r.Private == nil {
		return nil
	}
	return r.Private(r.flow.Name)
}

// secrets are the personal values that a message holds; nil where none is marked.
func (r *Runner) secrets(ev *event.Event, mapped []byte) *privacy.Values {
	p := r.private()
	if p.None() {
		return nil
	}
	v := &privacy.Values{}
	p.Source.Collect(ev.Data, v)
	p.Mapped.Collect(mapped, v)
	return v
}

// named is what a log may call an event: its key, where that is not personal data.
func (r *Runner) named(ev *event.Event) string {
	if p := r.private(); p != nil && p.Keyed {
		return ev.ID
	}
	return cmp.Or(ev.Key, ev.ID)
}

// hide masks personal data in what a fate says in words.
func hide(f *decide.Verdict, v *privacy.Values) {
	if v == nil {
		return
	}
	for _, text := range []*string{&f.Code, &f.Trail.Told, &f.Trail.Status} {
		*text = v.Text(*text)
	}
	if f.Outcome != state.Skipped { // its reason is one of the hub's own words
		f.Reason = v.Text(f.Reason)
	}
}

// keeps says whether the documents of a fate are kept, and whether as those of a failure.
func (r *Runner) keeps(f *decide.Verdict, again bool) (kept, failed bool) {
	switch {
	case f.Outcome == state.Parked, f.Trail.Lost && (f.Outcome == state.Held || f.Doubtful):
		return true, true
	case r.KeepsDocuments == nil || !r.KeepsDocuments():
		return false, false
	}
	// What rests on and on is told once, unless the target was asked anew.
	return !again || f.Trail.Called || f.Outcome == state.Delivered || f.Outcome == state.Skipped, false
}

// documents are those of a fate, as they may be read by people.
func (r *Runner) documents(ev *event.Event, f *decide.Verdict, v *privacy.Values, failed bool) *state.Documents {
	t := &f.Trail
	d := &state.Documents{Source: ev.Data, Mapped: t.Mapped, Sent: t.Sent, Status: t.Status, Answer: t.Answer, Failed: failed}
	if v != nil {
		p := r.private()
		d.Source, d.Mapped, d.Sent = p.Source.Document(d.Source, v), p.Mapped.Document(d.Mapped, v), p.Mapped.Document(d.Sent, v)
		d.Answer = p.Mapped.Answer(d.Answer, v)
		if r.Hidden != nil {
			d.Hidden = r.Hidden(r.flow.Name, ev.Data, t.Mapped, d)
		}
	}
	d.Source, d.Mapped, d.Sent = bounded(d.Source), bounded(d.Mapped), bounded(d.Sent)
	if len(d.Answer) > mostAnswer {
		d.Answer = append(d.Answer[:mostAnswer:mostAnswer], "…"...)
	}
	if r.flow.Map == nil && decide.Same(t.Mapped, ev.Data) {
		d.Mapped = nil // it is the document itself
	}
	return d
}

// bounded names the size of a document that is too large to be kept.
func bounded(doc []byte) []byte {
	if len(doc) <= mostDocument {
		return doc
	}
	return strconv.AppendQuote(nil, fmt.Sprintf("%d bytes, which is more than a trace keeps", len(doc)))
}
