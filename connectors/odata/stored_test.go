package odata

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

func TestDescribedByACopy(t *testing.T) {
	set := settingsOf(t, "connector: odata\nurl: http://s4.invalid\nobjects:\n  order: {metadata: v4.xml, set: Orders, changed: Created, items: {Items: {}}, expand: [\"Notes($top=1)\"]}\n  bare: {set: Orders}\n")
	set.Dir = "testdata/metadata"
	got := (Kind{}).Describe(set, "order")
	var lines []string
	var show func(at string, fields []connector.ObjectField)
	show = func(at string, fields []connector.ObjectField) {
		for _, f := range fields {
			lines = append(lines, fmt.Sprint(at, f.Name, " ", strings.Join(f.Gives, "|"), " ", strings.Join(f.Takes, "|")))
			show(at+f.Name+".", f.Fields)
		}
	}
	show("", got.Fields)
	want := []string{
		"Amount number number|string", "At string string", "Big integer integer|string", "Count integer integer|string", "Created string string", "Currency string string", "Day string string",
		"Foreign  ", "Free number number|string", "ID string string", "Items array array", "Items.Order string string", "Items.Pos integer integer|string", "Items.Quantity number number|string",
		"Notes array array", "Notes.No integer integer|string", "Notes.Text string string", "Open boolean boolean", "Rate number number|string", "Raw string string", "Ship object object",
		"Ships array array", "Ships.City string string", "Ships.Since string string", "Status string string", "Tags array array", "Took string string",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if got.More || !slices.Equal(got.Stamps, []string{"Created"}) {
		t.Errorf("%+v", got)
	}
	if got := (Kind{}).Describe(set, "bare"); got.Fields != nil {
		t.Errorf("without a copy: %+v", got.Fields)
	}
}
