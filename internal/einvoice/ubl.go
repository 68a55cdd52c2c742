package einvoice

import (
	"strconv"

	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// missingOrder stands in UBL for the purchase order of an invoice that names its sales order alone.
const missingOrder = "NA"

// Types of documents that an AdditionalDocumentReference is of.
const (
	ublObject  = "130"
	ublProject = "50"
)

// ubl describes an Invoice or a CreditNote. The order of the calls is that of the schema.
func (c *codec) ubl(inv *invoice) {
	credit := c.top.Name == nameOf("cn:CreditNote")
	c.text("cbc:CustomizationID", &inv.specification)
	c.text("cbc:ProfileID", &inv.process)
	c.text("cbc:ID", &inv.id)
	c.day("cbc:IssueDate", &inv.issued)
	notes := func() {
		each(c, "cbc:Note", &inv.notes, func(n *note) {
			if c.writing {
				n.head()
			}
			c.content(&n.text, nil)
			n.split(c)
		})
	}
	if credit {
		c.day("cbc:TaxPointDate", &inv.taxPoint)
		c.text("cbc:CreditNoteTypeCode", &inv.code)
		notes()
	} else {
		c.day("cbc:DueDate", &inv.due)
		c.text("cbc:InvoiceTypeCode", &inv.code)
		notes()
		c.day("cbc:TaxPointDate", &inv.taxPoint)
	}
	c.text("cbc:DocumentCurrencyCode", &inv.currency)
	c.text("cbc:TaxCurrencyCode", &inv.taxCurrency)
	c.text("cbc:AccountingCost", &inv.account)
	c.text("cbc:BuyerReference", &inv.buyerReference)
	c.in("cac:InvoicePeriod", func() {
		c.ublPeriod(&inv.period)
		c.text("cbc:DescriptionCode", &inv.taxPointCode)
	})
	c.ublReferences(inv, credit)
	c.ublParties(inv)
	c.ublDelivery(inv)
	c.ublMeans(inv, credit)
	c.in("cac:PaymentTerms", func() { c.text("cbc:Note", &inv.terms) })
	each(c, "cac:AllowanceCharge", &inv.adjustments, c.ublAdjustment)
	c.ublTaxes(inv)
	c.in("cac:LegalMonetaryTotal", func() {
		c.amount("cbc:LineExtensionAmount", &inv.lineTotal)
		c.amount("cbc:TaxExclusiveAmount", &inv.netTotal)
		c.amount("cbc:TaxInclusiveAmount", &inv.total)
		c.amount("cbc:AllowanceTotalAmount", &inv.allowanceTotal)
		c.amount("cbc:ChargeTotalAmount", &inv.chargeTotal)
		c.amount("cbc:PrepaidAmount", &inv.paid)
		c.amount("cbc:PayableRoundingAmount", &inv.rounding)
		c.amount("cbc:PayableAmount", &inv.payable)
	})
	name, quantity := "cac:InvoiceLine", "cbc:InvoicedQuantity"
	if credit {
		name, quantity = "cac:CreditNoteLine", "cbc:CreditedQuantity"
	}
	each(c, name, &inv.lines, func(l *line) { c.ublLine(l, quantity) })
}

func (c *codec) ublPeriod(p *period) {
	c.day("cbc:StartDate", &p.from)
	c.day("cbc:EndDate", &p.until)
}

func (c *codec) ublReferences(inv *invoice, credit bool) {
	c.in("cac:OrderReference", func() {
		order := inv.order
		if c.writing && order == "" && inv.sales != "" {
			order = missingOrder
		}
		c.text("cbc:ID", &order)
		c.text("cbc:SalesOrderID", &inv.sales)
		if !c.writing && order != missingOrder {
			inv.order = order
		}
	})
	each(c, "cac:BillingReference", &inv.preceding, func(r *reference) {
		c.in("cac:InvoiceDocumentReference", func() {
			c.text("cbc:ID", &r.id)
			c.day("cbc:IssueDate", &r.issued)
		})
	})
	id := func(name string, v *string) { c.in(name, func() { c.text("cbc:ID", v) }) }
	id("cac:DespatchDocumentReference", &inv.despatch)
	id("cac:ReceiptDocumentReference", &inv.receiving)
	if !credit {
		id("cac:OriginatorDocumentReference", &inv.tender)
	}
	id("cac:ContractDocumentReference", &inv.contract)
	c.ublObject("cac:AdditionalDocumentReference", ublObject, &inv.object, attr{name: "schemeID", at: &inv.objectScheme})
	if credit {
		c.ublObject("cac:AdditionalDocumentReference", ublProject, &inv.project)
		id("cac:OriginatorDocumentReference", &inv.tender)
		return
	}
	id("cac:ProjectReference", &inv.project)
}

// ublObject describes a reference to a document of a type.
func (c *codec) ublObject(name, typ string, v *string, attrs ...attr) {
	c.where(name, childIs(typ, "cbc:DocumentTypeCode"), func() {
		c.text("cbc:ID", v, attrs...)
		if *v != "" {
			c.fixed("cbc:DocumentTypeCode", typ)
		}
	})
}

func (c *codec) ublParties(inv *invoice) {
	// The creditor's identifier of direct debits is one of the seller's or the payee's.
	with := &inv.seller
	if inv.payee.there() {
		with = &inv.payee
	}
	if c.writing && inv.creditor != "" {
		with.ids = append(with.ids, identifier{inv.creditor, sepaScheme})
	}
	c.in("cac:AccountingSupplierParty", func() { c.in("cac:Party", func() { c.ublParty(&inv.seller, ofSeller) }) })
	c.in("cac:AccountingCustomerParty", func() { c.in("cac:Party", func() { c.ublParty(&inv.buyer, ofBuyer) }) })
	c.in("cac:PayeeParty", func() {
		c.ublIDs(&inv.payee)
		c.in("cac:PartyName", func() { c.text("cbc:Name", &inv.payee.name) })
		c.in("cac:PartyLegalEntity", func() { c.ublScheme("cbc:CompanyID", &inv.payee.registration) })
	})
	c.in("cac:TaxRepresentativeParty", func() {
		c.in("cac:PartyName", func() { c.text("cbc:Name", &inv.representative.name) })
		c.ublAddress("cac:PostalAddress", &inv.representative.address)
		c.ublTaxScheme(&inv.representative.vat, true)
	})
	if !c.writing {
		inv.seller.takeCreditor(inv)
		inv.payee.takeCreditor(inv)
	}
}

// sepaScheme marks an identifier as BT-90.
const sepaScheme = "SEPA"

func (p *party) takeCreditor(inv *invoice) {
	var rest []identifier
	for _, i := range p.ids {
		if i.scheme == sepaScheme {
			inv.creditor = i.value
			continue
		}
		rest = append(rest, i)
	}
	p.ids = rest
}

func (c *codec) ublParty(p *party, has parts) {
	c.ublScheme("cbc:EndpointID", &p.endpoint)
	c.ublIDs(p)
	c.in("cac:PartyName", func() { c.text("cbc:Name", &p.trading) })
	c.ublAddress("cac:PostalAddress", &p.address)
	c.ublTaxScheme(&p.vat, true)
	if has.seller || p.vat == "" { // another has one number
		c.ublTaxScheme(&p.tax, false)
	}
	c.in("cac:PartyLegalEntity", func() {
		c.text("cbc:RegistrationName", &p.name)
		c.ublScheme("cbc:CompanyID", &p.registration)
		if has.seller {
			c.text("cbc:CompanyLegalForm", &p.legal)
		}
	})
	c.in("cac:Contact", func() {
		c.text("cbc:Name", &p.contact)
		c.text("cbc:Telephone", &p.telephone)
		c.text("cbc:ElectronicMail", &p.mailTo)
	})
}

func (c *codec) ublScheme(name string, i *identifier) {
	c.text(name, &i.value, attr{name: "schemeID", at: &i.scheme})
}

func (c *codec) ublIDs(p *party) {
	each(c, "cac:PartyIdentification", &p.ids, func(i *identifier) { c.ublScheme("cbc:ID", i) })
}

// ublTaxScheme describes a party's number for VAT, or for another tax.
func (c *codec) ublTaxScheme(v *string, vat bool) {
	isVAT := childIs("VAT", "cac:TaxScheme", "cbc:ID")
	scheme := "VAT"
	if !vat {
		scheme = "TAX"
	}
	c.where("cac:PartyTaxScheme", func(e *xmldoc.Element) bool { return isVAT(e) == vat }, func() {
		c.text("cbc:CompanyID", v)
		if *v != "" {
			c.in("cac:TaxScheme", func() { c.fixed("cbc:ID", scheme) })
		}
	})
}

func (c *codec) ublAddress(name string, a *address) {
	c.in(name, func() {
		c.text("cbc:StreetName", &a.street)
		c.text("cbc:AdditionalStreetName", &a.additional)
		c.text("cbc:CityName", &a.city)
		c.text("cbc:PostalZone", &a.postal)
		c.text("cbc:CountrySubentity", &a.region)
		c.in("cac:AddressLine", func() { c.text("cbc:Line", &a.third) })
		c.in("cac:Country", func() { c.text("cbc:IdentificationCode", &a.country) })
	})
}

func (c *codec) ublDelivery(inv *invoice) {
	to := &inv.deliverTo
	c.in("cac:Delivery", func() {
		c.day("cbc:ActualDeliveryDate", &inv.delivered)
		c.in("cac:DeliveryLocation", func() {
			id := firstID(to.ids)
			c.ublScheme("cbc:ID", &id)
			if !c.writing && id.value != "" {
				to.ids = []identifier{id}
			}
			c.ublAddress("cac:Address", &to.address)
		})
		c.in("cac:DeliveryParty", func() { c.in("cac:PartyName", func() { c.text("cbc:Name", &to.name) }) })
	})
}

func firstID(ids []identifier) identifier {
	if len(ids) == 0 {
		return identifier{}
	}
	return ids[0]
}

// means is one element PaymentMeans: the instruction is repeated for each account.
type means struct {
	code, text, due, remittance string
	account                     account
	mandate, debited            string
}

// allMeans gives the instructions of an invoice.
func (inv *invoice) allMeans() []means {
	if inv.means == "" {
		return nil
	}
	accounts := inv.accounts
	if len(accounts) == 0 {
		accounts = []account{{}}
	}
	var out []means
	for i, a := range accounts {
		m := means{code: inv.means, text: inv.meansText, remittance: inv.remittance, account: a}
		if i == 0 {
			m.mandate, m.debited, m.due = inv.mandate, inv.debited, inv.due
		}
		out = append(out, m)
	}
	return out
}

// takeMeans takes one instruction over. What it says otherwise than one before it has no place.
func (c *codec) takeMeans(inv *invoice, m means) {
	for _, t := range []struct {
		name     string
		to, from *string
	}{
		{"PaymentMeansCode", &inv.means, &m.code}, {"PaymentMeansCode/@name", &inv.meansText, &m.text}, {"PaymentID", &inv.remittance, &m.remittance}, {"PaymentMandate/ID", &inv.mandate, &m.mandate},
		{"PaymentMandate/PayerFinancialAccount/ID", &inv.debited, &m.debited}, {"PaymentDueDate", &inv.due, &m.due},
	} {
		if *t.to == "" {
			*t.to = *t.from
		} else if *t.from != "" && *t.from != *t.to {
			c.lost = append(c.lost, "PaymentMeans/"+t.name)
		}
	}
	if m.account != (account{}) {
		inv.accounts = append(inv.accounts, m.account)
	}
}

func (c *codec) ublMeans(inv *invoice, credit bool) {
	all := inv.allMeans()
	for i := range all {
		if i > 0 { // UBL-SR-46: once
			all[i].text = ""
		}
	}
	each(c, "cac:PaymentMeans", &all, func(m *means) {
		c.text("cbc:PaymentMeansCode", &m.code, attr{name: "name", at: &m.text})
		if credit { // which has no other place for it
			c.day("cbc:PaymentDueDate", &m.due)
		}
		c.text("cbc:PaymentID", &m.remittance)
		c.in("cac:PayeeFinancialAccount", func() {
			id := m.account.iban + m.account.other
			c.text("cbc:ID", &id)
			c.text("cbc:Name", &m.account.holder)
			c.in("cac:FinancialInstitutionBranch", func() { c.text("cbc:ID", &m.account.bic) })
			if !c.writing {
				m.account.named(id)
			}
		})
		c.in("cac:PaymentMandate", func() {
			c.text("cbc:ID", &m.mandate)
			c.in("cac:PayerFinancialAccount", func() { c.text("cbc:ID", &m.debited) })
		})
	})
	if !c.writing {
		for _, m := range all {
			c.takeMeans(inv, m)
		}
	}
}

func (c *codec) ublAdjustment(a *adjustment) {
	c.flag("cbc:ChargeIndicator", &a.charge)
	c.text("cbc:AllowanceChargeReasonCode", &a.code)
	c.text("cbc:AllowanceChargeReason", &a.reason)
	c.number("cbc:MultiplierFactorNumeric", &a.percent)
	c.amount("cbc:Amount", &a.amount)
	c.amount("cbc:BaseAmount", &a.base)
	c.ublCategory("cac:TaxCategory", &a.tax, nil)
}

// flag describes an element that is true or false. Which of them it is says the direction of money, and is never guessed.
func (c *codec) flag(name string, v *bool) {
	text := ""
	if c.writing {
		text = strconv.FormatBool(*v)
	}
	c.text(name, &text)
	if c.writing {
		return
	}
	switch text {
	case "true", "1":
		*v = true
	case "false", "0":
	default:
		c.problems.add("", local(name), "%q is neither true nor false", short(text))
	}
}

// ublCategory describes a VAT category. b is the breakdown that it heads, or nil.
func (c *codec) ublCategory(name string, t *category, b *breakdown) {
	if c.writing && t.code == "" {
		return
	}
	c.in(name, func() {
		c.text("cbc:ID", &t.code)
		c.number("cbc:Percent", &t.rate)
		if b != nil {
			c.text("cbc:TaxExemptionReasonCode", &b.tax.reasonCode)
			c.text("cbc:TaxExemptionReason", &b.tax.reason)
		}
		c.in("cac:TaxScheme", func() { c.fixed("cbc:ID", "VAT") })
	})
}

func (c *codec) ublTaxes(inv *invoice) {
	like := func(own bool) func(*xmldoc.Element) bool {
		return func(e *xmldoc.Element) bool {
			cur := e.Child(nameOf("cbc:TaxAmount").Space, "TaxAmount").Attr("", "currencyID")
			return own == (inv.taxCurrency != "" && cur == inv.taxCurrency && cur != inv.currency)
		}
	}
	c.where("cac:TaxTotal", like(false), func() {
		c.amount("cbc:TaxAmount", &inv.taxTotal)
		each(c, "cac:TaxSubtotal", &inv.taxes, func(b *breakdown) {
			c.amount("cbc:TaxableAmount", &b.base)
			c.amount("cbc:TaxAmount", &b.amount)
			c.ublCategory("cac:TaxCategory", &b.tax, b)
		})
	})
	if inv.taxCurrency != "" {
		c.where("cac:TaxTotal", like(true), func() { c.money("cbc:TaxAmount", &inv.taxTotalOwn, inv.taxCurrency, digitsOf(inv.taxCurrency), true) })
	}
}

func (c *codec) ublLine(l *line, quantity string) {
	c.text("cbc:ID", &l.id)
	c.text("cbc:Note", &l.note)
	c.number(quantity, &l.quantity, attr{name: "unitCode", at: &l.unit})
	c.amount("cbc:LineExtensionAmount", &l.amount)
	c.text("cbc:AccountingCost", &l.account)
	c.in("cac:InvoicePeriod", func() { c.ublPeriod(&l.period) })
	c.in("cac:OrderLineReference", func() { c.text("cbc:LineID", &l.orderLine) })
	c.ublObject("cac:DocumentReference", ublObject, &l.object, attr{name: "schemeID", at: &l.objectScheme})
	each(c, "cac:AllowanceCharge", &l.adjustments, c.ublAdjustment)
	c.in("cac:Item", func() {
		id := func(name string, v *string) { c.in(name, func() { c.text("cbc:ID", v) }) }
		c.text("cbc:Description", &l.description)
		c.text("cbc:Name", &l.name)
		id("cac:BuyersItemIdentification", &l.buyerItem)
		id("cac:SellersItemIdentification", &l.sellerItem)
		c.in("cac:StandardItemIdentification", func() { c.ublScheme("cbc:ID", &l.standard) })
		c.in("cac:OriginCountry", func() { c.text("cbc:IdentificationCode", &l.origin) })
		c.ublCategory("cac:ClassifiedTaxCategory", &l.tax, nil)
	})
	c.in("cac:Price", func() {
		c.price("cbc:PriceAmount", &l.price)
		c.number("cbc:BaseQuantity", &l.priceBase, attr{name: "unitCode", at: &l.priceUnit})
		if c.writing && l.discount == nil {
			return
		}
		c.in("cac:AllowanceCharge", func() {
			charge := false
			c.flag("cbc:ChargeIndicator", &charge)
			c.price("cbc:Amount", &l.discount)
			c.price("cbc:BaseAmount", &l.gross)
			if charge {
				c.problems.add("PEPPOL-EN16931-R044", "Price", "a charge on a price has no place in EN 16931")
			}
		})
	})
	c.sameUnit(l)
}

// sameUnit: a price for so many of one unit says nothing of a quantity in another.
func (c *codec) sameUnit(l *line) {
	if !c.writing && l.priceUnit != "" && l.unit != "" && l.priceUnit != l.unit {
		c.problems.add("PEPPOL-EN16931-R130", "BaseQuantity", "the price of line %s is for %s, and the quantity is in %s", short(l.id), short(l.priceUnit), short(l.unit))
	}
}
