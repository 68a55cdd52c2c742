package reconcile

import (
	"bytes"

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

// same reports whether there is nothing to say of a pair.
func (d *differ) same(p *pair) bool {
	if p.left == nil || p.right == nil || len(p.more) > 0 || p.left.filtered != p.right.filtered || p.left.why != "" || p.right.why != "" {
		return false
	}
	return len(d.diff(p)) == 0
}

// diff gives the fields in which the documents of a pair differ, until the next call. Where a document cannot be read, it says so in the entry.
func (d *differ) diff(p *pair) []compare.Field {
	d.fields = d.fields[:0]
	if p.left == nil || p.right == nil || p.left.doc == nil || p.right.doc == nil {
		return nil
	}
	if d.rules == nil || bytes.Equal(p.left.doc, p.right.doc) {
		return nil
	}
	for _, h := range []struct {
		doc *jsondoc.Doc
		e   *entry
	}{{d.left, p.left}, {d.right, p.right}} {
		if err := h.doc.Reset(h.e.doc, decide.DocumentLimits); err != nil {
			h.e.why = "what it maps to cannot be read: " + err.Error()
			return nil
		}
	}
	d.fields = d.rules.Diff(d.fields, d.left.Root(), d.right.Root())
	return d.fields
}
