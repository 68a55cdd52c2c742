package tryton

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

var (
	_ connector.IDLister = (*system)(nil)
	_ connector.Rewinder = (*system)(nil)
)

// place is where a walk stands: ids rise and never change, so that nothing slips through while the list moves.
type place struct {
	After int64 `json:"after"`
}

// Poll reads one page of changes; see connector.Window for what a round is.
func (s *system) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	op := "poll " + r.Object
	b, err := s.bound(ctx, r.Object, op)
	if err != nil {
		return connector.Page{}, err
	}
	w, err := connector.ReadWindow(r.Cursor, r.Overlap, back)
	if err != nil {
		return connector.Page{}, s.fail(fault.Invalid, op, "%s", err)
	}
	w.Times(stamp)
	now := s.clock.Now()
	from, _ := w.Begin(now)
	var at place
	w.Page(&at)
	size := b.Size
	if r.Limit > 0 {
		size = min(size, r.Limit)
	}
	got, err := s.page(ctx, b, b.since(from), at, size, op)
	if err != nil {
		return connector.Page{}, err
	}
	if at, err := http.ParseTime(got.date); err == nil {
		w.SystemTime(at.Add(now.Sub(s.clock.Now()))) // as the request was sent
	}
	var out []connector.Record
	for i := range got.items {
		rec := s.record(b, &got.items[i], op)
		if rec.Version == "" && b.Changes == "stamp" && rec.Err == nil {
			w.Unstamped(&rec, "")
		}
		if from != "" && rec.Version != "" && event.CompareVersions(from, rec.Version) > 0 {
			continue
		}
		if w.Fresh(&rec) {
			out = append(out, rec)
		}
	}
	if got.full {
		w.SetPage(place{got.last})
		return connector.Page{Records: out, Cursor: w.String(), More: true}, nil
	}
	w.End(now)
	return connector.Page{Records: out, Cursor: w.String(), Remarks: w.Remarks()}, nil
}

// since asks for what has changed at a version or later; empty: for everything. A write leaves the create's time, and a record that was never changed has no
// other.
func (b *bound) since(version string) string {
	t, kind := stamp(version)
	if kind != connector.TimeStamp || b.Changes != "stamp" {
		return ""
	}
	at := datetime(t.Truncate(time.Microsecond))
	terms := []string{`"OR"`}
	for _, before := range append([]string{""}, b.stamps...) {
		if before != "" {
			before += "."
		}
		terms = append(terms, clause(before+"write_date", ">=", at), clause(before+"create_date", ">=", at))
	}
	if b.active { // Tryton asks for active records in every list that does not name the field
		terms = append(terms, clause("active", "in", "[]"))
	}
	return "[" + strings.Join(terms, ",") + "]"
}

// stamp is the connector.Window's way to read versions as times.
func stamp(version string) (time.Time, connector.StampKind) {
	if t, err := time.Parse(time.RFC3339Nano, version); err == nil {
		return t, connector.TimeStamp
	}
	return time.Time{}, connector.NoStamp
}

func back(version string, by time.Duration) string {
	if t, kind := stamp(version); kind == connector.TimeStamp {
		return t.Add(-by).UTC().Format(time.RFC3339Nano)
	}
	return version
}

// page is one page of a walk. last is the id that the next one begins after, and full says that there may be one.
type page struct {
	items []item
	date  string // of the answer
	last  int64
	full  bool
}

// page reads what follows a place.
func (s *system) page(ctx context.Context, b *bound, condition string, at place, size int, op string) (*page, error) {
	got, err := s.search(ctx, b, b.domain(condition, after(at)), size, op)
	if fault.KindOf(err) == fault.Invalid {
		return s.oneByOne(ctx, b, condition, at, size, op, err)
	}
	return got, err
}

func after(at place) string { return clause("id", ">", strconv.FormatInt(at.After, 10)) }

