package embedded_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
)

func TestEmbeddedKeepsItsDataAndItsID(t *testing.T) {
	dir := t.TempDir()
	var id string
	var info bus.TopicInfo
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
		topic(t, c, "orders", 3)
		send(t, publisher(t, c, bus.PublisherConfig{}), event.Record{Topic: "orders", Key: key(1), Value: []byte("a")})
		id, _ = c.ID(t.Context())
		info = describe(t, c, "orders")
	})
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
		again, err := c.ID(t.Context())
		if err != nil || again != id || len(id) < 16 {
			t.Errorf("id %q, then %q (%v)", id, again, err)
		}
		if got := describe(t, c, "orders"); fmt.Sprint(got) != fmt.Sprint(info) {
			t.Errorf("%v, then %v", info, got)
		}
	})
	restarted(t, t.TempDir(), func(_ *embedded.Broker, c *bus.Cluster) {
		if other, _ := c.ID(t.Context()); other == id {
			t.Errorf("two brokers minted %s", id)
		}
	})
}

func TestEmbeddedRefusesASecondHub(t *testing.T) {
	dir := t.TempDir()
	c := brokertest.MustChild(t, dir, "127.0.0.1:0")
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(c.PID())) {
		t.Fatalf("error %v: want one naming %s and process %d", err, dir, c.PID())
	}
	if _, err := brokertest.StartChild(t, dir, "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "in use by another hub") {
		t.Fatalf("second process: %v", err)
	}
	c.Kill()
	restarted(t, dir, func(*embedded.Broker, *bus.Cluster) {}) // a dead hub's lock does not stay
}

func TestEmbeddedListensOnLoopbackOnly(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:9092", "example.com:9092", "nonsense"} {
		_, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Listen: listen})
		if err == nil || !strings.Contains(err.Error(), listen) {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

func TestEmbeddedSurvivesStrangers(t *testing.T) {
	e := brokertest.Start(t)
	for name, bytes := range map[string]string{
		"http":         "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"unknown kind": "\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x01\x00\x00",
		"huge":         "\x47\x45\x54\x20\x00\x03\x00\x01\x00\x00\x00\x01\x00\x00",
		"negative":     "\xff\xff\xff\xff\x00\x00",
		"too short":    "\x00\x00\x00\x01\x00",
	} {
		conn, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte(bytes))
		if b, err := io.ReadAll(conn); len(b) > 0 || (err != nil && !strings.Contains(err.Error(), "reset")) {
			t.Errorf("%s: answer %q, error %v", name, b, err)
		}
		_ = conn.Close()
	}
	topic(t, dial(t, e.Addr()), "orders", 1)
}

func TestEmbeddedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	listen := "127.0.0.1:0"
	written := 0
	for round := range 3 {
		b := brokertest.MustChild(t, dir, listen)
		listen = b.Addr
		c := dial(t, b.Addr)
		topic(t, c, "orders", 2)
		p := c.Publisher(bus.PublisherConfig{})
		for range 50 {
			send(t, p, event.Record{Topic: "orders", Key: key(written), Value: fmt.Appendf(nil, "%d", written)})
			written++
		}
		commitAt(t, b.Addr, "g", "orders", int64(round+1))
		b.Kill()
		_ = p.Close()
		_ = c.Close()
	}
	b := brokertest.MustChild(t, dir, listen)
	c := dial(t, b.Addr)
	var total int64
	for _, p := range describe(t, c, "orders").Partitions {
		total += p.Last
	}
	if total != int64(written) {
		t.Errorf("%d of %d records left", total, written)
	}
	if got := committed(t, c, "g", "orders"); got != 3 {
		t.Errorf("committed %d, want 3", got)
	}
}

