package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/kafkaauth"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Entities are the kinds of business objects that are known without being listed under `entities`.
var Entities = []string{
	"customer", "supplier", "contact", "product", "price", "inventory", "quote", "order", "purchase", "shipment", "receipt", "demand",
	"invoice", "payment", "return", "location",
}

func (l *loader) loadHub() {
	node, ok := l.readConfig()
	l.entities = slices.Clone(Entities)
	if !ok {
		l.unread["system"], l.unread["entity"] = true, true
		return
	}
	l.plan.root = node
	l.loadManifests()
	var raw hubFile
	l.decode(node, &raw)
	for i, n := range node.Get("entities").Items() {
		if n.Kind() != strictyaml.Scalar {
			continue
		}
		l.checkName(n)
		if slices.Contains(l.entities, n.Text()) {
			l.p.AddHint(n.Pos(), "remove it", "the entity %q is known already", n.Text())
			continue
		}
		l.entities = append(l.entities, raw.Entities[i])
	}
	l.plan.Hub = Hub{Broker: l.broker(raw.Broker, node.Get("broker")), Store: l.store(raw.Store, node.Get("store"))}
	l.foreign = raw.Broker.Foreign
	l.plan.Hub.HTTP = l.http(raw.HTTP, node.Get("http"))
	l.plan.Hub.Hooks = l.hooks(raw.Hooks, node.Get("hooks"), raw.HTTP.Listen)
	l.plan.Hub.Backup = l.backup(raw.Backup, node.Get("backup"))
	l.plan.Hub.Documents = l.keptDocuments(raw.Journal.Documents, node.Get("journal").Get("documents"))
	l.plan.Hub.Mappings = l.mappingBounds(raw.Mappings, node.Get("mappings"))
	l.plan.Hub.TakeOver = l.takeOver(raw.TakeOver, node.Get("takeover-after"))
	l.plan.Hub.Alerts = l.alerts(raw.Alerts, node.Get("alerts"))
	l.plan.Hub.Traces = l.traces(raw.Traces, node.Get("traces"))
	l.loadSystems(raw.Systems)
}

// decode reads a document or a part of one strictly, with the defaults and enumerations of the struct's tags.
func (l *loader) decode(n strictyaml.Node, into any) bool {
	return connector.Settings{Node: n}.Decode(into, l.p)
}

// only complains unless exactly one of keys is there; it reports whether so.
func (l *loader) only(n strictyaml.Node, what string, keys ...string) bool {
	var found []string
	for _, key := range keys {
		if n.Has(key) {
			found = append(found, key)
		}
	}
	list := strings.Join(keys[:len(keys)-1], ", ") + " or " + keys[len(keys)-1]
	switch len(found) {
	case 1:
		return true
	case 0:
		l.p.AddHint(n.Pos(), "add one", "%s needs %s", what, list)
	default:
		l.p.AddHint(n.KeyPos(found[1]), "remove one of them", "%s has both %s: it takes one of %s", what, strings.Join(found, " and "), list)
	}
	return false
}

func (l *loader) broker(raw brokerFile, n strictyaml.Node) Broker {
	b := Broker{Partitions: raw.Partitions}
	if at := n.Get("partitions"); raw.Partitions > 1000 || raw.Partitions < 0 || isZero(at.Text()) {
		l.p.AddHint(at.Pos(), "write a number from 1 to 1000", "partitions: %d partitions are not possible", raw.Partitions)
	}
	if n.Has("embedded") || n.Has("kafka") {
		l.only(n, "broker", "embedded", "kafka")
	} else {
		raw.Embedded = &embeddedFile{"data/broker"}
	}
	if raw.Embedded != nil {
		b.Embedded = &EmbeddedBroker{Dir: raw.Embedded.Dir}
	}
	if raw.Kafka == nil {
		return b
	}
	at := n.Get("kafka")
	k := &KafkaBroker{Brokers: raw.Kafka.Brokers, Replication: raw.Kafka.Replication}
	for i, item := range at.Get("brokers").Items() {
		if i < len(k.Brokers) {
			l.address(item, k.Brokers[i], "kafka.example:9092")
		}
	}
	if at.Has("brokers") && len(k.Brokers) == 0 {
		l.p.AddHint(at.Get("brokers").Pos(), "write for example [kafka.example:9092]", "brokers: the list is empty")
	}
	if r := at.Get("replication"); k.Replication < 0 || isZero(r.Text()) {
		l.p.Add(r.Pos(), "replication: at least 1 copy is needed")
	}
	if t := raw.Kafka.TLS; t != nil {
		k.TLS = &kafkaauth.TLS{CA: l.resolve(t.CA), Cert: l.resolve(t.Cert), Key: t.Key, Insecure: t.Insecure}
		t.Check(at.Get("tls"), l.p)
	}
	k.SASL = raw.Kafka.SASL
	b.Kafka = k
	return b
}

