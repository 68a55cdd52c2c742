package einvoice

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// checker holds an invoice against the rules. Where the official rules of the two syntaxes differ in what they let pass, the stricter one counts.
type checker struct {
	inv      *invoice
	profile  Profile
	problems Problems
}

// check gives every rule that is broken.
func (inv *invoice) check(p Profile) Problems {
	c := &checker{inv: inv, profile: p}
	if len(inv.taxes) > mostTaxes {
		c.add("", "taxes", "there are more than %d categories and rates", mostTaxes)
		return c.problems
	}
	c.header()
	c.parties()
	c.payment()
	for i := range inv.lines {
		c.line(&inv.lines[i])
	}
	c.adjustments(inv.adjustments, true)
	c.totals()
	c.breakdown()
	c.decimals()
	if p == Peppol {
		c.peppol()
	}
	return c.problems
}

func (c *checker) add(rule, path, format string, args ...any) {
	c.problems.add(rule, path, format, args...)
}

// must tells of a text that is not there.
func (c *checker) must(rule, path, v string) {
	if v == "" {
		c.add(rule, path, "it is missing")
	}
}

// in tells of a code that is none of its list.
func (c *checker) in(rule, path, list, code, hint string) {
	if code == "" || codes[list][code] {
		return
	}
	if hint != "" {
		hint = ": write " + hint
	}
	c.add(rule, path, "%q is no code of the list%s", short(code), hint)
}

func (c *checker) header() {
	inv := c.inv
	c.must("BR-02", "number", inv.id)
	c.must("BR-03", "issued_on", inv.issued)
	c.must("BR-04", "type", inv.code)
	if inv.code != "" && !codes["invoices"][inv.code] && !codes["credits"][inv.code] {
		c.add("BR-CL-01", "type", "%q is no code of an invoice or a credit note", short(inv.code))
	}
	c.must("BR-05", "currency", inv.currency)
	c.in("BR-CL-04", "currency", "currencies", inv.currency, "")
	c.in("BR-CL-05", "tax_currency", "currencies", inv.taxCurrency, "")
	c.day("issued_on", inv.issued)
	c.day("due_on", inv.due)
	c.day("tax_point_on", inv.taxPoint)
	c.day("delivered_on", inv.delivered)
	c.periodOf("BR-29", "period", inv.period)
	if inv.taxPoint != "" && inv.taxPointCode != "" {
		c.add("BR-CO-03", "tax_point_on", "the day and the code BT-8 exclude each other")
	}
	if inv.taxPointCode != "" && !slices.Contains([]string{"3", "35", "432"}, inv.taxPointCode) {
		c.add("BR-CL-06", "attributes.BT-8", "%q is none of 3, 35 and 432", short(inv.taxPointCode))
	}
	for _, n := range inv.notes {
		c.in("BR-CL-08", "attributes.BT-21", "subjects", n.subject, "")
	}
	c.in("BR-CL-07", "attributes.BT-18-1", "objects", inv.objectScheme, "")
	if typeOfCode(inv.code) == "credit_note" && or0(inv.total).Sign() < 0 {
		c.add("", "total", "a credit note gives back what it says: %s would claim it; write amounts above 0", inv.total)
	}
	if len(inv.lines) == 0 {
		c.add("BR-16", "lines", "there is no line")
	}
}

func (c *checker) day(path, day string) {
	if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
		c.add("", path, "%q is no day", short(day))
	}
}

func (c *checker) periodOf(rule, path string, p period) {
	c.day(path+".from", p.from)
	c.day(path+".until", p.until)
	if p.from != "" && p.until != "" && p.until < p.from {
		c.add(rule, path, "it ends before it begins")
	}
}

