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
	// verify makes sure that no object slipped over a border between two pages that are counted: the object before the border is
	// read again.
	verify bool
	header http.Header // of the next request
	done   bool
}

// page is one page of a list.
type page struct {
	items []jsondoc.Value
	resp  *httpclient.Response
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
	counted := pg.Style == "page" || pg.Style == "offset"
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
	if w.verify && pg.Style == "page" && w.at.N > 0 {
		if err := w.recheck(ctx); err != nil {
			return nil, err
		}
	}
	if counted {
		w.count(p, root, rows)
		return p, nil
	}
	return p, w.follow(p, root)
}

// recheck reads the page before the last one again: its last object must still be there.
func (w *walk) recheck(ctx context.Context) error {
	before, _, err := w.read(ctx, w.request(w.at.N-1))
	if err != nil {
		return err
	}
	if k := len(before.items); k == 0 || w.name(before.items[k-1]) != w.at.Last {
		return errShifted
	}
	return nil
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
	root, err := w.s.parse(w.op, resp, true)
	if err != nil {
		return nil, root, err
	}
	list := at(root, w.items)
	switch list.Kind() {
	case jsondoc.Array:
		p.items = slices.Collect(list.Elements())
	case jsondoc.Null:
	default:
		return nil, root, w.s.fail(fault.Invalid, w.op, "the answer holds no list at %q (set list.items): %s", w.items, w.s.client.Text(resp))
	}
	return p, root, nil
}

// name tells objects apart.
func (w *walk) name(v jsondoc.Value) string {
	if id := text(at(v, w.o.ID)); id != "" {
		return id
	}
	sum := sha256.Sum256(v.Raw())
	return hex.EncodeToString(sum[:12])
}

// count moves a counted walk on. The end is an empty page, a page shorter than the first one, or the same page again:
// services cut a size that they find too large, so that a short first page says nothing.
func (w *walk) count(p *page, root jsondoc.Value, rows int) {
	pg := &w.o.List.Paging
	if len(p.items) == 0 {
		w.done = true
		return
	}
	first, last := w.name(p.items[0]), w.name(p.items[len(p.items)-1])
	switch more := at(root, pg.More); {
	case pg.More != "" && more.Kind() != jsondoc.Missing:
		w.done = !truthy(more)
	case w.at.N == 0:
	case pg.Style == "page" && first == w.at.First && last == w.at.Last:
		w.done, p.items = true, nil
	default:
		w.done = rows < w.at.Rows
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
	if more := at(root, pg.More); pg.More != "" && more.Kind() != jsondoc.Missing && !truthy(more) {
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
	if token == w.at.Token {
		return w.s.fail(fault.Invalid, w.op, "the answer names the page itself as the next one")
	}
	w.at.Token = token
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
