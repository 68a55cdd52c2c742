package sql

import (
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

const called1 = `
objects:
  x:
    table: made
    id: no
    external-id: ext
    version: rev
    columns: {no: integer, ext: text, code: text, price: decimal, rev: integer}
    children: {lines: {table: made_lines, parent: made_no, key: n, columns: {n: integer, sku: text}}}
    procedures:
      create:
        call: make_it
        in: {p_ext: hub.external-id, p_code: code, p_price: price, p_lines: lines}
        out: [p_no, p_status, p_message]
        id: p_no
        status: p_status
        success: [OK]
        error: p_message
        kinds: {BUSY: unavailable, TWICE: duplicate}
      update: {call: change_it, in: {p_no: hub.id, p_code: code}, out: [p_status], status: p_status, success: [OK]}
`

// procedures makes what the settings above call, in the database's own language.
func (p *place) procedures(t testing.TB) {
	t.Helper()
	if p.kind == "postgres" {
		p.exec(t, `CREATE TABLE made (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ext text UNIQUE, code text, price numeric(10,2), rev int DEFAULT 1)`)
		p.exec(t, `CREATE TABLE made_lines (made_no bigint, n int, sku text)`)
		p.exec(t, `CREATE TABLE log (what text)`)
		p.exec(t, `CREATE PROCEDURE make_it(p_ext text, p_code text, INOUT p_no bigint, INOUT p_status text, INOUT p_message text, p_price numeric DEFAULT 9, p_lines jsonb DEFAULT '[]') LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log VALUES (p_code);
  IF p_code = 'busy' THEN p_status := 'BUSY'; p_message := 'the period is closed for a moment'; RETURN; END IF;
  IF p_code = 'twice' THEN p_status := 'TWICE'; p_message := 'it is there'; RETURN; END IF;
  IF p_code = 'no' THEN p_status := 'E'; p_message := 'customer 4711 has no credit'; RETURN; END IF;
  IF p_code = 'raise' THEN RAISE EXCEPTION 'stop: %', p_code; END IF;
  IF p_code = 'commit' THEN COMMIT; END IF;
  INSERT INTO made (ext, code, price) VALUES (p_ext, p_code, p_price) RETURNING no INTO p_no;
  INSERT INTO made_lines SELECT p_no, (l->>'n')::int, l->>'sku' FROM jsonb_array_elements(p_lines) l;
  p_status := 'OK';
END $$`)
		p.exec(t, `CREATE FUNCTION change_fn(p_no bigint, p_code text, OUT p_status text) LANGUAGE plpgsql AS $$
BEGIN UPDATE made SET code = p_code, rev = rev + 1 WHERE no = p_no; p_status := 'OK'; END $$`)
		p.exec(t, `CREATE PROCEDURE change_it(p_no bigint, p_code text, INOUT p_status text) LANGUAGE plpgsql AS $$
BEGIN UPDATE made SET code = p_code, rev = rev + 1 WHERE no = p_no; p_status := 'OK'; END $$`)
		return
	}
	p.exec(t, `CREATE TABLE made (no bigint AUTO_INCREMENT PRIMARY KEY, ext varchar(40) UNIQUE, code varchar(20), price decimal(10,2), rev int DEFAULT 1)`)
	p.exec(t, `CREATE TABLE made_lines (made_no bigint, n int, sku varchar(20))`)
	p.exec(t, `CREATE TABLE log (what text)`)
	p.exec(t, `CREATE PROCEDURE make_it(OUT p_no bigint, IN p_ext varchar(40), IN p_code varchar(20), IN p_price decimal(10,4), IN p_lines json, OUT p_status varchar(10), OUT p_message varchar(100))
BEGIN
  INSERT INTO log VALUES (p_code);
  IF p_code = 'busy' THEN SET p_status = 'BUSY', p_message = 'the period is closed for a moment';
  ELSEIF p_code = 'twice' THEN SET p_status = 'TWICE', p_message = 'it is there';
  ELSEIF p_code = 'no' THEN SET p_status = 'E', p_message = 'customer 4711 has no credit';
  ELSEIF p_code = 'raise' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stop: raise';
  ELSE
    IF p_code = 'commit' THEN COMMIT; END IF;
    INSERT INTO made (ext, code, price) VALUES (p_ext, p_code, COALESCE(p_price, 9));
    SET p_no = LAST_INSERT_ID();
    INSERT INTO made_lines SELECT p_no, l.n, l.sku FROM JSON_TABLE(COALESCE(p_lines, '[]'), '$[*]' COLUMNS (n int PATH '$.n', sku varchar(20) PATH '$.sku')) l;
    SET p_status = 'OK';
  END IF;
END`)
	p.exec(t, `CREATE PROCEDURE change_it(IN p_no bigint, IN p_code varchar(20), OUT p_status varchar(10))
BEGIN UPDATE made SET code = p_code, rev = rev + 1 WHERE no = p_no; SET p_status = 'OK'; END`)
	p.exec(t, `CREATE FUNCTION change_fn(p_no bigint, p_code varchar(20)) RETURNS varchar(10) DETERMINISTIC
BEGIN UPDATE made SET code = p_code, rev = rev + 1 WHERE no = p_no; RETURN 'OK'; END`)
	p.exec(t, `CREATE PROCEDURE show_it(IN p_ext varchar(40), IN p_code varchar(20))
BEGIN INSERT INTO made (ext, code, price) VALUES (p_ext, p_code, 9); SELECT LAST_INSERT_ID() AS no, 'OK' AS status; SELECT 2 AS more; END`)
}

// called runs a test on the databases that have procedures.
func onProcedures(t *testing.T, test func(t *testing.T, p *place)) {
	for _, kind := range []string{"postgres", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			p := places[kind](t)
			p.procedures(t)
			test(t, p)
		})
	}
}

