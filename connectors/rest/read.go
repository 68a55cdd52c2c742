package rest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"maps"
	"net/http"
	"slices"
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
	w.Times(o.stamp)
	if o.local {
		w.Local(o.repeat)
	}
	p := poll{s: s, o: o, w: w, now: s.clock.Now(), never: r.Cursor == ""}
	p.from, _ = w.Begin(p.now)
	p.first = !w.Page(&p.place)
	if p.first {
		p.place.From = p.from
	}
	return p.run(ctx, r.Limit)
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
	never bool // nothing was ever read
}

func (p *poll) run(ctx context.Context, limit int) (connector.Page, error) {
	doubt := p.keptThere() && !p.s.served.take(p.o.name, &p.place)
	if doubt && p.place.Once || p.s.refused.take(p.o.name, &p.place) {
		return p.again(p.anew())
	}
	q, err := p.o.changes(p.place.From)
	if err != nil {
		return connector.Page{}, p.s.fail(fault.Invalid, "poll "+p.o.name, "%s", err)
	}
	walk := p.s.walk(p.o, p.o.List.Path, p.o.List.Items, q, "poll "+p.o.name)
	walk.at, walk.verify = p.place.place, p.place.Shifts < maxShifts && !p.o.List.Paging.Stable
	if limit > 0 {
		walk.size = min(walk.size, limit)
	}
	walk.doubt = doubt
	etag := p.condition(walk, q)
	got, err := walk.next(ctx)
	switch {
	case errors.Is(err, errPlaceLost):
		return p.again(p.anew())
	case errors.Is(err, errShifted):
		at := p.anew()
		at.Shifts++
		return p.again(at)
	case err != nil && p.refused(err) && !p.place.Retried:
		at := p.anew()
		at.Retried = true
		return p.again(at)
	case err != nil:
		if p.refused(err) { // people see it, and the next poll begins anew: a token that is not known any more would be refused for ever
			p.s.refused.add(p.o.name, &p.place)
		}
		return connector.Page{}, err
	case got.resp != nil && got.resp.Status == http.StatusNotModified:
		p.w.Unchanged(p.now)
		return connector.Page{Cursor: p.w.String(), Remarks: p.w.Remarks()}, nil
	}
	clock := serverTime(got.resp, p.now).Add(p.now.Sub(p.s.clock.Now())) // as the request was sent
	p.w.SystemTime(clock)
	if p.first && p.o.Version == "" && p.o.List.ChangedSince.Parameter != "" {
		if clock.After(p.now) {
			clock = p.now
		}
		p.place.Mark = p.o.written(clock.Add(-time.Second))
	}
	out, newest, err := p.records(ctx, got)
	if err != nil {
		return connector.Page{}, err
	}
	p.place.place = walk.at
	if walk.more() && !(p.o.List.Order == "changed" && p.w.Lasts(newest)) {
		p.anchor(newest)
		p.w.SetNote("")
		p.w.SetPage(p.place)
		if p.keptThere() {
			p.s.served.add(p.o.name, &p.place)
		}
		return connector.Page{Records: out, Cursor: p.w.String(), More: true}, nil
	}
	remarks := p.end(got, etag)
	return connector.Page{Records: out, Cursor: p.w.String(), Remarks: remarks}, nil
}

// anew is the beginning of the round's walk, with what the round has come to know.
func (p *poll) anew() pollPlace {
	return pollPlace{From: p.from, Mark: p.place.Mark, Shifts: p.place.Shifts, Retried: p.place.Retried}
}

// again begins the round's walk anew.
func (p *poll) again(at pollPlace) (connector.Page, error) {
	p.w.SetPage(at)
	return connector.Page{Cursor: p.w.String(), More: true}, nil
}

