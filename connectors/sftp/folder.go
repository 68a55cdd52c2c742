package sftp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/pkg/sftp"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
)

// mostBreaks is how often one call goes on over a new connection before it fails.
const mostBreaks = 3

// folder is one there. It has a connection of its own until it is closed.
type folder struct {
	v    *server
	ctx  context.Context
	base string
	s    *session
	stop func() bool // of what closes the connection with ctx
	lost bool
}

// Folder opens a folder.
func (v *server) Folder(ctx context.Context, dir string) (drop.Folder, error) {
	f := &folder{v: v, ctx: ctx, base: path.Join(v.set.Path, dir)}
	if err := f.begin(); err != nil {
		return nil, err
	}
	err := f.do(f.base, func(c *sftp.Client) error {
		info, err := c.Stat(f.base)
		if err == nil && !info.IsDir() {
			err = &answer{errors.New("not a directory")}
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// begin takes a connection.
func (f *folder) begin() error {
	s, err := f.v.take(f.ctx)
	if err != nil {
		return err
	}
	f.s, f.lost = s, false
	f.stop = context.AfterFunc(f.ctx, func() { _ = s.conn.Close() })
	return nil
}

// Close gives the connection back.
func (f *folder) Close() error {
	if f.s == nil {
		return nil
	}
	again := f.stop() && !f.lost
	f.v.give(f.s, again)
	f.s = nil
	return nil
}

// do calls the server; where the connection breaks, again over a new one: call must bear that. Its error names the file.
func (f *folder) do(name string, call func(c *sftp.Client) error) error {
	for breaks := 0; ; breaks++ {
		err := f.once(call)
		if !f.lost {
			return named(name, err)
		}
		if cause := context.Cause(f.ctx); cause != nil {
			return fault.New(fault.Unavailable, "%s: %w", name, cause)
		}
		if breaks == mostBreaks {
			return fault.New(fault.Unavailable, "%s: the connection breaks off all the time: %w", name, err)
		}
	}
}

func (f *folder) once(call func(c *sftp.Client) error) error {
	if f.s == nil || f.lost {
		if err := f.Close(); err != nil {
			return err
		}
		if err := f.begin(); err != nil {
			f.lost = false // a server that is away, or that lets nobody in, is not asked again here
			return err
		}
	}
	err := call(f.s.sftp)
	f.lost = broken(err)
	return err
}

// broken: the failure is the connection's, and not an answer of the server.
func broken(err error) bool {
	var status *sftp.StatusError
	var failed *fault.Error
	var answer *answer
	return err != nil && !errors.As(err, &status) && !errors.As(err, &failed) && !errors.As(err, &answer) && !errors.Is(err, fs.ErrNotExist) &&
		!errors.Is(err, fs.ErrPermission)
}

// answer is what was found out by what the server said.
type answer struct{ error }

func (a *answer) Unwrap() error { return a.error }

// named says which file a failure is of.
func named(name string, err error) error {
	var failed *fault.Error
	var has *fs.PathError
	if err == nil || errors.As(err, &failed) || errors.As(err, &has) {
		return err
	}
	return &fs.PathError{Op: "sftp", Path: name, Err: err}
}

func (f *folder) at(name string) string { return path.Join(f.base, name) }

func (f *folder) List(dir string) (out []fs.DirEntry, err error) {
	err = f.do(f.at(dir), func(c *sftp.Client) error {
		infos, err := c.ReadDirContext(f.ctx, f.at(dir))
		out = out[:0]
		for _, i := range infos {
			out = append(out, fs.FileInfoToDirEntry(i))
		}
		return err
	})
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return out, err
}

func (f *folder) Stat(name string) (info fs.FileInfo, err error) {
	err = f.do(f.at(name), func(c *sftp.Client) error {
		info, err = c.Lstat(f.at(name))
		return err
	})
	return info, err
}

// Open copies a file, or the rest of it.
func (f *folder) Open(name string) (drop.File, error) {
	info, err := f.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, drop.NoFile(name, info.Mode())
	}
	return f.v.copies.Open(f.at(name), info, func(from int64, to io.Writer) error {
		return f.do(f.at(name), func(c *sftp.Client) error {
			in, err := c.Open(f.at(name))
			if err != nil {
				return err
			}
			defer in.Close()
			now, err := in.Stat()
			if err != nil {
				return err
			}
			if now.Size() < info.Size() || !now.ModTime().Equal(info.ModTime()) {
				return &answer{&fs.PathError{Op: "read", Path: name, Err: errors.New("the file has changed since it was listed")}}
			}
			if _, err := in.Seek(from, io.SeekStart); err != nil {
				return err
			}
			w := &counting{to: to}
			_, err = io.Copy(w, io.LimitReader(in, info.Size()-from))
			from += w.n // what has come is not fetched again
			if w.failed != nil {
				err = &answer{w.failed}
			}
			return err
		})
	})
}

// counting counts what a writer takes, and keeps its failure apart from the connection's.
type counting struct {
	to     io.Writer
	n      int64
	failed error
}

func (w *counting) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	w.n, w.failed = w.n+int64(n), err
	return n, err
}

func (f *folder) Create(name string, data []byte, ask func() error) error {
	return drop.Beside(f, name, data, ask)
}

// Write writes a file; what has arrived when the connection breaks is not sent again.
func (f *folder) Write(name string, data []byte) error {
	flags, from := os.O_WRONLY|os.O_CREATE|os.O_TRUNC, int64(0)
	return f.do(f.at(name), func(c *sftp.Client) error {
		out, err := c.OpenFile(f.at(name), flags)
		if err != nil {
			return err
		}
		if flags&os.O_TRUNC == 0 {
			// Bytes are sent one block after the other, each answered: those that are there are the first ones.
			info, err := out.Stat()
			if err != nil {
				return errors.Join(err, out.Close())
			}
			from = min(info.Size(), int64(len(data)))
		}
		flags = os.O_WRONLY | os.O_CREATE
		if _, err := out.Seek(from, io.SeekStart); err != nil {
			return errors.Join(err, out.Close())
		}
		_, err = out.Write(data[from:])
		if _, can := c.HasExtension("fsync@openssh.com"); can && err == nil {
			err = out.Sync()
		}
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
		info, err := c.Lstat(f.at(name))
		if err == nil && info.Size() != int64(len(data)) {
			err = &answer{fmt.Errorf("%d bytes lie there of %d that were written", info.Size(), len(data))}
		}
		return err
	})
}

// Name gives a file its name. A name that is taken meanwhile stays what it is. Where the connection breaks, the server is asked what has become of it.
func (f *folder) Name(from, to string) error {
	open := false // a connection has broken with the call on its way
	err := f.do(f.at(to), func(c *sftp.Client) error {
		err := f.rename(c, from, to)
		if open && errors.Is(err, fs.ErrNotExist) {
			if _, there := c.Lstat(f.at(to)); there == nil {
				return nil // it was done over the one that broke
			} else if broken(there) {
				return there
			}
		}
		open = broken(err)
		return err
	})
	if err != nil && open {
		return fmt.Errorf("%w: %w", drop.ErrUnknown, err)
	}
	return err
}

// rename renames a file where the new name is free. Plain renames never replace; servers make them of links, which they may not do to files of others, and then rename as
// POSIX does if they can.
func (f *folder) rename(c *sftp.Client, from, to string) error {
	err := c.Rename(f.at(from), f.at(to))
	if err == nil || broken(err) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, there := c.Lstat(f.at(to)); there == nil {
		return &answer{&fs.PathError{Op: "rename", Path: f.at(to), Err: fs.ErrExist}}
	} else if !errors.Is(there, fs.ErrNotExist) {
		return there // POSIX's rename would replace what may be there
	}
	if _, can := c.HasExtension("posix-rename@openssh.com"); can {
		return c.PosixRename(f.at(from), f.at(to))
	}
	return err
}

func (f *folder) Put(name string, data []byte) error {
	err := f.do(f.at(name), func(c *sftp.Client) error { return c.MkdirAll(path.Dir(f.at(name))) })
	if err != nil {
		return err
	}
	return f.Write(name, data)
}

// Move renames a file, unless it is another one by now.
func (f *folder) Move(info fs.FileInfo, from, to string) error {
	asked := false
	err := f.do(f.at(from), func(c *sftp.Client) error {
		again := asked
		asked = true
		now, err := c.Lstat(f.at(from))
		if again && errors.Is(err, fs.ErrNotExist) {
			if moved, there := c.Lstat(f.at(to)); there == nil && same(moved, info) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		if !same(now, info) {
			return &answer{drop.ErrReplaced}
		}
		if err = f.rename(c, from, to); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := c.MkdirAll(path.Dir(f.at(to))); err != nil {
			return err
		}
		return f.rename(c, from, to)
	})
	if err == nil {
		err = f.v.copies.Forget(f.at(from))
	}
	return err
}

func same(a, b fs.FileInfo) bool { return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) }

func (f *folder) Remove(name string) error {
	return f.do(f.at(name), func(c *sftp.Client) error { return c.Remove(f.at(name)) })
}
