package edi

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// checkDocument: what a message becomes is JSON, and without faults it becomes a message again whose document is the same.
func checkDocument(t testing.TB, table *Table, m *Message) {
	t.Helper()
	doc, faults := table.Document(m, "")
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	if len(faults) > 0 {
		return
	}
	version := m.Version
	if table.Standard == X12 {
		version = "005010"
	}
	body, err := table.Compose(d.Root(), version, '.')
	if err != nil {
		return // an empty element that must be there, a code that stands for two
	}
	o := Outgoing{Syntax: m.Group.Interchange.Syntax, Sender: Party{"ZZ", "A"}, Receiver: Party{"ZZ", "B"}, Number: 1, Date: "20260115", Time: "1000", Version: version}
	if m.Group.Interchange.Syntax.Standard == EDIFACT {
		o.Syntax.UNA = true
	}
	out, err := Write(o, []Body{body})
	if err != nil {
		return // a text that no release character protects
	}
	back, err := drain(bytes.NewReader(out), o.Syntax.Standard)
	if err != nil || len(back) != 1 {
		t.Fatalf("%q became %q: %v", m.data, out, err)
	}
	again, faults := table.Document(back[0], "")
	if len(faults) > 0 {
		t.Fatalf("%q became %q: %v", m.data, out, faults)
	}
	if a, b := content(t, doc, table), content(t, again, table); a != b {
		t.Fatalf("%q became %q:\n%s\n%s", m.data, out, a, b)
	}
}

// content is a document without its envelope.
func content(t testing.TB, doc []byte, table *Table) string {
	t.Helper()
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for name, v := range d.Root().Members() {
		if name != "edi" {
			fmt.Fprintf(&b, "%s %s\n", name, jsondoc.AppendCanonical(nil, v))
		}
	}
	return b.String()
}

// message makes one of the body of an 850, or of an ORDERS.
func message(t testing.TB, std Standard, segments ...string) *Message {
	t.Helper()
	data := isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~" + strings.Join(segments, "~") + fmt.Sprintf("~SE*%d*0001~GE*1*7~IEA*1*000000001~", len(segments)+2)
	if std == EDIFACT {
		data = "UNA:+.? '" + unbHead + "UNH+1+ORDERS:D:96A:UN'" + strings.Join(segments, "'") + fmt.Sprintf("'UNT+%d+1'UNZ+1+R1'", len(segments)+2)
	}
	all, err := drain(strings.NewReader(data), std)
	if err != nil || len(all) != 1 || len(all[0].Faults) > 0 {
		t.Fatalf("%q: %v", data, err)
	}
	return all[0]
}

const (
	beg = "BEG*00*SA*P1**20260115"
	po1 = "PO1*1*24*EA*52.75"
)

func TestFaults(t *testing.T) {
	tables := shipped(t)
	for _, c := range []struct {
		segments, want string // want: kind, place and text
	}{
		{po1, "1 segment 3 (BEG): BEG must come before this segment (SE), and is not there"},
		{beg, "1 segment 3 (PO1): PO1 must come before this segment (SE), and is not there"},
		{"BEG*00**P1**20260115~" + po1, "6 segment 2 (BEG), element 2: it must be there"},
		{"BEG*00*SAX*P1**20260115~" + po1, "9 segment 2 (BEG), element 2: it has 3 characters, and at most 2 may be"},
		{"BEG*0*SA*P1**20260115~" + po1, "8 segment 2 (BEG), element 1: it has 1 characters, and at least 2 must be"},
		{"BEG*00*SA*P1**20260230~" + po1, `12 segment 2 (BEG), element 5: "20260230" is no date`},
		{beg + "~DTM*002*20260115*2460~" + po1, `13 segment 3 (DTM), element 3: "2460" is no time of the day`},
		{beg + "~PO1*1*2x*EA", `14 segment 3 (PO1), element 2: "2x" is no decimal number`},
		{beg + "~PO1*1*1.2.3*EA", `14 segment 3 (PO1), element 2: "1.2.3" is no decimal number`},
		{beg + "~SAC*C*D240***15.00~" + po1, `14 segment 3 (SAC), element 5: "15.00" is no number with implied decimals`},
		{"BEG*00*SA*P1**20261315~" + po1, `12 segment 2 (BEG), element 5: "20261315" is no date`},
		{"BEG*00*SA*P1**2026011A~" + po1, `12 segment 2 (BEG), element 5: "2026011A" is no date`},
		{beg + "~" + beg + "~" + po1, "4 segment 3 (BEG): more than 1 such segments"},
		{beg + "~" + po1 + "~CTT*3", `16 segment 4 (CTT), element 1: it says 3 segments PO1, and there are 1`},
		{beg + "~REF*~N1*BY~N2~N3*~N4*~PO1*1*   *EA~PO4~PID*****~CTT*1~AMT*", ""}, // blanks, and segments that say nothing
		{beg + "~N1*~" + po1, "6 segment 3 (N1), element 1: it must be there"},    // which would begin a loop
		{"BEG*~" + po1, "6 segment 2 (BEG), element 1: it must be there; 6 segment 2 (BEG), element 2: it must be there; 6 segment 2 (BEG), element 3: it must be there; 6 segment 2 (BEG), element 5: it must be there"},
		{beg + "~" + po1 + "~CTT*2~" + po1, "2 segment 5 (PO1): the table has no place for it here, or not with this qualifier"},
	} {
		_, faults := tables["850"].Document(message(t, X12, strings.Split(c.segments, "~")...), "")
		var all []string
		for _, f := range faults {
			all = append(all, fmt.Sprintf("%d %s", f.Kind, strings.TrimPrefix(f.Error(), "line 1: ")))
		}
		if got := strings.Join(all, "; "); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.segments, got, c.want)
		}
	}
}