func (c *checker) parties() {
	inv := c.inv
	c.must("BR-06", "seller.name", inv.seller.name)
	c.must("BR-07", "customer.name", inv.buyer.name)
	c.must("BR-09", "seller.address.country", inv.seller.address.country)
	c.must("BR-11", "customer.address.country", inv.buyer.address.country)
	if inv.payee.there() {
		c.must("BR-17", "payee.name", inv.payee.name)
	}
	if r := inv.representative; r.there() {
		c.must("BR-18", "tax_representative.name", r.name)
		c.must("BR-20", "tax_representative.address.country", r.address.country)
		c.must("BR-56", "tax_representative.tax_id", r.vat)
	}
	if inv.deliverTo.address.there() {
		c.must("BR-57", "ship_to.address.country", inv.deliverTo.address.country)
	}
	if s := inv.seller; len(s.ids) == 0 && s.registration.value == "" && s.vat == "" {
		c.add("BR-CO-26", "seller", "neither number, gln, registration_number nor tax_id for VAT says who it is")
	}
	c.party("seller", &inv.seller)
	c.party("customer", &inv.buyer)
	c.party("payee", &inv.payee)
	c.party("tax_representative", &inv.representative)
	c.party("ship_to", &inv.deliverTo)
}

func (c *checker) party(path string, p *party) {
	c.in("BR-CL-14", path+".address.country", "countries", p.address.country, "")
	if p.vat != "" && !isVAT(p.vat) {
		c.add("BR-CO-09", path+".tax_id", "a number for VAT begins with the code of its country, such as DE (EL for Greece)")
	}
	for _, i := range p.ids {
		c.in("BR-CL-10", path+".identifiers", "icd", i.scheme, "")
	}
	c.in("BR-CL-11", path+".registration_number", "icd", p.registration.scheme, "")
	if p.endpoint.value != "" {
		c.must(map[string]string{"seller": "BR-62", "customer": "BR-63"}[path], path+".identifiers", p.endpoint.scheme)
		c.in("BR-CL-25", path+".identifiers", "eas", p.endpoint.scheme, "")
	}
}

func (c *checker) payment() {
	inv := c.inv
	c.in("BR-CL-16", "payment_method", "payments", inv.means, "")
	if inv.means == "" && (inv.remittance != "" || len(inv.accounts) > 0 || inv.mandate != "" || inv.debited != "" || inv.meansText != "") {
		c.must("BR-49", "payment_method", "")
	}
	if codes["credits"][inv.code] && inv.due != "" && inv.means == "" {
		c.add("BR-49", "payment_method", "it is missing: a credit note in UBL says its day with the payment")
	}
	transfer := inv.means == "30" || inv.means == "58"
	if transfer && len(inv.accounts) == 0 {
		c.add("BR-61", "bank_accounts", "there is none, and the payment is a transfer")
	}
	for i, a := range inv.accounts {
		if a.iban+a.other == "" {
			c.add("BR-50", fmt.Sprintf("bank_accounts.%d", i), "it has neither iban nor number")
		}
	}
	if or0(inv.payable).Sign() > 0 && inv.due == "" && inv.terms == "" {
		c.add("BR-CO-25", "due_on", "something is to be paid, and neither a day nor payment_terms.name says when")
	}
	if inv.taxCurrency != "" && inv.taxTotalOwn == nil {
		c.add("BR-53", "tax_currency", "the tax in it is missing: neither exchange_rate nor the attribute BT-111 says it")
	}
}

func (c *checker) line(l *line) {
	at := func(name string) string { return l.path + "." + name }
	c.mustNumber("BR-22", at("quantity"), l.quantity)
	c.must("BR-23", at("unit"), l.unit)
	c.in("BR-CL-23", at("unit"), "units", l.unit, unitHints[l.unit])
	c.mustNumber("BR-24", at("amount"), l.amount)
	c.must("BR-25", at("name"), l.name)
	c.mustNumber("BR-26", at("unit_price"), l.price)
	if or0(l.price).Sign() < 0 {
		c.add("BR-27", at("unit_price"), "it is below 0: what is taken back is a negative quantity")
	}
	if or0(l.gross).Sign() < 0 {
		c.add("BR-28", at("attributes.BT-148"), "it is below 0")
	}
	if c.profile == Peppol && l.gross != nil && or0(l.gross).Sub(or0(l.discount)).Cmp(or0(l.price)) != 0 {
		c.add("PEPPOL-EN16931-R046", at("unit_price"), "it is not BT-148 less BT-147")
	}
	if l.priceBase != nil && l.priceBase.Sign() <= 0 {
		c.add("PEPPOL-EN16931-R121", at("price_quantity"), "it must be above 0")
	}
	c.periodOf("BR-30", at("period"), l.period)
	if l.tax.code == "" {
		c.add("BR-CO-04", at("taxes"), "there is no VAT category")
	}
	c.category(at("taxes"), l.tax, "05")
	if l.standard.value != "" {
		c.must("BR-64", at("attributes.BT-157-1"), l.standard.scheme)
		c.in("BR-CL-21", at("attributes.BT-157-1"), "icd", l.standard.scheme, "")
	}
	c.in("BR-CL-07", at("attributes.BT-128-1"), "objects", l.objectScheme, "")
	c.in("BR-CL-15", at("attributes.BT-159"), "countries", l.origin, "")
	c.adjustments(l.adjustments, false)
	c.product(l)
}

