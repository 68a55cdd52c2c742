package einvoice

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// money is an amount in a currency's smallest unit that an e-invoice can say: the sums are made of whole numbers, apart from what the package calculates with.
type money int64

// draw makes invoices that keep the rules.
type draw struct {
	*rapid.T
	digits int
}

func (d draw) amount(m money) json.Number {
	return json.Number(new(big.Rat).SetFrac64(int64(m), pow(d.digits)).FloatString(d.digits))
}

func pow(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// rounded is a fraction rounded to a whole number, a half away from zero.
func rounded(r *big.Rat) money {
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		half.Neg(half)
	}
	r = new(big.Rat).Add(r, half)
	return money(new(big.Int).Quo(r.Num(), r.Denom()).Int64())
}

func (d draw) chance(label string) bool { return rapid.Bool().Draw(d.T, label) }

func (d draw) text(label string) string {
	s := rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 äß<>&\"'漢😀\n-]")), 1, 12, -1).Draw(d.T, label)
	if s = strings.TrimSpace(s); s == "" {
		return "x"
	}
	return s
}

func (d draw) day(label string) string {
	return fmt.Sprintf("20%02d-%02d-%02d", rapid.IntRange(0, 99).Draw(d.T, label), rapid.IntRange(1, 12).Draw(d.T, label), rapid.IntRange(1, 28).Draw(d.T, label))
}

// cat is a VAT category of the generator.
type cat struct {
	code string
	rate string
}

func (c cat) tax() []any {
	t := map[string]any{"category": c.code}
	if c.rate != "" {
		t["rate"] = json.Number(c.rate)
	}
	if c.code == "E" {
		t["exemption_reason"] = "because"
	}
	return []any{t}
}

var mixtures = [][]cat{
	{{"S", "19"}, {"S", "7"}, {"S", "5.5"}, {"Z", "0"}, {"E", "0"}},
	{{"S", "25"}},
	{{"AE", "0"}},
	{{"K", "0"}},
	{{"G", "0"}},
	{{"O", ""}},
	{{"L", "7"}, {"L", "0"}, {"S", "21"}},
	{{"M", "0.5"}},
}

// invoice gives a canonical invoice, and whether Peppol's rules take it as well.
func drawInvoice(t *rapid.T) (doc map[string]any, peppol bool) {
	currency := rapid.SampledFrom([]string{"EUR", "USD", "HUF", "JPY", "KWD"}).Draw(t, "currency")
	d := draw{t, digitsOf(currency)}
	mix := rapid.SampledFrom(mixtures).Draw(t, "mix")
	code := mix[0].code
	credit := d.chance("credit")
	id := d.text("id")
	doc = map[string]any{
		"id": id, "number": id, "type": map[bool]string{false: "invoice", true: "credit_note"}[credit], "currency": currency, "issued_on": d.day("issued"), "due_on": d.day("due"),
		"customer_reference": d.text("reference"), "seller": d.party("seller", code != "O", "AT"), "customer": d.party("customer", code != "O", "FR"),
		"payment_method": "bank_transfer", "bank_accounts": []any{map[string]any{"iban": "DE02120300000000202051"}},
	}
	if code == "K" || d.chance("delivered") {
		doc["delivered_on"] = d.day("delivered")
		doc["ship_to"] = map[string]any{"name": d.text("to"), "address": map[string]any{"city": d.text("city"), "country": "FR"}}
	}
	for _, o := range []string{"note", "payment_reference"} {
		if d.chance(o) {
			doc[o] = d.text(o)
		}
	}
	bases := map[cat]money{}
	sum := d.lines(doc, mix, bases, credit)
	allowances, charges := d.documentLevel(doc, mix, bases, credit)
	net := sum - allowances + charges
	tax := d.taxes(doc, bases)
	doc["total"] = d.amount(net + tax)
	if d.chance("totals") {
		doc["subtotal"], doc["net_total"], doc["tax_total"] = d.amount(sum), d.amount(net), d.amount(tax)
	}
	if d.chance("paid") {
		paid := money(rapid.Int64Range(0, 5000).Draw(t, "prepaid"))
		doc["prepaid"], doc["due"] = d.amount(paid), d.amount(net+tax-paid)
	}
	return doc, currency != "JPY"
}

