package connector

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
)

func TestUnlookable(t *testing.T) {
	no := errors.New("no")
	of := func(kind fault.Kind, code string) error { return &fault.Error{Kind: kind, Code: code, Err: no} }
	for _, tt := range []struct {
		err    error
		kind   fault.Kind
		change bool
	}{
		{nil, fault.None, false},
		{of(fault.Invalid, "403"), fault.Unavailable, true},
		{fmt.Errorf("page 2: %w", of(fault.Invalid, "403")), fault.Unavailable, true},
		{of(fault.Invalid, "400"), fault.Invalid, false},
		{of(fault.RateLimited, "403"), fault.RateLimited, false},
		{of(fault.Auth, "401"), fault.Auth, false},
	} {
		got := Unlookable(tt.err, "403")
		if fault.KindOf(got) != tt.kind || !errors.Is(got, tt.err) && !errors.Is(got, no) || tt.change != (got != nil && strings.Contains(got.Error(), "give it the right to read")) {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}
