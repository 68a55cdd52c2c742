package sql

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// mute stands before a server. Connections that it is told to mute are open still, and nothing comes out of them any more: so ends one whose server, or the way to it, has died.
type mute struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup
	logs     atomic.Pointer[atomic.Bool] // of connections that read the log from now on
	looks    atomic.Pointer[atomic.Bool] // of the others
}

// muted puts one before the server of the place, for hubs that are opened from now on.
func (p *place) muted(t testing.TB) *mute {
	t.Helper()
	_, name, _ := strings.Cut(p.head, "${env:")
	name, _, _ = strings.Cut(name, "}")
	u, err := url.Parse(os.Getenv(name))
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{to: u.Host}
	m.next()
	if m.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = m.listener.Addr().String()
	t.Setenv(name, u.String())
	m.running.Go(func() {
		for {
			c, err := m.listener.Accept()
			if err != nil {
				return // closed
			}
			m.running.Go(func() { m.pass(c) })
		}
	})
	t.Cleanup(func() { _ = m.listener.Close(); m.running.Wait() })
	return m
}

// next lets connections that are made from now on speak.
func (m *mute) next() {
	m.logs.Store(&atomic.Bool{})
	m.looks.Store(&atomic.Bool{})
}

func (m *mute) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", m.to)
	if err != nil {
		return
	}
	defer server.Close()
	first := make([]byte, 1<<12)
	n, err := client.Read(first)
	if err != nil {
		return
	}
	silent := m.looks.Load()
	if bytes.Contains(first[:n], []byte("replication\x00database")) {
		silent = m.logs.Load()
	}
	if _, err := server.Write(first[:n]); err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		defer client.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if silent.Load() {
				continue
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answers.Wait()
}

// hasty is a clock whose timers are over at once.
type hasty struct{ lifecycle.Clock }

func (c hasty) NewTimer(time.Duration) lifecycle.Timer { return c.Clock.NewTimer(0) }

// soon gives the hub a clock whose timers are over at once.
func (h *hub) soon() (back func()) {
	clock := h.db.clock
	h.db.clock = hasty{clock}
	return func() { h.db.clock = clock }
}

// TestCaptureSilentServer: a server that says nothing any more is told, and not taken for one that has no changes; its connection is made anew.
func TestCaptureSilentServer(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	m := p.muted(t)
	h := newHub(t, p, "x", itemSet)
	h.read()
	m.logs.Load().Store(true)
	m.next()
	p.exec(t, "INSERT INTO x VALUES (1)")
	back := h.soon()
	for try := 0; ; try++ {
		_, err := h.page() // what had come before may be heard yet
		if err != nil {
			if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "does not say how far its log is") {
				t.Fatal(err)
			}
			break
		}
		if try == 10 {
			t.Fatal("a connection on which nothing comes is taken for a log without changes")
		}
	}
	back()
	for failed := 0; ; failed++ {
		page, err := h.page()
		if err == nil {
			expect(t, page.Records, `1 {"id":1,"name":null,"note":null}`)
			break
		}
		if failed == 3 || fault.KindOf(err) != fault.Unavailable {
			t.Fatal(err)
		}
	}
}

// TestCaptureHeldUp: a page that ends before the log was read as far as it was to be says that there is more where it has come on, and is no failure where another reader
// holds up the log.
func TestCaptureHeldUp(t *testing.T) {
	p := newLogical(t)
	p.head = strings.Replace(p.head, "publication: waybill", "publication: waybill, buffer: 64KiB", 1)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text); CREATE TABLE y (id bigint PRIMARY KEY)")
	h := newHub(t, p, "x", strings.TrimSuffix(itemSet, "}")+", y: {table: y, columns: {id: integer}, capture: {}}}")
	db := h.db
	h.read()
	page, err := db.Poll(t.Context(), connector.PollRequest{Object: "y", Reader: "y"})
	if err != nil {
		t.Fatal(err)
	}
	db.Stored("", map[string]string{"x": h.cursor, "y": page.Cursor})
	if _, err := db.Poll(t.Context(), connector.PollRequest{Object: "y", Reader: "y", Cursor: page.Cursor, Limit: 1}); err != nil {
		t.Fatal(err)
	}
	p.exec(t, "INSERT INTO y VALUES (0)")
	p.exec(t, "INSERT INTO y SELECT n FROM generate_series(1, 1000) n")
	c := db.capture
	for {
		c.mu.Lock()
		full, changed, failed := c.stream.full(), c.stream.changed, c.stream.err
		c.mu.Unlock()
		if failed != nil {
			t.Fatal(failed)
		}
		if full {
			break
		}
		<-changed
	}
	defer h.soon()()
	if page, err = h.page(); err != nil || !page.More || page.Cursor == h.cursor {
		t.Fatalf("it has come on: %+v, %v", page, err)
	}
	h.cursor = page.Cursor
	if page, err = h.page(); err != nil || page.More || page.Cursor != h.cursor {
		t.Fatalf("another reader holds it up: %+v, %v", page, err)
	}
}

