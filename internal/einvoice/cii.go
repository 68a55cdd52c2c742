package einvoice

import "github.com/waybill-hub/waybill/internal/xmldoc"

// Types of documents that an AdditionalReferencedDocument is of.
const (
	ciiTender = "50"
	ciiObject = "130"
)

// ciiPointCodes are what CII says for the codes of BT-8, which are UBL's: it takes another list for the same.
var ciiPointCodes = map[string]string{"3": "5", "35": "29", "432": "72"}

// cii describes a Cross Industry Invoice. The order of the calls is that of the schema.
func (c *codec) cii(inv *invoice) {
	if !c.writing { // lines come first, and their amounts are in it
		settlement := c.top.Child(nameOf("rsm:x").Space, "SupplyChainTradeTransaction").Child(nameOf("ram:x").Space, "ApplicableHeaderTradeSettlement")
		inv.currency = settlement.Child(nameOf("ram:x").Space, "InvoiceCurrencyCode").Content()
		inv.taxCurrency = settlement.Child(nameOf("ram:x").Space, "TaxCurrencyCode").Content()
	}
	c.in("rsm:ExchangedDocumentContext", func() {
		c.in("ram:BusinessProcessSpecifiedDocumentContextParameter", func() { c.text("ram:ID", &inv.process) })
		c.in("ram:GuidelineSpecifiedDocumentContextParameter", func() { c.text("ram:ID", &inv.specification) })
	})
	c.in("rsm:ExchangedDocument", func() {
		c.text("ram:ID", &inv.id)
		c.text("ram:TypeCode", &inv.code)
		c.basicDay("ram:IssueDateTime", "udt:DateTimeString", &inv.issued)
		each(c, "ram:IncludedNote", &inv.notes, func(n *note) {
			c.text("ram:Content", &n.text)
			c.text("ram:SubjectCode", &n.subject)
		})
	})
	c.in("rsm:SupplyChainTradeTransaction", func() {
		each(c, "ram:IncludedSupplyChainTradeLineItem", &inv.lines, c.ciiLine)
		c.in("ram:ApplicableHeaderTradeAgreement", func() { c.ciiAgreement(inv) })
		// It must be there, also where nothing is said of the delivery.
		before := len(c.at.Children)
		c.in("ram:ApplicableHeaderTradeDelivery", func() { c.ciiDelivery(inv) })
		if c.writing && len(c.at.Children) == before {
			c.at.Children = append(c.at.Children, &xmldoc.Element{Name: nameOf("ram:ApplicableHeaderTradeDelivery")})
		}
		c.in("ram:ApplicableHeaderTradeSettlement", func() { c.ciiSettlement(inv) })
	})
}

func (c *codec) ciiID(name string, v *string) { c.in(name, func() { c.text("ram:ID", v) }) }

// ciiDocument describes a reference to a document.
func (c *codec) ciiDocument(name string, v *string) {
	c.in(name, func() { c.text("ram:IssuerAssignedID", v) })
}

// ciiTyped describes a reference to a document of a type.
func (c *codec) ciiTyped(typ string, v, scheme *string) {
	c.where("ram:AdditionalReferencedDocument", childIs(typ, "ram:TypeCode"), func() {
		c.text("ram:IssuerAssignedID", v)
		if *v == "" {
			return
		}
		c.fixed("ram:TypeCode", typ)
		c.text("ram:ReferenceTypeCode", scheme)
	})
}

func (c *codec) ciiAgreement(inv *invoice) {
	none := ""
	c.text("ram:BuyerReference", &inv.buyerReference)
	c.in("ram:SellerTradeParty", func() { c.ciiParty(&inv.seller, ofSeller) })
	c.in("ram:BuyerTradeParty", func() { c.ciiParty(&inv.buyer, ofBuyer) })
	c.in("ram:SellerTaxRepresentativeTradeParty", func() { c.ciiParty(&inv.representative, ofRepresentative) })
	c.ciiDocument("ram:SellerOrderReferencedDocument", &inv.sales)
	c.ciiDocument("ram:BuyerOrderReferencedDocument", &inv.order)
	c.ciiDocument("ram:ContractReferencedDocument", &inv.contract)
	c.ciiTyped(ciiTender, &inv.tender, &none)
	c.ciiTyped(ciiObject, &inv.object, &inv.objectScheme)
	c.in("ram:SpecifiedProcuringProject", func() {
		c.text("ram:ID", &inv.project)
		if inv.project != "" { // the schema wants a name
			c.fixed("ram:Name", "Project reference")
		}
	})
}

