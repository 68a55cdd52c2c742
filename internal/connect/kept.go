package connect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// kept is what a system said of its fields when it was asked last, in a file of the project: metadata/SYSTEM.yaml beside the configuration.
type kept struct {
	System  string                `yaml:"metadata,required"`
	Config  string                `yaml:"config"` // the configuration's file: another one beside it may have a system of the same name
	At      string                `yaml:"at,required"`
	Objects map[string]keptObject `yaml:"objects"`
}

// keptObject is one object type. Settings are the fields that the settings had then: of others nobody knows whether the system has them.
type keptObject struct {
	Settings []string             `yaml:"settings"`
	Fields   map[string]keptField `yaml:"fields"`
	Takes    map[string]keptTaken `yaml:"takes"`
}

type keptField struct {
	Type   string `yaml:"type"`
	Length int64  `yaml:"length"`
}

type keptTaken struct {
	Type     string `yaml:"type"`
	Optional bool   `yaml:"optional"`
}

func keptPath(s *config.System) string {
	return s.Settings.Path(filepath.Join("metadata", s.Name+".yaml"))
}

func configOf(s *config.System) string { return filepath.Base(s.Pos.File) }

// readKept reads what is kept of a system; nil: nothing is. What is wrong with the file is told. other is the configuration of whose system the file is, where that is another one.
func readKept(s *config.System, p *strictyaml.Problems) (_ *kept, other string) {
	name := keptPath(s)
	data, err := strictyaml.ReadPath(name, strictyaml.MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ""
	case err != nil:
		p.AddHint(strictyaml.Pos{File: name, Line: 1, Col: 1}, keepHint, "metadata of %s: %s", s.Name, err)
		return nil, ""
	}
	k := &kept{}
	own := &strictyaml.Problems{}
	nodes := strictyaml.Parse(name, data, own)
	if len(nodes) == 1 && own.Len() == 0 {
		nodes[0].Decode(k, own)
	} else if own.Len() == 0 {
		own.AddHint(strictyaml.Pos{File: name, Line: 1, Col: 1}, keepHint, "metadata of %s: one document is wanted, and there are %d", s.Name, len(nodes))
	}
	if own.Len() == 0 && k.System != s.Name {
		own.AddHint(nodes[0].Get("metadata").Pos(), keepHint, "it is of the system %q, and the file's name says %s", k.System, s.Name)
	}
	p.Append(own)
	switch {
	case own.Len() > 0:
		return nil, ""
	case k.Config != "" && k.Config != configOf(s):
		return nil, k.Config
	}
	return k, ""
}

const keepHint = "waybill check --connect --keep writes it anew"

// Kept compares the flows with what is kept of systems in the project, without a connection.
func Kept(plan *config.Plan, kinds *connector.Registry, p *strictyaml.Problems) {
	for _, name := range slices.Sorted(maps.Keys(plan.Systems)) {
		s := plan.Systems[name]
		k, _ := readKept(s, p) // nothing is known here of another configuration's system
		if k == nil {
			continue
		}
		v := visit{plan: plan, s: s, p: p}
		for _, object := range slices.Sorted(maps.Keys(k.Objects)) {
			o := k.Objects[object]
			c := comparison{visit: &v, object: object, at: v.place(object), sample: o.sample()}
			for _, field := range o.strange(described(kinds, s, object)) {
				p.Note(c.at, keepHint, "object %s of %s: the settings name %q, which the system did not have at %s", object, s.Name, field, k.At)
			}
			c.columns()
			c.taken()
		}
	}
}

// described are the fields of an object type that the settings have, those of its lists as list.field.
func described(kinds *connector.Registry, s *config.System, object string) (out []string) {
	kind, ok := kinds.Get(s.Kind)
	if !ok {
		return nil
	}
	d, ok := kind.(connector.Describer)
	if !ok {
		return nil
	}
	for _, f := range d.Describe(s.Settings, object).Fields {
		if f.Fields == nil {
			out = append(out, f.Name)
		}
		for _, sub := range f.Fields {
			out = append(out, f.Name+"."+sub.Name)
		}
	}
	slices.Sort(out)
	return out
}

// sample is what the system said then.
func (o *keptObject) sample() (out connector.Sample) {
	for _, name := range slices.Sorted(maps.Keys(o.Fields)) {
		out.Columns = append(out.Columns, connector.SampleColumn{Name: name, Type: o.Fields[name].Type, Length: o.Fields[name].Length})
	}
	for _, name := range slices.Sorted(maps.Keys(o.Takes)) {
		out.Takes = append(out.Takes, connector.TakenField{Name: name, Type: o.Takes[name].Type, Optional: o.Takes[name].Optional})
	}
	return out
}

