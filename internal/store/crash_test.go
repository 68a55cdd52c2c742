package store_test

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
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// childEnv turns this test program into a hub that promises as fast as it can, until it is killed.
const childEnv = "WAYBILL_STORE_CHILD"

// childMain prints "accepted N" and "committed N" after the store has promised them.
func childMain() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{SQLite: os.Getenv(childEnv)})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	s.GatherFew()
	p, err := s.OpenPartition(ctx, "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 40})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var out sync.Mutex
	say := func(what string, n int64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, n)
	}
	var wg sync.WaitGroup
	for w := range int64(8) {
		wg.Go(func() {
			for n := w; ; n += 8 {
				if _, _, err := s.Accept(ctx, []state.Inbound{{Flow: "in", ID: fmt.Sprint(n), DeliveryID: fmt.Sprint(n), Body: []byte("body")}}, nil, nil); err == nil {
					say("accepted", n)
				}
			}
		})
		wg.Go(func() {
			for n := p.Position.Next + w; ; n += 8 {
				r := state.Result{Offset: n, Outcome: state.Delivered}
				if n%5 == 0 {
					r = state.Result{Offset: n, Outcome: state.Parked, Queue: &state.Queued{Lane: fmt.Sprint(n % 7), Blocking: true}}
				}
				r.Journal = &state.Journal{Flow: "f", Key: fmt.Sprint("SO-", n%50), Hub: fmt.Sprint("h", n), EventID: fmt.Sprint("e", n), Outcome: r.Outcome}
				if err := s.Commit(ctx, &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{r}}); err == nil {
					say("committed", n)
				}
			}
		})
	}
	wg.Wait()
}

// What the store has promised is there after the process was killed with SIGKILL, again and again.
func TestKilledProcessKeepsPromises(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "waybill.db")
	promised := map[string]bool{}
	for round := range 4 {
		before := len(promised)
		killAfter(t, path, 150+50*round, promised)
		if len(promised) == before {
			t.Fatal("the child promised nothing")
		}
		s, err := store.Open(t.Context(), store.Config{SQLite: path})
		if err != nil {
			t.Fatal(err)
		}
		checkPromises(t, s, promised)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs a child until it has printed so many lines, and kills it in the middle of its work.
func killAfter(t *testing.T, path string, lines int, promised map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for n := 0; scan.Scan(); n++ {
		if strings.HasPrefix(scan.Text(), "error") {
			t.Fatal(scan.Text())
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if f := strings.Fields(scan.Text()); len(f) == 2 {
			if _, err := strconv.Atoi(f[1]); err == nil { // not a torn last line
				promised[scan.Text()] = true
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err == nil || !errors.As(err, &exit) {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

func checkPromises(t *testing.T, s *store.Store, promised map[string]bool) {
	t.Helper()
	all, _, _, err := s.StatusSnapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if n := f.Unaccounted(); n != 0 {
			t.Errorf("%d unaccounted: %+v", n, f)
		}
	}
	ps, err := s.Partitions(t.Context(), "f")
	if err != nil || len(ps) != 1 {
		t.Fatal(ps, err)
	}
	finished := func(n int64) bool {
		if n < ps[0].Position.Next {
			return true
		}
		for _, r := range ps[0].Position.Done {
			if r.From <= n && n < r.To {
				return true
			}
		}
		return false
	}
	var rows []state.Inbound
	for line := range promised {
		what, number, _ := strings.Cut(line, " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if what == "committed" && !finished(n) {
			t.Errorf("offset %d was promised and is lost", n)
		}
		if what == "committed" {
			if rows, err := s.Journal(t.Context(), state.JournalFilter{Hub: fmt.Sprint("h", n)}); err != nil || len(rows) != 1 {
				t.Errorf("the fate of %d was promised and %d are found: %v", n, len(rows), err)
			}
		}
		if what == "accepted" {
			rows = append(rows, state.Inbound{Flow: "in", ID: number, DeliveryID: number, Body: []byte("body")})
		}
	}
	fates, _, err := s.Accept(t.Context(), rows, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fates {
		if f != state.AcceptedDuplicate {
			t.Errorf("delivery %s was promised and is lost", rows[i].ID)
		}
	}
}
