package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// cachestat is the system call of Linux 6.5 that tells how much of a file is in memory and not on disk; it has the same
// number everywhere.
const cachestat = 451

// unwritten gives the pages of a file that a power cut would take.
func unwritten(t testing.TB, path string) uint64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var span [2]uint64 // the whole file
	var stat struct{ cached, dirty, writing, evicted, recent uint64 }
	_, _, errno := syscall.Syscall6(cachestat, f.Fd(), uintptr(unsafe.Pointer(&span)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	if errors.Is(errno, syscall.ENOSYS) || errors.Is(errno, syscall.EOPNOTSUPP) {
		needtest.Skip(t, "whether acknowledged records are on disk is not checked: this system does not tell what of a file is (cachestat, Linux 6.5)")
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	return stat.dirty + stat.writing
}

// A killed process shows no difference, a power cut would: what the embedded broker has acknowledged is on disk.
func TestEmbeddedWritesThrough(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if unwritten(t, plain) == 0 {
		needtest.Skip(t, "whether acknowledged records are on disk is not checked: this file system does not tell what of a file is")
	}
	dir := t.TempDir()
	e := brokertest.Start(t, func(cfg *embedded.Config) { cfg.Dir = dir })
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, bus.PublisherConfig{})
	for round := range int64(5) {
		send(t, p, record("orders", "k", "v"))
		commitAt(t, e.Addr(), "g", "orders", round+1)
		for _, name := range []string{"partitions/orders-0/0.dat", "groups.log"} {
			if n := unwritten(t, filepath.Join(dir, name)); n > 0 {
				t.Fatalf("%s: %d pages are not on disk", name, n)
			}
		}
	}
}
