// Package capture measures how fast changes of a PostgreSQL come from its log onto a canonical topic, beside a bare reader of the same log. It is tests
// alone: `make bench-capture`.
package capture

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	connectorsql "github.com/waybill-hub/waybill/connectors/sql"
	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/bench/benchtest"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	changes = flag.Int("changes", 3000, "changes of a run, in transactions of 100")
	runs    = flag.Int("runs", 1, "runs, of which the median ratio counts")
)

// TestMain makes the test binary the hub where a test starts it as one.
func TestMain(m *testing.M) { benchtest.Main(func() int { return pgtest.Main(m) }) }

const (
	topic = "canonical.item"
	// keys is how many rows the changes are about: of each row most changes are updates.
	keys = 1000
	// each is how many changes a transaction has.
	each = 100
)

// run is one database with its changes.
type run struct {
	// the connector alone
	poller connector.Poller
	cursor string

	t    *testing.T
	url  string
	db   *sql.DB
	n    int
	dir  string
	http string
}

// TestSpeed: changes that wait in the log are read by a bare reader, and then by a hub, which stores them and carries them to the canonical topic. Both
// must bring all of them, and the hub those of each row in their order.
func TestSpeed(t *testing.T) {
	var ratios []float64
	for n := 1; n <= *runs; n++ {
		bare, alone, hub := measure(t, *changes/each*each)
		ratios = append(ratios, hub/bare)
		fmt.Printf("capture: run=%d bare_per_s=%.0f connector_per_s=%.0f hub_per_s=%.0f ratio=%.3f\n", n, bare, alone, hub, hub/bare)
	}
	slices.Sort(ratios)
	fmt.Printf("capture: changes=%d runs=%d ratio=%.3f\n", *changes/each*each, *runs, ratios[len(ratios)/2])
}