// TestProcedures: what a procedure answers is believed, and what it refuses is rolled back.
func TestProcedures(t *testing.T) {
	onProcedures(t, func(t *testing.T, p *place) {
		db := open(t, p, called1)
		create := func(external, doc string) (connector.Result, error) {
			return db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: external, IdempotencyKey: external, Doc: []byte(doc)})
		}
		made, err := create(hubID, `{"code":"A'1","price":"12.50","lines":[{"n":1,"sku":"007"},{"n":2,"sku":"008"}]}`)
		if err != nil || made.Local != "1" || !strings.Contains(string(made.Doc), `"code":"A'1"`) || !strings.Contains(string(made.Doc), `"price":12.50`) || !strings.Contains(string(made.Doc), `[{"n":1,"sku":"007"},{"n":2,"sku":"008"}]`) {
			t.Fatalf("%+v %s %v", made, made.Doc, err)
		}
		for _, tc := range []struct {
			external, doc string
			kind          fault.Kind
			duplicate     bool
			code, text    string
		}{
			{hubID, `{"code":"again"}`, fault.Conflict, true, "", "external id exists"},
			{"e1", `{"code":"busy"}`, fault.Unavailable, false, "BUSY", "closed for a moment"},
			{"e1", `{"code":"twice"}`, fault.Conflict, true, "TWICE", "it is there"},
			{"e1", `{"code":"no"}`, fault.Invalid, false, "E", "customer 4711 has no credit"},
			{"e1", `{"code":"raise"}`, fault.Invalid, false, map[string]string{"postgres": "P0001", "mysql": "MYSQL_1644"}[p.kind], "stop: raise"},
			{"e1", `{"code":"x","price":1.005}`, fault.Invalid, false, "", "cannot hold 1.005 exactly"},
			{"e1", `{"code":"x","rev":3}`, fault.Invalid, false, "", "no parameter of make_it takes it"},
		} {
			_, err := create(tc.external, tc.doc)
			f, _ := fault.As(err)
			if f == nil || f.Kind != tc.kind || f.Duplicate != tc.duplicate || f.Code != tc.code || !strings.Contains(f.Error(), tc.text) {
				t.Errorf("%s: %+v", tc.doc, err)
			}
		}
		if n := p.text(t, "SELECT count(*) FROM log"); n != "1" {
			t.Errorf("%s calls have left something, of which one was taken", n)
		}
		if res, err := create("e2", `{"code":"B"}`); err != nil || !strings.Contains(string(res.Doc), `"price":9.00`) {
			t.Errorf("a parameter without a value: %s %v", res.Doc, err)
		}
		// Updates are guarded by the version, and an action without a procedure is refused.
		update := func(local, etag string) (connector.Result, error) {
			return db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Update, Local: local, ETag: etag, Doc: []byte(`{"code":"C"}`)})
		}
		if res, err := update("1", made.ETag); err != nil || res.ETag != "2" || !strings.Contains(string(res.Doc), `"code":"C"`) {
			t.Errorf("%+v %v", res, err)
		}
		if _, err := update("1", made.ETag); fault.KindOf(err) != fault.Conflict {
			t.Errorf("under an old token: %v", err)
		}
		if _, err := update("4711", ""); fault.KindOf(err) != fault.NotFound {
			t.Errorf("of nothing: %v", err)
		}
		if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Delete, Local: "1"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "no procedure") {
			t.Errorf("delete: %v", err)
		}
	})
}

