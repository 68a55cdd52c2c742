package manifest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Set are the manifests that a project knows, by name. Nil knows none.
type Set struct{ files map[string]source }

type source struct {
	name string // in problems
	data []byte
}

// File is one manifest's file.
type File struct {
	Name string // in problems
	Data []byte
}

// New makes a set of files NAME.yaml. Of two of one name the later one counts: a project's own stands before a shipped one.
func New(files ...File) *Set {
	s := &Set{map[string]source{}}
	for _, f := range files {
		s.files[strings.TrimSuffix(path.Base(f.Name), ".yaml")] = source{f.Name, f.Data}
	}
	return s
}

// Files reads the manifests of a tree's top folder; dir stands before their names in problems.
func Files(tree fs.FS, dir string) ([]File, error) {
	names, err := fs.Glob(tree, "*.yaml")
	if err != nil {
		return nil, err
	}
	var out []File
	for _, name := range names {
		data, err := strictyaml.ReadFile(tree, name, strictyaml.MaxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, File{path.Join(dir, name), data})
	}
	return out, nil
}

// Names gives the names of all manifests, sorted.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.files))
}

// Has reports whether there is a manifest of that name.
func (s *Set) Has(name string) bool {
	if s == nil {
		return false
	}
	_, ok := s.files[name]
	return ok
}

// Get reads a manifest by itself, with the examples of its settings; r answers for the references of its example. It is nil where there is none, or where it
// has problems, which go to p.
func (s *Set) Get(name string, r strictyaml.Resolver, p *strictyaml.Problems) *Manifest {
	if !s.Has(name) {
		return nil
	}
	f := s.files[name]
	// What the settings are stands in the file itself: it is read for them first, and then with them.
	bare := read(f.name, f.data, filled{Resolver: r}, p)
	if bare == nil {
		return nil
	}
	values := map[string]string{}
	for key, set := range bare.Settings {
		values[key] = set.example()
	}
	m := read(f.name, f.data, filled{Resolver: r, values: values}, p)
	if m != nil && m.Name != name {
		p.AddHint(strictyaml.Pos{File: f.name}, "call the file "+m.Name+".yaml", "the manifest is called %q", m.Name)
		return nil
	}
	return m
}

// Resolved is a system as its kind reads it.
type Resolved struct {
	// Kind is the connector kind.
	Kind string
	// Node are its settings.
	Node strictyaml.Node
	// Manifest is what they were made of.
	Manifest *Manifest
}

// Resolve makes the settings of a system that names a manifest: the manifest's, with what the system says on top. kinds are the known connector kinds; nil:
// what the kind knows is not looked at. It is nil where that cannot be; every problem goes to p.
func (s *Set) Resolve(name, system string, n strictyaml.Node, kinds map[string]connector.Kind, r strictyaml.Resolver, p *strictyaml.Problems) *Resolved {
	f := s.files[name]
	bare := read(f.name, f.data, filled{Resolver: r}, p)
	if bare == nil {
		return nil
	}
	if bare.Name != name {
		p.AddHint(strictyaml.Pos{File: f.name}, "call the file "+bare.Name+".yaml", "the manifest is called %q", bare.Name)
		return nil
	}
	v := filled{Resolver: r, values: map[string]string{}, absent: map[string]bool{}, referred: map[string]bool{}}
	over, ok := n, true
	for _, key := range slices.Sorted(maps.Keys(bare.Settings)) {
		ok = v.take(name, key, bare.Settings[key], n, p) && ok
		over, _ = over.Without(key)
	}
	if kinds != nil {
		kind := kinds[bare.Connector]
		if kind == nil {
			p.AddHint(strictyaml.Pos{File: f.name}, strictyaml.DidYouMean(bare.Connector, slices.Collect(maps.Keys(kinds))), "connector: unknown connector %q", bare.Connector)
			return nil
		}
		over = known(name, bare, kind, over, p)
	}
	if !ok {
		return nil
	}
	m := read(f.name, f.data, v, p)
	if m == nil {
		return nil
	}
	base := m.auth(over, p)
	base = objects(name, base, over, p)
	return &Resolved{Kind: m.Connector, Node: strictyaml.Merge(base, over), Manifest: m}
}

