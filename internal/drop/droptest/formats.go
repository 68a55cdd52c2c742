package droptest

import (
	"strings"
	"testing"
)

// testFormats: every format goes out and comes back, with rows that are grouped.
func testFormats(t *testing.T, place Fresh) {
	const order = `{"no":"0042","day":"2026-02-01","lines":[{"sku":"007","qty":1.50},{"sku":"Größe","qty":2}]}`
	columns := "columns: {no: text(6), day: date(8), sku: text(6), qty: decimal(8)}"
	plain := strings.NewReplacer("(6)", "", "(8)", "").Replace(columns)
	for name, object := range map[string]string{
		"csv":     "csv: {" + plain + "}, group-by: [no], lines: {columns: [sku, qty]}",
		"jsonl":   "format: jsonl",
		"fixed":   "format: fixed, fixed: {" + columns + "}, group-by: [no], lines: {columns: [sku, qty]}",
		"xml":     "format: xml, xml: {rows: /Orders/Order, columns: {day: date, lines.qty: decimal}}",
		"parquet": "format: parquet, parquet: {columns: {no: text, day: date, lines.sku: text, lines.qty: decimal(8.2)}, lists: [lines]}",
		"xlsx":    "format: xlsx, xlsx: {" + plain + "}, group-by: [no], lines: {columns: [sku, qty]}",
	} {
		t.Run(name, func(t *testing.T) {
			d := New(t, place(t), "{ready: {when: renamed}, "+object+"}")
			r, err := d.Deliver("e-1", order)
			if err != nil {
				t.Fatal(err)
			}
			files, _ := d.Files()
			if len(files) != 1 || files[0].Name != r.Local {
				t.Fatalf("%+v, written was %s", files, r.Local)
			}
			got := strings.NewReplacer("1.50", "1.5", "2.00", "2").Replace(d.Rows(files[0], 0)) // files that know decimals have all of them
			if _, doc, _ := strings.Cut(got, ": "); doc != strings.Replace(order, "1.50", "1.5", 1)+"\n" {
				t.Errorf("%s", got)
			}
		})
	}
}