// A torn end of groups.log is never cut off by the broker itself: what is appended behind it is lost in the next crash.
func TestTornGroupsLogTwoCrashes(t *testing.T) {
	dir := t.TempDir()
	crash := func(offset int64) {
		t.Helper()
		b := brokertest.MustChild(t, dir, "127.0.0.1:0")
		c := dial(t, b.Addr)
		topic(t, c, "orders", 1)
		commitAt(t, b.Addr, "g", "orders", offset)
		b.Kill()
		_ = c.Close()
	}
	crash(10)
	path := filepath.Join(dir, "groups.log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte{200, 0, 0, 0, 1, 2, 3, 4, 1, 0, '{', '"'}); err != nil { // a write that was interrupted
		t.Fatal(err)
	}
	_ = f.Close()
	crash(60)
	b := brokertest.MustChild(t, dir, "127.0.0.1:0")
	if got := committed(t, dial(t, b.Addr), "g", "orders"); got != 60 {
		t.Fatalf("committed %d after the second crash, want 60", got)
	}
}

// Both of the broker's logs are cut back to their last whole entry.
func TestTornLogsAreCut(t *testing.T) {
	whole := binary.LittleEndian.AppendUint32(nil, 4)
	whole = binary.LittleEndian.AppendUint32(whole, crc32.Checksum([]byte("\x01\x00{}"), recordbatch.Castagnoli))
	whole = append(whole, "\x01\x00{}"...)
	wrong := append(append([]byte(nil), whole...), whole...)
	wrong[len(wrong)-1]++
	for _, name := range []string{"groups.log", "pids.log"} {
		for what, b := range map[string][]byte{"half an entry": append(append([]byte(nil), whole...), whole[:7]...), "a wrong sum": wrong, "zeros": append(append([]byte(nil), whole...), make([]byte, 20)...)} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := embedded.CheckLogs(filepath.Dir(path), slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != string(whole) {
				t.Errorf("%s, %s: left %q", name, what, got)
			}
		}
	}
}

// fill makes a data directory with one topic of one partition and n batches, and gives the file of its segment.
func fill(t *testing.T, dir string, n int) string {
	t.Helper()
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
		topic(t, c, "orders", 1)
		p := publisher(t, c, bus.PublisherConfig{})
		for i := range n {
			send(t, p, event.Record{Topic: "orders", Key: key(i), Value: fmt.Appendf(nil, "value %d", i)})
		}
	})
	return filepath.Join(dir, "partitions", "orders-0", "0.dat")
}

func TestRepairSegments(t *testing.T) {
	read := func(t *testing.T, path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := func(b []byte, n int) []byte { // the first n batches
		rest := b
		for range n {
			_, next, ok, err := recordbatch.Read(rest)
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			rest = next
		}
		return b[: len(b)-len(rest) : len(b)-len(rest)]
	}
	for _, test := range []struct {
		name   string
		damage func(b []byte) []byte
		left   int64
		err    string
	}{
		{"nothing", func(b []byte) []byte { return b }, 5, ""},
		{"half a batch at the end", func(b []byte) []byte { return append(whole(b, 3), whole(b, 1)[:40]...) }, 3, ""},
		{"half a head at the end", func(b []byte) []byte { return append(whole(b, 3), 0, 0, 0) }, 3, ""},
		{"zeros at the end", func(b []byte) []byte { return append(whole(b, 4), make([]byte, 4096)...) }, 4, ""},
		{"a batch at the end whose beginning is not there", func(b []byte) []byte {
			return append(append(whole(b, 4), make([]byte, 61)...), "the rest of the batch, which is there"...)
		}, 4, ""},
		{"the last batch has a wrong sum", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 4, ""},
		{"only the first half of a batch", func(b []byte) []byte { return b[:30] }, 0, ""},
		{"damage in the middle", func(b []byte) []byte { b[len(whole(b, 2))+70] ^= 1; return b }, 0, "0.dat is damaged at byte"},
		{"zeros with records behind them", func(b []byte) []byte { clear(b[len(whole(b, 2)):len(whole(b, 3))]); return b }, 0, "0.dat is damaged at byte"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := fill(t, dir, 5)
			if err := os.WriteFile(path, test.damage(read(t, path)), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(filepath.Join(filepath.Dir(path), "snapshot.json")) // there is none after a crash
			if test.err != "" {
				_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Log: brokertest.Quiet(t)})
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			for round := range int64(2) {
				restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
					if got := describe(t, c, "orders").Partitions[0]; got.Last != test.left+round {
						t.Errorf("start %d: offsets %v, want up to %d", round, got, test.left+round)
					}
					send(t, publisher(t, c, bus.PublisherConfig{}), event.Record{Topic: "orders", Key: key(9), Value: []byte("after")})
				})
			}
		})
	}
}