// TestNothingIsLost: what the table does not name stands in the document as it came, and is written at its place.
func TestNothingIsLost(t *testing.T) {
	tables := shipped(t)
	segments := []string{beg + "*C1***XX", "ZZ1*a>b*c", "DTM*002*20260115*1000*ET*X", "N1*BY*A*92*11*99", "ZZ2*1", po1 + "**VP*1*VP*2", "PO3*FT", "CTT*1"}
	m := message(t, X12, segments...)
	doc, faults := tables["850"].Document(m, "acme")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"edi.partner": "acme", "more.BEG_09": "XX", "other": `[{"segment":"ZZ1","after":"BEG","elements":[["a","b"],"c"]}]`, "more": `{"BEG_09":"XX"}`,
	} {
		if got := d.Root().GetPath(path); got.Str() != want && string(got.Raw()) != want {
			t.Errorf("%s: %s, want %s", path, got.Raw(), want)
		}
	}
	if out, want := segmentsOf(t, tables["850"], m, d), strings.Join(segments, "~")+"~"; out != want {
		t.Errorf("written\n%s\nwant\n%s", out, want)
	}
}

// TestKeptAtItsPlace: a data element that is repeated where the table has one, and half a pair, stand in more and are written at their place.
func TestKeptAtItsPlace(t *testing.T) {
	tables := shipped(t)
	for _, c := range []struct {
		std           Standard
		data          string
		at, want      string
		refused       string // with unlisted: refuse
		first, second string
	}{
		{X12, isaHead[:82] + "^*00501" + isaHead[89:] + "GS*PO*A*B*20260115*1000*7*X*005010~ST*850*0001~" + beg + "~REF*DP*41^42^43>1~" + po1 + "~SE*5*0001~GE*1*7~IEA*1*000000001~",
			"references.0", `{"qualifier":"DP","more":{"REF_02":[["42"],["43","1"]]},"value":"41"}`, "line 1: segment 3 (REF), element 2: it is repeated", "REF*DP*41^42^43>1", ""},
		{X12, isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~" + beg + "~" + po1 + "**CB**VP*TG11***UP*012345678905**HALF~SE*4*0001~GE*1*7~IEA*1*000000001~",
			"lines.0", `{"line":"1","quantity":24,"unit":"EA","price":52.75,"more":{"PO1_06":"CB","PO1_15":"HALF"},"product_ids":{"VP":"TG11","UP":"012345678905"}}`,
			"line 1: segment 3 (PO1), element 6: qualifier and value go together", po1 + "**CB**VP*TG11***UP*012345678905**HALF", po1 + "**CB**VP*TG11*UP*012345678905****HALF"},
		{X12, isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~" + beg + "~" + po1 + "**VP*1*VP*2*UP*012345678905~SE*4*0001~GE*1*7~IEA*1*000000001~",
			"lines.0.product_ids", `{"VP":"1","UP":"012345678905"}`, "", po1 + "**VP*1*VP*2*UP*012345678905", ""},
		{EDIFACT, "UNA:+.?*'UNB+UNOC:4+A:14+B:14+20260115:1000+R1'UNH+1+ORDERS:D:03B:UN'BGM+220+PO1+9'DTM+137:20260115:102'NAD+BY+4012345000009::9'CTA+OC'COM+4930123:TE*buyer@example.com:EM'LIN+1'UNS+S'UNT+9+1'UNZ+1+R1'",
			"parties.0.contacts.0.communications.0", `{"more":{"COM_01":[["buyer@example.com","EM"]]},"number":"4930123","kind":"TE"}`, "line 1: segment 6 (COM), element 1: it is repeated", "COM+4930123:TE*buyer@example.com:EM", ""},
	} {
		all, err := drain(strings.NewReader(c.data), c.std)
		if err != nil || len(all) != 1 || len(all[0].Faults) > 0 {
			t.Fatalf("%s: %v %v", c.data, err, all)
		}
		table := *tables[all[0].Type]
		doc, faults := table.Document(all[0], "")
		if len(faults) > 0 {
			t.Errorf("%s: %v", c.data, faults)
			continue
		}
		d, err := jsondoc.Parse(doc, jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		v := d.Root()
		for name := range strings.SplitSeq(c.at, ".") {
			if name == "0" {
				v = v.Index(0)
			} else {
				v = v.Get(name)
			}
		}
		if got := string(v.Raw()); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.at, got, c.want)
		}
		if c.second == "" {
			c.second = c.first
		}
		if out := segmentsOf(t, &table, all[0], d); !strings.Contains(out, c.second) {
			t.Errorf("written\n%s\nwant\n%s", out, c.second)
		}
		table.keep = false
		_, faults = table.Document(all[0], "")
		if c.refused != "" && (len(faults) == 0 || !strings.HasPrefix(faults[0].Error(), c.refused)) {
			t.Errorf("unlisted: refuse: %v, want %s", faults, c.refused)
		}
	}
}

