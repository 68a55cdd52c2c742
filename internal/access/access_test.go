package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const right = "0123456789abcdef"

type world struct {
	*Guard
	clock *lifecycle.Manual
	log   *bytes.Buffer
	mu    sync.Mutex
	why   map[string]int
}

func guard(r Rules) *world {
	w := &world{clock: lifecycle.NewManual(time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)), log: &bytes.Buffer{}, why: map[string]int{}}
	w.Guard = NewGuard(Config{Clock: w.clock, Log: slog.New(slog.NewTextHandler(w.log, nil)), Refused: w.refused}, r)
	return w
}

func (w *world) refused(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.why[why]++
}

func blockUntil(t *testing.T, c *lifecycle.Manual, n int) {
	t.Helper()
	if err := c.BlockUntil(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func request(method, from, token string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080/api/v1/status", nil)
	r.RemoteAddr = from
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// Without tokens, what came through a proxy, or was sent to somebody else's name, is refused.
func TestStrangers(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for name, tt := range map[string]struct {
		change func(*http.Request)
		origin string
		why    string
	}{
		"straight":                  {func(*http.Request) {}, "", ""},
		"localhost":                 {host("localhost:8080"), "", ""},
		"LOCALHOST.":                {host("LOCALHOST.:8080"), "", ""},
		"a name below localhost":    {host("hub.localhost"), "", ""},
		"another loopback address":  {host("127.9.9.9:1"), "", ""},
		"IPv6":                      {host("[::1]:8080"), "", ""},
		"IPv4 in IPv6":              {host("[::ffff:127.0.0.1]:8080"), "", ""},
		"its origin":                {host("HUB.example:8080"), "http://hub.example:8080", ""},
		"a name":                    {host("evil.example"), "", ForeignTo},
		"a name beside the origin":  {host("evil.example"), "http://hub.example", ForeignTo},
		"a name like localhost":     {host("localhost.evil.example"), "", ForeignTo},
		"a name that ends like it":  {host("evillocalhost"), "", ForeignTo},
		"an address of the network": {host("10.0.0.5:8080"), "", ForeignTo},
		"any address":               {host("0.0.0.0:8080"), "", ForeignTo},
		"a number":                  {host("2130706433"), "", ForeignTo},
		"no name":                   {host(""), "", ForeignTo},
		"Forwarded":                 {set("Forwarded", "for=10.0.0.7"), "", Proxied},
		"Via":                       {set("Via", "1.1 proxy"), "", Proxied},
		"X-Forwarded-For":           {set("X-Forwarded-For", "10.0.0.7"), "", Proxied},
		"X-Forwarded-Proto":         {set("X-Forwarded-Proto", "https"), "", Proxied},
		"X-Forwarded-Anything":      {set("X-Forwarded-Anything", ""), "", Proxied},
		"X-Real-IP":                 {set("X-Real-IP", "10.0.0.7"), "", Proxied},
		"CF-Connecting-IP":          {set("CF-Connecting-IP", "10.0.0.7"), "", Proxied},
		"its own page":              {set("Origin", "http://127.0.0.1:8080"), "", ""},
		"a page of its origin":      {set("Origin", "https://hub.example"), "https://hub.example", ""},
		"a page of another site":    {set("Origin", "https://evil.example"), "", CrossSite},
		"a page without a name":     {set("Origin", "null"), "", CrossSite},
		"another port's page":       {set("Origin", "http://127.0.0.1:9999"), "", CrossSite},
		"a picture elsewhere": {func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
		}, "", CrossSite},
		"a link elsewhere": {func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
		}, "", ""},
		"typed in":          {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, "", ""},
		"odd letters":       {func(r *http.Request) { r.Header["x-forwarded-for"] = []string{"10.0.0.7"} }, "", Proxied},
		"nginx as it comes": {func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, "", Proxied},
	} {
		g := guard(Rules{Origin: tt.origin})
		r := request("GET", "127.0.0.1:999", "")
		tt.change(r)
		_, no := g.Enter(r)
		switch {
		case tt.why == "" && no != nil:
			t.Errorf("%s: refused: %s", name, no.Detail)
		case tt.why != "" && (no == nil || no.Why != tt.why || no.Status != 403 || !strings.Contains(no.Detail, map[bool]string{true: "its own pages alone", false: "http.tokens"}[tt.why == CrossSite]) || g.why[tt.why] != 1):
			t.Errorf("%s: %+v", name, no)
		}
	}
	// With tokens none of this is asked: the token is.
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	r := request("GET", "127.0.0.1:999", right)
	r.Host = "waybill.internal"
	r.Header.Set("X-Forwarded-For", "10.0.0.7")
	if who, no := g.Enter(r); no != nil || who.Name != "ann" {
		t.Errorf("%s %+v", who.Name, no)
	}
}

// A page of another site has no browser change anything, whoever its reader is.
func TestCrossSite(t *testing.T) {
	for name, tt := range map[string]struct {
		method, origin, site, host, own string
		want                            bool
	}{
		"no browser":                       {"POST", "", "", "127.0.0.1:8080", "", true},
		"the console":                      {"POST", "http://127.0.0.1:8080", "same-origin", "127.0.0.1:8080", "", true},
		"the console, older browser":       {"PUT", "http://127.0.0.1:8080", "", "127.0.0.1:8080", "", true},
		"typed in":                         {"POST", "", "none", "127.0.0.1:8080", "", true},
		"a look":                           {"GET", "https://evil.example", "cross-site", "127.0.0.1:8080", "", true},
		"another site":                     {"POST", "https://evil.example", "cross-site", "127.0.0.1:8080", "", false},
		"another site, older browser":      {"POST", "https://evil.example", "", "127.0.0.1:8080", "", false},
		"another port":                     {"POST", "http://127.0.0.1:9999", "same-site", "127.0.0.1:8080", "", false},
		"a page without an origin":         {"POST", "null", "", "127.0.0.1:8080", "", false},
		"a sibling":                        {"POST", "https://other.example.com", "same-site", "waybill.example.com", "https://waybill.example.com", false},
		"behind a proxy that keeps Host":   {"POST", "https://waybill.example.com", "same-origin", "waybill.example.com", "https://waybill.example.com", true},
		"behind one that changes it":       {"POST", "https://waybill.example.com", "", "10.0.0.7:8080", "https://waybill.example.com", true},
		"the same, without http.origin":    {"POST", "https://waybill.example.com", "", "10.0.0.7:8080", "", false},
		"another site, changed by a proxy": {"POST", "https://evil.example", "", "10.0.0.7:8080", "https://waybill.example.com", false},
	} {
		g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}, Origin: tt.own})
		r := request(tt.method, "127.0.0.1:999", right)
		r.Host = tt.host
		for header, value := range map[string]string{"Origin": tt.origin, "Sec-Fetch-Site": tt.site} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		no := g.Write(r)
		if (no == nil) != tt.want || no != nil && (no.Status != 403 || no.Why != CrossSite || !strings.Contains(no.Detail, "http.origin")) {
			t.Errorf("%s: %+v", name, no)
		}
	}
}