// TestCaptureSnapshotSilent: a snapshot whose connection says nothing any more is given up when the caller, or the bound of a call, says so; and so is the making of one.
func TestCaptureSnapshotSilent(t *testing.T) {
	p := newLogical(t)
	p.head += "timeout: 1s\n"
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(1, 4) n")
	m := p.muted(t)
	h := newHub(t, p, "x", itemSet)
	h.limit = 1
	answered := func() error {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			_, err := h.page()
			done <- err
		}()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute): // a page that hangs does so for many minutes
			t.Fatal("the page hangs")
			return nil
		}
	}
	page, err := h.page()
	if err != nil {
		t.Fatal(err)
	}
	h.store(page)
	m.looks.Load().Store(true)
	m.next()
	if err := answered(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	h.read()
	if len(h.taken) != 5 { // the first one comes again with the second snapshot
		t.Errorf("%q", said(h.taken))
	}
	h.db.Leave("")
	h.cursor, h.names, h.taken = "", map[string]bool{}, nil
	page, err = h.page()
	if err != nil {
		t.Fatal(err)
	}
	h.store(page)
	m.looks.Load().Store(true)
	left := make(chan struct{})
	go func() { h.db.Leave(""); close(left) }()
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Fatal("leaving hangs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.db.Poll(ctx, connector.PollRequest{Object: "x", Reader: "x"}); err == nil {
		t.Error("a page for nobody")
	}
}

// TestCapturePutBack: what was let go of on a server that was put back to an older state is not let go of again there.
func TestCapturePutBack(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	letGo := func() pglogrepl.LSN {
		h.db.capture.mu.Lock()
		defer h.db.capture.mu.Unlock()
		return h.db.capture.letGo()
	}
	// So it is where the log was far longer before.
	h.cursor = strings.Replace(h.cursor, `"lsn":"`, `"lsn":"FFFF`, 1)
	h.tell()
	before := letGo()
	if _, err := h.page(); err == nil || !strings.Contains(err.Error(), "put back to an older state") {
		t.Fatal(err)
	}
	h.cursor, h.names, h.taken = "", map[string]bool{}, nil // as waybill rewind does
	h.tell()
	page, err := h.page()
	if err != nil {
		t.Fatal(err)
	}
	h.store(page)
	at, err := parseLogCursor(h.cursor)
	if err != nil {
		t.Fatal(err)
	}
	if got := letGo(); got > at.LSN.lsn() || got >= before {
		t.Errorf("let go of up to %s, before it was put back up to %s, and read up to %s", got, before, at.LSN)
	}
}

// TestCaptureSlotGoesInARound: what is wrong with the server is found out in the midst of a round of pages, too, when a page has failed.
func TestCaptureSlotGoesInARound(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	h.limit = 2
	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(1, 5) n")
	page, err := h.page()
	if err != nil || !page.More {
		t.Fatal(page, err)
	}
	h.store(page)
	p.exec(t, "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = $1", p.slot())
	p.exec(t, "SELECT pg_drop_replication_slot($1)", p.slot())
	for failed := 0; ; failed++ {
		page, err := h.page()
		switch {
		case err == nil: // of what was in memory
			h.store(page)
		case strings.Contains(err.Error(), "the slot "+p.slot()+" is gone"):
			return
		}
		if failed == 5 {
			t.Fatal(err)
		}
	}
}

