package reconcile

import (
	"bytes"
	"slices"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// differ says in what two objects differ. It is used by one goroutine.
type differ struct {
	rules       *compare.Rules
	left, right *jsondoc.Doc
	fields      []compare.Field
}

func newDiffer(rec *config.Reconciliation) *differ {
	return &differ{rules: rec.Compare, left: jsondoc.Get(), right: jsondoc.Get()}
}

func (d *differ) close() {
	jsondoc.Put(d.left)
	jsondoc.Put(d.right)
}

// agrees reports whether there is nothing to say of a pair: nobody wants it, or both halves are the same.
func (d *differ) agrees(p *pair) bool { return p.outOfScope() || d.same(p) }

// same reports whether both halves of a pair are there, and the same.
func (d *differ) same(p *pair) bool {
	if p.left == nil || p.right == nil || len(p.more) > 0 || p.left.filtered != p.right.filtered || p.left.why != "" || p.right.why != "" {
		return false
	}
	return len(d.diff(p)) == 0
}

// diff gives the fields in which the documents of a pair differ, until the next call. Where a document cannot be read, it says so in the entry.
func (d *differ) diff(p *pair) []compare.Field {
	if p.left == nil || p.right == nil {
		return nil
	}
	return d.entries(p.left, p.right)
}

// entries is diff for any two objects.
func (d *differ) entries(left, right *entry) []compare.Field {
	d.fields = d.fields[:0]
	if d.rules == nil || left.doc == nil || right.doc == nil || bytes.Equal(left.doc, right.doc) {
		return nil
	}
	for _, h := range []struct {
		doc *jsondoc.Doc
		e   *entry
	}{{d.left, left}, {d.right, right}} {
		if err := h.doc.Reset(h.e.doc, decide.DocumentLimits); err != nil {
			h.e.why = "what it maps to cannot be read: " + err.Error()
			return nil
		}
	}
	d.fields = d.rules.Diff(d.fields, d.left.Root(), d.right.Root())
	return d.fields
}

// see takes the fields that objects have from those that none had.
func (d *differ) see(unseen *compare.Unseen, objects ...*entry) {
	for _, e := range objects {
		if len(unseen.Paths()) == 0 {
			return
		}
		if e != nil && e.doc != nil && d.left.Reset(e.doc, decide.DocumentLimits) == nil {
			unseen.See(d.left.Root())
		}
	}
}

// alike reports whether a pair differs now as it did before.
func (d *differ) alike(was, now *pair) bool {
	halves := func(p *pair) []*entry { return append([]*entry{p.left, p.right}, p.more...) }
	same := slices.EqualFunc(halves(was), halves(now), func(a, b *entry) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.filtered == b.filtered && (a.why == "") == (b.why == "")
	})
	if !same {
		return false
	}
	if was.left == nil || was.right == nil || len(was.more) > 0 {
		return slices.EqualFunc(halves(was), halves(now), func(a, b *entry) bool {
			return a == nil || a.own == b.own && (a.doc == nil) == (b.doc == nil) && len(d.entries(a, b)) == 0
		})
	}
	before := clone(d.diff(was))
	return slices.EqualFunc(before, d.diff(now), func(a, b compare.Field) bool {
		return a.Path == b.Path && bytes.Equal(a.Left, b.Left) && bytes.Equal(a.Right, b.Right)
	})
}

// clone makes fields outlive the documents that they lie in.
func clone(fields []compare.Field) []compare.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Left, out[i].Right = bytes.Clone(out[i].Left), bytes.Clone(out[i].Right)
	}
	return out
}
