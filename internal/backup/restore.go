package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// Place is where a hub keeps its data: a SQLite file and the directory of the embedded broker.
type Place struct{ Store, Broker string }

// ErrData: there is data where a copy would be put.
var ErrData = errors.New("there is data already")

// Restore puts a verified copy in its place, for a hub to be started on; the caller keeps hubs from it meanwhile. Data that is there is refused with ErrData
// or, with aside, moved beside it under names that end in ".before-"+aside.
func Restore(ctx context.Context, dir string, m *Manifest, to Place, aside string) (err error) {
	to.Broker = filepath.Clean(to.Broker)
	there, err := data(to)
	if err != nil {
		return err
	}
	if len(there) > 0 && aside == "" {
		return fmt.Errorf("%w: %s", ErrData, strings.Join(there, ", "))
	}
	coming := to.Broker + ".restoring"
	store := to.Store + ".restoring"
	if err := errors.Join(os.RemoveAll(coming), os.RemoveAll(store), filemode.Make(coming), filemode.Make(to.Broker), filemode.Make(filepath.Dir(to.Store))); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(coming), os.RemoveAll(store)) }()
	for _, f := range m.Files {
		from, target := filepath.Join(dir, filepath.FromSlash(f.Name)), ""
		if rest, ok := strings.CutPrefix(f.Name, BrokerDir+"/"); ok {
			target = filepath.Join(coming, filepath.FromSlash(rest))
		} else if f.Name == StoreFile {
			target = store
		} else {
			continue
		}
		if err := copyFile(ctx, from, target, f); err != nil {
			return explain(err)
		}
	}
	// All that can fail for want of space or of a right is done. A crash from here on leaves a store that is ahead of the log, or none: the hub says so.
	for _, path := range there {
		away := path + ".before-" + aside
		if filepath.Dir(path) == filepath.Clean(to.Broker) {
			if err := filemode.Make(to.Broker + ".before-" + aside); err != nil {
				return err
			}
			away = filepath.Join(to.Broker+".before-"+aside, filepath.Base(path))
		}
		if err := os.Rename(path, away); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(coming)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(coming, e.Name()), filepath.Join(to.Broker, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Rename(store, to.Store); err != nil {
		return err
	}
	return errors.Join(syncDir(to.Broker), syncDir(filepath.Dir(to.Store)))
}

// data lists what lies where a copy would be put; locks are none of it.
func data(to Place) (there []string, err error) {
	files, err := filepath.Glob(globEscape(to.Store) + "*")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		rest := strings.TrimPrefix(f, to.Store)
		if rest == "" || rest == "-wal" || rest == "-shm" || rest == "-journal" || strings.HasPrefix(rest, ".life-") && !strings.Contains(rest, ".before-") {
			there = append(there, f)
		}
	}
	entries, err := os.ReadDir(to.Broker)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() != "lock" {
			there = append(there, filepath.Join(to.Broker, e.Name()))
		}
	}
	return there, nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// copyFile copies a file of a copy and holds what it reads against the manifest once more.
func copyFile(ctx context.Context, from, to string, want File) (err error) {
	if err := filemode.Make(filepath.Dir(to)); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filemode.File)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(&reader{ctx, in})
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	size, sum, err := hashFile(ctx, to)
	if err == nil && (size != want.Size || sum != want.SHA256) {
		err = fmt.Errorf("%s was changed while it was copied", from)
	}
	return err
}
