package sql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var (
	_ connector.PlainKind   = Kind{}
	_ connector.PlainReader = (*database)(nil)
)

// Plain says from the settings alone what can be read as plain columns.
func (Kind) Plain(s connector.Settings, name string) connector.PlainSettings {
	set, _ := read(s, nil)
	o := set.Objects[name]
	if o == nil {
		return connector.PlainSettings{Why: fmt.Sprintf("the system has no object %q", name)}
	}
	if why := o.notPlain(); why != "" {
		return connector.PlainSettings{Why: why}
	}
	if _, only := serverURLs[set.Driver]; only {
		return connector.PlainSettings{Why: driverNotPlain}
	}
	out := connector.PlainSettings{Group: group(set.Driver), Others: o.lists()}
	for column, typ := range o.Columns {
		if typ == "json" {
			out.Others[column] = jsonNotPlain
		} else {
			out.Columns = append(out.Columns, column)
		}
	}
	slices.Sort(out.Columns)
	return out
}

const jsonNotPlain = "holds JSON, whose bytes say nothing of what is the same"

const driverNotPlain = "tables of this driver are compared as documents, not as plain columns"

// group is what two databases must have in common.
func group(driver string) string { return "sql/" + driver }

// notPlain says why the rows of an object are not what it holds; empty: they are.
func (o *object) notPlain() string {
	if o.Interface != nil {
		return "an interface table holds orders to change something, not objects"
	}
	return ""
}

// lists gives the reasons why the object's lists are no columns.
func (o *object) lists() map[string]string {
	out := map[string]string{}
	for name := range maps.Keys(o.Children) {
		out[name] = "is a list, whose rows are in another table"
	}
	return out
}

// PlainTable asks the database what columns and how many rows an object's table has.
func (db *database) PlainTable(ctx context.Context, name string) (connector.PlainTable, error) {
	o, err := db.object(name)
	if err != nil {
		return connector.PlainTable{}, err
	}
	if why := o.notPlain(); why != "" {
		return connector.PlainTable{}, fmt.Errorf("%s: %s %w: %s", db.name, name, connector.ErrNotPlain, why)
	}
	s, err := db.plainSession(ctx, o, connector.PlainQuery{})
	if err != nil {
		return connector.PlainTable{}, err
	}
	t := connector.PlainTable{Group: group(db.set.Driver), Forms: map[string][]connector.PlainForm{}, Others: o.lists()}
	for _, column := range o.columnNames {
		if forms, why := s.forms(column); why != "" {
			t.Others[column] = why
		} else {
			t.Forms[column] = forms
		}
	}
	if t.Rows, err = s.estimate(ctx); err != nil {
		_ = s.Close() // it has failed
		return t, db.classify("look at "+o.Table, o, false, err)
	}
	return t, s.Close()
}

// PlainOpen begins to read an object's rows.
func (db *database) PlainOpen(ctx context.Context, name string, q connector.PlainQuery) (connector.PlainSession, error) {
	o, err := db.object(name)
	if err != nil {
		return nil, err
	}
	s, err := db.plainSession(ctx, o, q)
	if err != nil {
		return nil, err
	}
	for _, c := range slices.Concat(q.Key, q.Columns) {
		if forms, _ := s.forms(c.Name); !slices.Contains(forms, c.Form) {
			_ = s.Close() // nothing was read
			return nil, fmt.Errorf("%s: the column %s of %s as %s %w", db.name, c.Name, o.Table, c.Form, connector.ErrNotPlain)
		}
	}
	if why := s.prepare(q); why != "" {
		_ = s.Close() // nothing was read
		return nil, fmt.Errorf("%s: %s %w: %s", db.name, o.Table, connector.ErrNotPlain, why)
	}
	return s, nil
}

// plainSession is what a dialect's sessions have beside what others see of them.
type plainSession interface {
	connector.Digester
	// forms gives the forms of a column, or the reason why it has none.
	forms(column string) ([]connector.PlainForm, string)
	// estimate is about how many rows there are; -1: unknown.
	estimate(ctx context.Context) (int64, error)
	// prepare takes what is to be read; why is the reason why that cannot be.
	prepare(q connector.PlainQuery) (why string)
}

func (db *database) plainSession(ctx context.Context, o *object, q connector.PlainQuery) (plainSession, error) {
	op := "look at " + o.Table
	var s plainSession
	var err error
	switch db.set.Driver {
	case "postgres":
		s, err = db.postgresPlain(ctx, o, q.Salt)
	case "mysql":
		s, err = db.mysqlPlain(ctx, o, q.Salt)
	case "sqlserver", "oracle", "hana":
		return nil, fmt.Errorf("%s: %w: %s", db.name, connector.ErrNotPlain, driverNotPlain)
	default:
		s, err = db.sqlitePlain(ctx, o, q.Salt)
	}
	if errors.Is(err, connector.ErrNotPlain) {
		return nil, fmt.Errorf("%s: %w", db.name, err)
	}
	if err != nil {
		return nil, db.classify(op, o, false, err)
	}
	return s, nil
}

// PlainLoad asks for nothing, and takes the time. It uses a connection that stays open for a while, so that the time is not that of connecting.
func (db *database) PlainLoad(ctx context.Context) (l connector.PlainLoad, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.set.Timeout)
	defer cancel()
	begin := db.clock.Elapsed()
	var n int
	if err := db.measuring.QueryRowContext(ctx, db.dialect.probe()).Scan(&n); err != nil {
		return l, db.classify("measure", nil, false, err)
	}
	l.Latency = db.clock.Elapsed() - begin
	if query := db.dialect.lag(); query != "" {
		var ms int64
		if err := db.measuring.QueryRowContext(ctx, query).Scan(&ms); err != nil {
			return l, db.classify("measure", nil, false, err)
		}
		l.Lag = time.Duration(ms) * time.Millisecond
	}
	return l, nil
}

// failure makes the failure of a reading of o.
func (db *database) failure(o *object, err error) error {
	if err == nil {
		return nil
	}
	return db.classify("compare "+o.Table, o, false, err)
}

// noForm is the failure of a row with a value that its column's type in the settings does not allow.
func (db *database) noForm(o *object, id string, err error) error {
	return db.fail(fault.Invalid, "read "+o.Table, "row %s: %s", id, err)
}
