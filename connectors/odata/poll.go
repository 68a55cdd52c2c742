package odata

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// Poll reads one page of changes; see connector.Window for what a round is.
func (s *system) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	op := "poll " + r.Object
	b, err := s.bound(ctx, r.Object, op)
	if err != nil {
		return connector.Page{}, err
	}
	if b.Changes == "delta" {
		return s.pollDelta(ctx, b, r, op)
	}
	w, err := connector.ReadWindow(r.Cursor, r.Overlap, back)
	if err != nil {
		return connector.Page{}, s.fail(fault.Invalid, op, "%s", err)
	}
	w.Times(stamp)
	p := poll{s: s, b: b, w: w, now: s.clock.Now(), op: op}
	p.from, _ = w.Begin(p.now)
	w.Page(&p.at)
	return p.run(ctx, r.Limit)
}

// poll is one page's work.
type poll struct {
	s    *system
	b    *bound
	w    *connector.Window
	now  time.Time
	op   string
	from string // of the round
	at   place
}

func (p *poll) run(ctx context.Context, limit int) (connector.Page, error) {
	filter, err := p.b.since(p.from)
	if err != nil {
		return connector.Page{}, p.s.fail(fault.Invalid, p.op, "%s", err)
	}
	walk := p.s.walk(p.b, filter, p.op)
	walk.at = p.at
	if limit > 0 {
		walk.size = min(walk.size, limit)
	}
	got, err := walk.next(ctx)
	if errors.Is(err, errShifted) {
		return p.shifted(walk), nil
	}
	if err != nil {
		return connector.Page{}, err
	}
	p.w.SystemTime(serverTime(got.resp, p.now).Add(p.now.Sub(p.s.clock.Now()))) // as the request was sent
	out := p.records(got)
	if !walk.done {
		p.w.SetPage(walk.at)
		return connector.Page{Records: out, Cursor: p.w.String(), More: true}, nil
	}
	p.w.End(p.now)
	return connector.Page{Records: out, Cursor: p.w.String(), Remarks: p.w.Remarks()}, nil
}

// shifted begins the round's walk again, or gives the round up: the next one begins where this one did.
func (p *poll) shifted(walk *walk) connector.Page {
	if walk.at.Shifts < maxShifts {
		p.w.SetPage(walk.at.anew())
		return connector.Page{Cursor: p.w.String(), More: true}
	}
	p.w.Abandon()
	return connector.Page{Cursor: p.w.String(), Remarks: append(p.w.Remarks(), connector.Remark{Kind: connector.Moving, Count: 1})}
}

// records gives what is fresh on a page.
func (p *poll) records(got *page) []connector.Record {
	var out []connector.Record
	for i := range got.items {
		rec := p.s.record(p.b, &got.items[i], p.op)
		if _, kind := stamp(rec.Version); kind == connector.NoStamp {
			version := rec.Version
			rec.Version = ""
			if p.b.changed != nil && rec.Err == nil {
				p.w.Unstamped(&rec, version)
			}
		}
		if p.from != "" && rec.Version != "" && newer(p.from, rec.Version) {
			continue // a service that does not know the condition shows everything
		}
		if p.w.Fresh(&rec) {
			out = append(out, rec)
		}
	}
	return out
}

// since asks for what has changed at a version or later; empty: for everything.
func (b *bound) since(version string) (string, error) {
	if version == "" || b.changed == nil {
		return "", nil
	}
	text := version
	if t, kind := stamp(version); kind == connector.TimeStamp {
		text = b.stampText(t)
	}
	lit, err := b.m.literal(b.changed, text)
	if err != nil {
		return "", err
	}
	return b.Changed + " ge " + lit, nil
}

// stampText writes a time, rounded down to what the service takes.
func (b *bound) stampText(t time.Time) string {
	if b.changed.kind == dateType {
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Truncate(b.resolution()).Format(time.RFC3339Nano)
}

// timed: the object goes by times.
func (b *bound) timed() bool {
	return b.changed != nil && (b.changed.kind == dateType || b.changed.kind == clockType || b.changed.kind == instantType)
}

// resolution is how fine a time is asked for.
func (b *bound) resolution() time.Duration {
	if b.changed.precision >= 3 {
		return time.Millisecond
	}
	return time.Second
}

// back gives the version that is older by the overlap, and by the millisecond that V2 cannot tell apart.
func back(version string, by time.Duration) string {
	if t, kind := stamp(version); kind == connector.TimeStamp {
		return t.Add(-by - time.Millisecond).UTC().Format(time.RFC3339Nano)
	}
	return version
}

// serverTime is the service's clock when it answered.
func serverTime(resp *httpclient.Response, fallback time.Time) time.Time {
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return fallback
}

// List reads everything, or what changed since, where the service can tell. Where the list moves while it is read it is read again from the
// beginning, and what was given before is left out; a list that never stands still is an error.
func (s *system) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		op := "list " + object
		b, err := s.patiently(ctx, object, op)
		filter := ""
		if err == nil && !since.IsZero() && b.timed() {
			filter, err = b.since(since.Add(-time.Millisecond).UTC().Format(time.RFC3339Nano))
		}
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		given := map[[sha256.Size]byte]bool{}
		w := s.walk(b, filter, op)
		err = w.everything(ctx, func(p *page) (bool, error) {
			for i := range p.items {
				rec := s.record(b, &p.items[i], op)
				h := sha256.Sum256(append(append([]byte(rec.Local), 0), rec.Doc...))
				if given[h] {
					continue
				}
				if given[h] = true; !yield(rec, nil) {
					return false, nil
				}
			}
			return true, nil
		})
		if err != nil {
			yield(connector.Record{}, err)
		}
	}
}