// TestCounted: the word count becomes the number of segments.
func TestCounted(t *testing.T) {
	d, err := jsondoc.Parse([]byte(`{"purpose":"00","type":"SA","number":"P1","ordered_on":"2026-01-15","lines":[{"line":"1"},{"line":"2"}],"line_count":"count"}`), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := shipped(t)["850"].Compose(d.Root(), "004010", '.')
	if err != nil || fmt.Sprint(body.Segments[len(body.Segments)-1]) != "{CTT [[[2]]]}" {
		t.Errorf("%v %v", body.Segments, err)
	}
}

func TestComposeRefuses(t *testing.T) {
	tables := shipped(t)
	head := `"purpose":"00","type":"SA","number":"P1","ordered_on":"2026-01-15"`
	line := `"lines":[{"quantity":1,"unit":"EA"}]`
	for _, c := range []struct{ table, doc, want string }{
		{"850", `{` + head + `}`, "lines: it must be there"},
		{"850", `{` + head + `,"lines":[]}`, "lines: it is empty"},
		{"850", `{` + head + `,"lines":[{"quantity":"x"}]}`, "lines.0: quantity: "},
		{"850", `{` + head + `,"colour":"red",` + line + `}`, `"colour" has no place in the table x12-850`},
		{"850", `{` + head + `,"lines":[{"colour":"red"}]}`, `lines.0: "colour" has no place`},
		{"850", `{` + head + `,"line_count":3,` + line + `}`, "line_count: it says 3, and there are 1 segments PO1"},
		{"850", `{` + head + `,"allowances":[{"indicator":"C","amount":1.005}],` + line + `}`, "allowances.0: amount: 1.005 has more than 2 decimals"},
		{"850", `{"purpose":"00","type":"SA","number":"P1","ordered_on":"2026-02-30",` + line + `}`, `ordered_on: "2026-02-30" is no date`},
		{"850", `{"purpose":"00","type":"SA","number":"12345678901234567890123","ordered_on":"2026-02-20",` + line + `}`, "number: it has 23 characters"},
		{"850", `{"purpose":"00","type":"SA","number":"","ordered_on":"2026-02-20",` + line + `}`, "number: it is empty"},
		{"850", `{"more":{"N1_09":"x"},` + head + `,` + line + `}`, "more.N1_09: no segment that is written has this place"},
		{"850", `{"other":[{"segment":"SE","after":"BEG","elements":[]}],` + head + `,` + line + `}`, "other.0: it needs segment, a tag that is none of envelopes"},
		{"850", `{"other":[{"segment":"ZZ1","after":"SAC","elements":[]}],` + head + `,` + line + `}`, "other.0: no segment that is written"},
		{"850", `[]`, "the document is no object"},
		{"ORDERS", `{"type":"220","dates":[{"qualifier":"137","date":"tomorrow"}]}`, `dates.0: date: "tomorrow" is no date`},
	} {
		d, err := jsondoc.Parse([]byte(c.doc), jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tables[c.table].Compose(d.Root(), tables[c.table].Version, '.'); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.doc, err, c.want)
		}
	}
}

