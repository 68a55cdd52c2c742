package store_test

import (
	"database/sql"
	"errors"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// postgresPeer is a connection beside the store's.
func postgresPeer(t *testing.T, cfg store.Config) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", cfg.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openPostgres(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Hubs that are started together on an empty database migrate it once.
func TestHubsMigrateTogether(t *testing.T) {
	cfg, _ := postgresConfig(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := store.Open(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	steps, err := os.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := postgresPeer(t, cfg).QueryRow("SELECT COUNT(*) FROM schema_version").Scan(&n); err != nil || n != len(steps) {
		t.Errorf("%d migrations, %v", n, err)
	}
}

// The server ends the hub's connections: the next calls take new ones, and nothing is counted twice.
func TestConnectionsThatEnd(t *testing.T) {
	cfg, _ := postgresConfig(t)
	peer := postgresPeer(t, cfg)
	cfg.Postgres += "&application_name=" + t.Name()
	s := openPostgres(t, cfg)
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	for offset := range int64(6) {
		if offset%2 == 1 {
			if _, err := peer.Exec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1", t.Name()); err != nil {
				t.Fatal(err)
			}
		}
		c := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: offset, Outcome: state.Delivered}}}
		if err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("commit %d: %v", offset, err)
		}
	}
	all, _, _, err := s.StatusSnapshot(t.Context())
	for try := 0; fault.KindOf(err) == fault.Unavailable && try < 8; try++ { // each of the pool's dead connections says so once
		all, _, _, err = s.StatusSnapshot(t.Context())
	}
	if err != nil || len(all) != 1 || all[0].Delivered != 6 || all[0].Unaccounted() != 0 {
		t.Errorf("totals: %+v, %v", all, err)
	}
}

// line is a TCP line to a server. Once dead it carries nothing and tells nobody, as behind a firewall that has forgotten its connections;
// connections that are made after heal work.
type line struct {
	l    net.Listener
	mu   sync.Mutex
	life int
	dead bool
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{l: l}
	var wg sync.WaitGroup
	ended := make(chan struct{})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				t.Error(err)
				_ = c.Close()
				return
			}
			n.mu.Lock()
			life := n.life
			n.mu.Unlock()
			wg.Go(func() { <-ended; _ = c.Close(); _ = s.Close() })
			wg.Go(func() { n.pump(s, c, life); _ = s.Close() })
			wg.Go(func() { n.pump(c, s, life); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); close(ended); wg.Wait() })
	return n
}

func (n *line) pump(to, from net.Conn, life int) {
	buf := make([]byte, 4096)
	for {
		k, err := from.Read(buf)
		if err != nil {
			return
		}
		n.mu.Lock()
		works := n.life == life && !n.dead
		n.mu.Unlock()
		if works {
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
	}
}

func (n *line) be(dead bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = dead
	n.life++
}

// The line to the server dies without a word: every look comes back with an error, nobody waits for ever. When it works again, one look is
// enough to be rid of all connections that died.
func TestConnectionsThatDieSilently(t *testing.T) {
	t.Parallel()
	cfg, _ := postgresConfig(t)
	u, err := url.Parse(cfg.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	n := newLine(t, u.Host)
	u.Host = n.l.Addr().String()
	cfg.Postgres = u.String()
	s := openPostgres(t, cfg)
	ctx := t.Context()
	looks := map[string]func() error{
		"target": func() error { _, err := s.Target(ctx, "customer", "h", "crm", "o"); return err },
		"hub id": func() error { _, _, err := s.HubID(ctx, "customer", "crm", "1"); return err },
		"ping":   func() error { return s.Ping(ctx) },
		"due":    func() error { _, err := s.Due(ctx, "f", "t", 0, time.Now(), 10); return err },
		"totals": func() error { _, _, _, err := s.StatusSnapshot(ctx); return err },
	}
	all := func(each func(name string, err error)) {
		var wg sync.WaitGroup
		for name, look := range looks {
			wg.Go(func() { each(name, look()) })
		}
		wg.Wait()
	}
	all(func(string, error) {}) // connections in the pool
	n.be(true)
	all(func(name string, err error) {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s on a dead line: %v", name, err)
		}
	})
	n.be(false)
	all(func(name string, err error) {
		if err != nil {
			t.Errorf("%s on a line that works again: %v", name, err)
		}
	})
	n.be(true)
	if err := s.Ping(ctx); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("ping on a dead line: %v", err)
	}
	n.be(false)
	all(func(name string, err error) {
		if err != nil {
			t.Errorf("%s behind one that met a dead connection: %v", name, err)
		}
	})
}