// Wrong tokens are counted, told of once and then once in a while, and never shown.
func TestWrongTokensAreToldOf(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	try := func(n int, from string) {
		for i := range n {
			r := request("GET", from, fmt.Sprintf("guess-%d", i))
			r.Header.Set("X-Forwarded-For", "203.0.113.9\nforged=line")
			if _, no := g.Enter(r); no == nil || no.Status != 401 || !no.Challenge {
				t.Fatalf("%+v", no)
			}
		}
	}
	try(3, "10.0.0.7:1")
	g.clock.Advance(time.Minute)
	try(4, "10.0.0.8:1")
	if _, no := g.Enter(request("GET", "10.0.0.9:1", "")); no == nil || no.Status != 401 || no.Why != NoToken {
		t.Errorf("without a token: %+v", no)
	}
	if w := g.Wrong(); w.Count != 7 || w.From != "10.0.0.8" || !w.Last.Equal(g.clock.Now()) {
		t.Errorf("%+v", w)
	}
	if g.why[WrongToken] != 7 || g.why[NoToken] != 1 {
		t.Errorf("%v", g.why)
	}
	log := g.log.String()
	if strings.Contains(log, "guess") || strings.Contains(log, "\nforged") {
		t.Errorf("the log shows too much:\n%s", log)
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "from=10.0.0.7 ") || !strings.Contains(lines[0], "count=1 ") || !strings.Contains(lines[1], "from=10.0.0.8 ") || !strings.Contains(lines[1], "count=3 ") {
		t.Errorf("log:\n%s", log)
	}
}

