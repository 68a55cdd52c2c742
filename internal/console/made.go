package console

import (
	"bytes"
	"compress/gzip"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
)

// partHeader is by what the script of an open page says that it wants what is new of it alone: it has the rest, and what is its reader's own.
const partHeader = "Waybill-Part"

// leastZipped is from how many bytes on it is worth while to send less of them.
const leastZipped = 1 << 10

// made is what a page has come to. It holds nothing of whom it was made for.
type made struct {
	to      string // another page is to be looked at
	trouble error  // it could not be made

	c      *Console
	name   string // of its template
	status int
	still  bool
	lang   string
	title  string
	now    time.Time
	inner  template.HTML // with the seal in the place of what is the reader's own

	part   func() []byte
	zipped func() []byte
}

// make fills the page's template.
func (p *page) make() *made {
	m := &made{c: p.c, name: p.name, status: p.status, still: p.still, lang: p.Lang, title: p.Title, now: p.Now}
	var inner bytes.Buffer
	if m.trouble = p.c.pages[p.name].ExecuteTemplate(&inner, "inner", p); m.trouble != nil {
		return m
	}
	m.inner = template.HTML(inner.String())
	m.part = sync.OnceValue(m.makePart)
	m.zipped = sync.OnceValue(func() []byte { return zip(m.part()) })
	return m
}

// answer sends a page to its reader.
func (m *made) answer(p *page) {
	w := p.w
	h := w.Header()
	switch {
	case m.trouble != nil:
		http.Error(w, "the page cannot be made: "+m.trouble.Error(), http.StatusInternalServerError)
		return
	case m.to != "":
		http.Redirect(w, p.r, m.to, http.StatusSeeOther)
		return
	}
	h.Set("Vary", "Accept-Language, Accept-Encoding, Cookie, "+partHeader)
	var body []byte
	if p.Known() && p.r.Header.Get(partHeader) != "" {
		if own := p.visitor.CSRF; own != "" {
			h.Set(access.CSRFHeader, own)
		}
		if body = m.part(); len(body) >= leastZipped && takesZipped(p.r) {
			h.Set("Content-Encoding", "gzip")
			body = m.zipped()
		}
	} else {
		var err error
		if body, err = m.whole(p); err != nil {
			http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(m.status)
	_, _ = w.Write(body) // the reader has gone: nothing to tell it
}

// whole is the page with all that stands around it, for one reader. It is not zipped: by the length of what holds a secret and what others have written, both zipped, the secret can be guessed.
func (m *made) whole(p *page) ([]byte, error) {
	p.still, p.Title, p.Now, p.Inner = m.still, m.title, m.now, m.inner
	var out bytes.Buffer
	if err := p.c.pages[m.name].Execute(&out, p); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(out.Bytes(), []byte(p.c.seal), []byte(template.HTMLEscapeString(p.visitor.CSRF))), nil
}

// makePart is what is new of an open page, the same for all readers: their own the script puts in.
func (m *made) makePart() []byte {
	var out bytes.Buffer
	if err := m.c.pages[m.name].ExecuteTemplate(&out, "part", &page{Lang: m.lang, Title: m.title, Now: m.now, Inner: m.inner}); err != nil {
		panic(err) // it is made of texts alone
	}
	return bytes.ReplaceAll(out.Bytes(), []byte(m.c.seal), nil)
}

func zip(body []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err) // there is that level
	}
	_, _ = w.Write(body) // memory takes everything
	_ = w.Close()
	return out.Bytes()
}

// takesZipped reports whether a reader says that it can read what is zipped; one that says how gladly is taken for one that cannot.
func takesZipped(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.EqualFold(strings.TrimSpace(one), "gzip") {
			return true
		}
	}
	return false
}
