package webhook

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/webhook/webhooktest"
)

func listOf(n int, element string) string {
	return "[" + strings.Repeat(element+",", n-1) + element + "]"
}

// TestDocumentsOfADelivery: how many there may be, and that each of a list is an object, is said before the 202.
func TestDocumentsOfADelivery(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		hook := standardHook()
		hook.MaxDocuments, hook.Split = 3, "orders"
		b.start(hook)
		for i, c := range []struct {
			body   string
			status int
			says   string
		}{
			{`{"orders":` + listOf(3, "{}") + `}`, 202, "accepted"},
			{`{"orders":` + listOf(4, "{}") + `}`, 413, "the delivery holds 4 documents, and 3 are taken at a time (hooks.max-documents): send those from index 3 on"},
			{`{"orders":[{},{},7]}`, 400, "element 2 of the list is number, not an object"},
			{`{"orders":[null]}`, 400, "element 0 of the list is null, not an object"},
			{`{"orders":[[{}]]}`, 400, "element 0 of the list is array, not an object"},
			{`7`, 400, "the document is number, not an object or a list of them"},
			{`null`, 400, "the document is null, not an object or a list of them"},
			{`"{}"`, 400, "the document is string, not an object or a list of them"},
			{`{"orders":[{"id":7,"lines":"none"}]}`, 202, "accepted"}, // what is in them is the flow's
			{`{"order":{}}`, 202, "accepted"},
		} {
			webhooktest.WantAnswer(t, b.post(fmt.Sprint("d", i), c.body), c.status, c.says)
		}
		if n := b.Unpublished(); n != 3 {
			t.Errorf("%d rows are stored, want 3", n)
		}
	})
}

// TestDocumentsOfABatch: a batch of CloudEvents is a delivery of as many documents.
func TestDocumentsOfABatch(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		hook := &Endpoint{Path: "crm/orders", Verify: Verify{Scheme: "cloudevents", Secrets: []strictyaml.Secret{strictyaml.NewSecret("sesame-open-sesame")}}, MaxDocuments: 2}
		b.start(hook)
		send := func(n int) int {
			one := `{"specversion":"1.0","id":"%d","source":"/shop","type":"order","data":{"id":"1"}}`
			all := make([]string, n)
			for i := range all {
				all[i] = fmt.Sprintf(one, 10*n+i)
			}
			h := http.Header{"Authorization": {"Bearer sesame-open-sesame"}, "Content-Type": {mediaBatch}}
			r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", strings.NewReader("["+strings.Join(all, ",")+"]"))
			r.Header = h
			return b.serve(r).Code
		}
		if at, past := send(2), send(3); at != 202 || past != 413 {
			t.Errorf("at the bound %d, past it %d; want 202 and 413", at, past)
		}
	})
}

// TestUnprovenSendsNoBody: what the headers alone show is said before a byte of the body has come.
func TestUnprovenSendsNoBody(t *testing.T) {
	for name, c := range map[string]struct {
		verify Verify
		header http.Header
		status int
	}{
		"bearer, no token":         {Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("sesame-open-sesame")}, nil, 401},
		"bearer, another":          {Verify{Scheme: "bearer", Secrets: webhooktest.Secrets("sesame-open-sesame")}, http.Header{"Authorization": {"Bearer mouse"}}, 401},
		"hmac, no signature":       {Verify{Scheme: "hmac", Header: "X-Sig", Secrets: webhooktest.Secrets("sesame-open-sesame")}, nil, 401},
		"shopify, no signature":    {Verify{Scheme: "shopify", Secrets: webhooktest.Secrets("sesame-open-sesame")}, nil, 401},
		"github, no signature":     {Verify{Scheme: "github", Secrets: webhooktest.Secrets("sesame-open-sesame")}, nil, 401},
		"stripe, old":              {Verify{Scheme: "stripe", Secrets: webhooktest.Secrets("sesame-open-sesame")}, http.Header{"Stripe-Signature": {"t=1000000000,v1=aa"}}, 401},
		"cloudevents, no token":    {Verify{Scheme: "cloudevents", Secrets: webhooktest.Secrets("sesame-open-sesame")}, nil, 401},
		"standard, no signature":   {Verify{Scheme: "standard-webhooks", Secrets: webhooktest.Secrets("c2VzYW1lLW9wZW4tc2VzYW1l")}, nil, 401},
		"a type that is not taken": {Verify{Scheme: "github", Secrets: webhooktest.Secrets("sesame-open-sesame")}, http.Header{"Content-Type": {"text/css"}}, 415},
	} {
		t.Run(name, func(t *testing.T) {
			onSQLite(t, func(t *testing.T, b *bench) {
				b.start(&Endpoint{Path: "crm/orders", Verify: c.verify})
				r := httptest.NewRequest(http.MethodPost, "/hooks/crm/orders", bodyless{t})
				r.ContentLength = 1 << 20
				for k, v := range c.header {
					r.Header[k] = v
				}
				if w := b.serve(r); w.Code != c.status {
					t.Errorf("status %d, want %d", w.Code, c.status)
				}
			})
		})
	}
}

