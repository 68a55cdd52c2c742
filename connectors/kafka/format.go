package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Formats of values and keys.
const (
	formatJSON       = "json"
	formatAvro       = "avro"
	formatJSONSchema = "json-schema"
)

// headSize is the size of what stands before a value that names its schema: a byte 0, and the schema's id.
const headSize = 5

// decode makes JSON of a value or key. The error is a *fault.Error where nothing is wrong with the record: the registry cannot be asked.
func (s *system) decode(ctx context.Context, format string, raw []byte) ([]byte, error) {
	if format == formatJSON {
		return raw, nil
	}
	if len(raw) < headSize || raw[0] != 0 {
		return nil, errors.New("it does not begin with a schema's id (a byte 0 and four more): it was not written with a schema registry")
	}
	id, payload := int(binary.BigEndian.Uint32(raw[1:])), raw[headSize:]
	if format == formatJSONSchema {
		return payload, nil // the flow judges documents by its own schema
	}
	schema, err := s.registry.byNumber(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case schema.avro == nil:
		return nil, fmt.Errorf("schema %d is of type %s, and the format is avro", id, schema.kind)
	}
	doc, err := schema.avro.Document(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("as %s: %w", schema.name, err)
	}
	return doc, nil
}

// encode makes a value or key of JSON, by a version of a subject. The error is a *fault.Error where nothing is wrong with the document.
func (s *system) encode(ctx context.Context, format, subject, version string, doc []byte) ([]byte, error) {
	if format == formatJSON {
		return doc, nil
	}
	schema, err := s.registry.bySubject(ctx, subject, version)
	if err != nil {
		return nil, err
	}
	if want := map[string]string{formatAvro: typeAvro, formatJSONSchema: typeJSON}[format]; schema.kind != want {
		return nil, fault.New(fault.Unavailable, "%s is of type %s, and the format is %s", schema.name, schema.kind, format)
	}
	parsed := jsondoc.Get()
	defer jsondoc.Put(parsed)
	if err := parsed.Reset(doc, documentLimits); err != nil {
		return nil, fmt.Errorf("the document is no JSON: %w", err)
	}
	out := binary.BigEndian.AppendUint32([]byte{0}, uint32(schema.id))
	if format == formatJSONSchema {
		if err := schema.json.Validate(parsed); err != nil {
			return nil, fmt.Errorf("%s does not take the document: %w", schema.name, unclassified{err})
		}
		return append(out, doc...), nil
	}
	if out, err = schema.avro.Value(out, parsed.Root()); err != nil {
		return nil, fmt.Errorf("%s does not take the document: %w", schema.name, err)
	}
	return out, nil
}

// unclassified is an error whose own class says nothing here.
type unclassified struct{ err error }

func (u unclassified) Error() string { return u.err.Error() }

// withoutMark leaves a byte order mark out: JSON has none, and some producers write one.
func withoutMark(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\ufeff")) }
