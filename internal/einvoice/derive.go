package einvoice

import "github.com/waybill-hub/waybill/internal/jsondoc"

// reasons are the codes of exemptions that a category can only have.
var reasons = map[string]string{"AE": "VATEX-EU-AE", "K": "VATEX-EU-IC", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}

// zeroRated are the categories whose rate is 0.
var zeroRated = map[string]bool{"Z": true, "E": true, "AE": true, "K": true, "G": true}

// byRate are the categories that may stand in the breakdown several times, with a rate each.
var byRate = map[string]bool{"S": true, "L": true, "M": true, "B": true}

// percent is a hundredth.
var percent = mustDecimal("0.01")

func mustDecimal(s string) jsondoc.Decimal {
	d, err := jsondoc.ParseDecimal(s)
	if err != nil {
		panic(err) // it stands in the code
	}
	return d
}

// derive fills in what is missing and follows from the rest, as the rules calculate it.
func (inv *invoice) derive() {
	if inv.taxCurrency == inv.currency { // which says nothing
		inv.taxCurrency, inv.taxTotalOwn = "", nil
	}
	for i := range inv.lines {
		l := &inv.lines[i]
		l.tax.settle()
		switch { // the gross price and what is taken off go together
		case l.price == nil:
		case l.discount != nil:
			fill(&l.gross, l.price.Add(*l.discount))
		case l.gross != nil:
			fill(&l.discount, l.gross.Sub(*l.price))
		}
	}
	for i := range inv.adjustments {
		inv.adjustments[i].tax.settle()
	}
	for i := range inv.taxes {
		inv.taxes[i].tax.settle()
	}
	fill(&inv.lineTotal, inv.sumOfLines())
	allowances, charges := inv.sumsOfAdjustments()
	if inv.allowanceTotal != nil || allowances.Sign() != 0 || inv.has(false) {
		fill(&inv.allowanceTotal, allowances)
	}
	if inv.chargeTotal != nil || charges.Sign() != 0 || inv.has(true) {
		fill(&inv.chargeTotal, charges)
	}
	fill(&inv.netTotal, inv.lineTotal.Sub(or0(inv.allowanceTotal)).Add(or0(inv.chargeTotal)))
	inv.deriveTaxes()
	fill(&inv.taxTotal, inv.sumOfTaxes())
	if inv.total != nil {
		fill(&inv.payable, inv.total.Sub(or0(inv.paid)).Add(or0(inv.rounding)))
	}
	if inv.taxCurrency != "" && inv.own != nil {
		fill(&inv.taxTotalOwn, inv.taxTotal.Mul(*inv.own).Round(digitsOf(inv.taxCurrency), jsondoc.HalfUp))
	}
}

func fill(to *number, d jsondoc.Decimal) {
	if *to == nil {
		*to = &d
	}
}

func or0(n number) jsondoc.Decimal {
	if n == nil {
		return jsondoc.Decimal{}
	}
	return *n
}

// settle gives a category the rate that it can only have.
func (t *category) settle() {
	switch {
	case zeroRated[t.code] && t.rate == nil:
		t.rate = &jsondoc.Decimal{}
	case t.code == "O" && t.rate != nil && t.rate.Sign() == 0:
		t.rate = nil
	}
}

// same: the two are one group of the breakdown.
func (t category) same(o category) bool {
	return t.code == o.code && (!byRate[t.code] || or0(t.rate).Cmp(or0(o.rate)) == 0)
}

func (inv *invoice) has(charge bool) bool {
	for _, a := range inv.adjustments {
		if a.charge == charge {
			return true
		}
	}
	return false
}

func (inv *invoice) sumOfLines() (s jsondoc.Decimal) {
	for _, l := range inv.lines {
		s = s.Add(or0(l.amount))
	}
	return s
}

func (inv *invoice) sumsOfAdjustments() (allowances, charges jsondoc.Decimal) {
	return sums(inv.adjustments)
}

func sums(all []adjustment) (allowances, charges jsondoc.Decimal) {
	for _, a := range all {
		if a.charge {
			charges = charges.Add(or0(a.amount))
		} else {
			allowances = allowances.Add(or0(a.amount))
		}
	}
	return allowances, charges
}

func (inv *invoice) sumOfTaxes() (s jsondoc.Decimal) {
	for _, b := range inv.taxes {
		s = s.Add(or0(b.amount))
	}
	return s
}

// baseOf is what a group of the breakdown is calculated of.
func (inv *invoice) baseOf(t category) (s jsondoc.Decimal) {
	for _, l := range inv.lines {
		if l.tax.same(t) {
			s = s.Add(or0(l.amount))
		}
	}
	for _, a := range inv.adjustments {
		if !a.tax.same(t) {
			continue
		}
		if a.charge {
			s = s.Add(or0(a.amount))
		} else {
			s = s.Sub(or0(a.amount))
		}
	}
	return s
}

// mostTaxes bounds the groups of the breakdown, as the schema of canonical invoices does.
const mostTaxes = 100

// deriveTaxes makes the breakdown where there is none, and completes one that there is.
func (inv *invoice) deriveTaxes() {
	if len(inv.taxes) > mostTaxes { // which is told, and each would be looked for in every line
		return
	}
	if len(inv.taxes) == 0 {
		for _, t := range inv.categories() {
			if t.code != "" && len(inv.taxes) <= mostTaxes && inv.group(t) == nil {
				inv.taxes = append(inv.taxes, breakdown{tax: t, path: "taxes"})
			}
		}
	}
	for i := range inv.taxes {
		b := &inv.taxes[i]
		fill(&b.base, inv.baseOf(b.tax))
		fill(&b.amount, b.base.Mul(or0(b.tax.rate)).Mul(percent).Round(digitsOf(inv.currency), jsondoc.HalfUp))
		for _, t := range inv.categories() {
			if b.tax.reason+b.tax.reasonCode == "" && t.same(b.tax) {
				b.tax.reason, b.tax.reasonCode = t.reason, t.reasonCode
			}
		}
		if b.tax.reason+b.tax.reasonCode == "" {
			b.tax.reasonCode = reasons[b.tax.code]
		}
	}
}

// categories are those of lines, allowances and charges, in their order.
func (inv *invoice) categories() []category {
	var out []category
	for _, l := range inv.lines {
		out = append(out, l.tax)
	}
	for _, a := range inv.adjustments {
		out = append(out, a.tax)
	}
	return out
}

// group finds a group of the breakdown.
func (inv *invoice) group(t category) *breakdown {
	for i := range inv.taxes {
		if inv.taxes[i].tax.same(t) {
			return &inv.taxes[i]
		}
	}
	return nil
}
