package rest

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// TestOrdering: only a list that is compared as a whole hides nothing.
func TestOrdering(t *testing.T) {
	s := settingsOf(t, `connector: rest
url: http://127.0.0.1:1
objects:
  whole: {}
  stamped: {version: updatedAt}
  asked: {list: {changed-since: {parameter: since}}}
`)
	for object, want := range map[string]connector.ChangeOrder{"whole": connector.ByContent, "stamped": connector.ByStamp, "asked": connector.ByStamp, "other": ""} {
		if got := (Kind{}).Ordering(s, object); got != (connector.Ordering{By: want}) {
			t.Errorf("%s: %+v, want %s", object, got, want)
		}
	}
}
