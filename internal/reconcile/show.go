package reconcile

import (
	"bytes"
	"encoding/json"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/state"
)

// mostShown is how many fields, mostShownBytes how many bytes of a document and of all values, and mostValue how many of one value are kept with a difference.
const (
	mostShown      = 100
	mostShownBytes = 64 << 10
	mostValue      = 4 << 10
)

// show puts documents and values to a difference, with personal data masked.
func (r *Run) show(d *state.Difference, p *pair, fields []compare.Field) {
	docs := [2][]byte{docOf(p.left), docOf(p.right)}
	private := r.private(docs[:]...)
	for i, to := range []*json.RawMessage{&d.LeftDoc, &d.RightDoc} {
		if docs[i] != nil && len(docs[i]) <= mostShownBytes {
			*to = bytes.Clone(private.document(docs[i]))
		}
	}
	size := 0
	for i := range fields[:min(len(fields), mostShown)] {
		f := private.field(&fields[i])
		if size += len(f.Left) + len(f.Right); size > mostShownBytes {
			break
		}
		d.Fields = append(d.Fields, f)
	}
	d.Text = private.values.Text(d.Text)
}

// hide masks in a sentence what a pair's documents have of personal data.
func (r *Run) hide(p *pair, text string) string {
	return r.private(docOf(p.left), docOf(p.right)).values.Text(text)
}

func docOf(e *entry) []byte {
	if e == nil {
		return nil
	}
	return e.doc
}
