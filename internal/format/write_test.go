package format

import (
	"strings"
	"testing"
)

// TestWrite: what is written of a document, or why it cannot be.
func TestWrite(t *testing.T) {
	columns := "csv: {columns: {no: text, sku: text, qty: decimal}}"
	order := `{"no":"17","lines":[{"sku":"A","qty":1},{"sku":"B","qty":2.50}]}`
	for name, c := range map[string]struct{ yaml, doc, op, want string }{
		"each line a row":            {"{rows: {each: lines}, " + columns + "}", order, "create", "no,sku,qty\r\n17,A,1\r\n17,B,2.50\r\n"},
		"as it is read":              {"{group-by: [no], " + columns + "}", order, "create", "no,sku,qty\r\n17,A,1\r\n17,B,2.50\r\n"},
		"each line a JSON line":      {"{format: jsonl, rows: {each: lines}}", order, "create", "{\"no\":\"17\",\"sku\":\"A\",\"qty\":1}\n{\"no\":\"17\",\"sku\":\"B\",\"qty\":2.50}\n"},
		"no lines":                   {"{rows: {each: lines}, " + columns + "}", `{"no":"17","lines":[]}`, "create", "! lines is no list with elements"},
		"lines that are not there":   {"{rows: {each: lines}, " + columns + "}", `{"no":"17"}`, "create", "! lines is no list with elements"},
		"lines that are none":        {"{rows: {each: lines}, " + columns + "}", `{"lines":["A"]}`, "create", "! lines.0 is no object"},
		"a line with a head's name":  {"{rows: {each: lines}, " + columns + "}", `{"no":"17","lines":[{"no":1}]}`, "create", `! lines.0: "no" would stand in a row twice`},
		"a list without each":        {"{" + columns + "}", order, "create", `! "lines" is no column`},
		"operation":                  {"{rows: {operation-column: op, update: U}, " + columns + "}", `{"no":"1","sku":"A","qty":1}`, "update", "op,no,sku,qty\r\nU,1,A,1\r\n"},
		"operation in its place":     {"{rows: {operation-column: op}, csv: {columns: {no: text, op: text}}}", `{"no":"1"}`, "create", "no,op\r\n1,create\r\n"},
		"operation and event, jsonl": {"{format: jsonl, rows: {operation-column: op, event-column: id, create: I}}", `{"no":"1"}`, "create", "{\"op\":\"I\",\"id\":\"e-1\",\"no\":\"1\"}\n"},
		"a deletion":                 {"{rows: {each: lines, operation-column: op, delete: D}, " + columns + "}", `{"no":"17"}`, "delete", "op,no,sku,qty\r\nD,17,,\r\n"},
		"a deletion untold":          {"{" + columns + "}", `{"no":"17"}`, "delete", "! a deletion cannot be told"},
		"operation twice":            {"{format: jsonl, rows: {operation-column: op}}", `{"op":"x"}`, "create", `! "op" would stand in a row twice`},
		"formulas kept":              {"{" + columns + "}", `{"no":"=1+1","sku":"@A"}`, "create", "no,sku,qty\r\n=1+1,@A,\r\n"},
		"formulas quoted": {"{csv: {formulas: quote, header: false, columns: {a: text, b: text, c: text, d: text, e: text, f: text, g: decimal, h: text}}}",
			`{"a":"=1+1","b":"-x","c":"-5.5","d":"\tx","e":"@A","f":"A=1","g":-1.5,"h":"+49 (0)30"}`, "create", "'=1+1,'-x,-5.5,'\tx,'@A,A=1,-1.5,'+49 (0)30\r\n"},
		"formulas quoted, CR":  {"{csv: {formulas: quote, header: false, columns: {a: text}}}", `{"a":"\r=1"}`, "create", "\"'\r=1\"\r\n"},
		"a decimal comma":      {"{csv: {delimiter: ;, numbers: {decimal: comma, group: dot}, header: false, columns: {a: decimal}}}", `{"a":-1234.50}`, "create", "-1234,50\r\n"},
		"a character too many": {"{encoding: iso-8859-1, " + columns + "}", `{"no":"数"}`, "create", "! a character that iso-8859-1 does not have"},
		"no columns":           {"{}", `{"no":"1"}`, "create", "! csv.columns says nothing"},
		"no object":            {"{format: jsonl}", `[1]`, "create", "! the document is no object"},
		"without quotes":       {"{csv: {quote: none, columns: {a: text}}}", `{"a":"x,y"}`, "create", "! a value holds the delimiter"},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(t, c.yaml)
			record, err := s.Record([]byte(c.doc), Change{Operation: c.op, Event: "e-1"})
			if want, bad := strings.CutPrefix(c.want, "! "); bad {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q, %v, want %q", record, err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.File([][]byte{record}); err != nil || string(got) != c.want {
				t.Errorf("%q, want %q: %v", got, c.want, err)
			}
		})
	}
}
