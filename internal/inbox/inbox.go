// Package inbox is what those who fill the inbox (webhooks, polls, files, sweeps) and the relay, which empties it, agree on: how a row is
// named and traced, what stands beside its document, and what its expressions may look at.
package inbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// ErrSlowStore is the cause of the end of a wait for the store, of whoever promises something.
var ErrSlowStore = errors.New("the store did not answer in time")

// Names of entries in state.Inbound.Headers that readers write for the relay. No HTTP header can have a name that begins with a
// colon, so no sender can forge them.
const (
	HeaderTime    = ":time"    // when the change happened, RFC 3339
	HeaderLocal   = ":local"   // the object's id in the system
	HeaderVersion = ":version" // the source's own version
	HeaderDeleted = ":deleted" // set: the object is gone
	HeaderKnown   = ":known"   // of a deletion without a document: the version that was known of the object last
	HeaderError   = ":error"   // set: the row cannot be read, and why; it is refused
)

// Trace is the trace that the sender is in, or a new one.
func Trace(given ...string) string {
	for _, t := range given {
		if validTrace(t) {
			return t
		}
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	return "00-" + id + "-" + id[:16] + "-01"
}

// TraceWithin is the trace of the i-th of several events that came under one trace, which Trace has made: each has one of its own.
func TraceWithin(trace string, i int) string {
	if !validTrace(trace) {
		return trace
	}
	id, err := hex.DecodeString(trace[3:35])
	if err != nil {
		panic(err) // validTrace has looked
	}
	binary.BigEndian.PutUint32(id, binary.BigEndian.Uint32(id)^uint32(i))
	text := hex.EncodeToString(id)
	return "00-" + text + "-" + text[:16] + "-01"
}

// Minted reports whether Trace has made a trace: nobody has the span that it names.
func Minted(trace string) bool { return validTrace(trace) && trace[36:52] == trace[3:19] }

// validTrace checks a W3C traceparent of version 00.
func validTrace(t string) bool {
	if len(t) != 55 || t[:3] != "00-" || t[35] != '-' || t[52] != '-' {
		return false
	}
	for i := 3; i < len(t); i++ {
		if i != 35 && i != 52 && !lowerHex(t[i]) {
			return false
		}
	}
	return strings.Trim(t[3:35], "0") != "" && strings.Trim(t[36:52], "0") != ""
}

func lowerHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

const (
	maxID = 200
	// submitted begins the ids of what the hub itself has made.
	submitted = "submitted/"
)

// CleanID makes an id fit for logs, headers and indexes: one that is too long or not printable is replaced by its digest, so
// that equal ids stay equal. So is one that looks like the id of what the hub itself has made.
func CleanID(id string) string {
	id = strings.TrimSpace(id)
	if len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !unicode.IsPrint(c) }) && !strings.HasPrefix(id, submitted) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// SubmittedID is the id of an event that the hub itself has made, by what it was submitted under: no sender's can be the same.
func SubmittedID(trigger event.Trigger, id string) string {
	return submitted + string(trigger) + "/" + CleanID(id)
}

// MintID is an id for what came without one; later ones sort behind earlier ones.
func MintID() string {
	id, err := uuid.NewV7()
	if err != nil { // the system has no randomness; crypto/rand has ended the process before
		panic(err)
	}
	return id.String()
}

// BesideBody is room in a record for what is not the document: its key, and the headers of its event, of which none comes from the
// sender but the ids of the delivery and of the trace, which are short, as is what a submission says of itself.
const BesideBody = 4 << 10

// Largest is the largest document that a topic can carry, and the one behind it where documents go on as they are (empty: they do not); 0: that is
// not known. carries tells the largest record of a topic: it is asked anew each time, because a topic's limit may be changed while the hub runs.
func Largest(carries func(topic string) int64, topic, onward string) int64 {
	most := carries(topic)
	if onward != "" {
		if m := carries(onward); most == 0 || m > 0 && m < most {
			most = m
		}
	}
	if most == 0 {
		return 0
	}
	return max(1, most-BesideBody)
}

// DocumentLimits are the bounds of a document from outside; its length is bounded while it is read.
var DocumentLimits = jsondoc.Limits{Bytes: 1 << 30, Depth: 64}

// Input is what an expression of a source may look at.
type Input struct {
	Doc     *jsondoc.Doc
	Event   *event.Event
	Headers map[string]string
}

// Eval is an expression of a source: key or delivery id. An error that is a fault of kind Unavailable, or the end
// of ctx, is tried again; any other is the document's.
type Eval func(ctx context.Context, in Input) (string, error)

// Transient reports whether an expression's error is none of the document's: it is worth another try.
func Transient(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	f, ok := fault.As(err)
	return ok && (f.Kind == fault.Unavailable || f.Kind == fault.RateLimited || f.Kind == fault.UnknownOutcome)
}

// AlarmCode names what an alarm is about.
type AlarmCode string

// AlarmConflict: a delivery id came again with another body; it was refused.
const AlarmConflict AlarmCode = "delivery-conflict"
