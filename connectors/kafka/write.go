package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Headers of the records that the hub writes.
const (
	headerPrefix = "waybill-"
	// headerEvent names the change: a record that came twice has it twice.
	headerEvent = headerPrefix + "event-id"
	// headerOperation is create, update or delete.
	headerOperation = headerPrefix + "operation"
	// headerExternal is the hub's id of the object, and headerVersion the source's version of it.
	headerExternal = headerPrefix + "external-id"
	headerVersion  = headerPrefix + "version"
)

// Write writes a change as a record under the object's key, and returns when all replicas that are in sync have it. Records of a key keep their order.
// What was written stays; a deletion is a record without a value, or with the document.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	o, err := s.object(op, w.Object)
	if err != nil {
		return connector.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return connector.Result{}, s.classify(op, err)
	}
	rec, local, err := s.change(ctx, o, &w)
	if _, ours := fault.As(err); ours {
		return connector.Result{}, s.classify(op, err)
	}
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	res := connector.Result{Local: local, Doc: w.Doc}
	there, err := s.recall(ctx, op, o, &w, rec.Key)
	if err != nil {
		return connector.Result{}, err
	}
	if there {
		s.settle(&w)
		return res, nil
	}
	s.learn(ctx, o.Topic, len(rec.Key)+len(rec.Value))
	if err := connector.Fence(ctx); err != nil {
		return connector.Result{}, &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: err}
	}
	began := s.clock.Now()
	sent := s.publishers[o.Write.Compression].Send(ctx, []event.Record{rec})[0]
	if sent.Err == nil {
		s.settle(&w)
		res.Status = fmt.Sprintf("%s/%d/%d", o.Topic, sent.Partition, sent.Offset)
		return res, nil
	}
	err = s.classify(op, sent.Err)
	f, _ := fault.As(err)
	switch {
	case f.Kind == fault.UnknownOutcome:
		s.lost(&w, began)
		if f.Code == "REQUEST_TIMED_OUT" || f.Code == "NOT_ENOUGH_REPLICAS_AFTER_APPEND" {
			f.Code = "" // the leader has it, and shows it once its replicas do: to whoever looks now it is as if it were under way
		}
	case f.Code == "MESSAGE_TOO_LARGE":
		return connector.Result{}, s.tooLarge(op, o, &rec, err)
	}
	return connector.Result{}, err
}

// WriteOnce and Recalls: see Write, and recall.
func (*system) WriteOnce() {}

// Recalls makes it a connector.Recaller.
func (*system) Recalls() {}

// change makes the record of a change, and tells the object's id: its key. The error is a *fault.Error where nothing is wrong with the change.
func (s *system) change(ctx context.Context, o *object, w *connector.Write) (rec event.Record, local string, err error) {
	if local, err = o.keyOf(w); err != nil {
		return rec, "", err
	}
	if rec.Key, err = s.keyBytes(ctx, o, local); err != nil {
		return rec, "", err
	}
	rec.Topic = o.Topic
	switch {
	case w.Action == connector.Delete && o.Write.Deletes == deletesTombstone:
	case len(w.Doc) == 0:
		return rec, "", errors.New("the deletion comes without a document, and write.deletes is document")
	default:
		if rec.Value, err = s.encode(ctx, o.Format, o.Write.Subject, o.Write.Version, w.Doc); err != nil {
			return rec, "", err
		}
	}
	rec.Headers, err = o.headers(w)
	return rec, local, err
}

// keyOf is the object's id: out of the document when it is created, and that one for as long as it lives.
func (o *object) keyOf(w *connector.Write) (string, error) {
	if o.Key.Format == keyNone {
		return "", errors.New("key.format is none, and every record that is written has a key")
	}
	if w.Action != connector.Create {
		if w.Local == "" {
			return "", errors.New("nothing says which object it is")
		}
	}
	if o.Write.Key == "" {
		if w.Action != connector.Create {
			return w.Local, nil
		}
		if w.External == "" {
			return "", errors.New("the record's key is the hub's external id, and there is none")
		}
		return w.External, nil
	}
	if w.Action == connector.Delete {
		return w.Local, nil
	}
	id, err := member(w.Doc, o.Write.Key)
	switch {
	case err != nil:
		return "", err
	case id == "":
		return "", fmt.Errorf("the document has no %s, which is to be the record's key", o.Write.Key)
	case w.Action != connector.Create && id != w.Local:
		return "", fmt.Errorf("%s is %q, and the object was written under the key %q: records of an object keep their key", o.Write.Key, id, w.Local)
	}
	return id, nil
}

