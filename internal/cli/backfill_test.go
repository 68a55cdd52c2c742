package cli

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/api"
)

// TestBackfillText: how many there were at the beginning is told while it says something: what changes meanwhile is listed again, and what is new comes along.
func TestBackfillText(t *testing.T) {
	for _, c := range []struct {
		b    api.Backfill
		want string
	}{
		{api.Backfill{State: "running", Submitted: 500, Expect: 566, Rate: 4.01, LeftSeconds: 16}, "running, 500 of about 566 objects, 4.01/s, 16s left"},
		{api.Backfill{State: "running", Submitted: 1000, Expect: 566, Rate: 36.5}, "running, 1,000 objects, 36.5/s"},
		{api.Backfill{State: "done", Submitted: 1125, Expect: 566}, "done, 1,125 objects"},
		{api.Backfill{State: "done", Submitted: 566, Expect: 566, Again: true}, "done, 566 objects, also what is known to be there"},
		{api.Backfill{State: "cancelled", Submitted: 3, Expect: 566, Text: "at night"}, "cancelled, 3 of about 566 objects: at night"},
		{api.Backfill{State: "done", Submitted: 3}, "done, 3 objects"},
	} {
		if text := backfillText(&c.b); text != c.want {
			t.Errorf("%q, want %q", text, c.want)
		}
	}
}