// take reads a setting of the manifest.
func (v filled) take(name, key string, s Setting, n strictyaml.Node, p *strictyaml.Problems) bool {
	at := n.Get(key)
	if at.Kind() == strictyaml.Missing {
		if s.Required {
			p.AddHint(n.KeyPos("connector"), strings.TrimSpace("add for example "+key+": "+s.example()), "%q is missing, which %s needs: %s", key, name, s.Doc)
			return false
		}
		v.values[key] = s.Default
		return true
	}
	text := ""
	if !at.Decode(&text, p) {
		return false
	}
	v.absent[key], v.referred[key] = len(at.Absent()) > 0, len(at.Filled()) > 0
	if s.Pattern != "" && !v.absent[key] {
		if fits, err := regexp.Compile("^(?:" + s.Pattern + ")$"); err == nil && !fits.MatchString(text) {
			shown := strconv.Quote(text)
			if v.referred[key] { // it may be a secret
				shown = "what is filled in"
			}
			p.AddHint(at.Pos(), "write for example "+s.example(), "%s: %s does not do: %s", key, shown, s.Doc)
			return false
		}
	}
	v.values[key] = text
	return true
}

// known complains of settings that neither the manifest nor its kind knows, and leaves them out.
func known(name string, m *Manifest, kind connector.Kind, n strictyaml.Node, p *strictyaml.Problems) strictyaml.Node {
	keys := slices.Clone(reserved)
	for _, f := range kind.Spec().Fields {
		keys = append(keys, f.Name)
	}
	near := slices.Concat(slices.Sorted(maps.Keys(m.Settings)), keys)
	for _, f := range n.Fields() {
		if slices.Contains(keys, f.Key) {
			continue
		}
		hint := strictyaml.DidYouMean(f.Key, near)
		if hint == "" && len(m.Settings) > 0 {
			hint = name + " has " + strings.Join(slices.Sorted(maps.Keys(m.Settings)), ", ") + ", and the settings of " + m.Connector
		}
		p.AddHint(f.KeyPos, hint, "the manifest %s knows no setting %q", name, f.Key)
		n, _ = n.Without(f.Key)
	}
	return n
}

// auth gives the manifest's settings with the way to log in that the system has chosen.
func (m *Manifest) auth(system strictyaml.Node, p *strictyaml.Problems) strictyaml.Node {
	base := m.System
	ways := base.Get("auth")
	if ways.Kind() != strictyaml.Map {
		return base
	}
	var names []string
	for _, f := range ways.Fields() {
		names = append(names, f.Key)
	}
	chosen := system.Get("auth")
	if chosen.Kind() == strictyaml.Missing {
		p.AddHint(system.KeyPos("connector"), "write one of "+strings.Join(names, ", ")+" below auth:", "%q is missing: how the hub logs in to %s", "auth", m.Title)
	}
	for _, way := range names {
		if !chosen.Has(way) {
			base, _ = base.Without("auth", way)
		}
	}
	for _, f := range chosen.Fields() {
		if !slices.Contains(names, f.Key) {
			p.Note(f.KeyPos, "the manifest knows "+strings.Join(names, ", "), "auth: %s is no way that the manifest %s knows", f.Key, m.Name)
		}
	}
	return base
}

// objects leaves out those object types of the manifest that the system does not name, where it names some.
func objects(name string, base, over strictyaml.Node, p *strictyaml.Problems) strictyaml.Node {
	own := over.Get("objects")
	if own.Kind() != strictyaml.Map {
		return base
	}
	var there []string
	for _, f := range base.Get("objects").Fields() {
		there = append(there, f.Key)
		if !own.Has(f.Key) {
			base, _ = base.Without("objects", f.Key)
		}
	}
	for _, f := range own.Fields() {
		if !slices.Contains(there, f.Key) && len(f.Value.Fields()) == 0 && f.Value.Kind() == strictyaml.Map {
			p.AddHint(f.KeyPos, strictyaml.DidYouMean(f.Key, there), "objects: the manifest %s has no object %q, and nothing is said of it here", name, f.Key)
		}
	}
	return base
}