func (c *codec) ciiParty(p *party, has parts) {
	if has.ids {
		c.ciiIDs(p)
	}
	c.text("ram:Name", &p.name)
	if has.seller {
		c.text("ram:Description", &p.legal)
	}
	c.in("ram:SpecifiedLegalOrganization", func() {
		if has.registration {
			c.ublScheme("ram:ID", &p.registration)
		}
		if has.contact {
			c.text("ram:TradingBusinessName", &p.trading)
		}
	})
	if has.contact {
		c.in("ram:DefinedTradeContact", func() {
			c.text("ram:PersonName", &p.contact)
			c.in("ram:TelephoneUniversalCommunication", func() { c.text("ram:CompleteNumber", &p.telephone) })
			c.in("ram:EmailURIUniversalCommunication", func() { c.text("ram:URIID", &p.mailTo) })
		})
	}
	if has.address {
		c.ciiAddress(&p.address)
	}
	if has.contact {
		c.in("ram:URIUniversalCommunication", func() { c.ublScheme("ram:URIID", &p.endpoint) })
	}
	if has.vat {
		c.ciiTaxNumber("VA", &p.vat)
	}
	if has.seller || has.vat && p.vat == "" { // another has one number
		c.ciiTaxNumber("FC", &p.tax)
	}
}

func (c *codec) ciiTaxNumber(scheme string, v *string) {
	like := func(e *xmldoc.Element) bool {
		return e.Child(nameOf("ram:ID").Space, "ID").Attr("", "schemeID") == scheme
	}
	c.where("ram:SpecifiedTaxRegistration", like, func() { c.text("ram:ID", v, attr{name: "schemeID", fixed: scheme}) })
}

// ciiIDs describes identifiers: those of a scheme are in elements of another name.
func (c *codec) ciiIDs(p *party) {
	var plain, global []identifier
	for _, i := range p.ids {
		if i.scheme == "" {
			plain = append(plain, i)
		} else {
			global = append(global, i)
		}
	}
	each(c, "ram:ID", &plain, func(i *identifier) { c.content(&i.value, nil) })
	each(c, "ram:GlobalID", &global, func(i *identifier) { c.content(&i.value, []attr{{name: "schemeID", at: &i.scheme}}) })
	if !c.writing {
		p.ids = append(plain, global...)
	}
}

func (c *codec) ciiAddress(a *address) {
	c.in("ram:PostalTradeAddress", func() {
		c.text("ram:PostcodeCode", &a.postal)
		c.text("ram:LineOne", &a.street)
		c.text("ram:LineTwo", &a.additional)
		c.text("ram:LineThree", &a.third)
		c.text("ram:CityName", &a.city)
		c.text("ram:CountryID", &a.country)
		c.text("ram:CountrySubDivisionName", &a.region)
	})
}

func (c *codec) ciiDelivery(inv *invoice) {
	c.in("ram:ShipToTradeParty", func() { c.ciiParty(&inv.deliverTo, ofShipTo) })
	c.in("ram:ActualDeliverySupplyChainEvent", func() { c.basicDay("ram:OccurrenceDateTime", "udt:DateTimeString", &inv.delivered) })
	c.ciiDocument("ram:DespatchAdviceReferencedDocument", &inv.despatch)
	c.ciiDocument("ram:ReceivingAdviceReferencedDocument", &inv.receiving)
}

func (c *codec) ciiPeriod(p *period) {
	c.in("ram:BillingSpecifiedPeriod", func() {
		c.basicDay("ram:StartDateTime", "udt:DateTimeString", &p.from)
		c.basicDay("ram:EndDateTime", "udt:DateTimeString", &p.until)
	})
}

