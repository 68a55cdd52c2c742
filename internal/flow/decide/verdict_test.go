package decide

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

var errStopping = errors.New("stopping")

// An expression that fails because the hub stops gives no fate.
func TestStopIsNoFailureOfTheMessage(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopping)
	if v, err := refusedBy(ctx, "key", context.Canceled); v != nil || !errors.Is(err, errStopping) {
		t.Errorf("an expression that was cut off is %+v (%v)", v, err)
	}
	if v, err := refusedBy(t.Context(), "key", errors.New("no such field")); err != nil || v == nil || v.Reason != "no such field" {
		t.Errorf("one that failed is %+v (%v)", v, err)
	}
}

// The code of a cause may hold what stands in the document, and stands in an index: it is short, and equal ones stay equal.
func TestCodesAreBounded(t *testing.T) {
	unknown := func(code string) *Verdict {
		return Refuse("mapping", &mapping.UnknownCode{Map: "units", System: "erp", Direction: "to", Code: code})
	}
	if v := unknown("PCE"); v.Code != "to:units/erp/PCE" {
		t.Errorf("a code is %s", v.Code)
	}
	long := strings.Repeat("ä", 10_000)
	one, two := unknown(long), unknown(long+"x")
	if len(one.Code) > mostCode+20 || !strings.HasPrefix(one.Code, "to:units/erp/äää") || one.Code == two.Code || one.Code != unknown(long).Code || strings.ToValidUTF8(one.Code, "") != one.Code {
		t.Errorf("codes %s\nand %s", one.Code, two.Code)
	}
	if got := bounded(strings.Repeat("\x80", mostCode+1)); !strings.HasPrefix(got, "…") {
		t.Errorf("a code that is no text is %q", got)
	}
}

// What waits for an object waits under its id: nothing waits under one that no index takes.
func TestNothingWaitsForALongID(t *testing.T) {
	for _, id := range []string{strings.Repeat("x", 1025), "a\x00b"} {
		for _, miss := range []*mapping.MissingRef{{Entity: "customer", System: "crm", Local: id}, {Entity: "customer", System: "erp", Hub: id}} {
			v := Refuse("mapping", miss)
			if v.Outcome != state.Parked || v.Code != "xref" || !strings.Contains(v.Reason, "the id of the customer that is looked for cannot be taken") {
				t.Errorf("%s", said(v))
			}
		}
	}
	if v := Refuse("mapping", &mapping.MissingRef{Entity: "customer", System: "crm", Local: strings.Repeat("x", 1024)}); v.Outcome != state.Waiting {
		t.Errorf("%s", said(v))
	}
}
