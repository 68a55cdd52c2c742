package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Read gives the rows of a file from index from on. A row that cannot be read gives its error, with the row's number and
// line; an error with row number 0 is the file's, and nothing comes after it.
func (s *system) Read(ctx context.Context, object string, f connector.File, from int) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		op := "read " + f.Name
		o, root, err := s.folder(op, object)
		if err != nil {
			yield(connector.Row{}, err)
			return
		}
		defer root.Close()
		in, err := s.openFile(op, root, f)
		if err != nil {
			yield(connector.Row{}, err)
			return
		}
		defer in.Close()
		rows := o.rows(&ctxReader{ctx, in})
		for n := 1; ; n++ {
			doc, line, err := rows.next()
			if errors.Is(err, io.EOF) {
				return
			}
			var bad *rowError
			var head *headError
			switch {
			case errors.As(err, &bad):
				err = s.fail(fault.Invalid, op, "line %d: %s", line, bad.error)
			case errors.As(err, &head):
				yield(connector.Row{Line: line}, s.fail(fault.Invalid, op, "line %d: header: %s", line, head.error))
				return
			case err != nil:
				yield(connector.Row{}, s.classify(op, err))
				return
			}
			if n <= from {
				continue
			}
			if !yield(connector.Row{Number: n, Line: line, Doc: doc}, err) {
				return
			}
		}
	}
}

// openFile opens the very file that Pending has seen.
func (s *system) openFile(op string, root *os.Root, f connector.File) (*os.File, error) {
	if !local(f.Name) {
		return nil, s.fail(fault.Invalid, op, "this is no name of a file")
	}
	in, err := root.Open(f.Name)
	if err != nil {
		return nil, s.classify(op, err)
	}
	info, err := in.Stat()
	if err == nil && !same(info, f) {
		err = errors.New("the file has changed since it was listed")
	}
	if err != nil {
		in.Close()
		return nil, s.classify(op, err)
	}
	return in, nil
}

func same(info fs.FileInfo, f connector.File) bool {
	return info.Size() == f.Size && info.ModTime().Equal(f.Modified)
}

// local: a name of this folder, not a path.
func local(name string) bool {
	return filepath.IsLocal(name) && filepath.Base(name) == name && name != "."
}

// Done moves a file to the folder for what was taken or for what failed. A file that has been replaced under its name
// meanwhile stays: it is another one.
func (s *system) Done(ctx context.Context, object string, f connector.File, failed error) error {
	op := "move " + f.Name
	if err := ctx.Err(); err != nil {
		return s.classify(op, err)
	}
	o, root, err := s.folder(op, object)
	if err != nil {
		return err
	}
	defer root.Close()
	if !local(f.Name) {
		return s.fail(fault.Invalid, op, "this is no name of a file")
	}
	info, err := root.Lstat(f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // moved already, before a restart
	case err != nil:
		return s.classify(op, err)
	case !same(info, f):
		s.log.Warn("a file was replaced while it was taken; the new one stays", "system", s.name, "file", f.Name)
		return nil
	}
	dir := o.Done
	if failed != nil {
		dir = o.Failed
	}
	return s.classify(op, o.move(root, dir, f, failed))
}

func (o *object) move(root *os.Root, dir string, f connector.File, failed error) error {
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := path.Join(filepath.ToSlash(dir), f.Name)
	if _, err := root.Lstat(to); err == nil {
		to += "." + f.ID[:min(12, len(f.ID))] // an earlier file of this name keeps it
	}
	if failed != nil {
		if err := root.WriteFile(to+".error", []byte(failed.Error()+"\n"), 0o644); err != nil {
			return err
		}
	}
	if err := root.Rename(f.Name, to); err != nil {
		return err
	}
	if o.Ready.When == "marker" {
		if err := root.Remove(f.Name + o.Ready.Marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Nothing is synced: a file that a power cut puts back is known, and moved again.
	return nil
}