func (c *codec) ciiSettlement(inv *invoice) {
	c.text("ram:CreditorReferenceID", &inv.creditor)
	c.text("ram:PaymentReference", &inv.remittance)
	c.text("ram:TaxCurrencyCode", &inv.taxCurrency)
	c.text("ram:InvoiceCurrencyCode", &inv.currency)
	c.in("ram:PayeeTradeParty", func() { c.ciiParty(&inv.payee, ofPayee) })
	c.ciiMeans(inv)
	if c.writing && len(inv.taxes) > 0 {
		inv.taxes[0].taxPoint, inv.taxes[0].taxPointCode = inv.taxPoint, ciiPointCodes[inv.taxPointCode]
	}
	each(c, "ram:ApplicableTradeTax", &inv.taxes, func(b *breakdown) {
		c.amount("ram:CalculatedAmount", &b.amount)
		c.fixed("ram:TypeCode", "VAT")
		c.text("ram:ExemptionReason", &b.tax.reason)
		c.amount("ram:BasisAmount", &b.base)
		c.text("ram:CategoryCode", &b.tax.code)
		c.text("ram:ExemptionReasonCode", &b.tax.reasonCode)
		c.basicDay("ram:TaxPointDate", "udt:DateString", &b.taxPoint)
		c.text("ram:DueDateTypeCode", &b.taxPointCode)
		c.number("ram:RateApplicablePercent", &b.tax.rate)
		if !c.writing && inv.taxPoint+inv.taxPointCode == "" {
			inv.taxPoint, inv.taxPointCode = b.taxPoint, b.taxPointCode
			for code, cii := range ciiPointCodes {
				if cii == b.taxPointCode {
					inv.taxPointCode = code
				}
			}
		}
	})
	c.ciiPeriod(&inv.period)
	each(c, "ram:SpecifiedTradeAllowanceCharge", &inv.adjustments, c.ciiAdjustment)
	c.in("ram:SpecifiedTradePaymentTerms", func() {
		c.text("ram:Description", &inv.terms)
		c.basicDay("ram:DueDateDateTime", "udt:DateTimeString", &inv.due)
		c.text("ram:DirectDebitMandateID", &inv.mandate)
	})
	c.in("ram:SpecifiedTradeSettlementHeaderMonetarySummation", func() { c.ciiTotals(inv) })
	each(c, "ram:InvoiceReferencedDocument", &inv.preceding, func(r *reference) {
		c.text("ram:IssuerAssignedID", &r.id)
		c.basicDay("ram:FormattedIssueDateTime", "qdt:DateTimeString", &r.issued)
	})
	c.ciiID("ram:ReceivableSpecifiedTradeAccountingAccount", &inv.account)
}

func (c *codec) ciiTotals(inv *invoice) {
	c.amount("ram:LineTotalAmount", &inv.lineTotal)
	c.amount("ram:ChargeTotalAmount", &inv.chargeTotal)
	c.amount("ram:AllowanceTotalAmount", &inv.allowanceTotal)
	c.amount("ram:TaxBasisTotalAmount", &inv.netTotal)
	c.ciiTaxTotal(&inv.taxTotal, inv.currency, false)
	if inv.taxCurrency != "" {
		c.ciiTaxTotal(&inv.taxTotalOwn, inv.taxCurrency, true)
	}
	c.amount("ram:RoundingAmount", &inv.rounding)
	c.amount("ram:GrandTotalAmount", &inv.total)
	c.amount("ram:TotalPrepaidAmount", &inv.paid)
	c.amount("ram:DuePayableAmount", &inv.payable)
}

// ciiTaxTotal describes the total of the tax, in the invoice's currency or in the seller's own.
func (c *codec) ciiTaxTotal(v *number, currency string, own bool) {
	const name = "ram:TaxTotalAmount"
	if c.writing {
		c.money(name, v, currency, digitsOf(currency), true)
		return
	}
	for _, e := range c.children(name) {
		said := e.Attr("", "currencyID")
		if own != (said != "" && said == c.inv.taxCurrency && said != c.inv.currency) {
			continue
		}
		text := ""
		c.inside(e, func() { c.content(&text, []attr{{name: "currencyID", at: &said}}) })
		c.sameCurrency(name, said, currency)
		c.parse(name, text, v)
		return
	}
}

