package webhook

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const (
	defaultMaxBody = 4 << 20
	firstRead      = 16 << 10
)

func tooLarge(limit int64) *refusal {
	return &refusal{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("the body is larger than %d bytes, which hooks.max-body is", limit)}
}

// body is what was sent: as it came over the wire, and without the content encoding. The two are the same where there is none.
type body struct{ raw, plain []byte }

// readBody reads the request's body within limit, which holds for what is sent and for what it unfolds to.
func readBody(r *http.Request, limit int64, c *claim) (body, *refusal) {
	if r.ContentLength > limit {
		return body{}, tooLarge(limit)
	}
	c.reading()
	raw, ref := readAll(r.Body, r.ContentLength, limit, c)
	if c.done() {
		ref = tooSlow(c.b.minRate)
	}
	if ref != nil {
		return body{}, ref
	}
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")))
	var unfold io.ReadCloser
	var err error
	switch encoding {
	case "", "identity":
		return body{raw, raw}, nil
	case "gzip", "x-gzip":
		unfold, err = gzip.NewReader(bytes.NewReader(raw))
	case "deflate":
		// By the standard this is zlib; some senders leave its frame away.
		if unfold, err = zlib.NewReader(bytes.NewReader(raw)); err != nil {
			unfold, err = flate.NewReader(bytes.NewReader(raw)), nil
		}
	default:
		return body{}, &refusal{status: http.StatusUnsupportedMediaType, detail: fmt.Sprintf("the content encoding %.40q is not read: send gzip, deflate or none", encoding), accept: "gzip, deflate"}
	}
	if err != nil {
		return body{}, notEncoded(encoding, err)
	}
	defer unfold.Close()
	plain, ref := readAll(unfold, -1, limit, c)
	if ref != nil && ref.status == http.StatusBadRequest { // all of it had come
		ref = notEncoded(encoding, ref.err)
	}
	return body{raw, plain}, ref
}

func notEncoded(encoding string, err error) *refusal {
	return &refusal{status: http.StatusBadRequest, detail: fmt.Sprintf("the body is not whole %s, which its Content-Encoding says: send it so, or without one", encoding), err: err}
}

// readAll reads to the end. The buffer grows with what has really come, not with what was announced.
func readAll(r io.Reader, announced, limit int64, c *claim) ([]byte, *refusal) {
	size := int64(firstRead)
	if announced >= 0 {
		size = min(size, announced+1) // one more: so that the end is seen without growing
	}
	size = min(size, limit+1)
	if !c.take(size) {
		return nil, busy()
	}
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			if int64(len(buf)) > limit {
				return nil, tooLarge(limit)
			}
			grown := min(2*int64(cap(buf)), limit+1)
			if announced >= int64(len(buf)) {
				grown = min(grown, announced+1)
			}
			if !c.take(grown - int64(cap(buf))) {
				return nil, busy()
			}
			buf = append(make([]byte, 0, grown), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		c.got(n)
		if int64(len(buf)) > limit {
			return nil, tooLarge(limit)
		}
		switch {
		case err == io.EOF:
			return buf, nil
		case err != nil:
			var over *http.MaxBytesError
			if errors.As(err, &over) {
				return nil, tooLarge(limit)
			}
			return nil, &refusal{status: http.StatusBadRequest, detail: "the body could not be read to its end", err: err}
		}
	}
}

// tooSlow answers who had to make room for others.
func tooSlow(rate int64) *refusal {
	return &refusal{status: http.StatusRequestTimeout, detail: fmt.Sprintf(
		"the body stalled, or came at less than %d bytes a second (hooks.min-rate), while others waited for room: send it again, in one go", rate)}
}

// parsedBytes is what a parsed document takes beside its bytes, at most: a node for each value and name, in a list that grows.
func parsedBytes(body []byte) int64 {
	n := 1
	for _, c := range []string{",", ":", "[", "{"} {
		n += bytes.Count(body, []byte(c))
	}
	return 24 * int64(min(n, jsondoc.DefaultNodes))
}

func busy() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, detail: "the hub is holding as many bodies as it can", retry: 2 * time.Second}
}

// mediaType reads the Content-Type: lower case, without parameters. Any character set but UTF-8 is refused.
func mediaType(h http.Header) (string, *refusal) {
	given := h.Get("Content-Type")
	if given == "" {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(given)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) { // the type itself could be read
		return "", &refusal{status: http.StatusUnsupportedMediaType, detail: "the Content-Type cannot be read: send application/json"}
	}
	if cs := strings.ToLower(params["charset"]); cs != "" && cs != "utf-8" && cs != "utf8" && cs != "us-ascii" {
		return "", &refusal{status: http.StatusUnsupportedMediaType, detail: fmt.Sprintf("the character set %.40q is not read: send UTF-8", cs)}
	}
	return media, nil
}

// isJSON reports whether the media type is JSON. A sender that gives no type is taken at its body.
func isJSON(media string) bool {
	return media == "" || media == "application/json" || media == "text/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
}

func notJSON(err error) *refusal {
	return &refusal{status: http.StatusBadRequest, detail: "the body is not acceptable JSON: " + err.Error()}
}

// idInBody makes an unpack that takes the delivery id from a member of the document.
func idInBody(member string) func(*request) ([]delivery, error) {
	return func(r *request) ([]delivery, error) {
		d := jsondoc.Get()
		defer jsondoc.Put(d)
		if err := d.Reset(r.body, inbox.DocumentLimits); err != nil {
			return nil, notJSON(err)
		}
		return []delivery{{id: d.Root().Get(member).Str(), body: r.body}}, nil
	}
}
