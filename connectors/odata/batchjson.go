package odata

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// writeJSONBatch writes changes as V4's $batch in JSON: one atomicity group for each.
func writeJSONBatch(lot []*change) (body []byte, contentType string) {
	body = []byte(`{"requests":[`)
	for i, c := range lot {
		for n, one := range c.calls {
			id := c.id + n
			if id > 1 {
				body = append(body, ',')
			}
			r := c.request(one)
			body = append(body, `{"id":"`+strconv.Itoa(id)+`","atomicityGroup":"g`+strconv.Itoa(i+1)+`","method":"`+r.Method+`","url":`...)
			body = append(jsondoc.AppendString(body, r.Path), `,"headers":{`...)
			for j, h := range headersOf(c, r) {
				if j > 0 {
					body = append(body, ',')
				}
				body = append(jsondoc.AppendString(body, h[0]), ':')
				body = jsondoc.AppendString(body, h[1])
			}
			body = append(body, '}')
			if r.Body != nil {
				body = append(append(body, `,"body":`...), r.Body...)
			}
			body = append(body, '}')
		}
	}
	return append(body, "]}"...), "application/json"
}

// headersOf are the headers of a call inside a batch.
func headersOf(c *change, r httpclient.Request) [][2]string {
	out := [][2]string{{"Accept", c.b.form()}}
	if r.Body != nil {
		out = append(out, [2]string{"Content-Type", r.ContentType})
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if v := r.Header.Get(name); v != "" {
			out = append(out, [2]string{name, v})
		}
	}
	return out
}

// parseJSONBatch reads the answers by their ids: they may come in any order.
func parseJSONBatch(resp *httpclient.Response, lot []*change) ([][]*httpclient.Response, error) {
	root, err := resp.JSON()
	if err != nil {
		return nil, err
	}
	list := root.Get("responses")
	if list.Kind() != jsondoc.Array {
		return nil, errors.New("it holds no responses")
	}
	byID := map[string]*httpclient.Response{}
	for v := range list.Elements() {
		id := scalar(v.Get("id"))
		status, err := strconv.Atoi(scalar(v.Get("status")))
		switch {
		case id == "" || byID[id] != nil:
			return nil, errors.New("a response has no id, or that of another one")
		case err != nil || status < 100 || status > 599:
			return nil, errors.New("a response has no status")
		}
		part := &httpclient.Response{Status: status, Header: http.Header{}, URL: resp.URL}
		for name, value := range v.Get("headers").Members() {
			part.Header.Set(name, value.Str())
		}
		if body := v.Get("body"); body.Exists() {
			part.Body = body.Raw()
		}
		byID[id] = part
	}
	out := make([][]*httpclient.Response, len(lot))
	for i, c := range lot {
		parts, any := make([]*httpclient.Response, len(c.calls)), false
		for n := range c.calls {
			parts[n] = byID[strconv.Itoa(c.id+n)]
			any = any || parts[n] != nil
		}
		if any {
			out[i] = parts
		}
	}
	return out, nil
}
