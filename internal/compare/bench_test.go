package compare

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// BenchmarkDiff is what two documents of six fields cost that say the same in other bytes, and two that differ in one field.
func BenchmarkDiff(b *testing.B) {
	left := parse(b, `{"id": 4711, "name": "Müller GmbH & Co. KG", "status": "open", "amount": 1234.50, "at": "2026-11-30T04:00:00Z", "note": null}`)
	again := parse(b, `{"id":4711,"name":"Müller GmbH & Co. KG","status":"open","amount":1234.5,"at":"2026-11-30T04:00:00+00:00","note":null}`)
	other := parse(b, `{"id":4711,"name":"Müller GmbH & Co. KG","status":"paid","amount":1234.51,"at":"2026-11-30T04:00:00+00:00","note":null}`)
	named := must(b, Rule{Path: "name", How: Folded, Folds: []Folding{FoldCase, FoldWidth, FoldSpace}}, Rule{Path: "status"},
		Rule{Path: "amount", How: Within, Within: Tolerance{Bound: bound("0.01", false)}}, Rule{Path: "at", How: Time, Unit: Second})
	for name, c := range map[string]struct {
		rules *Rules
		right jsondoc.Value
	}{"all/differ": {All(), other}, "named/same": {named, again}, "named/differ": {named, other}} {
		b.Run(name, func(b *testing.B) {
			var fields []Field
			b.ReportAllocs()
			for b.Loop() {
				fields = c.rules.Diff(fields[:0], left, c.right)
			}
		})
	}
}
