package odata

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/httpclient"
)

// boundary divides a batch. No line of a body begins so: bodies are JSON, whose texts hold no line ends.
const boundary = "batch_waybill"

// writeMultipart writes changes as $batch of V2 and V4: one change set for each.
func writeMultipart(lot []*change) (body []byte, contentType string) {
	var b bytes.Buffer
	for i, c := range lot {
		set := "changeset_" + strconv.Itoa(i+1)
		fmt.Fprintf(&b, "--%s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", boundary, set)
		for n, one := range c.calls {
			r := c.request(one)
			fmt.Fprintf(&b, "--%s\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: %d\r\n\r\n", set, c.id+n)
			fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
			for _, h := range headersOf(c, r) {
				fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
			}
			if r.Body != nil {
				fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
			}
			fmt.Fprintf(&b, "\r\n%s\r\n", r.Body)
		}
		fmt.Fprintf(&b, "--%s--\r\n", set)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), "multipart/mixed; boundary=" + boundary
}

// parseMultipart reads the answers, which come in the order of the changes. A change set that failed is answered by one response in its place.
func parseMultipart(resp *httpclient.Response, lot []*change) ([][]*httpclient.Response, error) {
	outer, err := partsOf(resp.Header.Get("Content-Type"), resp.Body, len(lot)+1)
	if err != nil {
		return nil, err
	}
	if len(outer) > len(lot) {
		return nil, fmt.Errorf("it has more parts than the %d that were asked for", len(lot))
	}
	out := make([][]*httpclient.Response, len(lot))
	for i, part := range outer {
		if !isMultipart(part.header.Get("Content-Type")) {
			one, err := part.response(resp)
			if err != nil {
				return nil, err
			}
			out[i] = []*httpclient.Response{one}
			continue
		}
		inner, err := partsOf(part.header.Get("Content-Type"), part.body, len(lot[i].calls)+1)
		if err != nil {
			return nil, err
		}
		for _, p := range inner {
			one, err := p.response(resp)
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], one)
		}
	}
	return out, nil
}

func isMultipart(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType)
	return strings.HasPrefix(kind, "multipart/")
}

// mimePart is one part of a multipart body.
type mimePart struct {
	header textproto.MIMEHeader
	body   []byte
}

// partsOf divides a multipart body; most bounds how many parts are read.
func partsOf(contentType string, body []byte, most int) ([]mimePart, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, fmt.Errorf("it is of the type %q, and not multipart with a boundary", httpclient.Shorten(contentType, 60))
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	var out []mimePart
	for len(out) < most {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		out = append(out, mimePart{p.Header, content})
	}
	return out, nil
}

// response reads the HTTP response inside a part.
func (p mimePart) response(whole *httpclient.Response) (*httpclient.Response, error) {
	if kind, _, _ := mime.ParseMediaType(p.header.Get("Content-Type")); kind != "application/http" {
		return nil, fmt.Errorf("a part of it is of the type %q, and not application/http", httpclient.Shorten(p.header.Get("Content-Type"), 60))
	}
	raw := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(p.body, "\r\n")))
	r := textproto.NewReader(raw)
	line, err := r.ReadLine()
	if err != nil {
		return nil, errors.New("a part of it is empty")
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	status, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(version, "HTTP/") || status < 100 || status > 599 {
		return nil, fmt.Errorf("a part of it begins with %q, and no status", httpclient.Shorten(line, 60))
	}
	header, err := r.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	body, err := io.ReadAll(raw)
	if err != nil {
		return nil, err
	}
	if n, bad := strconv.Atoi(header.Get("Content-Length")); bad == nil && n >= 0 && n < len(body) {
		body = body[:n]
	}
	if id := p.header.Get("Content-Id"); id != "" && header.Get("Content-Id") == "" {
		header.Set("Content-Id", id)
	}
	return &httpclient.Response{Status: status, Header: http.Header(header), Body: bytes.TrimSpace(body), URL: whole.URL}, nil
}
