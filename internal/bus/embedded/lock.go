package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// lockFile is held for as long as a broker uses the directory. The system gives it free when the process dies.
const lockFile = "lock"

// lockDir makes the directory and locks it for this process.
func lockDir(dir string) (*os.File, error) {
	if err := filemode.Make(dir); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, filemode.File)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded broker: directory %s is in use by another hub (process %s): stop it, or give this one a directory of its own",
				dir, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("embedded broker: lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("embedded broker: write %s: %w", path, err)
		}
	}
	return f, nil
}
