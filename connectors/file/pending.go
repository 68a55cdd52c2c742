package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// sighting is what the hub knows of a file that is waiting.
type sighting struct {
	size  int64
	mod   time.Time
	since time.Time // when it was first seen with this size and time
	first time.Time // when it was first seen
	id    string    // once it was read
	// missing says why it may be half an upload; cut: it ends within a row.
	missing error
	cut     bool
}

func (at *sighting) is(info fs.FileInfo) bool {
	return at.size == info.Size() && at.mod.Equal(info.ModTime())
}

// Pending lists the files that are complete, oldest first.
func (s *system) Pending(ctx context.Context, object string) ([]connector.File, error) {
	op := "list files of " + object
	o, root, err := s.folder(op, object)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, s.classify(op, err)
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	var out []connector.File
	var notes []connector.FileNote
	present := map[string]bool{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, s.classify(op, err)
		}
		if o.unfinished(e) {
			present[object+"/"+e.Name()] = true
			if note := s.abandoned(o, e); note != nil {
				notes = append(notes, *note)
			}
			continue
		}
		wanted, why := s.wants(o, e, names)
		if !wanted {
			if why != "" {
				notes = append(notes, connector.FileNote{Name: e.Name(), Why: why})
			}
			continue
		}
		present[object+"/"+e.Name()] = true
		f, note, err := s.look(ctx, o, root, e)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, s.classify(op, ctx.Err())
		case err != nil:
			notes = append(notes, connector.FileNote{Name: e.Name(), Why: "it cannot be read: " + err.Error()})
		case note != nil:
			notes = append(notes, *note)
		case f != nil:
			out = append(out, *f)
		}
	}
	s.remember(object, present, append(append(notes, s.failed(o, root)...), s.unanswered(ctx, o)...))
	slices.SortFunc(out, func(a, b connector.File) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// FileNotes tells what the last look at the drop left where it is, and why.
func (s *system) FileNotes(object string) []connector.FileNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[object]
}

// Ripening names a file that the last look has seen, and that has not rested for long enough to be taken; empty: there is none.
func (s *system) Ripening(object string) string {
	o := s.set.Objects[object]
	if o == nil || o.Ready.When != "stable" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, first := s.clock.Now(), ""
	for key, at := range s.seen {
		if name, ok := strings.CutPrefix(key, object+"/"); ok && now.Sub(at.since) < o.Ready.Age && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// wants reports whether a name is one to take, as far as names and kinds say, and why not where people may think that it is.
func (s *system) wants(o *object, e fs.DirEntry, names map[string]bool) (ok bool, why string) {
	name := e.Name()
	if strings.HasPrefix(name, ".") {
		return false, ""
	}
	if _, temporary := o.temporary(name); temporary {
		return false, ""
	}
	marker := o.Ready.When == "marker" && strings.HasSuffix(name, o.Ready.Marker)
	matched, _ := path.Match(o.Pattern, name)
	switch {
	case !matched && (e.IsDir() || marker || s.others(o, name)):
		return false, ""
	case !matched:
		return false, fmt.Sprintf("its name does not fit the pattern %s", o.Pattern)
	case e.IsDir():
		if o.own(name) {
			return false, ""
		}
		return false, "it is a folder, and files of folders below are not taken"
	case !e.Type().IsRegular():
		return false, "it is " + kindOf(e.Type()) + ", and only files are taken"
	case o.Ready.When != "marker":
		return true, ""
	case marker:
		if !names[strings.TrimSuffix(name, o.Ready.Marker)] {
			return false, "it is the marker of a file that is not there"
		}
		return false, ""
	case !names[name+o.Ready.Marker]:
		return false, "its marker " + name + o.Ready.Marker + " is not there"
	}
	return true, ""
}

// temporary reports whether a file is being written, as its name says, and how it is called without that.
func (o *object) temporary(name string) (of string, is bool) {
	for _, end := range o.Ready.Temporary {
		if strings.HasSuffix(name, end) {
			return strings.TrimSuffix(name, end), true
		}
	}
	return name, false
}

// unfinished: it is written under a temporary name, and is to be taken once it has its own.
func (o *object) unfinished(e fs.DirEntry) bool {
	of, is := o.temporary(e.Name())
	fits, _ := path.Match(o.Pattern, of)
	return is && fits && e.Type().IsRegular() && !strings.HasPrefix(of, ".")
}

// abandoned tells of a file under a temporary name that nobody goes on writing.
func (s *system) abandoned(o *object, e fs.DirEntry) *connector.FileNote {
	info, err := e.Info()
	if err != nil {
		return nil // taken away meanwhile, or renamed
	}
	now := s.clock.Now()
	if at := s.sighted(o.name+"/"+e.Name(), info, now); now.Sub(at.since) < o.Ready.Cut {
		return nil
	}
	return &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("its name says that it is being written, and it has not changed for %s: its upload may have ended half-way", o.Ready.Cut)}
}

// own: a folder that the hub keeps here, or that another object has.
func (o *object) own(name string) bool {
	for _, dir := range []string{o.Done, o.Failed} {
		if first, _, _ := strings.Cut(path.Clean(dir), "/"); first == name {
			return true
		}
	}
	return false
}

// others: another object of the system takes the file, or has the folder.
func (s *system) others(o *object, name string) bool {
	for _, x := range s.set.Objects {
		if x == o || path.Clean(x.Path) != path.Clean(o.Path) {
			continue
		}
		if ok, _ := path.Match(x.Pattern, name); ok || x.Ready.When == "marker" && strings.HasSuffix(name, x.Ready.Marker) {
			return true
		}
	}
	return false
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// look decides whether a file is complete, and names it. A note says why it is held back, where that is not just its age.
func (s *system) look(ctx context.Context, o *object, root *os.Root, e fs.DirEntry) (*connector.File, *connector.FileNote, error) {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil // taken away meanwhile
	}
	if err != nil {
		return nil, nil, err
	}
	now := s.clock.Now()
	key := o.name + "/" + e.Name()
	at := s.sighted(key, info, now)
	age := now.Sub(at.since)
	if o.Ready.When == "stable" && age < o.Ready.Age {
		if now.Sub(at.first) < max(o.Ready.Cut, 2*o.Ready.Age) {
			return nil, nil, nil
		}
		return nil, &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("it changes all the time since %s, and is taken when it has rested for %s", at.first.UTC().Format(time.RFC3339), o.Ready.Age), Since: at.first}, nil
	}
	if at.id == "" {
		if err := s.inspect(ctx, o, root, e.Name(), &at); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		s.seen[key] = at
		s.mu.Unlock()
	}
	if o.Ready.When == "stable" && at.missing != nil && age < o.Ready.Cut {
		return nil, &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("it may be half an upload, and is held back for %s: %s", o.Ready.Cut, at.missing), Since: at.since}, nil
	}
	return &connector.File{Name: e.Name(), ID: at.id, Size: at.size, Modified: at.mod}, nil, nil
}