func (c *checker) mustNumber(rule, path string, n number) {
	if n == nil {
		c.add(rule, path, "it is missing")
	}
}

// near: an amount is what it is calculated of. EN 16931 says how that is done, and its rules do not check it: some round to whole units, so that less than 1 is let pass, as with
// taxes. Peppol's rules want it closer, in every currency.
func (c *checker) near(n number, want jsondoc.Decimal) bool {
	off := n.Sub(want).Abs()
	if c.profile == Peppol {
		return off.Cmp(slack) <= 0
	}
	return off.Cmp(one) < 0
}

var slack, one = mustDecimal("0.02"), jsondoc.FromInt(1)

// product holds a line's amount against quantity and price.
func (c *checker) product(l *line) {
	if l.quantity == nil || l.price == nil || l.amount == nil || l.priceBase != nil && l.priceBase.Sign() <= 0 {
		return
	}
	base := jsondoc.FromInt(1)
	if l.priceBase != nil {
		base = *l.priceBase
	}
	product, err := l.quantity.Mul(*l.price).Div(base, 10, jsondoc.HalfUp)
	if err != nil {
		c.add("", l.path+".amount", "it cannot be calculated")
		return
	}
	allowances, charges := sums(l.adjustments)
	want := product.Sub(allowances).Add(charges)
	if !c.near(l.amount, want) {
		c.add("PEPPOL-EN16931-R120", l.path+".amount", "it is %s, and quantity and price with allowances and charges make %s", l.amount, want.Round(2, jsondoc.HalfUp))
	}
}

func (c *checker) adjustments(all []adjustment, document bool) {
	for _, a := range all {
		amount, reason, list, listRule := "BR-41", "BR-42", "allowances", "BR-CL-19"
		switch {
		case document && a.charge:
			amount, reason = "BR-36", "BR-38"
		case document:
			amount, reason = "BR-31", "BR-33"
		case a.charge:
			amount, reason = "BR-43", "BR-44"
		}
		if a.charge {
			list, listRule = "charges", "BR-CL-20"
		}
		c.mustNumber(amount, a.path+".amount", a.amount)
		if or0(a.amount).Sign() < 0 {
			c.add("", a.path+".amount", "it is below 0: kind says the direction")
		}
		if a.reason == "" && a.code == "" {
			c.add(reason, a.path+".reason", "neither reason nor code is there")
		}
		c.in(listRule, a.path+".code", list, a.code, "")
		if document {
			c.must(map[bool]string{false: "BR-32", true: "BR-37"}[a.charge], a.path+".taxes", a.tax.code)
			c.category(a.path+".taxes", a.tax, map[bool]string{false: "06", true: "07"}[a.charge])
		}
		if c.profile == Peppol && (a.base == nil) != (a.percent == nil) {
			c.add(map[bool]string{true: "PEPPOL-EN16931-R041", false: "PEPPOL-EN16931-R042"}[a.base == nil], a.path, "percent and base go together")
		}
		if a.base != nil && a.percent != nil && a.amount != nil && !c.near(a.amount, a.base.Mul(*a.percent).Mul(percent)) {
			c.add("PEPPOL-EN16931-R040", a.path+".amount", "it is %s, and not %s %% of %s", a.amount, a.percent, a.base)
		}
	}
}

// equal holds an amount against what it must be.
func (c *checker) equal(rule, path string, n number, want jsondoc.Decimal, of string) {
	if n != nil && n.Cmp(want) != 0 {
		c.add(rule, path, "it is %s, and %s make %s", n, of, want)
	}
}

