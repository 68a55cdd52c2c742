package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxEmpty bounds how many pages without an object are believed, one after the other, of a service that says that more follow.
const maxEmpty = 100

// flag reads what the service says of whether more pages follow.
func (w *walk) flag(p *page) (more, said bool) {
	pg := &w.o.List.Paging
	path, last := pg.More, false
	if pg.Last != "" {
		path, last = pg.Last, true
	}
	if path == "" {
		return false, false
	}
	v := at(p.root, path)
	if v.Kind() == jsondoc.Missing || v.Kind() == jsondoc.Null {
		return false, false
	}
	return yes(v) != last, true
}

// yes reads a flag; services write them as texts, too.
func yes(v jsondoc.Value) bool {
	switch strings.ToLower(v.Str()) {
	case "false", "0", "no", "n", "off":
		return false
	}
	return v.Truthy()
}

// number reads a total out of a body or a header; -1 where there is none.
func (w *walk) number(p *page, path, header string) int {
	said := ""
	switch {
	case path != "":
		said = text(at(p.root, path))
	case header != "" && p.resp != nil:
		said = strings.TrimSpace(p.resp.Header.Get(header))
	}
	d, err := jsondoc.ParseDecimal(said)
	if n, ok := d.Int64(); err == nil && ok && n >= 0 && n < 1<<31 {
		return int(n)
	}
	return -1
}

// pageHeaders tell the number of pages. Without a setting they end no walk, but show what a refusal of the page behind them means.
var pageHeaders = []string{"X-WP-TotalPages", "X-Total-Pages"}

// count moves a counted walk on; rows is the length of the page as it was answered. Services cut pages to a size of their own, and leave out what the
// caller may not see after they have cut: a short page is no end unless the settings say so.
func (w *walk) count(p *page, rows int) error {
	pg := &w.o.List.Paging
	for _, h := range pageHeaders {
		w.at.Pages = max(w.at.Pages, w.number(p, "", h))
	}
	fresh := w.fresh(p)
	if rows > 0 && !(w.verify && pg.Style == "offset") && w.again(p) {
		if pg.Style == "key" && rows > 1 {
			return w.fail("what follows %s is the same page again: does the service know %s, and is the list in the order of paging.after?", w.at.ID, pg.Parameter)
		}
		if w.ignored(p, rows) {
			return w.fail("page %d holds what page %d does, and the service says that more follow: does it know the parameter %s? Nobody can say what else there is", pg.First+w.at.N, pg.First+w.at.N-1, pg.Parameter)
		}
		w.done, p.items = true, nil
		return nil
	}
	if pg.Style == "page" && pg.SizeParameter != "" && w.size > 0 && w.at.Rows > 0 && w.at.Rows <= w.size && rows > w.size && w.at.N > 0 {
		// With other sizes, other objects stand under a page's number: some were passed over.
		return w.fail("page %d holds %d objects, and %d were asked for: the service changes the size of its pages, so that nobody can say that nothing was left out", pg.First+w.at.N, rows, w.size)
	}
	if w.at.Past && fresh > 0 && w.name(p.items[0]) == w.at.Head { // behind the end the service shows its first page
		w.done, p.items = true, nil
		return nil
	}
	more, said := w.follows(p, fresh)
	if w.verify && pg.Style == "offset" && !said {
		more = rows > 0
	}
	more = more && pg.Style != "none"
	w.done = !more
	if fresh == 0 && rows < 2 && more {
		if w.at.Empty++; w.at.Empty > maxEmpty || pg.Style == "key" {
			return w.fail("the service says that more follows, but %d pages in a row hold nothing", w.at.Empty)
		}
	}
	w.step(p, rows, fresh)
	if !said && pg.Until == "short" && w.at.Short {
		w.done = true
	}
	if pg.Style == "key" && more && w.at.ID == "" {
		return w.fail("the last object of a page holds no id at %q, and the next page begins behind it", w.o.ID)
	}
	return nil
}

