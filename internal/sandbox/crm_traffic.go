package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"time"
)

func user(method, path string) call {
	return call{actor: "user", method: method, path: path, status: 200}
}

// seed makes the accounts that were there before.
func (c *crm) seed() error {
	for n := range c.o.Accounts {
		if _, err := c.newAccount(rng(c.o.Seed, "crm-seed", strconv.Itoa(n)), 0); err != nil {
			return err
		}
	}
	return nil
}

// act is one thing that somebody does in the CRM.
func (c *crm) act(_ context.Context, n int64, r *rand.Rand) error {
	var err error
	switch v := r.IntN(100); {
	case v < 14:
		_, err = c.newAccount(r, 0)
	case v < 30:
		err = c.editAccount(r)
	case v < 64:
		err = c.newOrder(r, n)
	case v < 76:
		err = c.editDraft(r)
	case v < 80:
		err = c.editOrder(r)
	case v < 94:
		err = c.newQuote(r, n)
	default:
		err = c.editQuote(r)
	}
	return err
}

// newAccount types in a new customer; delay keeps its webhook back.
func (c *crm) newAccount(r *rand.Rand, delay time.Duration) (*row, error) {
	k := user("POST", "ui/accounts")
	k.delay = delay
	n := c.count("accounts")
	co := newCompany(c.o.Seed, r, "crm-"+strconv.Itoa(n))
	doc := map[string]any{
		"Name": co.name, "TaxNumber__c": co.tax, "Phone": co.phone, "Email__c": co.email, "Industry": pick(r, industries), "CurrencyIsoCode": co.currency,
		"BillingStreet": co.street, "BillingCity": co.city, "BillingState": co.region, "BillingPostalCode": co.zip, "BillingCountryCode": crmCountries[co.country],
		"ShippingStreet": co.street, "ShippingCity": co.city, "ShippingState": co.region, "ShippingPostalCode": co.zip, "ShippingCountryCode": crmCountries[co.country],
		"Contacts": []any{map[string]any{"Name": co.contact, "Email": co.contactEmail, "Phone": co.contactPhone, "Role": co.role}},
	}
	if c.imp.chance(c.imp.Chaos().UnknownCodes/2, "account-code") {
		k.odd, k.loose = "unknown-code", true
		doc["BillingCountryCode"] = "XK"
	}
	return c.m.create(k, "accounts", doc)
}

func (c *crm) count(name string) int {
	c.m.mu.RLock()
	defer c.m.mu.RUnlock()
	return len(c.m.tables[name].ids)
}

// some picks an object; the younger half is twice as likely. fit says what it has to be like; a few are tried.
func (c *crm) some(r *rand.Rand, name string, fit func(doc map[string]any) bool) (map[string]any, bool) {
	for range 8 {
		c.m.mu.RLock()
		ids := c.m.tables[name].ids
		if len(ids) == 0 {
			c.m.mu.RUnlock()
			return nil, false
		}
		i := r.IntN(len(ids))
		if r.IntN(3) == 0 {
			i = len(ids)/2 + i/2
		}
		raw, deleted := c.m.tables[name].rows[ids[i]].raw, c.m.tables[name].rows[ids[i]].deleted
		c.m.mu.RUnlock()
		if doc, err := decode(raw); err == nil && !deleted && fit(doc) {
			return doc, true
		}
	}
	return nil, false
}

func anyDoc(map[string]any) bool { return true }

// sound is an account without unknown codes.
func sound(doc map[string]any) bool { return doc["BillingCountryCode"] != "XK" }

// editAccount changes what the CRM owns.
func (c *crm) editAccount(r *rand.Rand) error {
	doc, ok := c.some(r, "accounts", sound)
	if !ok {
		return nil
	}
	in := map[string]any{}
	switch r.IntN(4) {
	case 0:
		in["Phone"] = fmt.Sprintf("+86 21 %08d", r.IntN(1e8))
	case 1:
		co := newCompany(c.o.Seed, r, "move")
		in["BillingStreet"], in["BillingCity"], in["BillingPostalCode"] = co.street, co.city, co.zip
		in["BillingState"], in["BillingCountryCode"] = co.region, crmCountries[co.country]
	case 2:
		in["Contacts"] = []any{map[string]any{"Name": pick(r, people), "Email": fmt.Sprintf("contact%d@example.com", r.IntN(1e6)), "Phone": fmt.Sprintf("+49 40 %07d", r.IntN(1e7)), "Role": pick(r, roles)}}
	default:
		in["Name"] = pick(r, nameFirst) + " " + pick(r, nameSecond) + " " + pick(r, nameForms)
	}
	_, err := c.m.patch(user("PATCH", "ui/accounts"), "accounts", text(doc["Id"]), in, "")
	return err
}