func (c *checker) totals() {
	inv := c.inv
	allowances, charges := inv.sumsOfAdjustments()
	c.equal("BR-CO-10", "subtotal", inv.lineTotal, inv.sumOfLines(), "the amounts of the lines")
	c.equal("BR-CO-11", "allowance_total", inv.allowanceTotal, allowances, "the allowances")
	c.equal("BR-CO-12", "charge_total", inv.chargeTotal, charges, "the charges")
	c.equal("BR-CO-13", "net_total", inv.netTotal, inv.lineTotal.Sub(or0(inv.allowanceTotal)).Add(or0(inv.chargeTotal)), "lines, allowances and charges")
	c.equal("BR-CO-14", "tax_total", inv.taxTotal, inv.sumOfTaxes(), "the amounts of the taxes")
	c.mustNumber("BR-14", "total", inv.total)
	c.equal("BR-CO-15", "total", inv.total, inv.netTotal.Add(or0(inv.taxTotal)), "net_total and tax_total")
	c.equal("BR-CO-16", "due", inv.payable, or0(inv.total).Sub(or0(inv.paid)).Add(or0(inv.rounding)), "total, what was paid and rounding")
	if len(inv.taxes) == 0 {
		c.add("BR-CO-18", "taxes", "there is no tax, and no line says its VAT category")
	}
}

// rulesOf is how the names of a category's rules begin.
var rulesOf = map[string]string{"S": "BR-S-", "Z": "BR-Z-", "E": "BR-E-", "AE": "BR-AE-", "K": "BR-IC-", "G": "BR-G-", "O": "BR-O-", "L": "BR-AF-", "M": "BR-AG-"}

// category checks the category of a line, an allowance or a charge with its rate, whose rule ends with this, and who is to be named for it.
func (c *checker) category(path string, t category, rule string) {
	name := rulesOf[t.code]
	if t.code == "" {
		return
	}
	if name == "" {
		c.add("BR-CL-18", path, "%q is none of the VAT categories S, Z, E, AE, K, G, O, L and M", short(t.code))
		return
	}
	c.rate(name+rule, path, t)
	c.identified(name+map[string]string{"05": "02", "06": "03", "07": "04"}[rule], t.code)
	b := c.inv.group(t)
	if b == nil {
		c.add(name+"01", "taxes", "the category %s of %s is not among them", describe(t), path)
		return
	}
	if t.reason != "" && t.reason != b.tax.reason || t.reasonCode != "" && t.reasonCode != b.tax.reasonCode {
		c.add("", path, "another reason of exemption than that of %s elsewhere, and EN 16931 has one for each category", t.code)
	}
}

func describe(t category) string {
	if byRate[t.code] && t.rate != nil {
		return t.code + " with " + t.rate.String() + " %"
	}
	return t.code
}

func (c *checker) rate(rule, path string, t category) {
	switch rate := or0(t.rate); {
	case t.code == "O" && t.rate != nil:
		c.add(rule, path, "there is a rate, and what is outside of VAT has none")
	case t.code == "S" && rate.Sign() <= 0:
		c.add(rule, path, "the rate must be above 0")
	case (t.code == "L" || t.code == "M") && (t.rate == nil || rate.Sign() < 0):
		c.add(rule, path, "the rate is missing, or below 0")
	case zeroRated[t.code] && rate.Sign() != 0:
		c.add(rule, path, "the rate is %s, and that of %s is 0", t.rate, t.code)
	}
}

// identified checks the numbers that a category asks of the parties.
func (c *checker) identified(rule, code string) {
	inv := c.inv
	vat := inv.seller.vat != "" || inv.representative.vat != ""
	switch code {
	case "O":
		if vat || inv.buyer.vat != "" {
			c.add(rule, "seller.tax_id", "an invoice outside of VAT names no number for VAT, of nobody")
		}
	case "K":
		if !vat || inv.buyer.vat == "" {
			c.add(rule, "customer.tax_id", "a supply within the EU names the seller's and the customer's number for VAT")
		}
	case "G":
		if !vat {
			c.add(rule, "seller.tax_id", "an export names the seller's number for VAT")
		}
	case "AE":
		if !vat && inv.seller.tax == "" || inv.buyer.vat == "" && inv.buyer.registration.value == "" {
			c.add(rule, "customer.tax_id", "a reverse charge names the seller's tax number, and the customer's number for VAT or in the register")
		}
	default:
		if !vat && inv.seller.tax == "" {
			c.add(rule, "seller.tax_id", "it is missing")
		}
	}
}