func TestDatesAndNumbers(t *testing.T) {
	s := Syntax{Standard: EDIFACT, Decimal: '.'}
	for _, c := range []struct{ text, form, want string }{
		{"20260115", "102", "2026-01-15"}, {"260115", "101", "2026-01-15"}, {"202601151000", "203", "2026-01-15T10:00"}, {"20260115100059", "204", "2026-01-15T10:00:59"},
		{"202601", "610", "2026-01"}, {"2026011520260131", "718", "2026-01-15/2026-01-31"}, {"30", "804", "804:30"}, {"20260229", "102", ""}, {"2026", "102", ""}, {"20260115", "", "2026-01-15"},
		{"202601151000+0100", "205", "2026-01-15T10:00+01:00"}, {"202601151000-0530", "205", "2026-01-15T10:00-05:30"}, {"202601151000", "205", ""}, {"202601151000UTC", "303", "2026-01-15T10:00Z"}, {"20260115100059GMT", "304", "2026-01-15T10:00:59Z"},
		{"202601151000CST", "303", "303:202601151000CST"}, {"202601321000UTC", "303", ""},
	} {
		got, ok := date(c.text, c.form)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s %s: %q", c.text, c.form, got)
		}
		if !ok {
			continue
		}
		back, form, err := writeDate(&value{kind: asDate, dated: 3}, got)
		if again, _ := date(back, form); err != nil || again != got {
			t.Errorf("%s: written %s %s, %v", got, back, form, err)
		}
	}
	for _, c := range []struct {
		v          value
		text, want string
	}{
		{value{kind: asImplied, implied: 2}, "140794", "1407.94"}, {value{kind: asImplied, implied: 2}, "5", "0.05"}, {value{kind: asImplied, implied: 2}, "-05", "-0.05"},
		{value{kind: asImplied}, "7", "7"}, {value{kind: asDecimal}, ".5", "0.5"}, {value{kind: asDecimal}, "007.50", "7.50"}, {value{kind: asDecimal}, "1,5", "1.5"},
		{value{kind: asDecimal}, "5.", "5"}, {value{kind: asDecimal}, "+3", "3"}, {value{kind: asDecimal}, "1E5", "100000"}, {value{kind: asDecimal}, "-1.25E1", "-12.5"}, {value{kind: asDecimal}, "12.5e-3", "0.0125"},
		{value{kind: asDecimal}, "0.00E2", "0"}, {value{kind: asDecimal}, "125E-2", "1.25"}, {value{kind: asDecimal}, "1E", ""}, {value{kind: asDecimal}, "1E+5", ""}, {value{kind: asDecimal}, "1E61", ""}, {value{kind: asDecimal}, "1E-61", ""},
		{value{kind: asDecimal}, "E5", ""}, {value{kind: asDecimal}, "1E5E5", ""}, {value{kind: asInteger}, "1E5", ""}, {value{kind: asImplied, implied: 2}, "1E5", ""}, {value{kind: asInteger}, "1.0", ""}, {value{kind: asDecimal}, "-", ""}, {value{kind: asDecimal}, "1,000.0", ""},
	} {
		out, ok := appendNumber(nil, &c.v, c.text, &s)
		if ok != (c.want != "") || ok && string(out) != c.want {
			t.Errorf("%s: %q", c.text, out)
		}
	}
}

