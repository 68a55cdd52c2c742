package soak

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/needtest"
)

var diskFaults = []fault{
	{Name: "disk full", Setups: []setup{embedded}, Goal: 20, Every: true, Run: diskFull},
	{Name: "disk of the broker alone full", Setups: []setup{embedded}, Goal: 20, Run: brokerDiskFull},
	{Name: "disk of the database alone full", Setups: []setup{embedded}, Goal: 20, Run: storeDiskFull},
}

// mount gives a file system of its own to a directory below the test's: small, and large enough for what the hub keeps of the load.
func mount(b *budget) string {
	t := b.T
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", b.size(192, 768))); err != nil {
		needtest.Skip(t, "a small disk cannot be mounted here (%v): it needs root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
			t.Errorf("the disk is still in use after the hub's end: %v", err)
		}
	})
	return dir
}

// ballast fills a disk to its last byte, and keeps it full while others give space back.
type ballast struct {
	file string
	stop chan struct{}
	done chan struct{}
}

func fill(t *testing.T, dir string) *ballast {
	t.Helper()
	b := &ballast{file: filepath.Join(dir, "ballast"), stop: make(chan struct{}), done: make(chan struct{})}
	full := make(chan struct{})
	go func() {
		defer close(b.done)
		f, err := os.OpenFile(b.file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			t.Error(err)
			close(full)
			return
		}
		defer f.Close()
		chunk := make([]byte, 1<<20)
		for first := true; ; {
			n := len(chunk)
			for n > 0 {
				if _, err := f.Write(chunk[:n]); errors.Is(err, syscall.ENOSPC) {
					n /= 2
				} else if err != nil {
					t.Error(err)
					n = 0
				}
			}
			if first {
				first = false
				close(full)
			}
			select {
			case <-b.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	<-full
	return b
}

func (b *ballast) remove() {
	close(b.stop)
	<-b.done
	_ = os.Remove(b.file)
}

func diskFull(b *budget) {
	dir := mount(b)
	runDiskFull(b, dir, func(p *project) { p.DataDir = dir }, true)
}

func brokerDiskFull(b *budget) {
	dir := mount(b)
	runDiskFull(b, dir, func(p *project) { link(b.T, p.DataDir, "broker", dir) }, false)
}

func storeDiskFull(b *budget) {
	dir := mount(b)
	runDiskFull(b, dir, func(p *project) { p.StorePath = filepath.Join(dir, "waybill.db") }, true)
}

// link puts a directory on the small disk.
func link(t *testing.T, dataDir, name, disk string) {
	t.Helper()
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(disk, filepath.Join(dataDir, name)); err != nil {
		t.Fatal(err)
	}
}

// runDiskFull: while the disk is full, what cannot be kept is answered 503 and never 202, the hub lives and says why; when
// there is room again it goes on by itself. In every other round the hub is killed while the disk is full.
func runDiskFull(b *budget, dir string, change func(*project), refusing bool) {
	w := newWorld(b.T, b.setup, change)
	h := w.hub()
	h.start()
	var unavailable, other atomic.Int64
	end := w.background(load{Rate: float64(b.size(300, 800)), Batch: 10, Keys: 100, Text: func(no string) string { return strings.Repeat(no+" ", 300) }, Refused: func(status int, _ string) {
		if status == http.StatusServiceUnavailable {
			unavailable.Add(1)
		} else {
			other.Add(1)
		}
	}})
	for b.more(2) {
		w.delivered(100, time.Minute)
		full := fill(b.T, dir)
		before := unavailable.Load()
		if refusing {
			h.await("a delivery refused with 503", 30*time.Second, func() bool { return unavailable.Load() > before })
		} else {
			time.Sleep(500 * time.Millisecond) // the broker notices with its next write
		}
		if !h.alive() {
			b.Fatalf("the hub has ended over a full disk: %s", tail(h.text(), 2000))
		}
		killed := b.reps%2 == 1
		if killed {
			h.kill()
		}
		full.remove()
		began := time.Now()
		if killed {
			h.start()
		} else {
			h.await("ready again", time.Minute, h.ready)
		}
		w.delivered(100, time.Minute)
		b.happened(time.Since(began))
	}
	end()
	if other.Load() > 0 {
		b.Errorf("%d deliveries were refused otherwise than by 503", other.Load())
	}
	w.quiet(5 * time.Minute)
	b.judge(w, rules{})
	if code := h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d: %s", code, tail(h.text(), 2000))
	}
}
