package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
)

// serverURL is how each of the three is reached.
var serverURL = map[string]string{
	"sqlserver": "sqlserver://hub:unused-pa55word@erp.example.com?database=erp",
	"oracle":    "oracle://hub:unused-pa55word@erp.example.com:1521/erp",
	"hana":      "hdb://hub:unused-pa55word@erp.example.com:443?databaseName=erp",
}

const recordedOrders = `
objects:
  order:
    table: sales.orders
    generated: true
    external-id: external_id
    version: changed
    touch: true
    deleted: gone
    upsert: true
    columns: {id: integer, external_id: text, code: text, price: decimal, express: boolean, day: date, placed: timestamp, changed: timestamp, gone: boolean}
    children:
      lines: {table: sales.lines, parent: order_id, key: line_no, on-update: merge, columns: {line_no: integer, sku: text, quantity: decimal}}
`

// recordedSystem opens a system of a driver on the recorder.
func recordedSystem(t *testing.T, kind, objects string) (*database, *recorder) {
	t.Helper()
	name := "SQL_RECORDED_" + strings.ToUpper(kind)
	t.Setenv(name, serverURL[kind])
	return record(t, "connector: sql\ndriver: "+kind+"\nurl: ${env:"+name+"}\n"+objects)
}

// catalogue lays down what a server says of its tables.
func (r *recorder) catalogue(kind string) {
	type column struct {
		name, kind string
		scale      int64
		nullable   bool
		length     int64
	}
	tables := map[string][]column{
		"orders": {{"id", "bigint", 0, false, 8}, {"external_id", "varchar", 0, true, 36}, {"code", "nvarchar", 0, false, 20}, {"price", "decimal", 4, true, 18},
			{"express", "boolean", 0, true, 1}, {"day", "date", 0, true, 8}, {"placed", "timestamp", 7, true, 8}, {"changed", "timestamp", 3, true, 8}, {"gone", "boolean", 0, true, 1}},
		"documents": {{"company", "char", 0, false, 4}, {"doc_no", "bigint", 0, false, 8}, {"day", "date", 0, false, 8}, {"external_id", "varchar", 0, true, 36}, {"code", "nvarchar", 0, false, 20},
			{"changed", "timestamp", 3, true, 8}},
		"positions": {{"co", "char", 0, false, 4}, {"doc", "bigint", 0, false, 8}, {"on_day", "date", 0, false, 8}, {"line_no", "integer", 0, false, 4}, {"sku", "nvarchar", 0, false, 20}},
		"lines":     {{"order_id", "bigint", 0, false, 8}, {"line_no", "integer", 0, false, 4}, {"sku", "nvarchar", 0, false, 20}, {"quantity", "decimal", 3, true, 18}},
	}
	own := map[string]map[string]string{
		"sqlserver": {"boolean": "bit", "integer": "int", "timestamp": "datetime2", "external_id": "uniqueidentifier", "placed": "datetimeoffset"},
		"oracle":    {"boolean": "number", "integer": "number", "bigint": "number", "decimal": "number", "nvarchar": "varchar2", "varchar": "char", "timestamp": "timestamp(3)", "placed": "timestamp(6) with time zone"},
	}[kind]
	for table, columns := range tables {
		var rows [][]driver.Value
		for _, c := range columns {
			k := c.kind
			for _, of := range []string{c.kind, c.name} {
				if o := own[of]; o != "" {
					k = o
				}
			}
			if kind == "sqlserver" {
				collation := ""
				if strings.HasSuffix(k, "char") {
					collation = "Latin1_General_CI_AS"
				}
				if k == "nvarchar" {
					c.length *= 2
				}
				rows = append(rows, []driver.Value{c.name, k, collation, c.scale, c.nullable, c.length, int64(0)})
			} else {
				nullable := int64(0)
				if c.nullable {
					nullable = 1
				}
				rows = append(rows, []driver.Value{c.name, k, c.scale, nullable, c.length, int64(18)})
			}
		}
		names := "name,kind,scale,nullable,length,precision"
		pattern := `(?s)(all_tab_columns|sys.table_columns).*`
		if kind == "sqlserver" {
			names, pattern = "name,kind,collation,scale,nullable,length,precision", "(?s)FROM sys.columns.*"
		}
		r.learnt(pattern, table, names, rows)
	}
	r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "orders", "name,unique,column", [][]driver.Value{{"orders_pk", int64(1), "id"}, {"orders_external", int64(1), "external_id"}})
	r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "lines", "name,unique,column", [][]driver.Value{{"lines_pk", int64(1), "order_id"}, {"lines_pk", int64(1), "line_no"}})
	r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "documents", "name,unique,column", [][]driver.Value{{"documents_pk", int64(1), "company"}, {"documents_pk", int64(1), "doc_no"},
		{"documents_pk", int64(1), "day"}, {"documents_external", int64(1), "external_id"}})
	r.on("sys.databases", "snapshots", []driver.Value{int64(1)})
}

const (
	hubID   = "6ba7b810-9dad-51d1-80b4-00c04fd430c8"
	orderIn = `{"code":"Ö'1","price":"12.5000","express":true,"day":"2026-02-28","placed":"2026-03-01T12:00:00.5+08:00","lines":[{"line_no":1,"sku":"A","quantity":2.5},{"line_no":2,"sku":"B","quantity":1}]}`
)

