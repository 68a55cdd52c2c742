package connector

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/fault"
)

// Unlookable is what a search means that the system refuses with code because the hub's user may not read such objects: fault.Unavailable. No message can
// be blamed for what the hub may not look for: it is tried again until the right is given, for the flow's retry.for at most. Every other failure is
// what it was.
func Unlookable(err error, code string) error {
	f, ok := fault.As(err)
	if !ok || f.Kind != fault.Invalid || f.Code != code {
		return err
	}
	g := *f
	g.Kind, g.Err = fault.Unavailable, fmt.Errorf("%w (the hub's user may not look for it: give it the right to read such objects)", f.Err)
	return &g
}
