package edi

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

const ours = `
partner: acme
standard: x12
own: {qualifier: ZZ, id: B, group: OURS}
their: {qualifier: ZZ, id: A}
versions: ["004010"]
test: true
acknowledge: "999"
code-lists: {units: {codes: {EA: ONE}}}
`

func bookOf(t testing.TB, std Standard, agreements string, tables ...string) *Book {
	t.Helper()
	var p strictyaml.Problems
	var all []*Table
	for _, yaml := range tables {
		all = append(all, ReadTable("table.yaml", []byte(yaml), &p))
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	b := NewBook(std, all, ReadAgreements("partners.yaml", []byte(agreements), &p), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func written(t testing.TB, s *Syntax, b Body) string {
	t.Helper()
	var out []byte
	var err error
	for _, v := range b.Segments {
		if out, err = s.appendSegment(out, v); err != nil {
			t.Fatal(err)
		}
	}
	return strings.TrimSpace(strings.ReplaceAll(string(out), "~\n", " "))
}

// TestFunctionalAcknowledgement: each message of a group is answered, with its segments and elements.
func TestFunctionalAcknowledgement(t *testing.T) {
	set := func(control, body string, n int) string {
		return fmt.Sprintf("ST*850*%s~%s~SE*%d*%s~", control, body, n, control)
	}
	data := isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~" +
		set("0001", "BEG*05~REF*EA", 4) +
		set("0002", "BEG*07~ZZZ*1~REF*PL~DTM*099*20260101", 6) +
		set("0002", "BEG*05", 3) +
		"ST*999*0003~BEG*1~SE*3*0003~" + // an acknowledgement is not acknowledged
		"ST*810*0004~BIG*1~SE*9*0005~" +
		"GE*5*7~GS*PO*A*B*20260115*1000*8*X*003010~" + set("0001", "BEG*05", 3) + "GE*1*8~IEA*2*000000001~"
	b := bookOf(t, X12, ours, smallTable)
	all, err := b.Receive(strings.NewReader(data))
	if err != nil || len(all) != 1 {
		t.Fatal(err)
	}
	var got []string
	for _, body := range all[0].Acknowledgement() {
		got = append(got, written(t, &all[0].Agreement.syntax, body))
	}
	want := []string{
		"AK1*PO*7*004010 AK2*850*0001 IK5*A " +
			"AK2*850*0002 IK3*BEG*2**8 IK4*1**7*07 IK3*ZZZ*3**1 IK3*REF*4**8 IK4*1**7*PL IK3*DTM*5**2 IK5*R*5 " +
			"AK2*850*0002 IK5*R*23 AK2*810*0004 IK5*R*1*3*4 AK9*P*4*4*1",
		"AK1*PO*8*003010 AK2*850*0001 IK5*R*1 AK9*R*1*1*0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("answered\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	rd := NewReader(strings.NewReader(data), X12)
	m, err := rd.Next()
	if err != nil {
		t.Fatal(err)
	}
	if doc, _, _, _ := b.Document(m); !strings.Contains(string(doc), `"partner":"acme"`) || !strings.Contains(string(doc), `{"unit":"ONE"}`) {
		t.Errorf("the partner's code list does not count: %s", doc)
	}
}

// TestRefusedEnvelopes: what is wrong with the count or the reference of a group or an interchange is answered as the standards say; nothing else that fails a file is.
func TestRefusedEnvelopes(t *testing.T) {
	x12 := isaHead + "GS*PO*A*B*20260115*1000*7*X*004010~ST*850*0001~BEG*05~SE*3*0001~GE*1*7~IEA*1*000000001~"
	edifact := unbHead + "UNH+1+ORDERS:D:96A:UN'BGM+220'UNT+3+1'UNZ+1+R1'"
	grouped := unbHead + "UNG+ORDERS+A+B+260115:1000+G1+UN+D:96A'UNH+1+ORDERS:D:96A:UN'BGM+220'UNT+3+1'UNE+1+G1'UNZ+1+R1'"
	ours := "partner: a\nstandard: x12\nown: {qualifier: ZZ, id: B}\ntheir: {qualifier: ZZ, id: A}\ntest: true\nacknowledge: \"997\"\n"
	theirs := "partner: a\nstandard: edifact\nown: {qualifier: \"14\", id: B}\ntheir: {qualifier: \"14\", id: A}\nacknowledge: contrl\n"
	for _, c := range []struct{ agreement, data, old, new, want string }{
		{ours, x12, "GE*1", "GE*2", "GS*FA*B*A*20260115*1000*9*X*004010~ST*997*0001~AK1*PO*7~AK9*R*2*1*0*5~SE*4*0001~GE*1*9~IEA*1*000000009~"},
		{ours, x12, "GE*1", "GE*x", "AK9*R*1*1*0*5~"}, {ours, x12, "GE*1", "GE*", "AK9*R*1*1*0*5~"}, {ours, x12, "GE*1", "GE*00", "AK9*R*0*1*0*5~"}, {ours, x12, "GE*1", "GE*1000000", "AK9*R*1*1*0*5~"},
		{strings.Replace(ours, "997", "999", 1), x12, "IEA*1", "IEA*2", "*00401*000000009*0*T*>~TA1*000000001*260115*1000*R*021~"}, // in the release of the envelope
		{ours, x12, "GE*1*7", "GE*1*8", "AK9*R*1*1*0*4~"},
		{strings.Replace(ours, "997", "999", 1), x12, "GE*1*7", "GE*1*8", "ST*999*0001*005010X231A1~AK1*PO*7*004010~AK9*R*1*1*0*4~"},
		{ours, x12, "IEA*1", "IEA*2", "*00401*000000009*0*T*>~TA1*000000001*260115*1000*R*021~IEA*0*000000009~"},
		{ours, x12, "IEA*1*000000001", "IEA*1*000000002", "TA1*000000001*260115*1000*R*001~IEA*0*000000009~"},
		{strings.Replace(ours, "997", "999", 1), strings.NewReplacer("U*00401", "^*00501", "004010", "005010").Replace(x12), "IEA*1", "IEA*2", "^*00501*000000009*0*T*>~TA1*000000001*260115*1000*R*021~"},
		{theirs, edifact, "UNZ+1", "UNZ+2", "UNH+1+CONTRL:D:3:UN'UCI+R1+A:14+B:14+4+29+UNZ+2'UNT+3+1'UNZ+1+9'"},
		{theirs, edifact, "UNZ+1+R1", "UNZ+1+R2", "UCI+R1+A:14+B:14+4+28+UNZ+3'"},
		{theirs, grouped, "UNE+1", "UNE+3", "UCI+R1+A:14+B:14+4+29+UNE+2'"},
		{theirs, edifact, "UNZ+1+R1'", "", ""},                                      // the rest may not be there yet
		{theirs, edifact, "BGM", "UNB", ""},                                         // not one of these
		{theirs, edifact, "UNT+3", "UNT+4", ""},                                     // the message's own
		{theirs, strings.Replace(edifact, "A:14", "C:14", 1), "UNZ+1", "UNZ+2", ""}, // nobody knows them
		{strings.Replace(theirs, "acknowledge: contrl\n", "", 1), edifact, "UNZ+1", "UNZ+2", ""},
	} {
		std := X12
		if strings.HasPrefix(c.data, "UNB") {
			std = EDIFACT
		}
		if !strings.Contains(c.data, c.old) {
			t.Fatalf("%s is not in %s", c.old, c.data)
		}
		r, err := bookOf(t, std, c.agreement).Refused(strings.NewReader(strings.Replace(c.data, c.old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		var bodies []Body
		if r != nil {
			bodies = r.Acknowledgement()
		}
		if len(bodies) == 0 || c.want == "" {
			if len(bodies) > 0 || c.want != "" {
				t.Errorf("%s: %v, want %q", c.new, bodies, c.want)
			}
			continue
		}
		out, err := r.Agreement.Write(9, time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC), r.AnswerVersion(), bodies)
		if got := strings.ReplaceAll(string(out), "\n", ""); err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v %s, want %s", c.new, err, got, c.want)
		}
		if _, err := drain(bytes.NewReader(out), std); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// TestGroupsAreAnswered: messages of EDIFACT's groups, whose references are each group's own, are answered within their group.
func TestGroupsAreAnswered(t *testing.T) {
	partner := "partner: a\nstandard: edifact\nown: {qualifier: \"14\", id: B}\ntheir: {qualifier: \"14\", id: A}\nacknowledge: contrl\n"
	set := "UNH+1+ORDERS:D:96A:UN'BGM+220%s'DTM+137:20260115:102'UNS+S'UNT+5+1'"
	data := unbHead + "UNG+ORDERS+A1:14+B+260115:1000+G1+UN+D:96A'" + fmt.Sprintf(set, "") + "UNE+1+G1'UNG+ORDERS+A2+B+260115:1000+G2+UN+D:96A'" + fmt.Sprintf(set, "+P1+9999") + "UNE+1+G2'UNZ+2+R1'"
	var p strictyaml.Problems
	b := NewBook(EDIFACT, []*Table{ShippedTable("edifact-orders", &p)}, ReadAgreements("partners.yaml", []byte(partner), &p), &p)
	all, err := b.Receive(strings.NewReader(data))
	if err != nil || len(all) != 1 || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	body := all[0].Acknowledgement()[0]
	const want = "UCI+R1+A:14+B:14+7 UCF+G1+A1:14+B+7 UCM+1+ORDERS:D:96A:UN+7 UCF+G2+A2+B+7 UCM+1+ORDERS:D:96A:UN+4 UCS+2 UCD+39+4"
	if got := strings.TrimSuffix(strings.ReplaceAll(written(t, &all[0].Agreement.syntax, body), "'\n", " "), "'"); got != want {
		t.Errorf("answered\n%s\nwant\n%s", got, want)
	}
	plain, err := b.Receive(strings.NewReader(unbHead + fmt.Sprintf(set, "") + "UNZ+1+R1'"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(written(t, &all[0].Agreement.syntax, plain[0].Acknowledgement()[0]), "'\n", " "); got != "UCI+R1+A:14+B:14+7 UCM+1+ORDERS:D:96A:UN+7'" {
		t.Errorf("an interchange without groups is answered %s", got)
	}
	out, err := all[0].Agreement.Write(1, time.Now(), all[0].AnswerVersion(), []Body{body})
	if err != nil {
		t.Fatal(err)
	}
	ms, err := drain(bytes.NewReader(out), EDIFACT)
	if err != nil || len(ms) != 1 {
		t.Fatal(err)
	}
	doc, faults := ShippedTable("edifact-contrl", &p).Document(ms[0], "")
	if len(faults) > 0 || !strings.Contains(string(doc), `"groups":[{"control":"G1","sender":"A1","sender_qualifier":"14","receiver":"B","status":"7","messages":[{"control":"1"`) {
		t.Errorf("%s %v", doc, faults)
	}
}

func TestAnswers(t *testing.T) {
	x := func(body string) string {
		return isaHead + "GS*FA*A*B*20260115*1000*7*X*004010~ST*997*0001~" + body + fmt.Sprintf("~SE*%d*0001~GE*1*7~IEA*1*000000001~", strings.Count(body, "~")+3)
	}
	e := func(body string) string {
		return unbHead + "UNH+1+CONTRL:D:3:UN'" + body + fmt.Sprintf("'UNT+%d+1'UNZ+1+R1'", strings.Count(body, "'")+3)
	}
	ta1 := func(code string) string { return isaHead + "TA1*000000041*260115*1000*" + code + "~IEA*0*000000001~" }
	for _, c := range []struct{ data, want string }{
		{ta1("R*006"), "[{41 false true}]"}, {ta1("A*000"), "[]"}, {ta1("E*022"), "[]"}, // which say that an interchange came
		{strings.Replace(x("AK1*PR*41~AK9*A*1*1*1"), "GS*", "TA1*000000040*260115*1000*R*006~GS*", 1), "[{40 false true} {41 true false}]"},
		{x("AK1*PR*41~AK9*A*1*1*1"), "[{41 true false}]"}, {x("AK1*PR*41~AK9*E*1*1*1"), "[{41 true false}]"}, {x("AK1*PR*41~AK9*P*2*2*1"), "[{41 false false}]"},
		{x("AK1*PR*41~AK9*R*1*1*0"), "[{41 false true}]"}, {x("AK1*PR*own~AK9*A*1*1*1"), "[]"}, {x("AK1*PR*41"), "[]"},
		{e("UCI+5+B:14+A:14+7'UCM+1+ORDRSP:D:96A:UN+7"), "[{5 true false}]"}, {e("UCI+5+B:14+A:14+8"), "[]"}, {e("UCI+5+B:14+A:14"), "[]"}, {e("UCI+5+B:14+A:14+4+2"), "[{5 false true}]"},
		{e("UCI+5+B:14+A:14+7'UCM+1+ORDRSP:D:96A:UN+7'UCM+2+ORDRSP:D:96A:UN+4+13"), "[{5 false false}]"}, {e("UCI+5+B:14+A:14+7'UCM+1+ORDRSP:D:96A:UN+4+13"), "[{5 false true}]"},
		{e("UCI+REF7+B:14+A:14+7"), "[]"}, {e("UCI+5+B:14+A:14+7'UCF+5+B:14+A:14+4+13"), "[{5 false true}]"}, {e("UCI+5+B:14+A:14+7'UCF+5+B:14+A:14+7'UCM+1+ORDRSP:D:96A:UN+7"), "[{5 true false}]"},
	} {
		std := X12
		if strings.HasPrefix(c.data, "UNB") {
			std = EDIFACT
		}
		all, err := bookOf(t, std, "").Receive(strings.NewReader(c.data))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v", c.data, err)
		}
		if got := fmt.Sprint(all[0].Answers); got != c.want {
			t.Errorf("%s: %s, want %s", c.data, got, c.want)
		}
		if len(all[0].Acknowledgement()) > 0 {
			t.Errorf("%s: an acknowledgement is acknowledged", c.data)
		}
	}
}

func TestAgreementsThatAreWrong(t *testing.T) {
	head := "partner: a\nstandard: x12\nown: {qualifier: ZZ, id: B}\ntheir: {qualifier: ZZ, id: A}\n"
	edifact := strings.Replace(head, "x12", "edifact", 1)
	for _, c := range []struct{ yaml, want string }{
		{strings.Replace(head, "x12", "x13", 1), `standard: "x13" is none`},
		{strings.Replace(head, "ZZ, id: B", "Z, id: B", 1), `"Z:B" is no id of X12`},
		{head + "acknowledge: contrl\n", `acknowledge: "contrl" is none of x12`},
		{edifact + "acknowledge: \"997\"\n", `acknowledge: "997" is none of edifact`},
		{head + "time-zone: Nowhere/City\n", "Nowhere/City"},
		{head + "number-from: 1000000000\n", "one to nine digits"},
		{head + "version: \"401\"\n", `"401" is none of X12`},
		{head + "separators: {element: ab}\n", `element: "ab" is no separator`},
		{head + "separators: {element: \"~\"}\n", "a separator twice"},
		{head + "separators: {release: \"?\"}\n", "X12 has no release character"},
		{head + "separators: {line-end: cr}\n", `line-end: "cr" is none`},
		{edifact + "character-set: UNOX\n", `"UNOX" is not known`},
		{edifact + "syntax: \"5\"\n", `syntax: "5" is no version`},
		{edifact + "separators: {decimal: \";\"}\n", "it is . or a comma"},
		{head + "---\n" + head, "two agreements"},
	} {
		var p strictyaml.Problems
		NewBook(X12, nil, ReadAgreements("partners.yaml", []byte(c.yaml), &p), &p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
	}
}

// An agreement counts for tables that have its lists and for those that have not; a list that none has is noted at its place.
func TestListsOfOthers(t *testing.T) {
	var p strictyaml.Problems
	yaml := "partner: a\nstandard: x12\nown: {qualifier: ZZ, id: B}\ntheir: {qualifier: ZZ, id: A}\ncode-lists: {colours: {codes: {A: B}}}\n"
	NewBook(X12, []*Table{ShippedTable("x12-855", &p)}, ReadAgreements("partners.yaml", []byte(yaml), &p), &p)
	notes := p.Notes()
	if err := p.Err(); err != nil || len(notes) != 1 || notes[0].Pos.Line != 5 || !strings.Contains(notes[0].Message, `no table here has a list "colours"`) {
		t.Errorf("%v, %v", err, notes)
	}
}

// TestAgreedSyntax: what is written keeps to the agreement, in its zone.
func TestAgreedSyntax(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	for _, c := range []struct{ yaml, version, want string }{
		{"partner: a\nstandard: x12\nown: {qualifier: ZZ, id: B, group: OURS}\ntheir: {qualifier: \"01\", id: A}\ntime-zone: Asia/Tokyo\nseparators: {element: \"|\", terminator: lf}\n", "004010",
			"ISA|00|          |00|          |ZZ|B              |01|A              |260302|0830|U|00401|000000007|0|P|>\nGS|PO|OURS|A|20260302|0830|7|X|004010\nST|850|0001\nREF|x\nSE|3|0001\nGE|1|7\nIEA|1|000000007\n"},
		{"partner: a\nstandard: x12\nown: {qualifier: ZZ, id: B}\ntheir: {qualifier: \"01\", id: A}\nversion: \"005010\"\ntest: true\nseparators: {line-end: none}\n", "005010",
			"ISA*00*          *00*          *ZZ*B              *01*A              *260301*2330*^*00501*000000007*0*T*>~GS*PO*B*A*20260301*2330*7*X*005010~ST*850*0001~REF*x~SE*3*0001~GE*1*7~IEA*1*000000007~"},
		{"partner: a\nstandard: edifact\nown: {id: B}\ntheir: {qualifier: \"14\", id: A}\ncharacter-set: UNOY\nsyntax: \"4\"\ntest: true\nseparators: {decimal: \",\", line-end: crlf}\n", "D:01B:UN",
			"UNA:+,?*'\r\nUNB+UNOY:4+B+A:14+20260301:2330+7++++++1'\r\nUNH+1+850:D:01B:UN'\r\nREF+x'\r\nUNT+3+1'\r\nUNZ+1+7'\r\n"},
	} {
		std := X12
		if strings.Contains(c.yaml, "edifact") {
			std = EDIFACT
		}
		a := bookOf(t, std, c.yaml).Partner("a")
		got, err := a.Write(7, at, c.version, []Body{{Type: "850", Code: "PO", Segments: []Values{simple("REF", "x")}}})
		if err != nil || string(got) != c.want {
			t.Errorf("%v\n%q\nwant\n%q", err, got, c.want)
		}
		if all, err := drain(strings.NewReader(string(got)), std); err != nil || len(all) != 1 {
			t.Errorf("%v", err)
		}
	}
}

// TestEachLineIsARow: of a message that is taken apart each part counts, of one with a fault the message; and the parts are read as a whole document is.
func TestEachLineIsARow(t *testing.T) {
	var p strictyaml.Problems
	table := ShippedTable("x12-846", &p)
	data, err := os.ReadFile("testdata/x12/846.edi")
	if err != nil {
		t.Fatal(err)
	}
	agreed := ReadAgreements("partners.yaml", []byte("partner: a\nstandard: x12\nown: {qualifier: ZZ, id: ACMERETAIL}\ntheir: {qualifier: ZZ, id: SUPPLIERCO}\ntest: true\n"), &p)
	b := NewBook(X12, []*Table{table}, agreed, &p)
	b.Each("lines")
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{string(data): 2, strings.Replace(string(data), "SE*12", "SE*99", 1): 1} {
		all, err := b.Receive(strings.NewReader(text))
		if err != nil || len(all) != 1 || all[0].Rows != want {
			t.Errorf("%v %v, want %d rows", all, err, want)
		}
	}
	for doc, want := range map[string]string{
		`{"a":1,"lines":[{"b":1},{"b":[2]}],"c":{"lines":[3]}}`: `{"a":1,"lines":[{"b":1}],"c":{"lines":[3]}} {"a":1,"lines":[{"b":[2]}],"c":{"lines":[3]}}`,
		`{"a":1,"lines":[]}`: `{"a":1,"lines":[]}`,
		`{"a":1}`:            `{"a":1}`,
	} {
		parts, err := b.Parts([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for one := parts.Next(); one != nil; one = parts.Next() {
			got = append(got, string(one))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", doc, got, want)
		}
	}
}