func (d draw) party(label string, vat bool, country string) map[string]any {
	number := d.text(label)
	p := map[string]any{"number": number, "name": d.text(label), "address": map[string]any{"city": d.text(label), "country": country},
		"identifiers": []any{map[string]any{"scheme": "EAS:0088", "value": "4000001000005"}}}
	if label == "customer" {
		p["id"] = number
	}
	if vat {
		p["tax_id"] = country + "U12345678"
	} else {
		p["registration_number"] = "77"
	}
	if country == "FR" && vat {
		p["tax_id"] = "FR12345678901"
	}
	if d.chance(label + " legal") {
		p["legal_name"] = d.text(label)
	}
	if d.chance(label + " contact") {
		p["contact"] = map[string]any{"name": d.text(label), "email": "a@b.example", "phone": "+33 1 234-56"}
	}
	return p
}

// lines adds lines, and gives the sum of their amounts.
func (d draw) lines(doc map[string]any, mix []cat, bases map[cat]money, credit bool) money {
	var all []any
	var sum money
	for i := range rapid.IntRange(1, 5).Draw(d.T, "lines") {
		c := rapid.SampledFrom(mix).Draw(d.T, "category")
		low := int64(-100_000)
		if credit { // whose total is not below 0
			low = 0
		}
		quantity := big.NewRat(rapid.Int64Range(low, 1_000_000).Draw(d.T, "quantity"), 1000)
		scale := rapid.IntRange(0, 4).Draw(d.T, "scale")
		price := big.NewRat(rapid.Int64Range(0, 999_999).Draw(d.T, "price"), pow(scale))
		base := rapid.SampledFrom([]int64{0, 1, 12, 100}).Draw(d.T, "base")
		l := map[string]any{"line_number": i + 1, "name": d.text("name"), "sku": d.text("sku"), "unit": rapid.SampledFrom([]string{"H87", "C62", "KGM", "XBX", "4K"}).Draw(d.T, "unit"),
			"quantity": json.Number(quantity.FloatString(3)), "unit_price": json.Number(price.FloatString(scale)), "taxes": c.tax()}
		product := new(big.Rat).Mul(quantity, price)
		if base > 0 {
			l["price_quantity"] = base
			product.Quo(product, big.NewRat(base, 1))
		}
		amount := rounded(product.Mul(product, big.NewRat(pow(d.digits), 1)))
		if d.chance("charge") {
			m := money(rapid.Int64Range(0, 9999).Draw(d.T, "surcharge"))
			l["allowance_charges"] = []any{map[string]any{"kind": "charge", "reason": d.text("why"), "amount": d.amount(m)}}
			amount += m
		}
		l["amount"] = d.amount(amount)
		bases[c] += amount
		sum += amount
		all = append(all, l)
	}
	doc["lines"] = all
	return sum
}

// documentLevel adds an allowance and a charge.
func (d draw) documentLevel(doc map[string]any, mix []cat, bases map[cat]money, credit bool) (allowances, charges money) {
	var all []any
	for _, kind := range []string{"charge", "allowance"} {
		if !d.chance(kind) || kind == "allowance" && credit {
			continue
		}
		c := rapid.SampledFrom(mix).Draw(d.T, "category")
		m := money(rapid.Int64Range(0, 9999).Draw(d.T, kind))
		tax := c.tax()
		all = append(all, map[string]any{"kind": kind, "reason": d.text("why"), "amount": d.amount(m), "taxes": tax})
		if kind == "charge" {
			charges += m
			bases[c] += m
		} else {
			allowances += m
			bases[c] -= m
		}
	}
	if all != nil {
		doc["allowance_charges"] = all
	}
	return allowances, charges
}

// taxes gives their sum, and adds them or leaves them to be calculated.
func (d draw) taxes(doc map[string]any, bases map[cat]money) money {
	var all []any
	var sum money
	for _, mix := range mixtures {
		for _, c := range mix {
			base, ok := bases[c]
			if !ok {
				continue
			}
			delete(bases, c)
			rate := new(big.Rat)
			t := map[string]any{"category": c.code, "base": d.amount(base)}
			if c.rate != "" {
				rate.SetString(c.rate)
				t["rate"] = json.Number(c.rate)
			}
			tax := rounded(rate.Mul(rate, big.NewRat(int64(base), 100)))
			t["amount"] = d.amount(tax)
			if c.code == "E" {
				t["exemption_reason"] = "because"
			}
			sum += tax
			all = append(all, t)
		}
	}
	if d.chance("taxes") {
		doc["taxes"] = all
	}
	return sum
}

// TestRoundTrip: an invoice that keeps the rules is written, and is read as it was.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc, peppol := drawInvoice(t)
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range ways {
			if o.Profile == Peppol && !peppol {
				continue
			}
			out, err := Write(parse(t, raw), o)
			if err != nil {
				t.Fatalf("%s: %v\n%s", o.Syntax, err, raw)
			}
			comesBack(t, raw, out, o)
		}
	})
}
