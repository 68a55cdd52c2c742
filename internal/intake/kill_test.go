//go:build unix

package intake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// childEnv makes the test program a hub that kills itself: "<where> <after how many> <directory>".
const childEnv = "WAYBILL_INTAKE_CHILD"

const (
	killRows  = 400
	killChunk = 25
)

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // it takes a moment
}

// doomed is the store and the topic of a process that is to be killed where an environment variable says.
func doomed(env string) (*store.Store, *deadly) {
	var where, dir string
	var after int64
	if _, err := fmt.Sscan(os.Getenv(env), &where, &after, &dir); err != nil {
		panic(err)
	}
	s, err := store.Open(context.Background(), store.Config{SQLite: filepath.Join(dir, "waybill.db")})
	if err != nil {
		panic(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "topic.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return s, &deadly{Store: s, log: log, where: where, after: after}
}

// childMain takes and carries one file until it is killed, or until everything is carried.
func childMain() {
	s, deadly := doomed(childEnv)
	d := newDrop()
	d.put("big.csv", "sha-big", noon, rowsOf(0, killRows)...)
	source := watched(d, killChunk)
	source.Flow, source.Entity, source.System, source.Topic = "orders", "order", "erp", "in.orders"
	source.Files.When = schedule.Every(time.Second)
	in, err := Start(Config{Store: deadly, Publisher: deadly, Clock: lifecycle.Real(), Holder: "hub-" + strconv.Itoa(os.Getpid()), LeaseTTL: 100 * time.Millisecond, Sources: []Source{source}})
	if err != nil {
		panic(err)
	}
	for {
		taken := d.empty() // before the inbox is asked: what it takes meanwhile would be missed
		rows, err := s.Unpublished(context.Background(), "orders", 1, 1)
		if taken && err == nil && len(rows) == 0 {
			break
		}
		yield()
	}
	if err := errors.Join(in.Stop(context.Background()), s.Close()); err != nil {
		panic(err)
	}
}

// deadly is a store and a topic that kill the process.
type deadly struct {
	Store
	log   *os.File
	where string
	after int64
	n     atomic.Int64
}

func (d *deadly) at(where string) bool { return d.where == where && d.n.Add(1) == d.after }

func (d *deadly) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if d.at("during-accept") {
		go die() // somewhere in the middle of the commit
	}
	a, seqs, err := d.Store.Accept(ctx, rows, cur, lease)
	if d.at("after-accept") {
		die()
	}
	return a, seqs, err
}

func (d *deadly) MarkPublished(ctx context.Context, lease state.Lease, done []state.Published, rest []state.Inbound) error {
	if d.at("before-mark") {
		die()
	}
	if d.at("during-mark") {
		go die()
	}
	return d.Store.MarkPublished(ctx, lease, done, rest)
}

func (d *deadly) Send(_ context.Context, records []event.Record) []event.Sent {
	out := make([]event.Sent, len(records))
	for i := range records {
		e := event.Read(&records[i])
		if _, err := fmt.Fprintf(d.log, "%s %s\n", e.ID, e.Key); err != nil {
			panic(err)
		}
		if d.at("during-publish") {
			die()
		}
	}
	return out
}

// killed runs the test program as a hub in dir, and reports whether it killed itself.
func killed(t *testing.T, env, where string, after int, dir string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", env, where, after, dir))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && ctx.Err() == nil && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	t.Fatalf("the hub ended otherwise: %v\n%s", err, out.String())
	return false
}

// TestKilled kills the hub with SIGKILL in the middle of everything, again and again: no row is lost, none gets a second
// id, and the order stays.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what starts and kills processes")
	}
	dir := t.TempDir()
	run := func(where string, after int) bool {
		t.Helper()
		return killed(t, childEnv, where, after, dir)
	}
	for _, death := range []struct {
		where string
		after int
	}{
		{"during-accept", 3}, {"after-accept", 2}, {"during-publish", 7}, {"before-mark", 1}, {"during-mark", 1}, {"during-publish", 60}, {"during-accept", 2}, {"after-accept", 3}, {"before-mark", 2},
	} {
		if !run(death.where, death.after) {
			t.Logf("everything was carried before the death %s %d", death.where, death.after)
		}
	}
	if run("never", 0) {
		t.Fatal("killed though nobody asked")
	}
	f, err := os.Open(filepath.Join(dir, "topic.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ids := map[string]string{} // by key
	next, lines := 0, 0
	for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
		id, key, _ := strings.Cut(sc.Text(), " ")
		if before, known := ids[key]; known && before != id {
			t.Fatalf("row %s came as %s and as %s", key, before, id)
		} else if !known {
			if key != strconv.Itoa(next) {
				t.Fatalf("row %s came first where %d was due", key, next)
			}
			next++
		}
		ids[key] = id
	}
	if len(ids) != killRows {
		t.Errorf("%d rows came, want %d", len(ids), killRows)
	}
	t.Logf("%d rows were published %d times", killRows, lines)
}