// fresh counts the objects of a page that the page before did not hold: pages of style offset overlap, and so do those of a key that is
// asked for with "from … on".
func (w *walk) fresh(p *page) int {
	if style := w.o.List.Paging.Style; style != "offset" && style != "key" {
		return len(p.items)
	}
	n := 0
	for _, it := range p.items {
		if !slices.Contains(w.at.Known, w.name(it)) {
			n++
		}
	}
	return n
}

// step notes a page and the place behind it.
func (w *walk) step(p *page, rows, fresh int) {
	pg := &w.o.List.Paging
	if w.at.Rows == 0 {
		w.at.Rows = rows
	}
	if w.at.Head == "" && len(p.items) > 0 {
		w.at.Head = w.name(p.items[0])
	}
	w.at.Read += fresh
	w.at.Short = rows < w.at.Rows
	n := 1
	if pg.Style == "offset" {
		if n = rows; fresh == 0 && rows < 2 {
			n = w.span()
		}
	}
	if fresh > 0 {
		w.at.Empty = 0
		w.borders(p)
		w.at.Nth = w.at.N
		last := p.items[len(p.items)-1]
		w.at.ID, w.at.Version = last.peek(w.o.ID), last.peek(w.o.Version)
	}
	w.at.N += n
}

// span is how many places a page takes up at least: services cut a size that they find too large, and leave objects out.
func (w *walk) span() int {
	if w.at.Rows > 0 {
		return w.at.Rows
	}
	return w.size
}

// again reports whether a page is the one before it: the service shows its last page for every number beyond, or does not know the parameter.
func (w *walk) again(p *page) bool {
	return w.at.N > 0 && w.name(p.items[0]) == w.at.First && w.name(p.items[len(p.items)-1]) == w.at.Last
}

// ignored reports whether a page that is the one before it shows that the service does not know the parameter: it says itself that more follow. A number
// may count objects that the caller may not see, so that it says nothing behind a page that is not full.
func (w *walk) ignored(p *page, rows int) bool {
	pg := &w.o.List.Paging
	if pg.Style != "page" || w.at.Past {
		return false
	}
	if more, said := w.flag(p); said {
		return more
	}
	if pg.SizeParameter != "" && rows < w.size {
		return false
	}
	if n := w.number(p, pg.Pages, pg.PagesHeader); n >= 0 {
		return w.at.N < n
	}
	return w.at.Read < w.number(p, pg.Total, pg.TotalHeader)
}

// follows reports whether more pages follow a page, and whether the service itself said so.
func (w *walk) follows(p *page, fresh int) (more, said bool) {
	pg := &w.o.List.Paging
	if more, said := w.flag(p); said {
		return more, true
	}
	if n := w.number(p, pg.Pages, pg.PagesHeader); n >= 0 {
		return w.counted(p, fresh, w.at.N+1 < n)
	}
	if n := w.number(p, pg.Total, pg.TotalHeader); n >= 0 {
		behind := w.at.N + w.span() // the place behind this page
		if pg.Style == "page" {
			behind = (w.at.N + 1) * w.span()
		}
		if fresh > 0 {
			return w.counted(p, fresh, w.at.Read+fresh < n)
		}
		return w.counted(p, fresh, behind < n)
	}
	return fresh > 0, false
}

// counted judges what a number of objects or pages says of the end. Services give other numbers under such names: how many this page holds, how many
// there are at most, how many there were a minute ago. So behind a page that is as full as the first one is asked for, and where that
// holds something new, the number is wrong and counts for nothing.
func (w *walk) counted(p *page, fresh int, more bool) (follows, said bool) {
	switch {
	case more:
		return true, true
	case fresh == 0:
		return false, true
	case w.at.Past:
		return true, true
	case len(p.items) >= w.at.Rows:
		w.at.Past = true
		return true, true
	}
	return false, true
}

