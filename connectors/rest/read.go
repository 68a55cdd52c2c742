package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// pollPlace is where a poll stands within its round.
type pollPlace struct {
	place
	// From is what this walk asks from; a list in order of change begins a new walk with every page.
	From string `json:"from,omitempty"`
	// Mark is the version that the round reaches where objects carry none: the service's clock when the round began.
	Mark string `json:"mark,omitempty"`
	// Shifts counts walks that were begun again because the list moved; after too many the round decides nothing.
	Shifts int `json:"shifts,omitempty"`
	// Retried: a stored token was refused once already.
	Retried bool `json:"retried,omitempty"`
}

const maxShifts = 3

// Poll reads one page of changes; see connector.Window for what a round is.
func (s *system) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	o, err := s.object(r.Object)
	if err != nil {
		return connector.Page{}, err
	}
	w, err := connector.ReadWindow(r.Cursor, r.Overlap, o.back)
	if err != nil {
		return connector.Page{}, s.fail(fault.Invalid, "poll "+o.name, "%s", err)
	}
	if o.local {
		w.Local(o.repeat)
	}
	p := poll{s: s, o: o, w: w, now: s.clock.Now()}
	p.clock(p.now) // the service's own clock is known with its answer
	p.from, _ = w.Begin(p.now)
	p.first = !w.Page(&p.place)
	if p.first {
		p.place.From = p.from
	}
	return p.run(ctx, r.Limit)
}

// clock tells the window what time it is in the service, where versions are times.
func (p *poll) clock(now time.Time) {
	if p.o.Version == "" {
		return
	}
	p.w.Clock(now, func(version string) (time.Time, bool) {
		if t, ok := p.o.versionTime(version); ok {
			return t, true
		}
		// A revision is no time, and no clock says whether it has come.
		return time.Time{}, p.o.VersionFormat == "auto" && version != "" && strings.Trim(version, "0123456789") == ""
	})
}

// poll is one page's work.
type poll struct {
	s     *system
	o     *object
	w     *connector.Window
	now   time.Time
	from  string // of the round
	place pollPlace
	first bool // the round's first page
	// bare are the page's objects without a stamp.
	bare connector.Remark
}

func (p *poll) run(ctx context.Context, limit int) (connector.Page, error) {
	q, err := p.o.changes(p.place.From)
	if err != nil {
		return connector.Page{}, p.s.fail(fault.Invalid, "poll "+p.o.name, "%s", err)
	}
	walk := p.s.walk(p.o, p.o.List.Path, p.o.List.Items, q, "poll "+p.o.name)
	walk.at, walk.verify = p.place.place, p.place.Shifts < maxShifts
	if limit > 0 {
		walk.size = min(walk.size, limit)
	}
	etag := p.condition(walk, q)
	got, err := walk.next(ctx)
	switch {
	case errors.Is(err, errShifted):
		return p.again(pollPlace{From: p.from, Mark: p.place.Mark, Shifts: p.place.Shifts + 1, Retried: p.place.Retried})
	case err != nil && p.refused(err):
		return p.again(pollPlace{From: p.from, Mark: p.place.Mark, Shifts: p.place.Shifts, Retried: true})
	case err != nil:
		return connector.Page{}, err
	case got.resp != nil && got.resp.Status == http.StatusNotModified:
		p.w.Unchanged(p.now)
		return connector.Page{Cursor: p.w.String()}, nil
	}
	if p.first && p.o.Version == "" && p.o.List.ChangedSince.Parameter != "" {
		p.place.Mark = p.o.written(serverTime(got.resp, p.now).Add(-time.Second))
	}
	p.clock(serverTime(got.resp, p.now))
	out, newest := p.records(got)
	p.place.place = walk.at
	if walk.more() {
		p.anchor(newest)
		p.w.SetNote("")
		p.w.SetPage(p.place)
		return connector.Page{Records: out, Cursor: p.w.String(), More: true, Remarks: p.remarks()}, nil
	}
	p.end(got, etag)
	return connector.Page{Records: out, Cursor: p.w.String(), Remarks: p.remarks()}, nil
}

func (p *poll) remarks() []connector.Remark {
	out := p.w.Remarks()
	if p.bare.Count > 0 {
		out = append(out, p.bare)
	}
	return out
}

// again begins the round's walk anew.
func (p *poll) again(at pollPlace) (connector.Page, error) {
	p.w.SetPage(at)
	return connector.Page{Cursor: p.w.String(), More: true}, nil
}

// refused: the service no longer knows the token of a walk that began some time ago.
func (p *poll) refused(err error) bool {
	k := fault.KindOf(err)
	return p.place.Token != "" && !p.place.Retried && (k == fault.Invalid || k == fault.NotFound)
}

// condition sends the last ETag where the same question was asked before, and gives the question.
func (p *poll) condition(walk *walk, q httpclient.Query) (question string) {
	if !p.o.List.Conditional || !p.first {
		return ""
	}
	question = q.Encode() + " "
	if note := p.w.Note(); len(note) > len(question) && note[:len(question)] == question {
		walk.header = http.Header{"If-None-Match": {note[len(question):]}}
	}
	return question
}