// oneByOne reads a page on which the server has failed: one record of which a field cannot be computed must not hide the others. What cannot be read is
// handed out with what the server says of it.
func (s *system) oneByOne(ctx context.Context, b *bound, condition string, at place, size int, op string, why error) (*page, error) {
	ids, err := s.ids(ctx, b, b.domain(condition, after(at)), size, op)
	if fault.KindOf(err) == fault.Invalid {
		return nil, why
	}
	if err != nil { // it is in the way for a while, and the page is not what is wrong
		return nil, err
	}
	out := &page{full: len(ids) == size}
	for _, id := range ids {
		out.last = id
		it, err := s.get(ctx, b, strconv.FormatInt(id, 10), op)
		switch {
		case fault.KindOf(err) == fault.Invalid:
			raw := fmt.Appendf(nil, `{"id":%d}`, id)
			out.items = append(out.items, item{id: id, bad: &jsondoc.Broken{Raw: raw, Err: err}})
		case err != nil:
			return nil, err
		case it != nil:
			out.items = append(out.items, *it)
		}
	}
	return out, nil
}

// ids gives the ids of a domain, the lowest first.
func (s *system) ids(ctx context.Context, b *bound, domain string, limit int, op string) ([]int64, error) {
	context, err := s.context(ctx, b.object, "")
	if err != nil {
		return nil, err
	}
	a, err := s.call(ctx, request{method: "model." + b.Model + ".search", params: []string{domain, "0", strconv.Itoa(limit), `[["id","ASC"]]`}, op: op, safe: true, context: context})
	if err != nil {
		return nil, err
	}
	if a.Kind() != jsondoc.Array {
		return nil, s.fail(fault.Invalid, op, "the answer holds no list of ids")
	}
	out := make([]int64, 0, a.Len())
	for _, e := range elements(a.Value) {
		id, ok := integer(e)
		if !ok {
			return nil, s.fail(fault.Invalid, op, "the answer holds something else than ids")
		}
		out = append(out, id)
	}
	return out, nil
}

// List reads everything, or what changed since.
func (s *system) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		op := "list " + object
		b, err := s.patiently(ctx, object, op)
		if err != nil {
			yield(connector.Record{}, err)
			return
		}
		condition := ""
		if !since.IsZero() {
			condition = b.since(since.UTC().Format(time.RFC3339Nano))
		}
		for at := (place{}); ; {
			var got *page
			err := connector.Again(ctx, s.clock, func() (err error) {
				got, err = s.page(ctx, b, condition, at, b.Size, op)
				return err
			})
			if err != nil {
				yield(connector.Record{}, err)
				return
			}
			for i := range got.items {
				if !yield(s.record(b, &got.items[i], op), nil) {
					return
				}
			}
			if !got.full {
				return
			}
			at.After = got.last
		}
	}
}

// ListsIDs reports whether the object type is known: the ids of every model can be searched alone.
func (s *system) ListsIDs(object string) bool { return s.set.Objects[object] != nil }

// idsAtOnce is how many ids are asked for in one call.
const idsAtOnce = 10_000

// ListIDs reads the ids of everything.
func (s *system) ListIDs(ctx context.Context, object string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		op := "list the ids of " + object
		b, err := s.patiently(ctx, object, op)
		if err != nil {
			yield("", err)
			return
		}
		for at := (place{}); ; {
			var ids []int64
			err := connector.Again(ctx, s.clock, func() (err error) {
				ids, err = s.ids(ctx, b, b.domain(after(at)), idsAtOnce, op)
				return err
			})
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range ids {
				if !yield(strconv.FormatInt(id, 10), nil) {
					return
				}
			}
			if len(ids) == 0 {
				return
			}
			at.After = ids[len(ids)-1]
		}
	}
}

// patiently is bound for what does not come again by itself.
func (s *system) patiently(ctx context.Context, object, op string) (b *bound, err error) {
	err = connector.Again(ctx, s.clock, func() (err error) {
		b, err = s.bound(ctx, object, op)
		return err
	})
	return b, err
}

// RewindTo turns a time into a version.
func (s *system) RewindTo(name, cursor, to string) (string, error) {
	o, err := s.object(name)
	if err != nil {
		return "", err
	}
	op := "rewind " + name
	if o.Changes == "content" {
		return "", s.fail(fault.Invalid, op, "every poll reads the whole list, so there is no place to go back to but start")
	}
	at, isTime, err := connector.RewindTime(to)
	if err == nil && !isTime {
		err = fault.New(fault.Invalid, "%q is no time: write for example 2026-11-01T00:00:00Z, or start", httpclient.Shorten(to, 60))
	}
	if err == nil {
		cursor, err = connector.RewindWindow(cursor, func(string) (string, error) { return at.UTC().Format(time.RFC3339Nano), nil })
	}
	if err != nil {
		return "", s.fail(fault.Invalid, op, "%s", err)
	}
	return cursor, nil
}
