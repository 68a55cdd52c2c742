package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/state"
)

// Select turns what a person has selected into the store's filter. Systems and entities are the plan's: the store knows flows only.
func (h *Hub) Select(ctx context.Context, s api.Selection) (state.QueueFilter, error) {
	if err := h.knows(ctx, &s); err != nil {
		return state.QueueFilter{}, err
	}
	f := state.QueueFilter{Flow: s.Flow, Key: s.Key, Cause: s.Cause, Code: s.Code}
	if s.State == "follower" {
		f.Followers = true
	} else {
		f.State = state.Outcome(s.State)
	}
	age, err := s.Age()
	if err != nil {
		return f, err
	}
	if age > 0 {
		f.Since = h.clock.Now().Add(-age)
	}
	if s.System == "" && s.Entity == "" {
		return f, nil
	}
	f.Flows = []string{}
	for _, d := range h.plan().Flows {
		if (s.System == "" || d.From.System == s.System || d.To.System == s.System) && (s.Entity == "" || d.Entity == s.Entity) {
			f.Flows = append(f.Flows, d.Name)
		}
	}
	return f, nil
}

// knows refuses names that are none: what is selected by a misspelt one is nothing, which looks as if nothing were wrong.
func (h *Hub) knows(ctx context.Context, s *api.Selection) error {
	plan := h.plan()
	var flows, entities []string
	for _, f := range plan.Flows {
		flows, entities = append(flows, f.Name), append(entities, f.Entity)
	}
	systems := h.systems()
	switch {
	case s.System != "" && systems[s.System] == nil:
		return unknown("system", s.System, slices.Collect(maps.Keys(systems)))
	case s.Entity != "" && !slices.Contains(entities, s.Entity):
		return unknown("entity", s.Entity, entities)
	case s.Flow != "" && plan.Flow(s.Flow) == nil:
		// One that is not in the files any more may have left messages.
		left, err := h.store.Parked(ctx, state.QueueFilter{Flow: s.Flow, Limit: 1})
		if err == nil && len(left) == 0 {
			err = unknown("flow", s.Flow, flows)
		}
		return err
	}
	return nil
}

// Listed lists messages of the stored queues with what is behind them.
func (h *Hub) Listed(ctx context.Context, f state.QueueFilter, followers int) ([]state.Listed, error) {
	return h.store.Listed(ctx, f, followers)
}

// Causes counts the stored queues by what has stopped their messages.
func (h *Hub) Causes(ctx context.Context, f state.QueueFilter) ([]state.CauseCount, error) {
	return h.store.Causes(ctx, f)
}

// QueuedByID is one message of a stored queue and all that is known of it. Personal data is masked in its documents unless clear is asked for: whoever
// edits a document needs it as it is, and the audit tells who saw it.
func (h *Hub) QueuedByID(ctx context.Context, id int64, clear bool, who string) (api.Shown, error) {
	q, err := h.store.ParkedByID(ctx, id)
	if err != nil {
		return api.Shown{}, err
	}
	head, behind, err := h.store.Ahead(ctx, &q)
	if err != nil {
		return api.Shown{}, err
	}
	acts, err := h.store.Acts(ctx, id)
	if err != nil {
		return api.Shown{}, err
	}
	switch {
	case !clear:
		h.masked(&q, acts)
	case !h.private(q.Flow).None():
		err = h.store.WriteAudit(ctx, state.Audit{Who: who, Action: "read", Object: fmt.Sprintf("message/%d", id), Detail: "with personal data in clear"})
	}
	return api.Shown{Queued: q, Head: head.ID, Behind: behind, Acts: acts}, err
}

// Mark asks the owner of a stored message to replay or discard it. Once that is stored it is carried out, by whichever hub owns the
// message's partition then.
func (h *Hub) Mark(ctx context.Context, w state.Wish) error {
	if err := h.store.Mark(ctx, w); err != nil {
		return err
	}
	h.marked()
	return nil
}

// marked is called when marks are stored. It makes this hub's owners look at once; those of other hubs look by themselves.
func (h *Hub) marked() {
	failpoint.Hit(failpoint.MarkStored)
	h.kick()
}

// Count is how many messages a bulk would mark.
func (h *Hub) Count(ctx context.Context, b state.Bulk) (n, behind int64, err error) {
	return h.store.Count(ctx, b)
}

// Bulk marks the next of the messages that a filter selects.
func (h *Hub) Bulk(ctx context.Context, b state.Bulk) (state.BulkStep, error) {
	step, err := h.store.Bulk(ctx, b)
	if step.Marked > 0 {
		h.marked()
	}
	return step, err
}

