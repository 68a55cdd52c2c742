package sql

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	sqlitedriver "modernc.org/sqlite"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/zones"
)

// sqliteReader makes plain values of what SQLite holds, which may be anything in any column: as documents do, so that what they call the same is the
// same here.
type sqliteReader struct {
	db      *database // of the zone alone
	salt    int64
	keys    int
	columns []sqliteValue
}

type sqliteValue struct {
	name     string
	declared string
	form     connector.PlainForm
}

func newSQLiteReader(zone *time.Location, salt int64, keys int) *sqliteReader {
	return &sqliteReader{db: &database{zone: zone}, salt: salt, keys: keys}
}

// row takes a row; its error names the first column whose value cannot be given.
func (r *sqliteReader) row(v []driver.Value) (out sqliteRow) {
	out.values = make([][]byte, len(v))
	for i := range r.columns {
		if v[i] == nil {
			continue
		}
		b, err := r.append([]byte{}, i, v[i])
		if err == nil {
			out.values[i] = b
		} else if out.err == nil {
			out.err = fmt.Errorf("column %s: %w", r.columns[i].name, err)
		}
	}
	return out
}

// key gives a key; nil where it cannot be given.
func (r *sqliteReader) key(v []driver.Value) [][]byte {
	out := make([][]byte, r.keys)
	for i := range out {
		if v[i] == nil {
			return nil
		}
		b, err := r.append([]byte{}, i, v[i])
		if err != nil {
			return nil
		}
		out[i] = b
	}
	return out
}

var (
	errBytes  = errors.New("holds bytes that are no text")
	errNumber = errors.New("is no number")
)

// append appends a value of a column, which is not null, in its form.
func (r *sqliteReader) append(dst []byte, i int, v driver.Value) ([]byte, error) {
	c := &r.columns[i]
	if n, is := v.(int64); is && (c.form == connector.PlainInt || c.declared == "unix" && c.form == connector.PlainUnix || c.declared == "unix-ms" && c.form == connector.PlainUnixMilli) {
		return connector.AppendInt(dst, n), nil
	}
	text, err := textOf(v, i < r.keys)
	if err != nil {
		return dst, err
	}
	switch c.form {
	case connector.PlainInt, connector.PlainUnix, connector.PlainUnixMilli:
		n, err := strconv.ParseInt(text, 10, 64)
		return connector.AppendInt(dst, n), err
	case connector.PlainNumber:
		d, err := jsondoc.ParseDecimal(text)
		if err != nil {
			return dst, err
		}
		dst, ok := connector.AppendNumber(dst, d.String())
		if !ok {
			return dst, errNumber
		}
		return dst, nil
	case connector.PlainBool:
		b, err := parseBool(text)
		if b {
			return append(dst, 1), err
		}
		return append(dst, 0), err
	case connector.PlainInstant:
		t, err := r.db.timeOf(c.declared, text)
		return connector.AppendInstant(dst, t), err
	}
	if c.declared == "date" {
		if text, err = dateOf(text); err != nil {
			return dst, err
		}
	}
	if !utf8.ValidString(text) {
		return dst, errBytes
	}
	return append(dst, text...), nil
}

// textOf is the value as the database casts it to text. Bytes are no key: they come after all texts.
func textOf(v driver.Value, key bool) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case []byte:
		if !key {
			return string(v), nil
		}
		return "", errBytes
	case bool, time.Time: // what the driver makes of columns of such types
		return "", fmt.Errorf("is a %T", v)
	}
	return fmt.Sprint(v), nil // a number, with all its digits
}

func intOf(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// digestFunction is the hub's own function in its connections to SQLite, which has no hash: the digest of rows, whatever their order.
const digestFunction = "waybill_digest"

var addDigestFunction = sync.OnceValue(func() error {
	return sqlitedriver.RegisterFunction(digestFunction, &sqlitedriver.FunctionImpl{
		NArgs:         -1,
		Deterministic: true,
		VolatileArgs:  true, // a row is hashed during the call, and nothing of it kept
		MakeAggregate: func(sqlitedriver.FunctionContext) (sqlitedriver.AggregateFunction, error) {
			return &sqliteDigest{}, nil
		},
	})
})

// plan writes what a reader does as the first argument of the digest function: salt, number of keys, zone, and each column's type and form.
func (r *sqliteReader) plan() string {
	out := []string{strconv.FormatInt(r.salt, 10), strconv.Itoa(r.keys), r.db.zone.String()}
	for _, c := range r.columns {
		out = append(out, c.declared+"="+string(c.form))
	}
	return strings.ReplaceAll(strings.Join(out, ";"), "'", "''")
}

func readPlan(s string) (*sqliteReader, error) {
	parts := strings.Split(s, ";")
	if len(parts) < 3 {
		return nil, fmt.Errorf("%q says nothing of columns", s)
	}
	salt, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return nil, err
	}
	keys, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil, err
	}
	zone, err := zones.Load(parts[2])
	if err != nil {
		return nil, err
	}
	r := newSQLiteReader(zone, salt, keys)
	for _, c := range parts[3:] {
		declared, form, _ := strings.Cut(c, "=")
		r.columns = append(r.columns, sqliteValue{declared: declared, form: connector.PlainForm(form)})
	}
	return r, nil
}

// sqliteDigest adds up 128 bits of the hash of each row.
type sqliteDigest struct {
	read       *sqliteReader
	count, odd int64
	high, low  uint64
	row        []byte
	value      []byte
}

// Step takes a row: each value with its form's letter, its length, and its bytes; null has a letter of its own.
func (d *sqliteDigest) Step(_ *sqlitedriver.FunctionContext, args []driver.Value) error {
	if d.read == nil {
		plan, ok := args[0].(string)
		if !ok {
			return errors.New("the first argument is no plan")
		}
		var err error
		if d.read, err = readPlan(strings.Clone(plan)); err != nil {
			return err
		}
	}
	d.count++
	d.row = connector.AppendInt(d.row[:0], d.read.salt)
	for i, v := range args[1:] {
		if v == nil {
			d.row = append(d.row, '0')
			continue
		}
		var err error
		if d.value, err = d.read.append(d.value[:0], i, v); err != nil {
			d.odd++
			return nil
		}
		d.row = binary.AppendUvarint(append(d.row, d.read.columns[i].form[0]), uint64(len(d.value)))
		d.row = append(d.row, d.value...)
	}
	sum := sha256.Sum256(d.row)
	d.high += binary.BigEndian.Uint64(sum[:])
	d.low += binary.BigEndian.Uint64(sum[8:])
	return nil
}

// WindowInverse is not needed: nobody asks for windows.
func (d *sqliteDigest) WindowInverse(*sqlitedriver.FunctionContext, []driver.Value) error {
	return errors.New("the function is no window function")
}

// WindowValue is the digest: count, odd ones, hash.
func (d *sqliteDigest) WindowValue(*sqlitedriver.FunctionContext) (driver.Value, error) {
	return fmt.Sprintf("%d %d %016x%016x", d.count, d.odd, d.high, d.low), nil
}

// Final ends it.
func (d *sqliteDigest) Final(*sqlitedriver.FunctionContext) {}

func readDigest(v driver.Value) (d connector.Digest, err error) {
	text, ok := v.(string)
	if !ok {
		return d, fmt.Errorf("%s gives a %T", digestFunction, v)
	}
	_, err = fmt.Sscanf(text, "%d %d %s", &d.Count, &d.Odd, &d.Hash)
	return d, err
}
