package sql

import (
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var _ connector.Rewinder = (*database)(nil)

// RewindTo turns a time into the form of the object's version column; numbers are taken as they are.
func (db *database) RewindTo(name, cursor, to string) (string, error) {
	o, err := db.object(name)
	if err != nil {
		return "", err
	}
	if o.Capture != nil {
		return "", db.fail(fault.Invalid, "rewind "+name, "a log that was read is not kept, so that nothing can be read again from a place in it: %q reads all rows that are there, and then their changes", connector.RewindStart)
	}
	at, like, err := connector.RewindTime(to)
	if err == nil {
		cursor, err = connector.RewindWindow(cursor, func(newest string) (string, error) { return db.rewound(o, newest, to, at, like) })
	}
	if err != nil {
		return "", db.fail(fault.Invalid, "rewind "+name, "%s", err)
	}
	return cursor, nil
}

// rewound gives the version of a time, or of a text that is none.
func (db *database) rewound(o *object, newest, to string, at time.Time, isTime bool) (string, error) {
	typ := o.Columns[o.Version]
	switch {
	case typ == "integer" && isTime:
		return "", fault.New(fault.Invalid, "the object goes by the numbers in %s, and a time is none: give a number (%s was read last), or start", o.Version, newest)
	case isTime:
		return db.versionAt(typ, newest, at)
	case typ == "integer" || typ == "unix" || typ == "unix-ms":
		if _, err := bindInteger(to); err != nil {
			return "", fault.New(fault.Invalid, "%s: give a number as it stands in %s (%s was read last), or start", err, o.Version, newest)
		}
		return to, nil
	}
	return "", fault.New(fault.Invalid, "%q is no time: write for example 2026-11-01T00:00:00Z, or start", short(to))
}

// versionAt writes a time as the version column does; the newest version that was read shows how.
func (db *database) versionAt(typ, newest string, at time.Time) (string, error) {
	switch typ {
	case "unix", "unix-ms":
		v := at.Unix()
		if typ == "unix-ms" {
			v = at.UnixMilli()
		}
		return strconv.FormatInt(v, 10), nil
	}
	like, layout, ok := parseStamp(newest, db.zone)
	if !ok {
		return "", fault.New(fault.Invalid, "the version that was read last, %q, is no time: only start can be gone back to", short(newest))
	}
	at = at.In(like.Location())
	if connector.Zoneless(layout) {
		at = connector.LowestReading(at.In(db.zone), db.zone, 0)
	}
	return at.Format(layout), nil
}
