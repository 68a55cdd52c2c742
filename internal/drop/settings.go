package drop

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

// Objects are the object types of a system of files, by name. Kinds have them as their setting objects.
type Objects map[string]*Object

// Object is one object type: a folder, which files of it, and what they hold.
type Object struct {
	Path            string `yaml:"path" default:"." doc:"folder below the system's path"`
	Pattern         string `yaml:"pattern" default:"*" doc:"names of the files, with * ? and [ab]"`
	format.Settings `yaml:",inline"`
	Ready           readySettings `yaml:"ready" doc:"how to know that a file is complete"`
	Done            string        `yaml:"done" default:"done" doc:"folder for files that were taken, below the object's"`
	Claim           string        `yaml:"claim" doc:"folder below the object's into which a complete file is moved before it is read, so that nobody else takes it or replaces it meanwhile; default: with sftp claimed, else none. What lies there is taken, also after a restart. Each consumer of a drop needs one of its own"`
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

// Reads are the files beside the configuration that the object types name: tables of messages and agreements with partners.
func (all Objects) Reads(s connector.Settings) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if o := all[name]; o != nil {
			for _, file := range o.Files() {
				out = append(out, s.Path(file))
			}
		}
	}
	return out
}

// Complete checks the object types of a system's settings, and fills in what follows from others; every problem goes to p. claim is the folder for claims where
// the settings name none.
func (all Objects) Complete(s connector.Settings, claim string, p *strictyaml.Problems) {
	n := s.Node.Get("objects")
	if all != nil && len(all) == 0 {
		p.Add(n.Pos(), "objects: name at least one")
	}
	for name, o := range all {
		if o != nil {
			o.name = name
			if !n.Get(name).Has("claim") {
				o.Claim = claim
			}
			o.complete(n.Get(name), p)
			o.Load(n.Get(name), s.Path, p)
			o.completeEDI(n.Get(name), p)
		}
	}
}

func (o *Object) complete(n strictyaml.Node, p *strictyaml.Problems) {
	if !filepath.IsLocal(o.Path) {
		p.AddHint(n.Get("path").Pos(), "give a folder below it", "path: %q is not below the system's path", o.Path)
	}
	for _, f := range []struct{ key, dir string }{{"done", o.Done}, {"failed", o.Failed}} {
		if !filepath.IsLocal(f.dir) || filepath.Clean(f.dir) == "." {
			p.AddHint(n.Get(f.key).Pos(), "give a folder below it", "%s: %q is not a folder below the object's path", f.key, f.dir)
		}
	}
	if o.Claim != "" {
		clean := filepath.Clean(o.Claim)
		if !filepath.IsLocal(o.Claim) || clean == "." || clean == filepath.Clean(o.Done) || clean == filepath.Clean(o.Failed) {
			p.AddHint(n.Get("claim").Pos(), "give a folder below it, of its own", "claim: %q is not a folder of its own below the object's path", o.Claim)
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
func (o *Object) completeEDI(n strictyaml.Node, p *strictyaml.Problems) {
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

func (o *Object) completeWrite(n strictyaml.Node, p *strictyaml.Problems) {
	w := &o.Write
	if w.Batch != nil && o.Whole() {
		p.Add(n.KeyPos("batch"), "batch: an e-invoice is a file of its own")
	}
	if w.Batch != nil && (w.Batch.Max < 1 || w.Batch.Wait <= 0) {
		p.Add(n.Get("batch").Pos(), "batch: max and wait must be above 0")
	}
	if w.Name == "" {
		w.Name = "{object}-{external}." + o.Ending()
		if w.Batch != nil {
			w.Name = "{object}-{time}-{hash}." + o.Ending()
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

func (o *Object) completeChanges(n strictyaml.Node, p *strictyaml.Problems) {
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
