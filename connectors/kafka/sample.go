package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
)

// Sample reads the oldest record that is there, and the schema by which the registry judges what is written, where there is one.
func (s *system) Sample(ctx context.Context, object string) (connector.Sample, error) {
	op := "sample " + object
	o, err := s.object(op, object)
	if err != nil {
		return connector.Sample{}, err
	}
	info, err := s.look(ctx, op, o)
	if err != nil {
		return connector.Sample{}, err
	}
	out, err := s.taken(ctx, o)
	if err == nil {
		out.Record, err = s.oldest(ctx, o, info)
	}
	return out, s.classify(op, err)
}

// taken tells of the schema of what is written. A topic that is only read needs none.
func (s *system) taken(ctx context.Context, o *object) (connector.Sample, error) {
	var out connector.Sample
	if o.Format != formatAvro {
		return out, nil
	}
	schema, err := s.registry.bySubject(ctx, o.Write.Subject, o.Write.Version)
	switch {
	case errors.Is(err, errNoSchema), err == nil && (schema.avro == nil || !schema.avro.Record()):
		return out, nil
	case err != nil:
		return out, err
	}
	out.Takes = []connector.TakenField{}
	for _, f := range schema.avro.Fields() {
		out.Takes = append(out.Takes, connector.TakenField(f))
	}
	for _, path := range slices.Concat([]string{o.Write.Key}, slices.Sorted(maps.Values(o.Write.Headers))) {
		name, _, _ := strings.Cut(path, ".")
		if name != "" && !slices.ContainsFunc(out.Takes, func(f connector.TakenField) bool { return f.Name == name }) {
			out.Lacking = append(out.Lacking, name)
		}
	}
	return out, nil
}

// oldest is the oldest record that has a document, of the first partition that has one; nil: there is none.
func (s *system) oldest(ctx context.Context, o *object, info bus.TopicInfo) (*connector.Record, error) {
	for i, p := range info.Partitions {
		for at := p.First; at < p.Last; {
			got, err := s.cluster.ReadFrom(ctx, o.Topic, i, at, 1, leastFetch)
			if err != nil {
				return nil, err
			}
			for k := range got.Records {
				got.Records[k].Partition = i
				rec, err := s.record(ctx, o, info.ID, &got.Records[k])
				if err != nil {
					return nil, err
				}
				if !rec.Deleted {
					return &rec, nil
				}
			}
			if got.Next == at {
				break
			}
			at = got.Next
		}
	}
	return nil, nil
}