func (s *system) sighted(key string, info fs.FileInfo, now time.Time) sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.seen[key]
	if !known || !at.is(info) {
		first := now
		if known {
			first = at.first
		}
		at = sighting{size: info.Size(), mod: info.ModTime(), since: now, first: first}
		s.seen[key] = at
	}
	return at
}

// inspect reads a file once: it names it by its name and content and, where nothing else says that it is complete, looks how it ends.
func (s *system) inspect(ctx context.Context, o *object, root *os.Root, name string, at *sighting) error {
	f, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := &source{ctx: ctx, f: f, size: at.size}
	if at.id, err = identify(name, in); err != nil || o.Ready.When != "stable" {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	v, err := o.Survey(in)
	at.missing, at.cut = v.Missing, v.Cut
	return err
}

// cut says why a file fails that still ends within a row after it was held back for long enough.
func (s *system) cut(object string, f connector.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.seen[object+"/"+f.Name]; at.cut && at.id == f.ID {
		return at.missing
	}
	return nil
}

// maxWhy bounds what is read of a .error file.
const maxWhy = 1 << 10

// failed tells of the files that lie in the folder for those, beside the reason: whoever takes one of the two away has dealt with it. The reason of
// the first is read.
func (s *system) failed(o *object, root *os.Root) []connector.FileNote {
	dir := filepath.ToSlash(o.Failed)
	entries, err := fs.ReadDir(root.FS(), path.Clean(dir))
	if err != nil {
		return nil // nothing has failed yet
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name()] = true
	}
	var notes []connector.FileNote
	for _, e := range entries {
		name := e.Name()
		taken, _ := path.Match(o.Pattern, name)
		again, _ := path.Match(o.Pattern, strings.TrimSuffix(name, path.Ext(name))) // a second one of its name has its digest behind it
		if !names[name+".error"] || !e.Type().IsRegular() || !taken && !again {
			continue
		}
		note := connector.FileNote{Name: path.Join(dir, name), Failed: true}
		if len(notes) == 0 {
			note.Why = reason(root, path.Join(dir, name+".error"))
		}
		notes = append(notes, note)
	}
	return notes
}

func reason(root *os.Root, name string) string {
	f, err := openRegular(root, name)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxWhy)) // what can be read of it
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
}

// remember drops what is known of files that are gone, and keeps what was left where it is.
func (s *system) remember(object string, present map[string]bool, notes []connector.FileNote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[object] = notes
	for key := range s.seen {
		if strings.HasPrefix(key, object+"/") && !present[key] {
			delete(s.seen, key)
		}
	}
}

// openRegular opens a file for reading. A pipe that has come under its name meanwhile does not make it wait for a writer.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("it is " + kindOf(info.Mode()) + ", and only files are taken")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// identify names a file by its name and content.
func identify(name string, in io.Reader) (string, error) {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{0})
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// source is a file whose reading ends with its context, and at the size with which it was listed: what comes behind is not looked at half.
type source struct {
	ctx  context.Context
	f    *os.File
	size int64
	at   int64
}

var _ io.ReadSeeker = (*source)(nil)

func (r *source) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.at >= r.size {
		return 0, io.EOF
	}
	n, err := r.f.Read(b[:min(int64(len(b)), r.size-r.at)])
	r.at += int64(n)
	return n, err
}

func (r *source) Seek(offset int64, whence int) (int64, error) {
	at, err := r.f.Seek(offset, whence)
	r.at = at
	return at, err
}