// TestProcedureThatCommits: PostgreSQL refuses it, and elsewhere nobody knows what it has left.
func TestProcedureThatCommits(t *testing.T) {
	onProcedures(t, func(t *testing.T, p *place) {
		db := open(t, p, called1)
		_, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"commit"}`)})
		want, left := fault.UnknownOutcome, "1"
		if p.kind == "postgres" {
			want, left = fault.Invalid, "0"
		}
		if fault.KindOf(err) != want {
			t.Errorf("%v", err)
		}
		if n := p.text(t, "SELECT count(*) FROM log"); n != left {
			t.Errorf("%s rows are left", n)
		}
		// The connection is as it was.
		if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: "e9", Doc: []byte(`{"code":"A"}`)}); err != nil {
			t.Error(err)
		}
	})
}

// TestFunctions: a function's row, or its value, is its answer.
func TestFunctions(t *testing.T) {
	onProcedures(t, func(t *testing.T, p *place) {
		p.exec(t, "INSERT INTO made (ext, code, price) VALUES ('e', 'A', 1)")
		status := map[string]string{"postgres": "p_status", "mysql": "return"}[p.kind]
		db := open(t, p, `
objects:
  x:
    table: made
    id: no
    columns: {no: integer, code: text}
    procedures:
      update: {call: change_fn, function: true, in: {p_no: hub.id, p_code: code}, status: `+status+`, success: [OK]}
`)
		res, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Update, Local: "1", Doc: []byte(`{"code":"B"}`)})
		if err != nil || string(res.Doc) != `{"code":"B","no":1}` {
			t.Errorf("%s %v", res.Doc, err)
		}
	})
}

// TestResultSet: the first row of what a procedure shows is its answer, and what follows is read to its end.
func TestResultSet(t *testing.T) {
	p := newMySQL(t)
	p.procedures(t)
	db := open(t, p, `
objects:
  x:
    table: made
    id: no
    external-id: ext
    columns: {no: integer, ext: text, code: text}
    procedures:
      create: {call: show_it, in: {p_ext: hub.external-id, p_code: code}, id: no, status: status, success: [OK]}
`)
	for n, want := range []string{"1", "2"} {
		res, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: []string{"e1", "e2"}[n], Doc: []byte(`{"code":"B"}`)})
		if err != nil || res.Local != want {
			t.Errorf("%+v %v", res, err)
		}
	}
}

// TestProcedureInADeadlock: the server has rolled everything back by itself, so that the outcome is known, and the call is made again.
func TestProcedureInADeadlock(t *testing.T) {
	p := newMySQL(t)
	p.procedures(t)
	p.exec(t, "INSERT INTO made (ext, code, price) VALUES ('e', 'A', 1)")
	p.exec(t, `CREATE PROCEDURE meet_it(IN p_no bigint)
BEGIN ROLLBACK; SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'; END`)
	db := open(t, p, "objects: {x: {table: made, id: no, columns: {no: integer, code: text}, procedures: {delete: {call: meet_it, in: {p_no: hub.id}}}}}")
	_, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Delete, Local: "1"})
	if f, _ := fault.As(err); f == nil || f.Kind != fault.Unavailable || f.Code != "MYSQL_1213" {
		t.Errorf("%v", err)
	}
}