// resolve makes a relative path start at the configuration's directory.
func (l *loader) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.paths.Dir, path)
}

func (l *loader) store(raw storeFile, n strictyaml.Node) Store {
	if n.Has("sqlite") || n.Has("postgres") {
		l.only(n, "store", "sqlite", "postgres")
	} else {
		raw.SQLite = &sqliteFile{"data/waybill.db"}
	}
	if raw.Postgres != nil {
		return Store{Postgres: &Postgres{URL: raw.Postgres.URL}}
	}
	if raw.SQLite == nil {
		return Store{}
	}
	return Store{SQLite: &SQLite{Path: raw.SQLite.Path}}
}

// slowest is the least rate of a copy: slower, a store of some gigabytes would be copied for days, and its write-ahead log grow meanwhile.
const slowest = 256 << 10

func (l *loader) backup(raw backupFile, n strictyaml.Node) Backup {
	if at := n.Get("rate"); at.Kind() == strictyaml.Scalar && raw.Rate < slowest {
		l.p.AddHint(at.Pos(), "write at least 256KiB, or leave the key out for the default", "rate: %s a second is not possible", raw.Rate)
	}
	if at := n.Get("resent-for"); raw.ResentFor < 0 || raw.ResentFor > 720*time.Hour {
		l.p.AddHint(at.Pos(), "write a time up to 720h", "resent-for: %s is not possible", raw.ResentFor)
	}
	if at := n.Get("dir"); raw.Dir != "" && l.plan.Hub.Broker.Embedded == nil {
		l.p.AddHint(at.Pos(), "remove it, and see docs/backup.md for Kafka and PostgreSQL", "dir: a hub writes copies of the embedded broker and SQLite alone")
	} else if raw.Dir != "" && l.plan.Hub.Store.SQLite == nil {
		l.p.AddHint(at.Pos(), "remove it, and see docs/backup.md for Kafka and PostgreSQL", "dir: a hub writes copies of the embedded broker and SQLite alone")
	} else if raw.Dir != "" && (inside(raw.Dir, l.plan.Hub.Broker.Embedded.Dir) || inside(l.plan.Hub.Broker.Embedded.Dir, raw.Dir)) {
		l.p.AddHint(at.Pos(), "give the copies a folder of their own, best on another disk", "dir: %s and the broker's directory %s lie in each other", raw.Dir, l.plan.Hub.Broker.Embedded.Dir)
	}
	return Backup{Dir: raw.Dir, Rate: int64(raw.Rate), Resent: raw.ResentFor}
}

// inside reports whether a path is a directory or lies in it.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// maxBody is the largest body that may be allowed: socket.request.max.bytes of a broker is 100 MiB, and more than the body has to fit.
const maxBody = 64 << 20

// maxDocuments is what a body could hold: more values than a document may have, it cannot.
const maxDocuments = 1_000_000

