package mapping

import (
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const tableDoc = `{
  "no": "O-1", "status": "Closed Won", "currency": "eur", "date": "2026-10-01", "rate": 0.2, "count": 3, "note": "  Émile said \"hi\"\n ",
  "wide": "ＡＢＣ１２　３", "nothing": null, "paid": true, "big": 12345678901234567890.123456789,
  "customer": {"id": "A1", "name": "Zoë", "vip": false},
  "tags": ["b", "a", "b"],
  "groups": [
    {"name": "g1", "members": [{"id": "m1", "age": 3}, {"id": "m2", "age": 40}]},
    {"name": "g2", "members": []}
  ],
  "lines": [
    {"sku": " x-1 ", "qty": 2, "price": 0.1, "unit": "PCE"},
    {"sku": "y-2", "qty": 0, "price": 19.99, "unit": "KGM"},
    {"sku": "z-3", "qty": 1, "price": 0.2, "unit": "LTR"}
  ],
  "billing": {"street": "Main 1", "city": "Köln"},
  "updated_at": "2026-10-01T08:00:00+02:00"
}`

// expressions are checked in both forms: want is JSON, "absent", or an error after "!".
var expressions = []struct{ expr, want string }{
	// Paths.
	{`source.no`, `"O-1"`},
	{`data.customer.name`, `"Zoë"`},
	{`source?.customer?.name`, `"Zoë"`},
	{`source["no"]`, `"O-1"`},
	{`source.note`, `"  Émile said \"hi\"\n "`},
	{`source.gone`, `absent`},
	{`source.nothing`, `absent`},
	{`source.shipping.city`, `absent`},
	{`source.lines[0].sku`, `" x-1 "`},
	{`source.lines[-1].sku`, `"z-3"`},
	{`source.lines[7].sku`, `absent`},
	{`source.big`, `12345678901234567890.123456789`},
	{`source.billing`, `{"street": "Main 1", "city": "Köln"}`},
	{`source.tags`, `["b", "a", "b"]`},
	{`first(source.lines).sku`, `" x-1 "`},
	{`null`, `absent`},
	{`nil`, `absent`},
	// Literals: exact, whatever the machine's numbers can hold.
	{`0.1`, `0.1`},
	{`1.50`, `1.50`},
	{`1_000`, `1000`},
	{`1e3`, `1000`},
	{`-3`, `-3`},
	{`123456789012345678901234567890.000000001`, `123456789012345678901234567890.000000001`},
	{`"a" + 'b'`, `"ab"`},
	{`true`, `true`},
	{`["a", source.no, 1.0]`, `["a","O-1",1.0]`},
	{`{b: source.no, a: 1, c: source.gone}`, `{"a":1,"b":"O-1"}`},
	{`[]`, `[]`},
	// Arithmetic.
	{`0.1 + 0.2`, `0.3`},
	{`0.1 + 0.2 == 0.3`, `true`},
	{`source.count * source.rate`, `0.6`},
	{`source.big + 1`, `12345678901234567891.123456789`},
	{`10 - 2 - 3`, `5`},
	{`1 + 2 * 3`, `7`},
	{`(1 + 2) * 3`, `9`},
	{`1 / 3`, `0.3333333333333333333333333333333333`},
	{`2 / 3`, `0.6666666666666666666666666666666667`},
	{`10 / 4`, `2.5`},
	{`7 % 3`, `1`},
	{`-7 % 3`, `-1`},
	{`7.5 % 2`, `1.5`},
	{`-source.count`, `-3`},
	{`source.count / 0`, `!division by zero`},
	{`source.nothing + 1`, `absent`},
	{`-source.nothing`, `absent`},
	{`round(2.345, 2)`, `2.35`},
	{`round(-2.345, 2)`, `-2.35`},
	{`round(2.345, 2, "half-even")`, `2.34`},
	{`round(2.349, 2, "down")`, `2.34`},
	{`round(2.341, 2, "up")`, `2.35`},
	{`round(1250, -2)`, `1300`},
	{`round(1.5, 2)`, `1.5`},
	{`round(source.nothing, 2)`, `absent`},
	{`round(2.345, source.count - 1)`, `2.35`},
	{`round(2.345, 0.5)`, `!whole number`},
	{`fixed(1.5, 2)`, `"1.50"`},
	{`abs(-1.5)`, `1.5`},
	{`min(3, 1, 2)`, `1`},
	{`max(3, source.count, 2.5)`, `3`},
	{`min(map(source.lines, .price))`, `0.1`},
	{`max([])`, `absent`},
	{`num("12.50")`, `12.50`},
	{`num(" 7 ")`, `7`},
	{`num("1,5")`, `!is not a number`},
	{`num(source.count)`, `3`},
	{`text(source.count)`, `"3"`},
	{`text(1.50)`, `"1.50"`},
	{`text(source.paid)`, `"true"`},
	// Text.
	{`trim(source.note)`, `"Émile said \"hi\""`},
	{`upper(trim(source.note))`, `"ÉMILE SAID \"HI\""`},
	{`lower(source.no)`, `"o-1"`},
	{`upper("straße")`, `"STRAßE"`},
	{`upper(source.currency)`, `"EUR"`},
	{`upper(source.gone)`, `absent`},
	{`width(source.wide)`, `"ABC12 3"`},
	{`fold("  ＦＯＯ   Straße ")`, `"foo strasse"`},
	{`fold("Café") == fold("Cafe\u0301")`, `true`},
	{`substr("abcdef", 2)`, `"cdef"`},
	{`substr("Zoëy", 2, 1)`, `"ë"`},
	{`substr("abc", -2)`, `"bc"`},
	{`substr("abc", 9)`, `""`},
	{`substr("abc", 0.5)`, `!whole number`},
	{`replace("a-b-c", "-", "")`, `"abc"`},
	{`replace("a", "", "x")`, `!is empty`},
	{`split("a;b;c", ";")`, `["a","b","c"]`},
	{`join(source.tags, ", ")`, `"b, a, b"`},
	{`join(["a", source.gone, 2], "-")`, `"a-2"`},
	{`concat("N", source.count, source.gone, "x")`, `"N3x"`},
	{`"N" + text(source.count)`, `"N3"`},
	{`"N" + source.gone`, `absent`},
	{`pad_left(source.count, 5, "0")`, `"00003"`},
	{`pad_left("abcdef", 3, "0")`, `"abcdef"`},
	{`pad_left("a", 3, "xx")`, `!one character`},
	{`format("{}/{}: {}", source.no, source.count, source.gone)`, `"O-1/3: "`},
	{`contains(source.note, "said")`, `true`},
	{`source.note contains "said"`, `true`},
	{`not contains(source.note, "said")`, `false`},
	{`source.note not contains "said"`, `false`},
	{`contains(source.tags, "a")`, `true`},
	{`contains(source.gone, "a")`, `absent`},
	{`starts_with(source.no, "O-")`, `true`},
	{`source.no startsWith "O-"`, `true`},
	{`ends_with(source.no, "9")`, `false`},
	{`matches(source.no, "^O-[0-9]+$")`, `true`},
	{`source.no matches "^X"`, `false`},
	{`source.no | lower() | upper()`, `"O-1"`},
	{`len(source.customer.name)`, `3`},
	{`len(source.tags)`, `3`},
	// Comparison and logic.
	{`source.count == 3.0`, `true`},
	{`source.count != 3`, `false`},
	{`source.status == "Closed Won"`, `true`},
	{`source.gone == nil`, `true`},
	{`source.no != nil`, `true`},
	{`2 < 10`, `true`},
	{`"2" < "10"`, `false`},
	{`1 < source.count <= 3`, `true`},
	{`source.nothing > 1`, `!one is absent`},
	{`(source.nothing ?? 0) > 1`, `false`},
	{`source.status in ["Open", "Closed Won"]`, `true`},
	{`source.status not in ["Open"]`, `true`},
	{`source.count in [1, 3.00]`, `true`},
	{`"a" in source.tags`, `true`},
	{`source.gone in ["a"]`, `false`},
	{`source.paid and not source.customer.vip`, `true`},
	{`source.paid && source.customer.vip`, `false`},
	{`source.customer.vip || source.paid`, `true`},
	{`source.customer.vip and source.lines[9].qty > 1`, `false`},
	{`source.paid or source.lines[9].qty > 1`, `true`},
	{`!source.paid`, `false`},
	{`exists(source.gone)`, `false`},
	{`exists(source.no)`, `true`},
	{`has("  ")`, `false`},
	{`has(source.tags)`, `true`},
	{`has([])`, `false`},
	{`source.gone ?? source.note ?? "x"`, `"  Émile said \"hi\"\n "`},
	{`source.nothing ?? 0`, `0`},
	{`choose(source.paid, "paid", "open")`, `"paid"`},
	{`choose(source.customer.vip, 1 / 0, 2)`, `2`},
	{`source.paid ? "yes" : "no"`, `"yes"`},
	{`if source.paid { 1 } else { 2 }`, `1`},
	{`choose(source.shipping.city == "x", 1, 2)`, `2`},
	// Lists.
	{`count(source.lines)`, `3`},
	{`count(source.lines, .qty > 0)`, `2`},
	{`sum([0.1, 0.2])`, `0.3`},
	{`sum(source.lines, .qty * .price)`, `0.40`},
	{`sum(source.lines, {.qty * .price})`, `0.40`},
	{`sum(map(source.lines, .price))`, `20.29`},
	{`total(source.lines, "price")`, `20.29`},
	{`total(filter(source.lines, .qty > 0), "price")`, `0.3`},
	{`total(source.extra, "price")`, `absent`},
	{`total([{a: 1}, {a: nil}], "a")`, `!element 1 has no such number "a"`},
	{`filter(source.tags, # == "b")`, `["b","b"]`},
	{`filter(source.extra, .qty > 0)`, `absent`},
	{`any(source.extra, .qty > 0)`, `!the list is absent`},
	{`any(source.extra ?? [], .qty > 0)`, `false`},
	{`map(source.lines, upper(trim(.sku)))`, `["X-1","Y-2","Z-3"]`},
	{`map(source.tags, # + text(#index + 1))`, `["b1","a2","b3"]`},
	{`map(source.groups, {{name: .name, ids: map(.members, .id)}})`, `[{"ids":["m1","m2"],"name":"g1"},{"ids":[],"name":"g2"}]`},
	{`flatten(map(source.groups, .members))`, `[{"age":3,"id":"m1"},{"age":40,"id":"m2"}]`},
	{`any(source.lines, .qty == 0)`, `true`},
	{`all(source.lines, .qty > 0)`, `false`},
	{`none(source.lines, .qty > 9)`, `true`},
	{`one(source.lines, .qty == 2)`, `true`},
	{`find(source.lines, .qty == 1).sku`, `"z-3"`},
	{`find(source.lines, .qty == 9).sku`, `absent`},
	{`first(source.tags)`, `"b"`},
	{`last(source.tags)`, `"b"`},
	{`first([])`, `absent`},
	{`unique(source.tags)`, `["b","a"]`},
	{`unique([1, 1.0, 2])`, `[1,2]`},
	{`map(sortBy(source.lines, .price, "desc"), .qty)`, `[0,1,2]`},
	{`sortBy(source.tags, #)`, `["a","b","b"]`},
	{`map(filter(source.lines, .unit in ["PCE", "KGM"]), .unit)`, `["PCE","KGM"]`},
	{`let l = filter(source.lines, .qty > 0); count(l) * 10 + len(l)`, `22`},
	{`let limit = 1; count(source.lines, .qty > limit)`, `1`},
	{`map(source.tags, choose(# == "a", source.no, nil) ?? #)`, `["b","O-1","b"]`},
	{`filter(source.tags, # == (source.gone ?? "a"))`, `["a"]`},
	// Loops within loops: # is always the element of the innermost; variables reach inwards.
	{`find(source.groups, any(.members, .id == "m2")).name`, `"g1"`},
	{`find(find(source.groups, .name == "g1").members, .age > 3).id`, `"m2"`},
	{`map(source.groups, count(.members, .age > 3) + #index)`, `[1,1]`},
	{`map(source.groups, map(.members, #index + .age))`, `[[3,41],[]]`},
	{`let no = source.no; map(source.lines, {{sku: trim(.sku), of: no, at: #index}})`, `[{"at":0,"of":"O-1","sku":"x-1"},{"at":1,"of":"O-1","sku":"y-2"},{"at":2,"of":"O-1","sku":"z-3"}]`},
	{`let least = 0.15; find(source.lines, .price > least && upper(.unit) == .unit).sku`, `"y-2"`},
	{`map(source.groups, let n = .name; count(.members, n == "g1" && #index == 1))`, `[1,0]`},
	{`sum(map(source.groups, sum(.members, .age)))`, `43`},
	{`first(filter(source.lines, .qty < 2)).sku`, `"y-2"`},
	{`last(filter(source.lines, .qty < 2)).sku`, `"z-3"`},
	{`last(source.lines).sku`, `"z-3"`},
	{`first(source.extra).sku`, `absent`},
	{`first(source.groups[1].members).id`, `absent`},
	{`find(source.extra, .qty > 0).sku`, `absent`},
	{`any(source.extra, .qty > 0)`, `!any: the list is absent`},
	{`one(source.lines, .qty == 1)`, `true`},
	{`one(source.tags, # == "b")`, `false`},
	{`none(source.tags, # == "c") and all(source.tags, # != "c")`, `true`},
	{`all(source.groups[1].members, .age > 100)`, `true`},
	{`any(source.lines, .gone ?? false)`, `!has no field`},
	{`count(source.lines, .qty > source.nothing)`, `!needs two values`},
	{`find(map(source.lines, {{s: trim(.sku), q: .qty}}), .q == 0).s`, `"y-2"`},
	{`sortBy(filter(source.lines, has(.sku)), .qty)[0].unit`, `"KGM"`},
	{`has(source.customer) and has(source.tags) and has(source.no) and has(source.count) and has(source.paid)`, `true`},
	{`has(source.groups[1].members) or has(source.gone) or has(source.nothing) or has(trim("  ")) or has(filter(source.tags, # == "x"))`, `false`},
	{`sum(source.lines, .qty + .nothing)`, `!`},
	// Times.
	{`time("2026-10-01T08:00:00+02:00")`, `"2026-10-01T08:00:00+02:00"`},
	{`time("2026-10-01T08:00:00.120Z")`, `"2026-10-01T08:00:00.12Z"`},
	{`time("2026-10-01T08:00:00.000+0000")`, `"2026-10-01T08:00:00Z"`},
	{`time("20261001074404", "20060102150405")`, `"2026-10-01T07:44:04Z"`},
	{`time(source.date, "2006-01-02", "Asia/Shanghai")`, `"2026-10-01T00:00:00+08:00"`},
	{`time(source.date, "", "Europe/Berlin")`, `"2026-10-01T00:00:00+02:00"`},
	{`time("2026-10-01 08:00:00", "", "Europe/Berlin")`, `"2026-10-01T08:00:00+02:00"`},
	{`time("2026-10-01 08:00:00")`, `!names no zone`},
	{`time("/Date(1790812800000)/")`, `"2026-10-01T00:00:00Z"`},
	{`time("/Date(1790812800000+0060)/")`, `"2026-10-01T00:00:00Z"`},
	{`time("01.10.2026 EST", "02.01.2006 MST")`, `!does not say how far`},
	{`time("soon")`, `!is not a time`},
	{`time("10/01/26", "2006-01-02")`, `!does not have the form`},
	{`time(source.gone)`, `absent`},
	{`date("2026-10-01")`, `"2026-10-01"`},
	{`date("2026-10-01T23:30:00Z", "", "Asia/Shanghai")`, `"2026-10-02"`},
	{`date("01.10.2026", "02.01.2006")`, `"2026-10-01"`},
	{`format_time(source.updated_at, "20060102", "UTC")`, `"20261001"`},
	{`format_time(source.updated_at, "02.01.2006 15:04")`, `"01.10.2026 08:00"`},
	{`in_zone(source.updated_at, "UTC")`, `"2026-10-01T06:00:00Z"`},
	{`unix(1790812800)`, `"2026-10-01T00:00:00Z"`},
	{`unix(1790812800.5)`, `"2026-10-01T00:00:00.5Z"`},
	{`unix(-1)`, `"1969-12-31T23:59:59Z"`},
	{`unix(1e30)`, `!out of range`},
	{`unix_ms(1790812800123)`, `"2026-10-01T00:00:00.123Z"`},
	{`epoch("2026-10-01T00:00:00.25Z")`, `1790812800.25`},
	{`add_days("2026-01-31", 30)`, `"2026-03-02"`},
	{`add_days(date(source.updated_at), -1)`, `"2026-09-30"`},
	{`add_days("soon", 1)`, `!wants a date`},
	// Forms of times; timetext's own test has all of them.
	{`time("2026-11-28t10:00:00z")`, `"2026-11-28T10:00:00Z"`},
	{`time("20261128T100000Z")`, `"2026-11-28T10:00:00Z"`},
	{`time("2026-11-28T10:00Z")`, `"2026-11-28T10:00:00Z"`},
	{`time("2026-11-28T10:00+01")`, `"2026-11-28T10:00:00+01:00"`},
	{`time("2026-11-28T24:00:00Z")`, `"2026-11-29T00:00:00Z"`},
	{`time("20261128 2400", "20060102 1504", "Europe/Berlin")`, `"2026-11-29T00:00:00+01:00"`},
	{`time("2026-11-28T10:00:00,25Z")`, `"2026-11-28T10:00:00.25Z"`},
	{`time("2026-11-28+01:00")`, `"2026-11-28T00:00:00+01:00"`},
	{`time("2026-11-28Z", "", "Europe/Berlin")`, `"2026-11-28T00:00:00Z"`},
	{`time("2026-W48-6", "", "Europe/Berlin")`, `"2026-11-28T00:00:00+01:00"`},
	{`time("/Date(1790812800000+0120)/")`, `"2026-10-01T00:00:00Z"`},
	{`time("Sat, 28 Nov 2026 10:00:00 +0100")`, `"2026-11-28T10:00:00+01:00"`},
	{`time("Sat, 28 Nov 2026 10:00:00 GMT")`, `"2026-11-28T10:00:00Z"`},
	{`time("Sat, 28 Nov 2026 10:00:00 EST")`, `!does not say how far`},
	{`time("Mon, 30 Feb 2026 10:00:00 GMT")`, `!names a day that does not exist`},
	{`time("9999-12-31T23:59:59Z")`, `"9999-12-31T23:59:59Z"`},
	{`time("9999-12-31T23:59:59-05:00")`, `!is after the year 9999`},
	{`time("0001-01-01T00:00:00+08:00")`, `"0001-01-01T00:00:00+08:00"`},
	{`time("2026-02-30T10:00:00Z")`, `!"2026-02-30T10:00:00Z" names a day that does not exist`},
	{`time("infinity")`, `!is infinity`},
	{`date("99991231", "20060102")`, `"9999-12-31"`},
	{`date("99991231")`, `"9999-12-31"`},
	{`date("00000000", "20060102")`, `!"00000000" names a day that does not exist (systems write zeros for none)`},
	{`choose(text("00000000") == "00000000", nil, date("00000000", "20060102"))`, `absent`},
	{`date("20260230", "20060102")`, `!names a day that does not exist`},
	{`date("2026-02-30")`, `!names a day that does not exist`},
	{`date("31.04.2026", "02.01.2006")`, `!names a day that does not exist`},
	{`date("2026-02-30", "02.01.2006")`, `!does not have the form`},
	{`date("2026-11-28+14:00", "", "America/New_York")`, `"2026-11-28"`},
	{`date("9999-12-31T23:59:59-05:00")`, `"9999-12-31"`},
	{`date("9999-12-31T23:59:59-05:00", "", "UTC")`, `!is after the year 9999`},
	{`date("10000-01-01")`, `!is after the year 9999`},
	{`date("0044-03-15 BC")`, `!is before the year 0 (44 BC)`},
	{`format_time("9999-12-31T23:59:59-05:00", "20060102", "UTC")`, `!is after the year 9999`},
	{`in_zone("9999-12-31T23:00:00Z", "Asia/Shanghai")`, `!is after the year 9999`},
	{`unix(253402300799)`, `"9999-12-31T23:59:59Z"`},
	{`unix(253402300800)`, `!out of range`},
	{`add_days("9999-12-31", 0)`, `"9999-12-31"`},
	{`add_days("9999-12-31", 1)`, `!is after the year 9999`},
	{`add_days("2026-02-30", 1)`, `!names a day that does not exist`},
	// Codes, references, hashes.
	{`value("order-status", "crm", source.status)`, `"confirmed"`},
	{`value("order-status", "erp", 21)`, `"confirmed"`},
	{`value("order-status", "crm", "Lost")`, `!does not know the code "Lost" of crm`},
	{`code("order-status", "erp", "confirmed")`, `"20"`},
	{`code("order-status", "erp", "new")`, `"00"`},
	{`value("units", "erp", "LTR")`, `"LTR"`},
	{`value("order-status", "crm", source.gone)`, `absent`},
	{`map(source.lines, value("units", "erp", .unit))`, `["pcs","kg","LTR"]`},
	{`xref("customer", "crm", source.customer.id)`, `"hub-1"`},
	{`xref("customer", "erp", 77)`, `"hub-1"`},
	{`xref("customer", "crm", "A9")`, `!customer "A9" of crm is not known`},
	{`xref("customer", "crm", "")`, `absent`},
	{`xref("customer", "crm", source.gone)`, `absent`},
	{`xref("customer", "crm", "broken")`, `!store is away`},
	{`xref_id("customer", "erp", "hub-1")`, `"77"`},
	{`xref_id("customer", "wms", "hub-1")`, `!customer "hub-1" has no id in wms`},
	{`num(xref_id("customer", "erp", "hub-1"))`, `77`},
	{`hash("abc")`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
	{`hash(1.50, "a") == hash(1.5, "a")`, `true`},
	{`hash("a", "b") == hash("ab")`, `false`},
	{`uuid5("dns", "www.example.org")`, `"74738ff5-5367-5958-9aee-98fffdcd1876"`},
	{`uuid5("nonsense", "x")`, `!must be dns`},
	// The event.
	{`event.key`, `"O-1"`},
	{`event.hub + "/" + event.operation`, `"h-1/upsert"`},
	{`event.version`, `absent`},
	{`event.time`, `"2026-11-21T02:30:00.5Z"`},
	// Wrong types that only the document shows.
	{`first(source.tags) + "x"`, `"bx"`},
}

func TestExpressions(t *testing.T) {
	deps := testDeps(t)
	in := &Input{Doc: parseDoc(t, tableDoc), Event: testEvent, Lookup: testRefs}
	schema := deps.Schemas.Get("source.v1")
	for _, tt := range expressions {
		t.Run(tt.expr, func(t *testing.T) {
			for _, machine := range []bool{false, true} {
				x, err := compileText(t, tt.expr, schema, deps, machine)
				got := ""
				if err == nil {
					got, err = x.json(in)
				}
				checkResult(t, machine, tt.want, got, err)
			}
		})
	}
}

func checkResult(t *testing.T, machine bool, want, got string, err error) {
	t.Helper()
	if text, isError := strings.CutPrefix(want, "!"); isError {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("machine %t: got %s, error %v, want error with %q", machine, got, err, text)
		}
		return
	}
	if err != nil {
		t.Errorf("machine %t: %v", machine, err)
		return
	}
	if got == want {
		return
	}
	// The forms may write objects of documents differently: bytes copied, or members sorted.
	if want == "absent" || got == "absent" {
		t.Errorf("machine %t: got %s, want %s", machine, got, want)
		return
	}
	a, errA := jsondoc.Parse([]byte(got), jsondoc.Limits{})
	b, errB := jsondoc.Parse([]byte(want), jsondoc.Limits{})
	if !machine || errA != nil || errB != nil || !a.Root().Equal(b.Root()) {
		t.Errorf("machine %t: got %s, want %s", machine, got, want)
	}
}