// An address that goes on with wrong tokens waits and is told to come later; others, and right tokens from the same address, never do.
func TestWrongTokensAreSlowed(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	enter := func(from, token string) (string, *Refusal) {
		v, no := g.Enter(request("GET", from, token))
		return v.Name, no
	}
	for range addressBurst {
		if _, no := enter("10.0.0.7:1", "guess"); no.Why != WrongToken {
			t.Fatalf("%+v", no)
		}
	}
	answered := make(chan *Refusal)
	go func() {
		_, no := enter("10.0.0.7:1", "guess")
		answered <- no
	}()
	blockUntil(t, g.clock, 1)
	if who, no := enter("10.0.0.7:2", right); no != nil || who != "ann" { // the clock stands still: it cannot have waited
		t.Errorf("a right token from there: %+v", no)
	}
	if _, no := enter("10.0.0.8:1", "guess"); no.Why != WrongToken {
		t.Errorf("from elsewhere: %+v", no)
	}
	g.clock.Advance(wait)
	if no := <-answered; no.Status != 401 || no.Why != Slowed || no.Retry <= 0 || !no.Close {
		t.Errorf("%+v", no)
	}
	g.clock.Advance(addressEvery)
	if _, no := enter("10.0.0.7:1", "guess"); no.Why != WrongToken {
		t.Errorf("after a while: %+v", no)
	}
}

// From many addresses there is a bound for all together, of those that wait as well, and of what is remembered.
func TestWrongTokensFromEverywhere(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	from := func(i int) string { return fmt.Sprintf("[2001:db8:%x:%x::1]:7", i>>8, i&0xff) }
	for i := range totalBurst {
		if _, no := g.Enter(request("GET", from(i), "guess")); no.Why != WrongToken {
			t.Fatalf("%d: %+v", i, no)
		}
	}
	answers := make(chan *Refusal, mostWaiting)
	for i := range mostWaiting {
		go func() {
			_, no := g.Enter(request("GET", from(totalBurst+i), "guess"))
			answers <- no
		}()
	}
	blockUntil(t, g.clock, mostWaiting)
	for i := range 2 * mostKnown { // these find no room to wait: the test would hang
		if _, no := g.Enter(request("GET", from(1000+i), "guess")); no.Why != Slowed || !no.Close {
			t.Fatalf("%d: %+v", i, no)
		}
	}
	if n := len(g.wrong.known); n != mostKnown || g.wrong.newest.Len() != n {
		t.Errorf("%d addresses are remembered", n)
	}
	if _, no := g.Enter(request("GET", from(1), right)); no != nil {
		t.Errorf("a right token meanwhile: %+v", no)
	}
	g.clock.Advance(wait)
	for range mostWaiting {
		if no := <-answers; no.Why != Slowed {
			t.Errorf("%+v", no)
		}
	}
}

// A sender of IPv6 has a whole network to change among: it is one.
func TestOneNetworkIsOneSender(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right, Role: Admin}}})
	for i := range addressBurst {
		g.Enter(request("GET", fmt.Sprintf("[2001:db8::%x]:7", i), "guess"))
	}
	slow, _ := g.wrong.note(sender(request("GET", "[2001:db8::ffff:1]:7", "")), request("GET", "[2001:db8::ffff:1]:7", ""))
	if !slow {
		t.Error("the eleventh address of a network is another sender")
	}
}

// Who goes on asking is remembered while others come and go: what it has used up is not given back by their number.
func TestWhoGoesOnIsRemembered(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann", Value: right}}})
	ask := func(from string) (left float64) {
		r := request("GET", from, "guess")
		g.wrong.note(sender(r), r)
		return g.wrong.address(sender(r), g.clock.Elapsed()).left
	}
	for range addressBurst {
		ask("10.0.0.7:1")
	}
	for i := range 2 * mostKnown {
		ask(fmt.Sprintf("[2001:db8:%x:%x::1]:7", i>>8, i&0xff))
		if i%(mostKnown/2) == 0 && ask("10.0.0.7:1") >= 1 {
			t.Fatalf("after %d others it is new", i)
		}
	}
}

// A token that is empty, which the configuration refuses, lets nobody in who gives none.
func TestNoTokenIsNone(t *testing.T) {
	g := guard(Rules{Tokens: []Token{{Name: "ann"}}})
	if _, no := g.Enter(request("GET", "10.0.0.7:1", "")); no == nil || no.Why != NoToken {
		t.Errorf("%+v", no)
	}
}
