package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

// visit is one request of a sender, and what it wants to read.
type visit struct {
	method string // default POST
	target string // behind the path
	header string // lines
	body   string
	status int
	answer string // the whole body, where it begins with =; else a part of it
	reads  string // a header line of the answer
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// TestSenders sends what real systems do, over a real connection, and counts what is stored of it.
func TestSenders(t *testing.T) {
	hexed := func(body string) string { return hex.EncodeToString(webhooktest.Digest(sha256.New, "k", body)) }
	based := func(body string) string {
		return base64.StdEncoding.EncodeToString(webhooktest.Digest(sha256.New, "k", body))
	}
	bearer := Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("k")}
	woo := Verify{Scheme: "hmac", Header: "X-WC-Webhook-Signature", Encoding: "base64", Secrets: webhooktest.Secrets("k")}
	xero := Verify{Scheme: "hmac", Header: "X-Xero-Signature", Encoding: "base64", Secrets: webhooktest.Secrets("k")}
	hub := Verify{Scheme: "hmac", Header: "X-Hub-Signature-256", Prefix: "sha256=", Secrets: webhooktest.Secrets("k")}
	const token = "Authorization: Bearer k\n"
	const json = "Content-Type: application/json\n"
	ok := `{"id":"1"}`
	for _, c := range []struct {
		name   string
		hook   Endpoint
		steps  []visit
		stored []string // bodies
	}{
		{"woocommerce", Endpoint{Verify: woo}, []visit{
			{header: formType + "\nUser-Agent: WooCommerce/9.0 Hookshot (WordPress/6.5)", body: "webhook_id=42", status: 200},
			{header: formType + "; charset=UTF-8", body: "webhook_id=42", status: 200},
			{header: formType, body: "webhook_id=42&x=1", status: 415, answer: "from.webhook.content-types"},
			{header: formType, body: "webhook_id=abc", status: 415},
			{header: formType + "\nX-WC-Webhook-Signature: AAAA", body: "webhook_id=42", status: 415},
			{header: json + "X-WC-Webhook-Signature: " + based(ok), body: ok, status: 202},
			{header: json, body: ok, status: 401},
		}, []string{ok}},
		{"a form is no ping for a sender with a token", Endpoint{Verify: bearer}, []visit{{header: formType, body: "webhook_id=42", status: 415}}, nil},
		{"a form is no ping for a scheme of its own", Endpoint{Verify: Verify{Scheme: "shopify", Secrets: webhooktest.Secrets("k")}}, []visit{{header: formType, body: "webhook_id=42", status: 415}}, nil},
		{"xero", Endpoint{Verify: xero, Answer: &Answer{Status: 200}}, []visit{
			{header: json + "X-Xero-Signature: " + based(`{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3"}`), body: `{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3"}`, status: 200, answer: "ignored"},
			{header: json + "X-Xero-Signature: " + based("other"), body: `{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3"}`, status: 401},
			{header: json + "X-Xero-Signature: " + based(`{"events":[{"id":"1"}]}`), body: `{"events":[{"id":"1"}]}`, status: 200, answer: "accepted"},
		}, []string{`{"events":[{"id":"1"}]}`}},
		{"an empty list", Endpoint{Verify: bearer, Split: "events"}, []visit{
			{header: token, body: `{"events":[]}`, status: 200, answer: "ignored"},
			{header: token, body: `{"events":[{"id":"1"}]}`, status: 202},
		}, []string{`{"events":[{"id":"1"}]}`}},
		{"a list without an element", Endpoint{Verify: bearer}, []visit{{header: token, body: ` [ ] `, status: 200, answer: "ignored"}}, nil},
		{"meta", Endpoint{Verify: hub}, []visit{
			{method: "GET", target: "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=k", status: 200, answer: "=1158201444", reads: "Content-Type: text/plain; charset=utf-8"},
			{method: "GET", target: "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=x", status: 405},
			{header: json + "X-Hub-Signature-256: sha256=" + hexed(ok), body: ok, status: 202},
		}, []string{ok}},
		{"dropbox", Endpoint{Verify: Verify{Scheme: "hmac", Header: "X-Dropbox-Signature", Secrets: webhooktest.Secrets("k")}}, []visit{
			{method: "GET", target: "?challenge=8GFH4sjw", status: 200, answer: "=8GFH4sjw", reads: "X-Content-Type-Options: nosniff"},
			{method: "GET", target: "?challenge=%3Cscript%3Ealert(1)%3C/script%3E", status: 405},
			{method: "GET", target: "?challenge=" + strings.Repeat("a", 2000), status: 405},
			{method: "GET", target: "?challenge=a%0d%0aX:b", status: 405},
		}, nil},
		{"okta", Endpoint{Verify: bearer}, []visit{
			{method: "GET", header: "X-Okta-Verification-Challenge: x2aFjgj_r", status: 200, answer: `={"verification":"x2aFjgj_r"}`, reads: "Content-Type: application/json"},
			{method: "GET", header: `X-Okta-Verification-Challenge: "><b>`, status: 405},
		}, nil},
		{"microsoft graph", Endpoint{Verify: bearer}, []visit{
			{header: "Content-Type: text/plain; charset=utf-8", target: "?validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+522a8e7e", status: 200,
				answer: "=Validation: Testing client application reachability for subscription Request-Id: 522a8e7e", reads: "Content-Type: text/plain; charset=utf-8"},
			{target: "?validationToken=%3Cscript%3E", status: 401},
			{target: "?validationToken=x", header: token, body: ok, status: 202}, // a delivery
		}, []string{ok}},
		{"sharepoint", Endpoint{Verify: bearer}, []visit{{target: "?validationtoken=a-b", status: 200, answer: "=a-b"}}, nil},
		{"slack", Endpoint{Verify: bearer}, []visit{
			{header: json, body: `{"token":"t","challenge":"3eZbrw1aBm2r","type":"url_verification"}`, status: 200, answer: `={"challenge":"3eZbrw1aBm2r"}`, reads: "Content-Type: application/json"},
			{header: json, body: `{"token":"t","challenge":"3eZbrw1aBm2r","type":"event_callback"}`, status: 401},
			{header: json, body: `{"challenge":"<i>","type":"url_verification"}`, status: 401},
			{header: json, body: `{"challenge":17,"type":"url_verification"}`, status: 401},
		}, nil},
		{"monday", Endpoint{Verify: bearer}, []visit{
			{header: json, body: `{"challenge":"3eZbrw1a"}`, status: 200, answer: `={"challenge":"3eZbrw1a"}`},
			{header: token, body: `{"challenge":"3eZbrw1a","id":"1"}`, status: 202},
		}, []string{`{"challenge":"3eZbrw1a","id":"1"}`}},
		{"smartsheet", Endpoint{Verify: Verify{Scheme: "hmac", Header: "Smartsheet-Hmac-SHA256", Secrets: webhooktest.Secrets("k")}}, []visit{
			{header: json + "Smartsheet-Hook-Challenge: d78dd1d3-01ce", body: `{"challenge":"d78dd1d3-01ce","webhookId":1}`, status: 200, answer: `={"smartsheetHookResponse":"d78dd1d3-01ce"}`, reads: "Smartsheet-Hook-Response: d78dd1d3-01ce"},
		}, nil},
		{"vtex", Endpoint{Verify: Verify{Scheme: "bearer", Header: "key", Secrets: webhooktest.Secrets("k")}}, []visit{
			{header: json, body: `{"hookConfig":"ping"}`, status: 200, answer: "="},
			{header: json + "key: k", body: `{"OrderId":"v1"}`, status: 202},
			{header: json, body: `{"OrderId":"v1"}`, status: 401},
		}, []string{`{"OrderId":"v1"}`}},
		{"trello", Endpoint{Verify: bearer}, []visit{{method: "HEAD", status: 200}, {method: "GET", status: 405, reads: "Allow: GET, HEAD, POST"}}, nil},
		{"mailchimp, which looks first", Endpoint{Verify: bearer, Handshakes: []string{"get"}}, []visit{{method: "GET", status: 200, answer: "="}, {method: "PUT", status: 405}}, nil},
		{"looks first, another scheme", Endpoint{Verify: Verify{Scheme: "shopify", Secrets: webhooktest.Secrets("k")}, Handshakes: []string{"get"}}, []visit{{method: "GET", status: 200}, {method: "HEAD", status: 200}}, nil},
		{"asana", Endpoint{Verify: Verify{Scheme: "hmac", Header: "X-Hook-Signature", Secrets: webhooktest.Secrets("k")}, Handshakes: []string{"asana"}}, []visit{
			{header: "X-Hook-Secret: b537207f20cb", body: "{}", status: 200, reads: "X-Hook-Secret: b537207f20cb"},
			{header: "X-Hook-Signature: " + hexed(ok), body: ok, status: 202},
		}, []string{ok}},
		{"asana, not asked for", Endpoint{Verify: Verify{Scheme: "hmac", Header: "X-Hook-Signature", Secrets: webhooktest.Secrets("k")}}, []visit{{header: "X-Hook-Secret: b537207f20cb", body: "{}", status: 401}}, nil},
		{"azure event grid", Endpoint{Verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}}, []visit{
			{method: "OPTIONS", header: "WebHook-Request-Origin: eventgrid.azure.net", status: 200, reads: "WebHook-Allowed-Origin: eventgrid.azure.net"},
			{method: "HEAD", status: 405},
		}, nil},
		{"adyen", Endpoint{Verify: Verify{Scheme: "bearer", Prefix: "Basic ", Secrets: webhooktest.Secrets("dXNlcjpwdw==")}, Answer: &Answer{Status: 200, Type: "text/plain", Body: "[accepted]"}}, []visit{
			{header: json + "Authorization: basic dXNlcjpwdw==", body: ok, status: 200, answer: "=[accepted]", reads: "Content-Type: text/plain"},
			{header: json + "Authorization: Basic bad", body: ok, status: 401, answer: "does not prove"},
		}, []string{ok}},
		{"only 204", Endpoint{Verify: bearer, Answer: &Answer{Status: 204}}, []visit{{header: token, body: ok, status: 204, answer: "="}}, []string{ok}},
		{"only 200", Endpoint{Verify: bearer, Answer: &Answer{Status: 200}}, []visit{{header: token, body: ok, status: 200, answer: `"status":"accepted"`, reads: "Content-Type: application/json"}}, []string{ok}},
		{"github, form", Endpoint{Verify: Verify{Scheme: "github", Secrets: webhooktest.Secrets("k")}, ContentTypes: []string{mediaForm}, FormField: "payload"}, []visit{
			{header: formType + "\nX-GitHub-Delivery: g1\nX-Hub-Signature-256: sha256=" + hexed("payload=%7B%22id%22%3A%221%22%7D"), body: "payload=%7B%22id%22%3A%221%22%7D", status: 202, answer: "g1"},
			{header: formType + "\nX-GitHub-Delivery: g2\nX-Hub-Signature-256: sha256=" + hexed("other=1"), body: "other=1", status: 400, answer: "the field payload 0 times"},
			{header: formType + "\nX-GitHub-Event: ping\nX-GitHub-Delivery: g3\nX-Hub-Signature-256: sha256=" + hexed("payload=%7B%7D"), body: "payload=%7B%7D", status: 200, answer: "ignored"},
		}, []string{ok}},
		{"mollie", Endpoint{Verify: Verify{Scheme: "bearer", Header: "X-Proxy-Token", Secrets: webhooktest.Secrets("k")}, ContentTypes: []string{mediaForm}, Answer: &Answer{Status: 200}}, []visit{
			{header: formType + "\nX-Proxy-Token: k", body: "id=tr_WDqYK6vllg", status: 200},
			{header: formType + "\nX-Proxy-Token: k", body: "b=%C3%A4+%22&a=1&a=2", status: 200},
			{header: formType + "\nX-Proxy-Token: k", body: "a=%E4", status: 400, answer: "not UTF-8"},
			{header: formType + "\nX-Proxy-Token: k", body: "a=%zz", status: 400, answer: "no form"},
		}, []string{`{"id":"tr_WDqYK6vllg"}`, `{"a":["1","2"],"b":"ä \""}`}},
		{"json as text", Endpoint{Verify: bearer, ContentTypes: []string{"text/plain"}}, []visit{
			{header: token + "Content-Type: text/plain; charset=UTF-8", body: ok, status: 202},
			{header: token + "Content-Type: text/plain; charset=ISO-8859-1", body: ok, status: 415, answer: `character set \"iso-8859-1\"`},
			{header: token + "Content-Type: text/xml", body: ok, status: 415, answer: `\"text/xml\"`},
		}, []string{ok}},
		{"types of JSON", Endpoint{Verify: bearer}, []visit{
			{header: token + "Content-Type: application/vnd.shop.order+json; version=2", body: `{"n":1}`, status: 202},
			{header: token + "Content-Type: text/json", body: `{"n":2}`, status: 202},
			{header: token + "Content-Type: application/json; charset", body: `{"n":3}`, status: 202},
			{header: token + "Content-Type: APPLICATION/JSON; CHARSET=\"UTF-8\"", body: `{"n":4}`, status: 202},
			{header: token, body: `{"n":5}`, status: 202},
			{header: token + "Content-Type: text/plain", body: `6`, status: 415, answer: "send application/json"},
		}, []string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`}},
		{"sharepoint, byte order mark", Endpoint{Verify: hub}, []visit{
			{header: json + "X-Hub-Signature-256: sha256=" + hexed("\ufeff"+ok), body: "\ufeff" + ok, status: 202}, // signed with the mark
			{header: json + "X-Hub-Signature-256: sha256=" + hexed(ok), body: "\ufeff" + ok, status: 401},
		}, []string{ok}},
		{"UTF-16", Endpoint{Verify: bearer}, []visit{
			{header: token, body: "\xff\xfe{\x00}\x00", status: 415, answer: "UTF-16: send UTF-8"},
			{header: token, body: "\xfe\xff\x00{\x00}", status: 415, answer: "UTF-16"},
			{header: token, body: "{\x00}\x00", status: 415, answer: "UTF-16"},
			{header: token + "Content-Type: application/json; charset=utf-16", body: "{}", status: 415, answer: "utf-16"},
		}, nil},
		{"bearer in any case", Endpoint{Verify: bearer}, []visit{
			{header: "authorization: bearer k", body: `{"n":1}`, status: 202},
			{header: "AUTHORIZATION: BEARER   k", body: `{"n":2}`, status: 202},
			{header: "Authorization: Bearer\tk", body: `{"n":3}`, status: 202},
			{header: "Authorization: Bearerk", body: "4", status: 401},
			{header: "Authorization: Bearer", body: "4", status: 401},
			{header: "Authorization: k", body: "4", status: 401},
			{header: "Authorization: Bearer K", body: "4", status: 401},
		}, []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}},
		{"encodings", Endpoint{Verify: bearer}, []visit{{header: token + "Content-Encoding: br", body: ok, status: 415, answer: `\"br\" is not read`, reads: "Accept-Encoding: gzip, deflate"},
			{header: token + "Content-Encoding: gzip", body: "\x1f\x8b\x08\x00half", status: 400, answer: "the body is not whole gzip, which its Content-Encoding says: send it so, or without one"},
			{header: token + "Content-Encoding: gzip", body: ok, status: 400, answer: "the body is not whole gzip"}}, nil},
		{"waits for a 100", Endpoint{Verify: bearer}, []visit{
			{header: token + "Expect: 100-continue", body: ok, status: 202},
			{header: token + "Expect: 100-continue\nContent-Type: text/css", body: strings.Repeat("x", 10_000), status: 415},
		}, []string{ok}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onSQLite(t, func(t *testing.T, b *bench) {
				c.hook.Path = "x"
				b.start(&c.hook)
				server := listen(t, 0, b.handler.ServeHTTP)
				defer func() { _ = server.Stop(t.Context()) }()
				for i, s := range c.steps {
					s.run(t, i, "http://"+server.Addr()+"/hooks/x")
				}
				rows, err := b.Store.Unpublished(t.Context(), "orders", 100, 1<<20)
				if err != nil || !sameBodies(rows, c.stored) {
					t.Errorf("stored %v, want %q (%v)", rows, c.stored, err)
				}
			})
		})
	}
}

