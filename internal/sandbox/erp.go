package sandbox

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the ERP is a SQLite database
)

//go:embed erp.sql
var erpSQL string

// erp is a database that others read and write with SQL, and the process that lives in it. A single writer at a time is
// all that SQLite has: whoever writes without saying so is "api", the ERP itself says so inside its own transactions.
type erp struct {
	o       Options
	imp     *imp
	rw, ro  *sql.DB
	journal *journal
	logged  int64 // _log.seq of the last exported row
	end     *endpoint
	traffic *traffic
	beats   int64
}

// ERPDSN is how the sandbox opens its database; write says whether transactions take the write lock at once.
func erpDSN(path string, write bool) string {
	q := url.Values{"_pragma": {"busy_timeout(15000)", "journal_mode(WAL)", "synchronous(NORMAL)"}}
	if write {
		q.Set("_txlock", "immediate")
	} else {
		q.Add("_pragma", "query_only(1)")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func startERP(ctx context.Context, o Options) (_ *erp, err error) {
	e := &erp{o: o, imp: newImp(o.Seed, ERP, o.chaos(ERP))}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.closeFiles())
		}
	}()
	if e.rw, err = sql.Open("sqlite", erpDSN(o.ERPPath, true)); err != nil {
		return nil, err
	}
	e.rw.SetMaxOpenConns(1)
	if _, err = e.rw.ExecContext(ctx, erpSQL+erpTriggers()); err != nil {
		return nil, fmt.Errorf("create the ERP's tables: %w", err)
	}
	if e.ro, err = sql.Open("sqlite", erpDSN(o.ERPPath, false)); err != nil {
		return nil, err
	}
	e.ro.SetMaxOpenConns(2)
	if e.journal, err = openJournal(filepath.Join(o.Dir, "erp.log.jsonl"), e.replayed); err != nil {
		return nil, err
	}
	if err = e.seed(ctx); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	e.traffic = newTraffic(o, ERP, .2, e.act, e.live)
	e.traffic.chores = e.export
	if err = e.ro.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM _log").Scan(&e.traffic.first); err != nil {
		return nil, err
	}
	control{system: ERP, imp: e.imp, traffic: e.traffic, pending: e.pending, objects: e.objects}.routes(mux)
	if e.end, err = serve(o.ListenERP, mux); err != nil {
		return nil, err
	}
	e.traffic.start()
	return e, nil
}

func (e *erp) close() error {
	e.traffic.close()
	err := e.end.Close()
	return errors.Join(err, e.export(context.Background()), e.closeFiles())
}

func (e *erp) closeFiles() error {
	var errs []error
	if e.journal != nil {
		errs = append(errs, e.journal.Close())
	}
	for _, db := range []*sql.DB{e.ro, e.rw} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// tx runs fn in a transaction of the ERP's own.
func (e *erp) tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := e.rw.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it says so
	if _, err := tx.ExecContext(ctx, "UPDATE _actor SET name = 'erp'"); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE _actor SET name = 'api'"); err != nil {
		return err
	}
	return tx.Commit()
}

// replayed finds out how far the log was exported; Request holds the number in the table.
func (e *erp) replayed(entry *Entry) error {
	n, err := strconv.ParseInt(strings.TrimPrefix(entry.Request, "log-"), 10, 64)
	e.logged = max(e.logged, n)
	return err
}

// export writes what triggers put into the log table to the log file. The table is the truth; the file follows.
func (e *erp) export(ctx context.Context) error {
	for {
		rows, err := e.ro.QueryContext(ctx, "SELECT seq, at, actor, op, tbl, row_id, external_ref, doc FROM _log WHERE seq > ? ORDER BY seq LIMIT 1000", e.logged)
		if err != nil {
			return err
		}
		n, err := e.exportRows(rows)
		if err != nil || n < 1000 {
			return err
		}
	}
}

