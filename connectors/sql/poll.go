package sql

import (
	"context"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// pollPlace is the last row of a page: the next page begins behind it, whatever the number of rows with its version. Bare: all rows with a
// version have been read, and those without are next.
type pollPlace struct {
	Version string `json:"v,omitempty"`
	ID      string `json:"id,omitempty"`
	Bare    bool   `json:"bare,omitempty"`
}

// barePlace is the last row that was read of those without a version.
type barePlace struct {
	ID string `json:"id"`
}

// poll is one page's work.
type poll struct {
	db   *database
	o    *object
	op   string
	w    *connector.Window
	now  time.Time
	size int
	// from and inclusive are the round's beginning; at is the place within it, where there is one.
	from      string
	inclusive bool
	at        *pollPlace
	// before is a version that is not read, and none behind it, because changes before them may be on their way; nil: there is none.
	before *int64
	page   connector.Page
}

// Poll reads one page of changes in the order of (version, id), and at a round's end rows without a version; see connector.Window for what a
// round is.
func (db *database) Poll(ctx context.Context, r connector.PollRequest) (connector.Page, error) {
	o, err := db.object(r.Object)
	if err != nil {
		return connector.Page{}, err
	}
	if o.Capture != nil {
		return db.capture.poll(ctx, o, r)
	}
	p := &poll{db: db, o: o, op: "poll " + o.name, now: db.clock.Now(), size: pageSize}
	if o.Version == "" {
		return connector.Page{}, db.fail(fault.Invalid, p.op, "the object has no version to go by: set version")
	}
	if err := db.learn(ctx, p.op, o, false); err != nil {
		return connector.Page{}, err
	}
	if p.w, err = connector.ReadWindow(r.Cursor, r.Overlap, o.back(db.zone)); err != nil {
		return connector.Page{}, db.fail(fault.Invalid, p.op, "%s", err)
	}
	p.w.Times(db.stamps(o))
	if o.Columns[o.Version] == "local-timestamp" {
		p.w.Local(repeat(db.zone))
	}
	if r.Limit > 0 {
		p.size = r.Limit
	}
	p.from, p.inclusive = p.w.Begin(p.now)
	if at := (pollPlace{}); p.w.Page(&at) {
		p.at = &at
	}
	if err := p.read(ctx); err != nil {
		return connector.Page{}, err
	}
	if !p.page.More {
		p.w.End(p.now)
		p.page.Remarks = p.w.Remarks()
	}
	p.page.Cursor = p.w.String()
	return p.page, nil
}

// read reads a page; after the last one with versions the first without.
func (p *poll) read(ctx context.Context) error {
	if p.at == nil || !p.at.Bare {
		if err := p.ahead(ctx); err != nil {
			return err
		}
		if err := p.stamped(ctx); err != nil || p.page.More {
			return err
		}
	}
	return p.unstamped(ctx)
}

func (p *poll) stamped(ctx context.Context) error {
	st, err := p.changes()
	if err != nil {
		return p.db.fail(fault.Invalid, p.op, "the stored cursor: %s", err)
	}
	rows, err := p.look(ctx, st)
	if err != nil {
		return err
	}
	if p.page.More = len(rows) == p.size; p.page.More {
		last := rows[len(rows)-1]
		p.w.SetPage(pollPlace{Version: last.version, ID: last.id})
	}
	for _, r := range rows {
		at, second, _ := p.db.instants(p.o, r)
		rec := p.db.record(p.o, r, at)
		if at.Before(second) && p.w.Later(&rec, at, second, p.now) {
			rec = p.db.record(p.o, r, second)
			at = second
		}
		if p.w.Fresh(&rec) {
			p.page.Records = append(p.page.Records, p.db.public(p.o, rec, at))
		}
	}
	return nil
}

// ahead asks how far changes can be read.
func (p *poll) ahead(ctx context.Context) error {
	query := p.db.dialect.horizon(p.o)
	if query == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.db.set.Timeout)
	defer cancel()
	var before int64
	if err := p.db.sql.QueryRowContext(ctx, query).Scan(&before); err != nil {
		return p.db.classify(p.op, p.o, false, err)
	}
	p.before = &before
	return nil
}

