package webhook

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

func TestHookAnswers(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(standardHook())

		if a := webhooktest.WantAnswer(t, b.post("msg_1", `{"id":"SO-1"}`), 202, "accepted"); a.ID != "msg_1" || a.Status != "accepted" {
			t.Errorf("answer %+v", a)
		}
		if a := webhooktest.WantAnswer(t, b.post("msg_1", `{"id":"SO-1"}`), 202, "duplicate"); a.ID != "msg_1" || a.Status != "duplicate" {
			t.Errorf("answer %+v", a)
		}
		webhooktest.WantAnswer(t, b.post("msg_1", `{"id":"SO-2"}`), 409, "another body")
		if b.seen.Text(inbox.AlarmConflict) == "" {
			t.Error("no alarm for a delivery that came with another body")
		}
		for name, body := range map[string]string{
			"no JSON": "{", "empty": "", "two documents": "{}{}", "a name twice": `{"a":1,"a":2}`, "bad UTF-8": "\"\xff\"",
			"deep": strings.Repeat("[", 65) + strings.Repeat("]", 65),
		} {
			if a := webhooktest.WantAnswer(t, b.post("msg_"+name, body), 400, "JSON"); a.Detail == "" {
				t.Errorf("%s: no detail", name)
			}
		}
		webhooktest.WantAnswer(t, b.post("msg_deep", `{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+"}"), 202, "accepted")

		request := func(change func(*http.Request)) *httptest.ResponseRecorder {
			const body = `{"id":"SO-9"}`
			r := webhooktest.Delivery("crm/orders", "msg_9", b.Clock.Now(), body)
			change(r)
			return b.serve(r)
		}
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.Header.Set("webhook-signature", "v1,AAAA") }), 401, "does not prove")
		for _, off := range []time.Duration{time.Hour, -time.Hour} { // the sender is told why, and can set its clock
			stale := func(r *http.Request) {
				r.Header = webhooktest.Headers(webhooktest.Key, "msg_9", b.Clock.Now().Add(off), `{"id":"SO-9"}`)
			}
			webhooktest.WantAnswer(t, request(stale), 401, "too far from the hub's clock")
		}
		w := request(func(r *http.Request) { r.Header.Del("webhook-signature") })
		if webhooktest.WantAnswer(t, w, 401, ""); w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/hooks/crm/order" }), 404, "")
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/hooks/crm/orders/" }), 404, "")
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.URL.Path = "/crm/orders" }), 404, "")
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, http.MethodOptions} {
			if w := request(func(r *http.Request) { r.Method = method }); w.Code != 405 || w.Header().Get("Allow") != "POST" {
				t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
			}
		}
		for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/xml", ";", "application/cloudevents+xml"} {
			webhooktest.WantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Type", media) }), 415, "")
		}
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Encoding", "br") }), 415, "")
		webhooktest.WantAnswer(t, request(func(r *http.Request) { r.Header.Set("Content-Type", "application/vnd.crm+json; charset=UTF-8") }), 202, "accepted")
		if n := b.Unpublished(); n != 3 {
			t.Errorf("%d rows in the inbox, want 3", n)
		}
	})
}

func TestHookBodySizes(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxBody = 1000
		b.start(hook)
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
			r.Header = webhooktest.Headers(webhooktest.Key, id, b.Clock.Now(), signed)
			if encoding != "" {
				r.Header.Set("Content-Encoding", encoding)
			}
			return b.serve(r)
		}
		webhooktest.WantAnswer(t, send("a", doc(1000), []byte(doc(1000)), "", 1000), 202, "accepted")
		webhooktest.WantAnswer(t, send("b", doc(1001), []byte(doc(1001)), "", 1001), 413, "1000 bytes")
		webhooktest.WantAnswer(t, send("c", doc(1001), []byte(doc(1001)), "", -1), 413, "1000 bytes") // chunked
		webhooktest.WantAnswer(t, send("d", doc(1000), []byte(doc(1000)), "", -1), 202, "accepted")
		for encoding, p := range pack {
			webhooktest.WantAnswer(t, send("e"+encoding, doc(1000), p(doc(1000)), encoding, -1), 202, "accepted")
			webhooktest.WantAnswer(t, send("f"+encoding, string(p(doc(1000))), p(doc(1000)), encoding, -1), 202, "accepted") // signed as sent
			webhooktest.WantAnswer(t, send("g"+encoding, doc(1001), p(doc(1001)), encoding, -1), 413, "1000 bytes")
			webhooktest.WantAnswer(t, send("i"+encoding, "{}", []byte("{}"), encoding, -1), 400, "")
		}
		if used := b.handler.memory.held(); used != 0 {
			t.Errorf("%d bytes of the memory budget were not given back", used)
		}
	})
}

// TestDefaultBodySize: 4 MiB, where the source says nothing else.
func TestDefaultBodySize(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(standardHook())
		doc := func(n int) string { return `{"id":"` + strings.Repeat("x", n-9) + `"}` }
		webhooktest.WantAnswer(t, b.post("a", doc(4<<20)), 202, "accepted")
		webhooktest.WantAnswer(t, b.post("b", doc(4<<20+1)), 413, "4194304 bytes")
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
	Inbox
	err func(ctx context.Context) error
}

func (r *refusing) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if err := r.err(ctx); err != nil {
		return nil, nil, err
	}
	return r.Inbox.Accept(ctx, rows, cur, lease)
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
				b.between = func(s Inbox) Inbox { return &refusing{s, c.err} }
				b.start(standardHook())
				done := make(chan *httptest.ResponseRecorder)
				go func() { done <- b.post("msg_"+c.name, `{"id":"1"}`) }()
				if c.name == "slow" {
					<-asked
					b.Clock.Advance(4500 * time.Millisecond) // Shopify hangs up after 5 s
				}
				w := <-done
				if c.name == "panicking" {
					webhooktest.WantAnswer(t, w, 500, "nothing is known")
				} else if webhooktest.WantAnswer(t, w, 503, "send it again"); w.Header().Get("Retry-After") != c.retry {
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
		b.between = func(s Inbox) Inbox {
			return &refusing{s, func(ctx context.Context) error { cancel(); return ctx.Err() }}
		}
		b.start(standardHook())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks/crm/orders", strings.NewReader(`{"id":"1"}`))
		r.Header = webhooktest.Headers(webhooktest.Key, "msg_1", b.Clock.Now(), `{"id":"1"}`)
		webhooktest.WantAnswer(t, b.serve(r), 202, "accepted")
	})
}

func TestHookRate(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.Rate, hook.Burst = 2, 3
		b.start(hook)
		for i := range 3 {
			webhooktest.WantAnswer(t, b.post(fmt.Sprint("m", i), "{}"), 202, "accepted")
		}
		// A sender that proves nothing takes nothing of the rate.
		bad := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader("{}"))
		webhooktest.WantAnswer(t, b.serve(bad), 401, "")
		w := b.post("m3", "{}")
		if webhooktest.WantAnswer(t, w, 429, "rate"); w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		b.Clock.Advance(500 * time.Millisecond)
		webhooktest.WantAnswer(t, b.post("m3", "{}"), 202, "accepted")
		webhooktest.WantAnswer(t, b.post("m4", "{}"), 429, "rate")
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
			{name: "meta", method: "GET", target: "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=tok", verify: Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("old", "tok")}, status: 200, body: "1158201444"},
			{name: "meta, other token", method: "GET", target: "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=x", verify: Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("tok")}, status: 405},
			{name: "challenge", method: "GET", target: "?challenge=bc-609d-4952", verify: Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, status: 200, body: "bc-609d-4952"},
			{name: "challenge with markup", method: "GET", target: "?challenge=%3Cscript%3E", verify: Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("k")}, status: 405},
			{name: "challenge of great length", method: "GET", target: "?challenge=" + strings.Repeat("a", 2000), verify: Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("k")}, status: 405},
			{name: "challenge of a scheme without", method: "GET", target: "?challenge=1", verify: Verify{Scheme: "shopify", Secrets: webhooktest.Secrets("k")}, status: 405},
			{name: "validation token", method: "POST", target: "?validationToken=Validation%3A+abc", verify: Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("k")}, status: 200, body: "Validation: abc"},
			{name: "cloudevents", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"eventgrid.azure.net"}, "Webhook-Request-Rate": {"120"}},
				status: 200, answer: map[string]string{"WebHook-Allowed-Origin": "eventgrid.azure.net", "WebHook-Allowed-Rate": "*", "Allow": "POST, OPTIONS"}},
			{name: "cloudevents with a rate", method: "OPTIONS", rate: 2, verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"x"}},
				status: 200, answer: map[string]string{"WebHook-Allowed-Origin": "x", "WebHook-Allowed-Rate": "120"}},
			{name: "cloudevents without an origin", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}, status: 405, answer: map[string]string{"Allow": "OPTIONS, POST"}},
			{name: "cloudevents, two lines", method: "OPTIONS", verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}, header: http.Header{"Webhook-Request-Origin": {"a\r\nb"}}, status: 405},
		} {
			t.Run(c.name, func(t *testing.T) {
				b.start(&Endpoint{Path: "/x/", Verify: c.verify, Rate: c.rate})
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
				b.start(&Endpoint{Path: "v", Verify: v.verify()})
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
					webhooktest.WantAnswer(t, w, want, text)
				}
			})
		}
	})
}

func TestGitHubPingGoesNoFurther(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(&Endpoint{Path: "gh", Verify: Verify{Scheme: "github", Secrets: webhooktest.Secrets("k")}})
		r := httptest.NewRequest(http.MethodPost, "/hooks/gh", strings.NewReader(`{"zen":"x"}`))
		r.Header.Set("X-GitHub-Event", "ping")
		r.Header.Set("X-Hub-Signature-256", "sha256="+fmt.Sprintf("%x", webhooktest.Digest(sha256.New, "k", `{"zen":"x"}`)))
		webhooktest.WantAnswer(t, b.serve(r), 200, "ignored")
		if n := b.Unpublished(); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// TestBatchIsOneAnswer: the events of one request are accepted together; a conflict of one is refused, the others stay.
func TestBatchIsOneAnswer(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(&Endpoint{Path: "ce", Verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}})
		send := func(events ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/hooks/ce", strings.NewReader("["+strings.Join(events, ",")+"]"))
			r.Header.Set("Content-Type", mediaBatch)
			r.Header.Set("Authorization", "Bearer k")
			return b.serve(r)
		}
		ev := func(id, data string) string {
			return `{"specversion":"1.0","type":"t","source":"s","id":"` + id + `","data":{"id":"` + data + `"}}`
		}
		webhooktest.WantAnswer(t, send(ev("1", "a"), ev("2", "b")), 202, `{"id":"s/1","status":"accepted","events":2}`)
		webhooktest.WantAnswer(t, send(ev("1", "a"), ev("3", "c")), 202, `"accepted"`)
		webhooktest.WantAnswer(t, send(ev("1", "a"), ev("3", "c")), 202, `"duplicate"`)
		webhooktest.WantAnswer(t, send(ev("1", "other"), ev("4", "d")), 409, "")
		webhooktest.WantAnswer(t, send(), 200, `"ignored"`)
		if n := b.Unpublished(); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
	})
}

func TestDeliveryIDExpression(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := &Endpoint{Path: "x", Verify: Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("k")}, DeliveryID: func(_ context.Context, in inbox.Input) (string, error) {
			if in.Doc.Root().Get("fail").Exists() {
				return "", errors.New("no such member")
			}
			return in.Headers["x-delivery"], nil
		}}
		b.start(hook)
		send := func(id, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, "/hooks/x", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer k")
			r.Header.Set("X-Delivery", id)
			return b.serve(r)
		}
		webhooktest.WantAnswer(t, send("d1", "{}"), 202, "accepted")
		webhooktest.WantAnswer(t, send("d1", "{}"), 202, "duplicate")
		webhooktest.WantAnswer(t, send("d2", `{"fail":1}`), 400, "delivery id")
		long := strings.Repeat("é", 500)
		webhooktest.WantAnswer(t, send(long, "{}"), 202, "accepted")
		if a := webhooktest.WantAnswer(t, send(long, "{}"), 202, "duplicate"); !strings.HasPrefix(a.ID, "sha256:") {
			t.Errorf("id %q", a.ID)
		}
		// Without an id, nothing is de-duplicated, and every delivery gets an id of its own.
		one, two := webhooktest.WantAnswer(t, send("", "{}"), 202, "accepted"), webhooktest.WantAnswer(t, send("", "{}"), 202, "accepted")
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
		"one path twice": {{Flow: "a", Endpoint: *hook}, {Flow: "b", Endpoint: Endpoint{Path: "/crm/orders/", Verify: hook.Verify}}},
		"no path":        {{Flow: "a", Endpoint: Endpoint{Verify: hook.Verify}}},
		"no proof":       {{Flow: "a", Endpoint: Endpoint{Path: "x"}}},
	} {
		if _, err := New(Config{Clock: lifecycle.NewManual(noon)}, sources); err == nil || !strings.Contains(err.Error(), "flow ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShopifyIDIsItsOwn(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.start(&Endpoint{Path: "s", Verify: Verify{Scheme: "shopify", Secrets: webhooktest.Secrets("k")}})
		r := httptest.NewRequest(http.MethodPost, "/hooks/s", strings.NewReader("{}"))
		r.Header.Set("X-Shopify-Webhook-Id", "w-1")
		r.Header.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(webhooktest.Digest(sha256.New, "k", "{}")))
		if a := webhooktest.WantAnswer(t, b.serve(r), 202, "accepted"); a.ID != "w-1" {
			t.Errorf("id %q", a.ID)
		}
	})
}
