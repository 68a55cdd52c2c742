package cli

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) { os.Exit(mariatest.Main(func() int { return pgtest.Main(m) })) }

var (
	sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```")
	theirs   = regexp.MustCompile(`driver: \w+\n( *)url: \$\{env:(\w+)\}`)
)

// recipe is a recipe of the page in a project of its own, with the database or the folder of a test.
type recipe struct {
	sys connector.System
	db  *sql.DB
	sql string // what the page has the database's people do
}

// recipeOf makes a project of what stands below a heading: it passes check as the page shows it, and then has the driver and the address of a database of the tests in its place. What tables does comes before anything is read.
func recipeOf(t *testing.T, title, driver string, tables func(r *recipe)) *recipe {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "recipes-old-systems.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("the page has no %s", title)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	r := &recipe{}
	if m := sqlBlock.FindStringSubmatch(text); m != nil {
		r.sql = m[1]
	}
	t.Chdir(t.TempDir())
	conf := ""
	for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[2], "flow:") {
			write(t, "flows/recipe.yaml", m[2])
		} else {
			conf = "systems:\n  " + strings.ReplaceAll(strings.TrimSuffix(m[2], "\n"), "\n", "\n  ") + "\n"
		}
	}
	if name := theirs.FindStringSubmatch(conf); name != nil {
		t.Setenv(name[2], setting(name[2], conf))
	}
	write(t, "configs/waybill.yaml", conf)
	if code, out, errs := command(t, "check", "--elsewhere"); code != 0 {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	if driver != "" {
		url := ""
		switch driver {
		case "postgres":
			url = pgtest.URL(t)
			if r.db, err = sql.Open("pgx", url); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.db.Close() })
		case "mysql":
			url = mariatest.URL(t)
			r.db = mariatest.Open(t, url)
		}
		t.Setenv("RECIPE_DATABASE", url)
		was := conf
		conf = theirs.ReplaceAllString(conf, "driver: "+driver+"\n${1}url: $${env:RECIPE_DATABASE}")
		if conf == was {
			t.Fatalf("it has no database:\n%s", conf)
		}
		write(t, "configs/waybill.yaml", conf)
	}
	if rests := strings.Replace(conf, "age: 1m", "age: 0s", 1); rests != conf { // nothing has to wait here
		conf = rests
		write(t, "configs/waybill.yaml", conf)
	}
	tables(r)
	if code, out, errs := command(t, "check", "--connect"); code != 0 {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	var p strictyaml.Problems
	system := strictyaml.Parse("configs/waybill.yaml", []byte(conf), &p)[0].Get("systems").Fields()[0]
	kind := kinds.Map()[system.Value.Get("connector").Text()]
	if r.sys, err = kind.Open(t.Context(), connector.Settings{Name: system.Key, Node: system.Value, Dir: "configs"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.sys.Close() })
	return r
}

func (r *recipe) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := r.db.Exec(query, args...); err != nil {
		t.Fatalf("%v: %s", err, query)
	}
}

// schema makes a schema that goes with the test: the server has others, and may have the test again.
func (r *recipe) schema(t *testing.T, name string) {
	t.Helper()
	r.exec(t, "CREATE SCHEMA "+name)
	t.Cleanup(func() { r.exec(t, "DROP SCHEMA "+name+" CASCADE") })
}

// poll gives what one poll reads, and the cursor for the next.
func (r *recipe) poll(t *testing.T, object, cursor string, want ...string) string {
	t.Helper()
	page, err := r.sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: object, Cursor: cursor, Reader: "recipe"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rec := range page.Records {
		if rec.Err != nil {
			t.Errorf("%s cannot be read: %v", rec.Local, rec.Err)
		}
		got = append(got, string(rec.Doc))
	}
	same(t, object, got, want)
	return page.Cursor
}

// becomes runs a flow of the recipe with a document as it was read.
func becomes(t *testing.T, flow, doc, want string) {
	t.Helper()
	write(t, "flows/recipe_test.yaml", "test: "+flow+"\ncases:\n  - name: as it was read\n    given-file: given.json\n    "+want+"\n")
	write(t, "flows/given.json", doc)
	if code, out, errs := command(t, "test"); code != 0 {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// refused: a system that is only read takes no write.
func (r *recipe) refused(t *testing.T, object, doc string) {
	t.Helper()
	if _, err := r.sys.(connector.Sink).Write(t.Context(), connector.Write{Entity: object, Object: object, Action: connector.Create, Doc: []byte(doc)}); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a write was answered %v", err)
	}
}

// files is what a drop holds, row by row.
func (r *recipe) files(t *testing.T, object string) (out []string) {
	t.Helper()
	src := r.sys.(connector.FileSource)
	list, err := src.Pending(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		for row, err := range src.Read(t.Context(), object, f, 0) {
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			out = append(out, string(row.Doc))
		}
		if err := src.Done(t.Context(), object, f, nil); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestRecipesForOldSystems runs every recipe of docs/recipes-old-systems.md on a database or a folder that the tests have.
func TestRecipesForOldSystems(t *testing.T) {
	t.Run("SalesLogix", func(t *testing.T) {
		r := recipeOf(t, "SalesLogix", "postgres", func(r *recipe) {
			r.schema(t, "sysdba")
			r.exec(t, `CREATE TABLE sysdba."ACCOUNT" ("ACCOUNTID" char(12) PRIMARY KEY, "ACCOUNT" varchar(128), "TYPE" varchar(64), "PARENTID" char(12), "CREATEDATE" timestamp, "MODIFYDATE" timestamp)`)
			r.exec(t, `CREATE TABLE sysdba."SLXCONTRACTSYNCLOG" ("SLXCONTRACTSYNCLOGID" varchar(38) NOT NULL UNIQUE, "RESOURCETYPE" varchar(64), "KEYVALUE1" varchar(12), "CREATEDATE" timestamp)`)
		})
		r.exec(t, `INSERT INTO sysdba."ACCOUNT" VALUES ('AEAB3A00070G', 'Company 1', 'Customer', NULL, '2026-11-30 08:00:00', '2026-11-30 10:00:00'), ('AEAB3A00070H', 'Company 2', 'Prospect', 'AEAB3A00070G', '2026-11-30 09:00:00', NULL)`)
		second := `{"ACCOUNTID":"AEAB3A00070H","ACCOUNT":"Company 2","TYPE":"Prospect","PARENTID":"AEAB3A00070G","CREATEDATE":"2026-11-30T09:00:00Z","MODIFYDATE":null}`
		next := r.poll(t, "customer", "", second, `{"ACCOUNTID":"AEAB3A00070G","ACCOUNT":"Company 1","TYPE":"Customer","PARENTID":null,"CREATEDATE":"2026-11-30T08:00:00Z","MODIFYDATE":"2026-11-30T10:00:00Z"}`)
		r.exec(t, `UPDATE sysdba."ACCOUNT" SET "TYPE" = 'Customer', "MODIFYDATE" = '2026-11-30 11:00:00' WHERE "ACCOUNTID" = 'AEAB3A00070H'`)
		r.poll(t, "customer", next, strings.Replace(strings.Replace(second, `"MODIFYDATE":null`, `"MODIFYDATE":"2026-11-30T11:00:00Z"`, 1), "Prospect", "Customer", 1))
		r.exec(t, `INSERT INTO sysdba."SLXCONTRACTSYNCLOG" VALUES ('1', 'ACCOUNT', 'AEAB3A00070G', '2026-11-30 12:00:00'), ('2', 'CONTACT', 'CEAB3A00070G', '2026-11-30 12:00:01')`)
		gone := `{"SLXCONTRACTSYNCLOGID":"1","RESOURCETYPE":"ACCOUNT","KEYVALUE1":"AEAB3A00070G","CREATEDATE":"2026-11-30T12:00:00Z"}`
		other := `{"SLXCONTRACTSYNCLOGID":"2","RESOURCETYPE":"CONTACT","KEYVALUE1":"CEAB3A00070G","CREATEDATE":"2026-11-30T12:00:01Z"}`
		r.poll(t, "deletion", "", gone, other)
		becomes(t, "saleslogix-customers", second, `want: {key: AEAB3A00070H, version: "2026-11-30T09:00:00Z"}`)
		becomes(t, "saleslogix-deletions", gone, `want: {key: AEAB3A00070G, operation: delete}`)
		becomes(t, "saleslogix-deletions", other, `skipped: filtered`)
		r.refused(t, "customer", `{"ACCOUNT":"x"}`)
	})
	t.Run("Onyx", func(t *testing.T) {
		r := recipeOf(t, "Onyx", "postgres", func(r *recipe) {
			r.schema(t, "dbo")
			r.exec(t, `CREATE TABLE dbo."Company" ("iCompanyId" integer PRIMARY KEY, "vchCompanyName" varchar(100), "vchAssignedId" varchar(30), "vchCity" varchar(50), "vchPhoneNumber" varchar(30), "vchEmailAddress" varchar(100), "tiRecordStatus" smallint, "dtInsertDate" timestamp, "dtUpdateDate" timestamp)`)
		})
		r.exec(t, `INSERT INTO dbo."Company" VALUES (7, 'Company 1', '00123', 'Town', NULL, 'a@example.com', 1, '2026-11-30 08:00:00', '2026-11-30 09:00:00')`)
		next := r.poll(t, "customer", "", `{"iCompanyId":7,"vchCompanyName":"Company 1","vchAssignedId":"00123","vchCity":"Town","vchPhoneNumber":null,"vchEmailAddress":"a@example.com","tiRecordStatus":1,"dtInsertDate":"2026-11-30T13:00:00Z","dtUpdateDate":"2026-11-30T14:00:00Z"}`)
		r.exec(t, `UPDATE dbo."Company" SET "tiRecordStatus" = 0, "dtUpdateDate" = '2026-11-30 10:00:00'`)
		gone := `{"iCompanyId":7,"vchCompanyName":"Company 1","vchAssignedId":"00123","vchCity":"Town","vchPhoneNumber":null,"vchEmailAddress":"a@example.com","tiRecordStatus":0,"dtInsertDate":"2026-11-30T13:00:00Z","dtUpdateDate":"2026-11-30T15:00:00Z"}`
		r.poll(t, "customer", next, gone)
		becomes(t, "onyx-customers", gone, `want: {key: "7", operation: delete, version: "2026-11-30T15:00:00Z"}`)
		r.refused(t, "customer", `{"vchCompanyName":"x"}`)
	})
	t.Run("Pivotal", func(t *testing.T) {
		r := recipeOf(t, "Pivotal", "mysql", func(r *recipe) {
			r.exec(t, `CREATE TABLE Company (Company_Id binary(8) PRIMARY KEY, Rn_Descriptor varchar(80), Rn_Create_Date datetime, Rn_Edit_Date datetime)`)
			r.exec(t, strings.Replace(r.sql, "CONVERT(varchar(16), Company_Id, 2)", "HEX(Company_Id)", 1))
		})
		r.exec(t, `INSERT INTO Company VALUES (X'00000000000000A1', 'Company 1', '2026-11-30 08:00:00', '2026-11-30 10:00:00'), (X'00000000000000A2', 'Company 2', '2026-11-30 09:00:00', NULL)`)
		second := `{"id":"00000000000000A2","name":"Company 2","made":"2026-11-30T09:00:00Z","changed":null}`
		next := r.poll(t, "customer", "", second, `{"id":"00000000000000A1","name":"Company 1","made":"2026-11-30T08:00:00Z","changed":"2026-11-30T10:00:00Z"}`)
		r.exec(t, `UPDATE Company SET Rn_Descriptor = 'Company 3', Rn_Edit_Date = '2026-11-30 11:00:00' WHERE Company_Id = X'00000000000000A2'`)
		r.poll(t, "customer", next, `{"id":"00000000000000A2","name":"Company 3","made":"2026-11-30T09:00:00Z","changed":"2026-11-30T11:00:00Z"}`)
		becomes(t, "pivotal-customers", second, `want: {key: "00000000000000A2", version: "2026-11-30T09:00:00Z"}`)
		r.refused(t, "customer", `{"name":"x"}`)
	})
	t.Run("Sybase replication", func(t *testing.T) {
		r := recipeOf(t, "Sybase replication", "postgres", func(r *recipe) {
			r.exec(t, `CREATE TABLE customer (code varchar(20) PRIMARY KEY, name varchar(80), changed timestamp)`)
			r.exec(t, r.sql)
		})
		r.exec(t, `INSERT INTO customer VALUES ('C-1', 'Company 1', '2026-11-30 10:00:00')`)
		next := r.poll(t, "arrived", "", `{"seq":1,"code":"C-1","gone":false,"name":"Company 1"}`)
		// What its origin changed earlier, and what is deleted, comes all the same.
		r.exec(t, `INSERT INTO customer VALUES ('C-2', 'Company 2', '2026-11-30 09:00:00')`)
		r.exec(t, `UPDATE customer SET name = 'Company 3' WHERE code = 'C-1'`)
		r.exec(t, `DELETE FROM customer WHERE code = 'C-2'`)
		gone := `{"seq":4,"code":"C-2","gone":true,"name":null}`
		r.poll(t, "arrived", next, `{"seq":2,"code":"C-2","gone":false,"name":"Company 2"}`, `{"seq":3,"code":"C-1","gone":false,"name":"Company 3"}`, gone)
		becomes(t, "replica-customers", gone, `want: {key: C-2, operation: delete, version: "4"}`)
		r.refused(t, "arrived", `{"code":"x"}`)
	})
	t.Run("TurboCRM", func(t *testing.T) {
		r := recipeOf(t, "TurboCRM", "", func(*recipe) { makeFolders(t, "exchange/turbocrm/customers") })
		f := excelize.NewFile()
		defer f.Close()
		for i, row := range [][]any{{"客户列表"}, {}, {"客户编号", "客户名称", "电话", "信用额度", "备注"}, {"00017", "公司一 ", "021-5550101", 1000.50, "x"}, {"00018", "公司二", nil, nil, nil}, {"合计", nil, nil, 1000.50, nil}} {
			if err := f.SetSheetRow("Sheet1", "A"+string(rune('1'+i)), &row); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.SaveAs("exchange/turbocrm/customers/list.xlsx"); err != nil {
			t.Fatal(err)
		}
		first := `{"客户编号":"00017","客户名称":"公司一","电话":"021-5550101","信用额度":1000.5,"备注":"x"}`
		same(t, "customer", r.files(t, "customer"), []string{first, `{"客户编号":"00018","客户名称":"公司二","电话":"","信用额度":null,"备注":""}`})
		becomes(t, "turbocrm-customers", first, `want: {key: "00017"}`)
	})
	t.Run("MyCRM", func(t *testing.T) {
		r := recipeOf(t, "MyCRM", "mysql", func(r *recipe) {
			for _, s := range strings.Split(strings.TrimSpace(r.sql), ";\n") {
				r.exec(t, strings.TrimSuffix(s, ";"))
			}
			// The application's job, as fast as a trigger.
			r.exec(t, `CREATE TRIGGER job BEFORE INSERT ON hub_inbox FOR EACH ROW SET NEW.state = IF(NEW.name = '', 'ERROR', 'DONE'), NEW.message = IF(NEW.name = '', 'a customer has a name', NULL), NEW.customer_no = IF(NEW.name = '', NULL, CONCAT('K-', CHAR_LENGTH(NEW.name)))`)
		})
		w := connector.Write{Entity: "customer", Object: "customer", Action: connector.Create, External: "0193a1b2-c3d4-7e5f-8091-0123456789ab", IdempotencyKey: "k-1", Doc: []byte(`{"name":"Company 1","phone":"021"}`)}
		for range 2 { // what is sent again finds its row
			if got, err := r.sys.(connector.Sink).Write(t.Context(), w); err != nil || got.Local != "K-9" {
				t.Errorf("%+v %v", got, err)
			}
		}
		w.External, w.IdempotencyKey, w.Doc = "0193a1b2-c3d4-7e5f-8091-0123456789ac", "k-2", []byte(`{"name":""}`)
		if _, err := r.sys.(connector.Sink).Write(t.Context(), w); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "a customer has a name") {
			t.Errorf("%v", err)
		}
		var n int
		if err := r.db.QueryRow("SELECT count(*) FROM hub_inbox").Scan(&n); err != nil || n != 2 {
			t.Errorf("%d rows: %v", n, err)
		}
		r.exec(t, `INSERT INTO hub_outbox (kind, ref, payload) VALUES ('upsert', 'K-9', '{"name":"Company 1","credit":10.50}'), ('delete', 'K-9', '{}')`)
		gone := `{"seq":2,"kind":"delete","ref":"K-9","payload":{}}`
		r.poll(t, "change", "", `{"seq":1,"kind":"upsert","ref":"K-9","payload":{"name":"Company 1","credit":10.50}}`, gone)
		becomes(t, "mycrm-changes", gone, `want: {key: K-9, operation: delete, version: "2"}`)
	})
	t.Run("PowerCRM", func(t *testing.T) {
		r := recipeOf(t, "PowerCRM", "", func(*recipe) { makeFolders(t, "exchange/powercrm/out", "exchange/powercrm/in") })
		write(t, "exchange/powercrm/out/customers.csv", "No;Name;Limit;Since\r\n00017;M\xfcller ;1.000,50;01.12.2026\r\n")
		if got := r.files(t, "customer"); len(got) != 0 {
			t.Errorf("without its marker: %v", got)
		}
		write(t, "exchange/powercrm/out/customers.csv.ok", "")
		first := `{"No":"00017","Name":"Müller","Limit":1000.50,"Since":"2026-12-01"}`
		same(t, "customer", r.files(t, "customer"), []string{first})
		becomes(t, "powercrm-customers", first, `want: {key: "00017"}`)
		w := connector.Write{Entity: "order", Object: "order", Action: connector.Create, External: "0193a1b2-c3d4-7e5f-8091-0123456789ab", IdempotencyKey: "k-1", Doc: []byte(`{"Order":"S-1","Customer":"00017","lines":[{"Sku":"00123","Quantity":2.50},{"Sku":"Grün","Quantity":1}]}`)}
		if _, err := r.sys.(connector.Sink).Write(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		made, err := filepath.Glob("exchange/powercrm/in/orders-*.csv")
		if err != nil || len(made) != 1 {
			t.Fatalf("%v %v", made, err)
		}
		if got := strings.ReplaceAll(read(t, made[0]), "\r\n", "\n"); got != "Order;Customer;Sku;Quantity\nS-1;00017;00123;2,50\nS-1;00017;Gr\xfcn;1\n" {
			t.Errorf("%q", got)
		}
		w.External, w.IdempotencyKey, w.Doc = "0193a1b2-c3d4-7e5f-8091-0123456789ac", "k-2", []byte(`{"Order":"S-2","Customer":"客户","lines":[{"Sku":"1","Quantity":1}]}`)
		if _, err := r.sys.(connector.Sink).Write(t.Context(), w); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a character that the encoding lacks: %v", err)
		}
	})
	t.Run("SyteCentre", func(t *testing.T) {
		r := recipeOf(t, "SyteCentre", "", func(*recipe) { makeFolders(t, "exchange/sytecentre/nightly") })
		const line = "00123     MAIN00000001250020261130\n"
		write(t, "exchange/sytecentre/nightly/STOCK1.TXT", line)
		if got := r.files(t, "stock"); len(got) != 0 {
			t.Errorf("a file that was cut off: %v", got)
		}
		write(t, "exchange/sytecentre/nightly/STOCK2.TXT", line+"END 000001\n")
		first := `{"item":"00123","warehouse":"MAIN","quantity":12.500,"counted":"2026-11-30"}`
		same(t, "stock", r.files(t, "stock"), []string{first})
		becomes(t, "sytecentre-stock", first, `want: {key: "00123@MAIN"}`)
	})
}

func makeFolders(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// same compares documents digit by digit, whatever the order of their members.
func same(t *testing.T, object string, got, want []string) {
	t.Helper()
	sorted := func(docs []string) string {
		out := ""
		for _, doc := range docs {
			var v map[string]json.RawMessage
			if err := json.Unmarshal([]byte(doc), &v); err != nil {
				t.Fatalf("%v: %s", err, doc)
			}
			line, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out += string(line) + "\n"
		}
		return out
	}
	if sorted(got) != sorted(want) {
		t.Errorf("of %s was read\n%swant\n%s", object, sorted(got), sorted(want))
	}
}
