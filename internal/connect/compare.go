package connect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// comparison is one object type beside the flows that read and write it.
type comparison struct {
	*visit
	object string
	at     strictyaml.Pos
	sample connector.Sample
}

// columns compares what the system says of its fields with the settings, and lengths with what flows write.
func (c *comparison) columns() {
	var names []string
	for _, col := range c.sample.Columns {
		names = append(names, col.Name)
	}
	for _, t := range c.sample.Takes {
		names = append(names, t.Name)
	}
	for _, name := range c.sample.Lacking {
		c.p.AddHint(c.at, strictyaml.DidYouMean(name, names), "object %s of %s: the settings name %q, and the system has no such field", c.object, c.s.Name, name)
	}
	for _, col := range c.sample.Columns {
		if col.Odd != "" {
			c.p.Note(c.at, cmp.Or(col.Hint, "change the type in the settings"), "object %s of %s: %s: %s", c.object, c.s.Name, col.Name, col.Odd)
		}
		if col.Length == 0 {
			continue
		}
		for _, f := range c.plan.Flows {
			c.length(f, col)
		}
	}
}

// taken compares what flows write with the schema that the system judges it by.
func (c *comparison) taken() {
	if c.sample.Takes == nil {
		return
	}
	var names []string
	for _, t := range c.sample.Takes {
		names = append(names, t.Name)
	}
	for _, f := range c.plan.Flows {
		if f.To.System != c.s.Name || f.To.Object != c.object || f.Map == nil {
			continue
		}
		for _, name := range f.Map.TargetFields() {
			if !slices.Contains(names, name) {
				c.p.AddHint(f.Pos, strictyaml.DidYouMean(name, names), "flow %s: the mapping %s writes %q, and the schema of %s of %s has no such field: it would be parked", f.Name, f.Map.Name(), name, c.object, c.s.Name)
			}
		}
		for _, t := range c.sample.Takes {
			if !t.Optional && !slices.Contains(f.Map.Always(), t.Name) {
				c.p.AddHint(f.Pos, "have the mapping set it always, or give it a default in the schema", "flow %s: the schema of %s of %s wants %q (%s), and the mapping %s may leave it out: such a message would be parked",
					f.Name, c.object, c.s.Name, t.Name, t.Type, f.Map.Name())
			}
		}
	}
}

// length notes a text that the flow may write and the field cannot hold.
func (c *comparison) length(f *config.Flow, col connector.SampleColumn) {
	top, rest, inside := strings.Cut(col.Name, ".")
	if f.To.System != c.s.Name || f.To.Object != c.object || f.Map == nil || f.Map.To() == nil || !slices.Contains(f.Map.TargetFields(), top) {
		return
	}
	shape, state := f.Map.To().Shape().Field(top)
	if inside && state == schema.Declared {
		shape, state = shape.Item().Field(rest)
	}
	if state != schema.Declared || !slices.Contains(shape.Types(), "string") || len(shape.Enum()) > 0 {
		return
	}
	most, bounded := shape.MaxLength()
	switch {
	case bounded && int64(most) > col.Length:
		c.p.Note(f.Pos, "set maxLength, or cut the text in the mapping", "flow %s: %s may have %d characters by %s, and %s of %s takes %d (%s)", f.Name, col.Name, most, f.Map.To().Name(), c.object, c.s.Name, col.Length, col.Type)
	case !bounded && shape.Format() == "":
		c.p.Note(f.Pos, "set maxLength, or cut the text in the mapping", "flow %s: %s has no bound in %s, and %s of %s takes %d characters (%s)", f.Name, col.Name, f.Map.To().Name(), c.object, c.s.Name, col.Length, col.Type)
	}
}

