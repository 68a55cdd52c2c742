package config

import (
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// flowDocument is a flow with the places of what it says, for the checks across flows.
type flowDocument struct {
	node strictyaml.Node
	flow *Flow
	// in and out are the names of the schemas that the flow reads and writes; empty: unknown.
	in, out string
}

func (l *loader) loadFlows() {
	for _, n := range l.documents["flow"] {
		d := l.flow(n)
		l.flows = append(l.flows, d)
		l.plan.Flows = append(l.plan.Flows, d.flow)
	}
	byName := func(a, b *Flow) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(l.plan.Flows, byName)
	slices.SortStableFunc(l.flows, func(a, b *flowDocument) int { return byName(a.flow, b.flow) })
}

func (l *loader) flow(n strictyaml.Node) *flowDocument {
	n = l.vendorSource(n)
	var raw flowFile
	l.decode(n, &raw)
	f := &Flow{
		Name: raw.Flow, Entity: raw.Entity, Pos: n.Pos(), Order: Order(raw.Order), JournalAll: raw.Journal == "all",
		SLO: SLO(raw.SLO), Retry: Retry{For: raw.Retry.For, Min: raw.Retry.Backoff.Min, Max: raw.Retry.Backoff.Max},
	}
	f.SLO.LateAfter = l.alwaysBounded(n, "late-after", f.SLO.LateAfter)
	f.SLO.WaitingAfter = l.alwaysBounded(n, "waiting-after", f.SLO.WaitingAfter)
	if f.Retry.Max == 0 {
		f.Retry.Min, f.Retry.Max = 200*time.Millisecond, 30*time.Second
	}
	l.known("entity", n.Get("entity"), l.entities)
	d := &flowDocument{node: n, flow: f}
	l.mapAndAccept(d)
	l.expressions(d)
	l.from(f, raw.From, n.Get("from"))
	l.source(d)
	l.to(d, raw.To, n.Get("to"))
	l.requires(d, raw.Requires)
	l.search(d, raw.Search)
	l.notSearched(f, n.Get("search"))
	return d
}

// vendorSource lays what a flow says of its source over what the manifest of its system says of webhooks and polls.
func (l *loader) vendorSource(n strictyaml.Node) strictyaml.Node {
	from := n.Get("from")
	s := l.plan.Systems[from.Get("system").Text()]
	if s == nil || s.Manifest == nil {
		return n
	}
	for key, base := range map[string]strictyaml.Node{"webhook": s.Manifest.Webhook, "poll": s.Manifest.Poll} {
		if from.Get(key).Kind() == strictyaml.Map {
			from = from.With(key, strictyaml.Merge(base, from.Get(key)))
		}
	}
	return n.With("from", from)
}

// maxSearch is how many fields of a flow's documents an object may be found by.
const maxSearch = 20

// search takes the fields by which objects are found.
func (l *loader) search(d *flowDocument, fields []string) {
	f, at := d.flow, d.node.Get("search")
	s := f.input()
	if f.OnTopic() {
		s = f.Map.To()
	}
	for i, n := range at.Items() {
		if i >= len(fields) || n.Kind() != strictyaml.Scalar {
			break
		}
		field := fields[i]
		switch {
		case field == "" || slices.Contains(strings.Split(field, "."), ""):
			l.p.AddHint(n.Pos(), "write for example number or customer.name", "search: %q is no dotted path of a field", shorten(field))
		case slices.Contains(f.Search, field):
			l.p.AddHint(n.Pos(), "remove one of the two", "search: %s stands there twice", field)
		case len(f.Search) == maxSearch:
			l.p.AddHint(n.Pos(), "leave out what people do not search for", "search: more than %d fields", maxSearch)
			return
		case s != nil:
			l.searched(n, s, field)
			fallthrough
		default:
			f.Search = append(f.Search, field)
		}
	}
}

// notSearched notes a search that finds little.
func (l *loader) notSearched(f *Flow, at strictyaml.Node) {
	switch kept := l.plan.Hub.Documents; {
	case len(f.Search) == 0:
	case kept.Age <= 0 || kept.Size <= 0:
		l.p.Note(at.Pos(), "set journal.documents in the configuration, or remove search", "search: of messages that did not fail no documents are kept, so that their objects are found by keys and ids alone")
	case f.To.Topic != "" && !f.JournalAll:
		l.p.Note(at.Pos(), "write it in the flows that read "+f.To.Topic+", or add journal: all", "search: what this flow puts on a topic is not in the journal unless it fails, so that its objects are not found by it")
	}
}

// searched complains of a field that the schema does not know.
func (l *loader) searched(n strictyaml.Node, s *schema.Schema, field string) {
	shape := s.Shape()
	for _, name := range strings.Split(field, ".") {
		for slices.Contains(shape.Types(), "array") {
			shape = shape.Item()
		}
		names := shape.Fields()
		next, declared := shape.Field(name)
		if declared != schema.Declared {
			l.p.AddHint(n.Pos(), strictyaml.DidYouMean(name, names), "search: %s has no field %q (%s)", s.Name(), field, name)
			return
		}
		shape = next
	}
}

// alwaysBounded gives a limit of slo that every flow has: 15 minutes where it says none.
func (l *loader) alwaysBounded(n strictyaml.Node, name string, limit time.Duration) time.Duration {
	if limit > 0 {
		return limit
	}
	const usual = 15 * time.Minute
	at := n.Get("slo").Get(name)
	if d, err := strictyaml.ParseDuration(at.Text()); err == nil && d == 0 {
		l.p.Note(at.Pos(), "write a time that is long enough: 30d", "slo.%s: 0 does not switch it off: it is %s", name, strictyaml.FormatDuration(usual))
	}
	return usual
}

// known complains of a name that is not in the list; it is quiet where the name is no text, of which others complain.
func (l *loader) known(what string, n strictyaml.Node, names []string) bool {
	if n.Kind() != strictyaml.Scalar {
		return false
	}
	if slices.Contains(names, n.Text()) {
		return true
	}
	if l.unread[what] || l.unread[what+" "+n.Text()] {
		return false
	}
	hint := strictyaml.DidYouMean(n.Text(), names)
	if what == "entity" && strictyaml.Suggest(n.Text(), names) == "" {
		hint = "add it to entities in the configuration file; the common ones are " + strings.Join(Entities, ", ")
	}
	if len(names) == 0 {
		hint = "there is none yet"
	}
	l.p.AddHint(n.Pos(), hint, "unknown %s %q", what, shorten(n.Text()))
	return false
}

func (l *loader) system(n strictyaml.Node) *System {
	var names []string
	for name := range l.plan.Systems {
		names = append(names, name)
	}
	if !l.known("system", n, names) {
		return nil
	}
	return l.plan.Systems[n.Text()]
}

// schema gives nil also for a schema that exists and is broken, of which is complained elsewhere.
func (l *loader) schema(n strictyaml.Node) *schema.Schema {
	if !l.known("schema", n, l.schemaNames) {
		return nil
	}
	return l.plan.Schemas.Get(n.Text())
}

func (l *loader) mapping(n strictyaml.Node) *mapping.Mapping {
	if !l.known("mapping", n, slices.Concat(l.names("mapping"), l.offered)) {
		return nil
	}
	return l.plan.Mappings[n.Text()]
}

// mapAndAccept resolves the two and checks that they fit.
func (l *loader) mapAndAccept(d *flowDocument) {
	f, n := d.flow, d.node
	f.Map, f.Accept = l.mapping(n.Get("map")), l.schema(n.Get("accept"))
	if f.Accept != nil {
		d.in, d.out = f.Accept.Name(), f.Accept.Name()
	}
	if n.Has("map") {
		d.out = ""
	}
	if f.Map == nil || f.Map.From() == nil || f.Map.To() == nil {
		return
	}
	d.out = f.Map.To().Name()
	from := f.Map.From().Name()
	if f.Accept == nil {
		d.in = from
		return
	}
	if f.Accept.Name() == from {
		return
	}
	for _, field := range f.Map.SourceFields() {
		if _, state := f.Accept.Shape().Field(field); state != schema.Declared {
			l.p.AddHint(n.Get("accept").Pos(), "accept "+from+", or use another mapping",
				"the mapping %q reads %s, and its field %q is not declared by %s", f.Map.Name(), from, field, f.Accept.Name())
			return
		}
	}
}

// input is the schema of the source document for the flow's expressions; nil: unchecked.
func (f *Flow) input() *schema.Schema {
	if f.Accept == nil && f.Map != nil {
		return f.Map.From()
	}
	return f.Accept
}

func (l *loader) expression(n strictyaml.Node, c mapping.ExprContext) *mapping.Expr {
	if n.Kind() == strictyaml.Missing {
		return nil
	}
	c.Deps = l.deps()
	return mapping.CompileExpr(n, c, l.p)
}

func (l *loader) expressions(d *flowDocument) {
	f, n := d.flow, d.node
	text := mapping.ExprContext{Schema: f.input(), Result: "string"}
	truth := mapping.ExprContext{Schema: f.input(), Result: "bool"}
	f.When = l.expression(n.Get("when"), truth)
	f.Key = l.expression(n.Get("key"), text)
	f.ID = l.expression(n.Get("id"), text)
	f.ExternalID = l.expression(n.Get("external-id"), text)
	f.Version = l.expression(n.Get("version"), text)
	f.Operation = l.expression(n.Get("operation"), text)
	from := n.Get("from")
	if from.Has("topic") {
		for _, key := range []string{"id", "external-id"} {
			if n.Has(key) {
				l.p.AddHint(n.KeyPos(key), "remove it, or write it in the flow that reads the system", "%s says how a system calls the object, but this flow reads a topic", key)
			}
		}
	}
	if !n.Has("key") && (from.Has("webhook") || from.Has("files")) {
		l.p.AddHint(n.Pos(), "add for example key: source.OrderNumber", "key is missing: nothing else says which business object a document is")
	}
}

func (l *loader) requires(d *flowDocument, raw []requireFile) {
	for i, item := range d.node.Get("requires").Items() {
		if i >= len(raw) {
			break
		}
		l.known("entity", item.Get("entity"), l.entities)
		d.flow.Requires = append(d.flow.Requires, Require{
			Entity: raw[i].Entity,
			ID:     l.expression(item.Get("id"), mapping.ExprContext{Schema: d.flow.input(), Result: "string"}),
		})
	}
	if d.node.Has("requires") && d.node.Get("to").Has("topic") {
		l.p.AddHint(d.node.KeyPos("requires"), "write it in the flow that writes to the system", "requires waits for an id in a system, but this flow writes to a topic")
	}
}

func (l *loader) from(f *Flow, raw fromFile, n strictyaml.Node) {
	if n.Kind() != strictyaml.Map {
		return
	}
	if !l.only(n, "from", "topic", "system") {
		return
	}
	if n.Has("topic") {
		for _, key := range []string{"webhook", "poll", "files"} {
			if n.Has(key) {
				l.p.AddHint(n.KeyPos(key), "remove it, or name a system in place of the topic", "%s needs a system", key)
			}
		}
		f.From.Topic = raw.Topic
		l.checkTopic(n.Get("topic"))
		return
	}
	s := l.system(n.Get("system"))
	f.From.System = raw.System
	if !l.only(n, "from.system", "webhook", "poll", "files") {
		return
	}
	switch {
	case raw.Webhook != nil:
		f.From.Webhook = l.webhook(*raw.Webhook, n.Get("webhook"))
	case raw.Poll != nil:
		f.From.Poll = l.poll(f, *raw.Poll, n.Get("poll"), s)
	case raw.Files != nil:
		at := n.Get("files")
		f.From.Files = &Files{Object: l.object(s, at, raw.Files.Object, f.Entity), Every: raw.Files.Every}
		l.everySecond(at, raw.Files.Every)
		l.able(s, n.Get("files"), "cannot read files", func(a abilities) bool { return a.Files })
	}
}

// source notes what the source's settings say of the documents that it gives.
func (l *loader) source(d *flowDocument) {
	f, at := d.flow, d.node.Get("from")
	s := l.plan.Systems[f.From.System]
	object := f.Entity
	switch {
	case f.From.Poll != nil:
		object, at = f.From.Poll.Object, at.Get("poll")
	case f.From.Files != nil:
		object = f.From.Files.Object
	}
	f.Stamps = l.describe(s, object).Stamps
	if f.From.Poll != nil {
		l.externalFits(f, s, object, f.input(), at)
	}
}

// positive complains of a duration of zero that was written.
func (l *loader) positive(n strictyaml.Node, key string) {
	if at := n.Get(key); isZero(at.Text()) {
		l.p.AddHint(at.Pos(), "write for example 10s", "%s: the time is zero", key)
	}
}

// isZero reports whether the text is zero in any unit. Other values that are not usable are complained of as such.
func isZero(text string) bool {
	return strings.HasPrefix(text, "0") && strings.Trim(text, "0.nuµmshdkKMGiB ") == ""
}

// brokersOwn are the topics in which Kafka keeps its own state: it refuses what others write there.
var brokersOwn = []string{"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"}

// checkTopic keeps a flow off the hub's own topics and off names that Kafka refuses.
func (l *loader) checkTopic(n strictyaml.Node) {
	name := n.Text()
	if n.Kind() != strictyaml.Scalar {
		return
	}
	ok := len(name) <= 200 && name != "." && name != ".." && name != ""
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	switch {
	case !ok:
		l.p.AddHint(n.Pos(), "use at most 200 letters, digits, dots, underscores and hyphens", "%q cannot be a topic", shorten(name))
	case slices.Contains(brokersOwn, name):
		l.p.AddHint(n.Pos(), "choose another name, for example canonical.order", "the topic %s is the broker's own", name)
	case strings.HasPrefix(name, "in."):
		l.p.AddHint(n.Pos(), "choose another name, for example canonical.order", "topics that begin with in. are the inboxes of flows")
	}
}
