package file

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common `yaml:",inline"`
	Path             string             `yaml:"path,required" doc:"directory; relative to the configuration file. Nothing outside it is touched, symbolic links included"`
	Objects          map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type object struct {
	Path            string `yaml:"path" default:"." doc:"folder below the system's path"`
	Pattern         string `yaml:"pattern" default:"*" doc:"names of the files, with * ? and [ab]"`
	format.Settings `yaml:",inline"`
	Ready           readySettings `yaml:"ready" doc:"how to know that a file is complete"`
	Done            string        `yaml:"done" default:"done" doc:"folder for files that were taken, below the object's"`
	Failed          string        `yaml:"failed" default:"failed" doc:"folder for files that could not be taken, each with a .error file beside it"`
	Write           writeSettings `yaml:"write" doc:"files that the hub writes"`
	name            string
}

type readySettings struct {
	When      string        `yaml:"when" default:"stable" enum:"stable,marker,renamed" doc:"stable: size and time have not changed for age; marker: a file of the same name with the marker's ending is there; renamed: a file is complete as soon as it has its name"`
	Age       time.Duration `yaml:"age" default:"10s" doc:"for stable: how long the hub must have seen it unchanged"`
	Cut       time.Duration `yaml:"cut-after" default:"10m" doc:"for stable: how long one that may be half an upload is held back: its last line has no line end, it ends within a quoted value, it is empty, or lacks its footer. After that it is taken, unless it ends within a row: then it fails as a whole. A file that changes all the time for so long, and one that keeps a temporary name unchanged for so long, is named in the status"`
	Marker    string        `yaml:"marker" default:".done" doc:"ending of marker files"`
	Temporary []string      `yaml:"temporary" default:".tmp,.part,.filepart" doc:"endings of files that are being written"`
}

type writeSettings struct {
	Name    string         `yaml:"name" doc:"name of the file, with {object}, {external}, {time}, {hash} and {event}; default: {object}-{external} with the format's ending, for a batch {object}-{time}-{hash}"`
	Changes string         `yaml:"changes" default:"new-file" enum:"new-file,refuse" doc:"what becomes of a change of an object that was written before: another file (in a batch, another row), or it is refused"`
	Changed string         `yaml:"changed-name" doc:"name of a file with such a change; besides, {version} is the source's version. It needs {event}, so that a change which comes again finds its own file. Default: the name with -{version}-{event} before its ending"`
	Batch   *batchSettings `yaml:"batch" doc:"one file for many documents; default: one for each"`
}

type batchSettings struct {
	Max  int           `yaml:"max" default:"1000" doc:"documents in a file"`
	Wait time.Duration `yaml:"wait" default:"1s" doc:"how long a document waits for others; its flow waits as long"`
}

// Reads are the tables of messages and the agreements with partners that the settings name.
func (Kind) Reads(s connector.Settings) []string {
	set := read(s, nil)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(set.Objects)) {
		if o := set.Objects[name]; o != nil {
			for _, file := range o.Files() {
				out = append(out, s.Path(file))
			}
		}
	}
	return out
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
			o.Load(objects.Get(name), s.Path, p)
			o.completeEDI(objects.Get(name), p)
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
	o.Settings.Complete(n, p)
	if o.Ready.When == "marker" && o.Ready.Marker == "" {
		p.Add(n.Get("ready").Get("marker").Pos(), "marker: it is empty")
	}
	if n.Get("ready").Has("cut-after") && o.Ready.When != "stable" {
		p.Add(n.Get("ready").KeyPos("cut-after"), "cut-after: it goes with when: stable")
	}
	o.completeWrite(n.Get("write"), p)
}

// completeEDI checks what interchanges need of the object beside their format.
func (o *object) completeEDI(n strictyaml.Node, p *strictyaml.Problems) {
	if o.Book() == nil {
		return
	}
	if o.Write.Batch != nil {
		p.Add(n.Get("write").KeyPos("batch"), "batch: an interchange holds one document")
	}
	if strings.Contains(o.Write.Name+o.Write.Changed, "{hash}") {
		p.Add(n.Get("write").Get("name").Pos(), "name: it cannot have {hash}, since the interchange is numbered when its file is known to be new")
	}
	for _, a := range o.Book().Agreements() {
		if a.Acknowledge != "" && o.EDI.Answers == "" {
			p.AddHint(n.Get("edi").Pos(), "add answers: FOLDER", "edi: %s wants acknowledgements, and nothing says where they are put", a.Name)
			return
		}
	}
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
	switch {
	case !template(w.Name, "{object}", "{time}", "{hash}", "{external}", "{event}"):
		p.AddHint(at, "write letters, digits, {object}, {external}, {time}, {hash} and {event}", "name: %q is no template of a name", w.Name)
	case w.Batch != nil && (strings.Contains(w.Name, "{external}") || strings.Contains(w.Name, "{event}") || !strings.Contains(w.Name, "{time}")):
		p.Add(at, "name: a batch holds many objects: it needs {time} and cannot have {external} or {event}")
	case w.Batch == nil && !strings.Contains(w.Name, "{external}") && !strings.Contains(w.Name, "{hash}") && !strings.Contains(w.Name, "{event}"):
		p.Add(at, "name: it needs {external}, {event} or {hash}, or every document would have the same name")
	}
	o.completeChanges(n, p)
}

func (o *object) completeChanges(n strictyaml.Node, p *strictyaml.Problems) {
	w, at := &o.Write, n.Get("changed-name").Pos()
	switch {
	case w.Changed != "" && (w.Batch != nil || w.Changes == "refuse"):
		p.Add(at, "changed-name: no file is written for one change")
	case w.Changed != "" && !template(w.Changed, "{object}", "{time}", "{hash}", "{external}", "{event}", "{version}"):
		p.AddHint(at, "write letters, digits, {object}, {external}, {version}, {event}, {time} and {hash}", "changed-name: %q is no template of a name", w.Changed)
	case w.Changed != "" && (!strings.Contains(w.Changed, "{event}") || strings.Contains(w.Changed, "{time}")):
		p.Add(at, "changed-name: it needs {event} and cannot have {time}: a change that comes again must find its own file")
	case w.Changed != "":
	case strings.Contains(w.Name, "{event}") && !strings.Contains(w.Name, "{time}"):
		w.Changed = w.Name
	default:
		base := strings.ReplaceAll(w.Name, "{time}", "")
		ext := path.Ext(base)
		w.Changed = strings.TrimSuffix(base, ext) + "-{version}-{event}" + ext
	}
}

// template reports whether a name consists of these words and what may stand in a file's name.
func template(name string, words ...string) bool {
	rest := name
	for _, w := range words {
		rest = strings.ReplaceAll(rest, w, "")
	}
	return !strings.ContainsAny(rest, `{}/\`) && !strings.HasPrefix(name, ".")
}
