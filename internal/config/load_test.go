package config

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files")

// thing is a connector whose object types are settings.
type thing struct {
	spec connector.Spec
}

type thingSettings struct {
	connector.Common `yaml:",inline"`
	Objects          map[string]struct{} `yaml:"objects"`
	Colour           string              `yaml:"colour" enum:"red,green"`
	URL              string              `yaml:"url"`
}

func (t thing) Spec() connector.Spec { return t.spec }

func (t thing) Check(s connector.Settings, p *strictyaml.Problems) {
	var into thingSettings
	s.Decode(&into, p)
}

func (thing) Open(context.Context, connector.Settings) (connector.System, error) {
	return nil, errors.New("a check opens nothing")
}

func testKinds() map[string]connector.Kind {
	all := connector.Abilities{Write: true, Find: true, Poll: true, Files: true, List: true}
	fields := connector.Fields[thingSettings]()
	return map[string]connector.Kind{
		"thing": thing{connector.Spec{Kind: "thing", Fields: fields, Can: all}},
		"deaf":  thing{connector.Spec{Kind: "deaf", Fields: fields}},
	}
}

type testResolver map[string]string

func (r testResolver) Env(name string) (string, bool) { v, ok := r[name]; return v, ok }

func (r testResolver) File(path string) ([]byte, error) {
	if v, ok := r[path]; ok {
		return []byte(v), nil
	}
	return nil, os.ErrNotExist
}

func testOptions() Options {
	return Options{
		Kinds:    testKinds(),
		Resolver: testResolver{"KAFKA_PASSWORD": "kp", "OPS_TOKEN": "0123456789abcdef", "HOOK": "h", "OLD_HOOK": "oh", "pg": "postgres://h/d"},
		Cron: func(line, _ string) error {
			if strings.Contains(line, "25") {
				return errors.New("end of range (25) above maximum (23)")
			}
			return nil
		},
	}
}

// TestProblems compares the complete list of what is said about a directory full of broken files.
func TestProblems(t *testing.T) {
	paths := RootPaths("testdata/bad")
	plan, p := Load(paths, testOptions())
	if plan != nil {
		t.Error("there is a plan in spite of problems")
	}
	golden(t, "testdata/bad.golden", FormatText(p))
	golden(t, "testdata/bad.json.golden", FormatJSON(p))
	golden(t, "testdata/bad.github.golden", FormatGitHub(p))
	for _, problem := range p.List() {
		if problem.Line == 0 && !strings.HasSuffix(problem.File, ".yml") {
			t.Errorf("no place: %s", problem)
		}
	}
	again, q := Load(paths, testOptions())
	if again != nil || FormatText(q) != FormatText(p) {
		t.Error("a second look says something else")
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	got = filepath.ToSlash(got)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (run with -update to accept)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// TestOthersAreHeard: what schemas, mappings and expressions say comes with the place in their own file. Their words are
// tested where they are made.
func TestOthersAreHeard(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	paths := Paths{
		Config: "c.yaml", ConfigFS: fstest.MapFS{"c.yaml": text("systems: {s: {connector: thing}}\n")},
		Flows: []Source{{"flows", fstest.MapFS{"f.yaml": text(`flow: f
entity: order
from: {topic: a}
accept: a.v1
when: data.id ===
key: data.nothing
requires:
  - entity: customer
    id: >-
      data.id +
      oops(data.id)
map: m
to: {system: s}
`)}}},
		Mappings: []Source{{"mappings", fstest.MapFS{
			"m.yaml": text("mapping: m\nfrom: a.v1\nto: b.v1\nset:\n  id: source.id\n  no: source.id\n"),
			"v.yaml": text("values: v\nflow: f\ncodes: {a: {crm: A}, b: {crm: A}}\n"),
		}}},
		Schemas: []Source{{"schemas", fstest.MapFS{
			"a.v1.json": text(`{"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": false}`),
			"b.v1.json": text(`{"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": false}`),
			"c.v1.json": text("{\n  \"type\": \"objekt\"\n}\n"),
		}}},
	}
	_, p := Load(paths, testOptions())
	said := map[string]bool{}
	for _, problem := range p.List() {
		said[fmt.Sprintf("%s:%d", problem.File, problem.Line)] = true
	}
	for _, want := range []string{
		"flows/f.yaml:5", "flows/f.yaml:6", "flows/f.yaml:11", "mappings/m.yaml:6", "mappings/v.yaml:2", "mappings/v.yaml:3", "schemas/c.v1.json:2",
	} {
		if !said[want] {
			t.Errorf("nothing is said about %s", want)
		}
		delete(said, want)
	}
	for at := range said {
		t.Errorf("something is said about %s", at)
	}
	if t.Failed() {
		t.Log(FormatText(p))
	}
}