type bodyless struct{ t *testing.T }

func (u bodyless) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestWhoWritesFirstIsAnswered: a sender that writes the whole of a body that is too large before it reads is told so.
func TestWhoWritesFirstIsAnswered(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		hook := &Endpoint{Path: "crm/orders", Verify: Verify{Scheme: "github", Secrets: webhooktest.Secrets("sesame-open-sesame")}}
		h, err := New(Config{Inbox: b.Store, Clock: lifecycle.Real()}, []Source{{Flow: "orders", Endpoint: *hook}})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := Listen(ServerConfig{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = srv.http.Close(); _ = srv.serving.Wait() }()
		srv.Handle(h)
		const size = 14 << 20 // more than the system holds of it on the way
		head := "POST /hooks/crm/orders HTTP/1.1\r\nHost: h\r\nX-Hub-Signature-256: sha256=00\r\nContent-Type: application/json\r\n"
		for name, text := range map[string]string{
			"a length": fmt.Sprintf("Content-Length: %d\r\n\r\n", size) + strings.Repeat("x", size),
			"chunks":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size) + strings.Repeat("x", size) + "\r\n0\r\n\r\n",
		} {
			c, err := net.Dial("tcp", srv.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, head+text); err != nil {
				t.Errorf("%s: the body was not taken: %v", name, err)
			} else if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: %+v, %v", name, res, err)
			}
			_ = c.Close()
		}
	})
}

// TestStalledBodiesMakeRoom: bodies of which nothing comes, and that together hold all the memory there is, keep nobody out. They are many,
// and they prove nothing.
func TestStalledBodiesMakeRoom(t *testing.T) {
	onSQLite(t, func(t *testing.T, b *bench) {
		const room, part = 64 << 20, 600 << 10
		hook := &Endpoint{Path: "crm/orders", Verify: Verify{Scheme: "github", Secrets: webhooktest.Secrets("sesame-open-sesame")}}
		h, err := New(Config{Inbox: b.Store, Clock: lifecycle.Real(), Memory: room}, []Source{{Flow: "orders", Endpoint: *hook}})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := Listen(ServerConfig{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = srv.http.Close(); _ = srv.serving.Wait() }()
		srv.Handle(h)
		head := "POST /hooks/crm/orders HTTP/1.1\r\nHost: h\r\nX-Hub-Signature-256: sha256=00\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n"
		var conns []net.Conn
		defer func() {
			for _, c := range conns {
				_ = c.Close()
			}
		}()
		for range 64 {
			c, err := net.Dial("tcp", srv.Addr())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			if _, err := io.WriteString(c, head+strings.Repeat(" ", part)); err != nil {
				t.Fatal(err)
			}
		}
		full := time.Now().Add(time.Minute)
		for h.memory.held() < room*3/4 {
			if time.Now().After(full) {
				t.Fatalf("the stalled bodies hold %d bytes", h.memory.held())
			}
			time.Sleep(10 * time.Millisecond)
		}
		body := `{"id":"1","x":"` + strings.Repeat("y", 3<<20) + `"}`
		until := time.Now().Add(10 * time.Second) // less than the time after which a stalled body is given up anyway
		for n := 1; ; n++ {                       // senders repeat what is answered 503
			status := postSigned(t, "http://"+srv.Addr()+"/hooks/crm/orders", "sesame-open-sesame", fmt.Sprint("g", n), body)
			if status == 202 {
				break
			}
			if status != 503 || time.Now().After(until) {
				t.Fatalf("try %d of an honest sender: %d", n, status)
			}
			time.Sleep(50 * time.Millisecond)
		}
		answers := 0
		for _, c := range conns {
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			buf := make([]byte, 1024)
			if n, _ := c.Read(buf); strings.Contains(string(buf[:n]), "408 Request Timeout") && strings.Contains(string(buf[:n]), "hooks.min-rate") {
				answers++
			}
		}
		if answers == 0 {
			t.Error("no stalled body was answered 408 with the setting's name")
		}
	})
}

// postSigned sends a delivery in GitHub's way.
func postSigned(t *testing.T, url, secret, id, body string) int {
	t.Helper()
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(body))
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}
