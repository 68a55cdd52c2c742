package bench

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// order is the bench work's document as encoding/json reads it.
type order struct {
	Header struct {
		OrderID, MessageID, SourceSystem, Type, Status, Currency, OrderDate, Channel string
		Priority                                                                     int
	}
	Customer struct {
		ID, FirstName, LastName, Email, Phone string
		VIP                                   bool
	}
	Lines []struct {
		LineNo    int
		SKU, Desc string
		Qty       int64
		UnitPrice json.Number
	}
	Billing, Shipping struct{ Street, City, Zip, Country string }
}

var statuses = map[string]string{"10": "NEW", "20": "CONFIRMED", "30": "PICKING", "40": "SHIPPED", "50": "DELIVERED", "90": "CANCELLED"}

type object = map[string]any

// expected says by other means than the hub's what the bench mapping must make of an order.
func expected(raw []byte) ([]byte, error) {
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	at, err := time.Parse("20060102150405", o.Header.OrderDate)
	if err != nil {
		return nil, err
	}
	status, ok := statuses[o.Header.Status]
	if !ok {
		status = "UNKNOWN"
	}
	lines, sum := []object{}, new(big.Rat)
	for _, l := range o.Lines {
		if l.Qty == 0 {
			continue
		}
		price, ok := new(big.Rat).SetString(l.UnitPrice.String())
		if !ok {
			return nil, fmt.Errorf("%q is no price", l.UnitPrice)
		}
		total := cents(price.Mul(price, big.NewRat(l.Qty, 1)))
		sum.Add(sum, total)
		lines = append(lines, object{"lineNumber": l.LineNo, "sku": strings.ToUpper(l.SKU), "description": strings.TrimSpace(l.Desc),
			"quantity": l.Qty, "unitPrice": l.UnitPrice, "lineTotal": json.Number(total.FloatString(2))})
	}
	address := func(street, city, zip, country string) object {
		return object{"street": street, "city": strings.ToUpper(city), "postalCode": zip, "countryCode": country}
	}
	h, c, b, s := &o.Header, &o.Customer, &o.Billing, &o.Shipping
	return json.Marshal(object{
		"schemaVersion": "1.0", "orderId": h.OrderID, "correlationId": h.MessageID, "source": strings.ToUpper(h.SourceSystem),
		"documentType": h.Type, "status": status, "currency": h.Currency, "orderedAt": at.UTC().Format(time.RFC3339),
		"channel": strings.ToUpper(h.Channel), "priority": h.Priority,
		"customer": object{"id": c.ID, "givenName": strings.TrimSpace(c.FirstName), "familyName": strings.TrimSpace(c.LastName),
			"email": strings.ToLower(c.Email), "phone": c.Phone, "vip": c.VIP},
		"billTo": address(b.Street, b.City, b.Zip, b.Country), "shipTo": address(s.Street, s.City, s.Zip, s.Country),
		"lines": lines, "lineCount": len(lines), "orderTotal": json.Number(cents(sum).FloatString(2)),
	})
}

// cents rounds to two digits, halves away from zero; prices are not negative.
func cents(r *big.Rat) *big.Rat {
	n := new(big.Int).Mul(r.Num(), big.NewInt(200))
	n.Add(n, r.Denom())
	n.Quo(n, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	return new(big.Rat).SetFrac(n, big.NewInt(100))
}
