package compare

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func parse(t testing.TB, text string) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d.Root()
}

func TestTooManyGroups(t *testing.T) {
	s := NewSums([]Total{{By: []Group{{Path: "id"}}}})
	for i := range MaxGroups {
		if err := s.Add(parse(t, fmt.Sprintf(`{"id": "%d"}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add(parse(t, `{"id": "7"}`)); err != nil {
		t.Errorf("a group that is there: %v", err)
	}
	if err := s.Add(parse(t, `{"id": "one more"}`)); !errors.Is(err, ErrGroups) {
		t.Errorf("one group more: %v", err)
	}
}

func sums(t *testing.T, totals []Total, docs ...string) *Sums {
	t.Helper()
	s := NewSums(totals)
	for _, d := range docs {
		if err := s.Add(parse(t, d)); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
	}
	return s
}

func TestTotals(t *testing.T) {
	totals := []Total{
		{Sum: "open.amount", By: []Group{{Path: "currency"}, {Path: "issued", Unit: Month, Zone: zone(t, "Asia/Shanghai")}}, Within: bound("0.01", false)},
		{By: []Group{{Path: "issued", Unit: Day}}},
		{Sum: "open.amount"},
		{},
	}
	left := sums(t, totals,
		`{"currency": "EUR", "issued": "2026-01-31T17:00:00Z", "open": {"amount": 0.1}}`,
		`{"currency": "EUR", "issued": "2026-02-01", "open": {"amount": "0.2"}}`,
		`{"currency": "USD", "issued": "2026-01-31T15:59:59Z", "open": {"amount": 12345678901234567890.05}}`,
		`{"issued": null, "open": {}}`)
	right := sums(t, totals,
		`{"currency": "EUR", "issued": "2026-02-28T23:59:59+08:00", "open": {"amount": 0.31}}`,
		`{"currency": "USD", "issued": "2026-01-01", "open": {"amount": 12345678901234567890.04}}`,
		`{"currency": "JPY", "issued": "2026-01-01", "open": {"amount": 0.02}}`,
		`{"currency": "CHF", "issued": "2026-01-01", "open": {"amount": -0}}`)
	var got []string
	for _, l := range CompareTotals(left, right) {
		got = append(got, fmt.Sprintf("%s %q: %s, %s", l.Total, l.Group, l.Left, l.Right))
	}
	want := []string{
		`sum of open.amount by currency, month of issued ["JPY" "2026-01"]: , 0.02`,
		`count by day of issued [""]: 1, `,
		`count by day of issued ["2026-01-01"]: , 3`,
		`count by day of issued ["2026-01-31"]: 2, `,
		`count by day of issued ["2026-02-01"]: 1, `,
		`count by day of issued ["2026-02-28"]: , 1`,
		`sum of open.amount []: 12345678901234567890.35, 12345678901234567890.37`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestUnreadableIsNotCounted: of a document of which one value cannot be read, nothing is counted, and the error says which.
func TestUnreadableIsNotCounted(t *testing.T) {
	totals := []Total{{}, {Sum: "n"}, {By: []Group{{Path: "at", Unit: Year}}}}
	s := sums(t, totals, `{"n": 1, "at": "2026-05-01"}`)
	for doc, want := range map[string]string{
		`{"n": "many"}`:                         `n: "many" is no amount`,
		`{"n": [1]}`:                            `n: [1] is no amount`,
		`{"n": 1, "at": "spring"}`:              `at: "spring" is no time`,
		`{"n": 1, "at": 2026}`:                  `at: 2026 is no time`,
		`{"n": true, "at": "2026-05-01T00:00"}`: `n: true is no amount`,
	} {
		if err := s.Add(parse(t, doc)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
	if lines := CompareTotals(s, sums(t, totals, `{"n": 1.00, "at": "2026-12-31T23:59Z"}`)); len(lines) > 0 {
		t.Errorf("%v", lines)
	}
}

// TestGroupsAreApart: values that read alike when joined are groups of their own, and long ones take little memory.
func TestGroupsAreApart(t *testing.T) {
	totals := []Total{{By: []Group{{Path: "a"}, {Path: "b"}}}}
	long := strings.Repeat("x", 5000)
	left := sums(t, totals, `{"a": "1:", "b": ""}`, `{"a": "`+long+`1"}`, `{"a": 1.0}`)
	right := sums(t, totals, `{"a": "1", "b": ":"}`, `{"a": "`+long+`2"}`, `{"a": 1}`)
	lines := CompareTotals(left, right)
	if len(lines) != 4 {
		t.Errorf("%v", lines)
	}
	for _, l := range lines {
		if len(l.Group[0]) > 300 {
			t.Errorf("a group of %d bytes", len(l.Group[0]))
		}
	}
}

// TestUnseenTotals: a field that one side alone has is no misspelt one.
func TestUnseenTotals(t *testing.T) {
	totals := []Total{{Sum: "n", By: []Group{{Path: "g.h"}, {Path: "m"}}}, {Sum: "n"}, {}}
	left, right := sums(t, totals, `{"n": null, "g": [{"h": 1}]}`), sums(t, totals, `{"g": {"x": 1}}`, `{"m": 1}`)
	if got := left.Unseen(right); !slices.Equal(got, []string{"g.h"}) {
		t.Errorf("%q", got)
	}
	if got := right.Unseen(left); !slices.Equal(got, []string{"g.h"}) {
		t.Errorf("%q", got)
	}
}
