package sql

import (
	"cmp"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// records are what an entry of the log says of the object: of a row whose id has changed, that the one is gone and the other there.
func (p *logPoll) records(e *entry) []connector.Record {
	p.compare(e.rel)
	name := fmt.Sprintf("%s/%X/%d", p.c.set.Slot, uint64(e.final), e.n)
	var out []connector.Record
	switch e.kind {
	case pglogrepl.MessageTypeTruncate:
		rec := connector.Record{Doc: []byte("{}")}
		rec.Err = p.c.db.fail(fault.Invalid, "read "+p.o.Table, "the table was emptied at %s (TRUNCATE), and the log names no rows: what was in it is deleted in no target. "+
			"A sweep (from.poll.deletes) finds what is gone; discard this message then", e.final)
		out = append(out, rec)
	case pglogrepl.MessageTypeInsert:
		out = append(out, p.upsert(e, nil))
	case pglogrepl.MessageTypeUpdate:
		var was *row
		if e.old != nil {
			was = p.row(e.rel, e.old, nil, e.whole)
		}
		rec := p.upsert(e, was)
		if was != nil && was.bad == nil && was.id != rec.Local {
			out = append(out, p.gone(e, was))
		}
		out = append(out, rec)
	case pglogrepl.MessageTypeDelete:
		out = append(out, p.gone(e, p.row(e.rel, e.old, nil, e.whole)))
	}
	for i := range out {
		out[i].Change = name
		if i > 0 {
			out[i].Change += "+"
		}
		out[i].Version = versionAt(p.life, e.final)
	}
	return out
}

// gone is the record of a row that is not there any more. Of a row of which the log has the key alone nothing else is told.
func (p *logPoll) gone(e *entry, was *row) connector.Record {
	rec := p.present(was)
	rec.Deleted = true
	return rec
}

// upsert is the record of a row that is there; was is what the log has of it before, where it has something.
func (p *logPoll) upsert(e *entry, was *row) connector.Record {
	r := p.row(e.rel, e.row, e, true)
	if was != nil && was.bad == nil && r.bad == nil && was.id != r.id {
		for i, lacks := range r.lacks {
			if name := p.o.columnNames[i]; lacks && e.rel.unsent(e.row, name) {
				r.bad = fmt.Errorf("its id has changed from %s, and column %s was not sent, because it is long and did not change: ALTER TABLE %s REPLICA IDENTITY FULL has it sent",
					short(was.id), name, p.o.table)
			}
		}
	}
	return p.present(r)
}

func (p *logPoll) present(r *row) connector.Record {
	return p.c.db.present(p.o, r, p.c.db.clock.Now())
}

// unsent: the column is the table's, and was not sent.
func (r *relation) unsent(t *pglogrepl.TupleData, name string) bool {
	i, ok := r.index[name]
	return ok && i < len(t.Columns) && t.Columns[i].DataType == pglogrepl.TupleDataTypeToast
}

// row makes a row of a tuple. What was not sent is taken out of before, where that has it, or lacks. whole: the tuple has more than the key.
func (p *logPoll) row(rel *relation, t *pglogrepl.TupleData, before *entry, whole bool) *row {
	o := p.o
	r := &row{values: make([]sql.NullString, len(o.columnNames))}
	if t == nil {
		r.bad = fmt.Errorf("the log does not say which row it was")
		r.lacks = make([]bool, len(o.columnNames))
		for i := range r.lacks {
			r.lacks[i] = true
		}
		return r
	}
	for i, name := range o.columnNames {
		v, sent := rel.value(t, name, whole)
		if !sent && before != nil && before.old != nil && rel.unsent(t, name) {
			v, sent = rel.value(before.old, name, before.whole)
		}
		if !sent {
			if r.lacks == nil {
				r.lacks = make([]bool, len(o.columnNames))
			}
			r.lacks[i] = true
			continue
		}
		r.values[i] = v
		switch name {
		case o.ID:
			r.id = v.String
		case o.Version:
			r.version = cmp.Or(v.String, r.version)
		case o.VersionElse:
			r.version = cmp.Or(r.version, v.String)
		}
	}
	i := indexOf(o.columnNames, o.ID)
	switch {
	case r.lacks != nil && r.lacks[i]:
		r.bad = fmt.Errorf("the log does not have its id, the column %s: the table's replica identity must hold it", o.ID)
	case !r.values[i].Valid:
		r.bad = fmt.Errorf("its id, the column %s, is null", o.ID)
	}
	return r
}

// value is a column's text as column::text gives it; sent is false where the tuple does not have it.
func (r *relation) value(t *pglogrepl.TupleData, name string, whole bool) (v sql.NullString, sent bool) {
	i, ok := r.index[name]
	if !ok || i >= len(t.Columns) || !whole && !r.columns[i].key {
		return v, false
	}
	switch col := t.Columns[i]; col.DataType {
	case pglogrepl.TupleDataTypeNull:
		return v, true
	case pglogrepl.TupleDataTypeText:
		return sql.NullString{String: r.columns[i].cast.text(string(col.Data)), Valid: true}, true
	}
	return v, false
}

// text is what the type's cast to text makes of the text in the log.
func (c textCast) text(s string) string {
	switch c {
	case castBool:
		return map[string]string{"t": "true", "f": "false"}[s]
	case castPadded:
		return strings.TrimRight(s, " ")
	case castInet:
		switch {
		case strings.Contains(s, "/"):
		case strings.Contains(s, ":"):
			return s + "/128"
		default:
			return s + "/32"
		}
	}
	return s
}

var builtIn = pgtype.NewMap()

// typeName is a type's name for people.
func typeName(t columnType) string {
	if known, ok := builtIn.TypeForOID(t.OID); ok {
		if t.Mod >= 0 {
			return known.Name + "(" + strconv.Itoa(int(t.Mod)) + ")"
		}
		return known.Name
	}
	return "type " + strconv.FormatUint(uint64(t.OID), 10)
}
