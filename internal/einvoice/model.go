package einvoice

import "github.com/waybill-hub/waybill/internal/jsondoc"

// number is a decimal that may be missing.
type number = *jsondoc.Decimal

// invoice is the semantic model of EN 16931, as far as it is taken over. Dates are days as in RFC 3339.
type invoice struct {
	specification, process string // BT-24, BT-23

	id, issued, due, code         string // BT-1, BT-2, BT-9, BT-3
	currency, taxCurrency         string // BT-5, BT-6
	taxPoint, taxPointCode        string // BT-7, BT-8
	buyerReference, project       string // BT-10, BT-11
	contract, order, sales        string // BT-12, BT-13, BT-14
	receiving, despatch, tender   string // BT-15, BT-16, BT-17
	object, objectScheme, account string // BT-18, BT-18-1, BT-19
	terms                         string // BT-20
	notes                         []note
	preceding                     []reference

	seller, buyer, payee, representative party
	deliverTo                            party
	delivered                            string // BT-72
	period                               period

	means, meansText, remittance string // BT-81, BT-82, BT-83
	accounts                     []account
	mandate, creditor, debited   string // BT-89, BT-90, BT-91

	adjustments []adjustment
	taxes       []breakdown
	lines       []line

	lineTotal, allowanceTotal, chargeTotal, netTotal number // BT-106 … BT-109
	taxTotal, taxTotalOwn                            number // BT-110, BT-111
	total, paid, rounding, payable                   number // BT-112 … BT-115
	// own is how many of the seller's own currency one of the document's is.
	own number
}

type note struct{ subject, text string } // BT-21, BT-22

type reference struct{ id, issued string } // BT-25, BT-26

type period struct{ from, until string }

type identifier struct{ value, scheme string }

// party is BG-4, BG-7, BG-10, BG-11 or BG-13.
type party struct {
	name, trading, legal       string // of the seller BT-27, BT-28, BT-33
	ids                        []identifier
	registration               identifier // BT-30
	vat, tax                   string     // BT-31, BT-32
	endpoint                   identifier // BT-34
	address                    address
	contact, telephone, mailTo string // BT-41 … BT-43
}

// parts are what the standard has of a party beside its name. Whoever has a contact has an electronic address and a trading name as well.
type parts struct{ seller, ids, registration, vat, address, contact bool }

var (
	ofSeller         = parts{seller: true, ids: true, registration: true, vat: true, address: true, contact: true}
	ofBuyer          = parts{ids: true, registration: true, vat: true, address: true, contact: true}
	ofPayee          = parts{ids: true, registration: true}
	ofRepresentative = parts{vat: true, address: true}
	ofShipTo         = parts{ids: true, address: true}
)

func (p *party) there() bool {
	return p.name != "" || p.trading != "" || len(p.ids) > 0 || p.registration.value != "" || p.vat != "" || p.tax != "" || p.address.there()
}

type address struct{ street, additional, third, city, postal, region, country string }

func (a *address) there() bool { return *a != address{} }

type account struct{ iban, other, holder, bic string } // BT-84 … BT-86

// category is a VAT category with its rate.
type category struct {
	code string
	rate number
	// BT-120, BT-121: why there is no tax. It stands in the breakdown alone, and documents may say it of a line.
	reason, reasonCode string
}

// adjustment is BG-20, BG-21, BG-27 or BG-28.
type adjustment struct {
	charge                bool
	amount, base, percent number
	tax                   category
	reason, code          string
	path                  string
}

// breakdown is BG-23.
type breakdown struct {
	tax                    category
	base, amount           number // BT-116, BT-117
	taxPoint, taxPointCode string // in CII alone
	path                   string
}

// line is BG-25.
type line struct {
	id, note, object, objectScheme    string // BT-126 … BT-128
	quantity                          number // BT-129
	unit                              string // BT-130
	amount                            number // BT-131
	orderLine, account                string // BT-132, BT-133
	period                            period
	adjustments                       []adjustment
	price, discount, gross, priceBase number // BT-146 … BT-149
	priceUnit                         string // BT-150
	tax                               category
	name, description                 string // BT-153, BT-154
	sellerItem, buyerItem             string // BT-155, BT-156
	standard                          identifier
	origin                            string // BT-159
	path                              string
}

// attributes are terms that canonical invoices have no field for, or one that takes less: they stand in the document's attributes, under their numbers.
func (inv *invoice) attributes() []term {
	return []term{
		{"BT-8", &inv.taxPointCode}, {"BT-18", &inv.object}, {"BT-18-1", &inv.objectScheme}, {"BT-19", &inv.account}, {"BT-32", &inv.seller.tax},
		{"BT-30-1", &inv.seller.registration.scheme}, {"BT-33", &inv.seller.legal}, {"BT-47-1", &inv.buyer.registration.scheme}, {"BT-61-1", &inv.payee.registration.scheme},
		{"BT-82", &inv.meansText}, {"BT-89", &inv.mandate}, {"BT-90", &inv.creditor}, {"BT-91", &inv.debited},
		{"BT-42", &inv.seller.telephone}, {"BT-43", &inv.seller.mailTo}, {"BT-57", &inv.buyer.telephone}, {"BT-58", &inv.buyer.mailTo},
		{"BT-162", &inv.seller.address.third}, {"BT-163", &inv.buyer.address.third}, {"BT-164", &inv.representative.address.third}, {"BT-165", &inv.deliverTo.address.third},
	}
}

// attributes are those of a line.
func (l *line) attributes() []term {
	return []term{{"BT-128", &l.object}, {"BT-128-1", &l.objectScheme}, {"BT-157", &l.standard.value}, {"BT-157-1", &l.standard.scheme}, {"BT-159", &l.origin}}
}

// term is a term of the standard with the text that it has.
type term struct {
	name string
	at   *string
}