// ciiMeans describes the instructions of payment. Mandate, reference and day are elsewhere.
func (c *codec) ciiMeans(inv *invoice) {
	all := inv.allMeans()
	each(c, "ram:SpecifiedTradeSettlementPaymentMeans", &all, func(m *means) {
		c.text("ram:TypeCode", &m.code)
		c.text("ram:Information", &m.text)
		c.in("ram:PayerPartyDebtorFinancialAccount", func() { c.text("ram:IBANID", &m.debited) })
		c.in("ram:PayeePartyCreditorFinancialAccount", func() {
			c.text("ram:IBANID", &m.account.iban)
			c.text("ram:AccountName", &m.account.holder)
			c.text("ram:ProprietaryID", &m.account.other)
			if !c.writing && m.account.iban != "" {
				m.account.named(m.account.iban)
			}
		})
		c.in("ram:PayeeSpecifiedCreditorFinancialInstitution", func() { c.text("ram:BICID", &m.account.bic) })
	})
	if !c.writing {
		for _, m := range all {
			c.takeMeans(inv, m)
		}
	}
}

func (c *codec) ciiAdjustment(a *adjustment) {
	said := false
	c.in("ram:ChargeIndicator", func() { said = true; c.flag("udt:Indicator", &a.charge) })
	if !said {
		c.problems.add("", "ChargeIndicator", "it is missing: whether an allowance or a charge is meant is not known")
	}
	c.number("ram:CalculationPercent", &a.percent)
	c.amount("ram:BasisAmount", &a.base)
	c.amount("ram:ActualAmount", &a.amount)
	c.text("ram:ReasonCode", &a.code)
	c.text("ram:Reason", &a.reason)
	c.ciiCategory("ram:CategoryTradeTax", &a.tax)
}

func (c *codec) ciiCategory(name string, t *category) {
	if c.writing && t.code == "" {
		return
	}
	c.in(name, func() {
		c.fixed("ram:TypeCode", "VAT")
		c.text("ram:CategoryCode", &t.code)
		c.number("ram:RateApplicablePercent", &t.rate)
	})
}

func (c *codec) ciiLine(l *line) {
	c.in("ram:AssociatedDocumentLineDocument", func() {
		c.text("ram:LineID", &l.id)
		c.in("ram:IncludedNote", func() { c.text("ram:Content", &l.note) })
	})
	c.in("ram:SpecifiedTradeProduct", func() {
		c.ublScheme("ram:GlobalID", &l.standard)
		c.text("ram:SellerAssignedID", &l.sellerItem)
		c.text("ram:BuyerAssignedID", &l.buyerItem)
		c.text("ram:Name", &l.name)
		c.text("ram:Description", &l.description)
		c.ciiID("ram:OriginTradeCountry", &l.origin)
	})
	c.in("ram:SpecifiedLineTradeAgreement", func() {
		c.in("ram:BuyerOrderReferencedDocument", func() { c.text("ram:LineID", &l.orderLine) })
		c.in("ram:GrossPriceProductTradePrice", func() {
			if c.writing && l.gross == nil {
				return
			}
			c.price("ram:ChargeAmount", &l.gross)
			c.number("ram:BasisQuantity", &l.priceBase, attr{name: "unitCode", at: &l.priceUnit})
			if c.writing && l.discount == nil {
				return
			}
			c.in("ram:AppliedTradeAllowanceCharge", func() {
				charge := false
				c.in("ram:ChargeIndicator", func() { c.flag("udt:Indicator", &charge) })
				c.price("ram:ActualAmount", &l.discount)
				if charge {
					c.problems.add("CII-SR-119", "GrossPriceProductTradePrice", "a charge on a price has no place in EN 16931")
				}
			})
		})
		c.in("ram:NetPriceProductTradePrice", func() {
			c.price("ram:ChargeAmount", &l.price)
			c.number("ram:BasisQuantity", &l.priceBase, attr{name: "unitCode", at: &l.priceUnit})
		})
	})
	c.in("ram:SpecifiedLineTradeDelivery", func() { c.number("ram:BilledQuantity", &l.quantity, attr{name: "unitCode", at: &l.unit}) })
	c.in("ram:SpecifiedLineTradeSettlement", func() {
		c.ciiCategory("ram:ApplicableTradeTax", &l.tax)
		c.ciiPeriod(&l.period)
		each(c, "ram:SpecifiedTradeAllowanceCharge", &l.adjustments, c.ciiAdjustment)
		c.in("ram:SpecifiedTradeSettlementLineMonetarySummation", func() { c.amount("ram:LineTotalAmount", &l.amount) })
		c.ciiTyped(ciiObject, &l.object, &l.objectScheme)
		c.ciiID("ram:ReceivableSpecifiedTradeAccountingAccount", &l.account)
	})
	c.sameUnit(l)
}