// Edit replaces a stored message's document, after it has been looked at as the flow will: what the flow would refuse at once for its
// form is refused here, where the person still sits before it.
func (h *Hub) Edit(ctx context.Context, e state.Edit) (api.Rehearsal, error) {
	q, err := h.store.ParkedByID(ctx, e.ID)
	if err != nil {
		return api.Rehearsal{}, err
	}
	if bytes.Equal(e.Data, q.Event.Data) {
		return api.Rehearsal{}, &api.Invalid{Detail: "the document is the one that is there: to try it again, replay it"}
	}
	if err := h.inClear(&q, e.Data); err != nil {
		return api.Rehearsal{}, err
	}
	d, err := h.dryRun(ctx, &q, e.Data)
	if err != nil {
		return api.Rehearsal{}, err
	}
	var would api.Rehearsal
	if d != nil {
		would = api.Rehearsal{Outcome: string(d.Outcome), Reason: d.Reason}
	}
	if err := h.store.Edit(ctx, e); err != nil {
		return would, err
	}
	failpoint.Hit(failpoint.EditStored)
	if e.Replay {
		h.marked()
	}
	return would, nil
}

// inClear refuses a document in which personal data is masked: nothing may be made of it.
func (h *Hub) inClear(q *state.Queued, data []byte) error {
	if !h.private(q.Flow).None() && bytes.Contains(data, []byte(`"`+privacy.Masked+`"`)) {
		return &api.Invalid{Detail: "personal data is masked in the document: get it with ?clear=true, and edit that"}
	}
	return nil
}

// Preview says what a replay of a stored message, or of another document in its place, would come to through today's files. Personal data is masked.
func (h *Hub) Preview(ctx context.Context, id int64, data []byte) (*api.Preview, error) {
	q, err := h.store.ParkedByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if data == nil {
		data = q.Event.Data
	} else if err := h.inClear(&q, data); err != nil {
		return nil, err
	}
	v := &api.Preview{ID: id, Flow: q.Flow, Plan: planView(h.now.Load())}
	d, err := h.dryRun(ctx, &q, data)
	if err != nil || d == nil {
		return v, err
	}
	f := h.plan().Flow(q.Flow)
	v.Rehearsal = api.Rehearsal{Outcome: string(d.Outcome), Reason: d.Reason}
	v.Kind, v.Code, v.Key, v.To = d.Kind, d.Code, d.Event.Key, place(f.To.Topic, f.To.System)
	mapped := d.Document
	var sent []byte
	if d.Write != nil {
		v.Action, v.Local, sent = string(d.Write.Action), d.Write.Local, d.Write.Doc
	}
	if p := h.private(q.Flow); !p.None() {
		values := &privacy.Values{}
		p.Source.Collect(data, values)
		for _, doc := range [][]byte{mapped, sent} {
			p.Mapped.Collect(doc, values)
		}
		mapped, sent, v.Rehearsal.Reason, v.Code = p.Mapped.Document(mapped, values), p.Mapped.Document(sent, values), values.Text(v.Rehearsal.Reason), values.Text(v.Code)
	}
	v.SetDocuments(mapped, sent)
	return v, nil
}

// dryRun refuses a document in the place of a stored message's, or decides it as a replay would; nil where nobody can tell.
func (h *Hub) dryRun(ctx context.Context, q *state.Queued, data []byte) (*decide.Decision, error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(data, jsondoc.Limits{}); err != nil {
		return nil, &api.Invalid{Detail: "the document is not acceptable JSON: " + err.Error()}
	}
	plan := h.plan()
	f := plan.Flow(q.Flow)
	no := q.Event.Refused
	if f == nil || no != nil && q.Code == event.RefusedSplit {
		return nil, nil // the flow is not there, or the document is a list of documents
	}
	if f.Accept != nil {
		if err := f.Accept.Validate(doc); err != nil {
			return nil, refusedEdit(err)
		}
	}
	ev := q.Event
	ev.Data = data
	var headers map[string]string
	if no != nil {
		headers = no.Headers
	}
	r, err := decide.DryRun(ctx, plan, f, ev, headers, h.store, h.clock.Now())
	if err != nil {
		return nil, err
	}
	if err := sameKey(q, f, r.Event.Key); err != nil {
		return nil, err
	}
	if no == nil && r.Kind == "mapping" && r.Code == event.RefusedKey {
		return nil, nil // the key was made of headers that are not kept; a replay does not make it again
	}
	return &r, nil
}

// sameKey refuses an edit that makes the message one of another key: it stands in the queue of its own, and order is kept by that.
func sameKey(q *state.Queued, f *config.Flow, key string) error {
	if f.Key == nil || q.Event.Refused != nil || q.Event.Key == "" || key == "" || key == q.Event.Key {
		return nil
	}
	return &api.Invalid{Detail: fmt.Sprintf("the edit changes the business key from %q to %q, and the message would leave the order of both: discard it, and send the change anew", q.Event.Key, key)}
}

func refusedEdit(err error) error {
	var inv *schema.Invalid
	if !errors.As(err, &inv) {
		return &api.Invalid{Detail: err.Error()}
	}
	out := &api.Invalid{Detail: "the document is " + err.Error()}
	for _, v := range inv.Problems {
		out.Places = append(out.Places, api.Place{Path: v.Path, Message: v.Message})
	}
	return out
}
