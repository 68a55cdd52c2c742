package strictyaml

import "testing"

type fakeResolver map[string]string

func (f fakeResolver) Env(name string) (string, bool)   { v, ok := f[name]; return v, ok }
func (f fakeResolver) File(path string) ([]byte, error) { return []byte(f[path]), nil }

// TestSum: two texts have one sum exactly when they mean the same.
func TestSum(t *testing.T) {
	const base = "a: x + 1\nb: [1, two]\nc: {d: \"${env:S}\"}\n"
	env := fakeResolver{"S": "secret"}
	sum := func(text string, r Resolver) [32]byte {
		t.Helper()
		var p Problems
		nodes := ParseWith("f.yaml", []byte(text), r, &p)
		if len(nodes) != 1 || p.Len() > 0 {
			t.Fatalf("%q: %v", text, p.List())
		}
		return nodes[0].Sum()
	}
	want := sum(base, env)
	for name, text := range map[string]string{
		"comments, blank lines and styles of maps and lists": "# why\n\na: x + 1 # here\nb:\n  - 1\n  - two\nc:\n  d: \"${env:S}\"\n",
		"another kind of quotes":                             "a: x + 1\nb: [1, two]\nc: {d: '${env:S}'}\n",
		"a block that is an expression too":                  "a: >-\n  x + 1\nb: [1, two]\nc: {d: \"${env:S}\"}\n",
	} {
		if sum(text, env) != want {
			t.Errorf("%s: another sum", name)
		}
	}
	for name, text := range map[string]string{
		"an expression became a literal":  "a: \"x + 1\"\nb: [1, two]\nc: {d: \"${env:S}\"}\n",
		"another order, which rules have": "b: [1, two]\na: x + 1\nc: {d: \"${env:S}\"}\n",
		"another value":                   "a: x + 2\nb: [1, two]\nc: {d: \"${env:S}\"}\n",
		"another key":                     "a: x + 1\nb: [1, two]\nc: {e: \"${env:S}\"}\n",
		"parts cut elsewhere":             "a: x + 1\nb: [1t, wo]\nc: {d: \"${env:S}\"}\n",
		"less":                            "a: x + 1\nb: [1]\nc: {d: \"${env:S}\"}\n",
	} {
		if sum(text, env) == want {
			t.Errorf("%s: the same sum", name)
		}
	}
	if sum(base, fakeResolver{"S": "rotated"}) == want {
		t.Error("a secret was changed: the same sum")
	}
}
