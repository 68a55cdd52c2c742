package odata

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// double is an OData service with orders, their items, and stock with a key of three parts, in the dialect that a test asks for. It refuses what real ones
// refuse. Objects are kept as documents hold them; the wire's forms are made here, without the code under test.
type double struct {
	version int
	most    int  // objects a page, whatever is asked for
	silent  bool // it gives no link to the next page, and no count
	csrf    bool
	etags   bool // writes want a token
	host    string
	stops   bool // a batch ends at its first failure, whatever is preferred
	folds   bool // lists are in the order of people, and comparisons go by bytes
	people  bool // the other way round
	deaf    bool // If-None-Match is not heeded
	plain   bool // it knows no IEEE754Compatible
	shows   bool // the answer to a PATCH shows the items
	bare500 bool // a duplicate key is a bare 500

	mu       sync.Mutex
	last     int
	rows     map[string][]row // by set
	requests []string
	tokens   int
	shift    func(page int) // called, unlocked, before a page is answered
	refuse   func(w http.ResponseWriter, r *http.Request) bool
	now      func() time.Time
	url      string
	server   *httptest.Server
}

type row map[string]any

const (
	user     = "S4USER"
	password = "s3cret-word"
)

// columns are the properties of the sets and their types; the first ones are the key.
var columns = map[string][][2]string{
	"Orders": {{"Order", "String(10)"}, {"External", "String(36)"}, {"Code", "String(20)"}, {"Name", "String(80)"}, {"Price", "Decimal(12,2)"}, {"Rev", "Int32"}, {"Big", "Int64"},
		{"Due", "Date"}, {"At", "Time"}, {"Open", "Boolean"}, {"Changed", "Instant(7)"}, {"Gone", "String(1)"}},
	"OrderItems": {{"Order", "String(10)"}, {"Item", "String(6)"}, {"Product", "String(40)"}, {"Quantity", "Decimal(13,3)"}},
	"Stock":      {{"Material", "String(40)"}, {"Plant", "String(4)"}, {"Batch", "String(10)"}, {"Quantity", "Decimal(13,3)"}, {"Changed", "Instant(7)"}},
}

var keyLength = map[string]int{"Orders": 1, "OrderItems": 2, "Stock": 3}

func newDouble(t testing.TB, version int) *double {
	d := &double{version: version, most: 3, csrf: version == 2, rows: map[string][]row{}, now: time.Now}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	d.url = d.server.URL
	return d
}

func (d *double) metadata() string {
	var b strings.Builder
	if d.version == 2 {
		b.WriteString(`<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" xmlns:sap="http://www.sap.com/Protocols/SAPData" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><edmx:DataServices m:DataServiceVersion="2.0"><Schema Namespace="shop" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">`)
	} else {
		b.WriteString(`<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="shop" Alias="self" xmlns="http://docs.oasis-open.org/odata/ns/edm">`)
	}
	for _, set := range []string{"Orders", "OrderItems", "Stock"} {
		b.WriteString(`<EntityType Name="` + set + `Type"><Key>`)
		for _, c := range columns[set][:keyLength[set]] {
			b.WriteString(`<PropertyRef Name="` + c[0] + `"/>`)
		}
		b.WriteString(`</Key>`)
		for _, c := range columns[set] {
			b.WriteString(`<Property Name="` + c[0] + `" ` + d.edm(c[1]) + `/>`)
		}
		switch {
		case set == "Orders" && d.version == 2:
			b.WriteString(`<NavigationProperty Name="Items" Relationship="shop.ItemsOfOrder" FromRole="one" ToRole="many"/>`)
		case set == "Orders":
			b.WriteString(`<NavigationProperty Name="Items" Type="Collection(self.OrderItemsType)" Partner="Parent"/>`)
		case set == "OrderItems" && d.version == 4:
			b.WriteString(`<NavigationProperty Name="Parent" Type="shop.OrdersType" Partner="Items"><ReferentialConstraint Property="Order" ReferencedProperty="Order"/></NavigationProperty>`)
		}
		b.WriteString(`</EntityType>`)
	}
	if d.version == 2 {
		b.WriteString(`<Association Name="ItemsOfOrder"><End Role="one" Type="shop.OrdersType" Multiplicity="1"/><End Role="many" Type="shop.OrderItemsType" Multiplicity="*"/><ReferentialConstraint><Principal Role="one"><PropertyRef Name="Order"/></Principal><Dependent Role="many"><PropertyRef Name="Order"/></Dependent></ReferentialConstraint></Association>`)
	}
	b.WriteString(`<EntityContainer Name="c">`)
	for _, set := range []string{"Orders", "OrderItems", "Stock"} {
		b.WriteString(`<EntitySet Name="` + set + `" EntityType="shop.` + set + `Type">`)
		if set == "Orders" && d.version == 4 {
			b.WriteString(`<NavigationPropertyBinding Path="Items" Target="OrderItems"/>`)
		}
		b.WriteString(`</EntitySet>`)
	}
	if d.version == 2 {
		b.WriteString(`<AssociationSet Name="i" Association="shop.ItemsOfOrder"><End Role="one" EntitySet="Orders"/><End Role="many" EntitySet="OrderItems"/></AssociationSet>`)
	}
	b.WriteString(`</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`)
	return b.String()
}

