package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Load reads every file and gives the plan, or every problem in every file. The plan is nil when there is one.
func Load(paths Paths, o Options) (*Plan, *strictyaml.Problems) {
	l := &loader{
		paths: paths, o: o, p: &strictyaml.Problems{}, digest: sha256.New(),
		documents: map[string][]strictyaml.Node{}, first: map[string]strictyaml.Pos{}, unread: map[string]bool{},
		plan: &Plan{Systems: map[string]*System{}, Mappings: map[string]*mapping.Mapping{}, Values: map[string]*mapping.ValueMap{}},
	}
	if l.o.Resolver == nil {
		l.o.Resolver = strictyaml.OS(paths.Dir)
	}
	l.o.Resolver = &once{Resolver: l.o.Resolver, files: map[string]answered{}}
	l.loadHub()
	l.collect()
	l.borrow()
	l.loadSchemas()
	l.loadMappings()
	l.loadFlows()
	l.loadReconciliations()
	l.loadRules()
	l.checkPaths()
	l.checkTopics()
	l.checkFields()
	if l.o.Advise {
		l.advise()
	}
	if l.p.Len() > 0 {
		return nil, l.p
	}
	l.sums()
	l.plan.Digest = hex.EncodeToString(l.digest.Sum(nil))
	return l.plan, l.p
}

// loader holds what is known so far.
type loader struct {
	paths  Paths
	o      Options
	p      *strictyaml.Problems
	digest hash.Hash
	plan   *Plan
	// documents by their kind: flow, mapping, values, reconciliation, rule.
	documents map[string][]strictyaml.Node
	// first is where "kind name" stands first.
	first map[string]strictyaml.Pos
	// entities are the known kinds of business objects.
	entities []string
	// schemaNames are those of all schema files, broken ones too.
	schemaNames []string
	manifests   *manifest.Set
	flows       []*flowDocument
	// offered are mappings of the library that nobody has named.
	offered []string
	foreign []string // topics of programs outside the hub
	// unread holds what may stand in a file that cannot be read: a kind of name as a whole, or "kind name". It is not called
	// unknown where it is used.
	unread map[string]bool
}

func (l *loader) sum(name string, data []byte) {
	var size [8]byte
	for _, part := range [][]byte{[]byte(name), data} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		l.digest.Write(size[:])
		l.digest.Write(part)
	}
}

// kinds are the documents of flows/ and mappings/, each known by its first key.
var kinds = []string{"flow", "mapping", "values", "reconciliation", "rule"}

// collect reads all YAML documents but the configuration and sorts them by kind.
func (l *loader) collect() {
	seen := map[string]bool{}
	for _, f := range l.read(slices.Concat(l.paths.Flows, l.paths.Mappings), ".yaml") {
		if seen[f.display] {
			continue // one directory given for both
		}
		seen[f.display] = true
		before := l.p.Len()
		nodes := strictyaml.ParseWith(f.display, f.data, l.o.Resolver, l.p)
		if l.p.Len() > before {
			l.glean(f.data)
		}
		for _, n := range nodes {
			if kind := l.kindOf(n); kind != "" {
				l.documents[kind] = append(l.documents[kind], n)
			}
		}
	}
}

// begins is the first line of a document.
var begins = regexp.MustCompile(`(?m)^(flow|mapping): *"?([a-z0-9-]+)`)

// glean notes the names of documents in a text that YAML does not understand as a whole.
func (l *loader) glean(text []byte) {
	for _, m := range begins.FindAllSubmatch(text, -1) {
		l.unread[string(m[1])+" "+string(m[2])] = true
	}
}

// kindOf tells what a document is, and checks and registers its name.
func (l *loader) kindOf(n strictyaml.Node) string {
	const forms = "a document begins with flow:, mapping:, values:, reconciliation: or rule:"
	if n.Kind() != strictyaml.Map {
		l.p.AddHint(n.Pos(), forms, "expected a mapping, found %s", n.Kind())
		return ""
	}
	var found []string
	for _, kind := range kinds {
		if n.Has(kind) {
			found = append(found, kind)
		}
	}
	// A reconciliation or flow may have a key of another kind by mistake: then its own reader complains of that.
	if len(found) > 1 {
		first := n.Fields()[0].Key
		if !slices.Contains(found, first) {
			l.p.AddHint(n.Pos(), forms, "this is both a %s", strings.Join(found, " and a "))
			return ""
		}
		found = []string{first}
	}
	if len(found) == 0 {
		hint := forms
		for _, f := range n.Fields() {
			if s := strictyaml.Suggest(f.Key, kinds); s != "" {
				hint = "did you mean " + s + ": in place of " + f.Key + ":?"
				break
			}
		}
		l.p.AddHint(n.Pos(), hint, "this document is none that the hub knows")
		return ""
	}
	if name := n.Get(found[0]); name.Kind() == strictyaml.Scalar {
		l.register(found[0], name)
	}
	return found[0]
}