// record compares the record that was read.
func (c *comparison) record() {
	rec := c.sample.Record
	if rec == nil {
		if len(c.sample.Lacking) == 0 {
			c.p.Note(c.at, "", "object %s of %s: there is no record to compare", c.object, c.s.Name)
		}
		return
	}
	c.r.Read++
	if rec.Err != nil {
		c.p.Add(c.at, "object %s of %s: a record cannot be read: %s", c.object, c.s.Name, rec.Err)
		return
	}
	doc, err := jsondoc.Parse(rec.Doc, jsondoc.Limits{})
	if err != nil {
		c.p.Add(c.at, "object %s of %s: a record is no JSON: %s", c.object, c.s.Name, err)
		return
	}
	for _, f := range c.plan.Flows {
		if f.From.System == c.s.Name && readObject(f) == c.object {
			c.incoming(f, doc)
		}
		if f.To.System == c.s.Name && f.To.Object == c.object {
			c.outgoing(f, doc)
		}
	}
}

// incoming compares what is read with what the flow accepts and its mapping reads.
func (c *comparison) incoming(f *config.Flow, doc *jsondoc.Doc) {
	if f.Accept != nil {
		if err := f.Accept.Validate(doc); err != nil {
			c.p.AddHint(f.Pos, "change the schema, or what the system shows; it would be parked", "flow %s: the record that was read from %s of %s is not what it accepts: %s", f.Name, c.object, c.s.Name, oneLine(err.Error()))
			return
		}
	}
	if f.Map == nil {
		return
	}
	var lacking []string
	for _, name := range f.Map.SourceFields() {
		if v := doc.Root().Get(name); v.Kind() == jsondoc.Missing {
			lacking = append(lacking, name)
		}
	}
	c.absent(f, lacking, doc, "reads")
}

// outgoing compares what the flow writes with what is there.
func (c *comparison) outgoing(f *config.Flow, doc *jsondoc.Doc) {
	if f.Map == nil || f.Map.To() == nil || len(c.sample.Columns) > 0 || c.sample.Takes != nil {
		return // columns have been compared with the settings, and those with the mapping; or the mapping with the schema
	}
	shape := f.Map.To().Shape()
	var lacking []string
	defer func() { c.absent(f, lacking, doc, "writes") }()
	for _, name := range f.Map.TargetFields() {
		have := doc.Root().Get(name)
		if have.Kind() == jsondoc.Missing {
			lacking = append(lacking, name)
			continue
		}
		field, state := shape.Field(name)
		if types := field.Types(); state == schema.Declared && len(types) > 0 && have.Kind() != jsondoc.Null && !isOf(have, types) {
			c.p.Note(f.Pos, "", "flow %s: %s is written as %s, and %s of %s shows %s", f.Name, name, strings.Join(types, " or "), c.object, c.s.Name, have.Kind())
		}
	}
}

// absent notes fields that the record lacks: each that may be a slip, and the others together, because a system may leave out what is empty.
func (c *comparison) absent(f *config.Flow, lacking []string, doc *jsondoc.Doc, what string) {
	var names, others []string
	for n := range doc.Root().Members() {
		names = append(names, n)
	}
	for _, name := range lacking {
		s := strictyaml.Suggest(name, names)
		if s == "" {
			others = append(others, name)
			continue
		}
		c.p.Note(f.Pos, "did you mean "+s+"?", "flow %s: the mapping %s %s %q, and the record that was read from %s of %s has no such field", f.Name, f.Map.Name(), what, name, c.object, c.s.Name)
	}
	if len(others) > 0 {
		c.p.Note(f.Pos, "nothing is wrong if the system leaves out what is empty", "flow %s: the mapping %s %s %s, which the record that was read from %s of %s does not have", f.Name, f.Map.Name(), what, strings.Join(others, ", "), c.object, c.s.Name)
	}
}

func isOf(v jsondoc.Value, types []string) bool {
	kind := map[jsondoc.Kind]string{jsondoc.Object: "object", jsondoc.Array: "array", jsondoc.String: "string", jsondoc.Number: "number", jsondoc.Bool: "boolean"}[v.Kind()]
	return slices.Contains(types, kind) || kind == "number" && slices.Contains(types, "integer")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
