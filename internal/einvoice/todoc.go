package einvoice

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// builder writes an object. Members without a value are left out.
type builder struct{ b []byte }

func (w *builder) key(name string) {
	if len(w.b) > 0 {
		w.b = append(w.b, ',')
	}
	w.b = append(jsondoc.AppendString(w.b, name), ':')
}

func (w *builder) text(name, v string) {
	if v != "" {
		w.key(name)
		w.b = jsondoc.AppendString(w.b, v)
	}
}

func (w *builder) number(name string, v number) {
	if v != nil {
		w.key(name)
		w.b = v.Append(w.b)
	}
}

func (w *builder) object(name string, f func(*builder)) {
	in := &builder{}
	if f(in); len(in.b) > 0 {
		w.key(name)
		w.b = append(append(append(w.b, '{'), in.b...), '}')
	}
}

// list writes objects; those without a member are left out.
func list[T any](w *builder, name string, items []T, f func(*builder, *T)) {
	var out []byte
	for i := range items {
		in := &builder{}
		if f(in, &items[i]); len(in.b) > 0 {
			if len(out) > 0 {
				out = append(out, ',')
			}
			out = append(append(append(out, '{'), in.b...), '}')
		}
	}
	if len(out) > 0 {
		w.key(name)
		w.b = append(append(append(w.b, '['), out...), ']')
	}
}

// document gives the invoice as a canonical one. unread names what of its XML was not taken over.
func (inv *invoice) document(unread string) ([]byte, error) {
	w := &builder{}
	w.text("id", inv.id)
	w.text("number", inv.id)
	w.text("type", typeOfCode(inv.code))
	w.text("issued_on", inv.issued)
	w.text("due_on", inv.due)
	w.text("tax_point_on", inv.taxPoint)
	w.text("delivered_on", inv.delivered)
	w.object("period", inv.period.write)
	w.object("customer", func(w *builder) {
		w.text("id", inv.buyer.known())
		inv.buyer.write(w)
	})
	w.object("ship_to", inv.deliverTo.write)
	w.object("seller", inv.seller.write)
	w.object("payee", inv.payee.write)
	w.object("tax_representative", inv.representative.write)
	w.text("customer_reference", inv.buyerReference)
	w.object("order", func(w *builder) { w.text("number", inv.sales) })
	preceding := inv.preceding
	if len(preceding) > 0 && preceding[0].issued == "" {
		w.object("corrects", func(w *builder) { w.text("number", preceding[0].id) })
		preceding = preceding[1:]
	}
	inv.writeReferences(w, preceding)
	w.text("currency", inv.currency)
	w.text("tax_currency", inv.taxCurrency)
	w.object("payment_terms", func(w *builder) { w.text("name", inv.terms) })
	if inv.means != "" {
		w.text("payment_method", methodOfCode(inv.means))
	}
	w.text("payment_reference", inv.remittance)
	list(w, "bank_accounts", inv.accounts, func(w *builder, a *account) {
		w.text("iban", a.iban)
		w.text("bic", a.bic)
		w.text("number", a.other)
		w.text("holder", a.holder)
	})
	list(w, "lines", inv.lines, func(w *builder, l *line) { l.write(w) })
	list(w, "allowance_charges", inv.adjustments, func(w *builder, a *adjustment) { a.write(w) })
	list(w, "taxes", inv.taxes, func(w *builder, b *breakdown) {
		b.tax.write(w)
		w.text("code", b.tax.reasonCode)
		w.number("base", b.base)
		w.number("amount", b.amount)
		w.text("exemption_reason", b.tax.reason)
	})
	inv.writeTotals(w)
	w.text("note", inv.noteText())
	w.object("attributes", func(w *builder) { inv.writeAttributes(w, unread) })
	return append(append([]byte{'{'}, w.b...), '}'), nil
}

func (inv *invoice) writeTotals(w *builder) {
	w.number("subtotal", inv.lineTotal)
	w.number("allowance_total", inv.allowanceTotal)
	w.number("charge_total", inv.chargeTotal)
	w.number("tax_total", inv.taxTotal)
	w.number("rounding", inv.rounding)
	w.number("total", inv.total)
	w.number("net_total", inv.netTotal)
	w.number("prepaid", inv.paid)
	w.number("due", inv.payable)
}

