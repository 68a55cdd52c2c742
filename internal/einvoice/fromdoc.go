package einvoice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// source reads a document and remembers what of it was looked at: the rest has no place in an e-invoice.
type source struct {
	problems Problems
	leaveOut []string
	objects  []*object
	byPath   map[string]*object
}

// object is one object of the document. Methods of an object that is not there give nothing.
type object struct {
	v    jsondoc.Value
	path string
	in   *source
	used []string
}

func (s *source) object(v jsondoc.Value, path string) *object {
	if o := s.byPath[path]; o != nil { // it is looked at again, for another part
		return o
	}
	o := &object{v: v, path: path, in: s}
	s.byPath[path] = o
	if v.Exists() && v.Kind() != jsondoc.Object {
		s.problems.add("", path, "it is no object")
	}
	s.objects = append(s.objects, o)
	return o
}

func (o *object) at(name string) string { return strings.TrimPrefix(o.path+"."+name, ".") }

func (o *object) get(name string) jsondoc.Value {
	o.skip(name)
	if o.v.Kind() != jsondoc.Object {
		return jsondoc.Value{}
	}
	return o.v.Get(name)
}

// skip names members that are the hub's own, or that follow from others.
func (o *object) skip(names ...string) { o.used = append(o.used, names...) }

func (o *object) there() bool { return o.v.Kind() == jsondoc.Object }

func (o *object) text(name string) string {
	v := o.get(name)
	if !v.Exists() {
		return ""
	}
	if v.Kind() != jsondoc.String {
		o.in.problems.add("", o.at(name), "it is no text")
		return ""
	}
	return strings.TrimSpace(v.Str())
}

func (o *object) number(name string) number {
	v := o.get(name)
	if !v.Exists() {
		return nil
	}
	d, err := v.Decimal()
	if err != nil {
		o.in.problems.add("", o.at(name), "it is no number")
		return nil
	}
	return &d
}

func (o *object) object(name string) *object { return o.in.object(o.get(name), o.at(name)) }

func (o *object) list(name string) []*object {
	v := o.get(name)
	if !v.Exists() {
		return nil
	}
	if v.Kind() != jsondoc.Array {
		o.in.problems.add("", o.at(name), "it is no list")
		return nil
	}
	var out []*object
	for e := range v.Elements() {
		out = append(out, o.in.object(e, fmt.Sprintf("%s.%d", o.at(name), len(out))))
	}
	return out
}

// pattern is a path without the numbers of elements.
func pattern(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "."), func(s string) bool { _, err := strconv.Atoi(s); return err == nil }), ".")
}

// placeless tells what has no place, unless it may be left out.
func (s *source) placeless(path string) {
	p := pattern(path)
	if !slices.ContainsFunc(s.leaveOut, func(l string) bool { return p == l || strings.HasPrefix(p, l+".") }) {
		s.problems.add("", path, "EN 16931 has no place for it; name it in einvoice.leave-out if it may be lost")
	}
}

// rest tells of every member that nobody has asked for.
func (s *source) rest() {
	for _, o := range s.objects {
		if !o.there() {
			continue
		}
		for name, v := range o.v.Members() {
			if !slices.Contains(o.used, name) && v.Exists() && !(v.Kind() == jsondoc.String && v.Str() == "") {
				s.placeless(o.at(name))
			}
		}
	}
}