func TestRepairIndex(t *testing.T) {
	dir := t.TempDir()
	path := strings.TrimSuffix(fill(t, dir, 5), ".dat") + ".idx"
	want, err := os.ReadFile(path)
	if err != nil || len(want) != 5*embedded.IndexEntry {
		t.Fatal(len(want), err)
	}
	for _, size := range []int{0, 1, 2*embedded.IndexEntry + 3, 4 * embedded.IndexEntry, 5*embedded.IndexEntry + 7} {
		if err := os.WriteFile(path, append(want[:5*embedded.IndexEntry:5*embedded.IndexEntry], make([]byte, 20)...)[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.CheckLogs(dir, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(want) {
			t.Errorf("cut to %d bytes: repaired to\n%x, want\n%x", size, got, want)
		}
	}
}

func TestRepairIdentity(t *testing.T) {
	remove := func(names ...string) func(dir string) {
		return func(dir string) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, test := range []struct {
		name   string
		damage func(dir string)
		err    string
	}{
		{"the broker's own meta.json is missing", remove("meta.json"), ""},
		{"identity.json is missing", remove(embedded.IdentityFile), ""},
		{"both are missing", remove("meta.json", embedded.IdentityFile), "neither identity.json nor meta.json"},
		{"topics.json is missing", remove("topics.json"), "topics.json is missing"},
		{"of another broker", func(dir string) {
			_ = os.WriteFile(filepath.Join(dir, "meta.json"), []byte(`{"version":1,"cluster_id":"other"}`), 0o600)
		}, "mixes the files of two brokers"},
		{"not JSON", func(dir string) { _ = os.WriteFile(filepath.Join(dir, "meta.json"), []byte(`{"ver`), 0o600) }, "meta.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir, 2)
			var want struct {
				Cluster string `json:"cluster_id"`
			}
			b, err := os.ReadFile(filepath.Join(dir, embedded.IdentityFile))
			if err != nil || json.Unmarshal(b, &want) != nil || want.Cluster == "" {
				t.Fatalf("%s: %v", b, err)
			}
			test.damage(dir)
			if test.err != "" {
				if _, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Log: brokertest.Quiet(t)}); err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q", err, test.err)
				}
				return
			}
			restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
				if id, err := c.ID(t.Context()); err != nil || id != want.Cluster {
					t.Errorf("id %q (%v), want %q", id, err, want.Cluster)
				}
				if got := describe(t, c, "orders").Partitions[0].Last; got != 2 {
					t.Errorf("%d records left of 2", got)
				}
			})
		})
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	const day = 24 * time.Hour
	old := []event.Header{{Key: event.HeaderTime, Value: []byte("2001-01-01T00:00:00Z")}}
	restarted(t, dir, func(e *embedded.Broker, c *bus.Cluster) {
		if err := c.EnsureTopics(t.Context(), []bus.Topic{{Name: "orders", Partitions: 1}, {Name: "kept", Partitions: 1, Config: map[string]string{"retention.ms": "-1"}}}); err != nil {
			t.Fatal(err)
		}
		p := publisher(t, c, bus.PublisherConfig{})
		for i := range 10 {
			// Of an event that happened long ago: it is the time of writing that counts.
			send(t, p, event.Record{Topic: "orders", Key: key(i), Value: []byte("x"), Time: time.Unix(0, 0), Headers: old}, event.Record{Topic: "kept", Value: []byte("x")})
		}
		for _, step := range []struct {
			later time.Duration
			first int64
		}{{0, 0}, {6 * day, 0}, {8 * day, 9}, {80 * day, 9}} {
			if err := e.RemoveOld(t.Context(), time.Now().Add(step.later)); err != nil {
				t.Fatal(err)
			}
			if got, want := describe(t, c, "orders").Partitions[0], holds(step.first, 10); got != want {
				t.Errorf("after %s: %v, want %v", step.later, got, want)
			}
		}
		if got, want := describe(t, c, "kept").Partitions[0], holds(0, 10); got != want {
			t.Errorf("kept: %v, want %v", got, want)
		}
	})
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) { // the partition goes on at its end
		if got, want := describe(t, c, "orders").Partitions[0], holds(9, 10); got != want {
			t.Errorf("after a restart: %v, want %v", got, want)
		}
	})
}