// register notes a name; a second thing of the same kind and name is a problem that tells both places.
func (l *loader) register(kind string, name strictyaml.Node) {
	l.checkName(name)
	key := kind + " " + name.Text()
	if at, twice := l.first[key]; twice {
		l.p.AddHint(name.Pos(), "rename one of them", "%s %q exists already, at %s", nouns[kind], name.Text(), at)
		return
	}
	l.first[key] = name.Pos()
}

var nouns = map[string]string{"flow": "the flow", "mapping": "the mapping", "values": "the value map", "reconciliation": "the reconciliation", "rule": "the rule"}

// names lists the registered names of a kind.
func (l *loader) names(kind string) []string {
	var out []string
	for key := range l.first {
		if name, ok := strings.CutPrefix(key, kind+" "); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

const nameHint = "use at most 80 small letters, digits and hyphens"

// validName keeps names fit for topics, metrics and addresses.
func validName(name string) bool {
	if name == "" || len(name) > 80 || name[0] == '-' {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') {
			return false
		}
	}
	return true
}

func (l *loader) checkName(n strictyaml.Node) {
	if !validName(n.Text()) {
		l.p.AddHint(n.Pos(), nameHint, "%q cannot be a name", shorten(n.Text()))
	}
}

// loadSchemas compiles all schemas; a schema is named by its path: crm/opportunity.v1 is schemas/crm/opportunity.v1.json.
func (l *loader) loadSchemas() {
	var files []schema.File
	at := map[string]string{}
	for _, f := range l.read(l.paths.Schemas, ".json") {
		name := strings.TrimSuffix(f.path, ".json")
		if first, twice := at[name]; twice {
			l.p.AddHint(strictyaml.Pos{File: f.display}, "rename one of them", "the schema %q exists already, at %s", name, first)
			continue
		}
		at[name] = f.display
		files = append(files, schema.File{Name: name, Path: f.display, Data: f.data})
	}
	files = append(files, l.borrowSchemas(at)...)
	l.schemaNames = slices.Sorted(maps.Keys(at))
	l.plan.Schemas = schema.Compile(files, l.p)
}

func (l *loader) loadMappings() {
	for _, n := range l.documents["values"] {
		if v := mapping.ParseValueMaps(n, l.p); v != nil {
			l.plan.Values[n.Get("values").Text()] = v
		}
	}
	for _, n := range l.documents["mapping"] {
		if m := mapping.Compile(n, l.deps(), l.p); m != nil {
			l.plan.Mappings[n.Get("mapping").Text()] = m
		}
	}
}

// deps are what mappings and expressions refer to.
func (l *loader) deps() mapping.Deps {
	bounds := l.plan.Hub.Mappings
	d := mapping.Deps{Schemas: l.plan.Schemas, Values: l.plan.Values, Limits: mapping.Limits{Bytes: int(bounds.MaxResult), Steps: bounds.MaxSteps}}
	if l.unread["system"] {
		return d
	}
	d.Systems, d.Entities = map[string]bool{}, map[string]bool{}
	for name := range l.plan.Systems {
		d.Systems[name] = true
	}
	for _, name := range l.entities {
		d.Entities[name] = true
	}
	return d
}

// readConfig gives the configuration document; a missing node where there is none.
func (l *loader) readConfig() (strictyaml.Node, bool) {
	if l.paths.Config == "" {
		return strictyaml.Node{}, true
	}
	var data []byte
	var err error
	if l.paths.ConfigFS != nil {
		data, err = strictyaml.ReadFile(l.paths.ConfigFS, l.paths.Config, strictyaml.MaxFile)
	} else {
		data, err = strictyaml.ReadPath(l.paths.Config, strictyaml.MaxFile)
	}
	if err != nil {
		l.unreadable(l.paths.Config, err)
		return strictyaml.Node{}, false
	}
	l.sum(l.paths.Config, data)
	before := l.p.Len()
	nodes := strictyaml.ParseWith(l.paths.Config, data, l.o.Resolver, l.p)
	switch {
	case len(nodes) == 1:
		return nodes[0], true
	case len(nodes) == 0:
		return strictyaml.Node{}, l.p.Len() == before
	}
	l.p.AddHint(nodes[1].Pos(), "put flows and mappings into their own directories", "a configuration file holds one document")
	return nodes[0], true
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}
