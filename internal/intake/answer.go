package intake

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
	err   error // for the log
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

func (jsonReplier) refused(w http.ResponseWriter, r *refusal) {
	b := append(make([]byte, 0, 192), `{"type":"about:blank","title":`...)
	b = jsondoc.AppendString(b, http.StatusText(r.status))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.status), 10)
	if r.detail != "" {
		b = jsondoc.AppendString(append(b, `,"detail":`...), r.detail)
	}
	b = append(b, "}\n"...)
	retryAfter(w, r)
	send(w, r.status, "application/problem+json", b)
}

func retryAfter(w http.ResponseWriter, r *refusal) {
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retry.Seconds()))))
	}
}

func send(w http.ResponseWriter, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a sender that has gone will come again
}
