package connector

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func TestPlainForms(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC)
	uuid := []byte{0x01, 0x90, 0xb0, 0xc4, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0a}
	number := func(s string) []byte {
		b, ok := AppendNumber(nil, s)
		if !ok {
			t.Fatal(s)
		}
		return b
	}
	for _, test := range []struct {
		form  PlainForm
		value []byte
		json  string
	}{
		{PlainInt, AppendInt(nil, -7), "-7"},
		{PlainInt, nil, "null"},
		{PlainText, []byte{}, `""`},
		{PlainText, []byte("a \"b\" \u00e9"), `"a \"b\" é"`},
		{PlainBool, []byte{1}, "true"},
		{PlainNumber, number("-0012.3400"), "-12.34"},
		{PlainNumber, number("0.00001"), "0.00001"},
		{PlainNumber, number("-0.0"), "0"},
		{PlainNumber, number("100000000"), "100000000"},
		{PlainNumber, []byte{0, 0, 0, 0, 0xc0, 0, 0, 0}, `"NaN"`},
		{PlainNumber, []byte{0, 0, 0, 0, 0xd0, 0, 0, 0}, `"Infinity"`},
		{PlainNumber, []byte{0, 0, 0, 0, 0xf0, 0, 0, 0}, `"-Infinity"`},
		{PlainInstant, AppendInstant(nil, at), `"2026-01-02T03:04:05.000678Z"`},
		{PlainInstant, AppendInstant(nil, at.Add(9)), `"2026-01-02T03:04:05.000678009Z"`},
		{PlainInstant, AppendInstant(nil, time.Date(1850, 1, 1, 0, 0, 0, 999, time.UTC)), `"1850-01-01T00:00:00.000000999Z"`},
		{PlainInstant, append([]byte{0x7f}, bytes.Repeat([]byte{0xff}, 7)...), `"infinity"`},
		{PlainWall + ":Europe/Berlin", AppendInstant(nil, at), `"2026-01-02T03:04:05.000678"`},
		{PlainUnix, AppendInt(nil, 0), `"1970-01-01T00:00:00Z"`},
		{PlainUnixMilli, AppendInt(nil, 1), `"1970-01-01T00:00:00.001Z"`},
		{PlainDate, AppendDate(nil, at), `"2026-01-02"`},
		{PlainDate, AppendDate(nil, time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)), `"1999-12-31"`},
		{PlainDate, []byte{0x80, 0, 0, 0}, `"-infinity"`},
		{PlainUUID, uuid, `"0190b0c4-0000-7000-8000-00000000000a"`},
	} {
		if got := string(test.form.JSON(test.value)); got != test.json {
			t.Errorf("%s %x is shown as %s, not %s", test.form, test.value, got, test.json)
		}
	}
	for _, bad := range []string{"", ".", "-", "1e3", "+1", "1.2.3", "0x1", "NaN"} {
		if _, ok := AppendNumber(nil, bad); ok {
			t.Errorf("%q is taken for a number", bad)
		}
	}
}

// Numbers are in the order of their values, have the same bytes exactly where they are equal, and can be read back.
func TestPlainNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?[0-9]{0,12}[0-9](\.[0-9]{1,9})?`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, xok := AppendNumber(nil, a)
		y, yok := AppendNumber(nil, b)
		if !xok || !yok {
			t.Fatalf("%s or %s is no number", a, b)
		}
		da, aerr := jsondoc.ParseDecimal(PlainNumber.Text(x))
		db, berr := jsondoc.ParseDecimal(PlainNumber.Text(y))
		if aerr != nil || berr != nil {
			t.Fatal(aerr, berr)
		}
		if want, err := jsondoc.ParseDecimal(trimZeros(a)); err != nil || want.Cmp(da) != 0 {
			t.Fatalf("%s is read back as %s", a, da.String())
		}
		if got, want := PlainNumber.Compare(x, y), da.Cmp(db); got != want || (got == 0) != bytes.Equal(x, y) {
			t.Fatalf("%s and %s: %d, not %d", a, b, got, want)
		}
	})
}

// trimZeros takes the zeros before a number away: jsondoc reads no 007.
func trimZeros(s string) string {
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for len(s) > 1 && s[0] == '0' && s[1] != '.' {
		s = s[1:]
	}
	return sign + s
}

func TestPlainOrder(t *testing.T) {
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for form, values := range map[PlainForm][][]byte{
		PlainInt:     {AppendInt(nil, -9e18), AppendInt(nil, -1), AppendInt(nil, 0), AppendInt(nil, 1<<40)},
		PlainText:    {[]byte(""), []byte("Z"), []byte("a"), []byte("a\x00"), []byte("é")},
		PlainInstant: {AppendInstant(nil, day.AddDate(-100, 0, 0)), AppendInstant(nil, day), AppendInstant(nil, day.Add(1)), AppendInstant(nil, day.Add(1000))},
		PlainDate:    {AppendDate(nil, day.AddDate(-100, 0, 0)), AppendDate(nil, day), AppendDate(nil, day.AddDate(0, 0, 1))},
		PlainNumber: {{0, 0, 0, 0, 0xf0, 0, 0, 0}, {0, 1, 0, 0, 0x40, 0, 0, 0, 0, 2}, {0, 0, 0, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0, 0, 0, 0, 2}, {0, 0, 0, 0, 0xd0, 0, 0, 0},
			{0, 0, 0, 0, 0xc0, 0, 0, 0}},
	} {
		for i := range values {
			for j := range values {
				got := form.Compare(values[i], values[j])
				if got < 0 != (i < j) || got > 0 != (i > j) {
					t.Errorf("%s: %d and %d: %d", form, i, j, got)
				}
			}
		}
	}
}
