package sql

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql/driver"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// within waits until a query of the test's own connection answers 1.
func (p *place) within(t *testing.T, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond) // innodb_trx shows what it has shown before to who asks again within 100 ms of the last time
	defer tick.Stop()
	for p.text(t, query, args...) != "1" {
		select {
		case <-ctx.Done():
			t.Fatalf("never 1: %s; at work: %s", query, p.text(t, "SELECT group_concat(command || ' ' || coalesce(info, '')) FROM information_schema.processlist WHERE db = DATABASE()"))
		case <-tick.C:
		}
	}
}

const waiting = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE ?"

// TestNothingGoesOnAfterTheDeadline: what nobody waits for any more is ended on the server too, which would go on waiting for a lock, and hold others.
func TestNothingGoesOnAfterTheDeadline(t *testing.T) {
	p := newMySQL(t)
	p.tables(t)
	db := open(t, p, "timeout: 10m\n"+strings.Replace(orders, "  order:", "  x:", 1)) // nothing but the KILL ends its wait in time
	r := mustWrite(t, db, connector.Create, "", `{"code":"A"}`)
	tx, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE orders SET name = 'mine'"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := db.Write(ctx, connector.Write{Object: "x", Action: connector.Update, Local: r.Local, Doc: []byte(`{"name":"hub"}`)})
		done <- err
	}()
	name := p.text(t, "SELECT DATABASE()")
	p.within(t, "SELECT count(*) FROM information_schema.processlist WHERE db = ? AND command IN ('Execute', 'Query') AND info LIKE 'UPDATE%'", name)
	cancel()
	if err := <-done; fault.KindOf(err) != fault.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	p.within(t, "SELECT count(*) = 0 FROM information_schema.processlist WHERE db = ? AND info LIKE 'UPDATE%'", name)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := p.text(t, "SELECT name FROM orders"); got != "" {
		t.Errorf("it was written: %s", got)
	}
	mustWrite(t, db, connector.Update, r.Local, `{"name":"hub"}`)
}

