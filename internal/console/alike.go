package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/access"
)

// mostAlike is how many pages are kept which are made of the same news.
const mostAlike = 256

// alikePatience is how long such a page may take to be made: its first reader may have gone, and others wait for it.
const alikePatience = 30 * time.Second

// alike are pages that are the same for several readers, who may see the same, in the same language at the same address. Each is made once of the same news, by whoever comes first, and as
// for somebody who has no name and no session: so it holds nothing that is one reader's own.
type alike struct {
	mu    sync.Mutex
	of    int64 // the news that they are made of
	pages map[string]*alikePage
}

type alikePage struct {
	done chan struct{} // is closed when it is made
	made *made
}

// at is the place of a page; mine: whoever asks is to make it. nil: there is none, and it is made for one reader.
func (a *alike) at(of int64, key string) (e *alikePage, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of < of {
		a.of, a.pages = of, map[string]*alikePage{}
	}
	if e = a.pages[key]; e != nil { // of the news that its reader has heard, or of newer
		return e, false
	}
	if a.of > of || len(a.pages) >= mostAlike {
		return nil, false
	}
	e = &alikePage{done: make(chan struct{}), made: &made{trouble: errors.New("it was given up")}}
	a.pages[key] = e
	return e, true
}

// forget has the page made anew for whoever asks next.
func (a *alike) forget(key string, e *alikePage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pages[key] == e {
		delete(a.pages, key)
	}
}

// showingAlike answers with a page that is the same for several readers.
func (c *Console) showingAlike(show func(*page) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := c.page(w, r)
		key := fmt.Sprintf("%s %q %s", p.rights(), p.Lang, p.Here)
		e, mine := c.alike.at(p.newsNow(), key)
		switch {
		case e == nil:
			p.made(show).answer(p)
		case mine:
			p.makeAlike(e, key, show)
			e.made.answer(p)
		default:
			select {
			case <-e.done:
				e.made.answer(p)
			case <-r.Context().Done(): // its reader has gone
			}
		}
	}
}

// makeAlike makes a page for all who wait for it.
func (p *page) makeAlike(e *alikePage, key string, show func(*page) error) {
	defer close(e.done)
	defer func() {
		if e.made.status != http.StatusOK || e.made.trouble != nil { // it may go better next time
			p.c.alike.forget(key, e)
		}
	}()
	of, cancel := p.ofAnybody()
	defer cancel()
	e.made = of.made(show)
}

// rights are what the page's visitor may see: who has the same sees the same.
func (p *page) rights() string {
	scopes := slices.Sorted(slices.Values(p.visitor.Scopes))
	return fmt.Sprintf("%s %q", p.visitor.Role, slices.Compact(scopes))
}

// ofAnybody is the page as for anybody who may see what its visitor may: of its request only the address is left.
func (p *page) ofAnybody() (*page, context.CancelFunc) {
	v := access.Visitor{Role: p.visitor.Role, Scopes: p.visitor.Scopes, CSRF: p.c.seal}
	ctx, cancel := context.WithTimeout(access.With(context.Background(), v), alikePatience)
	r := p.r.WithContext(ctx)
	r.Method, r.Header, r.Body, r.Host, r.RemoteAddr, r.TLS = http.MethodGet, http.Header{}, http.NoBody, "", "", nil
	return &page{c: p.c, r: r, visitor: v, status: http.StatusOK, Now: p.c.clock.Now(), Here: p.Here, Lang: p.Lang, Said: p.Said, news: p.news}, cancel
}

// newsNow are the news that the page is made of: what it asks for later is as new, or newer.
func (p *page) newsNow() int64 {
	if p.news == 0 {
		_, _ = p.c.hub.Glance(p.r) // that it cannot be told is news as well, and the page says so if it has to
		p.news = p.c.hub.News()
	}
	return p.news
}
