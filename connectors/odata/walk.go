package odata

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// A service's own links to the next page are offsets more often than not: what goes away, or changes, while the list is read moves everything behind it,
// and nobody reads what has moved over the edge. So every page asks for what follows the last key that was read.
//
// That needs a service which orders keys as it compares them. One that orders texts as people do and compares them by their bytes, or the other way round,
// leaves objects out that lie between. So a walk whose keys do not rise as their bytes do goes by offsets instead, each page beginning with the last object
// of the one before it. Where they do rise, nothing was read twice, and the number of all objects, asked for with the first page, tells what was left
// out: a walk which has read fewer in the end begins again, and at last goes by offsets, too.

// place is where a walk through a set stands; it survives a restart of the hub.
type place struct {
	Keys  []string `json:"k,omitempty"` // of the last object that was read
	Read  int      `json:"n,omitempty"` // objects read
	Pages int      `json:"p,omitempty"`
	Total int      `json:"t,omitempty"` // objects there were at the first page, as the service said
	Link  string   `json:"l,omitempty"` // to the next page
	// Shifts counts walks that were begun again, because the list moved or fewer objects were read than there were.
	Shifts int `json:"s,omitempty"`
	// Offsets: the walk goes by offsets, as its keys do not rise.
	Offsets bool `json:"o,omitempty"`
}

// maxShifts is how often a walk begins again.
const maxShifts = 3

// errShifted: objects may have slipped over the edge of a page.
var errShifted = errors.New("the list moved while it was read, or is not in the order in which its keys are compared")

// walk reads a set page by page.
type walk struct {
	s      *system
	b      *bound
	path   string // of what is read, below the service
	shape  string // $expand and $select, escaped
	keys   []*property
	filter string
	op     string
	size   int
	at     place
	bare   bool // lists inside the objects are not looked at
	// patient: what fails of something that may be over soon is asked for again, and not left to the next poll.
	patient bool
	done    bool
}

// page is one page.
type page struct {
	items []item
	resp  *httpclient.Response
}

func (s *system) walk(b *bound, filter, op string) *walk {
	return &walk{s: s, b: b, path: b.set.name, shape: b.shape, keys: b.keys, filter: both(b.Filter, filter), op: op, size: b.Size}
}

// both joins two conditions.
func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return "(" + a + ") and (" + b + ")"
}

// mode is how pages are asked for.
func (w *walk) mode() string {
	if w.b.Paging == "key" && (w.at.Offsets || w.at.Shifts >= 2) {
		return "skip"
	}
	return w.b.Paging
}