// strange are the fields that the settings have now, had not then, and the system had not either. Of those that they had, the system has told what it has.
func (o *keptObject) strange(now []string) (out []string) {
	for _, name := range now {
		if _, has := o.Fields[name]; !has && len(o.Fields) > 0 && !slices.Contains(o.Settings, name) {
			out = append(out, name)
		}
	}
	return out
}

// keep notes what a system has said of an object type; nothing where it says nothing of fields.
func (k *kept) keep(object string, s connector.Sample, settings []string) {
	if len(s.Columns) == 0 && s.Takes == nil {
		return
	}
	o := keptObject{Settings: settings, Fields: map[string]keptField{}, Takes: map[string]keptTaken{}}
	for _, c := range s.Columns {
		o.Fields[c.Name] = keptField{c.Type, c.Length}
	}
	for _, t := range s.Takes {
		o.Takes[t.Name] = keptTaken{t.Type, t.Optional}
	}
	k.Objects[object] = o
}

// changes are the ways in which an object type is another one than what is kept of it.
func (o *keptObject) changes(s connector.Sample) (out []string) {
	now := map[string]connector.SampleColumn{}
	for _, c := range s.Columns {
		now[c.Name] = c
		switch was, has := o.Fields[c.Name]; {
		case !has:
			out = append(out, fmt.Sprintf("%s is new (%s)", c.Name, c.Type))
		case was.Type != c.Type:
			out = append(out, fmt.Sprintf("%s is %s, and was %s", c.Name, c.Type, was.Type))
		case was.Length != c.Length:
			out = append(out, fmt.Sprintf("%s takes %d characters, and took %d", c.Name, c.Length, was.Length))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Fields)) {
		if _, has := now[name]; !has {
			out = append(out, name+" is gone")
		}
	}
	takes := map[string]connector.TakenField{}
	for _, t := range s.Takes {
		takes[t.Name] = t
		switch was, has := o.Takes[t.Name]; {
		case !has:
			out = append(out, fmt.Sprintf("%s is taken now (%s)", t.Name, t.Type))
		case was.Type != t.Type || was.Optional != t.Optional:
			out = append(out, t.Name+" is taken as another one")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Takes)) {
		if _, has := takes[name]; !has {
			out = append(out, name+" is not taken any more")
		}
	}
	return out
}

// write puts the file in its place; whoever reads it meanwhile reads the one or the other. What has not changed is not written, so that a project's history shows
// changes alone.
func (k *kept) write(s *config.System, was *kept, now time.Time) error {
	if was != nil && bytes.Equal(was.text(""), k.text("")) {
		return nil
	}
	name := keptPath(s)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".metadata-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has another name by then
	_, err = f.Write(k.text(now.UTC().Format(time.RFC3339)))
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// forget takes the file away of a system that says nothing of its fields any more; false: there is none.
func forget(s *config.System) (bool, error) {
	err := os.Remove(keptPath(s))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// text is the file. Names and types are the system's: they are written as JSON, which YAML reads as it is meant.
func (k *kept) text(at string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What the system %s says of its fields. waybill check compares the mappings with it; waybill check --connect --keep writes it anew.\n", k.System)
	fmt.Fprintf(&b, "metadata: %s\nconfig: %s\nat: %s\nobjects:\n", quoted(k.System), quoted(k.Config), quoted(at))
	for _, name := range slices.Sorted(maps.Keys(k.Objects)) {
		o := k.Objects[name]
		fmt.Fprintf(&b, "  %s:\n", quoted(name))
		all := make([]string, len(o.Settings))
		for i, s := range o.Settings {
			all[i] = quoted(s)
		}
		fmt.Fprintf(&b, "    settings: [%s]\n", strings.Join(all, ", "))
		if len(o.Fields) > 0 {
			b.WriteString("    fields:\n")
		}
		for _, f := range slices.Sorted(maps.Keys(o.Fields)) {
			length := ""
			if n := o.Fields[f].Length; n > 0 {
				length = fmt.Sprintf(", length: %d", n)
			}
			fmt.Fprintf(&b, "      %s: {type: %s%s}\n", quoted(f), quoted(o.Fields[f].Type), length)
		}
		if len(o.Takes) > 0 {
			b.WriteString("    takes:\n")
		}
		for _, f := range slices.Sorted(maps.Keys(o.Takes)) {
			optional := ""
			if o.Takes[f].Optional {
				optional = ", optional: true"
			}
			fmt.Fprintf(&b, "      %s: {type: %s%s}\n", quoted(f), quoted(o.Takes[f].Type), optional)
		}
	}
	return b.Bytes()
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can be written
	return strings.TrimSuffix(b.String(), "\n")
}
