// Package flowtest runs the tests that people write beside flows and mappings: files *_test.yaml with a source document and
// what must become of it. A message is decided by the engine's own stages (decide.DryRun), without a store, a broker or a
// system, so that thousands of cases take a second. docs/testing-flows.md is the format's reference.
package flowtest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The structs below are a test file as it is written: each key once, with its sentence for people.

type suiteFile struct {
	Test    string     `yaml:"test" doc:"the flow to test"`
	Mapping string     `yaml:"mapping" doc:"or the mapping to test"`
	About   string     `yaml:"about" doc:"a sentence for people"`
	Cases   []caseFile `yaml:"cases,required" doc:"each a document and what must become of it"`
}

type caseFile struct {
	Name      string            `yaml:"name,required" doc:"says what the case shows"`
	Xref      []xrefFile        `yaml:"xref" doc:"the cross-references that the hub has"`
	Headers   map[string]string `yaml:"headers" doc:"the webhook's request headers, for delivery-id"`
	Event     eventFile         `yaml:"event" doc:"the event's attributes, all optional"`
	Given     strictyaml.Node   `yaml:"given" type:"any" doc:"the source document: quoted values are text, plain numbers, true, false and null are what they look like"`
	GivenFile string            `yaml:"given-file" doc:"or a file with the source document, byte by byte, beside the test file"`
	Want      *wantFile         `yaml:"want" doc:"the message is delivered, with this"`
	Skipped   *string           `yaml:"skipped" enum:"filtered,echo" doc:"or it is skipped, for this reason"`
	Parked    *string           `yaml:"parked" doc:"or it is parked, and the reason contains this text"`
	Waiting   *waitingFile      `yaml:"waiting" doc:"or it waits for this cross-reference"`
}

type xrefFile struct {
	Entity string `yaml:"entity,required" doc:"the kind of business object"`
	System string `yaml:"system,required" doc:"the system"`
	ID     string `yaml:"id,required" doc:"the object's id in the system"`
	Hub    string `yaml:"hub,required" doc:"its hub id"`
}

type eventFile struct {
	ID        string `yaml:"id" default:"test-1" doc:"the event's id"`
	Key       string `yaml:"key" default:"test" doc:"the business key; a flow from a system computes its own"`
	Hub       string `yaml:"hub" doc:"the object's hub id; a flow from a system finds its own"`
	Operation string `yaml:"operation" enum:"upsert,delete" default:"upsert" doc:"what happened to the object"`
	Version   string `yaml:"version" default:"1" doc:"the version; a flow with version computes its own"`
	Origin    string `yaml:"origin" doc:"the system in which the change was made first; default: the flow's source system"`
	Source    string `yaml:"source" doc:"the system that the event came from; default: the flow's source system, and test in a test of a mapping"`
	Time      string `yaml:"time" default:"2026-01-01T00:00:00Z" doc:"when the change happened, RFC 3339"`
}

type wantFile struct {
	Key       *string         `yaml:"key" doc:"the business key"`
	Version   *string         `yaml:"version" doc:"the version"`
	Operation *string         `yaml:"operation" enum:"upsert,delete" doc:"the operation"`
	Hub       *string         `yaml:"hub" doc:"the object's hub id"`
	Origin    *string         `yaml:"origin" doc:"the system in which the change was made first"`
	Delivery  *string         `yaml:"delivery-id" doc:"the webhook's delivery id"`
	Data      strictyaml.Node `yaml:"data" type:"any" doc:"the whole target document, exactly"`
	Part      strictyaml.Node `yaml:"part" type:"any" doc:"or some of its fields; null: the field is null or absent"`
	Write     *writeFile      `yaml:"write" doc:"for a flow to a system: the call that is made there"`
}

type writeFile struct {
	Action *string         `yaml:"action" enum:"create,update,delete" doc:"the kind of call"`
	Data   strictyaml.Node `yaml:"data" type:"any" doc:"the whole document that is sent: of an update, only what the flow owns"`
	Part   strictyaml.Node `yaml:"part" type:"any" doc:"or some of its fields"`
}

type waitingFile struct {
	Entity string `yaml:"entity,required" doc:"the kind of the missing object"`
	System string `yaml:"system,required" doc:"the system in which its id is missing, or whose id is unknown"`
	Hub    string `yaml:"hub" doc:"the missing object's hub id"`
	ID     string `yaml:"id" doc:"or its id in the system"`
}

// Spec describes every key of a test file, from the tags by which it is read.
func Spec() []connector.Field { return connector.Fields[suiteFile]() }

// File is one test file.
type File struct {
	// Name stands in problems and failures; for a file on disk it is its path.
	Name string
	Data []byte
	// Dir is where given-file starts.
	Dir fs.FS
	// Embedded: the file is part of the program and cannot be rewritten.
	Embedded bool
}

// Open reads one test file from disk.
func Open(name string) (File, error) {
	data, err := strictyaml.ReadPath(name, strictyaml.MaxFile)
	if err != nil {
		return File{}, err
	}
	return File{Name: filepath.ToSlash(name), Data: data, Dir: os.DirFS(filepath.Dir(name))}, nil
}

// Find reads the *_test.yaml of the flows and mappings of paths, in the order of their names.
func Find(paths config.Paths) ([]File, error) {
	var out []File
	seen := map[string]bool{}
	for _, sources := range [][]config.Source{paths.Flows, paths.Mappings} {
		for _, s := range sources {
			err := fs.WalkDir(s.FS, ".", func(p string, d fs.DirEntry, err error) error {
				name := path.Join(filepath.ToSlash(s.Name), p)
				switch {
				case err != nil && p == ".":
					return fs.SkipAll // no such directory: no tests in it
				case err != nil:
					return fmt.Errorf("%s: %w", name, err)
				case d.IsDir() && p == config.Vendors, p != "." && strings.ContainsRune("._", rune(d.Name()[0])) && d.IsDir():
					return fs.SkipDir
				case d.IsDir(), !IsTest(p), seen[name]:
					return nil
				}
				seen[name] = true
				f := File{Name: name, Embedded: paths.ConfigFS != nil}
				if f.Data, err = strictyaml.ReadFile(s.FS, p, strictyaml.MaxFile); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if f.Dir, err = fs.Sub(s.FS, path.Dir(p)); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				out = append(out, f)
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// IsTest reports whether a file of that name holds tests.
func IsTest(name string) bool { return strings.HasSuffix(name, "_test.yaml") }
