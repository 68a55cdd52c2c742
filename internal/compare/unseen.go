package compare

import (
	"slices"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Unseen are fields that rules or totals name and that no document had so far: a name that is misspelt, or one within a list, is that of none.
type Unseen struct{ paths []string }

// Unseen begins with all fields that are compared.
func (r *Rules) Unseen() *Unseen {
	u := &Unseen{}
	for i := range r.rules {
		if rule := &r.rules[i]; rule.Path != Others && rule.How != Ignore {
			u.paths = append(u.paths, rule.Path)
		}
	}
	return u
}

// See takes away what a document has, be it null.
func (u *Unseen) See(doc jsondoc.Value) {
	u.paths = slices.DeleteFunc(u.paths, func(path string) bool { return doc.GetPath(path).Kind() != jsondoc.Missing })
}

// Paths are those of the fields.
func (u *Unseen) Paths() []string { return u.paths }

// unseen begins with all fields that totals name.
func unseen(totals []Total) *Unseen {
	u := &Unseen{}
	add := func(path string) {
		if path != "" && !slices.Contains(u.paths, path) {
			u.paths = append(u.paths, path)
		}
	}
	for _, t := range totals {
		add(t.Sum)
		for _, g := range t.By {
			add(g.Path)
		}
	}
	return u
}
