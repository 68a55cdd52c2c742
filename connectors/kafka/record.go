package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// mostKey bounds an object's id, in bytes.
const mostKey = 1024

// documentLimits are the bounds of a document; its length is bounded by the settings.
var documentLimits = jsondoc.Limits{Bytes: 1 << 30, Depth: 64}

// record makes an object's change of a record. topicID is of the topic as it was when it was read. An error is no record's fault: the registry cannot be asked.
func (s *system) record(ctx context.Context, o *object, topicID string, rec *event.Record) (connector.Record, error) {
	life := lifeOf(topicID)
	out := connector.Record{Change: change(o, life, rec.Partition, rec.Offset)}
	var err error
	if out.Local, err = s.idOf(ctx, o, rec.Key); err == nil {
		out.Version, err = o.version(life, rec)
	}
	switch {
	case err != nil:
		out.Doc = shown(o, rec.Value)
	case rec.Value == nil && out.Local == "":
		err = errors.New("the record has neither a key nor a value: it says nothing")
	case rec.Value == nil:
		out.Deleted = true
	default:
		if out.Doc, err = s.document(ctx, o, rec, out.Local); err != nil {
			out.Doc = shown(o, rec.Value)
		}
	}
	if _, ours := fault.As(err); ours {
		return out, err
	}
	if err != nil {
		out.Err = s.fail(fault.Invalid, "read "+where(o, rec.Partition, rec.Offset), "%s", err)
	}
	return out, nil
}

// unreadable stands for a batch of which nothing can be read.
func (s *system) unreadable(o *object, at *cursor, partition int, got *bus.Stretch) connector.Record {
	from := at.Next[partition]
	return connector.Record{
		Change: change(o, lifeOf(at.ID), partition, from),
		Err: s.fail(fault.Invalid, "read "+where(o, partition, from), "nothing can be read up to offset %d: %s: have these records sent again in smaller batches",
			got.Next-1, got.Unreadable),
	}
}

func where(o *object, partition int, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", o.Topic, partition, offset)
}

// change names a record's place; a topic that is made anew has other ones.
func change(o *object, life uint32, partition int, offset int64) string {
	return fmt.Sprintf("%s/%d/%d~%08x", o.Topic, partition, offset, life)
}

// lifeOf tells apart the topics that had one name after each other.
func lifeOf(topicID string) uint32 {
	sum := sha256.Sum256([]byte(topicID))
	return binary.BigEndian.Uint32(sum[:])
}

// shown is a value that cannot be read, as far as people may see it: bytes that are no text say nothing to them.
func shown(o *object, value []byte) []byte {
	if len(value) > int(o.Read.MaxValue) || o.Format == formatAvro {
		return nil
	}
	return value
}

// version of the object. Places of another life of the topic, or of another partition, where a key goes once the topic has got more of them, do not
// compare with each other: what comes later is newer (event.CompareVersions).
func (o *object) version(life uint32, rec *event.Record) (string, error) {
	if o.Read.Version == versionTimestamp {
		if rec.Time.Unix() <= 0 {
			return "", errors.New("the record has no timestamp, and read.version is timestamp")
		}
		return timestamp(rec), nil
	}
	return event.PlaceVersion(int(int64(life)*partitionRoom+int64(rec.Partition)), rec.Offset), nil
}

// partitionRoom is more than a topic can have.
const partitionRoom = 1_000_000

func timestamp(rec *event.Record) string {
	return rec.Time.UTC().Format("2006-01-02T15:04:05.000Z")
}

// idOf is the object's id out of a record's key, whatever that is written in.
func (s *system) idOf(ctx context.Context, o *object, key []byte) (string, error) {
	if o.Key.registered() && len(key) > 0 {
		var err error
		if key, err = s.decode(ctx, o.Key.Format, key); err != nil {
			if _, ours := fault.As(err); ours {
				return "", err
			}
			return "", fmt.Errorf("the key: %w", err)
		}
	}
	return o.Key.id(key)
}

// id is the object's id out of a key; empty where there is none. One that has a schema is JSON by now.
func (k *keySettings) id(key []byte) (string, error) {
	var id string
	switch {
	case k.Format == keyNone || len(key) == 0:
		return "", nil
	case k.Format == keyBase64:
		id = base64.StdEncoding.EncodeToString(key)
	case k.structured():
		var err error
		if id, err = k.member(key); err != nil {
			return "", err
		}
	default:
		if !utf8.Valid(key) {
			return "", errors.New("the key is no text (UTF-8): say what it is in key.format")
		}
		id = string(key)
	}
	switch {
	case len(id) > mostKey:
		return "", fmt.Errorf("the key has %d bytes, and an object's id %d at most", len(id), mostKey)
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", errors.New("the key has control characters: it is no text; say what it is in key.format")
	}
	return id, nil
}

