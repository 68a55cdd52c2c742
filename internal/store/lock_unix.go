//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// lockFile takes the lock that keeps a second hub off a SQLite store, and returns how to give it back. The lock
// ends with the process, however that ends; the file stays.
func lockFile(path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, filemode.File)
	if err != nil {
		return nil, fmt.Errorf("store lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }() // nothing was written to it
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("store %s is in use by another hub%s (lock %s): stop that one, or give this one its own data directory",
				strings.TrimSuffix(path, ".lock"), holder(f), path)
		}
		return nil, fmt.Errorf("store lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		// Only a hint for the other hub's error text.
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f.Close, nil
}

// holder names the process that wrote its number into the lock file.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, err := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" && (err == nil || n > 0) {
		return ", process " + pid
	}
	return ""
}
