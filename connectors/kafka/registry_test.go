package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const avroOrder = `{"type":"record","name":"Order","namespace":"com.example","fields":[
  {"name":"number","type":"string"},
  {"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":2}},
  {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null}]}`

// schemas is a registry: franz-go's own double of Confluent's API.
type schemas struct {
	t     testing.TB
	fake  *srfake.Registry
	asked atomic.Int64
	down  atomic.Int64 // the status that everything is answered with; 0: none
}

func newSchemas(t testing.TB, opts ...srfake.Option) *schemas {
	t.Helper()
	s := &schemas{t: t, fake: srfake.New(opts...)}
	t.Cleanup(s.fake.Close)
	s.fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		s.asked.Add(1)
		if status := s.down.Load(); status != 0 {
			http.Error(w, `{"error_code":50002,"message":"not now"}`, int(status))
			return true
		}
		return false
	})
	return s
}

func (s *schemas) register(subject string, schema sr.Schema) int {
	s.t.Helper()
	id, _, err := s.fake.RegisterSchema(subject, schema)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// lines are those of a system with the registry and one object.
func (s *schemas) system(o *other, more ...string) *system {
	s.t.Helper()
	return open(s.t, parsed(s.t, fmt.Sprintf("connector: kafka\nbrokers: [%q]\ntimeout: 5s\nregistry: {url: %q, timeout: 2s}\nobjects:\n  order:\n    topic: %s\n    %s\n",
		o.addr, s.fake.URL(), o.topic, strings.Join(more, "\n    "))))
}

func framed(id int, payload []byte) string {
	return string(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), payload...))
}

// avroBytes is a value as another program writes it.
func avroBytes(t testing.TB, schema string, v any) []byte {
	t.Helper()
	b, err := avro.MustParse(schema).Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAvro: values with their schema's id, both ways, on both brokers.
func TestAvro(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o, reg := cluster(t, addr, 1), newSchemas(t)
		id := reg.register(o.topic+"-value", sr.Schema{Schema: avroOrder})
		keyID := reg.register(o.topic+"-key", sr.Schema{Schema: `{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}`})
		sys := reg.system(o, "format: avro", "key: {format: avro, path: id}", "write: {key: number}")
		const first = `{"number":"1001","total":1234567890123456.70,"at":"2026-11-01T01:30:00.120Z"}`
		for _, w := range []connector.Write{
			create(strings.Replace(first, "2026-11-01T01:30:00.120Z", "2026-11-01T09:30:00.120+08:00", 1), "e1"),
			changed(connector.Update, "1001", `{"number":"1001","total":-0.5}`, "e2"),
			changed(connector.Delete, "1001", "", "e3"),
		} {
			if _, err := sys.Write(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		all := o.all()
		if len(all) != 3 || string(all[0].Key) != framed(keyID, []byte{0xd2, 0x0f}) || !strings.HasPrefix(string(all[0].Value), framed(id, nil)) || all[2].Value != nil {
			t.Fatalf("%+v", all)
		}
		r := &reader{t: t, sys: sys}
		wants(t, "read again", r.read(), `1001=`+first, `1001={"number":"1001","total":-0.50,"at":null}`, `1001 deleted`)
		if n := reg.asked.Load(); n != 2 {
			t.Errorf("the registry was asked %d times", n)
		}
		// Another reader asks for the ids that it meets, each once.
		other := &reader{t: t, sys: reg.system(o, "format: avro", "key: {format: avro, path: id}")}
		wants(t, "read by another", other.read(), `1001=`+first, `1001={"number":"1001","total":-0.50,"at":null}`, `1001 deleted`)
		if n := reg.asked.Load(); n != 4 {
			t.Errorf("the registry was asked %d times", n)
		}
	})
}

// TestAvroRecords: what cannot be understood parks alone.
func TestAvroRecords(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	id := reg.register("orders", sr.Schema{Schema: avroOrder})
	js := reg.register("other", sr.Schema{Schema: `{"type":"object"}`, Type: sr.TypeJSON})
	proto := reg.register("third", sr.Schema{Schema: `syntax = "proto3"; message A { string b = 1; }`, Type: sr.TypeProtobuf})
	good := avroBytes(t, avroOrder, map[string]any{"number": "A", "total": "1.50"})
	o.put(
		o.record(0, "K-1", framed(id, good)),
		o.record(0, "K-2", `{"number":"A"}`),
		o.record(0, "K-3", framed(9999, good)),
		o.record(0, "K-4", framed(id, good[:2])),
		o.record(0, "K-5", framed(id, append(good, 1))),
		o.record(0, "K-6", framed(js, []byte(`{}`))),
		o.record(0, "K-7", framed(proto, nil)),
		o.record(0, "K-8", "\x00\x01"),
		o.record(0, "K-9", framed(id, good)),
	)
	r := &reader{t: t, sys: reg.system(o, "format: avro")}
	got := r.read()
	if len(got) != 9 {
		t.Fatalf("%s", short(got))
	}
	for i, text := range []string{"", "no schema", "schema 9999: the registry has no such schema", "as schema", "1 bytes are left", "type JSON, and the format is avro", "type PROTOBUF are not read", "does not begin with a schema's id", ""} {
		text = strings.Replace(text, "no schema", "does not begin with a schema's id", 1)
		if (got[i].Err == nil) != (text == "") || got[i].Err != nil && (!strings.Contains(got[i].Err.Error(), text) || fault.KindOf(got[i].Err) != fault.Invalid) {
			t.Errorf("%s: %v, want %q", got[i].Local, got[i].Err, text)
		}
	}
	asked := reg.asked.Load()
	o.put(o.record(0, "K-3", framed(9999, good)))
	r.read()
	if n := reg.asked.Load(); n != asked {
		t.Error("an id that was not there a moment ago is asked for again")
	}
}

// TestRegistryAway: while the registry cannot be asked nothing parks, and nothing is passed over.
func TestRegistryAway(t *testing.T) {
	for status, want := range map[int]fault.Kind{503: fault.Unavailable, 500: fault.Unavailable, 403: fault.Unavailable, 401: fault.Auth, 429: fault.RateLimited} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			o, reg := cluster(t, brokerOnly(t), 2), newSchemas(t)
			id := reg.register("orders", sr.Schema{Schema: avroOrder})
			good := framed(id, avroBytes(t, avroOrder, map[string]any{"number": "A", "total": "1.50"}))
			o.put(o.record(0, "K-0", "-"), o.record(0, "K-1", good), o.record(1, "K-2", "-"), o.record(0, "K-3", "-"))
			r := &reader{t: t, sys: reg.system(o, "format: avro")}
			reg.down.Store(int64(status))
			// What needs no schema is read, up to what does.
			p, err := r.page(0)
			if err != nil || len(p.Records) != 2 || !p.More {
				t.Fatalf("%s, %v, %v", short(p.Records), p.More, err)
			}
			r.refused(want, "schema")
			if _, err := r.sys.Write(t.Context(), create(`{"number":"A","total":1}`, "e")); fault.KindOf(err) != want {
				t.Errorf("a write: %v", err)
			}
			if status == 401 || status == 429 {
				return // a client that was told to wait does
			}
			reg.down.Store(0)
			if got := r.read(); len(got) != 2 || got[0].Local != "K-1" || got[0].Err != nil || got[1].Local != "K-3" {
				t.Errorf("%s", short(got))
			}
		})
	}
}

