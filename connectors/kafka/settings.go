package kafka

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/kafkaauth"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common `yaml:",inline"`
	Brokers          []string           `yaml:"brokers,required" doc:"addresses host:port to begin with; the rest of the cluster is discovered"`
	TLS              *kafkaauth.TLS     `yaml:"tls" doc:"encrypt the connection; {} trusts the operating system's certificates"`
	SASL             *kafkaauth.SASL    `yaml:"sasl" doc:"log in"`
	ClientID         string             `yaml:"client-id" default:"waybill" doc:"names the hub in the brokers' logs and quotas"`
	Timeout          time.Duration      `yaml:"timeout" default:"10s" doc:"bound of one call"`
	Registry         *registrySettings  `yaml:"registry" doc:"the schema registry, for formats avro and json-schema"`
	Objects          map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type object struct {
	Topic  string        `yaml:"topic,required" doc:"the topic; the hub never makes one"`
	Format string        `yaml:"format" default:"json" enum:"json,avro,json-schema" doc:"what values are; avro and json-schema: with the schema's id in the registry before them (Confluent's form)"`
	Key    keySettings   `yaml:"key" doc:"what records' keys are: the object's id"`
	Read   readSettings  `yaml:"read" doc:"for flows from the topic"`
	Write  writeSettings `yaml:"write" doc:"for flows to the topic"`
}

type keySettings struct {
	Format string `yaml:"format" default:"text" enum:"text,json,avro,json-schema,base64,none" doc:"text: the id itself; json, avro, json-schema: a value, of which the id is what path says; base64: bytes, whose base64 form is the id; none: keys say nothing, and flows compute the id"`
	Path   string `yaml:"path" doc:"for json, avro and json-schema: where in the key the id is; default: the whole key"`
}

type readSettings struct {
	Start    string            `yaml:"start" default:"earliest" doc:"where the first read begins: earliest, latest, or a time in RFC 3339 with its zone. Partitions that are added later are read from their beginning"`
	Version  string            `yaml:"version" default:"offset" enum:"offset,timestamp" doc:"an object's version, where the flow's own version says nothing: the record's place, or its timestamp"`
	Headers  map[string]string `yaml:"headers" doc:"headers that are put into the document, as texts: the header's name and the path"`
	Into     intoSettings      `yaml:"into" doc:"what else of a record is put into the document"`
	Anew     string            `yaml:"anew" default:"stop" enum:"stop,start" doc:"what becomes of a topic that was deleted and made anew, or cut off: the source stops and says so, or the topic is read from its beginning, and that is said"`
	Lost     string            `yaml:"lost" default:"stop" enum:"stop,continue" doc:"what becomes of offsets that the cluster deleted before they were read: the source stops and says how many, or it goes on behind them, and that is said"`
	Records  int               `yaml:"records" default:"1000" doc:"records of one read, unless the flow's limit says"`
	Bytes    strictyaml.Size   `yaml:"bytes" default:"4MiB" doc:"about how many bytes one read asks for"`
	MaxValue strictyaml.Size   `yaml:"max-value" default:"1MiB" doc:"bound of one record's value; a larger one parks"`
}

type intoSettings struct {
	Key       string `yaml:"key" doc:"path of the object's id, as the key gives it; of a key of format none, of its text"`
	Timestamp string `yaml:"timestamp" doc:"path of the record's timestamp, RFC 3339 in UTC"`
	Partition string `yaml:"partition" doc:"path of the partition's number"`
	Offset    string `yaml:"offset" doc:"path of the offset"`
}

type writeSettings struct {
	Key         string            `yaml:"key" doc:"path of the id in the document, which is the record's key; default: the hub's external id"`
	Headers     map[string]string `yaml:"headers" doc:"headers beside the hub's own: the header's name and the path of its value in the document"`
	Deletes     string            `yaml:"deletes" default:"tombstone" enum:"tombstone,document" doc:"what a deletion is: a record without a value, or the document with waybill-operation: delete"`
	Subject     string            `yaml:"subject" doc:"for avro and json-schema: the registry's subject of values; default: the topic with -value. The hub registers nothing"`
	KeySubject  string            `yaml:"key-subject" doc:"the subject of keys that have a schema; default: the topic with -key"`
	Version     string            `yaml:"version" default:"latest" doc:"the subject's version: latest (asked for once a minute), or its number"`
	Compression string            `yaml:"compression" default:"none" enum:"none,gzip,snappy,lz4,zstd" doc:"of batches"`
}

// Values of settings that are asked for.
const (
	startEarliest, startLatest                = "earliest", "latest"
	keyText, keyBase64, keyNone               = "text", "base64", "none"
	versionTimestamp, anewStart, lostContinue = "timestamp", "start", "continue"
	deletesTombstone                          = "tombstone"
)

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	for i, item := range s.Node.Get("brokers").Items() {
		if i < len(set.Brokers) && !strings.Contains(item.Text(), "${") {
			address(item, set.Brokers[i], p)
		}
	}
	if at := s.Node.Get("brokers"); at.Kind() == strictyaml.List && len(at.Items()) == 0 {
		p.AddHint(at.Pos(), "write for example [kafka.example:9092]", "brokers: the list is empty")
	}
	connector.Positive(s.Node.Get("timeout"), p)
	set.TLS.Check(s.Node.Get("tls"), p)
	if at := s.Node.Get("sasl"); set.SASL != nil && set.SASL.Mechanism == "plain" && set.TLS == nil {
		p.Note(at.Pos(), "add tls, or use scram-sha-512", "sasl: plain without tls sends the password as it is")
	}
	set.Registry.check(s.Node.Get("registry"), p)
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o != nil {
			o.check(objects.Get(name), p)
			if at := objects.Get(name); set.Registry == nil && (o.Format != formatJSON || o.Key.registered()) {
				p.AddHint(at.Pos(), "add registry: {url: …} to the system", "%s: its format needs a schema registry, and the system has none", name)
			}
		}
	}
	return set
}

