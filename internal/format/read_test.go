package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// settingsOf reads an object's settings as connectors do.
func settingsOf(tb testing.TB, yaml string) *Settings {
	tb.Helper()
	s, err := readSettings(yaml)
	if err != nil {
		tb.Fatalf("%s: %v", yaml, err)
	}
	return s
}

func readSettings(yaml string) (*Settings, error) {
	var p strictyaml.Problems
	docs := strictyaml.Parse("object.yaml", []byte(yaml), &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	s := &Settings{}
	connector.Settings{Name: "x", Node: docs[0]}.Decode(s, &p)
	s.Complete(docs[0], &p)
	return s, p.Err()
}

// told writes what Read gives, one row a line, and what Survey says of the file.
func told(s *Settings, data []byte, from int) string {
	var b strings.Builder
	for row, err := range s.Read(bytes.NewReader(data), from) {
		fmt.Fprintf(&b, "%d @%d: ", row.Number, row.Line)
		if err != nil {
			fmt.Fprintf(&b, "%v ", err)
			if row.Number == 0 {
				b.WriteString("(the file)")
			}
		}
		fmt.Fprintf(&b, "%s\n", row.Doc)
	}
	return b.String()
}

func surveyed(t *testing.T, s *Settings, data []byte) string {
	t.Helper()
	v, err := s.Survey(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("rows %d, bad %d", v.Rows, v.Bad)
	if v.Missing != nil {
		out += fmt.Sprintf(", perhaps not whole: %v", v.Missing)
	}
	if v.Cut {
		out += ", cut"
	}
	if v.Refused != nil {
		out += ", refused"
	}
	return out + "\n"
}

// TestRead: every testdata/read/*.yaml is settings; the bytes of the file of the same name with the ending .in are read by them, and what
// comes of it stands in .golden. From any row on, the same comes as from the first; and so it does when the bytes come one at a time.
func TestRead(t *testing.T) {
	files, err := filepath.Glob("testdata/read/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatal(len(files), "cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			yaml, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".in")
			if err != nil {
				t.Fatal(err)
			}
			s := settingsOf(t, string(yaml))
			got := told(s, data, 0)
			connectortest.Golden(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(got+surveyed(t, s, data)))
			lines := strings.SplitAfter(got, "\n")
			for from := 1; from < len(lines) && !strings.Contains(got, "(the file)"); from++ {
				if again := told(s, data, from); again != strings.Join(lines[from:], "") {
					t.Errorf("from row %d on:\n%s", from, again)
				}
			}
			var slow strings.Builder
			for row, err := range s.Read(&trickle{data: data}, 0) {
				fmt.Fprintf(&slow, "%d %d %s %v\n", row.Number, row.Line, row.Doc, err)
			}
			var fast strings.Builder
			for row, err := range s.Read(bytes.NewReader(data), 0) {
				fmt.Fprintf(&fast, "%d %d %s %v\n", row.Number, row.Line, row.Doc, err)
			}
			if slow.String() != fast.String() {
				t.Errorf("byte by byte:\n%s", &slow)
			}
		})
	}
}

// trickle gives one byte at a time.
type trickle struct {
	data []byte
	r    io.Reader
}

func (t *trickle) Read(b []byte) (int, error) {
	if t.r == nil {
		t.r = iotest.OneByteReader(bytes.NewReader(t.data))
	}
	return t.r.Read(b)
}

func (t *trickle) Seek(int64, int) (int64, error) {
	t.r = nil
	return 0, nil
}

// TestReadingFails: what fails while bytes are read is no fault of the file, and no end of it.
func TestReadingFails(t *testing.T) {
	away := errors.New("the share is away")
	for _, yaml := range []string{"{}", "{format: jsonl}", "{group-by: [a]}", "{bad-rows: {at-most: 3}}", "{csv: {skip-after: 2}}", "{csv: {skip: 5}}"} {
		for _, text := range []string{"", "a,b", "a,b\n1,2\n", "a,b\n1,\"2\n", "{\"a\":1}\n{"} {
			s := settingsOf(t, yaml)
			var last error
			for _, err := range s.Read(&failing{text: text, err: away}, 0) {
				last = err
			}
			if !errors.Is(last, away) {
				t.Errorf("%s: %q ends with %v", yaml, text, last)
			}
		}
	}
}

type failing struct {
	text string
	err  error
	r    io.Reader
}

func (f *failing) Read(b []byte) (int, error) {
	if f.r == nil {
		f.r = io.MultiReader(strings.NewReader(f.text), iotest.ErrReader(f.err))
	}
	return f.r.Read(b)
}

func (f *failing) Seek(int64, int) (int64, error) { f.r = nil; return 0, nil }

// TestSettings: what cannot be meant is a problem, with its place.
func TestSettings(t *testing.T) {
	for yaml, want := range map[string]string{
		"{bad-rows: {at-most: many}}":                                      `1:22: at-most: "many" is neither`,
		"{bad-rows: {at-most: 120%}}":                                      `at-most: "120%" is neither`,
		"{bad-rows: {at-most: -1}}":                                        `at-most: "-1" is neither`,
		"{lines: {name: x}}":                                               "1:2: lines: group-by does not say",
		"{group-by: [a, a]}":                                               `1:16: group-by: "a" stands twice`,
		"{group-by: [a], lines: {columns: [a]}}":                           `group-by: "a" is a column of the lines`,
		"{group-by: [lines]}":                                              "the list needs a name of its own",
		"{group-by: [a], lines: {at-most: 0}}":                             "at-most: it must be above 0",
		"{group-by: [b], csv: {header: false, columns: {a: text}}}":        `group-by: there is no column "b"`,
		"{csv: {by: position}}":                                            "by: the columns must be listed",
		"{csv: {skip: -1}}":                                                "skip and skip-after are numbers",
		"{csv: {skip-after: 100000}}":                                      "at most 1000",
		"{csv: {skip: 1, header-contains: x}}":                             "header-contains: it looks for a header",
		"{csv: {footer: \"[\"}}":                                           "footer: ",
		"{csv: {footer-required: true}}":                                   "footer says nothing of the row",
		"{csv: {numbers: {decimal: x}}}":                                   `1:27: decimal: "x" is no mark`,
		"{csv: {numbers: {group: dot}}}":                                   "numbers: the mark of groups is the mark of decimals",
		"{csv: {numbers: {decimal: comma, group: comma}}}":                 "numbers: the mark of groups is the mark of decimals",
		"{csv: {formulas: escape}}":                                        "formulas: ",
		"{rows: {operation-column: op, delete: update}}":                   "rows: a deletion and the other operations need different words",
		"{rows: {operation-column: op, event-column: op}}":                 "event-column: it is the operation's",
		"{empty: ignored}":                                                 "empty: ",
		"{format: jsonl, group-by: [a], csv: {columns: {b: text}}}":        "",
		"{csv: {numbers: {decimal: \",\", group: dot}, skip-after: 1000}}": "",
	} {
		_, err := readSettings(yaml)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", yaml, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}