// lines makes 1 to 7 lines of products that everybody knows.
func (c *crm) lines(r *rand.Rand) []any {
	out := []any{}
	for i := range 1 + r.IntN(7) {
		p := productAt(c.o.Seed, 1+r.IntN(max(c.o.Items, 1)))
		price := p.price * int64(80+r.IntN(41)) / 100
		q, _ := new(big.Rat).SetString(quantityOf(r, p))
		unit := big.NewRat(max(price, 1), 100)
		out = append(out, map[string]any{
			"LineNumber": json.Number(strconv.Itoa(10 * (i + 1))), "ProductCode": p.sku, "Description": p.name, "Quantity": number(q, 3),
			"UnitOfMeasure__c": crmUnits[p.unit], "UnitPrice": number(unit, 2),
		})
	}
	return out
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

func (c *crm) newOrder(r *rand.Rand, n int64) error {
	if c.o.Items == 0 {
		return nil
	}
	chaos := c.imp.Chaos()
	account, ok := c.some(r, "accounts", sound)
	if !ok {
		return nil
	}
	k := user("POST", "ui/orders")
	if c.imp.chance(chaos.EarlyOrders, "early") {
		late, err := c.newAccount(r, ms(chaos.LateMS, 3000))
		if err != nil {
			return err
		}
		if account, err = decode(late.raw); err != nil {
			return err
		}
		k.odd = "early"
		if !sound(account) {
			k.odd = "orphan" // the customer will be refused for its code
		}
	}
	doc := map[string]any{
		"AccountId": account["Id"], "Status": "Activated", "EffectiveDate": today(), "CurrencyIsoCode": account["CurrencyIsoCode"],
		"PoNumber": fmt.Sprintf("PO-%05d", r.IntN(1e5)), "Shipping_Method__c": pick(r, crmShipping), "LineItems": c.lines(r),
	}
	from := "Shipping"
	if account["ShippingCountryCode"] == nil {
		from = "Billing"
	}
	for _, f := range []string{"Street", "City", "State", "PostalCode", "CountryCode"} {
		doc["Shipping"+f] = account[from+f]
	}
	if r.IntN(10) < 3 {
		doc["Status"] = "Draft"
	}
	if r.IntN(4) == 0 {
		doc["Description"] = "call before delivery, door " + strconv.Itoa(1+r.IntN(20))
	}
	switch {
	case c.imp.chance(chaos.Poison, "poison"):
		k.odd, k.loose, doc["Status"] = "poison", true, "Activated"
		if r.IntN(2) == 0 {
			doc["LineItems"].([]any)[0].(map[string]any)["Quantity"] = "a few"
		} else {
			doc["EffectiveDate"] = "21.11.2026"
		}
	case c.imp.chance(chaos.OrphanOrders, "orphan"):
		k.odd, k.loose, doc["Status"] = "orphan", true, "Activated"
		doc["AccountId"] = salesforceID(&spec{Prefix: "001"}, 100_000_000+int(n))
	case c.imp.chance(chaos.UnknownCodes, "order-code"):
		k.odd, k.loose, doc["Status"] = "unknown-code", true, "Activated"
		doc["Shipping_Method__c"] = "Drone"
	}
	_, err := c.m.create(k, "orders", doc)
	return err
}

// editDraft works on an order that is not activated yet: other lines, or off it goes.
func (c *crm) editDraft(r *rand.Rand) error {
	doc, ok := c.some(r, "orders", func(d map[string]any) bool { return d["Status"] == "Draft" })
	if !ok {
		return nil
	}
	in := map[string]any{"Status": "Activated"}
	if r.IntN(3) == 0 {
		in = map[string]any{"LineItems": c.lines(r)}
	}
	_, err := c.m.patch(user("PATCH", "ui/orders"), "orders", text(doc["Id"]), in, "")
	return err
}

// editOrder changes the note of an order that is under way.
func (c *crm) editOrder(r *rand.Rand) error {
	doc, ok := c.some(r, "orders", func(d map[string]any) bool {
		return d["Status"] != "Draft" && d["Shipping_Method__c"] != "Drone" && d["EffectiveDate"] != "21.11.2026"
	})
	if !ok {
		return nil
	}
	k := user("PATCH", "ui/orders")
	k.loose = true // a wicked order stays editable
	_, err := c.m.patch(k, "orders", text(doc["Id"]), map[string]any{"Description": "gate " + strconv.Itoa(1+r.IntN(40))}, "")
	return err
}

func (c *crm) newQuote(r *rand.Rand, n int64) error {
	account, ok := c.some(r, "accounts", sound)
	if !ok || c.o.Items == 0 {
		return nil
	}
	_, err := c.m.create(user("POST", "ui/quotes"), "quotes", map[string]any{
		"Name": fmt.Sprintf("Offer %d for %s", n, shortName(text(account["Name"]))), "AccountId": account["Id"], "Status": pick(r, crmQuoteStatus[:2]),
		"ExpirationDate": time.Now().UTC().AddDate(0, 0, 30).Format(time.DateOnly), "CurrencyIsoCode": account["CurrencyIsoCode"], "LineItems": c.lines(r),
	})
	return err
}

func shortName(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40])
	}
	return s
}

func (c *crm) editQuote(r *rand.Rand) error {
	doc, ok := c.some(r, "quotes", anyDoc)
	if !ok {
		return nil
	}
	in := map[string]any{"Status": pick(r, crmQuoteStatus[1:])}
	if r.IntN(4) == 0 {
		in["LineItems"] = c.lines(r)
	}
	_, err := c.m.patch(user("PATCH", "ui/quotes"), "quotes", text(doc["Id"]), in, "")
	return err
}
