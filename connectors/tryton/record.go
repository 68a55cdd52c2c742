package tryton

import (
	"fmt"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// item is one object of an answer. One that is no acceptable JSON is null, and bad says what is wrong with it.
type item struct {
	jsondoc.Value
	id  int64
	bad *jsondoc.Broken
}

func (it *item) token() string { return it.Get("_timestamp").Str() }

// record makes a record of an object. One that cannot be read as it is holds why, and as much beside it as can be told.
func (s *system) record(b *bound, it *item, op string) connector.Record {
	if it.bad != nil {
		r := connector.Record{Local: jsondoc.Peek(it.bad.Raw, "id")}
		if doc, err := jsondoc.Parse(jsondoc.Repair(it.bad.Raw), jsondoc.Limits{Bytes: 2*len(it.bad.Raw) + 16}); err == nil {
			r = s.record(b, &item{Value: doc.Root(), id: it.id}, op)
		}
		r.Err = s.fail(fault.Invalid, op, "the object cannot be read: %s", it.bad.Err)
		return r
	}
	r := connector.Record{Local: strconv.FormatInt(it.id, 10), ETag: it.token()}
	if b.Removed == "inactive" && b.active {
		r.Deleted = it.Get("active").Kind() == jsondoc.Bool && !it.Get("active").Bool()
	}
	version, err := b.changed(it.Value)
	if !version.IsZero() && b.Changes == "stamp" {
		r.Version = version.Format(time.RFC3339Nano)
	}
	doc, bad := b.document(nil, it.Value)
	if err == nil {
		err = bad
	}
	if err != nil {
		r.Doc, r.Err = it.Raw(), s.refuse(op, err)
		return r
	}
	r.Doc = doc
	return r
}

// changed is the time of the object's last change, or of its items' where they count; zero where it has none.
func (b *bound) changed(v jsondoc.Value) (last time.Time, err error) {
	look := func(v jsondoc.Value) error {
		for _, name := range []string{"create_date", "write_date"} {
			w := v.Get(name)
			if !w.Exists() {
				continue
			}
			t, err := moment(w)
			if err != nil {
				return inside(name, err)
			}
			if t.After(last) {
				last = t
			}
		}
		return nil
	}
	if err := look(v); err != nil {
		return last, err
	}
	for _, name := range b.stamps {
		for i, e := range elements(v.Get(name + ".")) {
			if err := look(e); err != nil {
				return last, inside(fmt.Sprintf("%s.%d", name, i), err)
			}
		}
	}
	return last, nil
}

// document appends an object as a document.
func (b *bound) document(dst []byte, v jsondoc.Value) ([]byte, error) {
	dst, err := b.list.document(dst, v, b.external)
	if err != nil {
		return nil, err
	}
	for _, l := range b.items {
		dst = append(dst[:len(dst)-1], ',')
		dst = append(append(dst, quote(l.name)...), ":["...)
		for i, e := range elements(v.Get(l.name + ".")) {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = l.document(dst, e, nil); err != nil {
				return nil, inside(fmt.Sprintf("%s.%d", l.name, i), err)
			}
		}
		dst = append(dst, "]}"...)
	}
	return dst, nil
}

// document appends one record of the list.
func (l *list) document(dst []byte, v jsondoc.Value, external *field) ([]byte, error) {
	dst = append(dst, '{')
	fields := l.fields
	if external != nil {
		fields = append(fields[:len(fields):len(fields)], external)
	}
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, quote(f.name)...), ':')
		var err error
		if by := l.refer[f.name]; by != nil {
			dst, err = showReferred(dst, by, v.Get(f.name+"."))
		} else {
			dst, err = show(dst, f, v.Get(f.name))
		}
		if err != nil {
			return nil, inside(f.name, err)
		}
	}
	return append(dst, '}'), nil
}

// showReferred appends how documents name the record, or the records, that a field leads to.
func showReferred(dst []byte, by *field, v jsondoc.Value) ([]byte, error) {
	switch v.Kind() {
	case jsondoc.Missing, jsondoc.Null:
		return append(dst, "null"...), nil
	case jsondoc.Object:
		return show(dst, by, v.Get(by.name))
	}
	dst = append(dst, '[')
	var err error
	for i, e := range elements(v) {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = show(dst, by, e.Get(by.name)); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}
