package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/filemode"
)

// folders are those below one of this machine.
type folders struct{ dir string }

// Close has nothing to close: no file stays open between calls.
func (folders) Close() error { return nil }

// Folder opens a folder. Nothing outside the system's path can be reached through it.
func (f folders) Folder(ctx context.Context, dir string) (drop.Folder, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := open(f.dir)
	if err != nil || dir == "." {
		return folder{root}, err
	}
	defer root.Close()
	sub, err := root.OpenRoot(dir)
	return folder{sub}, err
}

// open opens the system's folder. What is there and no folder is named as that.
func open(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		return root, nil
	}
	if info, serr := os.Stat(dir); serr == nil && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	return nil, err
}

type folder struct{ root *os.Root }

func (f folder) Close() error { return f.root.Close() }

func (f folder) List(dir string) ([]fs.DirEntry, error) { return fs.ReadDir(f.root.FS(), dir) }

func (f folder) Stat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// Open opens a file for reading. A pipe that has come under its name meanwhile does not make it wait for a writer.
func (f folder) Open(name string) (drop.File, error) {
	in, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := in.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = drop.NoFile(name, info.Mode())
	}
	if err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

func (f folder) Create(name string, data []byte, ask func() error) error {
	return drop.Beside(f, name, data, ask)
}

// Write writes a file for others, synced.
func (f folder) Write(name string, data []byte) error {
	out, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, forOthers)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return errors.Join(err, filemode.Shared(out, forOthers), out.Sync(), out.Close())
}

// Name renames a file and makes the name durable.
func (f folder) Name(from, to string) error {
	if err := f.root.Rename(from, to); err != nil {
		return err
	}
	d, err := f.root.Open(".")
	if err != nil {
		return fmt.Errorf("%w: %w", drop.ErrUnknown, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("%w: %w", drop.ErrUnknown, err)
	}
	return nil
}

func (f folder) Put(name string, data []byte) error {
	if err := f.makeFolders(path.Dir(name)); err != nil {
		return err
	}
	return f.Write(name, data)
}

// Move renames a file. Nothing is synced: a file that a power cut puts back is known, and moved again.
func (f folder) Move(_ fs.FileInfo, from, to string) error {
	if err := f.makeFolders(path.Dir(to)); err != nil {
		return err
	}
	return f.root.Rename(from, to)
}

// Link gives a file another name beside its own: unlike a rename it never takes the name from another file.
func (f folder) Link(from, to string) error { return f.root.Link(from, to) }

func (f folder) Remove(name string) error { return f.root.Remove(name) }

// Modes of what other systems are to read, less the operator's umask.
const (
	forOthers       = fs.FileMode(0o644)
	folderForOthers = fs.FileMode(0o755)
)

// makeFolders makes a folder below root, and those between, for others too.
func (f folder) makeFolders(dir string) error {
	at := ""
	for _, part := range strings.Split(filepath.ToSlash(filepath.Clean(dir)), "/") {
		at = path.Join(at, part)
		switch err := f.root.Mkdir(at, folderForOthers); {
		case errors.Is(err, fs.ErrExist):
			continue
		case err != nil:
			return err
		}
		d, err := f.root.Open(at)
		if err != nil {
			return err
		}
		if err := errors.Join(filemode.Shared(d, folderForOthers), d.Close()); err != nil {
			return err
		}
	}
	return nil
}
