package compare

import (
	"strings"
	"time"
)

// Total is a sum, or a count, over all documents of a side, for each group of them.
type Total struct {
	// Sum is the path of the amount; empty: the documents are counted.
	Sum string
	By  []Group
	// Within is how far the two sides may be apart; nil: not at all.
	Within *Bound
}

// Group is a value that documents are grouped by: that at the path, or the period of the time there.
type Group struct {
	Path string
	Unit Unit           // Day, Month or Year; empty: the value itself
	Zone *time.Location // in which days begin; nil: UTC
}

// String names the total: sum of open_amount by currency, month of issued_at.
func (t Total) String() string {
	var b strings.Builder
	b.WriteString("count")
	if t.Sum != "" {
		b.Reset()
		b.WriteString("sum of " + t.Sum)
	}
	for i, g := range t.By {
		if i == 0 {
			b.WriteString(" by ")
		} else {
			b.WriteString(", ")
		}
		if g.Unit != "" {
			b.WriteString(string(g.Unit) + " of ")
		}
		b.WriteString(g.Path)
	}
	return b.String()
}
