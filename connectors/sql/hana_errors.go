package sql

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	hdb "github.com/SAP/go-hdb/driver"

	"github.com/waybill-hub/waybill/internal/fault"
)

// hanaKind maps the server's numbers (SQL Error Codes of the SQL reference).
func hanaKind(code int) fault.Kind {
	switch code {
	case 10, 332, 333, 414, 415, 416, 417, 591, 663: // log-in, user, password to be changed, expired, locked
		return fault.Auth
	case 4, 129, 131, 132, 133, 138, 139, 140, 142, 143, 144, 145, 146, 149, 151, // memory, rolled back: inside, lock, timeout, deadlock, serialization, cancelled
		427, 428, 429, 430, 431, 432, 485, 495, 596, 597, 598, 599, 613, 616, 653, 685, 1024, 1025, 1026, 1030, 1031, 1032, 1033: // connections, sessions, limits of time and memory
		return fault.Unavailable
	}
	if code < 0 {
		return fault.Unavailable // of the way to the server
	}
	return fault.Invalid
}

var (
	hanaColumnOf = regexp.MustCompile(`(?i)column (?:name )?"?([\p{L}\p{N}_$]+)"?`)
	hanaValues   = regexp.MustCompile(`(?s)(: | with )?(value|key)s?\s*[:=(\[].*$|'[^']*'`)
)

// hanaFault fills in a failure of the server's. What its text has between quotes may be what was sent: that is left out.
func (db *database) hanaFault(f *fault.Error, e hdb.Error, o *object, creating bool, err error) {
	f.Code, f.Kind = "HANA_"+strconv.Itoa(e.Code()), hanaKind(e.Code())
	if m := hanaColumnOf.FindStringSubmatch(e.Text()); m != nil {
		f.Field = m[1]
	}
	f.Err = errors.New(db.scrub.Text(hanaValues.ReplaceAllString(e.Text(), "…")))
	if e.Code() == 301 && creating && o != nil && onTable(err, o) && strings.Contains(strings.ToUpper(e.Text()), strings.ToUpper(lastPart(o.Table))) {
		f.Kind, f.Duplicate = fault.Conflict, true
	}
}

// hanaRolledBack: of these the server says at a commit that nothing was applied.
func hanaRolledBack(code int) bool { return slices.Contains([]int{129, 131, 132, 133, 138, 146}, code) }