func measure(t *testing.T, n int) (bare, alone, hub float64) {
	r := &run{t: t, url: pgtest.Logical(t), n: n, dir: t.TempDir()}
	db, err := sql.Open("pgx", r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r.db = db
	r.exec("CREATE TABLE item (id bigint PRIMARY KEY, rev bigint NOT NULL, body text NOT NULL)")
	r.exec("CREATE PUBLICATION waybill FOR TABLE item")
	broker, err := bench.StartBroker(filepath.Join(r.dir, "broker"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	c, err := broker.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r.project(broker.Addr)
	stop := r.start() // it makes its slot, and reads an empty table
	r.until("the hub reads its slot", r.reads)
	stop()
	r.connect()
	r.exec("SELECT pg_create_logical_replication_slot('bare_" + r.name() + "', 'pgoutput')")
	for from := 0; from < n; from += each {
		r.exec(fmt.Sprintf("INSERT INTO item SELECT n %% %d, n, rpad(md5(n::text), 180, 'x') FROM generate_series(%d, %d) n ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, body = excluded.body",
			keys, from, from+each-1))
	}
	bare = float64(n) / r.bare().Seconds()
	began := time.Now()
	if got := r.poll(); got != n {
		t.Fatalf("the connector has read %d of %d changes", got, n)
	}
	alone = float64(n) / time.Since(began).Seconds()
	stop = r.start()
	r.until("the hub reads its slot", r.reads)
	began = time.Now()
	r.until("all changes are on the topic", func() bool { return r.count(c) >= n })
	took := time.Since(began)
	r.verify(c)
	stop()
	return bare, alone, float64(n) / took.Seconds()
}

// name tells the runs of one server apart.
func (r *run) name() string {
	return r.url[strings.LastIndexByte(r.url, '/')+1 : strings.IndexByte(r.url, '?')]
}

func (r *run) exec(query string) {
	r.t.Helper()
	if _, err := r.db.Exec(query); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
}

func (r *run) is(condition string) bool {
	r.t.Helper()
	var is bool
	if err := r.db.QueryRow("SELECT " + condition).Scan(&is); err != nil {
		r.t.Fatal(err)
	}
	return is
}

// reads: the hub streams the log, which it does once it has stored what it begins with.
func (r *run) reads() bool {
	return r.is(`EXISTS (SELECT FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
		WHERE s.slot_name = 'hub_` + r.name() + `' AND r.state IN ('catchup', 'streaming'))`)
}

// until asks again and again, until the test's time is over.
func (r *run) until(what string, done func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-r.t.Context().Done():
			r.t.Fatal("waiting until ", what)
		}
	}
}

func (r *run) project(broker string) {
	r.t.Helper()
	addr, err := porttest.Addr()
	if err != nil {
		r.t.Fatal(err)
	}
	hooks, err := porttest.Addr()
	if err != nil {
		r.t.Fatal(err)
	}
	r.http = addr
	for name, text := range map[string]string{
		"waybill.yaml": fmt.Sprintf(`broker: {kafka: {brokers: ["%s"], replication: 1}}
store: {sqlite: {path: hub.db}}
http: {listen: "%s"}
hooks: {listen: "%s"}
systems:
  erp:
    connector: sql
    driver: postgres
    url: "${env:CAPTURE_URL}"
    capture: {slot: hub_%s, publication: waybill}
    objects:
      item: {table: item, columns: {id: integer, rev: integer, body: text}, capture: {}}
`, broker, addr, hooks, r.name()),
		"flows/item.yaml": "flow: items\nentity: product\nfrom: {system: erp, poll: {object: item, every: 1s}}\nto: {topic: " + topic + "}\n",
	} {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// start starts a hub, in a process of its own, and gives what stops it in order.
func (r *run) start() (stop func()) {
	r.t.Helper()
	cmd, err := bench.Self("run", "-c", filepath.Join(r.dir, "waybill.yaml"), "--log-level", "warn")
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, os.Stderr, os.Stderr
	cmd.Env = append(cmd.Env, "CAPTURE_URL="+r.url)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			r.t.Error("the hub: ", err)
		}
	}
	r.t.Cleanup(stop)
	r.ready(cmd, ended)
	return stop
}

func (r *run) ready(cmd *exec.Cmd, ended chan error) {
	r.t.Helper()
	r.until("the hub is ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			r.t.Fatal("the hub ended: ", err)
		default:
		}
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.http+"/readyz", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// connect opens the connector alone, with a slot of its own, and reads the empty table.
func (r *run) connect() {
	r.t.Helper()
	var p strictyaml.Problems
	docs := strictyaml.Parse("waybill.yaml", fmt.Appendf(nil, `connector: sql
driver: postgres
url: "${env:CAPTURE_URL}"
capture: {slot: alone_%s, publication: waybill}
objects:
  item: {table: item, columns: {id: integer, rev: integer, body: text}, capture: {}}
`, r.name()), &p)
	if err := p.Err(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Setenv("CAPTURE_URL", r.url)
	sys, err := connectorsql.Kind{}.Open(r.t.Context(), connector.Settings{Name: "erp", Node: docs[0]})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { sys.Close() })
	r.poller = sys.(connector.Poller)
	if got := r.poll(); got != 0 {
		r.t.Fatalf("%d rows in an empty table", got)
	}
}

// poll reads with the connector what there is, and counts it.
func (r *run) poll() (n int) {
	r.t.Helper()
	for {
		page, err := r.poller.Poll(r.t.Context(), connector.PollRequest{Object: "item", Cursor: r.cursor, Reader: "alone"})
		if err != nil {
			r.t.Fatal(err)
		}
		n += len(page.Records)
		if r.cursor = page.Cursor; !page.More {
			return n
		}
	}
}

// bare reads the log with nothing but the library, and gives how long all changes took.
func (r *run) bare() time.Duration {
	r.t.Helper()
	conn, err := pgconn.Connect(r.t.Context(), r.url+"&replication=database")
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(r.t.Context()))
	began := time.Now()
	if err := pglogrepl.StartReplication(r.t.Context(), conn, "bare_"+r.name(), 0, pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", "publication_names 'waybill'"}}); err != nil {
		r.t.Fatal(err)
	}
	for seen := 0; seen < r.n; {
		msg, err := conn.ReceiveMessage(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		d, ok := msg.(*pgproto3.CopyData)
		if !ok || d.Data[0] != pglogrepl.XLogDataByteID {
			continue
		}
		x, err := pglogrepl.ParseXLogData(d.Data[1:])
		if err != nil {
			r.t.Fatal(err)
		}
		m, err := pglogrepl.Parse(x.WALData)
		if err != nil {
			r.t.Fatal(err)
		}
		switch m.(type) {
		case *pglogrepl.InsertMessage, *pglogrepl.UpdateMessage:
			seen++
		}
	}
	return time.Since(began)
}

func (r *run) count(c *bus.Cluster) (n int) {
	r.t.Helper()
	found, _, err := c.Ends(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range found[topic].Partitions {
		n += int(p.Last - p.First)
	}
	return n
}

// verify reads the topic: every change is there once, and those of a row are in their order.
func (r *run) verify(c *bus.Cluster) {
	r.t.Helper()
	found, _, err := c.Ends(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	seen := make([]bool, r.n)
	last := map[string]int64{}
	for i, p := range found[topic].Partitions {
		for at := p.First; at < p.Last; {
			got, err := c.ReadFrom(r.t.Context(), topic, i, at, 5000, 4<<20)
			if err != nil {
				r.t.Fatal(err)
			}
			for _, rec := range got.Records {
				doc, err := jsondoc.Parse(rec.Value, jsondoc.Limits{})
				if err != nil {
					r.t.Fatal(err)
				}
				rev, err := doc.Root().Get("rev").Decimal()
				if err != nil {
					r.t.Fatal(err)
				}
				id := string(doc.Root().Get("id").Raw())
				switch n, _ := rev.Int64(); {
				case seen[n]:
					r.t.Errorf("change %d is there twice", n)
				case n < last[id]:
					r.t.Errorf("row %s: change %d comes after %d", id, n, last[id])
				default:
					seen[n], last[id] = true, n
				}
			}
			at = got.Next
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		r.t.Errorf("change %d is missing", i)
	}
}