// orderRow is the order as its server shows it: id, version, and the columns by name.
func orderRow(kind, id string) []driver.Value {
	if kind == "sqlserver" { // its driver gives values, not texts
		changed := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
		return []driver.Value{int64(7), changed, changed, "Ö'1", "2026-02-28", true, strings.ToUpper(hubID), nil, int64(7), changed.Add(-time.Hour + time.Second/2).In(time.FixedZone("", 8*3600)), []byte("12.5000")}
	}
	fraction, placed := "000", "2026-03-01T04:00:00.5"
	if kind == "oracle" {
		fraction = "000000000"
	}
	changed := "2026-03-01T05:00:00." + fraction
	return []driver.Value{id, changed, changed, "Ö'1", "2026-02-28", "1", hubID, nil, id, placed, "12.5000"}
}

// token is a version as it is read.
func token(v driver.Value) string {
	if t, is := v.(time.Time); is {
		return t.Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// TestStatements writes down what is sent to the servers that there is none of here, for every operation.
func TestStatements(t *testing.T) {
	at := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	for _, kind := range []string{"sqlserver", "oracle", "hana"} {
		t.Run(kind, func(t *testing.T) {
			db, r := recordedSystem(t, kind, recordedOrders)
			db.clock = testClock{db.clock, func() time.Time { return at }}
			r.catalogue(kind)
			const selected = "id,version,changed,code,day,express,external_id,gone,id,placed,price"
			r.on(`(?s)^SELECT .* FROM "sales"."orders" t `, selected, orderRow(kind, "7"))
			r.on(`(?s)^SELECT .* FROM "sales"."lines" t `, "order_id,line_no,quantity,sku", []driver.Value{"7", "1", "2.5", "A"}, []driver.Value{"7", "2", "1.000", "B"})
			r.on(`(?s)^(DECLARE|INSERT INTO "sales"."orders")`, "id", []driver.Value{"7"})
			r.on(`CURRENT_IDENTITY_VALUE`, "id", []driver.Value{"7"})
			r.on(`(?s)^SELECT COUNT.* WHERE "id" = `, "n", []driver.Value{int64(1)})
			r.on(`@@ROWCOUNT`, "n", []driver.Value{int64(1)})
			r.on(`(DATEDIFF_BIG\(microsecond|^SELECT ROUND|^SELECT TO_BIGINT)`, "now", []driver.Value{at.UnixMicro()})
			do := func(name string, f func() error) {
				r.write("\n%s", name)
				if err := f(); err != nil {
					r.write("  = %v", err)
				}
			}
			write := func(w connector.Write) func() error {
				w.Object = "order"
				return func() error {
					res, err := db.Write(t.Context(), w)
					if err == nil {
						r.write("  = %s %s %s", res.Local, res.ETag, res.Doc)
					}
					return err
				}
			}
			find := func(l connector.Lookup) func() error {
				l.Object = "order"
				return func() error {
					found, err := db.Find(t.Context(), l)
					for _, f := range found {
						r.write("  = %s %s", f.Local, f.Doc)
					}
					return err
				}
			}
			do("create", write(connector.Write{Action: connector.Create, External: hubID, Doc: []byte(orderIn)}))
			do("update under a token", write(connector.Write{Action: connector.Update, Local: "7", ETag: token(orderRow(kind, "7")[1]), Doc: []byte(`{"price":12.5,"lines":[{"line_no":2,"sku":"B","quantity":1}]}`)}))
			do("delete", write(connector.Write{Action: connector.Delete, Local: "7"}))
			cursor := ""
			do("poll, two pages of one row", func() error {
				for range 2 {
					page, err := db.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor, Limit: 1})
					if err != nil {
						return err
					}
					for _, rec := range page.Records {
						r.write("  = %s %s", rec.Local, rec.Version)
					}
					cursor = page.Cursor
				}
				return nil
			})
			do("list since", func() error {
				for rec, err := range db.List(t.Context(), "order", at) {
					if err != nil {
						return err
					}
					r.write("  = %s", rec.Local)
				}
				return nil
			})
			r.on(`(?s)^SELECT .* WHERE t."id" IS NOT NULL ORDER BY`, "id", []driver.Value{"7"})
			do("list ids", func() error {
				for id, err := range db.ListIDs(t.Context(), "order") {
					if err != nil {
						return err
					}
					r.write("  = %s", id)
				}
				return nil
			})
			r.on(`(?s)^SELECT .* FROM "sales"."orders" t `, selected, orderRow(kind, "7"))
			do("find by id", find(connector.Lookup{Local: "7"}))
			do("find by external id", find(connector.Lookup{External: hubID}))
			do("find by text", find(connector.Lookup{Natural: map[string]string{"code": "Ö'1"}}))
			do("find by folded text", find(connector.Lookup{Natural: map[string]string{"code": "ö'1"}, Compare: map[string]connector.Compare{"code": connector.Fold}}))
			do("find by number in a text", find(connector.Lookup{Natural: map[string]string{"code": "0071.50"}, Compare: map[string]connector.Compare{"code": connector.Number}}))
			do("find by decimal", find(connector.Lookup{Natural: map[string]string{"price": "12.5"}, Compare: map[string]connector.Compare{"price": connector.Number}}))
			do("sample", func() error { _, err := db.Sample(t.Context(), "order"); return err })
			db.set.Objects["order"].Upsert = false
			do("create, where the external id is looked for first", func() error {
				r.on(`(?s)^SELECT 1 FROM "sales"."orders"`, "one", []driver.Value{int64(1)})
				return write(connector.Write{Action: connector.Create, External: hubID, Doc: []byte(`{"code":"2"}`)})()
			})
			connectortest.Golden(t, filepath.Join("testdata", "statements", kind+".golden"), []byte(r.text()))
			if strings.Contains(r.text(), "unused-pa55word") {
				t.Error("the password is in what was sent")
			}
		})
	}
}