// changes is the SELECT of one page of rows with versions.
func (p *poll) changes() (*statement, error) {
	st := p.db.selecting(p.o)
	version, typ := p.o.versionExpr(), p.o.Columns[p.o.Version]
	st.WriteString(" WHERE " + p.db.dialect.stamped(version, typ) + " AND " + p.o.keyWhole())
	if p.from != "" {
		v, err := p.db.bindOwn(typ, p.from)
		if err != nil {
			return nil, err
		}
		op := " > "
		if p.inclusive {
			op = " >= "
		}
		st.WriteString(" AND " + version + op + p.db.dialect.value(st, p.o.versionType(), v))
	}
	if p.before != nil {
		st.WriteString(" AND " + version + " < " + p.db.dialect.value(st, p.o.versionType(), *p.before))
	}
	if p.at != nil {
		v, err := p.db.bindOwn(typ, p.at.Version)
		if err != nil {
			return nil, err
		}
		last, err := p.db.idValues(p.o, p.at.ID, p.db.bindOwn)
		if err != nil {
			return nil, err
		}
		st.WriteString(" AND " + p.db.dialect.behind(st, p.o, v, last))
	}
	st.WriteString(" ORDER BY " + version + ", " + p.db.dialect.orderID(p.o, false))
	st.limit(p.size)
	return st, nil
}

// unstamped reads rows that a poll by versions does not see: no version, or one before all times, or no id. See connector.Window for how many of
// their pages a round reads.
func (p *poll) unstamped(ctx context.Context) error {
	version, typ := p.o.versionExpr(), p.o.Columns[p.o.Version]
	var at barePlace
	resumed, one := p.w.BarePlace(&at)
	st := p.db.selecting(p.o)
	st.WriteString(" WHERE (" + p.db.dialect.unstamped(version, typ))
	if resumed {
		last, err := p.db.idValues(p.o, at.ID, p.db.bindOwn)
		if err != nil {
			return p.db.fail(fault.Invalid, p.op, "the stored cursor: %s", err)
		}
		st.WriteString(" AND " + p.db.dialect.behindID(st, p.o, last))
	}
	st.WriteString(") OR " + p.o.keyBroken() + " ORDER BY " + p.db.dialect.orderID(p.o, true))
	st.limit(p.size)
	rows, err := p.look(ctx, st)
	if err != nil {
		return err
	}
	last := ""
	for _, r := range rows {
		if r.id != "" {
			last = r.id
		}
		rec := p.db.record(p.o, r, time.Time{})
		rec.Version = "" // it says nothing of what is newer
		if p.w.FreshBare(&rec) {
			p.page.Records = append(p.page.Records, rec)
		}
	}
	if len(rows) < p.size || last == "" {
		p.w.EndBare()
		return nil
	}
	p.w.SetBarePlace(barePlace{last})
	if p.page.More = !one; p.page.More {
		p.w.SetPage(pollPlace{Bare: true})
	}
	return nil
}

// look runs a SELECT as database.look does, and asks the database's clock in the same transaction.
func (p *poll) look(ctx context.Context, st *statement) ([]*row, error) {
	ctx, cancel := context.WithTimeout(ctx, p.db.set.Timeout)
	defer cancel()
	tx, err := p.db.reading(ctx)
	if err != nil {
		return nil, p.db.classify(p.op, p.o, false, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if clock := p.db.dialect.clock(); clock != "" {
		var now int64
		if err := tx.QueryRowContext(ctx, clock).Scan(&now); err != nil {
			return nil, p.db.classify(p.op, p.o, false, err)
		}
		p.w.SystemTime(time.UnixMicro(now))
	}
	rows, err := p.db.fetch(ctx, tx, p.o, st)
	return rows, p.db.classify(p.op, p.o, false, err)
}

// stamps is the connector.Window's way to read versions as times.
func (db *database) stamps(o *object) func(version string) (time.Time, connector.StampKind) {
	typ := o.Columns[o.Version]
	return func(version string) (t time.Time, kind connector.StampKind) {
		ok := false
		switch typ {
		case "integer":
			if strings.Trim(strings.TrimPrefix(version, "-"), "0123456789") == "" {
				return t, connector.NumberStamp
			}
		case "local-timestamp": // of a reading that comes twice the first instant: it is not ahead once that has come
			t, _, _, ok = instants(version, db.zone)
		default:
			at, err := db.timeOf(typ, version)
			t, ok = at, err == nil
		}
		if !ok {
			return t, connector.NoStamp
		}
		return t, connector.TimeStamp
	}
}