func (c *checker) breakdown() {
	inv := c.inv
	for i := range inv.taxes {
		b := &inv.taxes[i]
		name := rulesOf[b.tax.code]
		if name == "" {
			c.add(map[bool]string{true: "BR-47", false: "BR-CL-17"}[b.tax.code == ""], b.path+".category", "it is none of S, Z, E, AE, K, G, O, L and M")
			continue
		}
		if b.tax.code != "O" {
			c.mustNumber("BR-48", b.path+".rate", b.tax.rate)
		}
		c.rate(name+"05", b.path+".rate", b.tax)
		if inv.group(b.tax) != b {
			c.add(name+"01", b.path, "%s stands in the taxes twice", describe(b.tax))
			continue
		}
		c.equal(name+"08", b.path+".base", b.base, inv.baseOf(b.tax), "the lines, allowances and charges of "+describe(b.tax))
		c.taxAmount(name, b)
		c.reason(name, b)
	}
	if inv.group(category{code: "O"}) != nil {
		if len(inv.taxes) > 1 {
			c.add("BR-O-11", "taxes", "an invoice outside of VAT has no other category")
		}
	}
	if inv.group(category{code: "K"}) != nil {
		if inv.delivered == "" && inv.period == (period{}) {
			c.add("BR-IC-11", "delivered_on", "a supply within the EU names the day of delivery, or the period")
		}
		c.must("BR-IC-12", "ship_to.address.country", inv.deliverTo.address.country)
	}
}

// taxAmount: the rules let an amount be off by less than 1, since some add up the taxes of lines.
func (c *checker) taxAmount(name string, b *breakdown) {
	want := b.base.Mul(or0(b.tax.rate)).Mul(percent).Round(mostDecimals, jsondoc.HalfUp)
	switch off := b.amount.Sub(want).Abs(); {
	case !byRate[b.tax.code]:
		if b.amount.Sign() != 0 {
			c.add(name+"09", b.path+".amount", "it is %s, and there is no tax on %s", b.amount, b.tax.code)
		}
	case off.Cmp(one) >= 0 || b.amount.Sign()*want.Sign() < 0:
		c.add("BR-CO-17", b.path+".amount", "it is %s, and %s %% of %s are %s", b.amount, or0(b.tax.rate), b.base, want)
	}
}

func (c *checker) reason(name string, b *breakdown) {
	has := b.tax.reason+b.tax.reasonCode != ""
	switch b.tax.code {
	case "S", "Z", "L", "M":
		if has {
			c.add(name+"10", b.path+".exemption_reason", "%s has no reason for an exemption", b.tax.code)
		}
	default:
		if !has {
			c.add(name+"10", b.path+".exemption_reason", "neither a reason nor a code of VATEX says why there is no tax")
		}
	}
	for code, vatex := range reasons {
		if b.tax.reasonCode == vatex && b.tax.code != code {
			c.add(map[string]string{"G": "PEPPOL-EN16931-P0104", "O": "PEPPOL-EN16931-P0105", "K": "PEPPOL-EN16931-P0106", "AE": "PEPPOL-EN16931-P0107"}[code], b.path+".code", "%s is of the category %s", vatex, code)
		}
	}
}

// amountTerm is an amount with the end of its rule's name.
type amountTerm struct {
	rule, path string
	n          number
}

// decimals checks the digits of amounts.
func (c *checker) decimals() {
	inv := c.inv
	all := []amountTerm{
		{"09", "subtotal", inv.lineTotal}, {"10", "allowance_total", inv.allowanceTotal}, {"11", "charge_total", inv.chargeTotal}, {"12", "net_total", inv.netTotal},
		{"13", "tax_total", inv.taxTotal}, {"14", "total", inv.total}, {"16", "prepaid", inv.paid}, {"17", "rounding", inv.rounding}, {"18", "due", inv.payable},
	}
	for _, a := range inv.adjustments {
		amount, base := "01", "02"
		if a.charge {
			amount, base = "05", "06"
		}
		all = append(all, amountTerm{amount, a.path + ".amount", a.amount}, amountTerm{base, a.path + ".base", a.base})
	}
	for _, b := range inv.taxes {
		all = append(all, amountTerm{"19", b.path + ".base", b.base}, amountTerm{"20", b.path + ".amount", b.amount})
	}
	for _, l := range inv.lines {
		all = append(all, amountTerm{"23", l.path + ".amount", l.amount})
		for _, a := range l.adjustments {
			amount, base := "24", "25"
			if a.charge {
				amount, base = "27", "28"
			}
			all = append(all, amountTerm{amount, a.path + ".amount", a.amount}, amountTerm{base, a.path + ".base", a.base})
		}
	}
	for _, a := range all {
		c.digits(a, inv.currency)
	}
	c.digits(amountTerm{"15", "attributes.BT-111", inv.taxTotalOwn}, inv.taxCurrency)
}