// records gives what is fresh on a page. newest is its newest version, where the page is in rising order of versions.
func (p *poll) records(got *page) (out []connector.Record, newest string) {
	rising := true
	for _, v := range got.items {
		rec := p.s.recordOf("poll "+p.o.name, p.o, v, time.Time{})
		if first, second, ok := p.o.twice(v.Value); ok && p.w.Later(&rec, first, second, p.now) {
			rec.Version = p.o.written(second)
		}
		if p.o.Version != "" && rec.Version == "" {
			if p.bare.Count++; p.bare.Count == 1 {
				p.bare.Kind, p.bare.Local = connector.Unstamped, rec.Local
			}
		}
		version := rec.Version
		if !p.o.orders(version) {
			rec.Version, rising = "", false // it is compared by its content alone
		}
		if p.w.Usable(rec.Version) { // one that is ahead of the clock is nothing to begin at
			if newer(newest, rec.Version) {
				rising = false
			}
			newest = rec.Version
		}
		if p.from != "" && rec.Version != "" && newer(p.from, rec.Version) {
			continue
		}
		if p.w.Fresh(&rec) {
			rec.Version = version
			out = append(out, rec)
		}
	}
	if !rising {
		newest = ""
	}
	return out, newest
}

// anchor begins a new walk at the newest change read, where the list is in that order: what moves to its end meanwhile
// moves nothing over a border. Where a page holds one version only, or is in no order after all, the walk goes on.
func (p *poll) anchor(newest string) {
	if p.o.List.Order != "changed" || newest == "" || p.o.repeated(newest) {
		return
	}
	if from := p.o.back(newest, 0); p.place.From == "" || newer(from, p.place.From) {
		p.place.From, p.place.place = from, place{}
	}
}

// end closes the round.
func (p *poll) end(got *page, question string) {
	if p.place.Shifts >= maxShifts {
		p.w.Abandon()
		return
	}
	p.w.Reach(p.place.Mark)
	p.w.End(p.now)
	p.w.SetNote("")
	if question == "" || got.resp == nil || p.w.Unsure() {
		return
	}
	if tag := got.resp.Header.Get("ETag"); tag != "" {
		p.w.SetNote(question + tag)
	}
}

// changes gives the query for everything from a version on.
func (o *object) changes(from string) (httpclient.Query, error) {
	q := o.fixed()
	if from == "" || o.List.ChangedSince.Parameter == "" {
		return q, nil
	}
	since, err := o.since(from)
	return append(q, httpclient.Param{Name: o.List.ChangedSince.Parameter, Value: since}), err
}

// serverTime is the service's clock when it answered.
func serverTime(resp *httpclient.Response, fallback time.Time) time.Time {
	if resp == nil { // a page that is not there
		return fallback
	}
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		return t
	}
	return fallback
}

// List reads everything, or what changed since, where the service can tell. Where the list moves while it is read it is read again from the
// beginning, and what was given before is left out; a list that never stands still is an error.
func (s *system) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		o, err := s.object(object)
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		q := o.fixed()
		if cs := &o.List.ChangedSince; !since.IsZero() && cs.Parameter != "" && cs.Format != "raw" {
			since := cs.format(since.Add(-o.resolution()), o.zone)
			q = append(q, httpclient.Param{Name: cs.Parameter, Value: expandSince(cs.Template, since)})
		}
		l := listing{s: s, o: o, q: q, op: "list " + o.name, given: map[[sha256.Size]byte]bool{}}
		for shifts := 0; ; shifts++ {
			switch err := l.walk(ctx, yield); {
			case err == nil:
				return
			case !errors.Is(err, errShifted):
				yield(connector.Record{}, err)
				return
			case shifts == maxShifts:
				yield(connector.Record{}, s.fail(fault.Unavailable, l.op, "the list moved while it was read, %d times: nobody can say that nothing was left out", shifts+1))
				return
			}
		}
	}
}

// listing is a List under way.
type listing struct {
	s     *system
	o     *object
	q     httpclient.Query
	op    string
	given map[[sha256.Size]byte]bool
}

// walk gives every object that was not given before.
func (l *listing) walk(ctx context.Context, yield func(connector.Record, error) bool) error {
	walk := l.s.walk(l.o, l.o.List.Path, l.o.List.Items, l.q, l.op)
	walk.verify = true
	for walk.more() {
		now := l.s.clock.Now()
		p, err := walk.next(ctx)
		if err != nil {
			return err
		}
		for _, v := range p.items {
			rec := l.s.recordOf(l.op, l.o, v, now)
			h := sha256.Sum256(append(append([]byte(rec.Local), 0), rec.Doc...))
			if l.given[h] {
				continue
			}
			if l.given[h] = true; !yield(rec, nil) {
				return nil
			}
		}
	}
	return nil
}