func (inv *invoice) writeReferences(w *builder, preceding []reference) {
	type kind struct{ kind, number, issued string }
	var all []kind
	for _, k := range inv.kinds() {
		if *k.at != "" {
			all = append(all, kind{k.name, *k.at, ""})
		}
	}
	for _, r := range preceding {
		all = append(all, kind{kindInvoice, r.id, r.issued})
	}
	list(w, "references", all, func(w *builder, k *kind) {
		w.text("kind", k.kind)
		w.text("number", k.number)
		w.text("issued_on", k.issued)
	})
}

// noteText joins the notes, each in a paragraph of its own. The first one's subject is an attribute; the others' stand before them, as in UBL.
func (inv *invoice) noteText() string {
	var texts []string
	for i, n := range inv.notes {
		if i > 0 {
			n.head()
		}
		texts = append(texts, n.text)
	}
	return strings.Join(texts, "\n\n")
}

func (inv *invoice) writeAttributes(w *builder, unread string) {
	if inv.code != typeCodes[typeOfCode(inv.code)] {
		w.text("BT-3", inv.code)
	}
	if inv.means != "" && inv.means != codeOfMethod(methodOfCode(inv.means)) {
		w.text("BT-81", inv.means)
	}
	if len(inv.notes) > 0 {
		w.text("BT-21", inv.notes[0].subject)
	}
	for _, t := range inv.attributes() {
		if !inv.hasField(t) {
			w.text(t.name, *t.at)
		}
	}
	if inv.taxTotalOwn != nil {
		w.text("BT-111", inv.taxTotalOwn.String())
	}
	w.text("unread", unread)
}

// hasField: the term stands in a field of the document.
func (inv *invoice) hasField(t term) bool {
	switch t.at {
	case &inv.seller.tax:
		return inv.seller.vat == "" && !isVAT(inv.seller.tax)
	case &inv.seller.telephone, &inv.buyer.telephone:
		return phoneForm.MatchString(*t.at)
	case &inv.seller.mailTo, &inv.buyer.mailTo:
		return mailForm.MatchString(*t.at)
	}
	return false
}

func (p *period) write(w *builder) {
	w.text("from", p.from)
	w.text("until", p.until)
}

func (t *category) write(w *builder) {
	w.text("category", t.code)
	w.number("rate", t.rate)
}

func (a *address) write(w *builder) {
	w.text("street", a.street)
	w.text("additional_street", a.additional)
	w.text("city", a.city)
	w.text("postal_code", a.postal)
	w.text("region", a.region)
	w.text("country", a.country)
}

// known is what a cross-reference can know the party by.
func (p *party) known() string {
	for _, s := range []string{firstID(p.ids).value, p.vat, p.registration.value, p.endpoint.value, p.name} {
		if s != "" {
			return s
		}
	}
	return ""
}

func (p *party) write(w *builder) {
	gln, others := "", []identifier(nil)
	number := ""
	for _, i := range p.ids {
		switch {
		case i.scheme == "" && number == "":
			number = i.value
		case i.scheme == schemeGLN && gln == "" && glnForm.MatchString(i.value):
			gln = i.value
		default:
			others = append(others, identifier{i.value, nameOfScheme(i.scheme)})
		}
	}
	if p.endpoint.value != "" {
		others = append(others, identifier{p.endpoint.value, schemeEAS + p.endpoint.scheme})
	}
	w.text("number", number)
	if p.trading == "" {
		w.text("name", p.name)
	} else {
		w.text("name", p.trading)
		w.text("legal_name", p.name)
	}
	tax := p.vat
	if tax == "" && !isVAT(p.tax) {
		tax = p.tax
	}
	w.text("tax_id", tax)
	w.text("registration_number", p.registration.value)
	w.text("gln", gln)
	list(w, "identifiers", others, func(w *builder, i *identifier) {
		w.text("scheme", i.scheme)
		w.text("value", i.value)
	})
	w.object("address", p.address.write)
	w.object("contact", func(w *builder) {
		w.text("name", p.contact)
		if mailForm.MatchString(p.mailTo) {
			w.text("email", p.mailTo)
		}
		if phoneForm.MatchString(p.telephone) {
			w.text("phone", p.telephone)
		}
	})
}

