package strictyaml

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Name string `yaml:"name,required"`
	Kind colour `yaml:"colour"`
}

type common struct {
	Note string `yaml:"note"`
}

type colour string

func (c *colour) UnmarshalNode(n Node, p *Problems) {
	var s string
	if n.Decode(&s, p) && s != "red" && s != "green" {
		p.AddHint(n.Pos(), DidYouMean(s, []string{"red", "green"}), "unknown colour %q", s)
	}
	*c = colour(s)
}

type sample struct {
	common  `yaml:",inline"`
	Text    string           `yaml:"text"`
	Yes     bool             `yaml:"yes"`
	Count   int              `yaml:"count"`
	Tiny    int8             `yaml:"tiny"`
	Wait    time.Duration    `yaml:"wait"`
	Size    Size             `yaml:"size"`
	Rate    Rate             `yaml:"rate"`
	Words   []string         `yaml:"words"`
	Map     map[string]inner `yaml:"map"`
	Inner   *inner           `yaml:"inner"`
	Expr    Node             `yaml:"expr"`
	Secret  Secret           `yaml:"secret"`
	Ignored int
}

type fixed struct{ env, files map[string]string }

func (f fixed) Env(name string) (string, bool) { v, ok := f.env[name]; return v, ok }

func (f fixed) File(path string) ([]byte, error) {
	if v, ok := f.files[path]; ok {
		return []byte(v), nil
	}
	return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
}

var testResolver = fixed{
	env:   map[string]string{"USER": "ann", "PW": "s3cret", "EMPTY": ""},
	files: map[string]string{"run/pg": "postgres://x\n"},
}

func decodeText(t *testing.T, text string, into any) string {
	t.Helper()
	var p Problems
	nodes := ParseWith("f.yaml", []byte(text), testResolver, &p)
	if p.Len() == 0 {
		if len(nodes) != 1 {
			t.Fatalf("%d documents", len(nodes))
		}
		if ok := nodes[0].Decode(into, &p); ok != (p.Len() == 0) {
			t.Errorf("Decode says %v with %d problems", ok, p.Len())
		}
	}
	if err := p.Err(); err != nil {
		return err.Error() + "\n"
	}
	return ""
}

func TestDecode(t *testing.T) {
	var got sample
	if problems := decodeText(t, `
text: 00123
note: "$${literal} ${env:USER}:${env:USER}"
yes: true
count: -42
tiny: 127
wait: 1d2h
size: 10MiB
rate: 50/s
words: [1.10, no, 08, ~x]
map: {a: {name: A}, b: {name: "${env:USER}", colour: red}}
inner: {name: in}
expr: source.x ?? "${env:NOT}"
secret: postgres://u:${env:PW}@h
`, &got); problems != "" {
		t.Fatal(problems)
	}
	if got.Expr.Text() != `source.x ?? "${env:NOT}"` || got.Expr.Quoted() {
		t.Errorf("a Node stays as it stands: %q", got.Expr.Text())
	}
	if got.Secret.Reveal() != "postgres://u:s3cret@h" {
		t.Errorf("secret %q", got.Secret.Reveal())
	}
	got.Expr, got.Secret = Node{}, Secret{}
	want := sample{
		common: common{"${literal} ann:ann"}, Text: "00123", Yes: true, Count: -42, Tiny: 127, Wait: 26 * time.Hour,
		Size: 10 << 20, Rate: Rate{50, time.Second}, Words: []string{"1.10", "no", "08", "~x"},
		Map: map[string]inner{"a": {Name: "A"}, "b": {"ann", "red"}}, Inner: &inner{Name: "in"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	got := sample{Text: "as it was", Count: 7}
	if problems := decodeText(t, "count: 8\n", &got); problems != "" {
		t.Fatal(problems)
	}
	if got.Text != "as it was" || got.Count != 8 {
		t.Errorf("got %+v", got)
	}
}

// TestDecodeProblems holds all that Decode says about wrong values; testdata/decode.yaml has one case per document.
func TestDecodeProblems(t *testing.T) {
	data, err := os.ReadFile("testdata/decode.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var p Problems
	for _, n := range ParseWith("decode.yaml", data, testResolver, &p) {
		var into sample
		if n.Decode(&into, &p) {
			t.Errorf("%s: no problem", n.Pos())
		}
	}
	golden(t, "testdata/decode.golden", p.Err().Error()+"\n")
}

func TestOSResolver(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WAYBILL_TEST_NAME", "ann")
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("abc\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(text string) (string, error) {
		var p Problems
		var s string
		Parse(filepath.Join(dir, "f.yaml"), []byte(text), &p)[0].Decode(&s, &p)
		return s, p.Err()
	}
	if got, err := read("${env:WAYBILL_TEST_NAME}/${file:token}"); got != "ann/abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := read("${file:" + dir + "/token}"); got != "abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := read("${file:big}"); err == nil || !strings.Contains(err.Error(), "1MiB") {
		t.Errorf("got %v", err)
	}
}

func TestDecodePanicsOnTypesItDoesNotKnow(t *testing.T) {
	n := Parse("f", []byte("a: 1.5"), nil)[0]
	for name, into := range map[string]any{
		"float": &struct {
			A float64 `yaml:"a"`
		}{},
		"any": &struct {
			A any `yaml:"a"`
		}{},
		"int keys":   &map[int]string{},
		"no pointer": sample{},
		"unexported": &struct {
			a string `yaml:"a"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic: the mistake would stay unseen")
				}
			}()
			n.Decode(into, nil)
		})
	}
}

// TestDecodeShapes: who writes another kind than is read is shown the right form, with what must be in it.
func TestDecodeShapes(t *testing.T) {
	type token struct {
		Name  string `yaml:"name,required"`
		Value string `yaml:"value,required"`
		Note  string `yaml:"note"`
	}
	type file struct {
		Tokens []token           `yaml:"tokens"`
		Paths  []string          `yaml:"paths"`
		One    *token            `yaml:"one"`
		Names  map[string]string `yaml:"names"`
	}
	for text, want := range map[string]string{
		"tokens: {ann: x}":    "f.yaml:1:9: tokens: expected a list, found a mapping (write [{name: …, value: …}])",
		"tokens: x":           "f.yaml:1:9: tokens: expected a list, found text (write [{name: …, value: …}])",
		"tokens: [x]":         "f.yaml:1:10: tokens: expected a mapping, found text (write {name: …, value: …})",
		"one: [x]":            "f.yaml:1:6: one: expected a mapping, found a list (write {name: …, value: …})",
		"paths: x":            "f.yaml:1:8: paths: expected a list, found text (write [x])",
		"paths: {a: x}":       "f.yaml:1:8: paths: expected a list, found a mapping",
		"names: [x]":          "f.yaml:1:8: names: expected a mapping, found a list",
		"tokens: [{name: a}]": `f.yaml:1:10: tokens: "value" is missing`,
		"one: name:a":         "f.yaml:1:6: one: expected a mapping, found text (put a space after the colon)",
	} {
		p := &Problems{}
		docs := Parse("f.yaml", []byte(text), p)
		if len(docs) != 1 {
			t.Fatalf("%s: %v", text, p)
		}
		docs[0].Decode(&file{}, p)
		if got := p.Err().Error(); !strings.Contains(got, want) || strings.HasSuffix(want, "mapping") && strings.Contains(got, "write") {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}
