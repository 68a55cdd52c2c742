package drop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/format"
)

// Read gives the rows of a file from index from on. A row that cannot be read gives its error, with the row's number and
// line; an error with row number 0 is the file's, and nothing comes after it.
func (s *System) Read(ctx context.Context, object string, f connector.File, from int) iter.Seq2[connector.Row, error] {
	return s.read(ctx, object, s.lies(s.objects[object], f), f, from)
}

// read is Read of a file that lies elsewhere.
func (s *System) read(ctx context.Context, object, at string, f connector.File, from int) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		op := "read " + f.Name
		o, root, err := s.folder(ctx, op, object)
		if err != nil {
			yield(connector.Row{}, err)
			return
		}
		defer root.Close()
		in, err := s.openFile(op, root, at, f)
		if err != nil {
			yield(connector.Row{}, err)
			return
		}
		defer in.Close()
		if why := s.cut(object, f); why != nil && from == 0 {
			yield(connector.Row{}, s.fail(fault.Invalid, op, "%s; nothing of the file was taken", why))
			return
		}
		if o.partners() && f.ID != "" { // a sample has none
			err := s.arrived(ctx, op, o, root, in, at, f, from)
			if err == nil {
				_, err = in.Seek(0, io.SeekStart)
			}
			if err != nil {
				yield(connector.Row{}, s.classify(op, err))
				return
			}
		}
		// The last row waits until it is certain that the file was not written to meanwhile: it may have been read half.
		var held *connector.Row
		var rowErr error
		for row, err := range o.Read(&source{ctx: ctx, f: in, size: f.Size}, from) {
			if held != nil && !yield(*held, rowErr) {
				return
			}
			held, rowErr = &connector.Row{Number: row.Number, Line: row.Line, Doc: row.Doc}, nil
			if err != nil {
				rowErr = s.readError(op, o, row, err)
			}
		}
		if changed := s.changed(op, root, in, at, f); changed != nil {
			held, rowErr = &connector.Row{}, changed
		}
		if held != nil {
			yield(*held, rowErr)
		}
	}
}

// readError classifies what the format says.
func (s *System) readError(op string, o *Object, row format.Row, err error) error {
	var bad *format.RowError
	var whole *format.FileError
	switch {
	case errors.As(err, &whole):
		return s.fail(fault.Invalid, op, "%s", err)
	case errors.As(err, &bad) && len(o.GroupBy) > 0:
		return s.fail(fault.Invalid, op, "%s", err) // it names the line
	case errors.As(err, &bad):
		return s.fail(fault.Invalid, op, "line %d: %s", row.Line, err)
	}
	return s.classify(op, err)
}

// changed: the file that was read is not the one that was listed any more.
func (s *System) changed(op string, root Folder, in File, at string, f connector.File) error {
	info, err := in.Stat()
	if err == nil && same(info, f) {
		info, err = root.Stat(at)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken away: what was read was whole
	}
	if err == nil && !same(info, f) {
		err = errors.New("the file was written to while it was read")
	}
	return s.classify(op, err)
}

// openFile opens the very file that Pending has seen.
func (s *System) openFile(op string, root Folder, at string, f connector.File) (File, error) {
	if !local(f.Name) {
		return nil, s.fail(fault.Invalid, op, "this is no name of a file")
	}
	in, err := root.Open(at)
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

// IDAt names the first bytes of a file, as they were named when there were no more of them.
func (s *System) IDAt(ctx context.Context, object string, f connector.File, size int64) (string, error) {
	op := "read " + f.Name
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return "", err
	}
	defer root.Close()
	in, err := s.openFile(op, root, s.lies(o, f), f)
	if err != nil {
		return "", err
	}
	defer in.Close()
	id, err := identify(f.Name, &source{ctx: ctx, f: in, size: size})
	return id, s.classify(op, err)
}

// Done moves a file to the folder for what was taken or for what failed. A file that has been written to or replaced under its name
// meanwhile stays, which connector.ErrChanged says.
func (s *System) Done(ctx context.Context, object string, f connector.File, failed error) error {
	op := "move " + f.Name
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return err
	}
	defer root.Close()
	if !local(f.Name) {
		return s.fail(fault.Invalid, op, "this is no name of a file")
	}
	at := s.lies(o, f)
	info, err := root.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // moved already, before a restart
	case err != nil:
		return s.classify(op, err)
	case !same(info, f):
		return &fault.Error{Kind: fault.Conflict, System: s.name, Op: op, Err: connector.ErrChanged}
	}
	dir := o.Done
	if failed != nil {
		dir = o.Failed
	}
	reopen, err := s.exchanged(ctx, op, o, root, at, f, failed)
	if err != nil {
		return err
	}
	err = o.move(root, info, at, dir, f, failed)
	if errors.Is(err, ErrReplaced) {
		if err := reopen(); err != nil {
			return err
		}
		return &fault.Error{Kind: fault.Conflict, System: s.name, Op: op, Err: connector.ErrChanged}
	}
	if err == nil {
		s.mu.Lock()
		delete(s.seen, object+"/"+at) // the next one of its name is another file, although it may look the same
		s.mu.Unlock()
	}
	return s.classify(op, err)
}

// lies is where a file lies that the last look has listed.
func (s *System) lies(o *Object, f connector.File) string {
	if o == nil || o.Claim == "" {
		return f.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.claims[o.name][f.ID]; at != "" {
		return at
	}
	return path.Join(filepath.ToSlash(o.Claim), strings.Repeat("-", claimName)+"."+f.Name) // it is moved away, or was never listed: nothing lies there
}

func (o *Object) move(root Folder, info fs.FileInfo, at, dir string, f connector.File, failed error) error {
	to, same := path.Join(filepath.ToSlash(dir), f.Name), path.Join(filepath.ToSlash(dir), f.Name+"."+f.ID[:min(12, len(f.ID))])
	for n := 1; ; n++ { // an earlier file of this name keeps it, and so do those that were the same
		_, err := root.Stat(to)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		if to = same; n > 1 {
			to = fmt.Sprintf("%s-%d", same, n)
		}
	}
	if failed != nil {
		if err := root.Put(to+".error", []byte(failed.Error()+"\n")); err != nil {
			return err
		}
	}
	if err := root.Move(info, at, to); err != nil {
		return err
	}
	if o.Ready.When == "marker" && o.Claim == "" {
		if err := root.Remove(f.Name + o.Ready.Marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Nothing is synced: a file that a power cut puts back is known, and moved again.
	return nil
}
