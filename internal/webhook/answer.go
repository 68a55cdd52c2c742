package webhook

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// refusal is an answer other than "taken". Detail is shown to the sender: it says what is wrong with the request and never
// what the hub expected of a secret.
type refusal struct {
	status int
	detail string
	// retry asks the sender to come again after that time; only with 429 and 503.
	retry time.Duration
	// accept are the content encodings that are read; only with 415, and only where it is for the encoding.
	accept string
	err    error // for the log
}

func (r *refusal) Error() string {
	if r.err != nil {
		return fmt.Sprintf("%d: %s: %v", r.status, r.detail, r.err)
	}
	return fmt.Sprintf("%d: %s", r.status, r.detail)
}

func (r *refusal) Unwrap() error { return r.err }

func malformed(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, detail: fmt.Sprintf(format, args...)}
}

// taken says what was done with a request.
type taken struct {
	// id is the delivery's, the first one's where there were several.
	id string
	// status is accepted, duplicate, or ignored where nothing was in it.
	status string
	// events counts the documents that a request with several of them had.
	events int
	// reply, where it is not nil, is all there is to say: the request was a handshake.
	reply *reply
}

// reply is an answer as it goes over the wire.
type reply struct {
	status int
	header http.Header
	media  string // of the body; empty: there is none
	body   []byte
}

func (a *reply) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	send(w, a.status, a.media, a.body)
}

const statusIgnored = "ignored"

// replier writes answers in the sender's way.
type replier interface {
	taken(w http.ResponseWriter, t taken)
	refused(w http.ResponseWriter, r *refusal)
}

// jsonReplier is the plain way: JSON, and problem+json (RFC 9457) for refusals.
type jsonReplier struct{}

func (jsonReplier) taken(w http.ResponseWriter, t taken) {
	b := append(make([]byte, 0, 96), `{"id":`...)
	b = jsondoc.AppendString(b, t.id)
	b = append(b, `,"status":`...)
	b = jsondoc.AppendString(b, t.status)
	if t.events > 1 {
		b = strconv.AppendInt(append(b, `,"events":`...), int64(t.events), 10)
	}
	b = append(b, "}\n"...)
	status := http.StatusAccepted
	if t.status == statusIgnored {
		status = http.StatusOK
	}
	send(w, status, "application/json", b)
}

// Answer is what a sender wants to read where a delivery is taken.
type Answer struct {
	// Status is 200, 201, 202 or 204.
	Status int
	// Type and Body; an empty body with 200, 201 and 202 means the hub's own.
	Type, Body string
}

// fixedReplier says what the flow says, also to a repetition and to what is understood and not taken.
type fixedReplier struct{ Answer }

func (f fixedReplier) taken(w http.ResponseWriter, t taken) {
	switch {
	case f.Status == http.StatusNoContent:
		send(w, f.Status, "", nil)
	case f.Body == "":
		jsonReplier{}.taken(&restatus{w, f.Status}, t)
	default:
		send(w, f.Status, f.Type, []byte(f.Body))
	}
}

func (fixedReplier) refused(w http.ResponseWriter, r *refusal) { jsonReplier{}.refused(w, r) }

// restatus writes another status.
type restatus struct {
	http.ResponseWriter
	status int
}

func (w *restatus) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

func (jsonReplier) refused(w http.ResponseWriter, r *refusal) {
	b := append(make([]byte, 0, 192), `{"type":"about:blank","title":`...)
	b = jsondoc.AppendString(b, http.StatusText(r.status))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.status), 10)
	if r.detail != "" {
		b = jsondoc.AppendString(append(b, `,"detail":`...), r.detail)
	}
	b = append(b, "}\n"...)
	retryAfter(w, r)
	if r.accept != "" {
		w.Header().Set("Accept-Encoding", r.accept)
	}
	send(w, r.status, "application/problem+json", b)
}

func retryAfter(w http.ResponseWriter, r *refusal) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retry.Seconds()))))
	}
}

func send(w http.ResponseWriter, status int, mediaType string, body []byte) {
	h := w.Header()
	if mediaType != "" {
		h.Set("Content-Type", mediaType)
	}
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a sender that has gone will come again
}
