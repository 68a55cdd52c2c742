package drop

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Linker is a folder whose Move would replace a file that comes under the new name at that very moment.
type Linker interface {
	// Link gives a file another name beside its own; a name that is taken is fs.ErrExist.
	Link(from, to string) error
}

// FailedFiles tells of the files that lie in the folder for those, by name, at most so many; more: there are others.
func (s *System) FailedFiles(ctx context.Context, object string, most int) (files []connector.FailedFile, more bool, err error) {
	const op = "list failed files"
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	names, err := o.failed(root)
	if err != nil {
		return nil, false, s.classify(op, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, false, s.classify(op, err)
		}
		if len(files) == most {
			return files, true, nil
		}
		at := path.Join(filepath.ToSlash(o.Failed), name)
		info, err := root.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue // taken away since
		}
		if err != nil {
			return nil, false, s.classify(op, err)
		}
		files = append(files, connector.FailedFile{Name: name, As: o.came(name), Size: info.Size(), Modified: info.ModTime(), Why: reason(root, at+".error")})
	}
	return files, false, nil
}

// failed are the names of the files in the folder for those, each of which has its reason beside it.
func (o *Object) failed(root Folder) (names []string, err error) {
	entries, err := root.List(path.Clean(filepath.ToSlash(o.Failed)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing has failed yet
	}
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(entries))
	for _, e := range entries {
		known[e.Name()] = true
	}
	for _, e := range entries {
		if name := e.Name(); known[name+".error"] && e.Type().IsRegular() && o.came(name) != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// came is the name under which a file has come that lies in the folder for what failed: a second one of its name has its digest behind it there. Empty: it
// is none of this object's.
func (o *Object) came(name string) string {
	if own, _ := path.Match(o.Pattern, name); own {
		return name
	}
	before := strings.TrimSuffix(name, path.Ext(name))
	if second, _ := path.Match(o.Pattern, before); second {
		return before
	}
	return ""
}

// Retake puts a file that has failed back where it came from, under the name under which it came, so that it is taken as if it had just come. Its reason is the
// last that goes: whatever ends in between, the same again ends it. A file that is not there any more was dealt with. Where one with another content lies under
// its name, it stays, which is a fault of kind Conflict.
func (s *System) Retake(ctx context.Context, object, name string) error {
	op := "take " + name + " again"
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return err
	}
	defer root.Close()
	if !local(name) || o.came(name) == "" {
		return s.fail(fault.Invalid, op, "this is no name of a file that has failed")
	}
	if err := s.back(ctx, op, o, root, name); err != nil {
		return s.classify(op, err)
	}
	s.mu.Lock()
	delete(s.seen, object+"/"+o.came(name)) // it has to rest anew
	s.mu.Unlock()
	return nil
}

func (s *System) back(ctx context.Context, op string, o *Object, root Folder, name string) error {
	at, to := path.Join(filepath.ToSlash(o.Failed), name), o.came(name)
	info, err := root.Stat(at)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return err
	}
	there, err := root.Stat(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lies := err == nil
	switch {
	case gone && !lies:
		return forget(root, at+".error")
	case gone: // a hub has ended before it had said all of it
		if _, err := root.Stat(at + ".error"); errors.Is(err, fs.ErrNotExist) {
			return nil // it was dealt with, and what lies there is another one
		} else if err != nil {
			return err
		}
	case lies:
		back, err := equal(ctx, root, at, info, to, there)
		if err != nil {
			return err
		}
		if !back {
			return s.occupied(op, to)
		}
		if err := forget(root, at); err != nil { // it lies there twice: a hub has ended in the middle, or it was sent again
			return err
		}
	default:
		err = s.rename(op, root, info, at, to)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if o.Ready.When == "marker" {
		if err := root.Put(to+o.Ready.Marker, nil); err != nil {
			return err
		}
	}
	return forget(root, at+".error")
}

// equal reports whether two files hold the same.
func equal(ctx context.Context, root Folder, one string, of fs.FileInfo, other string, is fs.FileInfo) (bool, error) {
	if of.Size() != is.Size() || !is.Mode().IsRegular() {
		return false, nil
	}
	var ids [2]string
	for i, name := range []string{one, other} {
		in, err := root.Open(name)
		if err != nil {
			return false, err
		}
		ids[i], err = identify("", &source{ctx: ctx, f: in, size: of.Size()})
		if err := errors.Join(err, in.Close()); err != nil {
			return false, err
		}
	}
	return ids[0] == ids[1], nil
}

// rename gives a file back its name, and never another's.
func (s *System) rename(op string, root Folder, info fs.FileInfo, at, to string) error {
	if l, ok := root.(Linker); ok {
		switch err := l.Link(at, to); {
		case errors.Is(err, fs.ErrExist):
			return s.occupied(op, to)
		case err == nil:
			return root.Remove(at)
		} // else there are no links here
	}
	err := root.Move(info, at, to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return s.occupied(op, to)
	case errors.Is(err, ErrReplaced):
		return s.fail(fault.Unavailable, op, "it was written to just now")
	}
	return err
}

func (s *System) occupied(op, to string) error {
	return s.fail(fault.Conflict, op, "a file of the name %s lies in the drop: it can be taken again when that one was taken", to)
}

func forget(root Folder, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