// TestDatesOfOldReleases: X12 had years of two digits before 004010, and EDIFACT's dates may come without their format.
func TestDatesOfOldReleases(t *testing.T) {
	tables := shipped(t)
	m := versioned(t, tables["850"], "003040", "BEG*00*SA*P1**960115~DTM*002*960120~PO1*1*1*EA")
	raw, faults := tables["850"].Document(m, "")
	doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
	if err != nil || len(faults) > 0 {
		t.Fatal(err, faults)
	}
	if got := at(doc.Root(), "ordered_on"); got != `"1996-01-15"` {
		t.Error(got)
	}
	for version, want := range map[string]string{"003040": "BEG*00*SA*P1**960115~DTM*002*960120~PO1*1*1*EA~", "004010": "BEG*00*SA*P1**19960115~DTM*002*19960120~PO1*1*1*EA~"} {
		m.Version = version
		if got := segmentsOf(t, tables["850"], m, doc); got != want {
			t.Errorf("%s: %s", version, got)
		}
	}
	out, err := Write(Outgoing{Syntax: m.Group.Interchange.Syntax, Sender: Party{"ZZ", "A"}, Receiver: Party{"ZZ", "B"}, Number: 1, Date: "20260115", Time: "1000", Version: "003040"}, []Body{{Type: "850", Code: "PO", Segments: []Values{simple("BEG", "00")}}})
	if err != nil || !bytes.Contains(out, []byte("GS*PO*A*B*260115*1000*1*X*003040~")) || !bytes.Contains(out, []byte("*U*00304*")) {
		t.Errorf("%s %v", out, err)
	}
	raw, faults = tables["ORDERS"].Document(set(t, tables["ORDERS"], "BGM+220+P1'DTM+137:202601151000'DTM+2:20260115100059'DTM+10:20260115'DTM+11:2026011510'UNS+S"), "")
	if doc, err = jsondoc.Parse(raw, jsondoc.Limits{}); err != nil || at(doc.Root(), "dates.0.date")+at(doc.Root(), "dates.1.date")+at(doc.Root(), "dates.2.date") != `"2026-01-15T10:00""2026-01-15T10:00:59""2026-01-15"` {
		t.Errorf("%s %v", raw, err)
	}
	if got := faultsOf(faults); got != `line 1: segment 6 (DTM), element 1.2: "2026011510" is no date` {
		t.Error(got)
	}
}

// TestImpliedDecimals: money that is written is read as the same money.
func TestImpliedDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(-1e15, 1e15).Draw(t, "cents")
		v := &value{kind: asImplied, implied: 2}
		d, err := jsondoc.FromInt(cents).Div(jsondoc.FromInt(100), 2, jsondoc.Down)
		if err != nil {
			t.Fatal(err)
		}
		text, err := (&composing{}).number(v, d.String())
		if err != nil || text != fmt.Sprint(cents) {
			t.Fatalf("%s is written %q, %v", d, text, err)
		}
		out, ok := appendNumber(nil, v, text, &Syntax{})
		back, err := jsondoc.ParseDecimal(string(out))
		if !ok || err != nil || back.Cmp(d) != 0 {
			t.Fatalf("%s is read %s", text, out)
		}
	})
}

const smallTable = `
table: t
standard: x12
message: "850"
group: PO
unlisted: refuse
code-lists: {units: {codes: {EA: H87, CA: XCS}}}
segments:
  - segment: BEG
    elements: {1: {is: kind, codes: {"00": new, "05": changed}}, 2: {is: seen text, repeat: true}}
  - segment: DTM
    when: {1: "002"}
    elements: {2: wanted_on date}
  - segment: DTM
    when: {1: "010"}
    elements: {2: ships_on date}
  - segment: REF
    list: units
    elements: {1: {is: unit, code-list: units}}
`