// edm writes a type's attributes.
func (d *double) edm(typ string) string {
	name, bounds, _ := strings.Cut(strings.TrimSuffix(typ, ")"), "(")
	switch v2 := d.version == 2; {
	case name == "String":
		return `Type="Edm.String" MaxLength="` + bounds + `"`
	case name == "Decimal":
		p, s, _ := strings.Cut(bounds, ",")
		return `Type="Edm.Decimal" Precision="` + p + `" Scale="` + s + `"`
	case name == "Instant":
		return `Type="Edm.DateTimeOffset" Precision="` + bounds + `"`
	case name == "Date" && v2:
		return `Type="Edm.DateTime" sap:display-format="Date"`
	case name == "Time" && !v2:
		return `Type="Edm.TimeOfDay"`
	}
	return `Type="Edm.` + name + `"`
}

func (d *double) fail(w http.ResponseWriter, status int, code, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if d.version == 2 {
		fmt.Fprintf(w, `{"error":{"code":%q,"message":{"lang":"en","value":%q},"innererror":{"errordetails":[{"code":%q,"message":%q,"propertyref":"/Name"}]}}}`, code, msg, code, msg)
		return
	}
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q,"target":"Name","details":[{"code":%q,"message":%q}]}}`, code, msg, code, msg)
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.requests = append(d.requests, r.Method+" "+r.RequestURI)
	d.mu.Unlock()
	if u, p, _ := r.BasicAuth(); u != user || p != password {
		d.fail(w, 401, "NO_USER", "your word "+p+" is not known")
		return
	}
	if d.refuse != nil && d.refuse(w, r) {
		return
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/srv/shop/")
	if !ok {
		d.fail(w, 404, "NO_PATH", r.URL.Path)
		return
	}
	if strings.Contains(r.URL.RawQuery, "+") {
		d.fail(w, 400, "PLUS", "a plus is a plus here: "+r.URL.RawQuery)
		return
	}
	if r.Method == http.MethodGet {
		if strings.EqualFold(r.Header.Get("X-Csrf-Token"), "fetch") {
			d.mu.Lock()
			d.tokens++
			w.Header().Set("X-Csrf-Token", fmt.Sprintf("token-%d", d.tokens))
			w.Header().Add("Set-Cookie", fmt.Sprintf("SAP_SESSIONID=s%d; path=/; HttpOnly", d.tokens))
			w.Header().Add("Set-Cookie", "old=; Max-Age=0")
			d.mu.Unlock()
		}
		switch path {
		case "":
			fmt.Fprint(w, `{"value":[]}`)
			return
		case "$metadata":
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprint(w, d.metadata())
			return
		}
	} else if d.csrf {
		d.mu.Lock()
		wrong := d.tokens == 0 || r.Header.Get("X-Csrf-Token") != fmt.Sprintf("token-%d", d.tokens) || r.Header.Get("Cookie") != fmt.Sprintf("SAP_SESSIONID=s%d", d.tokens)
		d.mu.Unlock()
		if wrong {
			w.Header().Set("X-Csrf-Token", "Required")
			http.Error(w, "CSRF token validation failed", http.StatusForbidden)
			return
		}
	}
	if path == "$batch" {
		d.batch(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	d.call(w, r.Method, path, r.URL.RawQuery, r.Header, body)
}

// call answers one request below the service, alone or inside a batch.
func (d *double) call(w http.ResponseWriter, method, path, query string, h http.Header, body []byte) {
	set, keyText, list, ok := address(path)
	if !ok || columns[set] == nil {
		d.fail(w, 404, "NO_SET", "no set "+set)
		return
	}
	if d.plain && strings.Contains(h.Get("Accept")+h.Get("Content-Type"), "IEEE754Compatible") {
		d.fail(w, 415, "FORM", "no such form")
		return
	}
	var doc map[string]any
	if len(body) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			d.fail(w, 400, "BAD_JSON", err.Error())
			return
		}
	}
	if method == http.MethodGet && keyText == "" && d.shift != nil {
		d.shift(len(d.requests))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case method == http.MethodGet && keyText == "":
		d.list(w, set, d.rows[set], query, h, path)
	case method == http.MethodGet && list != "":
		r := d.find(set, keyText)
		if r == nil {
			d.fail(w, 404, "404", "Not Found")
			return
		}
		d.list(w, "OrderItems", d.itemsOf(r), query, h, path)
	case method == http.MethodGet:
		r := d.find(set, keyText)
		if r == nil {
			d.fail(w, 404, "404", "Not Found")
			return
		}
		w.Header().Set("ETag", tag(r))
		d.answer(w, 200, set, r, options(query), h)
	case method == http.MethodPost && list != "":
		r := d.find(set, keyText)
		if r == nil {
			d.fail(w, 404, "404", "Not Found")
			return
		}
		doc["Order"] = r["Order"]
		d.insert(w, "OrderItems", doc, h)
	case method == http.MethodPost && keyText == "":
		d.insert(w, set, doc, h)
	case method == http.MethodPatch && d.version == 4, method == "MERGE" && d.version == 2:
		d.patch(w, set, keyText, doc, h)
	case method == http.MethodDelete:
		d.remove(w, set, keyText, h)
	default:
		d.fail(w, 405, "NO_METHOD", method)
	}
}

// address divides Orders('1')/Items.
func address(path string) (set, key, list string, ok bool) {
	path, err := url.PathUnescape(path)
	if err != nil {
		return "", "", "", false
	}
	set, rest, keyed := strings.Cut(path, "(")
	if !keyed {
		return set, "", "", !strings.Contains(set, "/")
	}
	quoted, end := false, -1
	for i := 0; i < len(rest) && end < 0; i++ {
		switch {
		case rest[i] == '\'':
			quoted = !quoted
		case rest[i] == ')' && !quoted:
			end = i
		}
	}
	if end < 0 {
		return "", "", "", false
	}
	list = strings.TrimPrefix(rest[end+1:], "/")
	return set, rest[:end], list, list == "" || list == "Items" && set == "Orders"
}

// keyRow reads a key as a row; nil where it is none of the set.
func keyRow(set, text string) row {
	names := columns[set][:keyLength[set]]
	parts := []string{text}
	if len(names) > 1 {
		parts = nil
		quoted, from := false, 0
		for i := 0; i <= len(text); i++ {
			if i == len(text) || text[i] == ',' && !quoted {
				parts, from = append(parts, text[from:i]), i+1
			} else if text[i] == '\'' {
				quoted = !quoted
			}
		}
	}
	if len(parts) != len(names) {
		return nil
	}
	out := row{}
	for i, p := range parts {
		if len(names) > 1 {
			name, lit, _ := strings.Cut(p, "=")
			if name != names[i][0] {
				return nil
			}
			p = lit
		}
		if len(p) < 2 || p[0] != '\'' || p[len(p)-1] != '\'' || strings.Contains(strings.ReplaceAll(p[1:len(p)-1], "''", ""), "'") {
			return nil
		}
		out[names[i][0]] = strings.ReplaceAll(p[1:len(p)-1], "''", "'")
	}
	return out
}

func (d *double) find(set, text string) row {
	k := keyRow(set, text)
	for _, r := range d.rows[set] {
		if k != nil && sameKey(set, r, k) {
			return r
		}
	}
	return nil
}

func sameKey(set string, a, b row) bool {
	for _, c := range columns[set][:keyLength[set]] {
		if a[c[0]] != b[c[0]] {
			return false
		}
	}
	return true
}

func (d *double) itemsOf(order row) []row {
	out := []row{}
	for _, r := range d.rows["OrderItems"] {
		if r["Order"] == order["Order"] {
			out = append(out, r)
		}
	}
	return out
}

func tag(r row) string { return fmt.Sprintf(`W/"v%v"`, r["lock"]) }

// insert creates an object, with its items.
func (d *double) insert(w http.ResponseWriter, set string, doc map[string]any, h http.Header) {
	r, items, err := d.take(set, doc)
	if err != nil {
		d.fail(w, 400, "BAD_VALUE", err.Error())
		return
	}
	if set == "Orders" && r["Order"] == nil {
		d.last++
		r["Order"] = strconv.Itoa(d.last)
	}
	for _, other := range d.rows[set] {
		switch {
		case sameKey(set, r, other) && d.bare500:
			d.fail(w, 500, "500", "Internal Server Error")
			return
		case sameKey(set, r, other):
			d.fail(w, 400, "ENTITY_ALREADY_EXISTS", "Entity already exists")
			return
		case set == "Orders" && r["External"] != nil && r["External"] == other["External"]:
			d.fail(w, 409, "DUPLICATE", "the external id is taken")
			return
		case set == "Orders" && r["Code"] != nil && r["Code"] == other["Code"]:
			d.fail(w, 422, "M3/018", "the code is taken")
			return
		}
	}
	r["lock"] = 1
	if _, has := r["Changed"]; !has && set != "OrderItems" {
		r["Changed"] = d.stamp()
	}
	d.rows[set] = append(d.rows[set], r)
	for _, it := range items {
		it["Order"], it["lock"] = r["Order"], 1
		d.rows["OrderItems"] = append(d.rows["OrderItems"], it)
	}
	w.Header().Set("ETag", tag(r))
	w.Header().Set("Location", d.address(set, r))
	d.answer(w, 201, set, r, url.Values{"$expand": {"Items"}}, h)
}

func (d *double) stamp() string { return d.now().UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func (d *double) address(set string, r row) string {
	host := d.host
	if host == "" {
		host = d.url
	}
	var parts []string
	for _, c := range columns[set][:keyLength[set]] {
		p := "'" + strings.ReplaceAll(url.PathEscape(strings.ReplaceAll(fmt.Sprint(r[c[0]]), "'", "''")), "+", "%2B") + "'"
		if keyLength[set] > 1 {
			p = c[0] + "=" + p
		}
		parts = append(parts, p)
	}
	return host + "/srv/shop/" + set + "(" + strings.Join(parts, ",") + ")"
}

// patch changes an object. What is not there is made by V4, unless a header says otherwise.
func (d *double) patch(w http.ResponseWriter, set, keyText string, doc map[string]any, h http.Header) {
	r := d.find(set, keyText)
	match := h.Get("If-Match")
	switch {
	case r == nil && d.version == 4 && match == "":
		k := keyRow(set, keyText)
		for name, v := range k {
			doc[name] = v
		}
		d.insert(w, set, doc, h)
		return
	case r == nil && match != "":
		d.fail(w, 412, "412", "Precondition Failed")
		return
	case r == nil:
		d.fail(w, 404, "404", "Not Found")
		return
	case h.Get("If-None-Match") == "*" && !d.deaf:
		d.fail(w, 412, "412", "Precondition Failed")
		return
	case match == "" && d.etags:
		d.fail(w, 428, "428", "Precondition Required")
		return
	case match != "" && match != "*" && match != tag(r):
		d.fail(w, 412, "412", "Precondition Failed")
		return
	}
	change, items, err := d.take(set, doc)
	if err != nil {
		d.fail(w, 400, "BAD_VALUE", err.Error())
		return
	}
	for name, v := range change {
		r[name] = v
	}
	if _, deep := doc["Items"]; deep { // and what is left out is gone
		d.rows["OrderItems"] = slices.DeleteFunc(d.rows["OrderItems"], func(it row) bool { return it["Order"] == r["Order"] })
		for _, it := range items {
			it["Order"], it["lock"] = r["Order"], 1
			d.rows["OrderItems"] = append(d.rows["OrderItems"], it)
		}
	}
	r["lock"] = r["lock"].(int) + 1
	if set != "OrderItems" {
		r["Changed"] = d.stamp()
	}
	w.Header().Set("ETag", tag(r))
	if d.version == 2 {
		w.WriteHeader(204)
		return
	}
	q := url.Values{}
	if d.shows {
		q.Set("$expand", "Items")
	}
	d.answer(w, 200, set, r, q, h)
}

func (d *double) remove(w http.ResponseWriter, set, keyText string, h http.Header) {
	r := d.find(set, keyText)
	match := h.Get("If-Match")
	switch {
	case r == nil:
		d.fail(w, 404, "404", "Not Found")
		return
	case match == "" && d.etags:
		d.fail(w, 428, "428", "Precondition Required")
		return
	case match != "" && match != "*" && match != tag(r):
		d.fail(w, 412, "412", "Precondition Failed")
		return
	}
	d.rows[set] = slices.DeleteFunc(d.rows[set], func(o row) bool { return sameKey(set, o, r) })
	if set == "Orders" {
		d.rows["OrderItems"] = slices.DeleteFunc(d.rows["OrderItems"], func(it row) bool { return it["Order"] == r["Order"] })
	}
	w.WriteHeader(204)
}

// outside makes or changes an order directly.
func (d *double) outside(n, revision int, stamp time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := strconv.Itoa(1000 + n)
	r := row{"Order": id, "Code": fmt.Sprintf("C-%d", n), "Rev": json.Number(strconv.Itoa(revision)), "lock": revision}
	if !stamp.IsZero() {
		r["Changed"] = stamp.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	d.rows["Orders"] = append(slices.DeleteFunc(d.rows["Orders"], func(o row) bool { return o["Order"] == id }), r)
	return id
}

// asked gives the requests so far, and forgets them.
func (d *double) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.requests
	d.requests = nil
	return out
}
