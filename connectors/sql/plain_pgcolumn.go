package sql

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
)

// OIDs of PostgreSQL's own types, which no version changes.
const (
	oidBool, oidInt8, oidInt2, oidInt4                  = 16, 20, 21, 23
	oidText, oidBpchar, oidVarchar, oidNumeric, oidUUID = 25, 1042, 1043, 1700, 2950
	oidFloat4, oidFloat8                                = 700, 701
	oidDate, oidTimestamp, oidTimestamptz               = 1082, 1114, 1184
	collationC                                          = 950
)

// postgresTypes are the types in which keys are sent: each with its name and the OID of its arrays.
var postgresTypes = map[uint32]struct {
	name  string
	array uint32
}{
	oidBool: {"boolean", 1000}, oidInt8: {"bigint", 1016}, oidText: {"text", 1009}, oidBpchar: {"bpchar", 1014}, oidNumeric: {"numeric", 1231}, oidUUID: {"uuid", 2951},
	oidDate: {"date", 1182}, oidTimestamp: {"timestamp", 1115}, oidTimestamptz: {"timestamptz", 1185},
}

func (c *postgresColumn) integer() bool {
	return c.oid == oidInt8 || c.oid == oidInt4 || c.oid == oidInt2
}
func (c *postgresColumn) float() bool    { return c.oid == oidFloat8 || c.oid == oidFloat4 }
func (c *postgresColumn) ownText() bool  { return c.oid == oidText || c.oid == oidVarchar }
func (c *postgresColumn) ref() string    { return of(c.name) }
func (c *postgresColumn) asText() string { return "(" + c.ref() + ")::text" }

func (s *postgresSession) forms(column string) (forms []connector.PlainForm, why string) {
	c := s.columns[column]
	if c == nil {
		return nil, "is not there"
	}
	switch c.declared {
	case "text":
		if c.oid == oidUUID {
			forms = append(forms, connector.PlainUUID)
		}
		forms = append(forms, connector.PlainText)
	case "integer", "decimal":
		if c.integer() {
			forms = append(forms, connector.PlainInt)
		}
		if c.integer() || c.float() || c.oid == oidNumeric {
			forms = append(forms, connector.PlainNumber)
		}
	case "unix", "unix-ms":
		if c.integer() {
			forms = append(forms, connector.PlainForm(c.declared))
		}
	default:
		forms = c.others(s.db.zone.String())
	}
	switch {
	case c.declared == "json":
		why = jsonNotPlain
	case len(forms) == 0:
		why = "is of another type in the database than the settings say"
	}
	return forms, why
}

func (c *postgresColumn) others(zone string) []connector.PlainForm {
	switch {
	case c.declared == "boolean" && c.oid == oidBool:
		return []connector.PlainForm{connector.PlainBool}
	case c.declared == "date" && c.oid == oidDate:
		return []connector.PlainForm{connector.PlainDate}
	case c.declared == "local-timestamp" && c.oid == oidTimestamp:
		return []connector.PlainForm{connector.PlainWall + ":" + connector.PlainForm(zone)}
	case c.oid == oidTimestamptz && (c.declared == "timestamp" || c.declared == "local-timestamp"), c.declared == "timestamp" && c.oid == oidTimestamp:
		return []connector.PlainForm{connector.PlainInstant}
	}
	return nil
}

// selected is the expression whose binary value is the form's.
func (c *postgresColumn) selected(f connector.PlainForm) string {
	switch f {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		if c.oid != oidInt8 {
			return c.ref() + "::bigint"
		}
	case connector.PlainNumber:
		switch {
		case c.integer():
			return c.ref() + "::numeric"
		case c.float(): // of its text, which has all its digits: a cast has 15 of them
			return c.asText() + "::numeric"
		}
	case connector.PlainText:
		if !c.ownText() {
			return c.asText()
		}
	}
	return c.ref()
}

