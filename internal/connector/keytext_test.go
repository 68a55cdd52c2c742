package connector

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyText(t *testing.T) {
	names := []string{"company", "order_no"}
	for _, tc := range []struct {
		values []string
		text   string
	}{
		{[]string{"10", "4711"}, "company='10',order_no='4711'"},
		{[]string{"O'Brien", "a,b=c"}, "company='O''Brien',order_no='a,b=c'"},
		{[]string{"',order_no='", ""}, "company=''',order_no=''',order_no=''"},
	} {
		if got := KeyText(names, tc.values); got != tc.text {
			t.Errorf("%q is written as %s, want %s", tc.values, got, tc.text)
		}
		if got, err := ReadKeyText(names, tc.text); err != nil || !slices.Equal(got, tc.values) {
			t.Errorf("%s is read as %q, %v", tc.text, got, err)
		}
	}
	for _, bad := range []string{
		"", "10", "company='10'", "order_no='4711',company='10'", "company='10',order_no='4711',", "company='10',order_no='4711' ", "company='10';order_no='4711'",
		"company='10' ,order_no='4711'", "company='10',,order_no='4711'", "company=10,order_no=4711", "company='10',order_no='47'11'", "company='10',order_no='4711", "COMPANY='10',order_no='4711'",
		"'10',order_no='4711'", ",company='10',order_no='4711'",
	} {
		if got, err := ReadKeyText(names, bad); err == nil {
			t.Errorf("%s is read as %q", bad, got)
		}
	}
}

// TestKeyTexts: every key comes back as it was, and no two have the same text.
func TestKeyTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOf(rapid.RuneFrom([]rune("ab'=, é中\\\"")))
		names := []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "parts")]
		values := make([]string, len(names))
		for i := range values {
			values[i] = part.Draw(t, names[i])
		}
		text := KeyText(names, values)
		if got, err := ReadKeyText(names, text); err != nil || !slices.Equal(got, values) {
			t.Fatalf("%q gives %s, and that %q, %v", values, text, got, err)
		}
	})
}