// TestProcedureAnswersLittle: an answer that leaves open what was made, or whether it was, is none; and a parameter that the procedure does not have is not left out.
func TestProcedureAnswersLittle(t *testing.T) {
	p := newMySQL(t)
	p.procedures(t)
	p.exec(t, "CREATE PROCEDURE little(IN p_ext varchar(40), OUT p_no bigint) BEGIN END")
	for call, want := range map[string]string{
		"in: {p_ext: hub.external-id}, out: [p_no]":                                    "little has made 0 rows with the external id",
		"in: {p_ext: hub.external-id}, out: [p_no], id: p_no":                          "its p_no is empty",
		"in: {p_ext: hub.external-id}, out: [p_no], status: p_no, success: [\"\", OK]": "little has refused it with p_no null",
		"in: {p_wrong: hub.external-id}":                                               "little has no parameter p_wrong",
	} {
		db := open(t, p, "objects: {x: {table: made, id: no, external-id: ext, columns: {no: integer, ext: text}, procedures: {create: {call: little, "+call+"}}}}")
		if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte("{}")}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// TestSameName: a procedure and a function may have one name in MariaDB; the parameters are those of the one that is called.
func TestSameName(t *testing.T) {
	p := newMySQL(t)
	p.procedures(t)
	p.exec(t, "INSERT INTO made (ext, code, price) VALUES ('e', 'A', 1)")
	p.exec(t, `CREATE PROCEDURE twin(IN p_code varchar(20), IN p_no bigint, OUT p_status varchar(10))
BEGIN UPDATE made SET code = CONCAT(p_code, '!') WHERE no = p_no; SET p_status = 'OK'; END`)
	p.exec(t, `CREATE FUNCTION twin(p_no bigint, p_code varchar(20)) RETURNS varchar(10) DETERMINISTIC
BEGIN UPDATE made SET code = p_code WHERE no = p_no; RETURN 'OK'; END`)
	for rest, want := range map[string]string{"function: true, status: return": "B", "out: [p_status], status: p_status": "B!"} {
		db := open(t, p, `
objects:
  x:
    table: made
    id: no
    columns: {no: integer, code: text}
    procedures:
      update: {call: twin, in: {p_no: hub.id, p_code: code}, success: [OK], `+rest+`}
`)
		if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Update, Local: "1", Doc: []byte(`{"code":"B"}`)}); err != nil {
			t.Errorf("%s: %v", rest, err)
		}
		if got := p.text(t, "SELECT code FROM made"); got != want {
			t.Errorf("%s: %s, want %s", rest, got, want)
		}
	}
}

// TestProcedureStatements writes down how procedures are called on the servers that there is none of here.
func TestProcedureStatements(t *testing.T) {
	for _, kind := range []string{"sqlserver", "oracle", "hana"} {
		t.Run(kind, func(t *testing.T) {
			objects := strings.NewReplacer("table: made_lines", "table: sales.lines", "table: made", "table: sales.orders", "id: no", "id: id", "{no: integer, ext: text", "{id: integer, external_id: text",
				"external-id: ext", "external-id: external_id", "rev: integer", "express: integer", "version: rev", "version: express", "parent: made_no, key: n, columns: {n: integer",
				"parent: order_id, key: line_no, columns: {line_no: integer", "make_it", "sales.make_it", "change_it", "sales.change_it").Replace(called1)
			db, r := recordedSystem(t, kind, objects)
			r.catalogue(kind)
			r.on(`(?s)^(DECLARE|BEGIN|CALL)`, "waybill_return,waybill_open,waybill_1,waybill_2,waybill_3", []driver.Value{"0", "1", "7", "OK", nil})
			if kind != "sqlserver" {
				r.on(`(?s)^(BEGIN|CALL)`, "p_no,p_status,p_message", []driver.Value{"7", "OK", ""})
				r.ordered = []string{"p_no", "p_status", "p_message"}
			}
			r.on(`(?s)^SELECT .* FROM "sales"."orders" WHERE`, "one", []driver.Value{int64(1)})
			r.on(`(?s)^SELECT 1 FROM "sales"."orders" WHERE "?RTRIM|^SELECT 1 FROM "sales"."orders" WHERE .*external_id`, "one")
			r.on(`(?s)^SELECT .* FROM "sales"."orders" t `, "id,version,code,express,external_id,id,price", []driver.Value{"7", "1", "A", "1", hubID, "7", "12.50"})
			r.on(`(?s)^SELECT .* FROM "sales"."lines" t `, "order_id,line_no,sku", []driver.Value{"7", "1", "007"})
			res, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"A","price":"12.50","lines":[{"line_no":1,"sku":"007"}]}`)})
			if err != nil || res.Local != "7" {
				t.Errorf("%+v %v\n%s", res, err, r.text())
			}
			connectortest.Golden(t, filepath.Join("testdata", "statements", kind+"-procedure.golden"), []byte(r.text()))
			if kind != "sqlserver" {
				return
			}
			r.on(`(?s)^DECLARE`, "waybill_return,waybill_open,waybill_1,waybill_2,waybill_3", []driver.Value{"0", "0", "7", "OK", nil})
			if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"A"}`)}); fault.KindOf(err) != fault.UnknownOutcome {
				t.Errorf("a procedure that has ended the transaction: %v", err)
			}
			r.on(`(?s)^DECLARE`, "p_no,p_status", []driver.Value{"7", "OK"})
			if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"A"}`)}); fault.KindOf(err) != fault.UnknownOutcome {
				t.Errorf("an answer without the hub's own row: %v", err)
			}
			r.fails(`(?s)^DECLARE`, mssql.Error{Number: 50000, Message: "no credit", All: []mssql.Error{{Number: 266}, {Number: 50000}}})
			if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: hubID, Doc: []byte(`{"code":"A"}`)}); fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), "no credit") {
				t.Errorf("a procedure that has ended the transaction, and fails: %v", err)
			}
		})
	}
}

// orderProcedures write what the hub's own statements write otherwise.
var orderProcedures = []string{`
CREATE PROCEDURE put_lines(p_id bigint, p_doc jsonb) LANGUAGE plpgsql AS $$
BEGIN
  IF p_doc ? 'lines' THEN
    DELETE FROM order_lines WHERE order_id = p_id;
    INSERT INTO order_lines (order_id, line_no, sku, quantity)
      SELECT p_id, (l->>'line_no')::int, l->>'sku', (l->>'quantity')::numeric FROM jsonb_array_elements(p_doc->'lines') l;
  END IF;
  IF p_doc ? 'notes' THEN
    DELETE FROM notes WHERE order_id = p_id;
    INSERT INTO notes (order_id, seq, body) SELECT p_id, (l->>'seq')::int, l->>'body' FROM jsonb_array_elements(p_doc->'notes') l;
  END IF;
