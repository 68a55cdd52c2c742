package compare

import (
	"errors"
	"fmt"
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
