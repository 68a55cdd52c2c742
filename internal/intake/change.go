package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/submit"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// Change is another set of sources, made ready. Nothing has happened yet: first Close is called, then Open.
type Change struct {
	in    *Intake
	hooks *webhook.Change
	begin []*work
	end   []string // flows whose present work ends
	flows []submit.Flow
	shut  []string // flows that nothing is submitted to until the change is over
	group *carrier // nil: the present one goes on
}

// Prepare makes a change to other sources ready, or says what is wrong with them. Flows that are the same as before go on untouched;
// the others end and begin anew, and with them those that read from one log.
func (in *Intake) Prepare(sources []Source, same func(flow string) bool) (*Change, error) {
	hooks, err := in.hooks.Prepare(hooked(sources), same)
	if err != nil {
		return nil, err
	}
	same = in.together(sources, same)
	c := &Change{in: in, hooks: hooks}
	listed := map[string]bool{}
	for _, s := range sources {
		if listed[s.Flow] {
			return nil, fmt.Errorf("flow %s: there are two sources of this flow", s.Flow)
		}
		listed[s.Flow] = true
		c.flows = append(c.flows, submitted(&s))
		if s.ofTopic() {
			if s.Flow == "" || s.Topic == "" {
				return nil, errors.New("a source needs a flow and a topic")
			}
			continue
		}
		if in.find(s.Flow) != nil && same(s.Flow) {
			continue
		}
		w, err := in.work(s)
		if err != nil {
			return nil, fmt.Errorf("flow %s: %w", s.Flow, err)
		}
		c.begin = append(c.begin, w)
	}
	if err := in.joinStreams(c.begin); err != nil {
		return nil, err
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	for flow := range in.works {
		if !listed[flow] || !same(flow) {
			c.end = append(c.end, flow)
		}
	}
	c.shut = slices.Clone(c.end)
	shared := ofTopics(sources)
	changed := len(shared) != in.group.relays.Len()
	for _, s := range shared {
		if !in.group.relays.Has(s.Flow) || !same(s.Flow) {
			changed = true
		}
	}
	if changed { // also flows that are the same have another relay then
		c.group = in.carrier(shared)
		c.shut = append(c.shut, in.group.relays.Flows()...)
	}
	return c, nil
}

// Close ends the present work of the flows that change or go. A path that another flow, or nobody, will receive at takes nothing any
// more, and the requests under way there are answered first, so that their relay still sees what they were promised. At all other
// paths the senders notice nothing: what comes in now is carried by the new work. An error means that not everything
// ended in time; its lease keeps it from meddling with what comes after.
func (c *Change) Close(ctx context.Context) error {
	errs := []error{c.hooks.Close(ctx)}
	c.in.door.Close(c.shut)
	c.in.mu.RLock()
	var works []*work
	for _, flow := range c.end {
		works = append(works, c.in.works[flow])
	}
	if c.group != nil {
		works = append(works, c.in.group.work)
	}
	c.in.mu.RUnlock()
	return errors.Join(append(errs, stopAll(ctx, works))...)
}

// Open begins the new work, and then takes webhooks the new way.
func (c *Change) Open() {
	in := c.in
	in.mu.Lock()
	for _, flow := range c.end {
		delete(in.works, flow)
	}
	for _, w := range c.begin {
		w.begin(in.ctx)
		in.works[w.src.Flow] = w
	}
	if c.group != nil {
		c.group.work.begin(in.ctx)
		in.group = c.group
	}
	in.mu.Unlock()
	in.door.Open(c.flows)
	c.hooks.Open()
}

// hooked are the sources that have a webhook.
func hooked(sources []Source) []webhook.Source {
	var out []webhook.Source
	for _, s := range sources {
		if s.Webhook != nil {
			out = append(out, webhook.Source{Flow: s.Flow, Topic: s.Topic, Onward: s.Onward, Endpoint: *s.Webhook})
		}
	}
	return out
}