// TestKillSparesOthers: a connection with the number of a lost one, on another server or after a new start, is somebody else's.
func TestKillSparesOthers(t *testing.T) {
	p := newMySQL(t)
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer}}}")
	other, err := p.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var id string
	if err := other.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	mine, err := db.sql.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if err := mine.Raw(func(c any) error {
		conn := c.(*mysqlConn)
		for _, s := range []mysqlServer{{"elsewhere", conn.server.start}, {conn.server.host, conn.server.start - 1000}} {
			(&mysqlConn{connector: conn.connector, id: id, server: s}).kill()
			if err := other.PingContext(t.Context()); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
		}
		(&mysqlConn{connector: conn.connector, id: id, server: conn.server}).kill()
		if err := other.PingContext(t.Context()); err == nil {
			t.Error("the right one is not ended")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestSessionOfMariaDB: how the server has to take what the hub sends, also when a transaction of many is over.
func TestSessionOfMariaDB(t *testing.T) {
	p := newMySQL(t)
	db := open(t, p, "timeout: 7s\nlimit: {concurrency: 1}\nobjects: {x: {table: x, columns: {id: integer}}}")
	session := func() string {
		t.Helper()
		var mode, zone, lock, most, level string
		if err := db.sql.QueryRowContext(t.Context(), "SELECT @@sql_mode, @@time_zone, @@innodb_lock_wait_timeout, @@max_statement_time, @@tx_isolation").Scan(&mode, &zone, &lock, &most, &level); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(mode, "STRICT_ALL_TABLES") || strings.Contains(mode, "NO_BACKSLASH_ESCAPES") {
			t.Errorf("sql_mode %s", mode)
		}
		return strings.Join([]string{zone, lock, most, level}, " ")
	}
	const want = "+00:00 7 8 READ-COMMITTED"
	if got := session(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	tx, err := db.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), db.dialect.lockWait()); err != nil {
		t.Fatal(err)
	}
	var lock string
	if err := tx.QueryRowContext(t.Context(), "SELECT @@innodb_lock_wait_timeout").Scan(&lock); err != nil || lock != "1" {
		t.Errorf("a transaction of many waits %s s for a lock (%v)", lock, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := session(); got != want {
		t.Errorf("afterwards %s, want %s", got, want)
	}
	read, err := db.reading(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer read.Rollback()
	p.exec(t, "CREATE TABLE x (id int PRIMARY KEY)")
	if _, err := read.ExecContext(t.Context(), "INSERT INTO x VALUES (1)"); err == nil || !strings.Contains(err.Error(), "1792") {
		t.Errorf("a transaction that reads can write: %v", err)
	}
}

// TestDeadlockIsTransient: the server rolls the hub's transaction back, which is made again later.
func TestDeadlockIsTransient(t *testing.T) {
	p := newMySQL(t)
	p.tables(t)
	db := open(t, p, strings.Replace(orders, "  order:", "  x:", 1))
	r := mustWrite(t, db, connector.Create, "", `{"code":"A","lines":[{"line_no":1,"sku":"a","quantity":1}]}`)
	p.exec(t, "CREATE TABLE heavy (id int PRIMARY KEY)")
	tx, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, q := range []string{"INSERT INTO heavy SELECT seq FROM seq_1_to_500", "UPDATE order_lines SET picked = 1"} { // what has done more is not the one that is rolled back
		if _, err := tx.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := db.Write(context.Background(), connector.Write{Object: "x", Action: connector.Update, Local: r.Local, Doc: []byte(`{"name":"hub","lines":[{"line_no":1,"sku":"b","quantity":1}]}`)})
		done <- err
	}()
	p.within(t, waiting, "%order_lines%")
	if _, err := tx.Exec("UPDATE orders SET name = 'theirs'"); err != nil {
		t.Fatal(err)
	}
	f, ok := fault.As(<-done)
	if !ok || f.Kind != fault.Unavailable || f.Code != "MYSQL_1213" {
		t.Errorf("%v", f)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := p.text(t, "SELECT name || ' ' || (SELECT sku FROM order_lines) FROM orders"); got != "theirs a" {
		t.Errorf("%s", got)
	}
}

// TestTogetherInADeadlock: a deadlock in a transaction of many takes them all back; each is made all the same.
func TestTogetherInADeadlock(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE item (id int PRIMARY KEY, n int, external_id varchar(40))")
	p.exec(t, "INSERT INTO item SELECT seq, 0, NULL FROM seq_1_to_10")
	p.exec(t, "CREATE TABLE once (id int AUTO_INCREMENT PRIMARY KEY) ENGINE=MyISAM") // keeps what is rolled back
	p.exec(t, `CREATE TRIGGER dead BEFORE UPDATE ON item FOR EACH ROW IF NEW.n = 5 THEN
		INSERT INTO once VALUES (); IF LAST_INSERT_ID() = 1 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'; END IF; END IF`)
	db := open(t, p, "limit: {concurrency: 1}\nobjects: {item: {table: item, columns: {id: integer, n: integer}}}")
	var writes []connector.Write
	for i := 1; i <= 10; i++ {
		writes = append(writes, connector.Write{Object: "item", Action: connector.Update, Local: fmt.Sprint(i), Doc: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	_, errs := newCrowd(db).make(t, nil, writes)
	for i, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", i+1, err)
		}
	}
	if got := p.text(t, "SELECT count(*) FROM item WHERE n = id"); got != "10" {
		t.Errorf("%s of 10 were made", got)
	}
}

// TestTablesThatAreNotSafe: what has no transactions is not written to, and what cannot be compared rightly is not asked.
func TestTablesThatAreNotSafe(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id int PRIMARY KEY, n int) ENGINE=MyISAM")
	p.exec(t, "INSERT INTO x VALUES (1, 1)")
	p.exec(t, "CREATE TABLE h (id int PRIMARY KEY, n int)")
	p.exec(t, "CREATE TABLE l (h int, n int) ENGINE=Aria TRANSACTIONAL=0")
	p.exec(t, "CREATE TABLE m (h varchar(10), n int)")
	p.exec(t, "INSERT INTO h VALUES (1, 1)")
	for name, tc := range map[string]struct{ settings, why string }{
		"the table":        {"table: x, columns: {id: integer, n: integer}", "the table x has the engine MyISAM"},
		"a child":          {"table: h, columns: {id: integer, n: integer}, children: {l: {table: l, parent: h, key: n, columns: {n: integer}}}", "the table l has the engine Aria"},
		"a child's parent": {"table: h, columns: {id: integer, n: integer}, children: {l: {table: m, parent: h, key: n, columns: {n: integer}}}", "m.h is a column of texts"},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, p, "objects: {x: {"+tc.settings+"}}")
			if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "1"}); err != nil || len(found) != 1 {
				t.Errorf("it cannot be read: %v", err)
			}
			for _, action := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
				if _, err := write(t, db, action, "1", `{"n":2}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.why) {
					t.Errorf("%s: %v", action, err)
				}
			}
			s, err := db.Sample(t.Context(), "x")
			if err != nil || s.Record == nil || !strings.Contains(s.Columns[0].Odd, tc.why) {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
	for column, tc := range map[string]struct{ typ, why string }{
		"float": {"decimal", "a column of type float"}, "bit(8)": {"integer", "a column of type bit"}, "enum('a','b')": {"text", "a column of type enum"},
		"binary(16)": {"text", "a column of type binary"}, "varchar(10)": {"integer", "is a column of texts (varchar), and the settings say integer"},
	} {
		t.Run("id of "+column, func(t *testing.T) {
			p.exec(t, "CREATE OR REPLACE TABLE y (id "+column+" PRIMARY KEY)")
			db := open(t, p, "objects: {x: {table: y, columns: {id: "+tc.typ+"}}}")
			if _, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "1"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.why) {
				t.Errorf("%v", err)
			}
			s, err := db.Sample(t.Context(), "x")
			if err != nil || s.Record != nil || !strings.Contains(s.Columns[0].Odd, tc.why) {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
	p.exec(t, "CREATE TABLE z (id int PRIMARY KEY, v varchar(30), f float, c varchar(10))")
	if _, err := open(t, p, "objects: {x: {table: z, version: v, columns: {id: integer, v: timestamp}}}").Poll(t.Context(), connector.PollRequest{Object: "x"}); err == nil || !strings.Contains(err.Error(), "must be a DATETIME") {
		t.Errorf("%v", err)
	}
	db := open(t, p, "objects: {x: {table: z, columns: {id: integer, f: decimal, c: integer}}}")
	for column, why := range map[string]string{"f": "is a FLOAT", "c": "is a column of texts"} {
		if _, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{column: "1"}}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", column, err)
		}
	}
}

// TestUpsertTakesNoOther: a create takes over the row that has its external id, and none that has another value which must be there once.
func TestUpsertTakesNoOther(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id int AUTO_INCREMENT PRIMARY KEY, ext varchar(40) UNIQUE, code varchar(20) UNIQUE, n int)")
	p.exec(t, "INSERT INTO x (ext, code, n) VALUES ('e-1', 'A', 1), ('e-2', 'B', 1)")
	db := open(t, p, "objects: {x: {table: x, generated: true, external-id: ext, upsert: true, columns: {id: integer, ext: text, code: text, n: integer}}}")
	create := func(ext, doc string) (connector.Result, error) {
		return db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: ext, Doc: []byte(doc)})
	}
	if r, err := create("e-1", `{"code":"C","n":2}`); err != nil || r.Local != "1" {
		t.Errorf("%+v %v", r, err)
	}
	_, err := create("e-3", `{"code":"B","n":3}`)
	if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || !f.Duplicate {
		t.Errorf("%v", err)
	}
	if _, err := create("e-1", `{"code":"b ","n":3}`); fault.KindOf(err) == fault.None {
		t.Error("the code of another row was taken")
	}
	p.exec(t, "UPDATE x SET code = 'somebody''s' WHERE id = 2")
	if _, err := create("e-3", `{"code":"somebody's","n":3}`); err == nil || strings.Contains(err.Error(), "somebody") || !strings.Contains(err.Error(), "Duplicate entry … for key 'code'") {
		t.Errorf("%v", err)
	}
	p.exec(t, "UPDATE x SET code = 'B' WHERE id = 2")
	if got := p.text(t, "SELECT group_concat(ext || code || n ORDER BY id) FROM x"); got != "e-1C2,e-2B1" {
		t.Errorf("%s", got)
	}
}

// TestConnectionURLs of MySQL: what is wrong is said without the password, and nothing is guessed.
func TestConnectionURLs(t *testing.T) {
	for at, why := range map[string]string{
		"mysql://u:pa55@h/d":                             "",
		"mariadb://u:pa55@h:3307/d?ssl-mode=required":    "",
		"mysql://u:pa55@/d?socket=/run/mysqld.sock":      "",
		"mysql://u:pa55@h":                               "names no database",
		"mysql://u:pa55@h/a/b":                           "names no database",
		"mysql:///d":                                     "names no host",
		"mysql://u:pa55@h/d?tls=true":                    `a parameter "tls"`,
		"mysql://u:pa55@h/d?ssl-mode=on":                 "write one of DISABLED",
		"mysql://u:pa55@h/d?ssl-ca=/etc/ca.pem":          "ssl-ca is for",
		"mysql://u:pa55@h:x/d":                           "no MySQL connection URL",
		"mysql://h/d?ssl-mode=VERIFY_IDENTITY&ssl-ca=/x": "ssl-ca: open /x",
	} {
		t.Setenv("SQL_TEST_URL", at)
		var p strictyaml.Problems
		nodes := strictyaml.Parse("systems.yaml", []byte("connector: sql\ndriver: mysql\nurl: ${env:SQL_TEST_URL}\n"+orders), &p)
		Kind{}.Check(connector.Settings{Name: "erp", Node: nodes[0]}, &p)
		text := fmt.Sprint(p.Err())
		if (why == "") != (p.Err() == nil) || !strings.Contains(text, why) || strings.Contains(text, "pa55") {
			t.Errorf("%s: %v", at, p.Err())
		}
	}
}

// refusing is a connection to a server, or to something before it, that keeps its own settings. There is none here to try.
type refusing struct {
	driverConn
	set   error
	modes string
}

func (r refusing) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, r.set
}

func (r refusing) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	switch {
	case strings.Contains(query, "VERSION"):
		return &oneRow{values: []string{"8.4.3", "7"}}, nil
	case strings.Contains(query, "Uptime"):
		return &oneRow{values: []string{"Uptime", "1"}}, nil
	case strings.Contains(query, "hostname"):
		return &oneRow{values: []string{"h", "1"}}, nil
	}
	return &oneRow{values: []string{r.modes, "+00:00", "utf8mb4", "utf8mb4", "utf8mb4", "1"}}, nil
}

type oneRow struct{ values []string }

func (r *oneRow) Columns() []string { return r.values }
func (r *oneRow) Close() error      { return nil }
func (r *oneRow) Next(into []driver.Value) error {
	for i, v := range r.values {
		into[i] = []byte(v)
	}
	return nil
}

func TestServerThatKeepsItsMode(t *testing.T) {
	for name, tc := range map[string]struct {
		set        error
		modes, why string
	}{
		"refused": {errors.New("no"), "", "does not take the session that the hub needs"},
		"ignored": {nil, "ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO", "keeps the sql_mode"},
		"more":    {nil, sqlMode + ",NO_BACKSLASH_ESCAPES", "does not keep the session"},
		"as told": {nil, sqlMode, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := &mysqlConn{driverConn: refusing{set: tc.set, modes: tc.modes}, connector: &mysqlConnector{dialect: &mysql{}, timeout: time.Second}}
			err := c.begin(t.Context())
			if (tc.why == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.why) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestOtherServers: a server with its own certificate, its own character set for everybody, a statement that is run for each who connects, and a log of
// statements.
func TestOtherServers(t *testing.T) {
	dir := t.TempDir()
	ca := certificate(t, dir, "server")
	wrong := certificate(t, dir, "other")
	s, err := mariatest.Private("--ssl-cert="+filepath.Join(dir, "server.pem"), "--ssl-key="+filepath.Join(dir, "server.key"), "--character-set-server=latin1",
		"--collation-server=latin1_swedish_ci", "--skip-character-set-client-handshake", "--init-connect=SET sql_mode = '', time_zone = '-03:00'", "--log-bin", "--binlog-format=STATEMENT")
	if err != nil {
		needtest.Missing(t, "MariaDB: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin := mariatest.Open(t, s.URL)
	for _, q := range []string{"CREATE DATABASE shop CHARACTER SET utf8mb4", "CREATE TABLE shop.x (id int PRIMARY KEY, name varchar(20) CHARACTER SET utf8mb4, at timestamp(3) NULL)",
		"CREATE USER plain@'%' IDENTIFIED BY 'unused-pa55word'", "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO plain@'%'"} {
		if _, err := admin.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	opened := func(t *testing.T, query string) *database {
		t.Setenv("SQL_TEST_OTHER", "mysql://plain:unused-pa55word@"+u.Host+"/shop?"+query)
		return open(t, &place{head: "connector: sql\ndriver: mysql\nurl: ${env:SQL_TEST_OTHER}\n"}, "objects: {x: {table: x, columns: {id: integer, name: text, at: timestamp}}}")
	}
	for query, why := range map[string]string{
		"ssl-mode=VERIFY_IDENTITY&ssl-ca=" + ca: "", "ssl-mode=VERIFY_IDENTITY&ssl-ca=" + wrong: "certificate", "ssl-mode=VERIFY_IDENTITY": "certificate",
		"ssl-mode=REQUIRED": "", "ssl-mode=DISABLED": "", "": "",
	} {
		t.Run(query, func(t *testing.T) {
			db := opened(t, query)
			err := db.Probe(t.Context())
			if (why == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), why) {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			var name, cipher string
			if err := db.sql.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil || (cipher == "") != (query == "ssl-mode=DISABLED") {
				t.Errorf("cipher %q %v", cipher, err)
			}
		})
	}
	t.Run("texts and times", func(t *testing.T) {
		db := opened(t, "")
		_, err := write(t, db, connector.Create, "", `{"id":1,"name":"x"}`)
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "MYSQL_1665") {
			t.Errorf("a log of statements goes with no isolation but one, which is said: %v", err)
		}
		if _, err := admin.Exec("SET GLOBAL binlog_format = 'ROW'"); err != nil {
			t.Fatal(err)
		}
		db = opened(t, "")
		r := mustWrite(t, db, connector.Create, "", `{"id":1,"name":"中文😀","at":"2026-07-01T10:00:00.5Z"}`)
		docIs(t, r.Doc, `{"id":1,"name":"中文😀","at":"2026-07-01T10:00:00.5Z"}`)
		var hex, at string
		if err := admin.QueryRow("SELECT hex(name), CAST(at AS char) FROM shop.x").Scan(&hex, &at); err != nil || hex != "E4B8ADE69687F09F9880" || at != "2026-07-01 10:00:00.500" {
			t.Errorf("stored as %s %s %v", hex, at, err)
		}
		if _, err := admin.Exec("SET GLOBAL read_only = 1"); err != nil {
			t.Fatal(err)
		}
		if _, err := write(t, db, connector.Update, "1", `{"name":"x"}`); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a standby: %v", err)
		}
		if _, err := admin.Exec("SET GLOBAL read_only = 0, GLOBAL require_secure_transport = 1"); err != nil {
			t.Fatal(err)
		}
		if err := opened(t, "ssl-mode=DISABLED").Probe(t.Context()); fault.KindOf(err) != fault.Auth {
			t.Errorf("%v", err)
		}
	})
	t.Run("rights", func(t *testing.T) {
		for _, q := range []string{"CREATE USER blind@'%' IDENTIFIED BY 'unused-pa55word'", "GRANT INSERT ON shop.x TO blind@'%'"} {
			if _, err := admin.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("SQL_TEST_OTHER", "mysql://blind:unused-pa55word@"+u.Host+"/shop")
		db := open(t, &place{head: "connector: sql\ndriver: mysql\nurl: ${env:SQL_TEST_OTHER}\n"}, "objects: {x: {table: x, columns: {id: integer, name: text}}}")
		_, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"name": "a"}})
		if f, ok := fault.As(err); !ok || f.Kind != fault.Unavailable || f.Code != "MYSQL_1142" || !strings.Contains(err.Error(), "give it the right to read such objects") {
			t.Errorf("%v", err)
		}
	})
}

// certificate makes one that signs itself, for 127.0.0.1.
func certificate(t *testing.T, dir, name string) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name+".pem")
	if err := errors.Join(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}