// unconnected has no server.
func unconnected(t *testing.T) *database {
	t.Helper()
	t.Setenv("CAPTURE_TEST_URL", "postgres://u@127.0.0.1:1/d")
	p := &place{kind: "postgres", head: "connector: sql\ndriver: postgres\nurl: ${env:CAPTURE_TEST_URL}\ncapture: {slot: s, publication: p}\n"}
	return open(t, p, itemSet)
}

// TestCaptureHeard: a page whose time is over fails where nothing at all was heard meanwhile, and neither where something was nor where something was taken.
func TestCaptureHeard(t *testing.T) {
	db := unconnected(t)
	for name, c := range map[string]struct {
		before int64
		taken  []connector.Record
		fails  bool
	}{
		"nothing was heard":   {2, nil, true},
		"something was heard": {1, nil, false},
		"something was taken": {2, make([]connector.Record, 1), false},
	} {
		var halted error
		s := &stream{c: db.capture, heard: 2, halt: func(err error) { halted = err }}
		p := &logPoll{c: db.capture, at: &logCursor{}}
		p.page.Records = c.taken
		if err := p.silent(s, c.before); (err != nil) != c.fails || (halted != nil) != c.fails {
			t.Errorf("%s: %v; halted: %v", name, err, halted)
		}
	}
}

// TestCaptureStored: what the server is told to let go of, from what the hub's store says of its readers. There is no server: what is told is worked out alone.
func TestCaptureStored(t *testing.T) {
	db := unconnected(t)
	c := db.capture
	at := func(slot string, lsn pglogrepl.LSN) string {
		return (&logCursor{Slot: slot, Server: "1", LSN: lsnTextOf(lsn)}).String()
	}
	is := func(what string, want pglogrepl.LSN) {
		t.Helper()
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := c.letGo(); got != want {
			t.Errorf("%s: let go of up to %s, want %s", what, got, want)
		}
	}
	c.hold("x", 5)
	is("before the store has said anything", 0)
	c.hold("x", 0)
	db.Stored("", map[string]string{"x": at("s", 10), "y": at("s", 20)})
	is("the one that is behind counts", 10)
	db.Stored("", map[string]string{"x": "{}", "y": at("s", 30)})
	is("nobody knows where one is", 10)
	db.Stored("", map[string]string{"x": at("other", 1), "y": at("s", 40)})
	is("one is of another slot", 40)
	c.hold("z", 50)
	db.Stored("", map[string]string{"y": at("s", 60), "z": ""})
	is("a snapshot of which the store knows nothing", 50)
	db.Stored("", map[string]string{"y": at("s", 70), "z": at("s", 45)})
	db.Stored("", map[string]string{"y": at("s", 70), "z": ""})
	is("the store knows an older place than the snapshot's", 50)
	db.Stored("", map[string]string{"y": at("s", 70), "z": at("s", 55)})
	is("the store knows the snapshot", 55)
	c.hold("z", 56)
	db.Stored("", map[string]string{"y": at("s", 80)})
	is("a reader is gone", 80)
	if c.readers["z"] != nil || c.readers["y"] == nil {
		t.Errorf("readers: %v", c.readers)
	}
	db.Leave("")
	c.hold("x", 90)
	is("another hub may read now", 80)
}

