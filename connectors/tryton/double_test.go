package tryton

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// double is a stand-in for a Tryton server: the same requests get the same answers, as far as the hub asks. What it does is checked against the real one by running one
// suite on both.
type double struct {
	url string

	mu       sync.Mutex
	models   map[string]map[string]fieldOf
	rows     map[string]map[int64]row
	next     int64
	last     time.Time
	now      func() time.Time
	sessions map[string]bool
	logins   int
	logouts  int
	warned   map[string]bool
	// refuse may answer in the server's place; method is empty for what is no call.
	refuse func(w http.ResponseWriter, method string) bool
	// warns gives the name of the question that a call asks; empty: none.
	warns func(method string) string
	stuck map[string]bool // methods of workflows that do nothing
}

type row map[string]any

type fieldOf struct {
	typ, relation, back string
	required, readonly  bool
}

const (
	hubUser  = "hub"
	password = "quiet-Harbour-7159"
)

func newDouble(t testing.TB) *double {
	id := fieldOf{typ: "integer", readonly: true}
	model := func(fields map[string]fieldOf) map[string]fieldOf {
		fields["id"], fields["create_date"], fields["write_date"] = id, fieldOf{typ: "timestamp", readonly: true}, fieldOf{typ: "timestamp", readonly: true}
		return fields
	}
	char, boolean, numeric := fieldOf{typ: "char"}, fieldOf{typ: "boolean"}, fieldOf{typ: "numeric"}
	to := func(model string) fieldOf { return fieldOf{typ: "many2one", relation: model} }
	d := &double{now: time.Now, sessions: map[string]bool{}, warned: map[string]bool{}, rows: map[string]map[int64]row{}, stuck: map[string]bool{}, models: map[string]map[string]fieldOf{
		"product.template": model(map[string]fieldOf{"name": char, "code": char, "type": char, "active": boolean, "list_price": numeric, "default_uom": to("product.uom"),
			"products": {typ: "one2many", relation: "product.product", back: "template"}}),
		"product.product":  model(map[string]fieldOf{"suffix_code": char, "code": char, "active": boolean, "template": to("product.template")}),
		"product.uom":      model(map[string]fieldOf{"name": char, "symbol": char}),
		"country.country":  model(map[string]fieldOf{"code": char}),
		"party.party":      model(map[string]fieldOf{"name": char, "code": char, "active": boolean, "addresses": {typ: "one2many", relation: "party.address", back: "party"}}),
		"party.address":    model(map[string]fieldOf{"street": char, "city": char, "active": boolean, "party": to("party.party"), "country": to("country.country")}),
		"account.tax":      model(map[string]fieldOf{"name": char}),
		"res.user.warning": model(map[string]fieldOf{"name": char}),
		"sale.sale": model(map[string]fieldOf{"reference": char, "number": char, "description": char, "state": {typ: "selection", readonly: true}, "party": to("party.party"), "invoice_address": to("party.address"),
			"company": to("company.company"), "sale_date": {typ: "date"}, "lines": {typ: "one2many", relation: "sale.line", back: "sale"}}),
		"sale.line": model(map[string]fieldOf{"product": to("product.product"), "quantity": {typ: "float"}, "unit": to("product.uom"), "unit_price": numeric, "description": {typ: "text"},
			"amount": {typ: "numeric", readonly: true}, "taxes": {typ: "many2many", relation: "account.tax"}, "sale": to("sale.sale")}),
	}}
	for _, r := range []struct {
		model string
		row   row
	}{
		{"product.uom", row{"name": "Unit", "symbol": "u"}}, {"country.country", row{"code": "US"}}, {"country.country", row{"code": "DE"}}, {"account.tax", row{"name": "VAT 19"}},
		{"product.template", row{"name": "Product SKU-001", "code": "SKU-001", "active": true, "type": "goods", "list_price": dec("19.90"), "products": []any{[]any{"create", []any{map[string]any{"code": "SKU-001"}}}}}},
	} {
		d.insert(r.model, r.row)
	}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func dec(text string) map[string]any { return map[string]any{"__class__": "Decimal", "decimal": text} }

func stampOf(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return map[string]any{"__class__": "datetime", "year": t.Year(), "month": int(t.Month()), "day": t.Day(), "hour": t.Hour(), "minute": t.Minute(), "second": t.Second(), "microsecond": t.Nanosecond() / 1000}
}

// tick is the time at which a transaction begins: no two have the same.
func (d *double) tick() time.Time {
	t := d.now().UTC().Truncate(time.Microsecond)
	if !t.After(d.last) {
		t = d.last.Add(time.Microsecond)
	}
	d.last = t
	return t
}

type failure struct {
	typ  string
	args []any
}

func userError(format string, args ...any) *failure {
	return &failure{"UserError", []any{fmt.Sprintf(format, args...), "", nil}}
}

func (d *double) insert(model string, v row) int64 {
	d.next++
	id := d.next
	if d.rows[model] == nil {
		d.rows[model] = map[int64]row{}
	}
	r := row{"id": id, "create_date": stampOf(d.tick()), "write_date": nil}
	if _, is := d.models[model]["active"]; is {
		r["active"] = true
	}
	if model == "sale.sale" {
		r["state"] = "draft"
	}
	d.rows[model][id] = r
	d.set(model, id, v)
	return id
}

// set writes values, with the commands of lists.
func (d *double) set(model string, id int64, v row) {
	r := d.rows[model][id]
	for name, value := range v {
		f := d.models[model][name]
		if f.typ != "one2many" && f.typ != "many2many" {
			r[name] = value
			continue
		}
		for _, c := range value.([]any) {
			command := c.([]any)
			switch command[0] {
			case "create":
				for _, one := range command[1].([]any) {
					child := row(one.(map[string]any))
					child[f.back] = id
					d.insert(f.relation, child)
				}
			case "write":
				for _, one := range command[1].([]any) {
					d.set(f.relation, idOf(one), row(command[2].(map[string]any)))
					d.rows[f.relation][idOf(one)]["write_date"] = stampOf(d.tick())
				}
			case "delete":
				for _, one := range command[1].([]any) {
					delete(d.rows[f.relation], idOf(one))
				}
			case "add":
				have, _ := r[name].([]any)
				r[name] = append(slices.Clone(have), command[1].([]any)...)
			case "remove":
				have, _ := r[name].([]any)
				r[name] = slices.DeleteFunc(slices.Clone(have), func(a any) bool {
					return slices.ContainsFunc(command[1].([]any), func(b any) bool { return idOf(a) == idOf(b) })
				})
			}
		}
	}
}

func idOf(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}

func (d *double) timestamp(model string, id int64) any {
	r := d.rows[model][id]
	for _, name := range []string{"write_date", "create_date"} {
		if r[name] != nil {
			t := timeOf(r[name])
			return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
		}
	}
	return nil
}

func timeOf(v any) time.Time {
	m := v.(map[string]any)
	n := func(name string) int { i, _ := strconv.Atoi(fmt.Sprint(m[name])); return i }
	return time.Date(n("year"), time.Month(n("month")), n("day"), n("hour"), n("minute"), n("second"), n("microsecond")*1000, time.UTC)
}

// values are those that a name with points leads to.
func (d *double) values(model string, r row, name string) []any {
	first, rest, deep := strings.Cut(name, ".")
	f := d.models[model][first]
	if !deep {
		if f.typ == "one2many" {
			var out []any
			for _, c := range d.children(f, r) {
				out = append(out, c["id"])
			}
			return out
		}
		return []any{r[first]}
	}
	var out []any
	for _, c := range d.related(f, r, first) {
		out = append(out, d.values(f.relation, c, rest)...)
	}
	return out
}

func (d *double) children(f fieldOf, r row) []row {
	var out []row
	for _, id := range slices.Sorted(maps.Keys(d.rows[f.relation])) {
		if c := d.rows[f.relation][id]; idOf(c[f.back]) == idOf(r["id"]) {
			out = append(out, c)
		}
	}
	return out
}

func (d *double) related(f fieldOf, r row, name string) []row {
	switch f.typ {
	case "one2many":
		return d.children(f, r)
	case "many2many":
		var out []row
		ids, _ := r[name].([]any)
		for _, id := range ids {
			out = append(out, d.rows[f.relation][idOf(id)])
		}
		return out
	}
	if c := d.rows[f.relation][idOf(r[name])]; c != nil {
		return []row{c}
	}
	return nil
}

func (d *double) fits(model string, r row, domain []any) bool {
	if len(domain) == 3 && domain[0] != "OR" {
		if name, is := domain[0].(string); is && name != "AND" {
			return d.clause(model, r, name, fmt.Sprint(domain[1]), domain[2])
		}
	}
	or := len(domain) > 0 && domain[0] == "OR"
	for _, c := range domain {
		list, is := c.([]any)
		if !is {
			continue
		}
		if d.fits(model, r, list) == or {
			return or
		}
	}
	return !or
}

func (d *double) clause(model string, r row, name, operator string, value any) bool {
	for _, v := range d.values(model, r, name) {
		switch operator {
		case "=":
			if text(v) == text(value) {
				return true
			}
		case "not like":
			return !strings.HasPrefix(fmt.Sprint(v), strings.TrimSuffix(fmt.Sprint(value), "%"))
		case "in":
			for _, one := range value.([]any) {
				if text(v) == text(one) {
					return true
				}
			}
		case ">":
			if idOf(v) > idOf(value) {
				return true
			}
		case ">=":
			if v != nil && !timeOf(v).Before(timeOf(value)) {
				return true
			}
		case "ilike":
			plain := strings.NewReplacer(`\%`, "%", `\_`, "_", `\\`, `\`).Replace(fmt.Sprint(value))
			if strings.EqualFold(fmt.Sprint(v), plain) {
				return true
			}
		}
	}
	return false
}

func text(v any) string {
	if m, is := v.(map[string]any); is && m["__class__"] == "Decimal" {
		return strings.TrimRight(strings.TrimRight(fmt.Sprint(m["decimal"]), "0"), ".")
	}
	return fmt.Sprint(v)
}

func (d *double) search(model string, domain []any, limit any) []int64 {
	if _, knows := d.models[model]["active"]; knows {
		domain = withActive(domain)
	}
	out := []int64{}
	for _, id := range slices.Sorted(maps.Keys(d.rows[model])) {
		r := d.rows[model][id]
		if d.fits(model, r, domain) {
			out = append(out, id)
		}
		if n := int(idOf(limit)); limit != nil && len(out) == n {
			break
		}
	}
	return out
}

// withActive asks for active records in every list of a domain that does not name the field itself.
func withActive(domain []any) []any {
	out, found := []any{}, false
	for _, c := range domain {
		list, is := c.([]any)
		switch {
		case !is:
		case len(list) == 3 && !slices.ContainsFunc(list[:2], func(v any) bool { _, is := v.(string); return !is }) && list[0] != "OR" && list[0] != "AND":
			found = found || list[0] == "active"
		default:
			c = withActive(list)
		}
		out = append(out, c)
	}
	switch active := []any{"active", "=", true}; {
	case found:
		return out
	case len(out) > 0 && out[0] == "OR":
		return []any{"AND", out, active}
	default:
		return append(out, active)
	}
}

func (d *double) show(model string, id int64, fields []any) row {
	r := d.rows[model][id]
	out := row{"id": id}
	for _, one := range fields {
		name := one.(string)
		first, rest, deep := strings.Cut(name, ".")
		f := d.models[model][first]
		switch {
		case name == "_timestamp":
			out[name] = d.timestamp(model, id)
		case !deep && f.typ == "one2many":
			out[name] = d.values(model, r, name)
		case !deep:
			out[name] = r[name]
		case f.typ == "many2one":
			out[first+"."] = nil
			for _, c := range d.related(f, r, first) {
				out[first+"."] = merged(out[first+"."], d.show(f.relation, idOf(c["id"]), []any{rest}))
			}
		default:
			list, _ := out[first+"."].([]any)
			for i, c := range d.related(f, r, first) {
				more := d.show(f.relation, idOf(c["id"]), []any{rest})
				if i < len(list) {
					list[i] = merged(list[i], more)
				} else {
					list = append(list, more)
				}
			}
			if list == nil {
				list = []any{}
			}
			out[first+"."] = list
		}
	}
	return out
}

func merged(a any, b row) any {
	r, is := a.(row)
	if !is {
		return b
	}
	for k, v := range b {
		if _, twice := r[k]; twice && v != nil {
			if _, nested := v.(row); nested {
				r[k] = merged(r[k], v.(row))
				continue
			}
		}
		r[k] = v
	}
	return r
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	var call struct {
		ID     json.Number `json:"id"`
		Method string      `json:"method"`
		Params []any       `json:"params"`
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	bad := dec.Decode(&call)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil && d.refuse(w, call.Method) {
		return
	}
	switch {
	case r.Method != http.MethodPost:
		w.WriteHeader(405)
		return
	case r.URL.Path != "/erp/":
		w.WriteHeader(404)
		return
	case bad != nil:
		w.WriteHeader(400)
		return
	}
	if call.Method == "common.db.login" {
		secret, _ := call.Params[1].(map[string]any)
		if call.Params[0] != hubUser || secret["password"] != password {
			w.WriteHeader(401)
			fmt.Fprint(w, "<!doctype html><title>401 Unauthorized</title><p>"+fmt.Sprint(secret["password"]))
			return
		}
		d.logins++
		key := fmt.Sprintf("key-of-session-%d", d.logins)
		d.sessions["Session "+base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:2:%s", hubUser, key))] = true
		reply(w, map[string]any{"id": call.ID, "result": []any{2, key}})
		return
	}
	if !d.sessions[r.Header.Get("Authorization")] {
		w.WriteHeader(401)
		return
	}
	if call.Method == "common.db.logout" {
		delete(d.sessions, r.Header.Get("Authorization"))
		d.logouts++
		reply(w, map[string]any{"id": call.ID, "result": nil})
		return
	}
	result, failed := d.call(call.Method, call.Params)
	switch {
	case failed != nil && failed.typ == "":
		reply(w, map[string]any{"id": call.ID, "error": []any{failed.args[0], ""}})
	case failed != nil:
		reply(w, map[string]any{"id": call.ID, "error": []any{failed.typ, failed.args}})
	default:
		reply(w, map[string]any{"id": call.ID, "result": result})
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close")
	_ = json.NewEncoder(w).Encode(v)
}

func (d *double) call(method string, params []any) (any, *failure) {
	parts := strings.Split(method, ".")
	model, name := strings.Join(parts[1:len(parts)-1], "."), parts[len(parts)-1]
	context, _ := params[len(params)-1].(map[string]any)
	if method == "model.res.user.get_preferences" {
		return map[string]any{"company": 1, "language": "en"}, nil
	}
	fields := d.models[model]
	if fields == nil {
		return nil, &failure{"", []any{"'" + model + "'"}}
	}
	if method == "model.res.user.warning.create" {
		asked := params[0].([]any)[0].(map[string]any)
		d.warned[fmt.Sprint(asked["name"])] = true
		return []int64{1}, nil
	}
	changes := !slices.Contains([]string{"fields_get", "search", "search_read", "on_change"}, name)
	if d.warns != nil && changes {
		if question := d.warns(method); question != "" && !d.warned[question] {
			return nil, &failure{"UserWarning", []any{question, "The question " + question, "really?"}}
		} else if question != "" {
			delete(d.warned, question) // it was for this time
		}
	}
	switch name {
	case "fields_get":
		out := map[string]any{}
		for n, f := range fields {
			out[n] = map[string]any{"type": f.typ, "relation": f.relation, "relation_field": f.back, "required": f.required, "readonly": f.readonly}
		}
		return out, nil
	case "search":
		return d.search(model, params[0].([]any), params[2]), nil
	case "search_read":
		out := []row{}
		for _, id := range d.search(model, params[0].([]any), params[2]) {
			out = append(out, d.show(model, id, params[4].([]any)))
		}
		return out, nil
	case "on_change":
		return d.onChange(model, params[0].(map[string]any)), nil
	case "create":
		return d.create(model, params[0].([]any))
	}
	var ids []int64
	for _, one := range params[0].([]any) {
		ids = append(ids, idOf(one))
	}
	stamps, _ := context["_timestamp"].(map[string]any)
	for _, id := range ids {
		if want, is := stamps[fmt.Sprintf("%s,%d", model, id)]; is && want != d.timestamp(model, id) {
			return nil, &failure{"ConcurrencyException", []any{"Records have been modified in the meanwhile"}}
		}
	}
	switch name {
	case "write":
		for _, id := range ids {
			if d.rows[model][id] == nil {
				return nil, userError("You are trying to write to records \"%d\" that don't exist anymore.", id)
			}
			d.set(model, id, row(params[1].(map[string]any)))
			d.rows[model][id]["write_date"] = stampOf(d.tick())
		}
		return nil, nil
	case "delete":
		for _, id := range ids {
			delete(d.rows[model], id)
		}
		return nil, nil
	}
	ways := map[string][2]string{"quote": {"draft", "quotation"}, "confirm": {"quotation", "confirmed"}, "process": {"confirmed", "processing"}, "cancel": {"draft", "cancelled"}}
	way, is := ways[name]
	if !is {
		return nil, userError("Calling method %s on %s is not allowed.", name, model)
	}
	for _, id := range ids {
		if r := d.rows[model][id]; r["state"] == way[0] && !d.stuck[name] {
			r["state"], r["write_date"] = way[1], stampOf(d.tick())
		}
	}
	return nil, nil
}

// create makes all or none.
func (d *double) create(model string, records []any) (any, *failure) {
	taken := map[string]bool{}
	unique := map[string]string{"product.template": "products' code", "party.party": "code"}[model]
	for _, r := range d.rows[model] {
		if unique != "" && r["code"] != nil {
			taken[fmt.Sprint(r["code"])] = true
		}
	}
	for _, one := range records {
		v := one.(map[string]any)
		for name, value := range v {
			if f := d.models[model][name]; f.typ == "many2one" && value != nil && d.models[f.relation] != nil && d.rows[f.relation][idOf(value)] == nil {
				return nil, userError("The value %q for field %q does not exist.", fmt.Sprint(value), name)
			}
		}
		if code, is := v["code"]; is && unique != "" && code != nil {
			if taken[fmt.Sprint(code)] {
				return nil, userError("The %s must be unique.", unique)
			}
			taken[fmt.Sprint(code)] = true
		}
	}
	ids := []int64{}
	for _, one := range records {
		ids = append(ids, d.insert(model, row(one.(map[string]any))))
	}
	return ids, nil
}

func (d *double) onChange(model string, v map[string]any) any {
	switch {
	case model == "sale.sale" && v["party"] != nil:
		for _, a := range d.children(d.models["party.party"]["addresses"], row{"id": v["party"]}) {
			return []any{map[string]any{"invoice_address": a["id"], "invoice_address.": map[string]any{"rec_name": "there"}}}
		}
	case model == "sale.line" && v["product"] != nil && v["_parent_sale.company"] != nil:
		for id := range d.rows["account.tax"] {
			return []any{map[string]any{"unit_price": dec("19.9000"), "unit": d.search("product.uom", nil, nil)[0], "amount": dec("59.70"), "taxes": map[string]any{"add": []any{[]any{0, map[string]any{"id": id}}}}}}
		}
	}
	return []any{map[string]any{}}
}

// put makes product n, or changes it, as another client does; a zero stamp leaves it without one.
func (d *double) put(n, revision int, stamp time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	code := fmt.Sprintf("OUT-%d", n)
	found := d.search("product.template", []any{[]any{"code", "=", code}}, nil)
	id := int64(0)
	if len(found) > 0 {
		id = found[0]
		d.set("product.template", id, row{"list_price": dec(fmt.Sprint(revision))})
	} else {
		id = d.insert("product.template", row{"code": code, "name": fmt.Sprintf("Outside %d", n), "type": "goods", "list_price": dec(fmt.Sprint(revision))})
	}
	r := d.rows["product.template"][id]
	r["create_date"], r["write_date"] = stampOf(stamp), stampOf(stamp)
	return fmt.Sprint(id)
}

func (d *double) spoil(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows["product.template"][idOf(id)]["list_price"] = dec("NaN")
}
