package app

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestLostUntil: a hub that was killed has accepted something after its last beat.
func TestLostUntil(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		stopped, since time.Time
		want           time.Time
	}{
		{noon, noon.Add(5 * time.Second), noon.Add(5 * time.Second)},
		{noon, noon.Add(time.Hour), noon.Add(2 * beatEvery)},
		{time.Time{}, noon.Add(time.Hour + time.Millisecond), noon.Add(time.Hour + time.Second)},
	} {
		if got := lostUntil(&state.Restoration{Stopped: tc.stopped, Since: tc.since}); !got.Equal(tc.want) {
			t.Errorf("stopped %s, restored %s: lost until %s, want %s", tc.stopped, tc.since, got, tc.want)
		}
	}
}

// A store behind its broker is told by that alone: groups have committed what it does not know to be finished. Nothing is done twice, and it settles by
// itself.
func TestStoreBehindItsBroker(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	// The target takes what it is asked without looking for what it has: only the hub can keep from it what was created.
	s.p.edit("flows/erp.yaml", "to: {system: erp}", "to: {system: erp, find: after-conflict}")
	s.start()
	s.push(1, "A", "B")
	await(t, "two are delivered", func() bool { return s.flow("orders-to-erp").Delivered == 2 })
	s.stop()
	db := filepath.Join(s.p.dir, "data", "waybill.db")
	before, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	s.push(1, "C", "D", "E")
	await(t, "five are delivered", func() bool { return s.flow("orders-to-erp").Delivered == 5 })
	s.stop()
	if err := os.WriteFile(db, before, 0o600); err != nil { // the file stays the one that it was
		t.Fatal(err)
	}
	lives, _ := filepath.Glob(db + ".life-*")
	for _, f := range lives {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	st, err := s.hub.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := st.Restored
	if r == nil || !slices.Equal(r.Signs, []string{state.SignLog}) || r.Again != 6 || r.AsOf == nil || !r.AsOf.Before(st.Started) { // on the webhooks' topic and on the one behind it
		t.Fatalf("noticed %+v", r)
	}
	for _, want := range []string{"webhooks answered 202 between", "(" + s.name("notes") + ", " + s.name("orders") + ")", "6 records of that time lie on their topics"} {
		if !strings.Contains(r.Lost, want) {
			t.Errorf("lost: %s; want %q", r.Lost, want)
		}
	}
	await(t, "it is worked off", func() bool { return s.flow("orders-to-erp").Delivered == 5 })
	s.mu.Lock()
	for no, seqs := range s.applied {
		if len(seqs) > 2 { // created, and written once more as an update where the hub did not know what it holds
			t.Errorf("%s was written %v", no, seqs)
		}
	}
	s.mu.Unlock()
	s.once()
	// after-conflict makes the flow one that could create twice what is pushed again: it is watched until a person ends it.
	await(t, "the positions are passed", func() bool {
		r, err := s.hub.Restored(t.Context())
		return err == nil && r.State == state.RestoredWatching && len(r.Blind) == 1 && r.Found == 3
	})
	r, err = s.hub.SayRestored(t.Context(), api.RestoredRequest{Done: true, Note: "all was sent"}, "ann")
	if err != nil || r.State != state.RestoredSettled || r.EndedBy != "ann" {
		t.Errorf("%+v %v", r, err)
	}
	var invalid *api.Invalid
	if _, err := s.hub.SayRestored(t.Context(), api.RestoredRequest{Done: true}, "ann"); !errors.As(err, &invalid) {
		t.Errorf("ended twice: %v", err)
	}
	s.stop()
	s.start() // what was noticed is not noticed again
	if r, err := s.hub.Restored(t.Context()); err != nil || r.State != state.RestoredSettled {
		t.Errorf("after another start: %+v %v", r, err)
	}
}

// once: the target holds each object once.
func (s *shore) once() {
	s.t.Helper()
	st, err := s.hub.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if st.Totals.Duplicates != 0 || st.Totals.Unaccounted != 0 {
		s.t.Errorf("totals %+v", st.Totals)
	}
	s.g.newest(s.t) // complains of a number that is there twice
}

// A person says that the store went back; where every target can be asked, that settles by itself as soon as the positions are passed.
func TestSaidToBeRestored(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	s.start()
	s.push(1, "A")
	if r, err := s.hub.Restored(t.Context()); err != nil || r != nil {
		t.Fatalf("before: %+v %v", r, err)
	}
	if _, err := s.hub.SayRestored(t.Context(), api.RestoredRequest{Note: "the disk was put back"}, "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "it is settled", func() bool {
		r, err := s.hub.Restored(t.Context())
		return err == nil && r.State == state.RestoredSettled && r.EndedBy == "hub" && r.Who == "ann"
	})
	all, err := s.hub.Audits(t.Context(), state.AuditFilter{Limit: 10})
	if err != nil || !slices.ContainsFunc(all, func(a state.Audit) bool { return a.Who == "ann" && strings.Contains(a.Detail, "the disk was put back") }) {
		t.Errorf("audit %+v %v", all, err)
	}
}

