// Package gen makes the order documents of the benchmarks: document i depends on i alone.
package gen

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

var first = []string{"Anna", "Piotr", "Marta", "Jan", "Sofia", "Lukas", "Emma", "Noah", "Mia", "Liam"}
var last = []string{"Kowalska", "Nowak", "Schmidt", "Garcia", "Rossi", "Dubois", "Jansen", "Smith", "Muller", "Novak"}
var city = []string{"Berlin", "Warszawa", "Paris", "Madrid", "Roma", "Praha", "Wien", "Oslo", "Lisboa", "Dublin"}
var ctry = []string{"DE", "PL", "FR", "ES", "IT", "CZ", "AT", "NO", "PT", "IE"}
var status = []string{"10", "20", "30", "40", "50", "90"}
var cur = []string{"EUR", "PLN", "USD", "GBP"}
var chn = []string{"web", "store", "phone", "edi"}
var sys = []string{"sap-eu", "shop-eu", "pos-01", "erp-us"}
var desc = []string{" Steel bolt M8 ", "Copper wire 2mm", "LED panel 40W", "Hex key set ", "Paint, white 5L", "Filter unit B2"}

// Keys is the number of distinct customer ids, which are the record keys.
const Keys = 10000

// Order appends document i to b and returns its key and it.
func Order(i int, b []byte) ([]byte, []byte) {
	r := rand.New(rand.NewPCG(uint64(i), 0x9e3779b97f4a7c15))
	k := r.IntN(Keys)
	key := fmt.Appendf(nil, "C%07d", k)
	fi, li, ci := r.IntN(10), r.IntN(10), r.IntN(10)
	b = fmt.Appendf(b, `{"header":{"orderId":"ORD-%08d","messageId":"%08x-%04x-4%03x-a%03x-%012x","sourceSystem":%q,"type":"ORDER","status":%q,"currency":%q,"orderDate":"2026%02d%02d%02d%02d%02d","channel":%q,"priority":%d},`,
		i, r.Uint32(), r.IntN(65536), r.IntN(4096), r.IntN(4096), r.Uint64()&0xffffffffffff, sys[r.IntN(4)], status[r.IntN(6)], cur[r.IntN(4)],
		1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), chn[r.IntN(4)], 1+r.IntN(5))
	b = fmt.Appendf(b, `"customer":{"id":"%s","firstName":" %s ","lastName":%q,"email":"%s.%s%d@example.com","phone":"+48%09d","vip":%t},"lines":[`,
		key, first[fi], last[li], first[fi], last[li], k, r.IntN(1000000000), r.IntN(10) == 0)
	n := 5 + r.IntN(3)
	for j := range n {
		if j > 0 {
			b = append(b, ',')
		}
		q := r.IntN(12)
		if j == 0 {
			q++
		}
		b = fmt.Appendf(b, `{"lineNo":%d,"sku":"sku-%06d","desc":%q,"qty":%d,"unitPrice":`, j+1, r.IntN(1000000), desc[r.IntN(6)], q)
		b = strconv.AppendFloat(b, float64(1+r.IntN(50000))/100, 'f', -1, 64)
		b = append(b, `,"taxRate":0.2}`...)
	}
	b = append(b, ']')
	for _, a := range []string{"billing", "shipping"} {
		b = fmt.Appendf(b, `,%q:{"street":"Main street %d","city":%q,"zip":"%05d","country":%q}`, a, 1+r.IntN(200), city[ci], r.IntN(100000), ctry[ci])
	}
	b = append(b, `,"note":"deliver to back door"}`...)
	return key, b
}