// member is the id within a key that is JSON.
func (k *keySettings) member(key []byte) (string, error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(key, documentLimits); err != nil {
		return "", fmt.Errorf("the key is no JSON: %w", err)
	}
	v := doc.Root()
	if k.Path != "" {
		v = v.GetPath(k.Path)
	}
	switch v.Kind() {
	case jsondoc.String:
		return v.Str(), nil
	case jsondoc.Number, jsondoc.Bool:
		return string(v.Raw()), nil
	case jsondoc.Missing, jsondoc.Null:
		return "", fmt.Errorf("the key has no %s", k.Path)
	}
	if k.Path != "" {
		return "", fmt.Errorf("%s of the key is %s, and no id", k.Path, v.Kind())
	}
	return string(jsondoc.AppendCanonical(nil, v)), nil
}

// document makes the document of a record that has a value.
func (s *system) document(ctx context.Context, o *object, rec *event.Record, id string) ([]byte, error) {
	if n := len(rec.Value); n > int(o.Read.MaxValue) {
		return nil, fmt.Errorf("the value has %d bytes, and read.max-value is %s", n, strictyaml.Size(o.Read.MaxValue))
	}
	value, err := s.decode(ctx, o.Format, rec.Value)
	if err != nil {
		if _, ours := fault.As(err); ours {
			return nil, err
		}
		return nil, fmt.Errorf("the value: %w", err)
	}
	value = withoutMark(value)
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(value, documentLimits); err != nil {
		return nil, fmt.Errorf("the value is no JSON: %w", err)
	}
	return o.put(doc, value, rec, id)
}

// put puts into the document what the settings say of the record's head.
func (o *object) put(doc *jsondoc.Doc, value []byte, rec *event.Record, id string) ([]byte, error) {
	extra, err := o.extras(rec, id)
	if err != nil || len(extra) == 0 {
		return value, err
	}
	for _, e := range extra {
		if err := doc.Reset(value, documentLimits); err != nil {
			return nil, err
		}
		if value, err = with(nil, doc.Root(), strings.Split(e.path, "."), e.raw); err != nil {
			return nil, fmt.Errorf("%s cannot be put into the document at %s: %w", e.what, e.path, err)
		}
	}
	return value, nil
}

// extra is a value for the document.
type extra struct {
	what, path string
	raw        []byte
}

func (o *object) extras(rec *event.Record, id string) ([]extra, error) {
	var out []extra
	for _, name := range slices.Sorted(maps.Keys(o.Read.Headers)) {
		// Of a header that is there more than once the last one counts, as for Kafka's own clients.
		for i := len(rec.Headers) - 1; i >= 0; i-- {
			if h := &rec.Headers[i]; h.Key == name {
				if h.Value != nil && !utf8.Valid(h.Value) {
					return nil, fmt.Errorf("the header %s is no text (UTF-8)", name)
				}
				raw := []byte("null")
				if h.Value != nil {
					raw = jsondoc.AppendString(nil, string(h.Value))
				}
				out = append(out, extra{"the header " + name, o.Read.Headers[name], raw})
				break
			}
		}
	}
	into := &o.Read.Into
	if o.Key.Format == keyNone {
		id = string(rec.Key) // it is nobody's id, and may say something all the same
	}
	if into.Key != "" && rec.Key != nil {
		if !utf8.ValidString(id) {
			return nil, errors.New("the key is no text (UTF-8), and cannot be put into the document")
		}
		out = append(out, extra{"the key", into.Key, jsondoc.AppendString(nil, id)})
	}
	if into.Timestamp != "" && rec.Time.Unix() > 0 {
		out = append(out, extra{"the timestamp", into.Timestamp, jsondoc.AppendString(nil, timestamp(rec))})
	}
	if into.Partition != "" {
		out = append(out, extra{"the partition", into.Partition, strconv.AppendInt(nil, int64(rec.Partition), 10)})
	}
	if into.Offset != "" {
		out = append(out, extra{"the offset", into.Offset, strconv.AppendInt(nil, rec.Offset, 10)})
	}
	return out, nil
}

var (
	errNoObject = errors.New("what is there is no object")
	errTaken    = errors.New("the document has a value there")
)

// with appends to dst the value v with another one at a path below it. Everything else stays as it stands, byte by byte.
func with(dst []byte, v jsondoc.Value, path []string, raw []byte) ([]byte, error) {
	switch {
	case len(path) == 0:
		if v.Kind() != jsondoc.Missing {
			return nil, errTaken
		}
		return append(dst, raw...), nil
	case v.Kind() != jsondoc.Object && v.Kind() != jsondoc.Missing:
		return nil, errNoObject
	}
	dst = append(dst, '{')
	for name, m := range v.Members() {
		if name != path[0] {
			dst = append(append(jsondoc.AppendString(dst, name), ':'), m.Raw()...)
			dst = append(dst, ',')
		}
	}
	dst = append(jsondoc.AppendString(dst, path[0]), ':')
	dst, err := with(dst, v.Get(path[0]), path[1:], raw)
	if err != nil {
		return nil, err
	}
	return append(dst, '}'), nil
}