// Another hub holds what this one needs: the call gives up in time, says that nothing was stored, and works when repeated.
func TestLockedByAnotherHub(t *testing.T) {
	cfg, _ := postgresConfig(t)
	cfg.Postgres += "&lock_timeout=200ms"
	s := openPostgres(t, cfg)
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	other, err := postgresPeer(t, cfg).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec("SELECT 1 FROM partitions FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	c := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: 0, Outcome: state.Delivered}}}
	began := time.Now()
	if err := s.Commit(t.Context(), c); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("commit while the row is locked: %v", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v to give up", d)
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), c); err != nil {
		t.Errorf("repeated: %v", err)
	}
}

// A hub is about to commit the end of the last create intent when another hub appends a row that waits for it: the row is woken. Which of
// the two comes second looks at what the first has done.
func TestWaiterMeetsTheLastIntent(t *testing.T) {
	cfg, _ := postgresConfig(t)
	a, b, peer := openPostgres(t, cfg), openPostgres(t, cfg), postgresPeer(t, cfg)
	ctx := t.Context()
	epochs := map[string]int64{}
	for _, flow := range []string{"ends", "waits"} {
		p, err := a.OpenPartition(ctx, flow, "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 100})
		if err != nil {
			t.Fatal(err)
		}
		epochs[flow] = p.Epoch
	}
	commit := func(s *store.Store, flow string, r state.Result) error {
		return s.Commit(ctx, &state.Commit{Flow: flow, Topic: "t", Epoch: epochs[flow], Results: []state.Result{r}})
	}
	if err := commit(a, "ends", state.Result{Offset: 0, Outcome: state.Delivered}); err != nil {
		t.Fatal(err)
	}
	in := state.Intent{Entity: "customer", System: "crm", Hub: "h", EventID: "e", Create: true}
	if err := a.OpenIntent(ctx, in); err != nil {
		t.Fatal(err)
	}
	// The totals are the last that a commit writes: behind this lock the intent is gone, but for nobody else.
	held, err := peer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec("SELECT 1 FROM totals WHERE flow = 'ends' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	ended, waited := make(chan error, 1), make(chan error, 1)
	go func() {
		ended <- commit(a, "ends", state.Result{Offset: 1, Outcome: state.Delivered, Close: []state.Intent{in}})
	}()
	waitBlocked(t, peer, 1, nil)
	go func() {
		waited <- commit(b, "waits", state.Result{Offset: 0, Outcome: state.Waiting, Queue: &state.Queued{Lane: "l", Event: event.Event{ID: "w", Source: "erp", Entity: "customer", Key: "w", Data: []byte("{}")},
			Missing: &state.Missing{Entity: "customer", System: "crm", Intents: true}}})
	}()
	waitBlocked(t, peer, 2, waited)
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-ended, <-waited); err != nil {
		t.Fatal(err)
	}
	rows, err := a.Parked(ctx, state.QueueFilter{State: state.Waiting, Limit: 10})
	if err != nil || len(rows) != 1 || rows[0].Mark != state.MarkReady {
		t.Errorf("%v, %+v", err, rows)
	}
}

// A hub opens intents while another one takes its partition over: either it is told that it was replaced, and calls nobody, or the new owner sees
// the intents. Otherwise both would create the same objects.
func TestIntentMeetsANewOwner(t *testing.T) {
	cfg, _ := postgresConfig(t)
	a, b, peer := openPostgres(t, cfg), openPostgres(t, cfg), postgresPeer(t, cfg)
	ctx := t.Context()
	log := event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 100}
	p, err := a.OpenPartition(ctx, "f", "t", 0, log)
	if err != nil {
		t.Fatal(err)
	}
	in := state.Intent{Flow: "f", Topic: "t", Epoch: p.Epoch, Entity: "customer", System: "crm", Hub: "h", EventID: "e", Create: true}
	if err := a.OpenIntent(ctx, in); err != nil {
		t.Fatal(err)
	}
	// Behind this lock the statement of the first hub has seen that the partition is its own, and has written nothing.
	held, err := peer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec("INSERT INTO intents SELECT (jsonb_populate_record(i, '{\"event_id\": \"e2\"}')).* FROM intents i"); err != nil {
		t.Fatal(err)
	}
	in.EventID = "e2"
	told, opened := make(chan error, 1), make(chan error, 1)
	go func() { told <- a.OpenIntent(ctx, in) }()
	waitBlocked(t, peer, 1, nil)
	go func() { _, err := b.OpenPartition(ctx, "f", "t", 0, log); opened <- err }()
	var sees state.Target
	look := func() {
		if sees, err = b.Target(ctx, "customer", "h", "crm", "o"); err != nil {
			t.Fatal(err)
		}
	}
	owner := waitBlocked(t, peer, 2, opened)
	if owner {
		look()
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	refused := <-told
	if !owner {
		if err := <-opened; err != nil {
			t.Fatal(err)
		}
		look()
	}
	if refused != nil && !errors.Is(refused, state.ErrFenced) {
		t.Fatal(refused)
	}
	if refused == nil && len(sees.Intents) != 2 {
		t.Errorf("the first hub is about to call, and the new owner sees %+v", sees.Intents)
	}
}

// waitBlocked waits until n connections wait for locks, or done has something; that stays there, and true is returned.
func waitBlocked(t *testing.T, peer *sql.DB, n int, done chan error) bool {
	t.Helper()
	for {
		if len(done) > 0 {
			return true
		}
		var waiting int
		if err := peer.QueryRow("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting >= n {
			return false
		}
		runtime.Gosched()
	}
}

// A password never shows in an error.
func TestSecretsStayOutOfErrors(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=2", "postgres://u:hunter2@[::bad/x", "host=127.0.0.1 password=hunter2 port=none"} {
		_, err := store.Open(t.Context(), store.Config{Postgres: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") || errors.Is(err, store.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// Hubs number rows of the journal before they commit them: one that comes late is not left out of the index by those that came before it.
func TestFatesThatCommitLate(t *testing.T) {
	cfg, _ := postgresConfig(t)
	s, peer := openPostgres(t, cfg), postgresPeer(t, cfg)
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	commit := func(n int64) {
		t.Helper()
		err := s.Commit(t.Context(), &state.Commit{Flow: p.Flow, Topic: p.Topic, Epoch: p.Epoch, Results: []state.Result{{Offset: n, Outcome: state.Delivered, Journal: &state.Journal{Flow: "f", Key: "k", Outcome: state.Delivered}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	// behind gives the rows that may be indexed, once it gives as many as are awaited (others on the server may hold them up for a while); or, where none are awaited,
	// what it gives after some tries.
	behind := func(want int) (rows []state.Journal) {
		t.Helper()
		tries := 200
		if want > 0 {
			tries = 20_000
		}
		for range tries {
			if rows, err = s.FatesBehind(t.Context(), 0, 100); err != nil {
				t.Fatal(err)
			}
			if len(rows) == want && want > 0 {
				return rows
			}
		}
		return rows
	}
	commit(0)
	if rows := behind(1); len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	late, err := peer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	if err := late.QueryRow("SELECT txid_current()").Scan(&id); err != nil { // as whoever has locked its partition
		t.Fatal(err)
	}
	if err := late.QueryRow("SELECT nextval('journal_ids')").Scan(&id); err != nil {
		t.Fatal(err)
	}
	commit(1)
	if rows := behind(0); len(rows) != 1 {
		t.Errorf("%d rows may be indexed while an older one is not committed", len(rows))
	}
	if _, err := late.Exec("INSERT INTO journal (id, time, flow, event_id, entity, ekey, hub, outcome, reason, system, local, external, version, attempts, took) VALUES ($1, 1, 'f', 'late', 'order', 'k', '', 'parked', '', '', '', '', '', 1, 0)", id); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	if rows := behind(3); len(rows) != 3 || rows[1].EventID != "late" {
		t.Errorf("rows %+v", rows)
	}
}
