package mapping

import (
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// pathText is a text that reads as the path of a field.
var pathText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// quotedPath notes a literal text that is the path of a field: whoever wrote the quotes will have meant the field. A single word is no path:
// `type: "order"` is as good where the source has a field of that name.
func (c *compiler) quotedPath(node strictyaml.Node) {
	text := node.Text()
	if !pathText.MatchString(text) || c.scope == nil {
		return
	}
	first, rest, _ := strings.Cut(text, ".")
	path, known := text, false
	switch first {
	case "source", "data":
		known = declaredPath(c.scope.source, rest)
	case "event":
		known = eventAttributes[rest] != nil
	case "item":
		if n := len(c.scope.items); n > 0 {
			known = declaredPath(c.scope.items[n-1].t, rest)
		}
	default:
		path, known = "source."+text, declaredPath(c.scope.source, text)
	}
	if known {
		c.p.Note(node.Pos(), "write "+path+" without quotes to take the field", "%q is quoted, so that it stands for these letters, and it is the path of a field", shorten(text))
	}
}

// declaredPath reports whether a schema declares every step of a path.
func declaredPath(t typ, path string) bool {
	for _, name := range strings.Split(path, ".") {
		if t.fields == nil && !t.shaped {
			return false
		}
		next, ok := t.field(name)
		if !ok {
			return false
		}
		t = next
	}
	return true
}