// fromDocument reads a canonical invoice.
func fromDocument(doc jsondoc.Value, leaveOut []string) (*invoice, Problems) {
	s := &source{leaveOut: leaveOut, byPath: map[string]*object{}}
	d := s.object(doc, "")
	inv := &invoice{
		id: d.text("number"), issued: d.text("issued_on"), due: d.text("due_on"), taxPoint: d.text("tax_point_on"), delivered: d.text("delivered_on"),
		currency: d.text("currency"), taxCurrency: d.text("tax_currency"), buyerReference: d.text("customer_reference"), remittance: d.text("payment_reference"),
		lineTotal: d.number("subtotal"), allowanceTotal: d.number("allowance_total"), chargeTotal: d.number("charge_total"), netTotal: d.number("net_total"),
		taxTotal: d.number("tax_total"), total: d.number("total"), rounding: d.number("rounding"), payable: d.number("due"), own: d.number("exchange_rate"),
	}
	d.skip("id", "status", "tags", "created_at", "updated_at", "source_versions")
	inv.paid = sum(d.number("prepaid"), d.number("paid"))
	inv.period = readPeriod(d.object("period"))
	inv.seller = readParty(d.object("seller"), ofSeller)
	inv.buyer = readParty(d.object("customer"), ofBuyer)
	inv.payee = readParty(d.object("payee"), ofPayee)
	inv.representative = readParty(d.object("tax_representative"), ofRepresentative)
	inv.deliverTo = readParty(d.object("ship_to"), ofShipTo)
	inv.sales = readLink(d.object("order"))
	if n := readLink(d.object("corrects")); n != "" {
		inv.preceding = append(inv.preceding, reference{id: n})
	}
	if t := d.text("note"); t != "" {
		inv.notes = []note{{text: t}}
	}
	inv.readTerms(d.object("payment_terms"))
	for _, r := range d.list("references") {
		inv.readReference(r)
	}
	inv.readPayment(d)
	inv.adjustments = readAdjustments(d, "allowance_charges", nil)
	for _, t := range d.list("taxes") {
		inv.taxes = append(inv.taxes, readBreakdown(t))
	}
	for i, l := range d.list("lines") {
		inv.lines = append(inv.lines, inv.readLine(l, i))
	}
	inv.readAttributes(d)
	s.rest()
	return inv, s.problems
}

func sum(a, b number) number {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	d := a.Add(*b)
	return &d
}

func readLink(o *object) string {
	o.skip("id")
	return o.text("number")
}

func readPeriod(o *object) period { return period{o.text("from"), o.text("until")} }

func readAddress(o *object) address {
	a := address{street: o.text("street"), additional: o.text("additional_street"), city: o.text("city"), postal: o.text("postal_code"), country: o.text("country"), region: o.text("region")}
	o.skip("id", "uses", "is_default", "latitude", "longitude", "phone", "email", "gln", "name", "attention")
	if code := o.text("region_code"); a.region == "" {
		a.region = code
	}
	return a
}

// readParty reads what the standard has of a party.
func readParty(o *object, has parts) party {
	p := party{name: o.text("legal_name"), trading: o.text("name")}
	if p.name == "" {
		p.name, p.trading = p.trading, ""
	}
	if has.registration {
		p.registration.value = o.text("registration_number")
	}
	if has.address {
		if o.path == "ship_to" && p.name == "" {
			p.name = o.object("address").text("name")
		}
		p.address = readAddress(o.object("address"))
	}
	if has.vat {
		if tax := o.text("tax_id"); isVAT(tax) || !has.seller {
			p.vat = tax
		} else {
			p.tax = tax
		}
	}
	o.skip("id", "addresses", "contacts")
	if has.contact {
		p.readContact(o)
	} else {
		p.trading = "" // there is one name of it
	}
	if has.ids {
		p.readIdentifiers(o, has)
	}
	return p
}

func (p *party) readContact(o *object) {
	c := o.object("contact")
	c.skip("id", "given_name", "family_name", "salutation", "role", "department", "mobile", "language", "is_primary")
	p.contact, p.telephone, p.mailTo = c.text("name"), c.text("phone"), c.text("email")
	if t := o.text("phone"); p.telephone == "" {
		p.telephone = t
	}
	if t := o.text("email"); p.mailTo == "" {
		p.mailTo = t
	}
}