// refused: the service no longer knows the token of a walk that began some time ago.
func (p *poll) refused(err error) bool {
	k := fault.KindOf(err)
	return p.place.Token != "" && (k == fault.Invalid || k == fault.NotFound)
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
func (p *poll) records(ctx context.Context, got *page) (out []connector.Record, newest string, err error) {
	if p.never && p.first && p.o.nameless(got.items) {
		return nil, "", p.s.fail(fault.Invalid, "poll "+p.o.name, "no object of the list holds an id at %q (set id)", p.o.ID)
	}
	rising := true
	for _, v := range got.items {
		rec := p.s.recordOf("poll "+p.o.name, p.o, v, time.Time{})
		if first, second, ok := p.o.twice(v.Value); ok && p.w.Later(&rec, first, second, p.now) {
			rec.Version = p.o.written(second)
		}
		version := rec.Version
		if !p.o.orders(version) {
			rec.Version = "" // it is compared by its content alone
		}
		switch {
		case rec.Version == "" && !p.o.unstamped(version):
			rising = false
		case rec.Version == "" || p.w.StillToCome(rec.Version): // nothing to begin at, wherever it stands
		case newer(newest, rec.Version):
			rising = false
		default:
			newest = rec.Version
		}
		if p.from != "" && rec.Version != "" && newer(p.from, rec.Version) {
			continue
		}
		if rec.Version == "" && p.o.unstamped(version) && rec.Err == nil {
			p.w.Unstamped(&rec, version)
		}
		if p.w.Fresh(&rec) {
			if rec.Version = version; p.o.unstamped(version) {
				rec.Version = ""
			}
			if there, err := p.s.entire(ctx, p.o, &rec, "poll "+p.o.name); err != nil {
				return nil, "", err
			} else if there {
				out = append(out, rec)
			}
		}
	}
	if !rising {
		newest = ""
	}
	return out, newest, nil
}

// nameless reports whether all objects of a page can be read and none of them has an id: then the settings are wrong, not the objects.
func (o *object) nameless(items []item) bool {
	return len(items) > 0 && !slices.ContainsFunc(items, func(v item) bool { return v.bad != nil || v.peek(o.ID) != "" })
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

// end closes the round, and says what is remarkable about it.
func (p *poll) end(got *page, question string) []connector.Remark {
	if p.place.Shifts >= maxShifts && !p.o.List.Paging.Stable {
		p.w.Abandon()
		return append(p.w.Remarks(), connector.Remark{Kind: connector.Moving, Count: 1})
	}
	p.w.Reach(p.place.Mark)
	p.w.End(p.now)
	p.w.SetNote("")
	if tag := got.resp.Header.Get("ETag"); question != "" && tag != "" && !p.w.Unsure() {
		p.w.SetNote(question + tag)
	}
	return p.w.Remarks()
}

// changes gives the query for everything from a version on.
func (o *object) changes(from string) (httpclient.Query, error) {
	if from == "" || o.List.ChangedSince.Parameter == "" {
		return o.fixed(), nil
	}
	since, err := o.since(from)
	return o.fixed(httpclient.Param{Name: o.List.ChangedSince.Parameter, Value: since}), err
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
		o, err := s.object(object)
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		q := o.fixed()
		if cs := &o.List.ChangedSince; !since.IsZero() && cs.Parameter != "" && cs.Format != "raw" {
			since := cs.format(since.Add(-o.resolution()), o.zone)
			q = o.fixed(httpclient.Param{Name: cs.Parameter, Value: expandSince(cs.Template, since)})
		}
		s.all(ctx, &listing{s: s, o: o, q: q, op: "list " + o.name}, yield)
	}
}

var _ connector.IDLister = (*system)(nil)

// ListsIDs reports whether the settings say how to list ids alone.
func (s *system) ListsIDs(object string) bool {
	o, err := s.object(object)
	return err == nil && o.List.IDs != nil
}

// ListIDs lists as List does, and the ids alone are asked for.
func (s *system) ListIDs(ctx context.Context, object string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		o, err := s.object(object)
		if err != nil {
			yield("", err)
			return
		}
		ids := o.idsAlone()
		s.all(ctx, &listing{s: s, o: ids, q: ids.fixed(), op: "list the ids of " + o.name}, func(r connector.Record, err error) bool {
			return yield(r.Local, err)
		})
	}
}

// idsAlone is the object type as its ids are listed.
func (o *object) idsAlone() *object {
	out, set := *o, o.List.IDs
	if set == nil {
		return o
	}
	if out.idsOnly = true; set.Query != "" || set.body != nil {
		out.List.operation = set.operation
	}
	out.ID, out.List.Path, out.List.Items = cmp.Or(set.ID, o.ID), cmp.Or(set.Path, o.List.Path), cmp.Or(set.Items, o.List.Items)
	out.List.Parameters = maps.Clone(o.List.Parameters)
	for name, value := range set.Parameters {
		if out.List.Parameters == nil {
			out.List.Parameters = map[string]string{}
		}
		out.List.Parameters[name] = value
	}
	return &out
}

// all gives everything of a listing.
func (s *system) all(ctx context.Context, l *listing, yield func(connector.Record, error) bool) {
	l.given = map[[sha256.Size]byte]bool{}
	for shifts := 0; ; shifts++ {
		switch err := l.walk(ctx, yield); {
		case err == nil:
			return
		case !errors.Is(err, errShifted) && !errors.Is(err, errPlaceLost):
			yield(connector.Record{}, err)
			return
		case shifts == maxShifts:
			yield(connector.Record{}, s.fail(fault.Unavailable, l.op, "the list moved while it was read, %d times: nobody can say that nothing was left out", shifts+1))
			return
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
	walk.verify, walk.patient = !l.o.List.Paging.Stable, true
	for walk.more() {
		now := l.s.clock.Now()
		p, err := l.page(ctx, walk)
		if err != nil {
			return err
		}
		if len(l.given) == 0 && l.o.nameless(p.items) {
			return l.s.fail(fault.Invalid, l.op, "no object of the list holds an id at %q (set id)", l.o.ID)
		}
		for _, v := range p.items {
			rec := l.s.recordOf(l.op, l.o, v, now)
			h := sha256.Sum256(append(append([]byte(rec.Local), 0), rec.Doc...))
			if l.given[h] {
				continue
			}
			l.given[h] = true
			there := true
			if err := connector.Again(ctx, l.s.clock, func() (err error) {
				there, err = l.s.entire(ctx, l.o, &rec, l.op)
				return err
			}); err != nil {
				return err
			}
			if there && !yield(rec, nil) {
				return nil
			}
		}
	}
	return nil
}

// ask sends a walk's request.
func (w *walk) ask(ctx context.Context, r *Call, j *judge) (resp *httpclient.Response, err error) {
	if !w.patient || r.Once {
		return w.s.do(ctx, r, j)
	}
	err = connector.Again(ctx, w.s.clock, func() error {
		resp, err = w.s.do(ctx, r, j)
		return err
	})
	return resp, err
}

// page reads a list's next page. An answer to a token that may be good for one use only may have been lost on its way: then it is looked whether the list
// still stands where it stood.
func (l *listing) page(ctx context.Context, walk *walk) (p *page, err error) {
	once := walk.o.List.Paging.tokens() && !walk.o.List.Paging.Stable
	if !once {
		return walk.next(ctx)
	}
	err = connector.Again(ctx, l.s.clock, func() error {
		if walk.doubt && walk.at.Once {
			return errPlaceLost
		}
		p, err = walk.next(ctx)
		walk.doubt = err != nil && walk.at.Token != ""
		return err
	})
	return p, err
}