END $$`, `
CREATE PROCEDURE create_order(p_ext text, p_doc jsonb, INOUT p_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO orders (external_id, code, name, price, express, day, placed_at, rev, payload)
    VALUES (p_ext, p_doc->>'code', p_doc->>'name', (p_doc->>'price')::numeric, (p_doc->>'express')::boolean, (p_doc->>'day')::date, (p_doc->>'placed_at')::timestamptz,
      (p_doc->>'rev')::int, (p_doc->'payload')::text) RETURNING id INTO p_id;
  CALL put_lines(p_id, p_doc);
END $$`, `
CREATE PROCEDURE change_order(p_id bigint, p_doc jsonb) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE orders SET name = CASE WHEN p_doc ? 'name' THEN p_doc->>'name' ELSE name END, price = CASE WHEN p_doc ? 'price' THEN (p_doc->>'price')::numeric ELSE price END,
    rev = CASE WHEN p_doc ? 'rev' THEN (p_doc->>'rev')::int ELSE rev END, code = CASE WHEN p_doc ? 'code' THEN p_doc->>'code' ELSE code END,
    updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond') WHERE id = p_id;
  CALL put_lines(p_id, p_doc);
END $$`, `
CREATE PROCEDURE delete_order(p_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM order_lines WHERE order_id = p_id;
  DELETE FROM notes WHERE order_id = p_id;
  DELETE FROM orders WHERE id = p_id;
END $$`}

// TestConformanceOfProcedures: what is written by procedures keeps what every connector keeps.
func TestConformanceOfProcedures(t *testing.T) {
	objects := strings.Replace(strings.Replace(orders, "    generated: true\n", "", 1), "    touch: true\n", `    procedures:
      create: {call: create_order, in: {p_ext: hub.external-id, p_doc: hub.document}, out: [p_id], id: p_id}
      update: {call: change_order, in: {p_id: hub.id, p_doc: hub.document}}
      delete: {call: delete_order, in: {p_id: hub.id}}
`, 1)
	connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
		p := newPostgres(t)
		p.tables(t)
		for _, text := range orderProcedures {
			p.exec(t, text)
		}
		s := subject(t, p, objects)
		s.Refusals = nil // a procedure tells nobody what it has not done
		return s
	})
}
