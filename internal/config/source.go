package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Source is a tree of files: a directory on disk or content embedded in the program.
type Source struct {
	// Name stands before the file names in problems.
	Name string
	FS   fs.FS
}

// Dir is a directory on disk. It may be absent: then there are no files.
func Dir(path string) Source { return Source{path, os.DirFS(path)} }

// Paths says where the files are.
type Paths struct {
	// Config is the configuration file: on disk, or in ConfigFS where that is set. Empty: no file, and only defaults.
	Config   string
	ConfigFS fs.FS
	// Dir is what relative paths in the configuration start from: ${file:…}, certificates, and the systems' own paths.
	Dir string
	// Flows and Mappings are read for YAML documents, Schemas for JSON Schemas. Any document may stand in Flows or Mappings. What a folder vendors at the
	// top of them holds are starters for others' projects, and no part of this one.
	Flows, Mappings, Schemas []Source
	// Manifests are read for the project's own manifests.
	Manifests []Source
}

// DefaultPaths are those of a configuration file on disk: flows/, mappings/ and schemas/ stand beside the file's own
// directory (configs/waybill.yaml), or beside the file where its directory holds a flows directory.
func DefaultPaths(config string) Paths {
	dir := filepath.Dir(config)
	root := filepath.Dir(dir)
	if dir == "." || dir == ".." {
		root = filepath.Join(dir, "..")
	}
	if info, err := os.Stat(filepath.Join(dir, "flows")); err == nil && info.IsDir() {
		root = dir
	}
	p := RootPaths(root)
	p.Config, p.Dir = config, dir
	return p
}

// RootPaths are those of a directory that holds configs/waybill.yaml, flows/, mappings/ and schemas/.
func RootPaths(root string) Paths {
	dir := filepath.Join(root, "configs")
	return Paths{
		Config: filepath.Join(dir, "waybill.yaml"), Dir: dir,
		Flows:    []Source{Dir(filepath.Join(root, "flows"))},
		Mappings: []Source{Dir(filepath.Join(root, "mappings"))},
		Schemas:  []Source{Dir(filepath.Join(root, "schemas"))},

		Manifests: []Source{Dir(filepath.Join(root, "manifests"))},
	}
}

// EmbeddedPaths are those of content inside the program; configs holds waybill.yaml. Relative paths start at the working
// directory.
func EmbeddedPaths(configs, flows, mappings, schemas fs.FS) Paths {
	return Paths{
		Config: "waybill.yaml", ConfigFS: configs, Dir: ".",
		Flows: []Source{{"flows", flows}}, Mappings: []Source{{"mappings", mappings}}, Schemas: []Source{{"schemas", schemas}},
	}
}

// Options are what Load needs beside the files.
type Options struct {
	// Kinds are the known connectors by name; nil: systems are not checked.
	Kinds map[string]connector.Kind
	// Manifests holds those of the program, NAME.yaml; nil: there are none.
	Manifests fs.FS
	// Resolver fills in ${env:…} and ${file:…}; nil: the process's environment, and files relative to Paths.Dir.
	Resolver strictyaml.Resolver
	// Cron checks a cron line in a zone; nil: only the line's shape is checked.
	Cron func(line, zone string) error
	// Verify builds the proof of a sender and gives why that cannot be; nil: only the settings' shape is checked.
	Verify func(v Verify) error
	// Library is what comes with the hub for every project.
	Library Library
	// Advise: also what works and will not be meant, such as a topic that nobody reads, is noted. It is for who writes the files.
	Advise bool
	// Log is handed to the systems; nil: nothing is logged.
	Log *slog.Logger
}

// file is one file that was read.
type file struct {
	display string // its name in problems
	path    string // inside its source
	data    []byte
}

// Vendors is the folder of starters at the top of flows, mappings and schemas.
const Vendors = "vendors"

// read collects the files of sources that end in ext, in the order of their names.
func (l *loader) read(sources []Source, ext string) []file {
	var out []file
	for _, s := range sources {
		err := fs.WalkDir(s.FS, ".", func(p string, d fs.DirEntry, err error) error {
			display := path.Join(filepath.ToSlash(s.Name), p)
			switch {
			case err != nil && p == "." && errors.Is(err, fs.ErrNotExist):
				return fs.SkipAll
			case err != nil:
				l.unreadable(display, err)
				return nil
			case p != "." && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case d.IsDir() && p == Vendors:
				return fs.SkipDir
			case d.IsDir():
				return nil
			}
			if f, ok := l.take(s, p, display, ext); ok {
				out = append(out, f)
			}
			return nil
		})
		if err != nil {
			l.unreadable(s.Name, err)
		}
	}
	return out
}

// take reads one file if it is of the kind that is looked for.
func (l *loader) take(s Source, p, display, ext string) (file, bool) {
	switch {
	case ext == ".yaml" && path.Ext(p) == ".yml":
		l.p.AddHint(strictyaml.Pos{File: display}, "rename it to .yaml", "files that end in .yml are not read")
		return file{}, false
	case path.Ext(p) != ext, strings.HasSuffix(p, "_test"+ext):
		return file{}, false
	}
	data, err := strictyaml.ReadFile(s.FS, p, strictyaml.MaxFile)
	if err != nil {
		l.unreadable(display, err)
		return file{}, false
	}
	l.sum(display, data)
	return file{display, p, data}, true
}

func (l *loader) unreadable(file string, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	l.p.Add(strictyaml.Pos{File: file}, "cannot be read: %s", err)
}