// digested are texts that say the value, whatever stands beside them: the form's letter, then the value. Of null nothing follows, because concat
// leaves it out. Of a text its length follows, which an empty one has and null has not, and its content is to be hashed apart: it may hold anything,
// and a copy of it would cost more than its hash.
func (c *postgresColumn) digested(f connector.PlainForm) (parts []string, content string) {
	value := c.ref()
	switch f {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		return []string{"';i'", value}, ""
	case connector.PlainNumber:
		if !c.integer() {
			value = "trim_scale(" + c.selected(f) + ")"
		}
		return []string{"';d'", value}, ""
	case connector.PlainText:
		value = c.selected(f)
		return []string{"';t'", "octet_length(" + value + ")"}, "coalesce(" + value + ", '')"
	case connector.PlainUUID:
		return []string{"';u'", value}, ""
	case connector.PlainBool:
		return []string{"';b'", value}, ""
	case connector.PlainDate:
		return []string{"';y'", "encode(date_send(" + value + "), 'hex')"}, ""
	}
	if c.oid == oidTimestamptz {
		return []string{"';z'", "encode(timestamptz_send(" + value + "), 'hex')"}, ""
	}
	return []string{"';z'", "encode(timestamp_send(" + value + "), 'hex')"}, ""
}

// rowHash is the hash of a row: of what concat makes of the parts, with the hash of the texts' contents as its seed, whose seed is that of the text
// before, and the first one's the salt.
func rowHash(parts, contents []string, salt int64) string {
	seed := strconv.FormatInt(salt, 10)
	for _, text := range append(contents, concat(parts)) {
		seed = "hashtextextended(" + text + ` COLLATE "C", ` + seed + ")"
	}
	return seed
}

// concat joins texts; a function of PostgreSQL takes 100 arguments at most.
func concat(parts []string) string {
	const most = 90
	for len(parts) > most {
		var joined []string
		for from := 0; from < len(parts); from += most {
			joined = append(joined, "concat("+strings.Join(parts[from:min(from+most, len(parts))], ", ")+")")
		}
		parts = joined
	}
	return "concat(" + strings.Join(parts, ", ") + ")"
}

// postgresKey is a column of the key, as it is ordered and compared.
type postgresKey struct {
	*postgresColumn
	form   connector.PlainForm
	column string
	// expr orders; an index may serve it where it is native, in the collation where it has one.
	expr      string
	native    bool
	collation uint32
	// param is the type of its values as parameters.
	param uint32
}

func (c *postgresColumn) key(f connector.PlainForm) postgresKey {
	k := postgresKey{postgresColumn: c, form: f, column: c.ref(), expr: c.ref(), native: true, param: c.oid}
	switch f {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		k.param = oidInt8
	case connector.PlainNumber:
		k.param = oidNumeric
		if c.oid != oidNumeric {
			k.expr, k.native = "("+c.selected(f)+")", false
		}
	case connector.PlainText:
		k.inBytes()
	}
	return k
}

// inBytes orders texts by their bytes: in the column's own collation where that does, else in the one that does.
func (k *postgresKey) inBytes() {
	if k.oid != oidBpchar {
		k.param = oidText
	}
	if !k.ownText() && k.oid != oidBpchar {
		k.expr, k.native = "("+k.asText()+`) COLLATE "C"`, false
		return
	}
	if k.plain {
		k.collation = k.postgresColumn.collation
		return
	}
	k.expr, k.collation = k.ref()+` COLLATE "C"`, collationC
}

// bind gives a value of the key as a parameter: a number says how many of its digits are shown.
func (k *postgresKey) bind(v []byte) []byte {
	if k.form != connector.PlainNumber || len(v) < 8 {
		return v
	}
	v = append([]byte(nil), v...)
	digits, weight := int(binary.BigEndian.Uint16(v)), int(int16(binary.BigEndian.Uint16(v[2:])))
	binary.BigEndian.PutUint16(v[6:], uint16(max(0, (digits-weight-1)*4)))
	return v
}

// array is a one-dimensional array of values as the binary protocol has it.
func array(element uint32, values [][]byte) []byte {
	var b []byte
	for _, n := range []uint32{1, 0, element, uint32(len(values)), 1} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, v := range values {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

// names gives column names of a derived table: k1, k2, …
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}