func sameBodies(rows []state.Inbound, want []string) bool {
	if len(rows) != len(want) {
		return false
	}
	for i := range rows {
		if string(rows[i].Body) != want[i] {
			return false
		}
	}
	return true
}

func (s *visit) run(t *testing.T, i int, url string) {
	t.Helper()
	method := s.method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url+s.target, strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodGet || method == http.MethodHead {
		r.Body = nil
	}
	for line := range strings.Lines(s.header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatalf("step %d: %v", i, err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	whole, exact := strings.CutPrefix(s.answer, "=")
	if res.StatusCode != s.status || exact && string(text) != whole || !exact && !strings.Contains(string(text), s.answer) {
		t.Errorf("step %d: answer %d %q, want %d %q", i, res.StatusCode, text, s.status, s.answer)
	}
	if name, value, ok := strings.Cut(s.reads, ": "); ok && res.Header.Get(name) != value {
		t.Errorf("step %d: %s: %q, want %q", i, name, res.Header.Get(name), value)
	}
	if res.StatusCode == 415 && !strings.Contains(string(text), "send ") {
		t.Errorf("step %d: %s does not say what to send", i, text)
	}
}

// TestSvixHeaders: the headers of Svix count as those of the standard, as a set.
func TestSvixHeaders(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		b.start(standardHook())
		const body = `{"id":"1"}`
		set := func(prefix, key, id string) string {
			h := webhooktest.Headers(key, id, b.Clock.Now(), body)
			return fmt.Sprintf("%s-id: %s\n%s-timestamp: %s\n%s-signature: %s\n", prefix, id, prefix, h.Get("webhook-timestamp"), prefix, h.Get("webhook-signature"))
		}
		server := listen(t, 0, b.handler.ServeHTTP)
		defer func() { _ = server.Stop(t.Context()) }()
		for i, s := range []visit{
			{header: set("svix", webhooktest.Key, "msg_1"), status: 202, answer: `"id":"msg_1","status":"accepted"`},
			{header: set("webhook", webhooktest.Key, "msg_1"), status: 202, answer: "duplicate"},
			{header: set("webhook", webhooktest.Key, "msg_2") + set("svix", webhooktest.Key, "msg_2"), status: 202, answer: "msg_2"},
			{header: set("webhook", webhooktest.Key, "msg_3") + set("svix", webhooktest.Key, "other"), status: 202, answer: "msg_3"},
			{header: set("webhook", webhooktest.Key, "msg_4") + set("svix", "wrong key", "other"), status: 202, answer: "msg_4"},
			{header: set("webhook", "wrong key", "msg_5") + set("svix", webhooktest.Key, "msg_5"), status: 401},
			{header: "webhook-id: msg_6\n" + set("svix", webhooktest.Key, "msg_7"), status: 202, answer: "msg_7"}, // the id that is signed
			{header: set("svix", "wrong key", "msg_8"), status: 401},
			{header: "svix-id: msg_9\n" + strings.SplitAfterN(set("webhook", webhooktest.Key, "msg_9"), "\n", 2)[1], status: 401}, // two halves are none
		} {
			s.body = body
			s.run(t, i, "http://"+server.Addr()+"/hooks/crm/orders")
		}
		rows, err := b.Store.Unpublished(t.Context(), "orders", 100, 1<<20)
		if err != nil || len(rows) != 5 {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		if h := rows[0].Headers; h["webhook-id"] != "msg_1" || h["svix-id"] != "msg_1" || h["svix-signature"] != "" || h[inbox.HeaderTime] == "" {
			t.Errorf("headers %v", h)
		}
		if h := rows[4].Headers; h["webhook-id"] != "msg_7" {
			t.Errorf("an expression finds %q, which nobody has signed", h["webhook-id"])
		}
	})
}

// TestSameDelivery: two bodies of one delivery are compared by their values, without what the flow leaves out.
func TestSameDelivery(t *testing.T) {
	for _, c := range []struct {
		name          string
		ignore        []string
		first, second string
		status        int
	}{
		{"the same", nil, `{"a":1,"b":"x"}`, `{"a":1,"b":"x"}`, 202},
		{"another value", nil, `{"a":1}`, `{"a":2}`, 409},
		{"another order and blanks", nil, `{"a":1,"b":[1,2]}`, "{ \"b\": [1, 2],\n\"a\": 1 }", 202},
		{"a byte order mark", nil, `{"a":1}`, "\ufeff" + `{"a":1}`, 202},
		{"another order of a list", nil, `[{"n":1},{"n":2}]`, `[{"n":2},{"n":1}]`, 409},
		{"an attempt", []string{"attempt"}, `{"a":1,"attempt":1}`, `{"a":1,"attempt":2}`, 202},
		{"an attempt that was not there", []string{"attempt"}, `{"a":1}`, `{"attempt":2,"a":1}`, 202},
		{"an attempt, not left out", nil, `{"a":1,"attempt":1}`, `{"a":1,"attempt":2}`, 409},
		{"an attempt, and another value", []string{"attempt"}, `{"a":1,"attempt":1}`, `{"a":2,"attempt":2}`, 409},
		{"a member of the same name elsewhere", []string{"attempt"}, `{"a":{"attempt":1}}`, `{"a":{"attempt":2}}`, 409},
		{"below", []string{"meta.sent_at", "meta.try"}, `{"a":1,"meta":{"sent_at":"x","try":1,"v":1}}`, `{"a":1,"meta":{"sent_at":"y","try":2,"v":1}}`, 202},
		{"below, another value", []string{"meta.sent_at"}, `{"meta":{"sent_at":"x","v":1}}`, `{"meta":{"sent_at":"y","v":2}}`, 409},
		{"in a list", []string{"events.sent"}, `{"events":[{"n":1,"sent":1},{"n":2,"sent":1}]}`, `{"events":[{"n":1,"sent":2},{"n":2,"sent":3}]}`, 202},
		{"of a list", []string{"sent"}, `[{"n":1,"sent":1}]`, `[{"n":1,"sent":2}]`, 202},
		{"no object there", []string{"a.b"}, `{"a":1}`, `{"a":2}`, 409},
		{"both a path and what is above it", []string{"a", "a.b"}, `{"a":{"b":1,"c":1},"x":1}`, `{"x":1}`, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			onSQLite(t, func(t *testing.T, b *bench) {
				hook := standardHook()
				hook.Ignore = c.ignore
				b.start(hook)
				webhooktest.WantAnswer(t, b.post("d", c.first), 202, "accepted")
				webhooktest.WantAnswer(t, b.post("d", c.second), c.status, map[int]string{202: "duplicate", 409: "another body"}[c.status])
			})
		})
	}
}

