package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestCopies(t *testing.T) {
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
    where: item.qty > source.rate
    set:
      sku: upper(item.sku)
      quantity: item.qty
      amount: round(this.quantity * source.rate, 2)
  total: total(target.lines, "amount")
  ship_to?:
    of: source.shipping
    as: place
    set:
      city: place.city
  addresses?:
    - of: source.billing ?? source.shipping
      set:
        city: item.city
`
	var p strictyaml.Problems
	m := Compile(strictyaml.Parse("m.yaml", []byte(text), &p)[0], testDeps(t), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range m.Copies() {
		var from []string
		for _, s := range c.Sources {
			from = append(from, strings.Join(s, "."))
		}
		got = append(got, fmt.Sprint(strings.Join(c.Target, "."), "<-", strings.Join(from, ",")))
	}
	want := []string{"id<-no", "customer.id<-customer.id,wide", "note<-customer.id,no,wide", "currency<-", "lines.[].sku<-lines.[].sku", "lines.[].quantity<-lines.[].qty",
		"lines.[].amount<-lines.[].qty,rate", "total<-lines.[].qty,lines.[].sku,rate", "ship_to.city<-shipping.city", "addresses.[].city<-billing,shipping"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("copies:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
