// Package filemode keeps what the hub writes for itself from other users of the machine, whatever the umask is, and leaves to others what is
// for them.
package filemode

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Modes of what only the hub's own user needs: documents with business and personal data, and the keys that go with them.
const (
	File = fs.FileMode(0o600)
	Dir  = fs.FileMode(0o700)
)

var operator struct {
	sync.Mutex
	umask fs.FileMode
	known bool
}

// Private has everything that this process makes from now on readable by its own user alone, also by libraries which ask for wider rights. What
// is for others is opened to them by Shared. It is for programs, not for libraries: the umask is the whole process's.
func Private() {
	operator.Lock()
	defer operator.Unlock()
	if !operator.known {
		operator.umask, operator.known = fs.FileMode(syscall.Umask(0o077)), true
	}
}

// Shared gives a new file or folder that is meant for others the mode that it would have had under the operator's own umask. Without Private it
// has it already.
func Shared(f *os.File, mode fs.FileMode) error {
	operator.Lock()
	defer operator.Unlock()
	if !operator.known {
		return nil
	}
	return f.Chmod(mode &^ operator.umask)
}

// Make makes a folder for the hub alone, and those above it where they are missing. A folder that is there already is left as it is.
func Make(dir string) error { return os.MkdirAll(dir, Dir) }

// Tighten takes the rights of others away from a file or folder, and from everything below it. It reports how many had some. What is not there
// is no error, links are not followed, and what belongs to somebody else is an error.
func Tighten(root string) (changed int, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) { // gone meanwhile
				return nil
			}
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() || info.Mode().Perm()&0o077 == 0 {
			return err
		}
		if err := os.Chmod(path, info.Mode()&^0o077); err != nil {
			return err
		}
		changed++
		return nil
	})
	if err != nil {
		return changed, fmt.Errorf("the rights of others cannot be taken away: %w", err)
	}
	return changed, nil
}

// Writable reports whether others than its owner may put files into a folder, or take them away: they could put their own in place of the hub's.
func Writable(dir string) bool {
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && st.Mode().Perm()&0o022 != 0 && st.Mode()&fs.ModeSticky == 0
}
