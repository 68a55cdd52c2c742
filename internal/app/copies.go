package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/backup"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// copies writes copies of the hub, one at a time.
type copies struct {
	running *lifecycle.Background // ends with the hub
	mu      sync.Mutex
	last    *api.Backup // never changed, but replaced
}

// startCopies lets copies be written; a stopping hub gives the one that is written up.
func (h *Hub) startCopies(context.Context) error {
	h.copies.running = lifecycle.NewBackground(context.Background())
	return h.stack.Push("copies", 10*time.Second, func(context.Context) error {
		return h.copies.running.Stop(context.Background(), api.ErrStopping)
	})
}

// Backup begins a copy.
func (h *Hub) Backup(ctx context.Context, q api.BackupRequest, who string) (*api.Backup, error) {
	b := h.plan().Hub.Backup
	switch {
	case h.embedded == nil || h.store.Shared():
		return nil, &api.Invalid{Detail: "the hub copies the embedded broker and a SQLite store alone: for Kafka and PostgreSQL see docs/backup.md"}
	case b.Dir == "":
		return nil, &api.Invalid{Detail: "no folder for copies is configured: set backup.dir in the configuration, for example backup: {dir: backups}, and reload"}
	}
	folder := backup.Folder{Dir: b.Dir}
	name, err := folder.Name(q.Name)
	if err != nil {
		return nil, &api.Invalid{Detail: err.Error()}
	}
	h.copies.mu.Lock()
	defer h.copies.mu.Unlock()
	if last := h.copies.last; last != nil && last.State == api.BackupRunning {
		return nil, fmt.Errorf("the copy %s is being written: %w", last.Name, state.ErrBusy)
	}
	if h.copies.running.Err() != nil {
		return nil, api.ErrStopping
	}
	w, err := folder.Begin(name)
	switch {
	case errors.Is(err, backup.ErrTaken):
		return nil, taken{fmt.Errorf("%w; give this one another name", err)}
	case err != nil:
		return nil, backup.Explain(err)
	}
	path, err := filepath.Abs(filepath.Join(b.Dir, name))
	if err != nil {
		return nil, errors.Join(err, w.Abandon())
	}
	j := &copying{h: h, w: w, rate: b.Rate, last: h.clock.Elapsed(), view: api.Backup{Name: name, Path: path, ID: uuid.NewString(), State: api.BackupRunning, Step: "the store", Began: h.clock.Now().UTC()}}
	if err := h.store.WriteAudit(ctx, state.Audit{Who: who, Action: "backup", Object: "copy/" + name, Detail: "begun"}); err != nil {
		return nil, errors.Join(err, w.Abandon())
	}
	first := j.view
	h.copies.last = &first
	h.copies.running.Go(func(ctx context.Context) error { j.run(ctx, who); return nil })
	return &first, nil
}

// Backups lists the copies.
func (h *Hub) Backups(context.Context) (*api.Backups, error) {
	dir := h.plan().Hub.Backup.Dir
	out := &api.Backups{Dir: dir, Copies: []api.Backup{}}
	h.copies.mu.Lock()
	if h.copies.last != nil {
		last := *h.copies.last
		out.Last = &last
	}
	h.copies.mu.Unlock()
	if dir == "" {
		return out, nil
	}
	names, all, err := backup.Folder{Dir: dir}.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		m := all[name]
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		out.Copies = append(out.Copies, api.Backup{Name: name, Path: path, ID: m.ID, State: api.BackupDone, Copied: m.Size(), All: m.Size(), Began: m.Began, AsOf: &m.AsOf, Ended: &m.Ended})
	}
	return out, nil
}

// copying is the writing of one copy.
type copying struct {
	h    *Hub
	w    *backup.Writer
	rate int64 // bytes a second
	last time.Duration

	view api.Backup
}

