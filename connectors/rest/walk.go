package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// place is where a walk through a list stands; it survives a restart of the hub.
type place struct {
	// N is the count of pages, or of objects with style offset, that were read.
	N int `json:"n,omitempty"`
	// Token is the cursor or the complete URL of the next page; Mark and Lap find tokens that go round in a circle.
	Token string `json:"token,omitempty"`
	Mark  string `json:"ring,omitempty"`
	Lap   int    `json:"lap,omitempty"`
	// First and Last name the border objects of the page before, and Known all of its objects; Before is the token that it was read with, and
	// Nth its number.
	First  string   `json:"first,omitempty"`
	Last   string   `json:"last,omitempty"`
	Known  []string `json:"known,omitempty"`
	Before string   `json:"before,omitempty"`
	Nth    int      `json:"nth,omitempty"`
	// Rows is the length of the walk's first page, Read of all pages together, and Short tells that the last page was shorter than the first.
	Rows  int  `json:"rows,omitempty"`
	Read  int  `json:"read,omitempty"`
	Short bool `json:"short,omitempty"`
	// Past: by a total or a number of pages the list has ended, and it is looked for more. Head is the walk's first object.
	Past bool   `json:"past,omitempty"`
	Head string `json:"head,omitempty"`
	// Pages is the number of pages as the service says it, Empty how many pages without an object came one after the other.
	Pages int `json:"pages,omitempty"`
	Empty int `json:"empty,omitempty"`
	// Same: the page before named itself as the next one. Once: a token cannot be used twice. Moves counts how often the page before was not what it
	// had been, one after the other.
	Same  bool `json:"same,omitempty"`
	Once  bool `json:"once,omitempty"`
	Moves int  `json:"moves,omitempty"`
	// ID and Version are those of the last object, as the service writes them, where pages are asked for by key.
	ID      string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
}

// errShifted: objects moved between two pages, and nothing shows by how far.
var errShifted = errors.New("the list moved while it was read")

// errPlaceLost: the service keeps the place, and it may have moved past a page that nobody has seen.
var errPlaceLost = errors.New("the service keeps the place of the list, and it may stand behind a page that was not read")

// walk reads a list page by page.
type walk struct {
	s      *system
	o      *object
	action string
	path   string
	items  string
	query  httpclient.Query
	op     string
	at     place
	// size of a page where it can be asked for.
	size int
	// verify makes sure that no object slipped over a border between two pages; see moved.go.
	verify bool
	// doubt: an answer to this very request may have been lost before.
	doubt bool
	// patient: what fails of something that may be over soon is asked for again, and not left to the next poll.
	patient bool
	header  http.Header // of the next request
	done    bool
}

// page is one page of a list.
type page struct {
	items []item
	resp  *httpclient.Response
	root  jsondoc.Value // of the answer, with null for objects that cannot be read
}

// item is one object of a page. One that is no acceptable JSON is null, and bad says what is wrong with it.
type item struct {
	jsondoc.Value
	bad *jsondoc.Broken
}

func (s *system) walk(o *object, path, items string, q httpclient.Query, op string) *walk {
	return &walk{s: s, o: o, action: o.listing(), path: path, items: items, query: q, op: op, size: o.List.Paging.Size}
}

// fixed gives the parameters of every list, and more; of two of one name the latter, since most services would take one of both, and not say which.
func (o *object) fixed(more ...httpclient.Param) httpclient.Query {
	var q httpclient.Query
	for _, name := range slices.Sorted(maps.Keys(o.List.Parameters)) {
		if !slices.ContainsFunc(more, func(p httpclient.Param) bool { return p.Name == name }) {
			q = append(q, httpclient.Param{Name: name, Value: o.List.Parameters[name]})
		}
	}
	return append(q, more...)
}

// listing is what a list of the object type does.
func (o *object) listing() string {
	if o.idsOnly {
		return ActIDs
	}
	return ActList
}

func (w *walk) more() bool { return !w.done }

// tokens: the service says where the next page is.
func (pg *pagingSettings) tokens() bool {
	return pg.Style == "cursor" || pg.Style == "next-url" || pg.Style == "link"
}

// next reads the next page. With verify, errShifted says that the walk must begin again.
func (w *walk) next(ctx context.Context) (*page, error) {
	style := w.o.List.Paging.Style
	if w.verify && style == "offset" && w.at.N > 0 {
		return w.overlapping(ctx)
	}
	p, err := w.read(ctx, w.request(w.at.N, w.at.Token))
	switch {
	case err != nil && !w.beyond(p, err):
		return nil, w.hinted(p, err)
	case err != nil:
		p.items = nil
	case p.resp.Status == http.StatusNotModified:
		w.done = true
		return p, nil
	}
	if w.doubt && err == nil {
		if err := w.stays(ctx, p); err != nil {
			return nil, err
		}
	}
	if w.verify && (style == "page" || w.o.List.Paging.tokens()) && len(w.at.Known) > 0 {
		if moved, err := w.recheck(ctx, p); moved || err != nil {
			return p, err
		}
	}
	if err != nil {
		w.done = true
		return p, nil
	}
	return p, w.goOn(p)
}