func TestPartnersTable(t *testing.T) {
	var p strictyaml.Problems
	table := ReadTable("t.yaml", []byte(smallTable), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	m := message(t, X12, "BEG*05", "DTM*010*20260116", "DTM*002*20260115", "REF*CA")
	doc, faults := table.Document(m, "")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if _, body, _ := bytes.Cut(doc, []byte(`"test":true},`)); string(body) != `"kind":"changed","ships_on":"2026-01-16","wanted_on":"2026-01-15","units":[{"unit":"XCS"}]}` {
		t.Errorf("%s", body)
	}
	d, _ := jsondoc.Parse(doc, jsondoc.Limits{})
	body, err := table.Compose(d.Root(), "004010", '.')
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(body.Segments); got != "[{BEG [[[05]]]} {DTM [[[002]] [[20260115]]]} {DTM [[[010]] [[20260116]]]} {REF [[[CA]]]}]" {
		t.Error(got)
	}
	for segments, want := range map[string]Kind{"BEG*07": FaultCode, "BEG*05~DTM*099*20260101": FaultUnexpectedSegment, "BEG*05~ZZZ*1": FaultUnknownSegment, "REF*PL": FaultCode, "BEG*05*a*b": FaultTooManyElements} {
		_, faults := table.Document(message(t, X12, strings.Split(segments, "~")...), "")
		if len(faults) != 1 || faults[0].Kind != want {
			t.Errorf("%s: %v", segments, faults)
		}
	}
}

// TestLengthOfNumbers: sign, mark and exponent are not of a number's length.
func TestLengthOfNumbers(t *testing.T) {
	var p strictyaml.Problems
	table := ReadTable("t.yaml", []byte("table: t\nstandard: x12\nmessage: \"850\"\ngroup: PO\nsegments:\n  - segment: BEG\n    elements: {1: number decimal 1..3}\n"), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"-1.25": true, "1.25E-12": true, "1.255": false, "12.55E1": false} {
		if _, faults := table.Document(message(t, X12, "BEG*"+text), ""); (len(faults) == 0) != want || len(faults) == 1 && faults[0].Kind != FaultTooLong {
			t.Errorf("%s: %v", text, faults)
		}
	}
}

func TestTablesThatAreWrong(t *testing.T) {
	head := "table: t\nstandard: x12\nmessage: \"850\"\ngroup: PO\nsegments:\n"
	for _, c := range []struct{ yaml, want string }{
		{"table: t\nstandard: x13\nmessage: \"850\"\nsegments: []\n", `standard: "x13" is none`},
		{"table: t\nstandard: x12\nmessage: \"850\"\nsegments: []\n", "needs the functional identifier"},
		{head + "  - segment: BEG\n    elements: {0: a}\n", `"0" is no place of a data element`},
		{head + "  - segment: BEG\n    elements: {1: a nonsense}\n", `"nonsense" is no type`},
		{head + "  - segment: BEG\n    elements: {1: a text x}\n", `"x" is no length`},
		{head + "  - segment: BEG\n    elements: {1: a, 2: a}\n", `"a" is the name of two values`},
		{head + "  - segment: BEG\n    elements: {1: a}\n  - segment: REF\n    elements: {1: a}\n", `"a" is the name of two values in one document`},
		{head + "  - segment: BEG\n    list: edi\n    elements: {1: a}\n", `"edi" is the name of two values in one document`}, // where the message came from stands there
		{strings.Replace(head, "segments:", "unlisted: refuse\nsegments:", 1) + "  - segment: BEG\n    max: 3\n    elements: {1: a}\n", "what may come more than once needs a list"},
		{head + "  - loop: N1\n    max: 3\n    segments:\n      - segment: N1\n        elements: {1: a}\n", "what may come more than once needs a list"},
		{head + "  - segment: BEG\n    loop: BEG\n", "an entry is a segment, a loop, or kept"},
		{head + "  - segment: BEG\n    from: later\n    elements: {1: a}\n", `from: "later" is no release`},
		{head + "  - segment: BEG\n    until: \"004010\"\n    elements: {1: a}\n  - segment: REF\n    from: \"004010\"\n    elements: {1: a}\n", `"a" is the name of two values in one document`},
		{head + "  - kept: SLN\n", "kept: it says which segments belong to the loop"},
		{head + "  - kept: SLN\n    with: [PID]\n    list: l\n", "kept: it says which segments belong to the loop, and nothing else"},
		{head + "  - kept: SLN\n    with: [PID]\n  - kept: SLN\n    with: [REF]\n", "kept: SLN stands beside it already"},
		{strings.Replace(head, "segments:", "unlisted: refuse\nsegments:", 1) + "  - kept: SLN\n    with: [PID]\n", "kept: the table refuses what it does not name"},
		{head + "  - loop: N1\n    list: l\n    segments:\n      - segment: N2\n", "its first segment begins it"},
		{head + "  - use: prty\n", `use: "prty" is no part`},
		{head + "  - segment: BEG\n    elements: {1: {is: a, code-list: u}}\n", `there is no code list "u"`},
		{head + "  - segment: BEG\n    elements: {1: {is: a, codes: {A: X, B: X}}}\n", `two codes are "X" in documents`},
		{head + "  - segment: BEG\n    elements: {1: edi}\n", "is the name of something else"},
	} {
		var p strictyaml.Problems
		table := ReadTable("t.yaml", []byte(c.yaml), &p)
		if err := p.Err(); table != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
	}
}
