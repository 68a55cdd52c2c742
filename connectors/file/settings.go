package file

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common `yaml:",inline"`
	Path             string             `yaml:"path,required" doc:"directory; relative to the configuration file. Nothing outside it is touched, symbolic links included"`
	Objects          map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type object struct {
	Path     string          `yaml:"path" default:"." doc:"folder below the system's path"`
	Pattern  string          `yaml:"pattern" default:"*" doc:"names of the files, with * ? and [ab]"`
	Format   string          `yaml:"format" default:"csv" enum:"csv,jsonl" doc:"csv, or jsonl: one JSON object a line"`
	Encoding string          `yaml:"encoding" default:"utf-8" enum:"utf-8,gb18030,iso-8859-1,iso-8859-15,windows-1252,utf-16,utf-16le,utf-16be" doc:"encoding of the files; a byte order mark is understood"`
	MaxRow   strictyaml.Size `yaml:"max-row" default:"1MiB" doc:"bound of one row"`
	CSV      csvSettings     `yaml:"csv" doc:"the dialect of csv"`
	Ready    readySettings   `yaml:"ready" doc:"how to know that a file is complete"`
	Done     string          `yaml:"done" default:"done" doc:"folder for files that were taken, below the object's"`
	Failed   string          `yaml:"failed" default:"failed" doc:"folder for files that could not be taken, each with a .error file beside it"`
	Write    writeSettings   `yaml:"write" doc:"files that the hub writes"`
	name     string
}

type csvSettings struct {
	Delimiter  string  `yaml:"delimiter" default:"," doc:"one ASCII character, or tab"`
	Quote      string  `yaml:"quote" default:"\"" doc:"one ASCII character, or none"`
	Header     bool    `yaml:"header" default:"true" doc:"the first row names the columns"`
	Columns    columns `yaml:"columns" type:"map" elem:"string" doc:"columns in their order, with their type: text, integer, decimal, date, bool; a column that a header names and this does not is text; without a header, and for writing, all of them"`
	DateLayout string  `yaml:"date-layout" default:"2006-01-02" doc:"how dates are written, in Go's notation"`
	Mark       string  `yaml:"decimal-mark" default:"." enum:".,comma" doc:"the mark of decimals: . or comma"`
	Trim       bool    `yaml:"trim" doc:"leave out blanks around values"`
}

type readySettings struct {
	When      string        `yaml:"when" default:"stable" enum:"stable,marker,renamed" doc:"stable: size and time have not changed for age; marker: a file of the same name with the marker's ending is there; renamed: a file is complete as soon as it has its name"`
	Age       time.Duration `yaml:"age" default:"10s" doc:"for stable: how long the hub must have seen it unchanged"`
	Marker    string        `yaml:"marker" default:".done" doc:"ending of marker files"`
	Temporary []string      `yaml:"temporary" default:".tmp,.part,.filepart" doc:"endings of files that are being written"`
}

type writeSettings struct {
	Name  string         `yaml:"name" doc:"name of the file, with {object}, {external}, {time} and {hash}; default: {object}-{external} with the format's ending, for a batch {object}-{time}-{hash}"`
	Batch *batchSettings `yaml:"batch" doc:"one file for many documents; default: one for each"`
}

type batchSettings struct {
	Max  int           `yaml:"max" default:"1000" doc:"documents in a file"`
	Wait time.Duration `yaml:"wait" default:"1s" doc:"how long a document waits for others; its flow waits as long"`
}

// column is one column of a CSV file.
type column struct{ name, typ string }

// columns keep the order in which they stand in the settings.
type columns []column

var columnTypes = []string{"text", "integer", "decimal", "date", "bool"}

// UnmarshalNode reads a mapping of names to types.
func (c *columns) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Kind() != strictyaml.Map {
		p.AddHint(n.Pos(), "write for example {sku: text, quantity: decimal}", "columns: expected a mapping, found %s", n.Kind())
		return
	}
	for _, f := range n.Fields() {
		var typ string
		if f.Value.Decode(&typ, p) && !slices.Contains(columnTypes, typ) {
			p.AddHint(f.Value.Pos(), strictyaml.DidYouMean(typ, columnTypes), "%s: %q is no type", f.Key, typ)
		}
		*c = append(*c, column{f.Key, typ})
	}
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o != nil {
			o.name = name
			o.complete(objects.Get(name), p)
		}
	}
	return set
}

