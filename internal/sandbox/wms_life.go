package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

func work(method, path string) call {
	return call{actor: "life", method: method, path: path, status: 200}
}

// seed counts every known product once in every warehouse.
func (w *wms) seed() error {
	for n := range w.o.Items {
		for _, house := range warehouses {
			if err := w.firstCount(productAt(w.o.Seed, n+1), house); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *wms) firstCount(p product, house string) error {
	r := rng(w.o.Seed, "stock", p.sku, house)
	_, err := w.m.create(work("COUNT", "floor"), "stock", map[string]any{
		"sku": p.sku, "warehouse": house, "name": p.chinese, "location": fmt.Sprintf("%s-%02d-%02d", string(rune('A'+r.IntN(8))), r.IntN(30), r.IntN(6)),
		"onHand": strconv.Itoa(100 + r.IntN(1900)), "reserved": strconv.Itoa(r.IntN(50)), "unit": wmsUnits[p.unit],
		"countedAt": stampText(w.m.now()), "sequence": w.nextSequence(),
	})
	return err
}

func (w *wms) nextSequence() json.Number {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sequence++
	return json.Number(strconv.FormatInt(w.sequence, 10))
}

// act moves stock.
func (w *wms) act(_ context.Context, _ int64, r *rand.Rand) error {
	w.m.mu.RLock()
	ids := w.m.tables["stock"].ids
	if len(ids) == 0 {
		w.m.mu.RUnlock()
		return nil
	}
	id := ids[r.IntN(len(ids))]
	w.m.mu.RUnlock()
	by := big.NewRat(int64(r.IntN(120)-50), 1)
	return w.move(id, by)
}

// move changes a level; an empty shelf is filled up.
func (w *wms) move(id string, by *big.Rat) error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.moveLocked(id, by)
}

func (w *wms) moveLocked(id string, by *big.Rat) error {
	t := w.m.tables["stock"]
	doc, err := decode(t.rows[id].raw)
	if err != nil {
		return err
	}
	level, ok := rat(doc["onHand"])
	if !ok {
		return fmt.Errorf("stock %s: %v is no number", id, doc["onHand"])
	}
	if level.Add(level, by); level.Sign() < 0 {
		level.Add(level, big.NewRat(1000, 1))
	}
	doc["onHand"], doc["countedAt"], doc["sequence"] = string(number(level, 3)), stampText(w.m.now()), w.nextSequence()
	c := work("MOVE", "floor")
	w.m.touch(c, t, doc)
	_, err = w.m.commit(c, edit{t, id, doc})
	return err
}

// live ships what is due and drops files.
func (w *wms) live(context.Context) error {
	w.beats++
	w.mu.Lock()
	due := make([]string, 0, len(w.open))
	for id := range w.open {
		due = append(due, id)
	}
	w.mu.Unlock()
	slices.Sort(due)
	for _, id := range due {
		if err := w.ship(id); err != nil {
			return err
		}
	}
	if err := w.countNew(); err != nil {
		return err
	}
	if w.beats%10 == 0 { // once a second at normal pace
		if err := w.dropStock(); err != nil {
			return err
		}
		return w.dropConfirmations()
	}
	return nil
}

// countNew gives products that came in from outside their first stock.
func (w *wms) countNew() error {
	w.m.mu.RLock()
	products, stock := w.m.tables["products"], w.m.tables["stock"]
	var fresh []map[string]any
	for _, id := range products.ids[min(w.counted, len(products.ids)):] {
		doc, err := decode(products.rows[id].raw)
		if err != nil {
			w.m.mu.RUnlock()
			return err
		}
		if len(stock.find(map[string]string{"sku": text(doc["sku"])}, w.m.d)) == 0 {
			fresh = append(fresh, doc)
		}
	}
	w.counted = len(products.ids)
	w.m.mu.RUnlock()
	for _, doc := range fresh {
		unit := 0
		for i, u := range wmsUnits {
			if u == doc["unit"] {
				unit = i
			}
		}
		if err := w.firstCount(product{sku: text(doc["sku"]), chinese: text(doc["name"]), unit: unit}, warehouses[0]); err != nil {
			return err
		}
	}
	return nil
}

// ship sends off one order once its time has come and all its products are known; one in ten goes in two parts.
func (w *wms) ship(id string) error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	orders := w.m.tables["shipment-orders"]
	r := orders.rows[id]
	wait := w.o.pace(time.Duration(500+1500*roll(w.o.Seed, "ship", id)) * time.Millisecond)
	if w.m.now().Sub(r.stamp) < wait {
		return nil
	}
	doc, err := decode(r.raw)
	if err != nil {
		return err
	}
	lines, _ := doc["lines"].([]any)
	known := true
	for _, l := range lines {
		line, _ := l.(map[string]any)
		known = known && len(w.m.tables["products"].find(map[string]string{"sku": text(line["sku"])}, w.m.d)) > 0
	}
	if !known {
		return w.status(orders, id, doc, "waiting")
	}
	part := lines
	switch {
	case doc["status"] == "partial":
		part = lines[1:]
	case len(lines) > 1 && roll(w.o.Seed, "partial", id) < .1:
		part = lines[:1]
	}
	return w.leave(orders, id, doc, part, len(part) == len(lines) || doc["status"] == "partial")
}

// status notes a new status, unless it is the old one.
func (w *wms) status(t *table, id string, doc map[string]any, status string) error {
	if doc["status"] == status {
		return nil
	}
	doc["status"] = status
	c := work("STATUS", "floor")
	w.m.touch(c, t, doc)
	_, err := w.m.commit(c, edit{t, id, doc})
	return err
}

// leave makes the shipment, in one entry with the order's new status, and takes the goods off the shelf.
func (w *wms) leave(orders *table, id string, order map[string]any, lines []any, final bool) error {
	c := work("SHIP", "floor")
	n := strconv.Itoa(len(w.m.tables["shipments"].ids))
	dice := rng(w.o.Seed, "shipment", n)
	shipped, weight := []any{}, int64(0)
	for _, l := range lines {
		line, _ := l.(map[string]any)
		shipped = append(shipped, map[string]any{"lineNo": line["lineNo"], "sku": line["sku"], "quantity": line["quantity"]})
		weight += 100 + dice.Int64N(9000)
	}
	ed, err := w.m.draft(c, "shipments", map[string]any{
		"shipmentOrderId": id, "orderExternalId": order["externalId"], "orderNumber": order["orderNumber"], "carrier": pick(dice, wmsCarriers),
		"trackingNumber": fmt.Sprintf("SF%013d", dice.Int64N(1e13)), "shippedAt": stampText(w.m.now()), "final": final,
		"packages": json.Number(strconv.Itoa(1 + dice.IntN(4))), "weightKg": decimal(big.NewRat(weight, 1000), 3), "lines": shipped,
	})
	if err != nil {
		return err
	}
	order["status"] = "partial"
	if final {
		order["status"] = "shipped"
	}
	w.m.touch(c, orders, order)
	if _, err := w.m.commit(c, ed, edit{orders, id, order}); err != nil {
		return err
	}
	for _, l := range lines {
		line, _ := l.(map[string]any)
		q, ok := rat(line["quantity"])
		shelf := w.m.tables["stock"].find(map[string]string{"sku": text(line["sku"])}, w.m.d)
		if !ok || len(shelf) == 0 {
			continue
		}
		if err := w.moveLocked(shelf[0].id, q.Neg(q)); err != nil {
			return err
		}
	}
	return nil
}
