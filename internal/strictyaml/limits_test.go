package strictyaml

import (
	"strings"
	"testing"
)

// TestFileLimits: a file is read up to its limits of bytes and of depth, and refused just past them with what to do.
func TestFileLimits(t *testing.T) {
	long := func(n int) string { return "a: 1\n#" + strings.Repeat("x", n-7) + "\n" }
	deep := func(n int) string { return strings.Repeat("[", n) + "1" + strings.Repeat("]", n) }
	for _, tt := range []struct {
		what string
		text func(int) string
		most int
		want string
	}{
		{"bytes", long, maxBytes, "larger than 4MiB"},
		{"levels", deep, maxDepth, "deep"},
	} {
		var p Problems
		if nodes := Parse("a.yaml", []byte(tt.text(tt.most)), &p); len(nodes) != 1 || len(p.List()) > 0 {
			t.Errorf("%d %s: %v", tt.most, tt.what, p.List())
		}
		p = Problems{}
		Parse("a.yaml", []byte(tt.text(tt.most+1)), &p)
		if all := p.List(); len(all) != 1 || !strings.Contains(all[0].String(), tt.want) {
			t.Errorf("%d %s: %v", tt.most+1, tt.what, all)
		}
	}
}
