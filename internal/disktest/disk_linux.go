package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/waybill-hub/waybill/internal/needtest"
)

// Small mounts a disk of so many megabytes for the test.
func Small(t testing.TB, megabytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		needtest.Skip(t, "a small disk cannot be mounted here (%v): it needs root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH)))
		}
	})
	return dir
}

// Fill fills the disk that a directory is on to its last byte.
func Fill(t testing.TB, dir string) (empty func()) {
	t.Helper()
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); errors.Is(err, syscall.ENOSPC) {
			n /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := errors.Join(f.Close(), os.Remove(ballast)); err != nil {
			t.Error(err)
		}
	}
}

// Freeze makes the files below a directory immutable, and the directory too: nobody can write them, root and who has them open included. That
// is what a disk does that has become read-only.
func Freeze(t testing.TB, dir string) (thaw func()) {
	t.Helper()
	var frozen []string
	thaw = func() {
		for _, f := range frozen {
			if err := immutable(f, false); err != nil {
				t.Error(err)
			}
		}
		frozen = nil
	}
	t.Cleanup(thaw)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = immutable(path, true)
		}
		if err == nil {
			frozen = append(frozen, path)
		}
		return err
	})
	if err != nil {
		thaw()
		needtest.Skip(t, "files cannot be made immutable here (%v): it needs root and ext4, xfs or btrfs", err)
	}
	return thaw
}

// Of linux/fs.h, for 64-bit machines.
const (
	getFlags    = 0x80086601
	setFlags    = 0x40086602
	immutableFl = 0x10
)

func immutable(name string, on bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var flags int
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), getFlags, uintptr(unsafe.Pointer(&flags))); no != 0 {
		return fmt.Errorf("%s: %w", name, no)
	}
	flags &^= immutableFl
	if on {
		flags |= immutableFl
	}
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), setFlags, uintptr(unsafe.Pointer(&flags))); no != 0 {
		return fmt.Errorf("%s: %w", name, no)
	}
	return nil
}