func (e *erp) exportRows(rows *sql.Rows) (n int, err error) {
	defer rows.Close()
	for rows.Next() {
		var seq, id int64
		var at, actor, op, table, doc string
		var ext sql.NullString
		if err := rows.Scan(&seq, &at, &actor, &op, &table, &id, &ext, &doc); err != nil {
			return n, err
		}
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return n, err
		}
		if actor == "erp" {
			actor = "life"
		}
		entry := &Entry{Time: when, System: ERP, Actor: actor, Method: op, Path: table, Object: table, ID: strconv.FormatInt(id, 10), External: ext.String,
			Status: 200, Applied: true, BodyHash: bodyHash([]byte(doc)), Request: "log-" + strconv.FormatInt(seq, 10),
			Changes: []Change{{Object: table, ID: strconv.FormatInt(id, 10), Doc: json.RawMessage(doc)}}}
		if op == "INSERT" && actor == "life" && oddRow(table, doc) {
			entry.Odd = "unknown-code"
		}
		if err := e.journal.append(entry); err != nil {
			return n, err
		}
		e.logged = seq
		n++
	}
	return n, rows.Err()
}

// oddRow says whether the ERP itself put in a code that nobody outside knows.
func oddRow(table, doc string) bool {
	return table == "customers" && strings.Contains(doc, `"payment_terms":"N45"`)
}

// pending is what the ERP still has to do about what it already knows.
func (e *erp) pending() map[string]int {
	out := map[string]int{}
	for name, q := range map[string]string{
		"confirmations": "SELECT COUNT(*) FROM sales_orders WHERE status = 'NEW'",
		"postings":      "SELECT COUNT(*) FROM shipments WHERE posted = 0",
		"invoices":      "SELECT COUNT(*) FROM sales_orders WHERE status = 'SHIP'",
	} {
		var n int
		if err := e.ro.QueryRow(q).Scan(&n); err != nil {
			n = 1 // not known is not done
		}
		out[name] = n
	}
	n, err := e.duePayments(context.Background(), 0)
	if err != nil {
		n = []payable{{}}
	}
	out["payments"] = len(n)
	return out
}

func (e *erp) objects() map[string][]Object {
	out, err := readERP(context.Background(), e.ro)
	if err != nil {
		e.o.Log.Error("sandbox ERP cannot be read", "error", err)
	}
	return out
}

// readERP reads every row with its lines.
func readERP(ctx context.Context, db *sql.DB) (map[string][]Object, error) {
	out := map[string][]Object{}
	for i, t := range erpTables {
		docs, err := readTable(ctx, db, "SELECT * FROM "+t.Name+" ORDER BY id")
		if err != nil {
			return out, err
		}
		if t.Child != "" {
			if err := attachLines(ctx, db, t, docs); err != nil {
				return out, err
			}
		}
		entity := erpEntities[i]
		list := make([]Object, len(docs))
		for j, d := range docs {
			list[j] = Object{ID: text(d["id"]), External: text(d["external_ref"]), Key: entity.keyOf(d), Doc: d}
		}
		out[entity.entity] = list
	}
	return out, nil
}

func attachLines(ctx context.Context, db *sql.DB, t *erpTable, docs []map[string]any) error {
	lines, err := readTable(ctx, db, "SELECT * FROM "+t.Child+" ORDER BY "+t.Parent+", line_no")
	if err != nil {
		return err
	}
	byParent := map[string][]any{}
	for _, l := range lines {
		p := text(l[t.Parent])
		byParent[p] = append(byParent[p], l)
	}
	for _, d := range docs {
		d["lines"] = append([]any{}, byParent[text(d["id"])]...)
	}
	return nil
}

func readTable(ctx context.Context, db *sql.DB, query string, args ...any) ([]map[string]any, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for rows.Next() {
		values := make([]any, len(cols))
		into := make([]any, len(cols))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		doc := make(map[string]any, len(cols)+1)
		for i, c := range cols {
			if n, ok := values[i].(int64); ok {
				values[i] = json.Number(strconv.FormatInt(n, 10))
			}
			doc[c] = values[i]
		}
		out = append(out, doc)
	}
	return out, rows.Err()
}
