package odata

import (
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

var _ connector.Rewinder = (*system)(nil)

// RewindTo turns a time into a version; a number is taken where the object goes by numbers.
func (s *system) RewindTo(name, cursor, to string) (string, error) {
	o, err := s.object(name)
	if err != nil {
		return "", err
	}
	cursor, err = o.rewindTo(cursor, to)
	if err != nil {
		return "", s.fail(fault.Invalid, "rewind "+name, "%s", err)
	}
	return cursor, nil
}

func (o *object) rewindTo(cursor, to string) (string, error) {
	switch {
	case o.Changes == "delta":
		return "", fault.New(fault.Invalid, "the service keeps the place of delta links, so there is no place to go back to but start")
	case o.Changed == "":
		return "", fault.New(fault.Invalid, "every poll reads the whole list, so there is no place to go back to but start")
	}
	at, isTime, err := connector.RewindTime(to)
	if err != nil {
		return "", err
	}
	return connector.RewindWindow(cursor, func(newest string) (string, error) {
		_, counted := stamp(newest)
		switch _, kind := stamp(to); {
		case isTime && counted == connector.NumberStamp:
			return "", fault.New(fault.Invalid, "the object goes by numbers, and a time is none: give a number (%s was read last), or start", newest)
		case isTime:
			return at.UTC().Format(time.RFC3339Nano), nil
		case kind == connector.NumberStamp && counted == connector.NumberStamp:
			return to, nil
		}
		return "", fault.New(fault.Invalid, "%q is no version: write for example 2026-11-01T00:00:00Z, or start", httpclient.Shorten(to, 60))
	})
}