// beyond reports whether a refusal means that the list ended before: 404 behind the first page; 400, 416 and 422, as services also refuse
// more than so many objects, only where something else shows the end. Behind the end that a total says, every refusal does.
func (w *walk) beyond(p *page, err error) bool {
	style := w.o.List.Paging.Style
	if style != "page" && style != "offset" || w.at.N == 0 || p == nil || p.resp == nil {
		return false
	}
	if w.at.Past {
		return fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Invalid
	}
	switch p.resp.Status {
	case http.StatusNotFound:
		return fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Invalid
	case http.StatusBadRequest, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity:
		return fault.KindOf(err) == fault.Invalid && (w.at.Short || w.at.Pages > 0 && w.at.N >= w.at.Pages)
	}
	return false
}

// hinted tells people what a refused page may mean.
func (w *walk) hinted(p *page, err error) error {
	f, ok := fault.As(err)
	if style := w.o.List.Paging.Style; !ok || f.Kind != fault.Invalid || w.at.N == 0 || p == nil || p.resp == nil || style != "page" && style != "offset" {
		return err
	}
	if status := p.resp.Status; status == http.StatusBadRequest || status == http.StatusRequestedRangeNotSatisfiable || status == http.StatusUnprocessableEntity {
		f.Err = fmt.Errorf("%w (the pages before were full, so that this may not be the end: if it is, say in list.paging how the service tells it: total, pages, more, last, or until: short)", f.Err)
	}
	return err
}

// follow moves a walk on to where the answer points.
func (w *walk) follow(p *page) error {
	token, err := w.token(p)
	if err != nil {
		return err
	}
	here := w.at.Token
	if here == "" && !strings.EqualFold(w.o.List.Paging.Style, "cursor") && p.resp.URL != nil && token == p.resp.URL.String() {
		here = token
	}
	w.at.Read += len(p.items)
	if token == "" {
		w.done = true
		return nil
	}
	if token == here {
		return w.self(p, token)
	}
	if w.at.Same { // the service named itself once, and goes on after all: its place is kept with the token
		w.at.Same, w.at.Once = false, true
	}
	// A token that comes again is found by Brent's rule: it is compared with the one of the last power of two.
	if w.at.Lap++; w.at.Lap&(w.at.Lap-1) == 0 {
		w.at.Mark = shortHash(token)
	} else if w.at.Mark == shortHash(token) {
		return w.fail("the pages go round in a circle: a page names one as the next that was read before")
	}
	if w.at.Empty++; len(p.items) > 0 {
		w.at.Empty = 0
		w.borders(p)
		w.at.Before, w.at.Nth = w.at.Token, w.at.N
	} else if w.at.Empty > maxEmpty {
		return w.fail("the service says that more follows, but %d pages in a row hold nothing", w.at.Empty)
	}
	w.at.Token = token
	w.at.N++
	return nil
}

// self judges a page that names itself as the next one. It is asked once more: services that keep the place themselves give the same
// token for every page, until one holds nothing.
func (w *walk) self(p *page, token string) error {
	if w.o.List.Paging.Self == "refuse" {
		return w.fail("the answer names the page itself as the next one")
	}
	if len(p.items) == 0 || w.at.Same && w.again(p) {
		if w.at.Same {
			p.items = nil
		}
		w.done = true
		return nil
	}
	w.at.Same, w.at.Once = true, true
	w.borders(p)
	w.at.Token = token
	w.at.N++
	return nil
}

// token gives the next page's; empty at the end.
func (w *walk) token(p *page) (string, error) {
	pg := &w.o.List.Paging
	token := ""
	switch pg.Style {
	case "cursor", "next-url":
		if v := at(p.root, pg.Next); v.Kind() != jsondoc.Bool {
			token = text(v)
		}
	case "link":
		token = linkNext(p.resp.Header)
	}
	if more, said := w.flag(p); said && !more || token == "false" || pg.End != "" && token == pg.End {
		token = ""
	}
	if token == "" || pg.Style == "cursor" {
		return token, nil
	}
	u, err := w.s.client.ResolveNext(p.resp.URL, token)
	if err != nil {
		return "", w.fail("%s", err)
	}
	return u.String(), nil
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

func shortHash(s string) string { return strconv.FormatUint(hash64(s), 36) }
