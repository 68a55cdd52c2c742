package strictyaml

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// halfSet knows one variable, and stands in for all others.
type halfSet struct{}

func (halfSet) Env(name string) (string, bool) { return map[string]string{"SET": "soon"}[name], true }
func (halfSet) File(string) ([]byte, error)    { return nil, errors.New("none") }
func (halfSet) Absent(ref string) bool         { return strings.HasPrefix(ref, "env:") && ref != "env:SET" }

// TestStandIn: nothing is told of a value that a stand-in was given for, and everything of others.
func TestStandIn(t *testing.T) {
	var p Problems
	n := ParseWith("f", []byte("a: \"${env:NONE}\"\nb: \"${env:SET}\"\nc: [\"x${env:NONE}y\", \"$${env:NOT}\"]\n"), halfSet{}, &p)[0]
	for _, key := range []string{"a", "b"} {
		var number int
		n.Get(key).Decode(&number, &p)
		p.Note(n.Get(key).Pos(), "", "a note")
	}
	if p.Len() != 1 || p.List()[0].Line != 2 || len(p.Notes()) != 1 || p.Notes()[0].Line != 2 {
		t.Errorf("%v %v", p.List(), p.Notes())
	}
	if got := n.Absent(); !slices.Equal(got, []string{"env:NONE"}) {
		t.Errorf("absent: %q", got)
	}
	if got := n.Get("b").Absent(); got != nil {
		t.Errorf("absent of b: %q", got)
	}
}

func TestFilled(t *testing.T) {
	t.Setenv("A_PASSWORD", "open sesame")
	var p Problems
	docs := Parse("x.yaml", []byte("a: {b: ['${env:A_PASSWORD}', plain, 'user:${env:A_PASSWORD}', '$${env:A_PASSWORD}', '${env:IS_NOT_SET_HERE}']}\nc: '${env:A_PASSWORD}'\n"), &p)
	var got []string
	for _, s := range docs[0].Get("a").Filled() {
		got = append(got, s.Reveal())
	}
	if want := []string{"open sesame", "user:open sesame"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
