package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/reconcile/index"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// kept makes the index of a side whose objects are kept from run to run.
func (r *Run) kept(s *side) error {
	if s.def.Index == nil || r.c.Listed == nil {
		return nil
	}
	poller, ok := s.system.(connector.Poller)
	if !ok {
		return fault.New(fault.Invalid, "the %s side: %s cannot be polled, so that nothing says what has changed", s.name, s.def.System)
	}
	about := s.def.System + "/" + s.object()
	if system := r.c.Plan.Systems[s.def.System]; system != nil {
		about += "/" + system.Sum // under other settings the same ids may be other objects
	}
	s.index = &index.Index{Store: r.c.Listed, Clock: r.c.Clock, Side: s.name, System: poller, Entity: s.entity, Object: s.object(), About: about,
		Whole: s.def.Index.Whole, Overlap: s.def.Index.Overlap, Keep: r.rec.Keep + s.def.Index.Whole, Told: func(n int) { s.rows.Add(int64(n)) }}
	return nil
}

// indexed gives each record that is kept of the side, once it is known what has changed.
func (s *side) indexed(ctx context.Context, each func(*connector.Record) error) (err error) {
	s.index.Rest = s.pace().rest
	if s.found, err = s.index.Update(ctx, s.anew); err != nil {
		return err
	}
	s.rows.Store(0)
	return s.index.Each(ctx, each)
}

// present leaves out of what is kept the objects that the hub knows to be gone, once the system has said so too.
func (s *side) present(ctx context.Context, all []*entry) ([]*entry, error) {
	out := all[:0]
	for _, e := range all {
		if !e.gone || e.own == "" {
			out = append(out, e)
			continue
		}
		now, err := s.find(ctx, e.own, "")
		switch {
		case err != nil && !isCannotAsk(err):
			return nil, err
		case now != nil:
			out = append(out, now)
		default: // a system that cannot be asked has told the hub so, by a delete or by a list
			if err := s.index.Forget(ctx, []string{e.own}); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// aboutIndex says what the sides that are kept were like.
func (r *Run) aboutIndex() {
	for _, s := range []*side{r.left, r.right} {
		f := s.found
		switch {
		case f == nil:
			continue
		case f.Anew:
			r.note("the %s side was read whole: %d objects", s.name, s.rows.Load())
		default:
			r.note("of the %s side %d were read, which have changed since; the last whole reading began %s", s.name, f.Changed, f.Whole.UTC().Format(time.RFC3339))
		}
		if !f.IDs && !f.Anew {
			r.note("the %s side: what was deleted there without a trace is seen by the next whole reading", s.name)
		}
		if f.Missed > 0 {
			r.note("the %s side: %d more were found by their ids", s.name, f.Missed)
		}
		if f.Unread > 0 {
			r.note("the %s side: the list of ids holds %d objects that reading everything did not give: one of the two is not complete", s.name, f.Unread)
		}
		if f.Unstamped > 0 {
			r.note("the %s side: %d records have no stamp, and are seen to change by whole readings alone", s.name, f.Unstamped)
		}
	}
}

// wholeText says how often a side is read whole.
func wholeText(name string, d time.Duration) string {
	return fmt.Sprintf("of the %s side what has changed since the run before is read, and everything when the last whole reading is older than %s", name, strictyaml.FormatDuration(d))
}