func (l *loader) hooks(raw hooksFile, n strictyaml.Node, other string) Hooks {
	at := n.Get("listen")
	if l.address(at, raw.Listen, "0.0.0.0:8081") && raw.Listen == other && !strings.HasSuffix(other, ":0") {
		l.p.AddHint(at.Pos(), "give the webhooks a port of their own: only they may face the internet", "listen: http listens on %s already", other)
	}
	for _, key := range []string{"max-body", "max-documents", "connections"} {
		if at := n.Get(key); at.Kind() == strictyaml.Scalar && isZero(at.Text()) {
			l.p.AddHint(at.Pos(), "leave the key out for the default", "%s: nothing could be received", key)
		}
	}
	if at := n.Get("max-body"); raw.MaxBody > maxBody {
		l.p.AddHint(at.Pos(), "write at most 64MiB: a broker takes requests of 100MiB, and a mapped document may be larger than the body", "max-body: %s could not be carried", raw.MaxBody)
	}
	if at := n.Get("max-documents"); raw.MaxDocuments < 0 || raw.MaxDocuments > maxDocuments {
		l.p.AddHint(at.Pos(), fmt.Sprintf("write a number up to %d: a document has that many values at most", maxDocuments), "max-documents: %d is not possible", raw.MaxDocuments)
	}
	if at := n.Get("leave"); raw.Leave < 0 || raw.Leave > 30*time.Second {
		l.p.AddHint(at.Pos(), "write a time up to 30s", "leave: %s is not possible", raw.Leave)
	}
	if !n.Has("leave") && l.plan.Hub.Store.Postgres != nil {
		raw.Leave = 2 * time.Second // other hubs may be there
	}
	return Hooks{Listen: raw.Listen, TLS: l.serverTLS(raw.TLS, n.Get("tls")), MaxBody: raw.MaxBody, MaxDocuments: raw.MaxDocuments, MinRate: raw.MinRate, Rate: raw.Rate, Max: raw.Connections, Leave: raw.Leave}
}

// mostDays is how long documents may be kept: as long as the journal is.
const mostDays = 90

func (l *loader) keptDocuments(raw documentsFile, n strictyaml.Node) Documents {
	if at := n.Get("days"); raw.Days < 0 || raw.Days > mostDays {
		l.p.AddHint(at.Pos(), "write a number from 0 to 90: the journal itself is kept for 90 days", "days: %d days are not possible", raw.Days)
	}
	if at := n.Get("size"); raw.Size > 0 && raw.Size < 1<<20 {
		l.p.Note(at.Pos(), "write at least 1MiB, or days: 0 for none", "size: %s holds the documents of few messages", raw.Size)
	}
	return Documents{Age: time.Duration(raw.Days) * 24 * time.Hour, Size: int64(raw.Size)}
}

// mappingBounds checks the bounds of mappings.
func (l *loader) mappingBounds(raw mappingsFile, n strictyaml.Node) Mappings {
	for _, key := range []string{"max-result", "max-steps"} {
		if at := n.Get(key); at.Kind() == strictyaml.Scalar && isZero(at.Text()) {
			l.p.AddHint(at.Pos(), "leave the key out for the default", "%s: no mapping could make anything", key)
		}
	}
	if raw.MaxResult > mapping.MaxResult {
		l.p.AddHint(n.Get("max-result").Pos(), "write at most 256MiB", "max-result: %s is not possible", raw.MaxResult)
	}
	if raw.MaxSteps < 0 || raw.MaxSteps > mapping.MaxSteps {
		l.p.AddHint(n.Get("max-steps").Pos(), fmt.Sprintf("write a number up to %d", mapping.MaxSteps), "max-steps: %d is not possible", raw.MaxSteps)
	}
	return Mappings(raw)
}

// takeOver checks the time after which a silent hub is taken for dead. Brokers do not take sessions of less than six seconds.
func (l *loader) takeOver(raw time.Duration, n strictyaml.Node) time.Duration {
	unread := raw == 0 && n.Text() != "0s" // complained of already
	if !unread && (raw < 6*time.Second || raw > 5*time.Minute) {
		l.p.AddHint(n.Pos(), "write a time from 6s to 5m", "takeover-after: %s is not possible", raw)
	}
	return raw
}

// address checks host:port.
func (l *loader) address(n strictyaml.Node, text, example string) bool {
	if n.Kind() == strictyaml.Missing {
		return true // the default
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && !validHost(host) {
		err = errNoHost
	}
	if err != nil && n.Kind() == strictyaml.Scalar {
		l.p.AddHint(n.Pos(), "write host:port, for example "+example, "%s: %q is no address", n.Key(), shorten(text))
	}
	return err == nil
}

var errNoHost = errors.New("no host")

// validHost reports whether a text can be a host: an address, a name, or nothing, which is every address of the machine. What is all digits
// and dots is an address or nothing (256.0.0.1, 127.1).
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return true
	}
	if strings.Trim(host, "0123456789.") == "" || len(host) > 253 {
		return false
	}
	for _, label := range strings.Split(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
				return false
			}
		}
	}
	return true
}

