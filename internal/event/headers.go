package event

import (
	"strconv"
	"time"
)

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Names of the record headers: the CloudEvents Kafka binding, binary mode. Extension attributes
// follow CloudEvents' naming rule (lower-case letters and digits only).
const (
	HeaderSpecVersion = "ce_specversion"
	HeaderID          = "ce_id"
	HeaderSource      = "ce_source"
	HeaderType        = "ce_type"
	HeaderSubject     = "ce_subject" // the business key
	HeaderTime        = "ce_time"
	HeaderEntity      = "ce_entity"
	HeaderOperation   = "ce_operation"
	HeaderLocal       = "ce_localid"
	HeaderHub         = "ce_hubid"
	HeaderVersion     = "ce_version"
	HeaderOrigin      = "ce_origin"
	HeaderHops        = "ce_hops"
	HeaderAccepted    = "ce_accepted"
	HeaderTrace       = "traceparent"
	HeaderContentType = "content-type"
	// HeaderRefused marks what the intake could not make a message of, and holds the code; other headers of this prefix say more: see Refusal.
	HeaderRefused = "waybill-refused"
)

// Headers gives the record headers of e. Empty attributes are left out. The values share memory: they are to be read only.
func (e *Event) Headers() []Header {
	h := make([]Header, 0, 16)
	buf := make([]byte, 0, 256)
	// A value is cut from buf; when buf has to grow, the values cut before keep the old one.
	put := func(name string, from int) {
		if len(buf) > from {
			h = append(h, Header{name, buf[from:len(buf):len(buf)]})
		}
	}
	add := func(name, value string) {
		from := len(buf)
		buf = append(buf, value...)
		put(name, from)
	}
	stamp := func(name string, t time.Time) {
		if !t.IsZero() {
			from := len(buf)
			buf = t.UTC().AppendFormat(buf, time.RFC3339Nano)
			put(name, from)
		}
	}
	add(HeaderSpecVersion, "1.0")
	add(HeaderID, e.ID)
	add(HeaderSource, e.Source)
	if e.Entity != "" {
		from := len(buf)
		buf = append(append(append(append(buf, "waybill."...), e.Entity...), '.'), e.Operation...)
		put(HeaderType, from)
	}
	add(HeaderSubject, e.Key)
	stamp(HeaderTime, e.Time)
	add(HeaderEntity, e.Entity)
	add(HeaderOperation, string(e.Operation))
	add(HeaderLocal, e.Local)
	add(HeaderHub, e.Hub)
	add(HeaderVersion, e.Version)
	add(HeaderOrigin, e.Origin)
	if e.Hops > 0 {
		from := len(buf)
		buf = strconv.AppendInt(buf, int64(e.Hops), 10)
		put(HeaderHops, from)
	}
	stamp(HeaderAccepted, e.Accepted)
	add(HeaderTrace, e.Trace)
	add(HeaderContentType, "application/json")
	if e.Refused != nil {
		h = e.Refused.appendTo(h)
	}
	if e.Submitted != nil {
		h = e.Submitted.appendTo(h)
	}
	return h
}

// Read turns a record into an event. Records of foreign programs may carry no headers at all: then the
// record's position is its ID, its key the business key, its operation an upsert (a delete for an empty value) and its
// timestamp the time, and when it was accepted. Headers that do not parse are treated as absent: only the position is trusted.
func Read(r *Record) Event {
	e := Event{Data: r.Value}
	for i := range r.Headers {
		v := r.Headers[i].Value
		switch r.Headers[i].Key {
		case HeaderID:
			e.ID = nameOf(v)
		case HeaderSource:
			e.Source = nameOf(v)
		case HeaderSubject:
			e.Key = nameOf(v)
		case HeaderTime:
			e.Time, _ = time.Parse(time.RFC3339Nano, string(v))
		case HeaderEntity:
			e.Entity = nameOf(v)
		case HeaderOperation:
			e.Operation = Operation(v)
		case HeaderLocal:
			e.Local = nameOf(v)
		case HeaderHub:
			e.Hub = nameOf(v)
		case HeaderVersion:
			e.Version = string(v)
		case HeaderOrigin:
			e.Origin = nameOf(v)
		case HeaderHops:
			e.Hops, _ = strconv.Atoi(string(v))
		case HeaderAccepted:
			e.Accepted = readTime(v)
		case HeaderTrace:
			e.Trace = string(v)
		default:
			if !e.readSubmission(r.Headers[i].Key, v) {
				e.readRefusal(r.Headers[i].Key, v)
			}
		}
	}
	if e.Submitted != nil && !e.Submitted.Trigger.Valid() {
		e.Submitted = nil
	}
	if e.ID == "" {
		e.ID = r.Position()
	}
	if e.Key == "" && e.Refused == nil { // the key of a refusal's record is the event's id
		e.Key = keyOf(r.Key)
	}
	if !e.Operation.Valid() {
		e.Operation = Upsert
		if len(r.Value) == 0 {
			e.Operation = Delete
		}
	}
	if e.Time.IsZero() {
		e.Time = r.Time
	}
	if e.Accepted.IsZero() {
		e.Accepted = r.written()
	}
	return e
}

// AcceptedAt is what Read gives as Accepted, without reading the rest.
func AcceptedAt(r *Record) time.Time {
	for i := range r.Headers {
		if r.Headers[i].Key == HeaderAccepted {
			if t := readTime(r.Headers[i].Value); !t.IsZero() {
				return t
			}
		}
	}
	return r.written()
}

// written is the record's time, zero where its producer had no clock: such ones write 0 or -1.
func (r *Record) written() time.Time {
	if r.Time.Unix() <= 0 {
		return time.Time{}
	}
	return r.Time
}

func readTime(v []byte) time.Time {
	t, err := time.Parse(time.RFC3339Nano, string(v))
	if err != nil {
		return time.Time{}
	}
	return t
}