// address complains of what is no host:port, and of one that the hub never connects to.
func address(n strictyaml.Node, s string, p *strictyaml.Problems) {
	host, port, err := net.SplitHostPort(s)
	if number, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || number == 0 {
		p.AddHint(n.Pos(), "write host:port, for example kafka.example:9092", "brokers: %q is no address", s)
		return
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if err := httpclient.Allowed(ip); err != nil {
			p.Add(n.Pos(), "brokers: %s", err)
		}
	}
}

func (o *object) check(n strictyaml.Node, p *strictyaml.Problems) {
	if at := n.Get("topic"); o.Topic != "" && !topicName(o.Topic) {
		p.Add(at.Pos(), "topic: %q is none: Kafka takes letters, digits, '.', '_' and '-', 249 at most", o.Topic)
	}
	if at := n.Get("key").Get("path"); o.Key.Path != "" && !o.Key.structured() {
		p.Add(at.Pos(), "path: only a key of format json, avro or json-schema has one")
	} else {
		path(at, o.Key.Path, p)
	}
	r, at := &o.Read, n.Get("read")
	if _, _, err := startOf(r.Start); err != nil {
		p.AddHint(at.Get("start").Pos(), "write earliest, latest, or for example 2026-11-01T00:00:00+08:00", "start: %s", err)
	}
	if r.Records < 1 || r.Records > mostRecords {
		p.Add(at.Get("records").Pos(), "records: write a number from 1 to %d", mostRecords)
	}
	for name, size := range map[string]strictyaml.Size{"bytes": r.Bytes, "max-value": r.MaxValue} {
		if size < 1<<10 || size > 64<<20 {
			p.Add(at.Get(name).Pos(), "%s: write a size from 1KiB to 64MiB", name)
		}
	}
	var taken []into
	once := func(node strictyaml.Node, what, to string) {
		path(node, to, p)
		if to == "" {
			return
		}
		i := slices.IndexFunc(taken, func(t into) bool {
			return t.path == to || strings.HasPrefix(t.path, to+".") || strings.HasPrefix(to, t.path+".")
		})
		if i >= 0 {
			p.Add(node.Pos(), "%s: %s takes %q already", what, taken[i].name, taken[i].path)
		}
		taken = append(taken, into{what, to})
	}
	for _, f := range at.Get("headers").Fields() {
		once(f.Value, f.Key, r.Headers[f.Key])
	}
	for _, f := range r.Into.all() {
		once(at.Get("into").Get(f.name), f.name, f.path)
	}
	w := n.Get("write")
	o.subjects(w, p)
	path(w.Get("key"), o.Write.Key, p)
	for _, f := range w.Get("headers").Fields() {
		if strings.HasPrefix(strings.ToLower(f.Key), headerPrefix) {
			p.Add(f.Value.Pos(), "%s: headers that begin with %s are the hub's own", f.Key, headerPrefix)
		}
		path(f.Value, o.Write.Headers[f.Key], p)
	}
}

// subjects completes what is asked of the registry.
func (o *object) subjects(n strictyaml.Node, p *strictyaml.Problems) {
	w := &o.Write
	for _, s := range []struct {
		key  string
		has  bool
		into *string
		end  string
	}{{"subject", o.Format != formatJSON, &w.Subject, "-value"}, {"key-subject", o.Key.registered(), &w.KeySubject, "-key"}} {
		if *s.into == "" {
			*s.into = o.Topic + s.end
		} else if !s.has {
			p.Add(n.Get(s.key).Pos(), "%s: nothing here has a schema of the registry", s.key)
		}
	}
	if v, err := strconv.Atoi(w.Version); w.Version != "latest" && (err != nil || v < 1) {
		p.AddHint(n.Get("version").Pos(), "write latest, or a number from 1 on", "version: %q is none", w.Version)
	}
}

// registered: keys name a schema of the registry. structured: the id may be a part of them.
func (k *keySettings) registered() bool {
	return k.Format == formatAvro || k.Format == formatJSONSchema
}
func (k *keySettings) structured() bool { return k.Format == formatJSON || k.registered() }

type into struct{ name, path string }

func (i *intoSettings) all() []into {
	return []into{{"key", i.Key}, {"timestamp", i.Timestamp}, {"partition", i.Partition}, {"offset", i.Offset}}
}

// mostRecords bounds what one read holds.
const mostRecords = 10_000

func topicName(s string) bool {
	return len(s) <= 249 && s != "." && s != ".." && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// path complains of what is no path of names.
func path(n strictyaml.Node, s string, p *strictyaml.Problems) {
	if s != "" && slices.Contains(strings.Split(s, "."), "") {
		p.AddHint(n.Pos(), "write names with dots between them", "%s: %q is no path", n.Key(), s)
	}
}

// startOf reads a start position: a time, or the word.
func startOf(s string) (at time.Time, word string, err error) {
	if s == startEarliest || s == startLatest {
		return at, s, nil
	}
	at, like, err := connector.RewindTime(s)
	if !like {
		err = fmt.Errorf("%q is no place to begin at", s)
	}
	return at, "", err
}