// loopback reports whether only this machine reaches the address.
func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (l *loader) loadSystems(n strictyaml.Node) {
	if n.Kind() == strictyaml.Missing || n.Kind() == strictyaml.Null {
		return
	}
	if n.Kind() != strictyaml.Map {
		l.p.AddHint(n.Pos(), "write the systems by name, each with its settings below", "systems: expected a mapping, found %s", n.Kind())
		return
	}
	for _, f := range n.Fields() {
		l.loadSystem(f)
	}
}

func (l *loader) loadSystem(f strictyaml.Field) {
	s := &System{Name: f.Key, Pos: f.KeyPos, Settings: connector.Settings{Name: f.Key, Node: f.Value, Log: l.o.Log, Dir: l.paths.Dir}}
	// Even a broken system is known by its name, so that its flows are not complained of.
	l.plan.Systems[f.Key] = s
	if !validName(f.Key) {
		l.p.AddHint(f.KeyPos, nameHint, "%q cannot be a name", shorten(f.Key))
	}
	if f.Value.Kind() != strictyaml.Map {
		l.p.AddHint(f.Value.Pos(), "write at least connector:", "%s: expected a mapping, found %s", f.Key, f.Value.Kind())
		return
	}
	kind := f.Value.Get("connector")
	if kind.Kind() == strictyaml.Missing {
		l.p.AddHint(f.KeyPos, strictyaml.DidYouMean("", l.kindNames()), "%s: connector is missing", f.Key)
		return
	}
	if !kind.Decode(&s.Kind, l.p) {
		return
	}
	before := l.p.Len()
	if !l.resolved(s) {
		return
	}
	if k, known := l.o.Kinds[s.Kind]; known {
		k.Check(s.Settings, l.p)
	} else if l.o.Kinds != nil {
		l.unknownKind(kind, s.Kind)
	}
	// The kind reads visible-after too, and may have complained of it already.
	problems := l.p
	if l.p.Len() > before {
		problems = nil
	}
	var visible time.Duration
	s.Settings.Node.Get("visible-after").Decode(&visible, problems)
	s.VisibleAfter = visible
}

// resolved makes the settings of a system those that its kind reads: with what its manifest says, and with its defaults in every object.
func (l *loader) resolved(s *System) bool {
	if _, kind := l.o.Kinds[s.Kind]; !kind && l.manifests.Has(s.Kind) {
		r := l.manifests.Resolve(s.Kind, s.Name, s.Settings.Node, l.o.Kinds, l.o.Resolver, l.p)
		if r == nil {
			return false
		}
		s.Kind, s.Settings.Node, s.Manifest = r.Kind, r.Node, r.Manifest
	}
	s.Settings.Node = manifest.Defaults(s.Settings.Node, l.p)
	return true
}

func (l *loader) unknownKind(n strictyaml.Node, name string) {
	hint := strictyaml.DidYouMean(name, slices.Concat(l.kindNames(), l.manifests.Names()))
	if hint == "" {
		hint = "kinds: " + strings.Join(l.kindNames(), ", ")
		if names := l.manifests.Names(); len(names) > 0 {
			hint += "; manifests: " + strings.Join(names, ", ")
		}
	}
	l.p.AddHint(n.Pos(), hint, "unknown connector %q", name)
}

// loadManifests reads the manifests: those of the program, and the project's own, which stand before them.
func (l *loader) loadManifests() {
	var files []manifest.File
	if l.o.Manifests != nil {
		shipped, err := manifest.Files(l.o.Manifests, "connectors/manifests")
		if err != nil {
			l.unreadable("connectors/manifests", err)
		}
		files = shipped
	}
	own := l.read(l.paths.Manifests, ".yaml")
	for _, f := range own {
		files = append(files, manifest.File{Name: f.display, Data: f.data})
	}
	l.manifests = manifest.New(files...)
	for _, f := range own { // whether a system uses it or not; shipped ones have tests
		l.manifests.Get(strings.TrimSuffix(path.Base(f.path), ".yaml"), l.o.Resolver, l.p)
	}
	for _, name := range l.manifests.Names() {
		if _, kind := l.o.Kinds[name]; kind {
			l.p.AddHint(strictyaml.Pos{File: name + ".yaml"}, "choose another name", "a manifest cannot be called as the connector kind %s is", name)
		}
	}
}

func (l *loader) kindNames() []string {
	var out []string
	for name := range l.o.Kinds {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