// member is a text or number of a document; empty where there is none.
func member(text []byte, path string) (string, error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(text, documentLimits); err != nil {
		return "", fmt.Errorf("the document is no JSON: %w", err)
	}
	v := doc.Root().GetPath(path)
	switch v.Kind() {
	case jsondoc.String:
		return v.Str(), nil
	case jsondoc.Number, jsondoc.Bool:
		return string(v.Raw()), nil
	case jsondoc.Missing, jsondoc.Null:
		return "", nil
	}
	return "", fmt.Errorf("%s of the document is %s, and no single value", path, v.Kind())
}

// keyBytes writes an id as a key, in whatever keys are written.
func (s *system) keyBytes(ctx context.Context, o *object, id string) ([]byte, error) {
	key, err := o.Key.bytes(id)
	if err != nil || !o.Key.registered() {
		return key, err
	}
	out, err := s.encode(ctx, o.Key.Format, o.Write.KeySubject, o.Write.Version, key)
	if _, ours := fault.As(err); err != nil && !ours {
		// A text may be a number there.
		if number, nerr := o.Key.number(id); nerr == nil {
			if again, aerr := s.encode(ctx, o.Key.Format, o.Write.KeySubject, o.Write.Version, number); aerr == nil {
				return again, nil
			}
		}
		return nil, fmt.Errorf("the key: %w", err)
	}
	return out, err
}

// number writes an id that is one as a key's number.
func (k *keySettings) number(id string) ([]byte, error) {
	if _, err := jsondoc.ParseDecimal(id); err != nil {
		return nil, err
	}
	if k.Path == "" {
		return []byte(id), nil
	}
	return with(nil, jsondoc.Value{}, strings.Split(k.Path, "."), []byte(id))
}

// bytes writes an id as a key; one that has a schema as the JSON of it.
func (k *keySettings) bytes(id string) ([]byte, error) {
	switch {
	case k.structured():
		raw := jsondoc.AppendString(nil, id)
		if k.Path == "" {
			return raw, nil
		}
		return with(nil, jsondoc.Value{}, strings.Split(k.Path, "."), raw)
	case k.Format == keyBase64:
		b, err := base64.StdEncoding.DecodeString(id)
		if err != nil {
			return nil, fmt.Errorf("the key %q is no base64, and key.format says so", id)
		}
		return b, nil
	}
	return []byte(id), nil
}

func (o *object) headers(w *connector.Write) ([]event.Header, error) {
	var out []event.Header
	add := func(name, value string) {
		if value != "" {
			out = append(out, event.Header{Key: name, Value: []byte(value)})
		}
	}
	add(headerEvent, w.IdempotencyKey)
	add(headerOperation, string(w.Action))
	add(headerExternal, w.External)
	add(headerVersion, w.Version)
	if len(w.Doc) == 0 {
		return out, nil
	}
	for _, name := range slices.Sorted(maps.Keys(o.Write.Headers)) {
		value, err := member(w.Doc, o.Write.Headers[name])
		if err != nil {
			return nil, err
		}
		add(name, value)
	}
	return out, nil
}

// learn asks what a topic takes before something is written that not every topic does. Where the hub's user may not ask, it is left to the broker.
func (s *system) learn(ctx context.Context, topic string, size int) {
	if size < s.cluster.MaxRecord(topic) || s.cluster.Takes(topic) > 0 {
		return
	}
	if err := s.cluster.LearnLimits(ctx, topic); err != nil || s.cluster.Takes(topic) == 0 {
		s.cluster.LeaveLimit(topic)
	}
}

// tooLarge says what the topic takes, where it is known.
func (s *system) tooLarge(op string, o *object, rec *event.Record, err error) error {
	size := len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		size += len(rec.Headers[i].Key) + len(rec.Headers[i].Value)
	}
	f := s.fail(fault.Invalid, op, "the record has %d bytes, which the topic does not take: raise max.message.bytes of topic %s, or write less", size, o.Topic)
	if takes := s.cluster.Takes(o.Topic); takes > 0 && takes < size {
		f = s.fail(fault.Invalid, op, "the record has %d bytes, and topic %s takes %d (max.message.bytes): raise that, or write less", size, o.Topic, takes)
	}
	f.Code = "MESSAGE_TOO_LARGE"
	return f
}

// doubt is a write of which nobody knows what became.
type doubt struct {
	since time.Time     // when it was begun
	until time.Duration // until when the request may be under way, by the clock's Elapsed
}

// mostDoubts bounds what is remembered. The engine tells of older ones itself.
const mostDoubts = 10_000

func (s *system) lost(w *connector.Write, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.doubts[w.IdempotencyKey]; known || len(s.doubts) < mostDoubts {
		at := doubt{began, s.clock.Elapsed() + s.set.Timeout}
		if d, known := s.doubts[w.IdempotencyKey]; known {
			at.since = d.since
		}
		s.doubts[w.IdempotencyKey] = at
	}
}

func (s *system) settle(w *connector.Write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doubts, w.IdempotencyKey)
}