// goOn moves the walk on behind a page.
func (w *walk) goOn(p *page) error {
	if w.o.List.Paging.tokens() {
		return w.follow(p)
	}
	return w.count(p, len(p.items))
}

func (w *walk) request(n int, token string) *Call {
	pg := &w.o.List.Paging
	r := w.s.call(w.action, w.o, httpclient.Request{Method: http.MethodGet, Path: w.path, Query: slices.Clone(w.query), Op: w.op, Header: w.header})
	w.header = nil
	switch pg.Style {
	case "page":
		r.count(pg.Parameter, pg.First+n)
	case "offset":
		r.count(pg.Parameter, n)
	case "key":
		r.Query = w.behind(r.Query)
	case "cursor":
		if r.Once = !pg.Stable; token != "" {
			r.Query = append(r.Query, httpclient.Param{Name: pg.Parameter, Value: token})
		}
	case "next-url", "link":
		if r.Once = !pg.Stable; token != "" {
			r.Path, r.Query = token, nil
			return r
		}
	}
	if pg.SizeParameter != "" {
		r.count(pg.SizeParameter, w.size)
	}
	return r
}

// behind asks for what comes after the last object, together with what the query asks for under the same parameter.
func (w *walk) behind(q httpclient.Query) httpclient.Query {
	pg := &w.o.List.Paging
	if w.at.N == 0 {
		return q
	}
	after, _ := expand(pg.After, map[string]string{"id": w.at.ID, "version": w.at.Version}, verbatim)
	i := slices.IndexFunc(q, func(p httpclient.Param) bool { return p.Name == pg.Parameter })
	switch {
	case i < 0:
		return append(q, httpclient.Param{Name: pg.Parameter, Value: after})
	case pg.orders():
		q[i].Value = after
	default:
		q[i].Value, _ = expand(pg.Join, map[string]string{"changed": q[i].Value, "after": after}, verbatim)
	}
	return q
}

// read makes one request. The page is there beside a failure, too, where the service answered.
func (w *walk) read(ctx context.Context, r *Call) (*page, error) {
	if r.Header != nil {
		r.Accept = []int{http.StatusNotModified}
	}
	j := w.s.reader(w.o, w.items, jsondoc.Array, "")
	resp, err := w.ask(ctx, r, j)
	p := &page{resp: resp}
	if err != nil && resp != nil {
		if p.root = rootOf(resp); w.s.empty(resp.Status, p.root) {
			return p, nil
		}
	}
	if err != nil || resp.Status == http.StatusNotModified || resp.Status == http.StatusNoContent {
		return p, err
	}
	root, broken, err := w.s.parseList(w.op, resp, w.items)
	if err != nil {
		return p, err
	}
	if len(broken) > 0 { // only now the answer around its objects can be read
		if f := j.content(resp, root); f != nil {
			return p, w.s.fail(f.Kind, w.op, "%s", f.Err)
		}
	}
	p.root = root
	list := at(root, w.items)
	switch list.Kind() {
	case jsondoc.Array:
		for v := range list.Elements() {
			one := item{Value: v}
			if b, bad := broken[len(p.items)]; bad {
				one.bad = &b
			}
			p.items = append(p.items, one)
		}
	case jsondoc.Null:
	default:
		if w.s.dialect != nil && w.s.dialect.None(root, w.items) {
			return p, nil
		}
		return p, w.fail("the answer holds no list at %q (set list.items): %s", w.items, w.s.client.Text(resp))
	}
	return p, nil
}

// peek gives the text at a path of an object, also of one that cannot be read.
func (v item) peek(path string) string {
	if path == "" {
		return ""
	}
	if v.bad != nil {
		return jsondoc.Peek(v.bad.Raw, path)
	}
	return text(at(v.Value, path))
}

// name tells the states of objects apart: by id and version, and by content where there is no id.
func (w *walk) name(v item) string {
	id := v.peek(w.o.ID)
	b := []byte(id + "\x00" + v.peek(w.o.Version))
	switch {
	case id != "":
	case v.bad != nil:
		b = v.bad.Raw
	default:
		b = v.Raw()
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// borders notes a page that holds objects as the one before the next.
func (w *walk) borders(p *page) {
	w.at.Known = w.at.Known[:0]
	for _, it := range p.items[max(0, len(p.items)-maxKnown):] {
		w.at.Known = append(w.at.Known, w.name(it))
	}
	w.at.First, w.at.Last = w.name(p.items[0]), w.name(p.items[len(p.items)-1])
}

// fail makes a failure of this walk.
func (w *walk) fail(format string, args ...any) error {
	return w.s.fail(fault.Invalid, w.op, format, args...)
}
