package rest

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

var _ connector.Rewinder = (*system)(nil)

// RewindTo turns a time into a version of the object's format; a version as the service writes it is taken where it says an order.
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
	if o.Version == "" && o.List.ChangedSince.Parameter == "" {
		return "", fault.New(fault.Invalid, "every poll reads the whole list, so there is no place to go back to but start")
	}
	own := o.VersionFormat != "auto" && o.orders(to) // in the service's own format, whose zone the settings say
	at, isTime, err := connector.RewindTime(to)
	if err != nil && !own {
		return "", err
	}
	return connector.RewindWindow(cursor, func(newest string) (string, error) {
		counted := newest != "" && !isTimeText(newest)
		switch {
		case err == nil && isTime && counted && !o.counts():
			return "", fault.New(fault.Invalid, "the object goes by numbers, and a time is none: give a number (%s was read last), or start", newest)
		case err == nil && isTime:
			return o.written(at), nil
		case o.orders(to):
			return o.normal(to), nil
		}
		return "", fault.New(fault.Invalid, "%q is neither a time nor a version: write for example 2026-11-01T00:00:00Z, or start", httpclient.Shorten(to, 60))
	})
}

// isTimeText reports whether a normal version is a time, and no number.
func isTimeText(version string) bool {
	_, isTime, err := connector.RewindTime(version)
	return isTime && err == nil
}
