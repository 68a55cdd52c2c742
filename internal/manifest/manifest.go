// Package manifest reads manifests: what is known of one vendor's systems, so that a system of theirs is a few lines in the configuration. A manifest names
// the connector kind that it stands on and holds settings of that kind; it is YAML, and there is no Go behind it. docs/manifests.md is the format's reference.
package manifest

import (
	"regexp"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Entities are the kinds of business objects of which every manifest says something: an object type, or why there is none.
var Entities = []string{"customer", "product", "order", "inventory", "invoice"}

// Claims are what a manifest says, with its source, of the vendor's interface.
var Claims = []string{"auth", "entities", "paging", "limits", "errors", "success", "external-id", "webhooks"}

// Manifest is a manifest as it is written.
type Manifest struct {
	Name      string             `yaml:"manifest,required" doc:"the name that a system's connector gives; the file's name without .yaml"`
	Title     string             `yaml:"title,required" doc:"what people call the product"`
	About     string             `yaml:"about" doc:"what whoever connects it should know first"`
	Connector string             `yaml:"connector,required" doc:"the connector kind that it stands on"`
	Versions  string             `yaml:"versions" doc:"which versions of the product or its interface it is written for"`
	Settings  map[string]Setting `yaml:"settings" doc:"what differs from one customer of the vendor to another, by name: a system writes it as settings of its own, and ${setting:NAME} stands for it below system"`
	System    strictyaml.Node    `yaml:"system,required" type:"map" doc:"settings of the kind, as they stand below systems.NAME in the configuration; under auth every way to log in that the vendor has, of which a system chooses one; under defaults what holds for every object"`
	Webhook   strictyaml.Node    `yaml:"webhook" type:"map" doc:"what flows from the vendor's webhooks need not write: keys of from.webhook"`
	Poll      strictyaml.Node    `yaml:"poll" type:"map" doc:"what flows that poll the vendor need not write: keys of from.poll"`
	Example   strictyaml.Node    `yaml:"example,required" type:"map" doc:"a system as its user writes it, without connector"`
	Lacks     map[string]string  `yaml:"lacks" doc:"common entities that have no object type here, each with the reason"`
	OnlyRead  map[string]string  `yaml:"only-read" doc:"entities that the hub does not write here, each with the reason"`
	Personal  []string           `yaml:"personal" doc:"names of fields whose values recordings have stand-ins for: personal data, and texts of the product that are not needed"`
	Proof     Proof              `yaml:"proof,required" doc:"on what it was proven"`
	Claims    []Claim            `yaml:"claims,required" doc:"what it says of the vendor's interface, and where that stands"`
}

// Setting is what differs from one customer of a vendor to another.
type Setting struct {
	Doc      string `yaml:"doc,required" doc:"a sentence for people"`
	Required bool   `yaml:"required" doc:"a system must write it"`
	Default  string `yaml:"default" doc:"its value where a system does not write it"`
	Example  string `yaml:"example" doc:"a value, for pages and checks; default: the default"`
	Pattern  string `yaml:"pattern" doc:"a regular expression that the whole value fits"`
}

// Proof says on what a manifest was proven.
type Proof struct {
	On   string `yaml:"on,required" enum:"product,runtime,stand-in" doc:"product: the vendor's own, as customers have it; runtime: the vendor's own software, without the product's content; stand-in: made of the public documents, by this project"`
	What string `yaml:"what,required" doc:"the product, runtime or stand-in, with its version"`
	Not  string `yaml:"not" doc:"what was not proven"`
}

// Claim is something that a manifest says of a vendor's interface.
type Claim struct {
	Of     string `yaml:"of,required" enum:"auth,entities,paging,limits,errors,success,external-id,webhooks" doc:"what it is about"`
	Says   string `yaml:"says,required" doc:"the claim, in a sentence"`
	Source string `yaml:"source,required" doc:"where it stands: an address, or what was run and seen"`
}

// Fields describes the keys of a manifest.
func Fields() []connector.Field { return connector.Fields[Manifest]() }

// reserved are keys that every system has, so that no setting of a manifest can be called so.
var reserved = []string{"connector", "visible-after", "defaults", "objects"}

// read reads a manifest with what a system has filled in. What is wrong with the manifest itself goes to p.
func read(file string, data []byte, r strictyaml.Resolver, p *strictyaml.Problems) *Manifest {
	before := p.Len()
	docs := strictyaml.ParseWith(file, data, r, p)
	if len(docs) != 1 {
		if p.Len() == before {
			p.Add(strictyaml.Pos{File: file}, "a manifest is a file with one document")
		}
		return nil
	}
	m, n := &Manifest{}, docs[0]
	if !(connector.Settings{Node: n}).Decode(m, p) {
		return nil
	}
	for name, s := range m.Settings {
		at := n.Get("settings").Get(name)
		if slices.Contains(reserved, name) {
			p.AddHint(at.Pos(), "choose another name", "settings: every system has a setting %s", name)
		}
		if s.Required && s.Default != "" {
			p.AddHint(at.Pos(), "remove one of the two", "settings: %s is required, and has a default", name)
		}
		fits, err := regexp.Compile("^(?:" + s.Pattern + ")$")
		if err != nil {
			p.Add(at.Get("pattern").Pos(), "pattern: %s", err)
		} else if example := s.example(); s.Pattern != "" && !fits.MatchString(example) {
			p.AddHint(at.Pos(), "write an example that does", "settings: the example %q of %s does not fit its pattern", example, name)
		}
	}
	for _, key := range []string{"system", "webhook", "poll", "example"} {
		if at := n.Get(key); at.Kind() != strictyaml.Map && n.Has(key) {
			p.Add(at.Pos(), "%s: expected a mapping, found %s", key, at.Kind())
		}
	}
	m.used(n, p)
	for i, at := range n.Get("personal").Items() {
		if i < len(m.Personal) && m.Personal[i] == "" {
			p.Add(at.Pos(), "personal: the name of a field is empty")
		}
	}
	if p.Len() > before {
		return nil
	}
	return m
}

var reference = regexp.MustCompile(`\$\{setting:([^}]*)\}`)

// used complains of references to settings that are not listed, and of settings that nothing refers to: a system would fill them in for nothing.
func (m *Manifest) used(n strictyaml.Node, p *strictyaml.Problems) {
	seen := map[string]bool{}
	var walk func(strictyaml.Node)
	walk = func(n strictyaml.Node) {
		for _, match := range reference.FindAllStringSubmatch(n.Text(), -1) {
			seen[match[1]] = true
			if _, listed := m.Settings[match[1]]; !listed {
				p.AddHint(n.Pos(), "list it under settings", "the manifest has no setting %q", match[1])
			}
		}
		for _, f := range n.Fields() {
			walk(f.Value)
		}
		for _, item := range n.Items() {
			walk(item)
		}
	}
	for _, key := range []string{"system", "webhook", "poll"} {
		walk(n.Get(key))
	}
	for _, f := range n.Get("settings").Fields() {
		if !seen[f.Key] {
			p.AddHint(f.KeyPos, "use it below system as ${setting:"+f.Key+"}, or remove it", "settings: nothing refers to %s", f.Key)
		}
	}
}

func (s Setting) example() string {
	if s.Example != "" {
		return s.Example
	}
	return s.Default
}

// filled answers for the settings of a manifest.
type filled struct {
	strictyaml.Resolver
	values map[string]string
	absent map[string]bool // whose value a stand-in was given for
	// referred are those whose value is a reference, or holds one.
	referred map[string]bool
}

// Setting gives the value of a setting.
func (f filled) Setting(name string) (string, bool) { v, ok := f.values[name]; return v, ok }

// Referred reports whether the value was filled in from a reference.
func (f filled) Referred(name string) bool { return f.referred[name] }

// Absent reports whether a reference was answered by a stand-in.
func (f filled) Absent(ref string) bool {
	const setting = "setting:"
	if len(ref) > len(setting) && ref[:len(setting)] == setting {
		return f.absent[ref[len(setting):]]
	}
	r, ok := f.Resolver.(strictyaml.StandIn)
	return ok && r.Absent(ref)
}
