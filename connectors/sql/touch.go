package sql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// A touched version is always greater than the one before it: a version that stands still, because two writes fall into one tick of the clock, or
// because the stored one is ahead of it, would let a write pass that read the state before. So it is the database's time or, where that is not
// later, the stored version and one unit of what the column shows: a column of seconds cannot hold the millisecond after.

// touched gives the next version of the row for which a condition holds, as an expression; prefix qualifies the row's columns in it.
func (c *change) touched(ctx context.Context, tx *sql.Tx, st *statement, prefix string, where func(st *statement) string) (string, error) {
	typ := c.o.Columns[c.o.Version]
	before := c.o.versionAs(func(column string) string { return prefix + quote(column) })
	if typ == "integer" {
		return "COALESCE(" + before + ", 0) + 1", nil
	}
	now := c.db.now(typ)
	if expr, ok := c.db.dialect.next(c.o, before, now, typ); ok {
		return expr, nil
	}
	// Texts are compared as texts, so that the next one must have the form of the last, which no function of the database knows.
	look := c.db.statement("SELECT " + c.db.dialect.text(c.o.versionAs(quote)) + ", " + c.db.dialect.text(now) + " FROM " + c.o.table)
	look.WriteString(" WHERE " + where(look))
	return c.textVersion(ctx, tx, st, look, now)
}

// nextVersion gives the next version of the row that the change is about.
func (c *change) nextVersion(ctx context.Context, tx *sql.Tx, st *statement) (string, error) {
	id, err := c.db.idValues(c.o, c.w.Local, c.db.bindText)
	if err != nil || c.w.Local == "" {
		return "", c.gone()
	}
	return c.touched(ctx, tx, st, "", func(look *statement) string { return look.keyIs(c.o, c.o.Key, quote, id) })
}

// first gives the version of a new row. Texts take the form of the rows that are there.
func (c *change) first(ctx context.Context, tx *sql.Tx, st *statement) (string, error) {
	typ := c.o.Columns[c.o.Version]
	if typ == "integer" {
		return "1", nil
	}
	now := c.db.now(typ)
	if !c.db.dialect.textTimes() || typ != "timestamp" && typ != "local-timestamp" {
		return now, nil
	}
	look := c.db.statement("SELECT " + c.db.dialect.text(quote(c.o.Version)) + ", " + c.db.dialect.text(now) + " FROM " + c.o.table)
	look.WriteString(" WHERE " + quote(c.o.Version) + " IS NOT NULL" + c.db.dialect.limit("1", false))
	return c.textVersion(ctx, tx, st, look, now)
}

// textVersion gives the version after the one that look finds: for a new row the form alone is taken from it.
func (c *change) textVersion(ctx context.Context, tx *sql.Tx, st, look *statement, now string) (string, error) {
	var before, clock sql.NullString
	err := tx.QueryRowContext(ctx, look.String(), look.args...).Scan(&before, &clock)
	if errors.Is(err, sql.ErrNoRows) {
		return now, nil // there is no such row, which the write itself finds out
	}
	if err != nil {
		return "", err
	}
	next, ok := "", false
	if c.w.Action == connector.Create && !c.o.Upsert {
		next, ok = inForm(before.String, clock.String)
	} else if next, ok = after(before.String, clock.String); ok && next == "" {
		return "", c.invalid("the version %s of the row is the last one that its form can hold: set it to when the row was changed last", short(before.String))
	}
	if !ok {
		return now, nil
	}
	return st.arg(next), nil
}

// after gives the later of the clock's reading and the text one unit after before, in the form of before; ok is false where either is no time, and
// the text is empty where the form ends. Readings without a zone are compared as readings.
func after(before, clock string) (next string, ok bool) {
	old, layout, ok := parseStamp(before, time.UTC)
	now, form, isTime := parseStamp(clock, time.UTC)
	if !ok || !isTime || connector.Zoneless(form) && !connector.Zoneless(layout) {
		return "", false
	}
	at := now.In(old.Location())
	if text := at.Format(layout); text > before && later(text, old) {
		return text, true
	}
	at = old.Add(unitOf(layout))
	if at.Year() > 9999 {
		return "", true
	}
	return at.Format(layout), true
}

func later(text string, than time.Time) bool {
	t, _, ok := parseStamp(text, time.UTC)
	return ok && t.After(than)
}

// inForm gives a clock's reading in the form of another text.
func inForm(form, clock string) (text string, ok bool) {
	like, layout, ok := parseStamp(form, time.UTC)
	now, own, isTime := parseStamp(clock, time.UTC)
	if !ok || !isTime || connector.Zoneless(own) && !connector.Zoneless(layout) {
		return "", false
	}
	return now.In(like.Location()).Format(layout), true
}

// unitOf gives the smallest step that a layout shows.
func unitOf(layout string) time.Duration {
	if _, fraction, ok := strings.Cut(layout, "."); ok {
		unit := time.Second
		for range len(fraction) - len(strings.TrimLeft(fraction, "0")) {
			unit = max(unit/10, 1)
		}
		return unit
	}
	switch {
	case strings.Contains(layout, ":05"):
		return time.Second
	case strings.Contains(layout, ":04"):
		return time.Minute
	}
	return 24 * time.Hour
}

// next gives the next version of a number; SQLite's other times are texts.
func (sqlite) next(_ *object, before, now, typ string) (string, bool) {
	if typ != "unix" && typ != "unix-ms" {
		return "", false
	}
	return "max(" + now + ", COALESCE(" + before + " + 1, " + now + "))", true
}

// next gives the next version. Of a column with fewer digits of the second than a microsecond has, only the digits that its value shows tell how
// fine it is, so that what is added is one of the last digit that is not 0: a second where there is none.
func (postgres) next(_ *object, before, now, typ string) (string, bool) {
	if typ == "unix" || typ == "unix-ms" {
		return "greatest(" + now + ", " + before + " + 1)", true
	}
	cast := "::timestamptz"
	if typ == "local-timestamp" {
		cast = "::timestamp"
	}
	b := "(" + before + ")" + cast
	digits := "(extract(microseconds from " + b + ")::bigint"
	unit := "CASE WHEN pg_typeof(" + before + ")::text = 'date' THEN interval '1 day'"
	for us := 1_000_000; us > 1; us /= 10 {
		n := strconv.Itoa(us)
		unit += " WHEN " + digits + " % " + n + ") = 0 THEN interval '" + n + " microseconds'"
	}
	unit += " ELSE interval '1 microsecond' END"
	return "CASE WHEN isfinite(" + b + ") THEN greatest(" + now + ", " + b + " + " + unit + ") ELSE " + now + " END", true
}