func (c *checker) digits(a amountTerm, currency string) {
	if a.n == nil {
		return
	}
	switch scale := a.n.Trim().Scale(); {
	case a.n.Err() != nil:
		c.add("", a.path, "it is too long")
	case scale > mostDecimals:
		c.add("BR-DEC-"+a.rule, a.path, "%s has %d digits behind the point: EN 16931 takes %d, of every currency", a.n, scale, mostDecimals)
	case scale > minorOf(currency):
		c.add("", a.path, "%s has %d digits behind the point, and %s has %d", a.n, scale, currency, minorOf(currency))
	}
}

// peppolTypes are the codes that Peppol BIS Billing takes; 384 only between Germans.
var peppolTypes = strings.Fields("71 80 82 84 102 218 219 331 380 382 383 386 388 393 395 553 575 623 780 817 870 875 876 877")

var peppolCredits = strings.Fields("381 396 81 83 532")

// peppol checks what Peppol BIS Billing 3 asks beyond EN 16931. Rules of single countries are not here.
func (c *checker) peppol() {
	inv := c.inv
	german := inv.seller.address.country == "DE" && inv.buyer.address.country == "DE"
	if inv.buyerReference == "" && inv.order == "" {
		c.add("PEPPOL-EN16931-R003", "customer_reference", "neither it nor a reference of the kind purchase_order is there")
	}
	c.endpoint("PEPPOL-EN16931-R020", "seller", &inv.seller)
	c.endpoint("PEPPOL-EN16931-R010", "customer", &inv.buyer)
	if inv.taxTotalOwn != nil && inv.taxTotalOwn.Sign()*or0(inv.taxTotal).Sign() < 0 {
		c.add("PEPPOL-EN16931-R055", "tax_total", "it and that in tax_currency have different signs")
	}
	switch {
	case codes["credits"][inv.code]:
		if !slices.Contains(peppolCredits, inv.code) {
			c.add("PEPPOL-EN16931-P0101", "type", "%s is no type of a credit note there", inv.code)
		}
	case inv.code == "384" || inv.code == "326":
		if !german {
			c.add("PEPPOL-EN16931-P0112", "type", "%s goes only from Germans to Germans", inv.code)
		}
	case !slices.Contains(peppolTypes, inv.code):
		c.add("PEPPOL-EN16931-P0100", "type", "%s is no type of an invoice there", inv.code)
	}
	if (inv.means == "49" || inv.means == "59") && inv.mandate == "" {
		c.add("PEPPOL-EN16931-R061", "attributes.BT-89", "the mandate of the direct debit is missing")
	}
	for _, l := range inv.lines {
		if inv.period.from != "" && l.period.from != "" && l.period.from < inv.period.from {
			c.add("PEPPOL-EN16931-R110", l.path+".period", "it begins before the invoice's")
		}
		if inv.period.until != "" && l.period.until != "" && l.period.until > inv.period.until {
			c.add("PEPPOL-EN16931-R111", l.path+".period", "it ends after the invoice's")
		}
	}
}

func (c *checker) endpoint(rule, path string, p *party) {
	if p.endpoint.value == "" {
		c.add(rule, path+".identifiers", "the electronic address is missing: an identifier whose scheme is EAS: and the code of its list, such as EAS:0088")
	}
	ids := append([]identifier{p.endpoint, p.registration}, p.ids...)
	for _, i := range ids {
		if i.scheme == schemeGLN && !validGLN(i.value) {
			c.add("PEPPOL-COMMON-R040", path, "a GLN has a wrong check digit, or other than digits")
		}
	}
}

// validGLN checks the last digit of a number of GS1.
func validGLN(s string) bool {
	total := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			d *= 3
		}
		total += d
	}
	return s != "" && total%10 == 0
}
