package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"
)

// written gives a workbook of one sheet with these rows, read back.
func written(t testing.TB, rows ...[]Cell) *excelize.File {
	t.Helper()
	w, err := NewWorkbook()
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Sheet("One", []float64{10, 20}, "name", "value")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := s.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Sheet("Two", nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := w.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestWorkbook: codes stay texts, decimals are numbers that show all their places, and are texts where a float would lose one.
func TestWorkbook(t *testing.T) {
	cells := []struct {
		cell        Cell
		raw, shown  string
		text, plain bool // of a text's type; without a formula
	}{
		{Cell{Text: "0012"}, "0012", "0012", true, true},
		{Cell{Text: "1E5"}, "1E5", "1E5", true, true},
		{Cell{Text: "2026-01-02"}, "2026-01-02", "2026-01-02", true, true},
		{Cell{Text: "=1+1"}, "=1+1", "=1+1", true, true},
		{Cell{Text: "_x0041_"}, "_x0041_", "_x0041_", true, true},
		{Cell{Text: " a <&> \"b\"\n客户 😀 "}, " a <&> \"b\"\n客户 😀 ", " a <&> \"b\"\n客户 😀 ", true, true},
		{Cell{Number: "1.10"}, "1.1", "1.10", false, true},
		{Cell{Number: "-5"}, "-5", "-5", false, true},
		{Cell{Number: "0.000001"}, "0.000001", "0.000001", false, true},
		{Cell{Number: "123456789012345"}, "123456789012345", "123456789012345", false, true},
		{Cell{Number: "1234567890123456"}, "1234567890123456", "1234567890123456", true, true},
		{Cell{Number: "12345678901234567890.10"}, "12345678901234567890.10", "12345678901234567890.10", true, true},
		{Cell{Number: "1E400"}, "1E400", "1E400", true, true},
		{Cell{Number: "1.5e3"}, "1.5e3", "1.5e3", true, true},
		{Cell{}, "", "", false, true},
	}
	rows := make([][]Cell, len(cells))
	for i, c := range cells {
		rows[i] = []Cell{{Text: "n", Bold: true}, c.cell}
	}
	f := written(t, rows...)
	if got := strings.Join(f.GetSheetList(), ","); got != "One,Two" {
		t.Errorf("sheets %s", got)
	}
	for i, c := range cells {
		ref, err := excelize.CoordinatesToCellName(2, i+2)
		if err != nil {
			t.Fatal(err)
		}
		raw, err1 := f.GetCellValue("One", ref, excelize.Options{RawCellValue: true})
		shown, err2 := f.GetCellValue("One", ref)
		typ, err3 := f.GetCellType("One", ref)
		formula, err4 := f.GetCellFormula("One", ref)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		text := typ == excelize.CellTypeInlineString || typ == excelize.CellTypeSharedString
		if raw != c.raw || shown != c.shown || text != c.text || formula != "" {
			t.Errorf("%+v: raw %q, shown %q, text %v, formula %q", c.cell, raw, shown, text, formula)
		}
	}
	if head, err := f.GetCellValue("One", "B1"); err != nil || head != "value" {
		t.Errorf("head %q, %v", head, err)
	}
}

// TestLongCell: a text that no cell holds is cut and says so; nothing is lost silently.
func TestLongCell(t *testing.T) {
	for _, text := range []string{strings.Repeat("a", mostCell), strings.Repeat("a", mostCell+1), strings.Repeat("客", mostCell), strings.Repeat("客", mostCell+1), strings.Repeat("😀", mostCell/2), strings.Repeat("😀", mostCell/2+1)} {
		units := len(utf16.Encode([]rune(text)))
		got := cutCell(text)
		switch now := len(utf16.Encode([]rune(got))); {
		case units <= mostCell && got != text:
			t.Errorf("%d units were cut", units)
		case units > mostCell && (now > mostCell || now < mostCell-50 || !strings.Contains(got, "… (cut; ")):
			t.Errorf("%d units became %d: …%s", units, now, got[len(got)-40:])
		}
	}
	f := written(t, []Cell{{Text: strings.Repeat("😀", mostCell)}})
	if got, err := f.GetCellValue("One", "A2"); err != nil || !strings.HasSuffix(got, "😀… (cut; 32767 characters in all)") {
		t.Errorf("…%s %v", got[max(0, len(got)-40):], err)
	}
}

func TestWorkbookIsFull(t *testing.T) {
	w, err := NewWorkbook()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := w.Sheet("One", nil, "n")
	if err != nil {
		t.Fatal(err)
	}
	s.rows = MostRows
	if err := s.Row([]Cell{{Text: "the last"}}); err != nil {
		t.Error(err)
	}
	if err := s.Row([]Cell{{Text: "one more"}}); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
}

// TestTable: any reader of CSV gets the fields back, but for the apostrophe before what a spreadsheet would compute.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching(`[-=+@,"' \n\t0-9.aé客]{0,8}`), 3, 3), 1, 5).Draw(t, "rows")
		var b bytes.Buffer
		w, err := NewTable(&b, "a", "b", "c")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := w.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		text, ok := strings.CutPrefix(b.String(), "\uFEFFa,b,c\r\n")
		if !ok {
			t.Fatalf("it begins %q", b.String())
		}
		got, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(got) != len(rows) {
			t.Fatalf("%q: %v", text, err)
		}
		for i := range rows {
			for j := range rows[i] {
				if got[i][j] != Harmless(rows[i][j]) {
					t.Fatalf("%q became %q", rows[i][j], got[i][j])
				}
			}
		}
	})
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", "=1+1": "'=1+1", "+49 30 1": "'+49 30 1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "＝1": "'＝1", "-1": "-1", "-1.50": "-1.50",
		"-1+cmd": "'-1+cmd", "-": "'-", "-1.": "'-1.", "-1.5.2": "'-1.5.2", "0012": "0012", "a=b": "a=b", "'x": "'x", "--1": "'--1"} {
		if got := Harmless(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
