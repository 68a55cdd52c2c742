package flow

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/state"
)

// trail is what was done about a message, for whoever wants to know later.
type trail struct {
	action string // one of the state.Did… words
	field  string // that was refused
	told   string // a sentence beyond outcome and reason
	mapped []byte
	sent   []byte // what was written, where that is not mapped
	status string
	answer []byte
	called bool // the target was asked to write
	lost   bool // and nobody knows whether it did
}

const (
	// mostDocument is how much of a document a trace keeps: a longer one is named with its size alone. The message itself is where it was.
	mostDocument = 256 << 10
	// mostAnswer is how much of an answer it keeps.
	mostAnswer = 64 << 10
)

// refusedField is the field that an error names.
func refusedField(err error) string {
	var inv *schema.Invalid
	if errors.As(err, &inv) && len(inv.Problems) > 0 {
		return inv.Problems[0].Path
	}
	var me *mapping.Error
	if errors.As(err, &me) {
		return me.Field
	}
	if e, ok := fault.As(err); ok {
		return e.Field
	}
	return ""
}

// keepAnswer keeps what the target said to the last call.
func (d *delivery) keepAnswer(res connector.Result, err error) {
	t := &d.trail
	t.called, t.action = true, didOf(d.write.Action, d.write.Action == connector.Update && d.ev.Operation == event.Delete)
	t.sent, t.status, t.answer, t.field = nil, res.Status, res.Answer, ""
	if len(t.answer) == 0 {
		t.answer = res.Doc
	}
	if !sameDocument(d.write.Doc, d.stage.out) {
		t.sent = d.write.Doc
	}
	if e, ok := fault.As(err); ok {
		t.status, t.answer, t.field = e.Code, e.Answer, e.Field
	}
}

func sameDocument(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func didOf(a connector.Action, deactivated bool) string {
	switch {
	case deactivated:
		return state.DidDeactivate
	case a == connector.Create:
		return state.DidCreate
	case a == connector.Delete:
		return state.DidDelete
	}
	return state.DidUpdate
}

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

// concealed is an error in whose text personal data is masked.
type concealed struct {
	text  string
	cause error
}

func (e *concealed) Error() string { return e.text }
func (e *concealed) Unwrap() error { return e.cause }

// conceal masks personal data in what a system said: from here it goes to logs, to the status and to the stored queue.
func (d *delivery) conceal(err error) error {
	e, ok := fault.As(err)
	if !ok || e.Err == nil || d.private().None() {
		return err
	}
	if d.secret == nil {
		d.secret = d.secrets(d.ev, d.stage.out)
	}
	text := d.secret.Text(e.Err.Error())
	if text == e.Err.Error() {
		return err
	}
	masked := *e
	masked.Err = &concealed{text, e.Err}
	return &masked
}

// hide masks personal data in what a fate says in words.
func hide(f *fate, v *privacy.Values) {
	if v == nil {
		return
	}
	for _, text := range []*string{&f.code, &f.trail.told, &f.trail.status} {
		*text = v.Text(*text)
	}
	if f.outcome != state.Skipped { // its reason is one of the hub's own words
		f.reason = v.Text(f.reason)
	}
}

// keeps says whether the documents of a fate are kept, and whether as those of a failure.
func (r *Runner) keeps(f *fate, again bool) (kept, failed bool) {
	switch {
	case f.outcome == state.Parked, f.trail.lost && (f.outcome == state.Held || f.doubtful):
		return true, true
	case r.KeepsDocuments == nil || !r.KeepsDocuments():
		return false, false
	}
	// What rests on and on is told once, unless the target was asked anew.
	return !again || f.trail.called || f.outcome == state.Delivered || f.outcome == state.Skipped, false
}

// documents are those of a fate, as they may be read by people.
func (r *Runner) documents(ev *event.Event, f *fate, v *privacy.Values, failed bool) *state.Documents {
	t := &f.trail
	d := &state.Documents{Source: ev.Data, Mapped: t.mapped, Sent: t.sent, Status: t.status, Answer: t.answer, Failed: failed}
	if v != nil {
		p := r.private()
		d.Source, d.Mapped, d.Sent = p.Source.Document(d.Source, v), p.Mapped.Document(d.Mapped, v), p.Mapped.Document(d.Sent, v)
		d.Answer = p.Mapped.Answer(d.Answer, v)
	}
	d.Source, d.Mapped, d.Sent = bounded(d.Source), bounded(d.Mapped), bounded(d.Sent)
	if len(d.Answer) > mostAnswer {
		d.Answer = append(d.Answer[:mostAnswer:mostAnswer], "…"...)
	}
	if r.flow.Map == nil && sameDocument(t.mapped, ev.Data) {
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