func (o *object) complete(n strictyaml.Node, p *strictyaml.Problems) {
	if !filepath.IsLocal(o.Path) {
		p.AddHint(n.Get("path").Pos(), "give a folder below it", "path: %q is not below the system's path", o.Path)
	}
	for _, f := range []struct{ key, dir string }{{"done", o.Done}, {"failed", o.Failed}} {
		if !filepath.IsLocal(f.dir) || filepath.Clean(f.dir) == "." {
			p.AddHint(n.Get(f.key).Pos(), "give a folder below it", "%s: %q is not a folder below the object's path", f.key, f.dir)
		}
	}
	if _, err := path.Match(o.Pattern, "x"); err != nil || strings.ContainsAny(o.Pattern, `/\`) {
		p.Add(n.Get("pattern").Pos(), "pattern: %q is none", o.Pattern)
	}
	c, at := &o.CSV, n.Get("csv")
	switch c.Delimiter {
	case "tab", `\t`:
		c.Delimiter = "\t"
	default:
		if !single(c.Delimiter) {
			p.AddHint(at.Get("delimiter").Pos(), "write one ASCII character, or tab", "delimiter: %q is none", c.Delimiter)
		}
	}
	if c.Quote == "none" {
		c.Quote = ""
	} else if !single(c.Quote) || c.Quote == c.Delimiter {
		p.AddHint(at.Get("quote").Pos(), "write one ASCII character other than the delimiter, or none", "quote: %q is none", c.Quote)
	}
	if !c.Header && len(c.Columns) == 0 && o.Format == "csv" {
		p.Add(at.Pos(), "csv: without a header the columns must be listed")
	}
	sample := time.Date(2031, 11, 23, 0, 0, 0, 0, time.UTC)
	if t, err := time.Parse(c.DateLayout, sample.Format(c.DateLayout)); err != nil || !t.Equal(sample) {
		p.AddHint(at.Get("date-layout").Pos(), "write for example 02.01.2006", "date-layout: %q does not hold a whole date", c.DateLayout)
	}
	if o.Ready.When == "marker" && o.Ready.Marker == "" {
		p.Add(n.Get("ready").Get("marker").Pos(), "marker: it is empty")
	}
	o.completeWrite(n.Get("write"), p)
}

func (o *object) completeWrite(n strictyaml.Node, p *strictyaml.Problems) {
	w := &o.Write
	if w.Batch != nil && (w.Batch.Max < 1 || w.Batch.Wait <= 0) {
		p.Add(n.Get("batch").Pos(), "batch: max and wait must be above 0")
	}
	if w.Name == "" {
		w.Name = "{object}-{external}." + o.Format
		if w.Batch != nil {
			w.Name = "{object}-{time}-{hash}." + o.Format
		}
	}
	at := n.Get("name").Pos()
	rest := strings.NewReplacer("{object}", "", "{time}", "", "{hash}", "", "{external}", "").Replace(w.Name)
	switch {
	case strings.ContainsAny(rest, `{}/\`) || strings.HasPrefix(w.Name, "."):
		p.AddHint(at, "write letters, digits, {object}, {external}, {time} and {hash}", "name: %q is no template of a name", w.Name)
	case w.Batch != nil && (strings.Contains(w.Name, "{external}") || !strings.Contains(w.Name, "{time}")):
		p.Add(at, "name: a batch holds many objects: it needs {time} and cannot have {external}")
	case w.Batch == nil && !strings.Contains(w.Name, "{external}") && !strings.Contains(w.Name, "{hash}"):
		p.Add(at, "name: it needs {external} or {hash}, or every document would have the same name")
	}
}

func single(s string) bool { return len(s) == 1 && s[0] >= ' ' && s[0] < 0x7f || s == "\t" }