// readIdentifiers reads what a party is known by. The seller may have several; of another the GLN counts, then an identifier, then its number.
func (p *party) readIdentifiers(o *object, has parts) {
	if g := o.text("gln"); g != "" {
		p.ids = append(p.ids, identifier{g, schemeGLN})
	}
	for _, i := range o.list("identifiers") {
		value, scheme := i.text("value"), i.text("scheme")
		eas, isEAS := strings.CutPrefix(scheme, schemeEAS)
		code := schemeOf(scheme)
		switch {
		case isEAS && has.contact && p.endpoint.value == "":
			p.endpoint = identifier{value, eas}
		case scheme == "VAT" && value == p.vat:
		case (code != "" || scheme == schemePlain) && (has.seller || len(p.ids) == 0):
			p.ids = append(p.ids, identifier{value, code})
		default:
			o.in.placeless(i.path)
		}
	}
	if n := o.text("number"); n != "" && (has.seller || len(p.ids) == 0) {
		p.ids = append([]identifier{{value: n}}, p.ids...)
	}
}

func (inv *invoice) readTerms(o *object) {
	inv.terms = o.text("name")
	if day := o.text("due_on"); inv.due == "" {
		inv.due = day
	}
	if inv.due != "" || inv.terms != "" {
		o.skip("code", "days")
	}
	if inv.terms != "" { // which says them; by themselves they are money that nobody would know of
		o.skip("discount_days", "discount_percent")
	}
}

// kinds are the references that an invoice may have, once each.
func (inv *invoice) kinds() []term {
	return []term{{"purchase_order", &inv.order}, {"contract", &inv.contract}, {"project", &inv.project}, {"receiving_advice", &inv.receiving}, {"delivery_note", &inv.despatch}, {"tender", &inv.tender}}
}

// kindInvoice is a reference to an invoice that came before.
const kindInvoice = "invoice"

func (inv *invoice) readReference(o *object) {
	kind, number := o.text("kind"), o.text("number")
	o.skip("id")
	if kind == kindInvoice && number != "" {
		inv.preceding = append(inv.preceding, reference{number, o.text("issued_on")})
		return
	}
	for _, k := range inv.kinds() {
		if k.name == kind && *k.at == "" && number != "" {
			*k.at = number
			return
		}
	}
	o.skip("issued_on", "line_id")
	o.in.placeless(o.path)
}

func (inv *invoice) readPayment(d *object) {
	method := d.text("payment_method")
	inv.means = codeOfMethod(method)
	if method != "" && inv.means == "" {
		d.in.placeless("payment_method")
	}
	for _, a := range d.list("bank_accounts") {
		one := account{iban: a.text("iban"), holder: a.text("holder"), bic: a.text("bic")}
		if one.iban == "" {
			one.other = a.text("number")
		} else {
			a.skip("number", "bank_code")
		}
		inv.accounts = append(inv.accounts, one)
	}
	if inv.means == "" && method == "" && len(inv.accounts) > 0 {
		inv.means = codeOfMethod("bank_transfer")
	}
}

func readCategory(o *object) category {
	t := category{code: o.text("category"), rate: o.number("rate"), reason: o.text("exemption_reason")}
	if code := o.text("code"); codes["vatex"][code] { // another is one of the sender's own
		t.reasonCode = code
	}
	if included := o.get("included"); included.Exists() && included.Bool() {
		o.in.problems.add("", o.at("included"), "prices of EN 16931 are without tax")
	}
	o.skip("name")
	return t
}

// readOnly reads the one tax of a line or an adjustment.
func readOnly(o *object) category {
	all := o.list("taxes")
	if len(all) == 0 {
		return category{}
	}
	if len(all) > 1 {
		o.in.problems.add("", o.at("taxes"), "EN 16931 has one VAT category for it, and there are %d taxes", len(all))
	}
	all[0].skip("base", "amount")
	return readCategory(all[0])
}

func readBreakdown(o *object) breakdown {
	return breakdown{tax: readCategory(o), base: o.number("base"), amount: o.number("amount"), path: o.path}
}

