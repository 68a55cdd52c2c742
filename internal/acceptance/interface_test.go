package acceptance

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// erpTable is where an application takes orders in: it reads rows when it likes, and writes into them what it has made of them.
const erpTable = `CREATE TABLE reading_in (id INTEGER PRIMARY KEY AUTOINCREMENT, external_id TEXT, number TEXT, amount TEXT, state TEXT, msg TEXT, no TEXT, change_key TEXT UNIQUE)`

// TestInterfaceTable: what an application takes in late is delivered once, under the application's own number, and what it refuses parks with its words and is taken in
// anew from the same row when it is replayed, whatever becomes of the hub meanwhile.
func TestInterfaceTable(t *testing.T) {
	conf := strings.Replace(readingsFiles["configs/waybill.yaml"], "systems:\n", `systems:
  erp:
    connector: sql
    driver: sqlite
    path: ../erp.db
    objects:
      reading:
        table: reading_in
        generated: true
        external-id: external_id
        columns: {id: integer, external_id: text, number: text, amount: decimal, state: text, msg: text, no: text}
        interface: {status: state, value: NEW, idempotency-key: change_key, done: [OK], failed: [ERR], error: msg, result: no, wait: 300ms}
`, 1)
	flows := strings.Replace(readingsFiles["flows/readings.yaml"], "to: {system: ledger}", "to: {system: erp}", 1)
	p := newReadings(t, map[string]string{"configs/waybill.yaml": conf, "flows/readings.yaml": flows})
	db, err := sql.Open("sqlite", "file:"+p.path("erp.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	count := func(where string) (n int64) {
		t.Helper()
		if err := db.QueryRow("SELECT count(*) FROM reading_in WHERE " + where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec(erpTable)
	h := p.run(t, map[string]string{"SCANNER_SECRET": hookSecret})
	d := &desk{t: t, p: p, hubs: []*hub{h}}
	p.drop(t, "till.csv", "number,amount\nA-1,5\nB-1,5.50\nC-1,7\n")
	h.await("all rows", 2*time.Minute, func() bool { return count("state = 'NEW'") == 3 })

	// The application works, while the hub is killed and comes back.
	exec("UPDATE reading_in SET state = 'OK', no = 'SO-1' WHERE number = 'A-1'")
	h.kill()
	exec("UPDATE reading_in SET state = 'ERR', msg = 'the period is closed' WHERE number = 'B-1'")
	h.start()
	h.await("a refusal, or the same row anew", 2*time.Minute, func() bool {
		exec("UPDATE reading_in SET state = 'ERR', msg = 'the period is closed' WHERE number = 'B-1' AND state = 'NEW'")
		return h.status().Totals.Parked == 1
	})
	if c := d.cause("the period is closed"); c.Count != 1 {
		t.Errorf("%+v", c)
	}
	exec("UPDATE reading_in SET state = 'OK', no = 'SO-3' WHERE number = 'C-1'")
	d.atRest(1)

	// The period is opened, and what was refused is replayed: the row is set to be taken in once more.
	d.do("parked", "replay", "--all", "--flow", "readings-to-ledger", "--yes", "--note", "the period is open")
	h.await("the row anew", 2*time.Minute, func() bool { return count("number = 'B-1' AND state = 'NEW' AND msg IS NULL") == 1 })
	exec("UPDATE reading_in SET state = 'OK', no = 'SO-2' WHERE number = 'B-1'")
	d.atRest(0)
	if n := count("1 = 1"); n != 3 || count("state = 'OK'") != 3 {
		t.Errorf("%d rows", n)
	}
	st := h.status()
	if st.Totals.Unaccounted != 0 || st.Totals.Duplicates != 0 || st.Totals.Delivered < 3 {
		t.Errorf("%+v", st.Totals)
	}
	for number, no := range map[string]string{"A-1": "SO-1", "B-1": "SO-2", "C-1": "SO-3"} {
		if out := d.do("xref", number); !strings.Contains(out, no) {
			t.Errorf("%s: %s", number, out)
		}
	}
}