// TestSameDeliveryAfterAChange: a delivery that was taken before its flow left something out, and by a version that compared bytes, is
// known by them.
func TestSameDeliveryAfterAChange(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(state.Inbound{ID: "d", DeliveryID: "d", Body: []byte(`{"a":1,"attempt":1}`)})
		hook := standardHook()
		hook.Ignore = []string{"attempt"}
		b.start(hook)
		webhooktest.WantAnswer(t, b.post("d", `{"a":1,"attempt":1}`), 202, "duplicate")
		webhooktest.WantAnswer(t, b.post("d", `{"a":1,"attempt":2}`), 409, "another body")
	})
}

// TestCarried: what the topics cannot carry is refused before it is taken, a list by its element.
func TestCarried(t *testing.T) {
	const carries = 20_000
	onSQLite(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.Split = "items"
		largest := map[string]int64{"in.orders": carries}
		h, err := New(Config{Inbox: b.Store, Clock: b.Clock, Carries: func(topic string) int64 { return largest[topic] }}, []Source{
			{Flow: "orders", Topic: "in.orders", Endpoint: *hook},
			{Flow: "copies", Topic: "in.copies", Onward: "canonical.order", Endpoint: Endpoint{Path: "plain", Verify: hook.Verify}},
			{Flow: "batches", Topic: "in.orders", Endpoint: Endpoint{Path: "ce", Verify: Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("k")}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.handler = h
		const most = carries - inbox.BesideBody
		doc := func(n int) string { return `{"x":"` + strings.Repeat("x", n-8) + `"}` }
		send := func(path, id, body string) *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hub/hooks/"+path, strings.NewReader(body))
			r.Header = webhooktest.Headers(webhooktest.Key, id, b.Clock.Now(), body)
			return r
		}
		for i, c := range []struct {
			path, body string
			status     int
			answer     string
		}{
			{"crm/orders", `{"items":[` + doc(most) + `,` + doc(most) + `,{}]}`, 202, "accepted"}, // the list as a whole may be larger
			{"crm/orders", `{"items":[{},` + doc(most+1) + `]}`, 413, fmt.Sprintf("element 1 of the list has %d bytes, and the flow's topic carries %d", most+1, most)},
			{"plain", doc(most), 202, "accepted"}, // of these topics nothing is known
			{"plain", doc(5 * most), 202, "accepted"},
		} {
			webhooktest.WantAnswer(t, b.serve(send(c.path, fmt.Sprint("a", i), c.body)), c.status, c.answer)
		}
		largest["in.copies"], largest["canonical.order"] = carries, carries-1000
		webhooktest.WantAnswer(t, b.serve(send("plain", "b1", doc(most-1000))), 202, "accepted")
		webhooktest.WantAnswer(t, b.serve(send("plain", "b2", doc(most-999))), 413, "the document has")
		webhooktest.WantAnswer(t, b.serve(send("plain", "b3", "["+doc(most-1000)+","+doc(most-1000)+"]")), 202, "accepted")
		webhooktest.WantAnswer(t, b.serve(send("plain", "b4", "["+doc(10)+","+doc(most-999)+"]")), 413, "element 1 of the list")
		forged := send("plain", "b5", doc(most-999))
		forged.Header.Set("webhook-signature", "v1,AAAA")
		webhooktest.WantAnswer(t, b.serve(forged), 401, "") // nobody learns a size without a proof

		ev := func(id string, n int) string {
			return `{"specversion":"1.0","type":"t","source":"s","id":"` + id + `","data":` + doc(n) + `}`
		}
		r := send("ce", "", "["+ev("1", most)+","+ev("2", most+1)+"]")
		r.Header.Set("Content-Type", mediaBatch)
		r.Header.Set("Authorization", "Bearer k")
		webhooktest.WantAnswer(t, b.serve(r), 413, "document 1 of the request")
	})
}

// TestLargestBodyFits: however much memory is set, one body of the largest size that is allowed is taken.
func TestLargestBodyFits(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxBody = 2 << 20
		h, err := New(Config{Inbox: b.Store, Clock: b.Clock, Memory: 1 << 20}, []Source{{Flow: "orders", Endpoint: *hook}})
		if err != nil {
			t.Fatal(err)
		}
		b.handler = h
		webhooktest.WantAnswer(t, b.post("big", `{"id":"`+strings.Repeat("x", 2<<20-9)+`"}`), 202, "accepted")
	})
}

