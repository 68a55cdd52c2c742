package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// client calls a REST system as a hub would.
type client struct {
	t           *testing.T
	base, token string
	header      string // of the token
}

func (w *World) crmClient(t *testing.T) client {
	return client{t, w.Env()[EnvCRMURL] + "/api/", "Bearer " + w.Env()[EnvCRMToken], "Authorization"}
}

func (w *World) wmsClient(t *testing.T) client {
	return client{t, w.Env()[EnvWMSURL] + "/v1/", w.Env()[EnvWMSToken], "X-Api-Key"}
}

type reply struct {
	status int
	header http.Header
	raw    []byte
	doc    map[string]any
}

// try calls and gives what came, or the transport's error.
func (c client) try(method, path string, body any, headers ...string) (reply, error) {
	c.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set(c.header, c.token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	// Not reused: a connection that is broken on purpose makes Go's client send again by itself.
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: res.StatusCode, header: res.Header, raw: raw}
	r.doc, _ = decode(raw)
	return r, nil
}

// do calls and wants that status.
func (c client) do(want int, method, path string, body any, headers ...string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != want {
		c.t.Fatalf("%s %s: got %d %s, want %d", method, path, r.status, r.raw, want)
	}
	return r
}

// all walks a list to its end.
func (c client) all(path, items, next string) []map[string]any {
	c.t.Helper()
	var out []map[string]any
	cursor := ""
	for {
		r := c.do(200, "GET", path+"&limit=3&cursor="+url.QueryEscape(cursor), nil)
		list, _ := r.doc[items].([]any)
		for _, e := range list {
			out = append(out, e.(map[string]any))
		}
		if cursor = text(r.doc[next]); cursor == "" {
			return out
		}
	}
}

func anAccount(more map[string]any) map[string]any {
	doc := map[string]any{"Name": "Lotus Foods GmbH", "TaxNumber__c": "910000000000000001", "BillingCountryCode": "DE", "CurrencyIsoCode": "EUR"}
	for k, v := range more {
		doc[k] = v
	}
	return doc
}
