package embedded

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LogFile is one file of the embedded broker, to be copied.
type LogFile struct {
	// Name is its path in the broker's directory, with slashes; Path is where it lies.
	Name, Path string
	// Size is how much of it is to be copied: what was in it when the files were listed, at most. -1: all of it, because it is replaced as a whole.
	Size int64
}

// errStill is what a copy gets while the broker cannot write.
var errStill = errors.New("the embedded broker stands still: its directory cannot be written to")

// Keep sees to it that nothing is removed from the logs until release is called.
func (b *Broker) Keep(ctx context.Context) (release func(), err error) {
	select {
	case b.keep <- struct{}{}:
		return func() { <-b.keep }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Files lists what a copy of the broker consists of, at one moment of a broker that works: every log up to its end at that time, and last the list of the
// topics, so that no partition is copied whose topic is not in it. Nothing may be removed until they are copied: see Keep. A copy can end in the middle of
// an entry; CheckLogs cuts that off.
func (b *Broker) Files() (files []LogFile, err error) {
	b.mu.Lock()
	still := b.cluster == nil || b.life.over.Load()
	b.mu.Unlock()
	if still {
		return nil, errStill
	}
	err = filepath.WalkDir(b.cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == asideDir {
				return errStill
			}
			return nil
		}
		rel, err := filepath.Rel(b.cfg.Dir, path)
		if err != nil || !copied(filepath.ToSlash(rel)) {
			return err
		}
		f := LogFile{Name: filepath.ToSlash(rel), Path: path, Size: -1}
		if !strings.HasSuffix(path, ".json") {
			st, err := d.Info()
			if err != nil {
				return err
			}
			f.Size = st.Size()
		}
		files = append(files, f)
		return nil
	})
	slices.SortStableFunc(files, func(a, b LogFile) int { return rank(a.Name) - rank(b.Name) })
	return files, err
}

// rank puts the list of topics last.
func rank(name string) int {
	if name == topicsFile {
		return 1
	}
	return 0
}

const topicsFile = "topics.json"

// copied leaves out the lock, what is temporary, and what only a clean stop leaves for the next start, which would not fit the logs of the copy.
func copied(name string) bool {
	switch name {
	case lockFile, "seq_windows.json", "session_state.json":
		return false
	}
	return !strings.HasSuffix(name, ".tmp")
}

// CheckLogs makes a copy of the broker's directory fit to be opened, and refuses one that is damaged: see repair. It tells the id of the cluster.
func CheckLogs(dir string, log *slog.Logger) (cluster string, err error) { return repair(dir, log) }

// LockDir keeps brokers from a directory, which is made, until what it gives is closed; it is refused while one is at work there.
func LockDir(dir string) (*os.File, error) { return lockDir(dir) }