// FuzzFormDocument: whatever a form holds, its document is JSON or it is refused.
func FuzzFormDocument(f *testing.F) {
	for _, s := range []string{"", "a=1", "a=1&a=2&b=", "payload=%7B%7D", "=", "&&", "a=%00", "a;b=1", "a=%zz", "\xff=1"} {
		f.Add([]byte(s), "payload")
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, field string) {
		doc, err := formDocument(body, field)
		if err != nil || field != "" {
			return
		}
		if _, err := jsondoc.Parse(doc, inbox.DocumentLimits); err != nil {
			t.Errorf("%q became %q: %v", body, doc, err)
		}
	})
}

// FuzzFingerprint: what is left of a document without some paths is JSON, and nothing else of it changes what it is compared by.
func FuzzFingerprint(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[{"c":1,"d":2}],"":0},"c":1}`), "a.b.c")
	f.Add([]byte(`[{"a":1},2]`), "a")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		d, err := jsondoc.Parse(body, inbox.DocumentLimits)
		if err != nil || path == "" {
			return
		}
		paths := [][]string{strings.Split(path, ".")}
		left := appendWithout(nil, d.Root(), paths)
		rest, err := jsondoc.Parse(left, inbox.DocumentLimits)
		if err != nil {
			t.Fatalf("%q without %s is %q: %v", body, path, left, err)
		}
		a, err1 := fingerprint(d.Root(), paths)
		b, err2 := fingerprint(rest.Root(), paths)
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%q and %q are two bodies", body, left)
		}
	})
}

// TestNamedHandshakes: what a flow may name is what is answered.
func TestNamedHandshakes(t *testing.T) {
	if names := slices.Sorted(maps.Keys(greetings)); !slices.Equal(names, slices.Sorted(slices.Values(config.Handshakes()))) {
		t.Errorf("answered %v, a flow may name %v", names, config.Handshakes())
	}
}
