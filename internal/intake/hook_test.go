package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const stdKey = "a-key-of-24-bytes-or-more"

func standardHook() *Webhook {
	return &Webhook{Path: "crm/orders", Verify: Verify{Scheme: "standard-webhooks", Secrets: secrets(whsec(stdKey))}}
}

// post sends a signed delivery straight to the handler.
func (b *bench) post(id, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
	r.Header = standardHeaders(stdKey, id, b.Clock.Now(), body)
	return b.serve(r)
}

func (b *bench) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.intake.Handler().ServeHTTP(w, r)
	return w
}

type answer struct{ ID, Status, Detail string }

func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, what string) answer {
	t.Helper()
	if w.Code != status || !strings.Contains(w.Body.String(), what) {
		t.Fatalf("answer %d %s, want %d with %q", w.Code, w.Body, status, what)
	}
	var a answer
	media := w.Header().Get("Content-Type")
	switch {
	case strings.HasPrefix(media, "text/"):
		return a
	case status >= 400 && media != "application/problem+json", status < 300 && media != "application/json":
		t.Errorf("status %d as %s", status, media)
	}
	var raw map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &raw); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	a.ID, _ = raw["id"].(string)
	a.Status, _ = raw["status"].(string)
	a.Detail, _ = raw["detail"].(string)
	if status >= 400 && raw["status"] != float64(status) {
		t.Errorf("problem %s", w.Body)
	}
	return a
}