// The hub writes copies below the configured folder alone, one at a time, and says what to set where there is none.
func TestBackupIsRefused(t *testing.T) {
	t.Parallel()
	s := newShore(t, "")
	s.start()
	ask := func(name, want string) {
		t.Helper()
		var invalid *api.Invalid
		if _, err := s.hub.Backup(t.Context(), api.BackupRequest{Name: name}, "ann"); !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
	ask("monday", "set backup.dir in the configuration")
	s.stop()
	s.p.edit("configs/waybill.yaml", "http:", "backup: {dir: \""+s.p.dir+"/copies\"}\nhttp:")
	s.start()
	for _, name := range []string{"", "..", "../data", "/etc/monday", "a/b", ".hidden"} {
		ask(name, "no name for a copy")
	}
	b, err := s.hub.Backup(t.Context(), api.BackupRequest{Name: "monday"}, "ann")
	if err != nil || b.State != api.BackupRunning {
		t.Fatalf("%+v %v", b, err)
	}
	await(t, "it is whole", func() bool {
		all, err := s.hub.Backups(t.Context())
		return err == nil && all.Last.State == api.BackupDone && len(all.Copies) == 1 && all.Copies[0].ID == b.ID
	})
	if _, err := s.hub.Backup(t.Context(), api.BackupRequest{Name: "monday"}, "ann"); !errors.Is(err, state.ErrBusy) {
		t.Errorf("a second of the name: %v", err)
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	flow := func(name, from, to string) *config.Flow {
		f := &config.Flow{Name: name}
		f.From.Topic, f.To.Topic = from, to
		return f
	}
	for name, c := range map[string]struct {
		flows []*config.Flow
		want  int
	}{
		"none":      {nil, 1},
		"one":       {[]*config.Flow{flow("a", "x", "")}, 1},
		"a chain":   {[]*config.Flow{flow("c", "z", ""), flow("b", "y", "z"), flow("a", "x", "y")}, 3},
		"a circle":  {[]*config.Flow{flow("a", "x", "y"), flow("b", "y", "x")}, 2},
		"two ways":  {[]*config.Flow{flow("a", "x", "z"), flow("b", "x", "y"), flow("c", "y", "z"), flow("d", "z", "")}, 3},
		"to nobody": {[]*config.Flow{flow("a", "x", "elsewhere")}, 1},
	} {
		if got := hops(&config.Plan{Flows: c.flows}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// What the broker does not tell of the groups when the hub starts keeps it from nothing: coordinators that load are waited for, and a group without
// rights is that one flow's trouble.
func TestStartWhileGroupsAreNotTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		code  int16
		times int
	}{
		{"the coordinator loads", 14, 3},
		{"the coordinator is not there yet", 15, 3},
		{"no rights on the groups", 30, 1 << 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(broker.Close)
			p := newProject(t, newTarget(t).URL)
			p.edit("configs/waybill.yaml", `embedded: {dir: "`+p.dir+`/data/broker"}`, `kafka: {brokers: ["`+broker.ListenAddrs()[0]+`"], replication: 1}`)
			hub := p.start(io.Discard)
			await(t, "every flow has its positions", func() bool {
				stored, err := hub.store.Partitions(t.Context(), "")
				return err == nil && !slices.ContainsFunc(hub.plan().Flows, func(f *config.Flow) bool {
					have := 0
					for i := range stored {
						if stored[i].Flow == f.Name && stored[i].Topic == f.Topic() {
							have++
						}
					}
					return have < hub.plan().Hub.Broker.Partitions
				})
			})
			if err := hub.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			var asked atomic.Int64
			broker.ControlKey(int16(kmsg.OffsetFetch), func(q kmsg.Request) (kmsg.Response, error, bool) {
				broker.KeepControl()
				if int(asked.Add(1)) > test.times {
					return nil, nil, false
				}
				r := q.ResponseKind().(*kmsg.OffsetFetchResponse)
				r.ErrorCode = test.code
				return r, nil, true
			})
			p.start(io.Discard)
			if asked.Load() == 0 {
				t.Error("the broker was not asked")
			}
		})
	}
}
