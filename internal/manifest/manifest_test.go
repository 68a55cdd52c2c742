package manifest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// kind is a connector kind of which only the settings count here.
type kind struct{}

func (kind) Spec() connector.Spec {
	return connector.Spec{Kind: "http", Summary: "a kind of tests", Fields: []connector.Field{{Name: "url"}, {Name: "auth"}, {Name: "limit"}, {Name: "objects"}}}
}
func (kind) Check(connector.Settings, *strictyaml.Problems) {}
func (kind) Open(context.Context, connector.Settings) (connector.System, error) {
	return nil, context.Canceled
}

const vendor = `manifest: club
title: Club
connector: http
settings:
  branch: {doc: the branch, required: true, example: north, pattern: "[a-z]+"}
  version: {doc: the version, default: v2}
system:
  url: https://${setting:branch}.club.example/${setting:version}
  auth: {basic: {user: hub}, api-key: {header: X-Key}}
  limit: {rate: 5/s, concurrency: 2}
  defaults: {id: Id, list: {items: data, order: changed}}
  objects: {member: {path: members}, event: {path: events, without: [list.order]}}
example: {branch: north, auth: {basic: {password: "${env:CLUB}"}}}
proof: {on: stand-in, what: a test}
claims: [{of: auth, says: none, source: "seen: here"}]
`

// partly answers for HERE, and with a stand-in for everything else.
type partly struct{}

func (partly) Env(name string) (string, bool) {
	if name == "HERE" {
		return "south", true
	}
	return "Stand-In", true
}
func (partly) File(string) ([]byte, error) { return []byte("Stand-In"), nil }
func (partly) Absent(ref string) bool      { return ref != "env:HERE" }

func resolve(t *testing.T, system string) (text string, problems []string) {
	t.Helper()
	var p strictyaml.Problems
	n := strictyaml.ParseWith("waybill.yaml", []byte(system), partly{}, &p)[0]
	r := New(File{"club.yaml", []byte(vendor)}).Resolve("club", "shop", n, map[string]connector.Kind{"http": kind{}}, partly{}, &p)
	if r != nil {
		b, _ := Defaults(r.Node, &p).AppendJSON(nil, &p)
		text = string(b)
	}
	for _, problem := range slices.Concat(p.List(), p.Notes()) {
		problems = append(problems, problem.String())
	}
	return text, problems
}

// TestResolve: a system is the manifest with what it says itself on top, with the one way to log in that it has chosen, and with the objects that it names.
func TestResolve(t *testing.T) {
	for name, c := range map[string]struct{ system, want string }{
		"as short as can be": {"connector: club\nbranch: north\nauth: {basic: {password: p}}\n",
			`{"url":"https://north.club.example/v2","auth":{"basic":{"user":"hub","password":"p"}},"limit":{"rate":"5/s","concurrency":2},"objects":{"member":{"id":"Id","list":{"items":"data","order":"changed"},"path":"members"},"event":{"id":"Id","list":{"items":"data"},"path":"events"}},"connector":"club"}`},
		"another way to log in, one object, and one of its own": {"connector: club\nbranch: ${env:HERE}\nversion: v3\nlimit: {rate: 9/s}\nauth: {api-key: {value: k}}\nobjects: {member: {id: No}, hall: {path: halls}}\n",
			`{"url":"https://south.club.example/v3","auth":{"api-key":{"header":"X-Key","value":"k"}},"limit":{"rate":"9/s","concurrency":2},"objects":{"member":{"id":"No","list":{"items":"data","order":"changed"},"path":"members"},"hall":{"id":"Id","list":{"items":"data","order":"changed"},"path":"halls"}},"connector":"club"}`},
	} {
		if got, problems := resolve(t, c.system); got != c.want || len(problems) > 0 {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, problems, got, c.want)
		}
	}
}

// TestResolveProblems: what cannot be is told at its place; what a stand-in was given for says nothing.
func TestResolveProblems(t *testing.T) {
	for name, c := range map[string]struct{ system, want string }{
		"a value that does not fit":           {"connector: club\nbranch: North\nauth: {basic: {}}\n", `waybill.yaml:2:9: branch: "North" does not do: the branch (write for example north)`},
		"a filled-in value that does not fit": {"connector: club\nbranch: a-${env:HERE}\nauth: {basic: {}}\n", `waybill.yaml:2:9: branch: what is filled in does not do: the branch (write for example north)`},
		"no value":                            {"connector: club\nauth: {basic: {}}\n", `waybill.yaml:1:1: "branch" is missing, which club needs: the branch (add for example branch: north)`},
		"another way to log in":               {"connector: club\nbranch: north\nauth: {oauth: {}}\n", `waybill.yaml:3:8: auth: oauth is no way that the manifest club knows (the manifest knows basic, api-key)`},
		"a value that is not here":            {"connector: club\nbranch: ${env:ELSEWHERE}\nauth: {basic: {}}\n", ""},
	} {
		if _, problems := resolve(t, c.system); strings.Join(problems, "; ") != c.want {
			t.Errorf("%s: %v\nwant %s", name, problems, c.want)
		}
	}
}

// TestGetProblems: a manifest by itself.
func TestGetProblems(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"an example that does not fit":   {"example: north, pattern", "example: North, pattern", `the example "North" of branch does not fit its pattern`},
		"a pattern that is none":         {"[a-z]+", "[a-z", "pattern: error parsing regexp"},
		"a setting that every one has":   {"  version: {doc", "  objects: {doc", "every system has a setting objects"},
		"a setting that is not listed":   {"${setting:version}", "${setting:verion}", "club.yaml:8:8: the manifest has no setting \"verion\" (list it under settings)"},
		"required, and with a default":   {"required: true", "required: true, default: north", "branch is required, and has a default"},
		"a claim of nothing that exists": {"of: auth", "of: weather", `of: "weather" is none of its values`},
		"no source":                      {`, source: "seen: here"`, "", `"source" is missing`},
		"a list for a mapping":           {"example: {branch: north, auth: {basic: {password: \"${env:CLUB}\"}}}", "example: [a]", "example: expected a mapping, found a list"},
	} {
		text := strings.Replace(vendor, c.from, c.to, 1)
		if text == vendor {
			t.Fatalf("%s: nothing was changed", name)
		}
		var p strictyaml.Problems
		m := New(File{"club.yaml", []byte(text)}).Get("club", partly{}, &p)
		said := ""
		if err := p.Err(); err != nil {
			said = err.Error()
		}
		if c.want == "" && said != "" || c.want != "" && (m != nil || !strings.Contains(said, c.want)) {
			t.Errorf("%s: %s\nwant %s", name, said, c.want)
		}
	}
}

// TestYAML: what is written is read as what it was, whatever stands in what, references and all.
func TestYAML(t *testing.T) {
	const text = `a: {b: {}, c: [], d: ["x, y", 'null', z]}
steps: [{state: draft}, {state: done, by: "${env:HOW}", also: [[1, "2"], {}]}]
plain: 007
text: "a: b # c"
`
	var p strictyaml.Problems
	was := strictyaml.ParseWith("a.yaml", []byte(text), partly{}, &p)[0]
	written := YAML(was, 0)
	is := strictyaml.ParseWith("b.yaml", written, partly{}, &p)[0]
	want, _ := was.AppendJSON(nil, &p)
	got, _ := is.AppendJSON(nil, &p)
	if err := p.Err(); err != nil || string(got) != string(want) || !strings.Contains(string(written), "${env:HOW}") {
		t.Errorf("%v: %s\nis read as %s\nwant %s", err, written, got, want)
	}
}
