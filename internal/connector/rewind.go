package connector

import (
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// RewindStart is the place of a rewind from which everything is read again.
const RewindStart = "start"

// Rewinder is implemented by pollers that can go back to a time or a version.
type Rewinder interface {
	Poller
	// RewindTo gives the cursor from which polls of object read again everything that changed at `to` or later, less the overlap. cursor is the
	// present one. `to` is a time in RFC 3339 with its zone, or a version as the system writes it; never RewindStart, which is the empty cursor. It makes
	// no call. An error is a *fault.Error of kind Invalid that says what may be given.
	RewindTo(object, cursor, to string) (string, error)
}

// RewindWindow gives the cursor of a Window that reads again from a version on, less the overlap; write turns `to` into a version, given the newest
// that was read. A place that was not read yet is refused: to go there would leave out what lies between.
func RewindWindow(cursor string, write func(newest string) (version string, err error)) (string, error) {
	w, err := ReadWindow(cursor, 0, func(version string, _ time.Duration) string { return version })
	if err != nil {
		return "", err
	}
	newest := w.w.Since
	if newest == "" {
		return "", fault.New(fault.Invalid, "the first read of everything is not over, so there is nothing to go back from: %q begins it again", RewindStart)
	}
	version, err := write(newest)
	if err != nil {
		return "", err
	}
	if event.CompareVersions(version, newest) > 0 {
		return "", fault.New(fault.Invalid, "%s is behind what was read last (%s): to go there would leave out what lies between", version, newest)
	}
	again := &Window{back: w.back, limit: MaxSeen}
	again.w.V, again.w.Since = w.w.V, version
	again.w.Began, again.w.Reached = w.w.Began, w.w.Reached // hours that came twice long ago are over
	return again.String(), nil
}

// RewindTime reads a time that a person gives: RFC 3339, with its zone. like tells whether the text looks like a time at all.
func RewindTime(to string) (t time.Time, like bool, err error) {
	t, err = time.Parse(time.RFC3339Nano, to)
	if err == nil {
		return t, true, nil
	}
	if len(to) < 10 {
		return t, false, nil
	}
	if _, bad := time.Parse(time.DateOnly, to[:10]); bad != nil {
		return t, false, nil
	}
	return t, true, fault.New(fault.Invalid, "%s is no time with a zone: write for example %sT00:00:00Z or %sT00:00:00+08:00", shorten(to), to[:10], to[:10])
}
