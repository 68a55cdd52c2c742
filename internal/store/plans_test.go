package store

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// explained has PostgreSQL say how it answers what it is asked.
type explained struct {
	queryer
	t     *testing.T
	asked int
}

// byNumber is a walk through all rows of a table in the order of their numbers.
var byNumber = regexp.MustCompile(`(?m)using \w+_pkey on (queue|search_objects|differences|journal)\b.*\n(\s+Filter.*|.*->.*|$)`)

func (e *explained) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	if !strings.HasPrefix(q, "SELECT set_config") {
		e.asked++
		rows, err := e.queryer.QueryContext(ctx, "EXPLAIN "+q, args...)
		if err != nil {
			return nil, err
		}
		var plan strings.Builder
		if err := eachRow(rows, nil, func(r *sql.Rows) error {
			var line string
			err := r.Scan(&line)
			plan.WriteString(line + "\n")
			return err
		}); err != nil {
			return nil, err
		}
		if byNumber.MatchString(plan.String()) {
			e.t.Errorf("%s\n%s", q, &plan)
		}
	}
	return e.queryer.QueryContext(ctx, q, args...)
}

// What a search and a list of causes ask for, PostgreSQL finds by indexes of their own, and never by going through all rows in the order of their numbers: it is not
// allowed to sort there, and does so at any price where that order is asked for.
func TestPlans(t *testing.T) {
	s, err := Open(t.Context(), Config{Postgres: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	err = s.snapshot(t.Context(), func(db queryer) error {
		e := &explained{queryer: db, t: t}
		if err := byIndexes(t.Context(), e, s.d); err != nil {
			return err
		}
		fates := &fates{ctx: t.Context(), db: e, d: s.d}
		also := where{}
		also.add("flow = ?", "f")
		for _, by := range []by{byKey, byFold, byHub, byEvent} {
			for _, also := range []where{{}, also} {
				if _, err := fates.ids(by, "x", 20, also); err != nil {
					return err
				}
			}
		}
		se := &searching{ctx: t.Context(), db: e, d: s.d, fates: fates, q: &state.SearchQuery{}, fits: map[objectName]*fit{}, page: &state.SearchPage{}}
		if err := se.describe([]state.SearchedObject{{Entity: "order", Hub: "h"}, {Entity: "order", Hub: "i"}, {Entity: "order", Key: "k"}}); err != nil {
			return err
		}
		if err := se.named(&state.SearchedObject{Entity: "customer"}, "x"); err != nil {
			return err
		}
		if _, err := se.naming("customer", []string{"x"}); err != nil {
			return err
		}
		if _, err := groupsOf(t.Context(), e, s.d, &state.QueueFilter{State: state.Parked}, true); err != nil {
			return err
		}
		if e.asked < 16 {
			t.Errorf("%d questions", e.asked)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// How many rows there are is kept by triggers: a statement that changes many rows is counted once on PostgreSQL, for a row that one transaction changes again and again is
// gone through with all its versions.
func TestCountedByStatement(t *testing.T) {
	steps, err := allMigrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range steps {
		if m.name != "queue_counts" {
			continue
		}
		text := postgres.ddl(m.text)
		if n := strings.Count(text, "FOR EACH STATEMENT"); n != 3 || strings.Contains(text, "FOR EACH ROW") {
			t.Errorf("%d triggers by statement in %s", n, text)
		}
		return
	}
	t.Error("no such migration")
}