func (j *copying) run(ctx context.Context, who string) {
	err := lifecycle.Guard(func() error { return j.write(ctx) })
	if err != nil {
		err = errors.Join(backup.Explain(err), j.w.Abandon())
	}
	now := j.h.clock.Now().UTC()
	j.view.Ended, j.view.State, j.view.Step = &now, api.BackupDone, ""
	detail := fmt.Sprintf("done: %d bytes", j.view.Copied)
	if err != nil {
		j.view.State, j.view.Error = api.BackupFailed, err.Error()
		detail = "failed: " + err.Error()
		j.h.log.Error("a copy cannot be written; the hub goes on", "copy", j.view.Path, "error", err)
	} else {
		j.h.log.Info("a copy is written", "copy", j.view.Path, "bytes", j.view.Copied)
	}
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := j.h.store.WriteAudit(actx, state.Audit{Who: who, Action: "backup", Object: "copy/" + j.view.Name, Detail: detail}); err != nil {
		j.h.log.Warn("the end of a copy cannot be noted in the audit", "copy", j.view.Path, "error", err)
	}
	j.publish()
}

// publish lets others see how far it is.
func (j *copying) publish() {
	now := j.view
	j.h.copies.mu.Lock()
	defer j.h.copies.mu.Unlock()
	j.h.copies.last = &now
}

// write copies the store first and the logs then: so the logs hold everything that the store says they hold, and what they hold more is read again and
// known again by its ids. The other way round the logs would end before positions in the store, and every flow stand still. Nothing is removed from the
// logs meanwhile, because the copy's positions are older than the hub's.
func (j *copying) write(ctx context.Context) error {
	release, err := j.h.embedded.Keep(ctx)
	if err != nil {
		return err
	}
	defer release()
	at, err := j.h.store.CopyTo(ctx, j.w.Path(backup.StoreFile), store.CopyOptions{ID: j.view.ID, Step: j.pages(ctx)})
	if err != nil {
		return err
	}
	j.view.AsOf = &at
	files, err := j.h.embedded.Files()
	if err != nil {
		return err
	}
	j.w.Paced = func(n int) error { return j.pace(ctx, n) }
	j.view.Step = "the logs"
	for _, f := range files {
		j.view.All += max(0, f.Size)
	}
	for _, f := range files {
		if err := j.w.Copy(ctx, backup.BrokerDir+"/"+f.Name, f.Path, f.Size); err != nil {
			return err
		}
	}
	j.view.Step = "looking it through"
	j.publish()
	cluster, err := embedded.CheckLogs(j.w.Path(backup.BrokerDir), j.h.log)
	if err == nil {
		err = store.CheckCopy(ctx, j.w.Path(backup.StoreFile))
	}
	if err != nil {
		return err
	}
	m := &backup.Manifest{ID: j.view.ID, Version: j.h.version, Began: j.view.Began, AsOf: at, Ended: j.h.clock.Now().UTC(), Cluster: cluster}
	if err := j.w.Finish(ctx, m); err != nil {
		return err
	}
	j.view.Copied, j.view.All = m.Size(), m.Size()
	return nil
}

// pageBytes is SQLite's page as the hub makes its files.
const pageBytes = 4096

// pages paces the copy of the store by the pages that are new.
func (j *copying) pages(ctx context.Context) func(done, all int) error {
	before := 0
	return func(done, all int) error {
		j.view.All = int64(all) * pageBytes
		n := done - before
		before = done
		return j.pace(ctx, n*pageBytes)
	}
}

// pace notes progress, and waits until the bytes may have been written at the rate.
func (j *copying) pace(ctx context.Context, n int) error {
	j.view.Copied += int64(n)
	j.view.All = max(j.view.All, j.view.Copied)
	j.publish()
	j.last += time.Duration(int64(n)) * time.Second / time.Duration(j.rate)
	now := j.h.clock.Elapsed()
	if j.last <= now {
		j.last = max(j.last, now-time.Second) // what was too slow is not made up for in one go
		return context.Cause(ctx)
	}
	return lifecycle.Sleep(ctx, j.h.clock, j.last-now)
}

// taken is a name that another copy has: a conflict, as state.ErrBusy is one, but none that passes.
type taken struct{ error }

func (taken) Is(e error) bool { return e == state.ErrBusy }