// TestWrittenBySchema: what is written fits the schema, or parks; what is wrong with the registry parks nothing.
func TestWrittenBySchema(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	reg.register("orders", sr.Schema{Schema: avroOrder})
	reg.register("shapes", sr.Schema{Schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["number"],"properties":{"number":{"type":"string"}}}`, Type: sr.TypeJSON})
	for name, c := range map[string]struct {
		lines []string
		doc   string
		kind  fault.Kind
		text  string
	}{
		"fits":                    {[]string{"format: avro", "write: {subject: orders}"}, `{"number":"A","total":1.5}`, fault.None, ""},
		"does not fit":            {[]string{"format: avro", "write: {subject: orders}"}, `{"number":"A","total":1.005}`, fault.Invalid, "total: 1.005 does not fit into decimal(20,2)"},
		"more than the schema":    {[]string{"format: avro", "write: {subject: orders}"}, `{"number":"A","total":1,"note":"x"}`, fault.Invalid, "note: the schema has no such field"},
		"no such subject":         {[]string{"format: avro", "write: {subject: nobody}"}, `{}`, fault.Unavailable, "subject nobody, version latest: the registry has no such schema"},
		"no such version":         {[]string{"format: avro", "write: {subject: orders, version: 7}"}, `{}`, fault.Unavailable, "version 7"},
		"of another type":         {[]string{"format: json-schema", "write: {subject: orders}"}, `{}`, fault.Unavailable, "is of type AVRO, and the format is json-schema"},
		"fits, JSON":              {[]string{"format: json-schema", "write: {subject: shapes}"}, `{"number":"A","total":1.50}`, fault.None, ""},
		"does not fit, JSON":      {[]string{"format: json-schema", "write: {subject: shapes}"}, `{"number":1}`, fault.Invalid, "number"},
		"a key that cannot be so": {[]string{"format: json-schema", "key: {format: avro}", "write: {subject: shapes, key-subject: orders, key: number}"}, `{"number":"A"}`, fault.Invalid, "the key: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := reg.system(o, c.lines...).Write(t.Context(), create(c.doc, "e"))
			if fault.KindOf(err) != c.kind || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v with %q", err, c.kind, c.text)
			}
		})
	}
	if n := o.written(); n != 2 {
		t.Errorf("%d records", n)
	}
	r := &reader{t: t, sys: reg.system(o, "format: json-schema")}
	if got := r.read(); len(got) != 2 || got[0].Doc == nil || !strings.Contains(short(got), `{"number":"A","total":1.50}`) {
		t.Errorf("%s", short(got))
	}
}

// TestSchemaEvolves: a version that is registered while the hub runs is taken within a minute, and what was written before stays readable.
func TestSchemaEvolves(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	first := reg.register("orders", sr.Schema{Schema: avroOrder})
	sys := reg.system(o, "format: avro", "write: {subject: orders, key: number}")
	clock := lifecycle.NewManual(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	sys.registry.clock = clock
	write := func(doc string) error {
		t.Helper()
		_, err := sys.Write(t.Context(), create(doc, "e"+doc))
		return err
	}
	if err := write(`{"number":"A","total":1}`); err != nil {
		t.Fatal(err)
	}
	second := reg.register("orders", sr.Schema{Schema: strings.Replace(avroOrder, `"fields":[`, `"fields":[{"name":"note","type":"string","default":""},`, 1)})
	if err := write(`{"number":"A","total":1,"note":"x"}`); fault.KindOf(err) != fault.Invalid {
		t.Errorf("at once: %v", err)
	}
	clock.Advance(latestFor)
	if err := write(`{"number":"A","total":2,"note":"x"}`); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	all := o.all()
	if len(all) != 2 || string(all[0].Value[:5]) != framed(first, nil) || string(all[1].Value[:5]) != framed(second, nil) {
		t.Fatalf("%+v", all)
	}
	r := &reader{t: t, sys: sys}
	wants(t, "both", r.read(), `A={"number":"A","total":1.00,"at":null}`, `A={"note":"x","number":"A","total":2.00,"at":null}`)
}

// TestSchemaReferences: schemas that refer to others, one of them to a third.
func TestSchemaReferences(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	reg.register("country", sr.Schema{Schema: `{"type":"enum","name":"Country","namespace":"com.example","symbols":["DE","CN"]}`})
	reg.register("address", sr.Schema{Schema: `{"type":"record","name":"Address","namespace":"com.example","fields":[{"name":"city","type":"string"},{"name":"country","type":"Country"}]}`,
		References: []sr.SchemaReference{{Name: "com.example.Country", Subject: "country", Version: 1}}})
	reg.register("customer", sr.Schema{Schema: `{"type":"record","name":"Customer","namespace":"com.example","fields":[{"name":"home","type":"Address"},{"name":"from","type":"Country"}]}`,
		References: []sr.SchemaReference{{Name: "com.example.Address", Subject: "address", Version: 1}, {Name: "com.example.Country", Subject: "country", Version: 1}}})
	sys := reg.system(o, "format: avro", "write: {subject: customer}")
	const doc = `{"home":{"city":"Köln","country":"DE"},"from":"CN"}`
	if _, err := sys.Write(t.Context(), create(doc, "e")); err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, sys: reg.system(o, "format: avro")}
	wants(t, "read again", r.read(), external+"="+doc)
}

// TestRegistryLogin: the hub proves itself to the registry, and what it proves itself by does not show. (The double answers 403; a 401 is in TestRegistryAway.)
func TestRegistryLogin(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t, srfake.WithAuth("Basic aHViOnJpZ2h0LXBhNTV3b3Jk"))
	reg.register("orders", sr.Schema{Schema: avroOrder})
	t.Setenv("REG_RIGHT", "right-pa55word")
	t.Setenv("REG_WRONG", "wrong-pa55word")
	for env, want := range map[string]fault.Kind{"REG_RIGHT": fault.None, "REG_WRONG": fault.Unavailable} {
		sys := open(t, parsed(t, fmt.Sprintf("connector: kafka\nbrokers: [%q]\nregistry: {url: %q, auth: {basic: {user: hub, password: \"${env:%s}\"}}}\nobjects: {order: {topic: %s, format: avro, write: {subject: orders}}}\n",
			o.addr, reg.fake.URL(), env, o.topic)))
		_, err := sys.Write(t.Context(), create(`{"number":"A","total":1}`, "e"))
		if fault.KindOf(err) != want || err != nil && strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: %v", env, err)
		}
	}
}

// TestNoRegistry: what answers there is none.
func TestNoRegistry(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	reg.fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true })
	o.put(o.record(0, "K", framed(1, []byte{2})))
	sys := reg.system(o, "format: avro")
	if _, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order"}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "no schema registry") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sys.Write(ctx, create(`{}`, "e")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestSampleOfASchema: what the registry says of what is written, for whoever checks mappings against it.
func TestSampleOfASchema(t *testing.T) {
	o, reg := cluster(t, brokerOnly(t), 1), newSchemas(t)
	reg.register("orders", sr.Schema{Schema: avroOrder})
	for lines, want := range map[string]string{
		"write: {subject: orders, key: number}":                                 "[{number string false} {total decimal(20,2) false} {at null or timestamp-millis true}] []",
		"write: {subject: orders, key: no, headers: {kind: meta.kind, at: at}}": "[{number string false} {total decimal(20,2) false} {at null or timestamp-millis true}] [no meta]",
		"write: {subject: nobody}":                                              "[] []",
	} {
		got, err := reg.system(o, "format: avro", lines).Sample(t.Context(), "order")
		if text := fmt.Sprint(got.Takes, got.Lacking); err != nil || text != want {
			t.Errorf("%s: %s, %v, want %s", lines, text, err, want)
		}
	}
	reg.down.Store(503)
	if _, err := reg.system(o, "format: avro", "write: {subject: orders}").Sample(t.Context(), "order"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}