func TestHookAnswers(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		b.Topic.Mu.Lock() // the relay is not part of this
		defer b.Topic.Mu.Unlock()

		if a := wantAnswer(t, b.post("msg_1", `{"id":"SO-1"}`), 202, "accepted"); a.ID != "msg_1" || a.Status != "accepted" {
			t.Errorf("answer %+v", a)
		}
		if a := wantAnswer(t, b.post("msg_1", `{"id":"SO-1"}`), 202, "duplicate"); a.ID != "msg_1" || a.Status != "duplicate" {
			t.Errorf("answer %+v", a)
		}
		wantAnswer(t, b.post("msg_1", `{"id":"SO-2"}`), 409, "another body")
		if b.seen.Text(AlarmConflict) == "" {
			t.Error("no alarm for a delivery that came with another body")
		}
		for name, body := range map[string]string{
			"no JSON": "{", "empty": "", "two documents": "{}{}", "a name twice": `{"a":1,"a":2}`, "bad UTF-8": "\"\xff\"",
			"deep": strings.Repeat("[", 65) + strings.Repeat("]", 65),
		} {
			if a := wantAnswer(t, b.post("msg_"+name, body), 400, "JSON"); a.Detail == "" {
				t.Errorf("%s: no detail", name)
			}
		}
		wantAnswer(t, b.post("msg_deep", `{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+"}"), 202, "accepted")

		request := func(change func(*http.Request)) *httptest.ResponseRecorder {
			const body = `{"id":"SO-9"}`
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader(body))
			r.Header = standardHeaders(stdKey, "msg_9", b.Clock.Now(), body)
			change(r)
			return b.serve(r)
		}
		wantAnswer(t, request(func(r *http.Request) { r.Header.Set("webhook-signature", "v1,AAAA") }), 401, "does not prove")
		for _, off := range []time.Duration{time.Hour, -time.Hour} { // the sender is told why, and can set its clock
			stale := func(r *http.Request) {
				r.Header = standardHeaders(stdKey, "msg_9", b.Clock.Now().Add(off), `{"id":"SO-9"}`)
			}
			wantAnswer(t, request(stale), 401, "too far from the hub's clock")
		}
		w := request(func(r *http.Request) { r.Header.Del("webhook-signature") })
		if wantAnswer(t, w, 401, ""); w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		wantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/hooks/crm/order" }), 404, "")
		wantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/hooks/crm/orders/" }), 404, "")
		wantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/crm/orders" }), 404, "")
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, http.MethodOptions} {
			if w := request(func(r *http.Request) { r.Method = method }); w.Code != 405 || w.Header().Get("Allow") != "POST" {
				t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
			}
		}
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/xml", ";", "application/cloudevents+xml"} {
			wantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Type", media) }), 415, "")
		}
		wantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }), 415, "")
		wantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Type", "application/vnd.crm+json; charset=UTF-8") }), 202, "accepted")
		if n := b.Unpublished(); n != 3 {
			t.Errorf("%d rows in the inbox, want 3", n)
		}
	})
}

func TestHookBodySizes(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxBody = 1000
		b.start(Source{Webhook: hook, Key: inboxtest.Field("id")})
		doc := func(n int) string { return `{"id":"` + strings.Repeat("x", n-9) + `"}` }
		pack := map[string]func(string) []byte{
			"gzip": func(s string) []byte {
				return packed(t, s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
			},
			"deflate": func(s string) []byte {
				return packed(t, s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
			},
			"Deflate": func(s string) []byte {
				return packed(t, s, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })
			},
		}
		send := func(id, signed string, wire []byte, encoding string, length int64) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", bytes.NewReader(wire))
			r.ContentLength = length
			r.Header = standardHeaders(stdKey, id, b.Clock.Now(), signed)
			if encoding != "" {
				r.Header.Set("Content-Encoding", encoding)
			}
			return b.serve(r)
		}
		wantAnswer(t, send("a", doc(1000), []byte(doc(1000)), "", 1000), 202, "accepted")
		wantAnswer(t, send("b", doc(1001), []byte(doc(1001)), "", 1001), 413, "1000 bytes")
		wantAnswer(t, send("c", doc(1001), []byte(doc(1001)), "", -1), 413, "1000 bytes") // chunked
		wantAnswer(t, send("d", doc(1000), []byte(doc(1000)), "", -1), 202, "accepted")
		for encoding, p := range pack {
			wantAnswer(t, send("e"+encoding, doc(1000), p(doc(1000)), encoding, -1), 202, "accepted")
			wantAnswer(t, send("f"+encoding, string(p(doc(1000))), p(doc(1000)), encoding, -1), 202, "accepted") // signed as sent
			wantAnswer(t, send("g"+encoding, doc(1001), p(doc(1001)), encoding, -1), 413, "1000 bytes")
			wantAnswer(t, send("i"+encoding, "{}", []byte("{}"), encoding, -1), 400, "")
		}
		if used := b.intake.hooks.memory.held(); used != 0 {
			t.Errorf("%d bytes of the memory budget were not given back", used)
		}
	})
}

// TestDefaultBodySize: 4 MiB, where the source says nothing else.
func TestDefaultBodySize(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		doc := func(n int) string { return `{"id":"` + strings.Repeat("x", n-9) + `"}` }
		wantAnswer(t, b.post("a", doc(4<<20)), 202, "accepted")
		wantAnswer(t, b.post("b", doc(4<<20+1)), 413, "4194304 bytes")
	})
}

func packed(t testing.TB, s string, open func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// refusing is a store whose Accept fails.
type refusing struct {
	Store
	err func(ctx context.Context) error
}

func (r *refusing) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if err := r.err(ctx); err != nil {
		return nil, nil, err
	}
	return r.Store.Accept(ctx, rows, cur, lease)
}

// TestNoFalsePromise: whatever the store does, 202 is answered only after it has said that the rows are there.
func TestNoFalsePromise(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		asked := make(chan struct{}, 1)
		for _, c := range []struct {
			name  string
			err   func(ctx context.Context) error
			retry string
		}{
			{"failing", func(context.Context) error { return errors.New("disk full") }, "5"},
			{"slow", func(ctx context.Context) error { asked <- struct{}{}; <-ctx.Done(); return ctx.Err() }, "5"},
			{"overloaded", func(context.Context) error {
				return &fault.Error{Kind: fault.Unavailable, RetryAfter: 1500 * time.Millisecond, Err: errors.New("busy")}
			}, "2"},
			{"panicking", func(context.Context) error { panic("oh") }, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				b.between = func(s Store) Store { return &refusing{s, c.err} }
				b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
				defer b.stop()
				done := make(chan *httptest.ResponseRecorder)
				go func() { done <- b.post("msg_"+c.name, `{"id":"1"}`) }()
				if c.name == "slow" {
					<-asked
					b.Clock.Advance(4500 * time.Millisecond) // Shopify hangs up after 5 s
				}
				w := <-done
				if c.name == "panicking" {
					wantAnswer(t, w, 500, "nothing is known")
				} else if wantAnswer(t, w, 503, "send it again"); w.Header().Get("Retry-After") != c.retry {
					t.Errorf("Retry-After %q, want %s", w.Header().Get("Retry-After"), c.retry)
				}
			})
		}
		if n := b.Unpublished(); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// TestSenderGoesAway: a request whose sender has hung up is still accepted whole.
func TestSenderGoesAway(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		b.between = func(s Store) Store {
			return &refusing{s, func(ctx context.Context) error { cancel(); return ctx.Err() }}
		}
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks/crm/orders", strings.NewReader(`{"id":"1"}`))
		r.Header = standardHeaders(stdKey, "msg_1", b.Clock.Now(), `{"id":"1"}`)
		wantAnswer(t, b.serve(r), 202, "accepted")
	})
}

func TestHookRate(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.Rate, hook.Burst = 2, 3
		b.start(Source{Webhook: hook, Key: inboxtest.Field("id")})
		for i := range 3 {
			wantAnswer(t, b.post(fmt.Sprint("m", i), "{}"), 202, "accepted")
		}
		// A sender that proves nothing takes nothing of the rate.
		bad := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader("{}"))
		wantAnswer(t, b.serve(bad), 401, "")
		w := b.post("m3", "{}")
		if wantAnswer(t, w, 429, "rate"); w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		b.Clock.Advance(500 * time.Millisecond)
		wantAnswer(t, b.post("m3", "{}"), 202, "accepted")
		wantAnswer(t, b.post("m4", "{}"), 429, "rate")
	})
}

func TestBucket(t *testing.T) {
	b := newBucket(10, 0, noon)
	for range 10 {
		if _, ok := b.take(noon); !ok {
			t.Fatal("a second's worth is not there")
		}
	}
	if wait, ok := b.take(noon); ok || wait != 100*time.Millisecond {
		t.Errorf("wait %v %v", wait, ok)
	}
	if _, ok := b.take(noon.Add(-time.Hour)); ok {
		t.Error("a clock that goes back gives tokens")
	}
	if _, ok := b.take(noon.Add(100 * time.Millisecond)); !ok {
		t.Error("no token after its time")
	}
	if b := newBucket(0, 5, noon); b != nil {
		t.Error("no rate is a limit")
	}
}

func TestHandshakes(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			name, method, target string
			verify               Verify
			rate                 float64
			header               http.Header
			status               int
			body                 string
			answer               map[string]string
		}{
			{name: "meta", method: "GET", target: "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=tok", verify: Verify{Scheme: "bearer", Secrets: secrets("old", "tok")}, status: 200, body: "1158201444"},
			{name: "meta, other token", method: "GET", target: "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=x", verify: Verify{Scheme: "bearer", Secrets: secrets("tok")}, status: 405},
			{name: "challenge", method: "GET", target: "?challenge=bc-609d-4952", verify: Verify{Scheme: "hmac", Header: "X-Sig", Secrets: secrets("k")}, status: 200, body: "bc-609d-4952"},
			{name: "challenge with markup", method: "GET", target: "?challenge=%3Cscript%3E", verify: Verify{Scheme: "hmac", Header: "X-Sig", Secrets: secrets("k")}, status: 405},
			{name: "challenge of great length", method: "GET", target: "?challenge=" + strings.Repeat("a", 2000), verify: Verify{Scheme: "bearer", Secrets: secrets("k")}, status: 405},
			{name: "challenge of a scheme without", method: "GET", target: "?challenge=1", verify: Verify{Scheme: "shopify", Secrets: secrets("k")}, status: 405},
			{name: "validation token", method: "POST", target: "?validationToken=Validation%3A+abc", verify: Verify{Scheme: "bearer", Secrets: secrets("k")}, status: 200, body: "Validation: abc"},
			{name: "cloudevents", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"eventgrid.azure.net"}, "Webhook-Request-Rate": {"120"}},
				status: 200, answer: map[string]string{"WebHook-Allowed-Origin": "eventgrid.azure.net", "WebHook-Allowed-Rate": "*", "Allow": "POST, OPTIONS"}},
			{name: "cloudevents with a rate", method: "OPTIONS", rate: 2, verify: Verify{Scheme: "cloudevents", Secrets: secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"x"}},
				status: 200, answer: map[string]string{"WebHook-Allowed-Origin": "x", "WebHook-Allowed-Rate": "120"}},
			{name: "cloudevents without an origin", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: secrets("k")}, status: 405, answer: map[string]string{"Allow": "OPTIONS, POST"}},
			{name: "cloudevents, two lines", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"a\r\nb"}}, status: 405},
		} {
			t.Run(c.name, func(t *testing.T) {
				b.start(Source{Webhook: &Webhook{Path: "/x/", Verify: c.verify, Rate: c.rate}, Key: inboxtest.Field("id")})
				defer b.stop()
				r := httptest.NewRequest(c.method, "/hooks/x"+c.target, http.NoBody)
				if c.header != nil {
					r.Header = c.header
				}
				w := b.serve(r)
				if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
					t.Fatalf("answer %d %s", w.Code, w.Body)
				}
				if c.body != "" && (w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain")) {
					t.Errorf("headers %v", w.Header())
				}
				for name, value := range c.answer {
					if w.Header().Get(name) != value {
						t.Errorf("%s: %q, want %q", name, w.Header().Get(name), value)
					}
				}
			})
		}
		if n := b.Unpublished(); n != 0 {
			t.Errorf("handshakes left %d rows", n)
		}
	})
}

func TestVectorsOverHTTP(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		for _, v := range vectors(t) {
			t.Run(v.Scheme+"/"+v.Name, func(t *testing.T) {
				b.Clock.Set(time.Unix(v.VerifyAt, 0))
				b.start(Source{Webhook: &Webhook{Path: "v", Verify: v.verify()}, Key: inboxtest.Field("id")})
				defer b.stop()
				for try := range 2 {
					r := httptest.NewRequest(http.MethodPost, "/hooks/v", bytes.NewReader(v.Body))
					r.Header = v.header()
					w := b.serve(r)
					want, text := 202, []string{"accepted", "duplicate"}[try]
					switch {
					case v.Scheme == "salesforce-outbound" && v.Expect == "valid":
						want, text = 200, v.Ack
					case v.Scheme == "salesforce-outbound":
						want, text = 401, v.Nack
					case v.Expect != "valid":
						want, text = 401, ""
					case v.Name == "docs-example": // signed, and no JSON
						want, text = 400, ""
					case v.Name == "structured": // the very event that came in binary mode before
						text = "duplicate"
					}
					wantAnswer(t, w, want, text)
				}
			})
		}
	})
}

func TestGitHubPingGoesNoFurther(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: &Webhook{Path: "gh", Verify: Verify{Scheme: "github", Secrets: secrets("k")}}, Key: inboxtest.Field("id")})
		r := httptest.NewRequest(http.MethodPost, "/hooks/gh", strings.NewReader(`{"zen":"x"}`))
		r.Header.Set("X-GitHub-Event", "ping")
		r.Header.Set("X-Hub-Signature-256", "sha256="+fmt.Sprintf("%x", digest(sha256.New, "k", `{"zen":"x"}`)))
		wantAnswer(t, b.serve(r), 200, "ignored")
		if n := b.Unpublished(); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// TestBatchIsOneAnswer: the events of one request are accepted together; a conflict of one is refused, the others stay.
func TestBatchIsOneAnswer(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: &Webhook{Path: "ce", Verify: Verify{Scheme: "cloudevents", Secrets: secrets("k")}}, Key: inboxtest.Field("id")})
		b.Topic.Mu.Lock()
		defer b.Topic.Mu.Unlock()
		send := func(events ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/hooks/ce", strings.NewReader("["+strings.Join(events, ",")+"]"))
			r.Header.Set("Content-Type", mediaBatch)
			r.Header.Set("Authorization", "Bearer k")
			return b.serve(r)
		}
		ev := func(id, data string) string {
			return `{"specversion":"1.0","type":"t","source":"s","id":"` + id + `","data":{"id":"` + data + `"}}`
		}
		wantAnswer(t, send(ev("1", "a"), ev("2", "b")), 202, `{"id":"s/1","status":"accepted","events":2}`)
		wantAnswer(t, send(ev("1", "a"), ev("3", "c")), 202, `"accepted"`)
		wantAnswer(t, send(ev("1", "a"), ev("3", "c")), 202, `"duplicate"`)
		wantAnswer(t, send(ev("1", "other"), ev("4", "d")), 409, "")
		wantAnswer(t, send(), 200, `"ignored"`)
		if n := b.Unpublished(); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
	})
}

func TestDeliveryIDExpression(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := &Webhook{Path: "x", Verify: Verify{Scheme: "bearer", Secrets: secrets("k")}, DeliveryID: func(_ context.Context, in inbox.Input) (string, error) {
			if in.Doc.Root().Get("fail").Exists() {
				return "", errors.New("no such member")
			}
			return in.Headers["x-delivery"], nil
		}}
		b.start(Source{Webhook: hook, Key: inboxtest.Field("id")})
		b.Topic.Mu.Lock()
		defer b.Topic.Mu.Unlock()
		send := func(id, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/hooks/x", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer k")
			r.Header.Set("X-Delivery", id)
			return b.serve(r)
		}
		wantAnswer(t, send("d1", "{}"), 202, "accepted")
		wantAnswer(t, send("d1", "{}"), 202, "duplicate")
		wantAnswer(t, send("d2", `{"fail":1}`), 400, "delivery id")
		long := strings.Repeat("é", 500)
		wantAnswer(t, send(long, "{}"), 202, "accepted")
		if a := wantAnswer(t, send(long, "{}"), 202, "duplicate"); !strings.HasPrefix(a.ID, "sha256:") {
			t.Errorf("id %q", a.ID)
		}
		// Without an id, nothing is de-duplicated, and every delivery gets an id of its own.
		one, two := wantAnswer(t, send("", "{}"), 202, "accepted"), wantAnswer(t, send("", "{}"), 202, "accepted")
		if one.ID == two.ID || one.ID == "" {
			t.Errorf("ids %q and %q", one.ID, two.ID)
		}
	})
}

func TestStoredHeaders(t *testing.T) {
	got := storedHeaders(http.Header{
		"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Api-Key": {"k"}, "X-Shop-Token": {"t"}, "X-Hub-Signature": {"s"}, "Mine": {"p"},
		"Content-Length": {"3"}, "Webhook-Id": {"1"}, "X-Many": {"a", "b"}, "X-Bad": {"a\xff"}, "X-Long": {strings.Repeat("x", maxHeaderValue+1)},
	}, []string{"mine"}, map[string]string{inbox.HeaderTime: "now"})
	want := map[string]string{"webhook-id": "1", "x-many": "a, b", "x-bad": "a\uFFFD", inbox.HeaderTime: "now"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("stored %v, want %v", got, want)
	}
}

func TestNewHooksRefuses(t *testing.T) {
	hook := standardHook()
	for name, sources := range map[string][]Source{
		"one path twice": {{Flow: "a", Webhook: hook}, {Flow: "b", Webhook: &Webhook{Path: "/crm/orders/", Verify: hook.Verify}}},
		"no path":        {{Flow: "a", Webhook: &Webhook{Verify: hook.Verify}}},
		"no proof":       {{Flow: "a", Webhook: &Webhook{Path: "x"}}},
	} {
		if _, err := NewHooks(HooksConfig{Clock: lifecycle.NewManual(noon)}, sources); err == nil || !strings.Contains(err.Error(), "flow ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyAtOnce: 2,000 deliveries at the same time, every fourth of them a repetition, through a real listener.
func TestManyAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: standardHook(), Key: inboxtest.Field("id")})
		server, err := Listen(ServerConfig{Listen: "127.0.0.1:0", Connections: 64})
		if err != nil {
			t.Fatal(err)
		}
		server.Handle(b.intake.Handler())
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		const total, distinct = 2000, 1500
		var mu sync.Mutex
		answers := map[string]int{}
		gate := make(chan struct{}, 256)
		var wg sync.WaitGroup
		for i := range total {
			gate <- struct{}{}
			wg.Go(func() {
				defer func() { <-gate }()
				n := i % distinct
				body := `{"id":"SO-` + strconv.Itoa(n) + `"}`
				var res *http.Response
				for try := 0; res == nil && try < 20; try++ { // a crowded server closes idle connections; senders come again
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr()+"/hooks/crm/orders", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					r.Header = standardHeaders(stdKey, "msg_"+strconv.Itoa(n), b.Clock.Now(), body)
					res, _ = client.Do(r)
				}
				if res == nil {
					t.Error("no answer")
					return
				}
				text, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				var a answer
				_ = json.Unmarshal(text, &a)
				mu.Lock()
				answers[strconv.Itoa(res.StatusCode)+" "+a.Status]++
				mu.Unlock()
			})
		}
		wg.Wait()
		client.CloseIdleConnections()
		if err := server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		// A delivery whose answer was cut off is a duplicate when it comes again; nothing else may differ.
		if answers["202 accepted"]+answers["202 duplicate"] != total || answers["202 duplicate"] < total-distinct {
			t.Errorf("answers %v", answers)
		}
		b.Turn("all events", func() bool { return b.Topic.Count() >= distinct && b.Unpublished() == 0 })
		ids := map[string]bool{}
		for _, id := range b.Topic.IDs() {
			if ids[id] {
				t.Errorf("%s was published twice", id)
			}
			ids[id] = true
		}
		if len(ids) != distinct {
			t.Errorf("%d events, want %d", len(ids), distinct)
		}
	})
}

func TestShopifyIDIsItsOwn(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(Source{Webhook: &Webhook{Path: "s", Verify: Verify{Scheme: "shopify", Secrets: secrets("k")}}, Key: inboxtest.Field("id")})
		r := httptest.NewRequest(http.MethodPost, "/hooks/s", strings.NewReader("{}"))
		r.Header.Set("X-Shopify-Webhook-Id", "w-1")
		r.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(digest(sha256.New, "k", "{}")))
		if a := wantAnswer(t, b.serve(r), 202, "accepted"); a.ID != "w-1" {
			t.Errorf("id %q", a.ID)
		}
	})
}
