package mapping

import (
	"slices"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestSourceFieldsOf(t *testing.T) {
	const text = `mapping: m
from: source.v1
to: target.v1
set:
  id: source.no
  customer.id: source.customer.id ?? source.wide
  note?: target.id + "/" + target.customer.id
  currency: "EUR"
  lines:
    each: source.lines
    set:
      sku: item.sku
      quantity: item.qty
      amount: round(this.quantity * source.rate, 2)
  total: total(target.lines, "amount")
`
	var p strictyaml.Problems
	m := Compile(strictyaml.Parse("m.yaml", []byte(text), &p)[0], testDeps(t), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		targets, want []string
	}{
		{[]string{"id"}, []string{"no"}},
		{[]string{"customer"}, []string{"customer", "wide"}},
		{[]string{"note"}, []string{"customer", "no", "wide"}},
		{[]string{"currency", "status"}, nil},
		{[]string{"lines"}, []string{"lines", "rate"}},
		{[]string{"total", "id"}, []string{"lines", "no", "rate"}},
		{m.TargetFields(), m.SourceFields()},
	} {
		if got := m.SourceFieldsOf(c.targets...); !slices.Equal(got, c.want) {
			t.Errorf("%v read %v, want %v", c.targets, got, c.want)
		}
	}
}
