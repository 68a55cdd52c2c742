package cli

import (
	"strings"
	"testing"
)

func TestDiffLines(t *testing.T) {
	for _, tt := range []struct{ name, from, to, want string }{
		{"equal", "a\nb", "a\nb\n", "  a,  b"},
		{"changed in the middle", "a\nb\nc", "a\nx\nc", "  a,- b,+ x,  c"},
		{"added at the end", "a", "a\nb", "  a,+ b"},
		{"from nothing", "", "a", "+ a"},
		{"to nothing", "a", "", "- a"},
		{"moved", "a\nb\nc\nd", "b\nc\na\nd", "- a,  b,  c,+ a,  d"},
	} {
		if got := strings.Join(diffLines(tt.from, tt.to), ","); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	long := strings.Repeat("x\ny\n", 5000)
	if got := diffLines("a\n"+long+"b", "c\n"+long+"d"); got[0] != "- a" || got[len(got)-1] != "+ d" {
		t.Errorf("long texts: %q … %q", got[0], got[len(got)-1])
	}
}