// Nobody has to ask: the broker's own removal of old records would not run.
func TestRetentionRunsByItself(t *testing.T) {
	e := brokertest.Start(t, func(cfg *embedded.Config) { cfg.RetentionBytes, cfg.RetentionEvery = 1, 10*time.Millisecond })
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, bus.PublisherConfig{})
	for i := range 10 {
		send(t, p, event.Record{Topic: "orders", Key: key(i), Value: []byte("x")})
	}
	eventually(t, "the old records are gone", func() bool { return describe(t, c, "orders").Partitions[0] == holds(9, 10) })
}

func TestRetentionKeepsWhatIsNeeded(t *testing.T) {
	e := brokertest.Start(t, func(cfg *embedded.Config) {
		cfg.Needed = func(topic string, partition int) (int64, bool) { return 4, topic == "orders" && partition == 0 }
		cfg.RetentionBytes = 1
	})
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, bus.PublisherConfig{})
	for i := range 10 {
		send(t, p, event.Record{Topic: "orders", Key: key(i), Value: []byte("x")})
	}
	if err := e.RemoveOld(t.Context(), time.Now().Add(1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, want := describe(t, c, "orders").Partitions[0], holds(4, 10); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// A partition emptied by someone else must not start again at offset 0: positions kept for it would point nowhere.
func TestEmptiedPartitionGoesOnAtItsEnd(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 5)
	restarted(t, dir, func(e *embedded.Broker, _ *bus.Cluster) {
		if err := e.Kafka().DeleteRecords("orders", 0, -1); err != nil {
			t.Fatal(err)
		}
	})
	for round := range int64(2) {
		restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) {
			if got, want := describe(t, c, "orders").Partitions[0], holds(5, 5+round); got != want {
				t.Errorf("start %d: %v, want %v", round, got, want)
			}
			sent := send(t, publisher(t, c, bus.PublisherConfig{}), event.Record{Topic: "orders", Value: []byte("x")})
			if sent[0].Offset != 5+round {
				t.Errorf("next offset %d, want %d", sent[0].Offset, 5+round)
			}
		})
	}
}

func TestEmbeddedSettings(t *testing.T) {
	dir := t.TempDir()
	e := brokertest.Start(t, func(cfg *embedded.Config) { cfg.Dir, cfg.Partitions = dir, 7 })
	c := dial(t, e.Addr())
	topic(t, c, "orders", 0)
	if n := len(describe(t, c, "orders").Partitions); n != 7 {
		t.Errorf("%d partitions, want 7", n)
	}
	res, err := plain(t, e.Addr()).DescribeConfigs(within(t, 10*time.Second), &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
		{ResourceType: kafka.ResourceTypeBroker, ResourceName: "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, entry := range res.Resources[0].ConfigEntries {
		got[entry.ConfigName] = entry.ConfigValue
	}
	for name, want := range map[string]string{"offsets.retention.minutes": "5256000", "log.retention.ms": "-1", "log.retention.bytes": "-1", "log.cleaner.backoff.ms": "315360000000"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, embedded.IdentityFile))
	if err != nil || !json.Valid(b) {
		t.Errorf("%s: %q, %v", embedded.IdentityFile, b, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := embedded.Start(ctx, embedded.Config{Dir: t.TempDir()}); err == nil {
		t.Error("started although the context had ended")
	}
}

// TestEmbeddedIsPrivate: nobody else on the machine reads the log, whatever the umask is, also where they could before.
func TestEmbeddedIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "broker")
	modes := func(want os.FileMode, files bool) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := d.Info()
			if d.IsDir() && path != dir || !d.IsDir() && !files { // below the folder nobody gets
				return err
			}
			if got := st.Mode().Perm() &^ 0o100; got != want {
				t.Errorf("%s has %v", path, st.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	restarted(t, dir, func(_ *embedded.Broker, c *bus.Cluster) { topic(t, c, "t", 1) })
	modes(0o600, false)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	restarted(t, dir, func(*embedded.Broker, *bus.Cluster) { modes(0o600, true) })
}