// TestCaptureBound: before a snapshot what committed before its place is taken from memory, and nothing that commits there or later; and a place never goes back.
func TestCaptureBound(t *testing.T) {
	db := unconnected(t)
	rel := &relation{table: "public.x", columns: []relationColumn{{name: "id", key: true}}, index: map[string]int{"id": 0}}
	insert := func(final pglogrepl.LSN, id string) entry {
		return entry{kind: pglogrepl.MessageTypeInsert, final: final, rel: rel, row: &pglogrepl.TupleData{Columns: []*pglogrepl.TupleDataColumn{{DataType: pglogrepl.TupleDataTypeText, Data: []byte(id)}}}}
	}
	for name, c := range map[string]struct {
		entries      []entry
		read         pglogrepl.LSN // of the stream
		bound        pglogrepl.LSN
		taken, place string
	}{
		"one commits at the bound":              {[]entry{insert(10, "1"), insert(20, "2")}, 25, 20, "1", "0/14"},
		"the stream is beyond the bound":        {[]entry{insert(10, "1")}, 30, 20, "1", "0/14"},
		"no bound":                              {[]entry{insert(10, "1"), insert(20, "2")}, 25, 0, "12", "0/19"},
		"the stream begins behind the reader's": {nil, 3, 0, "", "0/5"},
		"the stream had not come to the reader": {[]entry{insert(4, "1"), insert(5, "2")}, 8, 0, "2", "0/8"},
	} {
		s := &stream{c: db.capture, entries: c.entries, at: c.read, changed: make(chan struct{})}
		p := &logPoll{c: db.capture, o: db.set.Objects["x"], limit: 10, at: &logCursor{Slot: "s", LSN: lsnTextOf(5)}, logRound: logRound{table: "public.x"}}
		var seq int64
		db.capture.mu.Lock()
		p.take(s, &seq, c.bound, 100)
		db.capture.mu.Unlock()
		taken := ""
		for _, rec := range p.page.Records {
			taken += rec.Local
		}
		if taken != c.taken || string(p.at.LSN) != c.place {
			t.Errorf("%s: took %q up to %s, want %q up to %s", name, taken, p.at.LSN, c.taken, c.place)
		}
	}
}

// TestCaptureSnapshotGoesBack: where the hub's store was put back, a snapshot that has gone on is not gone on with; and a page that was not stored is read out of memory again.
func TestCaptureSnapshotGoesBack(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(1, 9) n")
	h := newHub(t, p, "x", itemSet)
	h.limit = 2
	next := func() {
		t.Helper()
		page, err := h.page()
		if err != nil {
			t.Fatal(err)
		}
		h.store(page)
	}
	next()
	first, taken := h.cursor, h.taken
	h.kept = first // a status that is late would let go of what the hub reads again
	back := func() { h.cursor, h.taken, h.names = first, slices.Clone(taken), map[string]bool{} }
	next()
	next()
	back()
	p.exec(t, "UPDATE x SET name = '2' WHERE id < 3") // they stand behind the others now
	next()
	next()
	next() // a page of the second snapshot
	h.db.capture.mu.Lock()
	if n := h.db.capture.snapshots["x"].page; n != 1 {
		t.Errorf("%d pages of the second snapshot were read", n)
	}
	h.db.capture.mu.Unlock()
	back()
	h.read()
	h.same()

	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(11, 19) n")
	h.limit = 100
	if page, err := h.page(); err != nil || len(page.Records) != 9 {
		t.Fatal(page, err)
	}
	s := h.db.capture.stream
	h.read()
	if h.db.capture.stream != s {
		t.Error("the log was read from the server again")
	}
	h.same()
}

// TestCaptureBehindTheStream: a reader whose place lies before what is streamed has the log read again from there.
func TestCaptureBehindTheStream(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text); CREATE TABLE y (id bigint PRIMARY KEY)")
	h := newHub(t, p, "x", strings.TrimSuffix(itemSet, "}")+", y: {table: y, columns: {id: integer}, capture: {}}}")
	h.read()
	cursor, n := "", 0
	read := func() {
		t.Helper()
		for more := true; more; {
			page, err := h.db.Poll(t.Context(), connector.PollRequest{Object: "y", Reader: "y", Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Records)
			cursor, more = page.Cursor, page.More
			h.db.Stored("", map[string]string{"x": h.cursor, "y": cursor})
		}
	}
	read()
	p.exec(t, "INSERT INTO y SELECT n FROM generate_series(1, 3) n")
	h.limit = 1
	page, err := h.page() // x has come on, and another hub goes on, in which x asks first
	if err != nil {
		t.Fatal(err)
	}
	h.cursor = page.Cursor
	h.db.Leave("")
	if _, err := h.page(); err != nil {
		t.Fatal(err)
	}
	if read(); n != 3 {
		t.Errorf("%d records", n)
	}
}