// readAdjustments reads those of the document, or of a line, whose category they have.
func readAdjustments(o *object, name string, line *category) []adjustment {
	var out []adjustment
	for _, a := range o.list(name) {
		one := adjustment{charge: a.text("kind") == "charge", amount: a.number("amount"), base: a.number("base"), percent: a.number("percent"), reason: a.text("reason"), code: a.text("code"), path: a.path}
		if tax := readOnly(a); line == nil {
			one.tax = tax
		} else if tax.code != "" && !tax.same(*line) {
			o.in.problems.add("", a.at("taxes"), "it is %s, and EN 16931 has the line's category for it, which is %s", describe(tax), describe(*line))
		}
		out = append(out, one)
	}
	return out
}

func (inv *invoice) readLine(o *object, i int) line {
	l := line{
		note: o.text("note"), quantity: o.number("quantity"), unit: o.text("unit"), amount: o.number("amount"), account: o.text("account"),
		price: o.number("unit_price"), priceBase: o.number("price_quantity"), name: o.text("name"), description: o.text("description"),
		sellerItem: o.text("sku"), buyerItem: o.text("customer_sku"), period: readPeriod(o.object("period")), path: o.path,
	}
	if l.priceBase != nil {
		l.priceUnit = l.unit
	}
	o.skip("product", "order", "order_line_id", "shipment")
	if l.id = o.text("id"); l.id == "" {
		l.id = strconv.Itoa(i + 1)
	}
	if n := o.number("line_number"); n != nil {
		l.id = n.String()
	}
	if g := o.text("gtin"); g != "" {
		l.standard = identifier{g, schemeGTIN}
	}
	for _, r := range o.list("references") {
		if line := r.text("line_id"); r.text("kind") == "purchase_order" && line != "" && l.orderLine == "" {
			l.orderLine = line
			r.skip("id", "number", "issued_on")
			continue
		}
		r.skip("id", "number", "issued_on")
		o.in.placeless(r.path)
	}
	l.tax = readOnly(o)
	l.adjustments = readAdjustments(o, "allowance_charges", &l.tax)
	attributes := o.object("attributes")
	readTerms(attributes, l.attributes())
	for name, v := range map[string]*number{"BT-147": &l.discount, "BT-148": &l.gross} {
		*v = readDecimalTerm(attributes, name)
	}
	return l
}

// readTerms reads those attributes that are terms of the standard. Others are the hub's.
func readTerms(o *object, terms []term) {
	for _, t := range terms {
		if v := o.text(t.name); v != "" && *t.at == "" {
			*t.at = v
		}
	}
	if o.there() {
		for name := range o.v.Members() {
			if !strings.HasPrefix(name, "BT-") {
				o.skip(name)
			}
		}
	}
}

func readDecimalTerm(o *object, name string) number {
	text := o.text(name)
	if text == "" {
		return nil
	}
	n, err := jsondoc.ParseDecimal(text)
	if err != nil {
		o.in.problems.add("", o.at(name), "it is no decimal")
		return nil
	}
	return &n
}

func (inv *invoice) readAttributes(d *object) {
	typ := d.text("type")
	if typ == "" {
		typ = "invoice"
	}
	a := d.object("attributes")
	inv.code = typeCodes[typ]
	if code := a.text("BT-3"); code != "" {
		inv.code = code
		if typeOfCode(code) != typ {
			d.in.problems.add("", a.at("BT-3"), "%s is no code of the type %s", short(code), short(typ))
		}
	}
	if code := a.text("BT-81"); code != "" {
		inv.means = code
	}
	if subject := a.text("BT-21"); subject != "" && len(inv.notes) > 0 {
		inv.notes[0].subject = subject
	}
	readTerms(a, inv.attributes())
	inv.taxTotalOwn = readDecimalTerm(a, "BT-111")
}
