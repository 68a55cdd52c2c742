package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// place is where a walk through a list stands; it survives a restart of the hub.
type place struct {
	// N is the count of pages, or of objects, that were read.
	N int `json:"n,omitempty"`
	// Token is the cursor or the complete URL of the next page.
	Token string `json:"token,omitempty"`
	// First and Last name the border objects of the page before; Rows is the length of the walk's first page.
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`
	Rows  int    `json:"rows,omitempty"`
	// Before is the token of the page before, where tokens are verified; empty for the first page.
	Before string `json:"before,omitempty"`
	// ID and Version are those of the last object, as the service writes them, where pages are asked for by key.
	ID      string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
}

// errShifted: objects moved between two pages of a list that is divided by counting.
var errShifted = errors.New("the list moved while it was read")

// walk reads a list page by page.
type walk struct {
	s     *system
	o     *object
	path  string
	items string
	query httpclient.Query
	op    string
	at    place
	// size of a page where it can be asked for.
	size int
	// verify makes sure that no object slipped over a border between two pages: the object before the border is read again.
	verify bool
	header http.Header // of the next request
	done   bool
}

// page is one page of a list.
type page struct {
	items []item
	resp  *httpclient.Response
}

// item is one object of a page. One that is no acceptable JSON is null, and bad says what is wrong with it.
type item struct {
	jsondoc.Value
	bad *jsondoc.Broken
}

func (s *system) walk(o *object, path, items string, q httpclient.Query, op string) *walk {
	return &walk{s: s, o: o, path: path, items: items, query: q, op: op, size: o.List.Paging.Size}
}

// fixed gives the parameters of every list.
func (o *object) fixed() httpclient.Query {
	var q httpclient.Query
	for _, name := range slices.Sorted(maps.Keys(o.List.Parameters)) {
		q = append(q, httpclient.Param{Name: name, Value: o.List.Parameters[name]})
	}
	return q
}

func (w *walk) more() bool { return !w.done }

// next reads the next page. With verify, errShifted says that the walk must begin again.
func (w *walk) next(ctx context.Context) (*page, error) {
	pg := &w.o.List.Paging
	overlap := w.verify && pg.Style == "offset" && w.at.N > 0
	n := w.at.N
	if overlap {
		n--
	}
	p, root, err := w.read(ctx, w.request(n))
	if err != nil {
		if pg.Style == "page" && w.at.N > 0 && fault.KindOf(err) == fault.NotFound {
			w.done = true
			return &page{}, nil
		}
		return nil, err
	}
	if p.resp.Status == http.StatusNotModified {
		w.done = true
		return p, nil
	}
	rows := len(p.items)
	if overlap {
		if rows == 0 || w.name(p.items[0]) != w.at.Last {
			return nil, errShifted
		}
		p.items = p.items[1:]
	}
	if w.verify && w.at.N > 0 && (pg.Style == "page" || w.tokens() && !pg.Stable) {
		if err := w.recheck(ctx); err != nil {
			return nil, err
		}
	}
	switch pg.Style {
	case "page", "offset":
		return p, w.count(p, root, rows)
	case "key":
		return p, w.byKey(p, root)
	}
	return p, w.follow(p, root)
}

// tokens: the service says where the next page is.
func (w *walk) tokens() bool {
	switch w.o.List.Paging.Style {
	case "cursor", "next-url", "link":
		return true
	}
	return false
}

// recheck reads the page before the last one again: its last object must still be there. Had an object of the pages so far moved away, those behind it
// would have moved up, and one of them over the border between the two pages, unread. A token that is not known a second time tells nothing.
func (w *walk) recheck(ctx context.Context) error {
	if w.at.Last == "" {
		return nil // a page without objects has no border
	}
	r := w.request(w.at.N - 1)
	if w.tokens() {
		now := w.at.Token
		w.at.Token = w.at.Before
		r = w.request(w.at.N - 1)
		w.at.Token = now
	}
	before, _, err := w.read(ctx, r)
	if w.tokens() && w.at.Before != "" && refusedToken(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if k := len(before.items); k == 0 || w.name(before.items[k-1]) != w.at.Last {
		return errShifted
	}
	return nil
}

// refusedToken: the service does not know a token, or no longer.
func refusedToken(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Invalid || kind == fault.NotFound
}

func (w *walk) request(n int) httpclient.Request {
	pg := &w.o.List.Paging
	r := httpclient.Request{Method: http.MethodGet, Path: w.path, Query: slices.Clone(w.query), Op: w.op, Header: w.header}
	w.header = nil
	switch pg.Style {
	case "page":
		r.Query = append(r.Query, httpclient.Param{Name: pg.Parameter, Value: strconv.Itoa(pg.First + n)})
	case "offset":
		r.Query = append(r.Query, httpclient.Param{Name: pg.Parameter, Value: strconv.Itoa(n)})
	case "cursor":
		if w.at.Token != "" {
			r.Query = append(r.Query, httpclient.Param{Name: pg.Parameter, Value: w.at.Token})
		}
	case "next-url", "link":
		if w.at.Token != "" {
			r.Path, r.Query = w.at.Token, nil
			return r
		}
	case "key":
		if w.at.ID != "" {
			after, _ := expand(pg.After, map[string]string{"id": w.at.ID, "version": w.at.Version}, verbatim)
			r.Query = slices.DeleteFunc(r.Query, func(p httpclient.Param) bool { return p.Name == pg.Parameter })
			r.Query = append(r.Query, httpclient.Param{Name: pg.Parameter, Value: after})
		}
	}
	if pg.SizeParameter != "" {
		r.Query = append(r.Query, httpclient.Param{Name: pg.SizeParameter, Value: strconv.Itoa(w.size)})
	}
	return r
}

func (w *walk) read(ctx context.Context, r httpclient.Request) (*page, jsondoc.Value, error) {
	if r.Header != nil {
		r.Accept = []int{http.StatusNotModified}
	}
	resp, err := w.s.do(ctx, r, w.s.reader(w.o, w.items, jsondoc.Array, ""))
	if err != nil {
		return nil, jsondoc.Value{}, err
	}
	p := &page{resp: resp}
	if resp.Status == http.StatusNotModified {
		return p, jsondoc.Value{}, nil
	}
	if resp.Status == http.StatusNoContent {
		return p, jsondoc.Value{}, nil
	}
	root, broken, err := w.s.parseList(w.op, resp, w.items)
	if err != nil {
		return nil, root, err
	}
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
		return nil, root, w.s.fail(fault.Invalid, w.op, "the answer holds no list at %q (set list.items): %s", w.items, w.s.client.Text(resp))
	}
	return p, root, nil
}

// name tells objects apart.
func (w *walk) name(v item) string {
	raw := v.Raw()
	if v.bad != nil {
		raw = v.bad.Raw
		if id := jsondoc.Peek(raw, w.o.ID); id != "" {
			return id
		}
	} else if id := text(at(v.Value, w.o.ID)); id != "" {
		return id
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}

// count moves a counted walk on. The end is what the answer says: a flag, a number of pages or of objects; else a page without objects, or the same
// page again. A page that is shorter than the others is no end: services leave out what the caller may not see after they have cut the page.
func (w *walk) count(p *page, root jsondoc.Value, rows int) error {
	pg := &w.o.List.Paging
	if len(p.items) == 0 {
		w.done = !w.beyond(p, root, rows)
		w.at.N, w.at.Last = w.at.N+1, ""
		return nil
	}
	first, last := w.name(p.items[0]), w.name(p.items[len(p.items)-1])
	switch ended, said := w.said(root); {
	case said:
		w.done = ended
	case w.at.N > 0 && first == w.at.First && last == w.at.Last:
		w.done, p.items = true, nil
	default:
		w.done = w.at.N > 0 && pg.Until == "short" && rows < w.at.Rows
	}
	if w.at.N == 0 {
		w.at.Rows = rows
	}
	w.at.First, w.at.Last = first, last
	if pg.Style == "page" {
		w.at.N++
	} else {
		w.at.N += len(p.items)
	}
	if n, known := w.number(p, root, pg.Pages, pg.PagesHeader); known && pg.Style == "page" {
		w.done = w.done || w.at.N >= n
	}
	if n, known := w.number(p, root, pg.Total, pg.TotalHeader); known {
		read := w.at.N
		if pg.Style == "page" {
			read *= max(w.at.Rows, 1)
		}
		w.done = w.done || read >= n
	}
	return nil
}

// beyond reports whether pages follow although one holds nothing: the answer says how many there are.
func (w *walk) beyond(p *page, root jsondoc.Value, rows int) bool {
	pg := &w.o.List.Paging
	if ended, said := w.said(root); said {
		return !ended && pg.Style == "page"
	}
	n, known := w.number(p, root, pg.Pages, pg.PagesHeader)
	return known && rows == 0 && pg.Style == "page" && w.at.N+1 < n
}

// said reads the flag that says whether more pages follow.
func (w *walk) said(root jsondoc.Value) (ended, said bool) {
	pg := &w.o.List.Paging
	if more := at(root, pg.More); pg.More != "" && more.Kind() != jsondoc.Missing {
		return !flag(more), true
	}
	if last := at(root, pg.Last); pg.Last != "" && last.Kind() != jsondoc.Missing {
		return flag(last), true
	}
	return false, false
}

// flag is truthy, but for the texts that services write in place of false.
func flag(v jsondoc.Value) bool {
	switch strings.ToLower(v.Str()) {
	case "false", "no", "n", "f", "0":
		return false
	}
	return truthy(v)
}

// number reads a count from the answer's body or header.
func (w *walk) number(p *page, root jsondoc.Value, path, header string) (n int, known bool) {
	said := ""
	if path != "" {
		said = text(at(root, path))
	}
	if said == "" && header != "" && p.resp != nil {
		said = strings.TrimSpace(p.resp.Header.Get(header))
	}
	d, err := jsondoc.ParseDecimal(said)
	if err != nil {
		return 0, false
	}
	whole, ok := d.Int64()
	return int(whole), ok && whole >= 0
}

// byKey moves a walk on behind its last object. An object without an id would lead back to the beginning: it ends the page before it.
func (w *walk) byKey(p *page, root jsondoc.Value) error {
	rows := len(p.items)
	ended, said := w.said(root)
	short := w.o.List.Paging.Until == "short" && w.at.N > 0 && rows < w.at.Rows
	if rows == 0 || said && ended || short {
		w.done = true
		return nil
	}
	last := p.items[rows-1]
	id, version := text(at(last.Value, w.o.ID)), text(at(last.Value, w.o.Version))
	if last.bad != nil {
		id, version = jsondoc.Peek(last.bad.Raw, w.o.ID), jsondoc.Peek(last.bad.Raw, w.o.Version)
	}
	switch {
	case id == "":
		return w.s.fail(fault.Invalid, w.op, "the last object of a page holds no id at %q, and the next page begins behind it", w.o.ID)
	case id == w.at.ID && version == w.at.Version:
		return w.s.fail(fault.Invalid, w.op, "what follows %s ends with it again: is the list ordered as paging.after says?", id)
	}
	if w.at.N == 0 {
		w.at.Rows = rows
	}
	w.at.ID, w.at.Version = id, version
	w.at.N++
	return nil
}

// follow moves a walk on to where the answer points.
func (w *walk) follow(p *page, root jsondoc.Value) error {
	pg := &w.o.List.Paging
	token := ""
	switch pg.Style {
	case "cursor", "next-url":
		token = text(at(root, pg.Next))
	case "link":
		token = linkNext(p.resp.Header)
	}
	if ended, said := w.said(root); said && ended {
		token = ""
	}
	if token == "" || token == "false" && pg.Style == "cursor" {
		w.done = true
		return nil
	}
	if pg.Style != "cursor" {
		u, err := w.s.client.ResolveNext(p.resp.URL, token)
		if err != nil {
			return w.s.fail(fault.Invalid, w.op, "%s", err)
		}
		token = u.String()
	}
	switch {
	case token != w.at.Token && (pg.Style == "cursor" || token != p.resp.URL.String()):
	case pg.Self == "end":
		w.done = true
		return nil
	default:
		return w.s.fail(fault.Invalid, w.op, "the answer names the page itself as the next one (write self: end where that means the end)")
	}
	w.at.Before, w.at.Token, w.at.Last = w.at.Token, token, ""
	if k := len(p.items); k > 0 {
		w.at.Last = w.name(p.items[k-1])
	}
	w.at.N++
	return nil
}

var linkPart = regexp.MustCompile(`<([^>]*)>((?:\s*;\s*[^,;=\s]+(?:\s*=\s*(?:"[^"]*"|[^,;\s]*))?)*)`)

// linkNext gives the target of rel=next in the Link headers (RFC 8288).
func linkNext(h http.Header) string {
	for _, m := range linkPart.FindAllStringSubmatch(strings.Join(h.Values("Link"), ", "), -1) {
		for _, param := range strings.Split(m[2], ";") {
			name, value, _ := strings.Cut(param, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "rel") {
				continue
			}
			if slices.Contains(strings.Fields(strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`))), "next") {
				if _, err := url.Parse(m[1]); err == nil {
					return m[1]
				}
			}
		}
	}
	return ""
}