func (a *adjustment) write(w *builder) {
	kind := "allowance"
	if a.charge {
		kind = "charge"
	}
	w.text("kind", kind)
	w.text("code", a.code)
	w.text("reason", a.reason)
	w.number("percent", a.percent)
	w.number("base", a.base)
	w.number("amount", a.amount)
	if a.tax.code != "" {
		list(w, "taxes", []category{a.tax}, func(w *builder, t *category) { t.write(w) })
	}
}

var (
	glnForm  = regexp.MustCompile(`^[0-9]{13}$`)
	gtinForm = regexp.MustCompile(`^([0-9]{8}|[0-9]{12,14})$`)
	ibanForm = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$`)
	// Those of the schema: what is none stands in the attributes.
	phoneForm = regexp.MustCompile(`^[+(]?[0-9][0-9 ()/.-]{3,38}[0-9]$`)
	mailForm  = regexp.MustCompile(`^[^@ ]{1,64}@[^@ ]+\.[^@ ]+$`)
	noteForm  = regexp.MustCompile(`(?s)^#([A-Z]{3})#(.*)$`)
)

func (l *line) write(w *builder) {
	if n, err := strconv.Atoi(l.id); err == nil && n <= mostLineNumber && strconv.Itoa(n) == l.id && n >= 0 {
		w.key("line_number")
		w.b = strconv.AppendInt(w.b, int64(n), 10)
	} else {
		w.text("id", l.id)
	}
	w.text("sku", l.sellerItem)
	gtin := l.standard.scheme == schemeGTIN && gtinForm.MatchString(l.standard.value)
	if gtin {
		w.text("gtin", l.standard.value)
	}
	w.text("customer_sku", l.buyerItem)
	w.text("name", l.name)
	w.text("description", l.description)
	w.number("quantity", l.quantity)
	w.text("unit", l.unit)
	w.number("unit_price", l.price)
	w.number("price_quantity", l.priceBase)
	list(w, "allowance_charges", l.adjustments, func(w *builder, a *adjustment) { a.write(w) })
	list(w, "taxes", []category{l.tax}, func(w *builder, t *category) { t.write(w) })
	w.number("amount", l.amount)
	w.object("period", l.period.write)
	w.text("account", l.account)
	if l.orderLine != "" {
		list(w, "references", []string{l.orderLine}, func(w *builder, id *string) {
			w.text("kind", "purchase_order")
			w.text("line_id", *id)
		})
	}
	w.text("note", l.note)
	w.object("attributes", func(w *builder) {
		for _, t := range l.attributes() {
			if !gtin || t.at != &l.standard.value && t.at != &l.standard.scheme {
				w.text(t.name, *t.at)
			}
		}
		for _, n := range []struct {
			name string
			v    number
		}{{"BT-147", l.discount}, {"BT-148", l.gross}} {
			if n.v != nil {
				w.text(n.name, n.v.String())
			}
		}
	})
}

// mostLineNumber is the largest number of a line that canonical invoices take.
const mostLineNumber = 1_000_000

// named takes an account's identifier as an IBAN, if it is one.
func (a *account) named(id string) {
	if plain := strings.ReplaceAll(id, " ", ""); ibanForm.MatchString(plain) {
		a.iban, a.other = plain, ""
		return
	}
	a.iban, a.other = "", id
}

// head puts the subject before the text.
func (n *note) head() {
	if n.subject != "" {
		n.text = "#" + n.subject + "#" + n.text
	}
}

// split takes the subject from a note of UBL, which writes it before the text.
func (n *note) split(c *codec) {
	if m := noteForm.FindStringSubmatch(n.text); !c.writing && m != nil {
		n.subject, n.text = m[1], m[2]
	}
}
