package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// Folder is where copies are kept.
type Folder struct{ Dir string }

// ErrName: a copy cannot be called so; ErrTaken: there is one of that name.
var (
	ErrName  = errors.New("no name for a copy")
	ErrTaken = errors.New("there is a copy of that name")
)

var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Name is what a person calls a copy: a name in the folder, or its whole path. Anything that would lie elsewhere is refused with ErrName.
func (f Folder) Name(text string) (string, error) {
	name := filepath.Clean(text)
	if filepath.IsAbs(name) {
		dir, err := filepath.Abs(f.Dir)
		if err != nil {
			return "", err
		}
		if name, err = filepath.Rel(dir, name); err != nil {
			return "", fmt.Errorf("%w: %q lies outside %s", ErrName, text, f.Dir)
		}
	}
	if !goodName.MatchString(name) || strings.HasSuffix(name, partial) {
		return "", fmt.Errorf("%w: %q: write one name of letters, digits, dots, dashes and underscores, which then lies in %s", ErrName, text, f.Dir)
	}
	return name, nil
}

// partial ends the names of copies that are not finished, which begin with a dot.
const partial = ".partial"

// Writer writes one copy.
type Writer struct {
	// Paced is called after every piece with its bytes; it may wait. An error ends the copy.
	Paced func(bytes int) error

	root *os.Root // of the folder: nothing outside is reached, also through links
	dir  string   // of the copy that is written
	name string
	tmp  string
}

// piece is copied at once.
const piece = 256 << 10

// Begin makes a place for a copy. What earlier copies that came to no end have left is removed. One at a time may be written to a folder.
func (f Folder) Begin(name string) (*Writer, error) {
	name, err := f.Name(name)
	if err != nil {
		return nil, err
	}
	if err := filemode.Make(f.Dir); err != nil {
		return nil, fmt.Errorf("the folder of copies: %w", err)
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("the folder of copies: %w", err)
	}
	w := &Writer{root: root, name: name, tmp: "." + name + partial}
	w.dir = filepath.Join(f.Dir, w.tmp)
	if err := w.begin(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return w, nil
}

func (w *Writer) begin() error {
	if _, err := w.root.Lstat(w.name); err == nil {
		return fmt.Errorf("%w: %s", ErrTaken, filepath.Join(w.root.Name(), w.name))
	}
	entries, err := fs.ReadDir(w.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), partial) {
			if err := w.root.RemoveAll(e.Name()); err != nil {
				return err
			}
		}
	}
	return w.root.Mkdir(w.tmp, filemode.Dir)
}

// Path is where a file of the copy lies while it is written, for who writes it himself.
func (w *Writer) Path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// Copy copies a file, or its first size bytes; all of it where size is negative.
func (w *Writer) Copy(ctx context.Context, name, from string, size int64) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	inside := filepath.Join(w.tmp, filepath.FromSlash(name))
	if err := w.root.MkdirAll(filepath.Dir(inside), filemode.Dir); err != nil {
		return explain(err)
	}
	out, err := w.root.OpenFile(inside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filemode.File)
	if err != nil {
		return explain(err)
	}
	var src io.Reader = &reader{ctx, in}
	if size >= 0 {
		src = io.LimitReader(src, size)
	}
	for {
		n, err := io.CopyN(out, src, piece)
		if w.Paced != nil && n > 0 {
			if perr := w.Paced(int(n)); perr != nil {
				err = perr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return explain(errors.Join(out.Sync(), out.Close()))
		case err != nil:
			return explain(errors.Join(err, out.Close()))
		}
	}
}

// explain says what to do about a disk that is full.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: the disk of the copies is full: remove old copies, or give backup.dir another disk; the hub's own data is untouched", err)
	}
	return err
}

// Explain is explain, for who writes a file of the copy himself.
func Explain(err error) error { return explain(err) }

// Finish hashes what was written, writes the manifest and gives the copy its name. Until then there is no copy of that name.
func (w *Writer) Finish(ctx context.Context, m *Manifest) (err error) {
	names, err := list(w.dir)
	if err != nil {
		return err
	}
	dirs := map[string]bool{w.dir: true}
	m.Format, m.Files = Format, nil
	for _, name := range names {
		path := w.Path(name)
		for d := filepath.Dir(path); d != w.dir; d = filepath.Dir(d) {
			dirs[d] = true
		}
		if err := os.Chmod(path, filemode.File); err != nil {
			return err
		}
		size, sum, err := hashFile(ctx, path)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, File{name, size, sum})
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeSynced(w.Path(ManifestFile), append(text, '\n')); err != nil {
		return explain(err)
	}
	for d := range dirs {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	if err := w.root.Rename(w.tmp, w.name); err != nil {
		return err
	}
	return errors.Join(syncDir(w.root.Name()), w.root.Close())
}

// Abandon removes what was written.
func (w *Writer) Abandon() error {
	return errors.Join(w.root.RemoveAll(w.tmp), w.root.Close())
}

// List gives the manifests of the whole copies, newest first, by their names.
func (f Folder) List() (names []string, all map[string]*Manifest, err error) {
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all = map[string]*Manifest{}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if m, err := Read(filepath.Join(f.Dir, e.Name())); err == nil { // what is no copy is somebody else's
			all[e.Name()] = m
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return all[b].Ended.Compare(all[a].Ended) })
	return names, all, nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filemode.File)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
