package intake

import (
	"fmt"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
)

// health is a system's record that remembers.
type health struct {
	ok, failed, refused int
	backs               int
}

func (h *health) Success(string)        { h.ok++ }
func (h *health) Failure(string, error) { h.failed++ }
func (h *health) Refused(error) bool    { h.refused++; return true }
func (h *health) Backs() int            { return h.backs }

// Only what the system does is held against it.
func TestWhoseFaultAReadIs(t *testing.T) {
	of := func(system string, kind fault.Kind) error {
		return &fault.Error{Kind: kind, System: system, Err: fmt.Errorf("no")}
	}
	for name, c := range map[string]struct {
		err  error
		want health
	}{
		"the system":             {of("shop", fault.Unavailable), health{failed: 1}},
		"the system, wrapped":    {fmt.Errorf("page 3: %w", of("shop", fault.RateLimited)), health{failed: 1}},
		"what it sends is wrong": {of("shop", fault.Invalid), health{failed: 1}},
		"its credentials":        {of("shop", fault.Auth), health{refused: 1}},
		"the hub's store":        {fmt.Errorf("read the cursor: disk full"), health{}},
		"another system":         {of("", fault.Unavailable), health{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := health{}
			s := Source{System: "shop", Flow: "f", Health: &got}
			if s.unread(c.err); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