const recordedDocuments = `
objects:
  document:
    table: sales.documents
    id: [company, doc_no, day]
    external-id: external_id
    version: changed
    touch: true
    upsert: true
    columns: {company: text, doc_no: integer, day: date, external_id: text, code: text, changed: timestamp}
    children:
      positions: {table: sales.positions, parent: [co, doc, on_day], key: line_no, on-update: merge, columns: {line_no: integer, sku: text}}
`

// TestKeyStatements writes down what is sent for rows whose id is three columns: a text of fixed length, a number and a day.
func TestKeyStatements(t *testing.T) {
	at := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	for _, kind := range []string{"sqlserver", "oracle", "hana"} {
		t.Run(kind, func(t *testing.T) {
			db, r := recordedSystem(t, kind, recordedDocuments)
			db.clock = testClock{db.clock, func() time.Time { return at }}
			r.catalogue(kind)
			day, changed := driver.Value("2026-02-28"), driver.Value("2026-03-01T05:00:00.000")
			switch kind {
			case "oracle": // a DATE has a time of day, and a sign before its year
				day = " 2026-02-28T00:00:00"
			case "sqlserver":
				changed = at
			}
			const local = "company='Ö''1',doc_no='4711',day='2026-02-28'"
			r.on(`(?s)^SELECT .* FROM "sales"."documents" t `, "company,doc_no,day,version,changed,code,company,day,doc_no,external_id",
				[]driver.Value{"Ö'1", "4711", day, changed, changed, "A", "Ö'1", day, "4711", hubID})
			r.on(`(?s)^SELECT .* FROM "sales"."positions" t `, "co,doc,on_day,line_no,sku", []driver.Value{"Ö'1", "4711", day, "1", "A"})
			r.on(`@@ROWCOUNT`, "n", []driver.Value{int64(1)})
			r.on(`(DATEDIFF_BIG\(microsecond|^SELECT ROUND|^SELECT TO_BIGINT)`, "now", []driver.Value{at.UnixMicro()})
			do := func(name string, f func() error) {
				r.write("\n%s", name)
				if err := f(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			write := func(w connector.Write) func() error {
				w.Object = "document"
				return func() error {
					res, err := db.Write(t.Context(), w)
					if err == nil && res.Local != local {
						err = errors.New(res.Local)
					}
					return err
				}
			}
			const doc = `{"company":"Ö'1","doc_no":4711,"day":"2026-02-28","code":"A","positions":[{"line_no":1,"sku":"A"}]}`
			do("create", write(connector.Write{Action: connector.Create, External: hubID, Doc: []byte(doc)}))
			do("update under a token", write(connector.Write{Action: connector.Update, Local: local, ETag: token(changed), Doc: []byte(doc)}))
			do("delete", write(connector.Write{Action: connector.Delete, Local: local}))
			cursor := ""
			do("poll, two pages of one row", func() error {
				for range 2 {
					page, err := db.Poll(t.Context(), connector.PollRequest{Object: "document", Cursor: cursor, Limit: 1})
					if err != nil {
						return err
					}
					for _, rec := range page.Records {
						r.write("  = %s %s %s %v", rec.Local, rec.Version, rec.Doc, rec.Err)
					}
					cursor = page.Cursor
				}
				return nil
			})
			do("list", func() error {
				for rec, err := range db.List(t.Context(), "document", time.Time{}) {
					if err != nil {
						return err
					}
					r.write("  = %s", rec.Local)
				}
				return nil
			})
			r.on(`(?s)^SELECT .* WHERE t."company" IS NOT NULL AND t."doc_no" IS NOT NULL AND t."day" IS NOT NULL ORDER BY t."company"`, "company,doc_no,day", []driver.Value{"Ö'1", "4711", day})
			do("list ids", func() error {
				for id, err := range db.ListIDs(t.Context(), "document") {
					if err != nil {
						return err
					}
					r.write("  = %s", id)
				}
				return nil
			})
			r.on(`(?s)^SELECT .* FROM "sales"."documents" t `, "company,doc_no,day,version,changed,code,company,day,doc_no,external_id",
				[]driver.Value{"Ö'1", "4711", day, changed, changed, "A", "Ö'1", day, "4711", hubID})
			do("find by id", func() error {
				found, err := db.Find(t.Context(), connector.Lookup{Object: "document", Local: local})
				if err == nil && (len(found) != 1 || found[0].Local != local) {
					err = fmt.Errorf("%v", found)
				}
				return err
			})
			do("create, where the external id is there", func() error {
				r.fails(`(?s)^INSERT INTO "sales"."documents"`, duplicateIn(kind, "documents"))
				r.on(`(?s)^SELECT .* FROM "sales"."documents"( WITH \(UPDLOCK, ROWLOCK\))? WHERE \(*"external_id"`, "company,doc_no,day", []driver.Value{"Ö'1", "4711", day})
				return write(connector.Write{Action: connector.Create, External: hubID, Doc: []byte(`{"company":"2","doc_no":1,"day":"2026-01-01","code":"A"}`)})()
			})
			connectortest.Golden(t, filepath.Join("testdata", "statements", kind+"-key.golden"), []byte(r.text()))
		})
	}
}

// duplicateOf is what each server says of an external id that is there.
var duplicateOf = map[string]error{"sqlserver": duplicateIn("sqlserver", "orders"), "oracle": duplicateIn("oracle", "orders"), "hana": duplicateIn("hana", "orders")}

func duplicateIn(kind, table string) error {
	in := func(text string) string { return strings.ReplaceAll(text, "TABLE", table) }
	switch kind {
	case "sqlserver":
		return mssql.Error{Number: 2601, Class: 14, Message: in("Cannot insert duplicate key row in object 'sales.TABLE' with unique index 'TABLE_external'. The duplicate key value is (Jane Doe).")}
	case "oracle":
		return oracleFailure(1, in("ORA-00001: unique constraint (SALES.TABLE_external) violated on table SALES.TABLE columns (external_id)\nORA-03301: (ORA-00001 details) row with column values (external_id:'Jane Doe') already exists"))
	}
	return hanaFailure{301, in("unique constraint violated: Table(TABLE), Index(TABLE_external), value 'Jane Doe'")}
}

// TestUpsertStatements: where an INSERT meets the external id, the row that has it is locked and changed.
func TestUpsertStatements(t *testing.T) {
	for kind, duplicate := range duplicateOf {
		t.Run(kind, func(t *testing.T) {
			db, r := recordedSystem(t, kind, recordedOrders)
			r.catalogue(kind)
			r.fails(`(?s)^(DECLARE|INSERT INTO "sales"."orders")`, duplicate)
			r.on(`(?s)^SELECT .* FROM "sales"."orders"`, "id,version,changed,code,day,express,external_id,gone,id,placed,price", orderRow(kind, "7"))
			r.on(`(?s)^SELECT .* FROM "sales"."orders"( WITH \(UPDLOCK, ROWLOCK\))? WHERE`, "id", []driver.Value{"7"})
			res, err := db.Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"Ö'1","price":12.5}`)})
			if err != nil || res.Local != "7" {
				t.Errorf("%v %v\n%s", res, err, r.text())
			}
			connectortest.Golden(t, filepath.Join("testdata", "statements", kind+"-upsert.golden"), []byte(r.text()))
		})
	}
}

// TestTogetherStatements: each change of several stands behind a savepoint of the server's own kind, and one that fails leaves the others.
func TestTogetherStatements(t *testing.T) {
	for kind, want := range map[string]string{
		"sqlserver": "begin; SET LOCK_TIMEOUT 100; SAVE TRANSACTION waybill; UPDATE 1; SAVE TRANSACTION waybill; ROLLBACK TRANSACTION waybill; SAVE TRANSACTION waybill; UPDATE 3; commit",
		"oracle":    "begin; SAVEPOINT waybill; UPDATE 1; SAVEPOINT waybill; ROLLBACK TO SAVEPOINT waybill; SAVEPOINT waybill; UPDATE 3; commit",
		"hana":      "begin; SAVEPOINT waybill; UPDATE 1; SAVEPOINT waybill; ROLLBACK TO SAVEPOINT waybill; SAVEPOINT waybill; UPDATE 3; commit",
	} {
		db, r := recordedSystem(t, kind, recordedOrders)
		var batch []*pending
		for n := 1; n <= 3; n++ {
			batch = append(batch, &pending{Place: gather.At(t.Context()), op: "update order", fn: func(ctx context.Context, tx *sql.Tx) error {
				if n == 2 {
					return errors.New("it is refused")
				}
				_, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE %d", n))
				return err
			}})
		}
		alone, untouched := db.together(batch)
		if len(alone) != 1 || alone[0] != batch[1] || len(untouched) != 0 {
			t.Errorf("%s: %d alone, %d untouched", kind, len(alone), len(untouched))
		}
		var sent []string
		for _, line := range strings.Split(strings.TrimSpace(r.text()), "\n") {
			sent = append(sent, strings.TrimSpace(line))
		}
		if got := strings.Join(sent, "; "); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", kind, got, want)
		}
	}
}

// TestServerFaults: what the servers say of a failure, its class, and that no value comes out.
func TestServerFaults(t *testing.T) {
	for _, tc := range []struct {
		kind      string
		err       error
		want      fault.Kind
		duplicate bool
		code      string
		field     string
	}{
		{"sqlserver", duplicateOf["sqlserver"], fault.Conflict, true, "MSSQL_2601", ""},
		{"sqlserver", mssql.Error{Number: 2627, Message: "Violation of UNIQUE KEY constraint 'log_pk'. Cannot insert duplicate key in object 'sales.log'. The duplicate key value is (Jane Doe)."}, fault.Invalid, false, "MSSQL_2627", ""},
		{"sqlserver", mssql.Error{Number: 2628, Message: "String or binary data would be truncated in table 'erp.sales.orders', column 'code'. Truncated value: 'Jane Doe'."}, fault.Invalid, false, "MSSQL_2628", "code"},
		{"sqlserver", mssql.Error{Number: 245, Message: "Conversion failed when converting the nvarchar value 'Jane Doe' to data type int."}, fault.Invalid, false, "MSSQL_245", ""},
		{"sqlserver", mssql.Error{Number: 515, Message: "Cannot insert the value NULL into column 'code', table 'erp.sales.orders'; column does not allow nulls. INSERT fails."}, fault.Invalid, false, "MSSQL_515", "code"},
		{"sqlserver", mssql.Error{Number: 1205, Class: 13, Message: "deadlock victim"}, fault.Unavailable, false, "MSSQL_1205", ""},
		{"sqlserver", mssql.Error{Number: 1222, Class: 16, Message: "Lock request time out period exceeded."}, fault.Unavailable, false, "MSSQL_1222", ""},
		{"sqlserver", mssql.Error{Number: 18456, Class: 14, Message: "Login failed for user 'hub'."}, fault.Auth, false, "MSSQL_18456", ""},
		{"sqlserver", mssql.Error{Number: 4060, Class: 11, Message: "Cannot open database"}, fault.Unavailable, false, "MSSQL_4060", ""},
		{"sqlserver", mssql.Error{Number: 3906, Class: 16, Message: "Failed to update database because the database is read-only."}, fault.Unavailable, false, "MSSQL_3906", ""},
		{"sqlserver", mssql.Error{Number: 50000, Class: 16, Message: "credit limit"}, fault.Invalid, false, "MSSQL_50000", ""},
		{"sqlserver", mssql.Error{Number: 99999, Class: 20, Message: "gone"}, fault.Unavailable, false, "MSSQL_99999", ""},
		{"oracle", duplicateOf["oracle"], fault.Conflict, true, "ORA-00001", ""},
		{"oracle", oracleFailure(1, "ORA-00001: unique constraint (SALES.LOG_PK) violated"), fault.Invalid, false, "ORA-00001", ""},
		{"oracle", oracleFailure(12899, `ORA-12899: value too large for column "SALES"."orders"."code" (actual: 25, maximum: 20)`), fault.Invalid, false, "ORA-12899", "code"},
		{"oracle", oracleFailure(1400, `ORA-01400: cannot insert NULL into ("SALES"."orders"."code")`), fault.Invalid, false, "ORA-01400", "code"},
		{"oracle", oracleFailure(60, "ORA-00060: deadlock detected while waiting for resource"), fault.Unavailable, false, "ORA-00060", ""},
		{"oracle", oracleFailure(12541, "ORA-12541: TNS:no listener"), fault.Unavailable, false, "ORA-12541", ""},
		{"oracle", oracleFailure(3113, "ORA-03113: end-of-file on communication channel"), fault.Unavailable, false, "ORA-03113", ""},
		{"oracle", oracleFailure(1017, "ORA-01017: invalid username/password; logon denied"), fault.Auth, false, "ORA-01017", ""},
		{"oracle", oracleFailure(20001, "ORA-20001: credit limit\nORA-06512: at \"SALES.CHECK_LIMIT\", line 4: Jane Doe"), fault.Invalid, false, "ORA-20001", ""},
		{"hana", duplicateOf["hana"], fault.Conflict, true, "HANA_301", ""},
		{"hana", hanaFailure{274, `inserted value too large for column: "code", value 'Jane Doe'`}, fault.Invalid, false, "HANA_274", ""},
		{"hana", hanaFailure{287, "cannot insert NULL or update to NULL: column name code"}, fault.Invalid, false, "HANA_287", "code"},
		{"hana", hanaFailure{131, "transaction rolled back by lock wait timeout"}, fault.Unavailable, false, "HANA_131", ""},
		{"hana", hanaFailure{133, "transaction rolled back by detected deadlock"}, fault.Unavailable, false, "HANA_133", ""},
		{"hana", hanaFailure{10, "authentication failed"}, fault.Auth, false, "HANA_10", ""},
		{"hana", hanaFailure{258, "insufficient privilege"}, fault.Invalid, false, "HANA_258", ""},
	} {
		db, r := recordedSystem(t, tc.kind, recordedOrders)
		r.catalogue(tc.kind)
		o := db.set.Objects["order"]
		if err := db.dialect.learn(t.Context(), db, o); err != nil {
			t.Fatal(err)
		}
		f, ok := fault.As(db.classify("create order", o, true, on(o.Table, tc.err)))
		if !ok || f.Kind != tc.want || f.Duplicate != tc.duplicate || f.Code != tc.code || f.Field != tc.field {
			t.Errorf("%s: %v: %+v", tc.kind, tc.err, f)
		}
		if strings.Contains(fmt.Sprint(f), "Jane Doe") {
			t.Errorf("%s: the failure quotes a value: %v", tc.kind, f)
		}
	}
}

// TestServerCommits: a commit is undone where the server says so, and otherwise nobody knows.
func TestServerCommits(t *testing.T) {
	for _, tc := range []struct {
		kind string
		err  error
		want fault.Kind
	}{
		{"sqlserver", mssql.Error{Number: 0, Message: "server does not have an active transaction"}, fault.Unavailable},
		{"sqlserver", mssql.Error{Number: 3930, Class: 16, Message: "cannot be committed"}, fault.Unavailable},
		{"sqlserver", mssql.Error{Number: 596, Class: 21, Message: "session is in the kill state"}, fault.UnknownOutcome},
		{"sqlserver", driver.ErrBadConn, fault.UnknownOutcome},
		{"oracle", oracleFailure(2091, "ORA-02091: transaction rolled back"), fault.Invalid},
		{"oracle", oracleFailure(3113, "ORA-03113: end-of-file on communication channel"), fault.UnknownOutcome},
		{"oracle", errors.New("EOF"), fault.UnknownOutcome},
		{"hana", hanaFailure{133, "transaction rolled back by detected deadlock"}, fault.Unavailable},
		{"hana", hanaFailure{-10807, "connection down"}, fault.UnknownOutcome},
	} {
		db, r := recordedSystem(t, tc.kind, recordedOrders)
		r.catalogue(tc.kind)
		r.fails("^COMMIT$", tc.err)
		r.on(`@@ROWCOUNT`, "n", []driver.Value{int64(1)})
		_, err := db.Write(t.Context(), connector.Write{Object: "order", Action: connector.Delete, Local: "7"})
		if fault.KindOf(err) != tc.want {
			t.Errorf("%s: %v: %v", tc.kind, tc.err, err)
		}
	}
}

// TestRowversion: polls read no further than what is on its way, which they ask for first.
func TestRowversion(t *testing.T) {
	db, r := recordedSystem(t, "sqlserver", "objects: {item: {table: dbo.items, version: rv, columns: {id: integer, rv: rowversion}}}")
	r.learnt("FROM sys.columns", "items", "name,kind,collation,scale,nullable,length,precision", [][]driver.Value{{"id", "int", "", int64(0), false, int64(4), int64(10)}, {"rv", "timestamp", "", int64(0), false, int64(8), int64(0)}})
	r.learnt("FROM sys.indexes", "items", "name,unique,column", [][]driver.Value{{"items_pk", int64(1), "id"}})
	r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "documents", "name,unique,column", [][]driver.Value{{"documents_pk", int64(1), "company"}, {"documents_pk", int64(1), "doc_no"},
		{"documents_pk", int64(1), "day"}, {"documents_external", int64(1), "external_id"}})
	r.on("sys.databases", "snapshots", []driver.Value{int64(0)})
	r.on("MIN_ACTIVE_ROWVERSION", "before", []driver.Value{int64(2005)})
	r.on("DATEDIFF_BIG", "now", []driver.Value{int64(1)})
	r.on(`(?s)^SELECT .* FROM "dbo"."items" t `, "id,version,id,rv", []driver.Value{int64(1), int64(2001), int64(1), int64(2001)})
	page, err := db.Poll(t.Context(), connector.PollRequest{Object: "item", Limit: 1})
	if err != nil || len(page.Records) != 1 || page.Records[0].Version != "2001" || string(page.Records[0].Doc) != `{"id":1,"rv":2001}` {
		t.Fatalf("%+v %v\n%s", page, err, r.text())
	}
	if _, err := db.Poll(t.Context(), connector.PollRequest{Object: "item", Limit: 1, Cursor: page.Cursor}); err != nil {
		t.Fatal(err)
	}
	connectortest.Golden(t, filepath.Join("testdata", "statements", "sqlserver-rowversion.golden"), []byte(r.text()))
	if o := (Kind{}).Ordering(settingsOf(t, "connector: sql\ndriver: sqlserver\nurl: ${env:SQL_RECORDED_SQLSERVER}\nobjects: {item: {table: dbo.items, version: rv, columns: {id: integer, rv: rowversion}}}"), "item"); o.By != connector.ByCommit {
		t.Errorf("%+v", o)
	}
}

// TestRefusedTables: what cannot be read, written to or searched as it is.
func TestRefusedTables(t *testing.T) {
	for _, tc := range []struct {
		kind, column, typ string
		sqlserver         string // collation
		refused, search   string
	}{
		{kind: "sqlserver", column: "float", typ: "decimal", refused: "cannot be found again"},
		{kind: "sqlserver", column: "nvarchar", typ: "integer", sqlserver: "Latin1_General_CI_AS", refused: "column of texts"},
		{kind: "sqlserver", column: "int", typ: "integer"},
		{kind: "oracle", column: "binary_double", typ: "decimal", refused: "cannot be found again"},
		{kind: "oracle", column: "clob", typ: "text", refused: "cannot be found again", search: "does not compare"},
		{kind: "oracle", column: "varchar2", typ: "integer", refused: "column of texts"},
		{kind: "oracle", column: "nchar", typ: "text"},
		{kind: "hana", column: "nclob", typ: "text", refused: "cannot be found again", search: "does not compare"},
		{kind: "hana", column: "nvarchar", typ: "boolean", refused: "column of texts"},
	} {
		db, r := recordedSystem(t, tc.kind, "objects: {item: {table: s.items, columns: {id: "+tc.typ+"}}}")
		r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "documents", "name,unique,column", [][]driver.Value{{"documents_pk", int64(1), "company"}, {"documents_pk", int64(1), "doc_no"},
			{"documents_pk", int64(1), "day"}, {"documents_external", int64(1), "external_id"}})
		r.on("sys.databases", "snapshots", []driver.Value{int64(0)})
		if tc.kind == "sqlserver" {
			r.learnt("FROM sys.columns", "items", "name,kind,collation,scale,nullable,length,precision", [][]driver.Value{{"id", tc.column, tc.sqlserver, int64(0), false, int64(40), int64(0)}})
		} else {
			r.learnt("(all_tab_columns|sys.table_columns)", "items", "name,kind,scale,nullable,length,precision", [][]driver.Value{{"id", tc.column, int64(0), int64(0), int64(40), int64(0)}})
		}
		o := db.set.Objects["item"]
		if err := db.dialect.learn(t.Context(), db, o); err != nil {
			t.Fatal(err)
		}
		if why := db.dialect.refuses(o, false); (why == "") != (tc.refused == "") || !strings.Contains(why, tc.refused) {
			t.Errorf("%s %s as %s: %q", tc.kind, tc.column, tc.typ, why)
		}
		if why := db.dialect.searchable(o, "id"); tc.search != "" && !strings.Contains(why, tc.search) {
			t.Errorf("%s %s as %s cannot be searched: %q", tc.kind, tc.column, tc.typ, why)
		}
	}
}

// TestServersAway: the drivers themselves, at an address that nobody answers at: the failure is of the way there, and tells no password.
func TestServersAway(t *testing.T) {
	for kind, url := range map[string]string{"sqlserver": "sqlserver://hub:unused-pa55word@127.0.0.1:1?database=erp", "hana": "hdb://hub:unused-pa55word@127.0.0.1:1"} {
		t.Setenv("SQL_AWAY", url)
		sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: sql\ndriver: "+kind+"\nurl: ${env:SQL_AWAY}\ntimeout: 2s\nobjects: {a: {table: a, columns: {id: integer}}}"))
		if err != nil {
			t.Fatal(err)
		}
		if err := sys.Probe(t.Context()); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "unused-pa55word") {
			t.Errorf("%s: %v", kind, err)
		}
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHeldExactly: what the servers make of a value without a word is refused before the commit, and what they hold is not.
func TestHeldExactly(t *testing.T) {
	at := time.Date(2026, 3, 1, 4, 0, 0, 123e6, time.UTC)
	for _, tc := range []struct {
		kind, column, typ string
		sent              string
		stored            driver.Value
		refused           string // empty: it is held
	}{
		{"sqlserver", "decimal", "decimal", `1.005`, []byte("1.01"), "cannot hold 1.005 exactly"},
		{"sqlserver", "decimal", "decimal", `"12345678901234567.8900"`, []byte("12345678901234567.89"), ""},
		{"sqlserver", "money", "decimal", `1.00005`, []byte("1.0001"), "cannot hold 1.00005 exactly"},
		{"sqlserver", "float", "decimal", `0.1`, 0.1, ""},
		{"sqlserver", "float", "decimal", `12345678901234567.89`, 1.2345678901234568e16, "exactly"},
		{"sqlserver", "real", "decimal", `0.1`, float64(float32(0.1)), ""},
		{"sqlserver", "real", "decimal", `16777217`, float64(16777216), "exactly"},
		{"sqlserver", "datetime2", "timestamp", `"2026-03-01T04:00:00.123Z"`, at, ""},
		{"sqlserver", "datetime2", "timestamp", `"2026-03-01T04:00:00.1234567Z"`, at, "exactly"},
		{"sqlserver", "datetime", "timestamp", `"2026-03-01T04:00:00.124Z"`, at, "a column of type datetime cannot hold"},
		{"sqlserver", "datetime", "timestamp", `"2026-03-01T04:00:00.123Z"`, at, ""},
		{"sqlserver", "smalldatetime", "timestamp", `"2026-03-01T04:00:20Z"`, at.Truncate(time.Minute), "a column of type smalldatetime cannot hold"},
		{"sqlserver", "datetimeoffset", "timestamp", `"2026-03-01T12:00:00.123+08:00"`, at.In(time.FixedZone("", 8*3600)), ""},
		{"sqlserver", "nvarchar", "text", `"abc  "`, "abc", "cannot hold the text exactly"},
		{"sqlserver", "nvarchar", "text", `""`, "", ""},
		{"sqlserver", "varchar", "text", `"abcdef"`, "abc", "cannot hold the text exactly"},
		{"oracle", "number", "decimal", `1.005`, "1.01", "cannot hold 1.005 exactly"},
		{"oracle", "number", "decimal", `"12345678901234567890.123456789"`, "12345678901234567890.123456789", ""},
		{"oracle", "binary_double", "decimal", `12345678901234567.89`, 1.2345678901234568e16, "exactly"},
		{"oracle", "binary_float", "decimal", `16777217`, float64(16777216), "exactly"},
		{"oracle", "date", "timestamp", `"2026-03-01T04:00:00.123Z"`, " 2026-03-01T04:00:00", "exactly"},
		{"oracle", "date", "timestamp", `"2026-03-01T04:00:00Z"`, " 2026-03-01T04:00:00", ""},
		{"oracle", "timestamp(3)", "timestamp", `"2026-03-01T04:00:00.1239Z"`, " 2026-03-01T04:00:00.124000000", "exactly"},
		{"oracle", "timestamp(6) with time zone", "timestamp", `"2026-03-01T12:00:00.123+08:00"`, " 2026-03-01T04:00:00.123000000", ""},
		{"oracle", "varchar2", "text", `""`, nil, "takes an empty text for null"},
		{"oracle", "varchar2", "text", `null`, nil, ""},
		{"oracle", "varchar2", "text", `"abc "`, "abc ", ""},
		{"oracle", "char", "text", `"abc "`, "abc", "cannot hold the text exactly"},
		{"hana", "decimal", "decimal", `1.005`, "1.00", "cannot hold 1.005 exactly"},
		{"hana", "smalldecimal", "decimal", `"1.50"`, "1.5", ""},
		{"hana", "double", "decimal", `12345678901234567.89`, 1.2345678901234568e16, "exactly"},
		{"hana", "real", "decimal", `0.1`, float64(float32(0.1)), ""},
		{"hana", "seconddate", "timestamp", `"2026-03-01T04:00:00.9Z"`, "2026-03-01T04:00:00", "exactly"},
		{"hana", "timestamp", "timestamp", `"2026-03-01T04:00:00.1234567Z"`, "2026-03-01T04:00:00.1234567", ""},
		{"hana", "nvarchar", "text", `"abc"`, "abc", ""},
	} {
		db, r := recordedSystem(t, tc.kind, "objects: {item: {table: s.items, columns: {id: integer, v: "+tc.typ+"}}}")
		r.learnt("(?s)(FROM all_indexes|FROM sys.indexes)", "documents", "name,unique,column", [][]driver.Value{{"documents_pk", int64(1), "company"}, {"documents_pk", int64(1), "doc_no"},
			{"documents_pk", int64(1), "day"}, {"documents_external", int64(1), "external_id"}})
		r.on("sys.databases", "snapshots", []driver.Value{int64(0)})
		if tc.kind == "sqlserver" {
			collation := ""
			if strings.Contains(tc.column, "char") {
				collation = "Latin1_General_CI_AS"
			}
			r.learnt("FROM sys.columns", "items", "name,kind,collation,scale,nullable,length,precision", [][]driver.Value{{"id", "int", "", int64(0), false, int64(4), int64(10)}, {"v", tc.column, collation, int64(3), true, int64(40), int64(18)}})
		} else {
			number := map[string]string{"oracle": "number", "hana": "integer"}[tc.kind]
			r.learnt("(all_tab_columns|sys.table_columns)", "items", "name,kind,scale,nullable,length,precision", [][]driver.Value{{"id", number, int64(0), int64(0), int64(4), int64(10)}, {"v", tc.column, int64(3), int64(1), int64(40), int64(18)}})
		}
		r.on(`(?s)^(DECLARE|INSERT|BEGIN)`, "id", []driver.Value{"1"})
		r.types = map[int]string{3: strings.ToUpper(tc.column)}
		r.on(`(?s)^SELECT .* FROM "s"."items" t `, "id,version,id,v", []driver.Value{"1", nil, "1", tc.stored})
		_, err := db.Write(t.Context(), connector.Write{Object: "item", Action: connector.Create, Doc: []byte(`{"id":1,"v":` + tc.sent + `}`)})
		if (err == nil) != (tc.refused == "") || err != nil && (fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("%s %s as %s, %s becomes %v: %v", tc.kind, tc.column, tc.typ, tc.sent, tc.stored, err)
		}
		if committed := strings.Contains(r.text(), "commit"); committed != (tc.refused == "") {
			t.Errorf("%s %s as %s, %s: committed %v", tc.kind, tc.column, tc.typ, tc.sent, committed)
		}
	}
}

// TestPatterns: a pattern names every letter, and of a text that is too long for one its beginning.
func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		value, want string
		rule        connector.Compare
	}{
		{"50%_[x]", "50[%][_][[][xX]]", connector.Fold},
		{"kß", "[kK][ßẞ]", connector.Fold},
		{"a-b", "a-b", connector.Number},
		{"𐐨1", "__1", connector.Fold},
	} {
		if got := likePattern(tc.value, tc.rule); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.value, got, tc.want)
		}
	}
	db, _ := recordedSystem(t, "oracle", recordedOrders)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-zÄßk. ()$\[0-9]{0,400}`).Draw(t, "value")
		st := db.statement("")
		oracle{}.same(st, "c", value, connector.Fold)
		p := st.args[0].(string)
		if len(p) > 512 {
			t.Fatalf("%d bytes", len(p))
		}
		re, err := regexp.Compile(p)
		if err != nil || !re.MatchString(value) || !re.MatchString(strings.ToUpper(value)) && !strings.Contains(value, "ß") {
			t.Fatalf("%v: %s does not fit %q", err, p, value)
		}
	})
}

// TestIdentityOfAnother: in SAP HANA the number that a session was given last may be another table's. It is not taken for the new row's id.
func TestIdentityOfAnother(t *testing.T) {
	db, r := recordedSystem(t, "hana", recordedOrders)
	r.catalogue("hana")
	r.on(`CURRENT_IDENTITY_VALUE`, "id", []driver.Value{"4711"})
	r.on(`(?s)^SELECT COUNT.* WHERE "id" = `, "n", []driver.Value{int64(0)})
	_, err := db.Write(t.Context(), connector.Write{Object: "order", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"A"}`)})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "make id an identity column") || !strings.Contains(r.text(), "rollback") {
		t.Errorf("%v\n%s", err, r.text())
	}
}