// next reads the next page. errShifted says that the walk must begin again.
func (w *walk) next(ctx context.Context) (*page, error) {
	path, err := w.request()
	if err != nil {
		return nil, w.s.refuse(w.op, err)
	}
	p, root, err := w.fetch(ctx, path)
	if err != nil {
		return nil, err
	}
	if w.at.Pages == 0 {
		w.at.Total = count(root)
	}
	w.at.Pages++
	link := nextLink(root)
	if link != "" {
		if link, err = w.linked(p.resp, link); err != nil {
			return nil, w.s.refuse(w.op, err)
		}
	}
	if err := w.goOn(p, link); err != nil {
		return nil, err
	}
	for i := range p.items {
		if w.bare {
			break
		}
		if err := w.s.complete(ctx, w.b, &p.items[i], w.op); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// request gives the path and query of the next page.
func (w *walk) request() (string, error) {
	mode := w.mode()
	if mode == "links" && w.at.Link != "" {
		return w.at.Link, nil
	}
	var names, q []string
	filter := w.filter
	if w.shape != "" {
		q = append(q, w.shape)
	}
	for _, p := range w.keys {
		names = append(names, p.name)
	}
	if mode != "links" {
		q = append(q, "$orderby="+escape(strings.Join(names, ",")))
	}
	switch {
	case mode == "key" && w.at.Pages > 0:
		after, err := key{m: w.b.m, parts: w.keys, values: w.at.Keys}.after()
		if err != nil {
			return "", err
		}
		filter = both(filter, after)
		q = append(q, "$top="+strconv.Itoa(w.size))
	case mode == "skip" && w.at.Pages > 0:
		q = append(q, "$skip="+strconv.Itoa(w.at.Read-1), "$top="+strconv.Itoa(w.size+1))
	case mode != "links":
		q = append(q, "$top="+strconv.Itoa(w.size))
	}
	if w.at.Pages == 0 && mode != "links" {
		q = append(q, counting(w.b.m))
	}
	if filter != "" {
		q = append(q, "$filter="+escape(filter))
	}
	if len(q) == 0 {
		return w.path, nil
	}
	return w.path + "?" + strings.Join(q, "&"), nil
}

// prefer asks for pages of the walk's size, where the service divides the list; every page is asked for in the same way.
func (w *walk) prefer(h http.Header) {
	if w.b.m.version == 4 {
		h.Set("Prefer", "odata.maxpagesize="+strconv.Itoa(w.size))
	}
}

// counting asks for the number of all objects.
func counting(m *metadata) string {
	if m.version == 2 {
		return "$inlinecount=allpages"
	}
	return "$count=true"
}

// count is that number; 0: it is not said.
func count(root jsondoc.Value) int {
	for _, v := range []jsondoc.Value{root.Get("@odata.count"), root.Get("@count"), root.Get("__count")} {
		if n, err := strconv.Atoi(scalar(v)); err == nil {
			return n
		}
	}
	return 0
}

// nextLink is where an answer says that the list goes on.
func nextLink(root jsondoc.Value) string {
	for _, v := range []jsondoc.Value{root.Get("@odata.nextLink"), root.Get("@nextLink"), root.Get("__next")} {
		if v.Kind() == jsondoc.String {
			return v.Str()
		}
	}
	return ""
}

// fetch reads one page.
func (w *walk) fetch(ctx context.Context, path string) (*page, jsondoc.Value, error) {
	p := &page{}
	header := w.b.accept()
	if w.mode() == "links" {
		w.prefer(header)
	}
	ask := func() (err error) {
		p.resp, err = w.s.do(ctx, w.b.svc, w.b.m, httpclient.Request{Method: http.MethodGet, Path: w.b.svc.at(path), Header: header, Op: w.op, Judge: (&judge{s: w.s, reading: true}).answer})
		return err
	}
	err := error(nil)
	if w.patient {
		err = connector.Again(ctx, w.s.clock, ask)
	} else {
		err = ask()
	}
	if err != nil {
		return p, jsondoc.Value{}, err
	}
	root, broken, err := w.s.parseList(w.op, p.resp, w.b.m)
	if err != nil {
		return p, root, err
	}
	list := root.Get("value")
	if w.b.m.version == 2 {
		if list = root.Get("results"); root.Kind() == jsondoc.Array { // of services that speak OData 1.0
			list = root
		}
	}
	if list.Kind() != jsondoc.Array {
		return p, root, w.s.fail(fault.Invalid, w.op, "the answer holds no list: %s", w.s.client.Text(p.resp))
	}
	for v := range list.Elements() {
		one := item{Value: v}
		if b, bad := broken[len(p.items)]; bad {
			one.bad = &b
		}
		p.items = append(p.items, one)
	}
	return p, root, nil
}

// parseList reads a list of which single objects may be no acceptable JSON.
func (s *system) parseList(op string, resp *httpclient.Response, m *metadata) (root jsondoc.Value, broken map[int]jsondoc.Broken, err error) {
	if root, bad := resp.JSON(); bad == nil {
		return m.inner(root), nil, nil
	}
	at := "value"
	if m.version == 2 {
		at = "d.results"
	}
	if body, found, ok := jsondoc.Salvage(resp.Body, at, jsondoc.Limits{}); ok {
		if doc, bad := jsondoc.Parse(body, jsondoc.Limits{Bytes: len(body) + 1}); bad == nil {
			return m.inner(doc.Root()), found, nil
		}
	}
	root, err = s.parse(op, resp)
	return root, nil, err
}

// goOn moves the walk behind a page, and takes from the page what was read before.
func (w *walk) goOn(p *page, link string) error {
	mode := w.mode()
	if mode == "skip" && w.at.Pages > 1 {
		if len(p.items) == 0 {
			return errShifted
		}
		first, err := w.keysOf(p.items[0])
		if err != nil || !slices.Equal(first, w.at.Keys) {
			return errShifted
		}
		p.items = p.items[1:]
	}
	w.at.Read += len(p.items)
	switch {
	case mode == "links":
		w.at.Link, w.done = link, link == ""
		return nil
	case len(p.items) == 0:
		w.done = true
	case w.at.Pages == 1 && link == "" && w.at.Total > 0 && w.at.Total <= len(p.items):
		w.done = true // it shows all there is
		return nil
	default:
		last, err := w.keysOf(p.items[len(p.items)-1])
		if err != nil {
			return w.s.refuse(w.op, err)
		}
		if mode == "key" && w.at.Pages > 1 && w.repeats(p) {
			return w.s.fail(fault.Invalid, w.op, "the service answers $filter with an object that it leaves out: it may not know the comparison of keys (set paging to skip)")
		}
		if mode == "key" && !w.rises(p) {
			w.at.Offsets = true
			return errShifted
		}
		w.at.Keys = last
	}
	if w.done && w.at.Pages > 1 && w.at.Total > w.at.Read {
		return errShifted
	}
	return nil
}

// repeats reports whether a page holds the object behind which it was to begin.
func (w *walk) repeats(p *page) bool {
	return slices.ContainsFunc(p.items, func(it item) bool {
		keys, err := w.keysOf(it)
		return err == nil && slices.Equal(keys, w.at.Keys)
	})
}

// rises reports whether the keys of a page rise as their bytes do, from the last one of the page before on. Of parts that are no texts nobody has two orders.
func (w *walk) rises(p *page) bool {
	before := w.at.Keys
	for _, it := range p.items {
		now, err := w.keysOf(it)
		if err != nil || before != nil && !w.follows(before, now) {
			return false
		}
		before = now
	}
	return true
}

func (w *walk) follows(before, now []string) bool {
	for i, part := range w.keys {
		switch {
		case before[i] == now[i]:
		case part.kind != stringType:
			return true
		default:
			return before[i] < now[i] || slices.Compare(utf16.Encode([]rune(before[i])), utf16.Encode([]rune(now[i]))) < 0
		}
	}
	return false
}

func (w *walk) keysOf(it item) ([]string, error) {
	if it.bad != nil {
		k, ok := w.b.peekKey(it.bad)
		if !ok {
			return nil, errors.New("an object of the list cannot be read, and its key neither")
		}
		return k.values, nil
	}
	k, err := w.b.m.keyIn(w.keys, it.Value)
	return k.values, err
}

// anew begins the walk again.
func (p *place) anew() place { return place{Shifts: p.Shifts + 1, Offsets: p.Offsets} }
