package connector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type sample struct {
	Common  `yaml:",inline"`
	URL     string            `yaml:"url,required" doc:"where"`
	Token   strictyaml.Secret `yaml:"token" doc:"the token"`
	Timeout time.Duration     `yaml:"timeout" default:"30s" doc:"how long"`
	Size    strictyaml.Size   `yaml:"size" default:"10MiB" doc:"how large"`
	Rate    strictyaml.Rate   `yaml:"rate" default:"50/s" doc:"how often"`
	Mode    string            `yaml:"mode" default:"fast" enum:"fast,slow" doc:"how"`
	Retry   bool              `yaml:"retry" default:"true" doc:"again?"`
	Count   int               `yaml:"count" default:"3" doc:"how many"`
	Ends    []string          `yaml:"ends" default:".a,.b" doc:"endings"`
	Deep    struct {
		Mode string `yaml:"mode" default:"slow" enum:"fast,slow" doc:"how, below"`
	} `yaml:"deep" doc:"below"`
	Objects map[string]*struct {
		Path string `yaml:"path" default:"." doc:"a path"`
		Mode string `yaml:"mode" enum:"fast,slow" doc:"how, here"`
	} `yaml:"objects" doc:"things"`
	List []struct {
		Mode string `yaml:"mode" default:"fast" enum:"fast,slow" doc:"how, there"`
	} `yaml:"list" doc:"more"`
	Any strictyaml.Node `yaml:"any" doc:"anything"`
}

type fixed map[string]string

func (f fixed) Env(name string) (string, bool)   { v, ok := f[name]; return v, ok }
func (f fixed) File(name string) ([]byte, error) { return nil, fs.ErrNotExist }

func node(t *testing.T, yaml string) strictyaml.Node {
	t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.ParseWith("s.yaml", []byte(yaml), fixed{"T": "tok en/+", "MODE": "slow"}, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return docs[0]
}

func TestDecodeFillsDefaults(t *testing.T) {
	var s sample
	var p strictyaml.Problems
	n := node(t, "connector: x\nvisible-after: 5s\nurl: u\nretry: false\ntoken: ${env:T}\nobjects: {a: {mode: slow}, b: {path: p}}\nlist: [{}, {mode: slow}]\nmode: ${env:MODE}\n")
	if !(Settings{Node: n}).Decode(&s, &p) {
		t.Fatal(p.Err())
	}
	got := fmt.Sprintln(s.Kind, s.VisibleAfter, s.Timeout, s.Size, s.Rate, s.Mode, s.Retry, s.Count, s.Ends, s.Deep.Mode, s.Objects["a"].Path, s.Objects["b"].Path, s.List)
	want := "x 5s 30s 10MiB 50/s slow false 3 [.a .b] slow . p [{fast} {slow}]\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestDecodeProblems(t *testing.T) {
	var s sample
	var p strictyaml.Problems
	n := node(t, "mode: fats\ndeep: {mode: x}\nobjects: {a: {mode: quick, pth: x}}\nlist: [{mode: \"\"}]\ntoken: literal\n")
	if (Settings{Node: n}).Decode(&s, &p) {
		t.Fatal("no problem was found")
	}
	for _, want := range []string{`s.yaml:1:1: "url" is missing`, `s.yaml:1:7: mode: "fats" is none of its values (did you mean "fast"?)`, "s.yaml:2:14: ", "s.yaml:3:21: ", "s.yaml:3:28: ", "s.yaml:4:15: ", "s.yaml:5:8: "} {
		if !strings.Contains(p.Err().Error(), want) {
			t.Errorf("%q is not among\n%v", want, p.Err())
		}
	}
}

func TestLint(t *testing.T) {
	spec := Spec{Kind: "x", Fields: Fields[sample]()}
	var p strictyaml.Problems
	spec.Lint(node(t, "connector: x\nvisible-after: 1s\nurl: u\nany: [1]\nlist: [{mode: fast}]\nmode: ${env:MODE}\nends: [a]\n"), &p)
	if p.Len() > 0 {
		t.Error(p.Err())
	}
	spec.Lint(node(t, "urll: u\nmode: fats\ndeep: 3\nobjects: [a]\nlist: {a: b}\ntimeout: [1]\nends: [[a]]\n"), &p)
	if p.Len() != 8 {
		t.Errorf("%d problems: %v", p.Len(), p.Err())
	}
	spec.Lint(node(t, "- 1\n"), &p)
	if p.Len() != 9 {
		t.Errorf("%v", p.Err())
	}
}

func TestMarkdown(t *testing.T) {
	spec := Spec{Kind: "x", Summary: "a thing", Fields: Fields[sample](), Can: Abilities{Write: true, Poll: true}}
	text := spec.Markdown()
	for _, want := range []string{"## x", "A thing. It can be written to and polled.", "| `token` | secret |  | the token |", "| `objects.NAME.path` | string | `.` | a path |",
		"| `list[].mode` | string | `fast` | `fast` `slow` — how, there |", "| `url` | string | **required** | where |", "| `any` | any |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "connector") {
		t.Error("the hub's own keys are not the kind's")
	}
}

func TestScrubber(t *testing.T) {
	var s sample
	var p strictyaml.Problems
	(Settings{Node: node(t, "url: u\ntoken: ${env:T}\n")}).Decode(&s, &p)
	var scrub Scrubber
	scrub.AddSettings(&s)
	scrub.Add("ab", "tok en/+ and more")
	scrub.Add(`a"b\c<d`)
	for in, want := range map[string]string{
		`{"said":"no a\"b\\c<d"}`: `{"said":"no [secret]"}`, `<said>a&#34;b\c&lt;d</said>`: "<said>[secret]</said>",
		"say tok en/+": "say [secret]", "?a=tok+en%2F%2B": "?a=[secret]", "?a=tok%20en%2F%2B": "?a=[secret]", "Basic dG9rIGVuLys=": "Basic [secret]",
		"tok en/+ and more": "[secret]", "ab": "ab", "": "",
	} {
		if got := scrub.Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	err := scrub.Error(fmt.Errorf("with tok en/+: %w", context.Canceled))
	if err.Error() != "with [secret]: context canceled" || !errors.Is(err, context.Canceled) || errors.Unwrap(err) != nil {
		t.Errorf("%v", err)
	}
	if scrub.Error(nil) != nil {
		t.Error("nothing became an error")
	}
}

type named string

func (n named) Spec() Spec                                   { return Spec{Kind: string(n)} }
func (named) Check(Settings, *strictyaml.Problems)           {}
func (named) Open(context.Context, Settings) (System, error) { return nil, nil }

func TestRegistry(t *testing.T) {
	r, err := NewRegistry(named("b"), named("a"))
	if err != nil || strings.Join(r.Names(), " ") != "a b" || len(r.Map()) != 2 {
		t.Errorf("%v %v", r, err)
	}
	if _, ok := r.Get("c"); ok {
		t.Error("c is there")
	}
	for _, kinds := range [][]Kind{{named("a"), named("a")}, {named("")}} {
		if _, err := NewRegistry(kinds...); err == nil {
			t.Errorf("%v: no error", kinds)
		}
	}
}

func TestPath(t *testing.T) {
	s := Settings{Dir: "/etc/waybill"}
	for in, want := range map[string]string{"": "", "a/b": "/etc/waybill/a/b", "/x": "/x"} {
		if got := s.Path(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
