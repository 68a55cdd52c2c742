package format

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// TestOthersWorkbooks: workbooks of openpyxl 3.1.5 and XlsxWriter 3.2 are read as what was put into them; but _x0041_, which openpyxl does
// not escape, is an A for Excel and here.
func TestOthersWorkbooks(t *testing.T) {
	for name, c := range map[string]struct{ file, yaml, want string }{
		"openpyxl": {"openpyxl.xlsx", "{format: xlsx, xlsx: {columns: {no: text, day: date, qty: decimal, price: decimal, ok: bool}}}",
			`1 @2: {"no":"0042","day":"2026-02-01","seen":"2026-02-01T09:30:00","at":"09:30:00","qty":3,"price":0.3,"ok":true,"note":"Größe 数量"}
2 @3: {"no":"00042","day":"1900-01-01","seen":"2026-03-01T00:00:00.5","at":"23:59:59","qty":-1,"price":1234.5,"ok":false,"note":"a\nb A <&>"}
3 @4: {"no":"123456789012345","day":null,"seen":"","at":"","qty":0.0000001,"price":1000000000000000,"ok":null,"note":""}
`},
		"1904, another sheet, a footer": {"xlsxwriter-1904.xlsx", "{format: xlsx, xlsx: {sheet: Orders, skip: 1, footer: Total, columns: {no: text, day: date, seen: text, qty: decimal}}}",
			`1 @4: {"no":"000007","day":"2026-02-01","seen":"2026-02-01T09:30:00","qty":1.5}
2 @5: {"no":"A-7","day":null,"seen":"","qty":2}
`},
		"header by what it holds": {"xlsxwriter-1904.xlsx", "{format: xlsx, xlsx: {sheet: Orders, header-contains: day, skip-after: 1}}",
			`1 @4: {"no":"000007","day":"2026-02-01","seen":"2026-02-01T09:30:00","qty":"1.5"}
2 @5: {"no":"A-7","day":"","seen":"","qty":"2"}
`},
		"a day with a time is no date": {"openpyxl.xlsx", "{format: xlsx, xlsx: {columns: {seen: date}, skip-after: 2}}",
			"1 @2: column seen: \"2026-02-01T09:30:00\" is no date in the layout 2006-01-02 {\"no\":\"0042\",\"day\":\"2026-02-01\",\"seen\":\"2026-02-01T09:30:00\",\"at\":\"09:30:00\",\"qty\":\"3\",\"price\":\"0.3\",\"ok\":\"true\",\"note\":\"Größe 数量\"}\n"},
		"another sheet than there is": {"openpyxl.xlsx", "{format: xlsx, xlsx: {sheet: Order}}", "0 @0: it is no whole workbook: there is no sheet \"Order\" in it; there are: Orders (the file)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/xlsx/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			s := settingsOf(t, c.yaml)
			if got := told(s, data, 0); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

// sheet packs a workbook around the XML of a sheet's rows.
func sheet(t testing.TB, rows string) []byte {
	t.Helper()
	return sheetWith(t, rows, "", "")
}

// sheetWith is one in which a part is another.
func sheetWith(t testing.TB, rows, part, other string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, text := range map[string]string{
		"_rels/.rels":     `<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns:r="r"><sheets><sheet name="S" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="r2" Type="http://x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="http://x/styles" Target="/xl/styles.xml"/></Relationships>`,
		"customXml/sharedStrings.xml": `<sst><si><t>not the workbook's</t></si></sst>`,
		"customXml/styles.xml":        `<styleSheet><cellXfs><xf numFmtId="22"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml":        `<sst><si><t>a</t></si><si><r><t>b</t></r><r><t xml:space="preserve"> c</t></r><rPh><t>not said</t></rPh></si></sst>`,
		"xl/styles.xml": `<styleSheet><numFmts><numFmt numFmtId="170" formatCode="&quot;y&quot;0.00"/><numFmt numFmtId="171" formatCode="[h]:mm"/><numFmt numFmtId="172" formatCode="mmm\-yy"/><numFmt numFmtId="173" formatCode="0.0E+00"/></numFmts>` +
			`<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/><xf numFmtId="172"/><xf numFmtId="173"/><xf numFmtId="22"/></cellXfs></styleSheet>`,
		"xl/worksheets/sheet1.xml": `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`,
	} {
		if name == part {
			text = other
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestCells: what a cell holds, by its type and style.
func TestCells(t *testing.T) {
	for name, c := range map[string]struct{ cell, typ, want string }{
		"text":                        {`<c r="A2" t="s"><v>0</v></c>`, "text", `"a"`},
		"runs, without how it sounds": {`<c t="s"><v>1</v></c>`, "text", `"b c"`},
		"inline":                      {`<c t="inlineStr"><is><t>007</t></is></c>`, "text", `"007"`},
		"a formula's text":            {`<c t="str"><f>A1</f><v>007</v></c>`, "text", `"007"`},
		"a formula's number":          {`<c><f>A1</f><v>7</v></c>`, "integer", `7`},
		"a formula not computed":      {`<c><f>A1</f></c>`, "text", `! a formula whose result is not stored`},
		"an error":                    {`<c t="e"><v>#N/A</v></c>`, "text", `! the error #N/A`},
		"a text that is not there":    {`<c t="s"><v>9</v></c>`, "text", `! names a text that is not there`},
		"true":                        {`<c t="b"><v>1</v></c>`, "bool", `true`},
		"true as a text":              {`<c t="b"><v>1</v></c>`, "text", `"true"`},
		"true in letters":             {`<c t="b"><v>true</v></c>`, "bool", `true`},
		"false in letters":            {`<c t="b"><v>false</v></c>`, "bool", `false`},
		"false":                       {`<c t="b"><v>0</v></c>`, "bool", `false`},
		"no truth":                    {`<c t="b"><v>yes</v></c>`, "bool", `! is a truth value, and "yes" is none`},
		"behind all days":             {`<c s="1"><v>2958466</v></c>`, "date", `! is no day that a workbook knows`},
		"a power beyond a decimal's":  {`<c s="1"><v>1e401</v></c>`, "date", `! is no day that a workbook knows`},
		"no number of a day":          {`<c s="1"><v>0x10</v></c>`, "date", `! is no day that a workbook knows`},
		"17 digits of a float":        {`<c><v>1.1000000000000001</v></c>`, "decimal", `1.1`},
		"a float of arithmetic":       {`<c><v>0.30000000000000004</v></c>`, "text", `"0.3"`},
		"a power of ten":              {`<c><v>1.5E+3</v></c>`, "text", `"1500"`},
		"a small one":                 {`<c s="5"><v>1E-3</v></c>`, "decimal", `0.001`},
		"16 digits":                   {`<c><v>9007199254740991</v></c>`, "text", `"9007199254740991"`},
		"18 digits":                   {`<c><v>123456789012345678</v></c>`, "text", `! more digits than a workbook keeps`},
		"18 digits that it keeps":     {`<c><v>100000000000000000</v></c>`, "text", `"100000000000000000"`},
		"shown with a letter":         {`<c s="2"><v>46054</v></c>`, "decimal", `46054`},
		"elapsed":                     {`<c s="3"><v>1.5</v></c>`, "decimal", `1.5`},
		"the first of a month":        {`<c s="4"><v>46054.395833333336</v></c>`, "text", `"2026-02-01T09:30:00"`},
		"the first, without a time":   {`<c s="4"><v>46054</v></c>`, "date", `"2026-02-01"`},
		"a date and time at 0":        {`<c s="6"><v>46054</v></c>`, "text", `"2026-02-01T00:00:00"`},
		"a date and time as a date":   {`<c s="6"><v>46054</v></c>`, "date", `"2026-02-01"`},
		"a little before midnight":    {`<c s="6"><v>46053.999999999</v></c>`, "date", `"2026-02-01"`},
		"day 60":                      {`<c s="1"><v>60</v></c>`, "date", `! which never was`},
		"day 59":                      {`<c s="1"><v>59</v></c>`, "date", `"1900-02-28"`},
		"day 61":                      {`<c s="1"><v>61</v></c>`, "date", `"1900-03-01"`},
		"before all days":             {`<c s="1"><v>-1</v></c>`, "date", `! is no day that a workbook knows`},
		"an ISO day":                  {`<c t="d"><v>2026-02-01</v></c>`, "date", `"2026-02-01"`},
		"nothing":                     {`<c r="B2"><v>1</v></c>`, "decimal", `null`},
		"escaped":                     {`<c t="inlineStr"><is><t>a_x000D_b_x005F_x0041_</t></is></c>`, "text", `"a\rb_x0041_"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(t, "{format: xlsx, xlsx: {header: false, columns: {a: "+c.typ+", b: text}}}")
			got := told(s, sheet(t, `<row r="2">`+c.cell+`<c r="B2" t="inlineStr"><is><t>z</t></is></c></row>`), 0)
			if c.typ == "decimal" && name == "nothing" {
				got = told(s, sheet(t, `<row r="2">`+c.cell+`</row>`), 0)
				if got != "1 @2: {\"a\":null,\"b\":\"1\"}\n" {
					t.Errorf("%s", got)
				}
				return
			}
			if why, bad := strings.CutPrefix(c.want, "! "); bad {
				if !strings.Contains(got, why) || !strings.HasPrefix(got, "1 @2: column a: ") {
					t.Errorf("%s, want %s", got, why)
				}
				return
			}
			if want := `1 @2: {"a":` + c.want + ",\"b\":\"z\"}\n"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestSheets: rows as they stand in a sheet.
func TestSheets(t *testing.T) {
	s := settingsOf(t, "{format: xlsx}")
	text := func(s string) string { return `<c t="inlineStr"><is><t>` + s + `</t></is></c>` }
	head := `<row>` + text("x") + text("y") + `</row>`
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for name, c := range map[string]struct{ rows, want string }{
		"gaps":                  {head + `<row/><row r="7"><c r="B7" t="s"><v>0</v></c></row>`, "1 @7: {\"x\":\"\",\"y\":\"a\"}\n"},
		"a value too many":      {head + `<row>` + text("1") + text("2") + text("3") + `</row><row>` + text("1") + `</row>`, "1 @2: the row has 3 values, and there are 2 columns \n2 @3: {\"x\":\"1\",\"y\":\"\"}\n"},
		"a header alone":        {head, ""},
		"nothing":               {"", "0 @0: the file holds "},
		"a column too far":      {head + `<row><c r="ZZZZ2"><v>1</v></c></row>`, "0 @2: line 2: the sheet cannot be read: a cell stands in column"},
		"a row without end":     {head + `<row>` + text(strings.Repeat("a", 3<<20)) + `</row>`, "0 @2: line 2: the sheet cannot be read: a row has more than 2"},
		"in many cells":         {head + `<row>` + strings.Repeat(`<c r="A2"><v>1</v></c>`, 1<<17) + `</row>`, "0 @2: line 2: the sheet cannot be read: a row has more than 2"},
		"a comment without end": {head + `<!--` + strings.Repeat("a", 3<<20) + `-->`, "0 @1: line 1: the sheet cannot be read: a row has more than 2"},
		"elements in elements":  {head + deep(mostDeep-2) + `<row>` + text("1") + `</row>`, `1 @2: {"x":"1","y":""}`},
		"one more":              {head + deep(mostDeep-1), "0 @1: line 1: the sheet cannot be read: more than 64 elements stand in each other"},
		"it ends in the middle": {head + `<row>` + text("1") + `</row><row>`, "0 @"},
		"two of one name":       {`<row>` + text("x") + text("x") + `</row>`, "0 @1: line 1: header: the columns 1 and 2 have one name"},
	} {
		if got := told(s, sheet(t, c.rows), 0); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, part := range []string{"_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/styles.xml"} {
		if got := told(s, sheetWith(t, head, part, deep(mostDeep+1)), 0); !strings.Contains(got, "more than 64 elements stand in each other") {
			t.Errorf("%s: %q", part, got)
		}
	}
	whole := sheet(t, head)
	for _, n := range []int{1, 20, len(whole) / 2, len(whole) - 1} {
		v, err := s.Survey(bytes.NewReader(whole[:n]))
		if err != nil || v.Missing == nil || v.Refused == nil {
			t.Errorf("the first %d bytes: %+v %v", n, v, err)
		}
	}
	if v, err := s.Survey(bytes.NewReader(nil)); err != nil || v.Missing == nil || v.Refused != nil {
		t.Errorf("an empty file: %+v %v", v, err)
	}
}

// TestWrittenWorkbook: what is written has the types of its columns for another reader, too.
func TestWrittenWorkbook(t *testing.T) {
	s := settingsOf(t, `{format: xlsx, xlsx: {sheet: Orders, columns: {no: text, day: date, old: date, qty: decimal, many: decimal, ok: bool}}, rows: {operation-column: op}}`)
	record, err := s.Record([]byte(`{"no":"=00042","day":"2026-02-01","old":"1899-01-01","qty":12.50,"many":1234567890123456789.01,"ok":true}`), Change{Operation: "create"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.File([][]byte{record})
	if err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for _, cell := range []string{"A1", "B2", "C2", "D2", "E2", "F2", "G2"} {
		v, err := f.GetCellValue("Orders", cell)
		typ, terr := f.GetCellType("Orders", cell)
		formula, ferr := f.GetCellFormula("Orders", cell)
		if err := errors.Join(err, terr, ferr); err != nil || formula != "" {
			t.Fatal(err, formula)
		}
		got = append(got, v+map[excelize.CellType]string{excelize.CellTypeBool: " (truth)", excelize.CellTypeInlineString: " (text)", excelize.CellTypeSharedString: " (text)", excelize.CellTypeUnset: " (number)", excelize.CellTypeNumber: " (number)"}[typ])
	}
	if want := "op (text)|=00042 (text)|2026-02-01 (number)|1899-01-01 (text)|12.50 (number)|1234567890123456789.01 (text)|TRUE (truth)"; strings.Join(got, "|") != want {
		t.Errorf("%s, want %s", strings.Join(got, "|"), want)
	}
	if got, want := told(s, data, 0), `1 @2: {"op":"create","no":"=00042","day":"2026-02-01","old":"1899-01-01","qty":12.5,"many":1234567890123456789.01,"ok":true}`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{`{"no":"` + strings.Repeat("a", mostCell+1) + `"}`, `{"no":"\u0001"}`, `{"colour":"red"}`, `{"qty":"1"}`} {
		if _, err := s.Record([]byte(bad), Change{Operation: "create"}); err == nil {
			t.Errorf("%.40s was taken", bad)
		}
	}
}

// FuzzSheet: no rows of a sheet make its reader hang, panic or give what is no document.
func FuzzSheet(f *testing.F) {
	for _, rows := range []string{`<row><c t="s"><v>0</v></c></row><row><c s="1"><v>46054.5</v></c></row>`, `<row r="1048576"><c r="XFD1"><v>1e400</v></c></row>`, `<row><c t="inlineStr"><is><r><t>x`, `<row><c t="e"><v>`, "</sheetData>"} {
		f.Add(rows)
	}
	all := []*Settings{settingsOf(f, "{format: xlsx}"), settingsOf(f, "{format: xlsx, xlsx: {header: false, footer: T*, columns: {a: date, b: decimal}}, group-by: [b]}")}
	f.Fuzz(func(t *testing.T, rows string) {
		data := sheet(t, rows)
		for _, s := range all {
			first, again := told(s, data, 0), told(s, data, 0)
			if first != again {
				t.Errorf("%q, then %q", first, again)
			}
		}
	})
}

// FuzzWorkbook: no bytes make it hang or panic.
func FuzzWorkbook(f *testing.F) {
	for _, name := range []string{"openpyxl.xlsx", "xlsxwriter-1904.xlsx"} {
		data, err := os.ReadFile("testdata/xlsx/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	s := settingsOf(f, "{format: xlsx}")
	f.Fuzz(func(_ *testing.T, data []byte) { told(s, data, 0) })
}
