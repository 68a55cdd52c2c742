package drop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
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

// Pending lists the files that are complete, oldest first. Where files are claimed, those that it lists are.
func (s *System) Pending(ctx context.Context, object string) ([]connector.File, error) {
	op := "list files of " + object
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if steps, ok := root.(Claimer); ok && o.Claim != "" {
		if err := steps.Resume(path.Clean(filepath.ToSlash(o.Claim))); err != nil {
			return nil, s.classify(op, err)
		}
	}
	entries, err := root.List(".")
	if err != nil {
		return nil, s.classify(op, err)
	}
	l := look{System: s, o: o, root: root, names: make(map[string]bool, len(entries)), present: map[string]bool{}, taken: map[string]bool{}, lies: map[string]string{}}
	for _, e := range entries {
		l.names[e.Name()] = true
	}
	if err := l.claimed(ctx); err != nil {
		return nil, s.classify(op, err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, s.classify(op, err)
		}
		if err := l.entry(ctx, e); err != nil {
			return nil, s.classify(op, err)
		}
	}
	s.remember(object, &l, append(s.failed(o, root), s.unanswered(ctx, o)...))
	slices.SortFunc(l.out, func(a, b connector.File) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return l.out, nil
}

// look is one look at a drop.
type look struct {
	*System
	o       *Object
	root    Folder
	names   map[string]bool   // what lies in the folder
	taken   map[string]bool   // names of what is claimed
	lies    map[string]string // where that is, by id
	present map[string]bool   // what stays remembered
	out     []connector.File
	notes   []connector.FileNote
}

// entry decides about one entry of the folder. Its error ends the look.
func (l *look) entry(ctx context.Context, e fs.DirEntry) error {
	key := l.o.name + "/" + e.Name()
	if l.o.unfinished(e) {
		l.present[key] = true
		if note := l.abandoned(l.o, e); note != nil {
			l.notes = append(l.notes, *note)
		}
		return nil
	}
	wanted, why := l.wants(l.o, e, l.names)
	if !wanted {
		if why != "" {
			l.notes = append(l.notes, connector.FileNote{Name: e.Name(), Why: why})
		}
		return nil
	}
	l.present[key] = true
	if l.taken[e.Name()] {
		l.notes = append(l.notes, connector.FileNote{Name: e.Name(), Why: "an earlier file of its name is being taken, and it is when that is done"})
		return nil
	}
	if l.o.Claim != "" && l.o.Ready.When != "stable" { // its name or its marker says that it is complete
		return l.claim(ctx, e)
	}
	f, note, err := l.look(ctx, l.o, l.root, e.Name(), e)
	switch {
	case err != nil && (ctx.Err() != nil || broken(err)):
		return err
	case err != nil:
		l.notes = append(l.notes, connector.FileNote{Name: e.Name(), Why: "it cannot be read: " + err.Error()})
	case note != nil:
		l.notes = append(l.notes, *note)
	case f != nil && l.o.Claim != "":
		return l.claim(ctx, e)
	case f != nil:
		l.out = append(l.out, *f)
	}
	return nil
}

// broken: the transport is gone, and nothing else can be looked at either.
func broken(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Kind != fault.Invalid
}

// claim moves a complete file to a name that no file has ever had, and lists it. One that somebody else has claimed meanwhile is nobody's here.
func (l *look) claim(ctx context.Context, e fs.DirEntry) error {
	dir, name := path.Clean(filepath.ToSlash(l.o.Claim)), rand.Text()[:claimName]+"."+e.Name()
	at := path.Join(dir, name)
	info, err := e.Info()
	if steps, ok := l.root.(Claimer); ok && err == nil {
		at, err = steps.Claim(info, e.Name(), dir, name)
	} else if err == nil {
		err = l.root.Move(info, e.Name(), at)
	}
	var theirs *Claimed
	switch {
	case errors.As(err, &theirs):
		if l.Clock.Now().Sub(theirs.Since) > l.o.Ready.Cut {
			l.notes = append(l.notes, connector.FileNote{Name: e.Name(), Since: theirs.Since,
				Why: theirs.Error() + ", and has not for " + l.o.Ready.Cut.String() + ": where that one is gone for good, remove what says so"})
		}
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrReplaced):
		return nil
	case err != nil:
		return err
	}
	failpoint.Hit(failpoint.FileClaimed)
	if err := l.unmark(e.Name()); err != nil {
		return err
	}
	if info, err = l.root.Stat(at); errors.Is(err, fs.ErrNotExist) {
		return nil // taken away meanwhile
	}
	if err != nil {
		return err
	}
	return l.mine(ctx, dir, fs.FileInfoToDirEntry(info))
}

// claimName is how many characters stand before the name of a claimed file.
const claimName = 10

// unmark takes the marker of a claimed file away: a later file of its name needs one of its own.
func (l *look) unmark(name string) error {
	if l.o.Ready.When != "marker" || !l.names[name+l.o.Ready.Marker] {
		return nil
	}
	delete(l.names, name+l.o.Ready.Marker)
	if err := l.root.Remove(name + l.o.Ready.Marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// claimed lists what was claimed before a restart or a while ago, before the folder itself is looked at.
func (l *look) claimed(ctx context.Context) error {
	if l.o.Claim == "" {
		return nil
	}
	dir := path.Clean(filepath.ToSlash(l.o.Claim))
	entries, err := l.root.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has ever been
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, name, _ := strings.Cut(e.Name(), ".")
		if fits, _ := path.Match(l.o.Pattern, name); !fits || len(e.Name()) != claimName+1+len(name) || !e.Type().IsRegular() {
			continue
		}
		if !l.names[name] { // else the marker may be that of the one there
			if err := l.unmark(name); err != nil {
				return err
			}
		}
		if err := l.mine(ctx, dir, e); err != nil {
			return err
		}
	}
	return nil
}

// mine lists one claimed file. It was complete when it was claimed.
func (l *look) mine(ctx context.Context, dir string, e fs.DirEntry) error {
	at := path.Join(dir, e.Name())
	l.taken[l.o.nameOf(at)], l.present[l.o.name+"/"+at] = true, true
	f, _, err := l.look(ctx, l.o, l.root, at, e)
	if err != nil {
		if ctx.Err() != nil || broken(err) {
			return err
		}
		l.notes = append(l.notes, connector.FileNote{Name: at, Why: "it cannot be read: " + err.Error()})
	}
	if f != nil {
		l.lies[f.ID] = at
		l.out = append(l.out, *f)
	}
	return nil
}

// FileNotes tells what the last look at the drop left where it is, and why.
func (s *System) FileNotes(object string) []connector.FileNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[object]
}

// Ripening names a file that the last look has seen, and that has not rested for long enough to be taken; empty: there is none.
func (s *System) Ripening(object string) string {
	o := s.objects[object]
	if o == nil || o.Ready.When != "stable" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, first := s.Clock.Now(), ""
	for key, at := range s.seen {
		if name, ok := strings.CutPrefix(key, object+"/"); ok && !strings.Contains(name, "/") && now.Sub(at.since) < o.Ready.Age && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// wants reports whether a name is one to take, as far as names and kinds say, and why not where people may think that it is.
func (s *System) wants(o *Object, e fs.DirEntry, names map[string]bool) (ok bool, why string) {
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
		if o.own(name) || s.anothers(o, name) {
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
func (o *Object) temporary(name string) (of string, is bool) {
	for _, end := range o.Ready.Temporary {
		if strings.HasSuffix(name, end) {
			return strings.TrimSuffix(name, end), true
		}
	}
	return name, false
}

// unfinished: it is written under a temporary name, and is to be taken once it has its own.
func (o *Object) unfinished(e fs.DirEntry) bool {
	of, is := o.temporary(e.Name())
	fits, _ := path.Match(o.Pattern, of)
	return is && fits && e.Type().IsRegular() && !strings.HasPrefix(of, ".")
}

// abandoned tells of a file under a temporary name that nobody goes on writing.
func (s *System) abandoned(o *Object, e fs.DirEntry) *connector.FileNote {
	info, err := e.Info()
	if err != nil {
		return nil // taken away meanwhile, or renamed
	}
	now := s.Clock.Now()
	if at := s.sighted(o.name+"/"+e.Name(), info, now); now.Sub(at.since) < o.Ready.Cut {
		return nil
	}
	return &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("its name says that it is being written, and it has not changed for %s: its upload may have ended half-way", o.Ready.Cut)}
}

// own: a folder that the hub keeps here.
func (o *Object) own(name string) bool {
	for _, dir := range []string{o.Done, o.Failed, o.Claim} {
		if first, _, _ := strings.Cut(path.Clean(filepath.ToSlash(dir)), "/"); first == name {
			return true
		}
	}
	return false
}

// anothers: a folder that an object of the system has, or its answers, or that one of those lies in.
func (s *System) anothers(o *Object, name string) bool {
	here := path.Join(filepath.ToSlash(o.Path), name)
	for _, x := range s.objects {
		for _, dir := range []string{x.Path, x.EDI.Answers} {
			if strings.HasPrefix(path.Clean(filepath.ToSlash(dir))+"/", here+"/") {
				return true
			}
		}
	}
	return false
}

// others: another object of the system takes the file.
func (s *System) others(o *Object, name string) bool {
	for _, x := range s.objects {
		if x == o || path.Clean(x.Path) != path.Clean(o.Path) {
			continue
		}
		if ok, _ := path.Match(x.Pattern, name); ok || x.Ready.When == "marker" && strings.HasSuffix(name, x.Ready.Marker) {
			return true
		}
	}
	return false
}

// NoFile is the failure of reading what is no file.
func NoFile(name string, m fs.FileMode) error {
	return &fs.PathError{Op: "open", Path: name, Err: errors.New("it is " + kindOf(m) + ", and only files are taken")}
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

// look decides whether a file, which lies at a path, is complete, and names it. A note says why it is held back, where that is not just its age.
func (s *System) look(ctx context.Context, o *Object, root Folder, at string, e fs.DirEntry) (*connector.File, *connector.FileNote, error) {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil // taken away meanwhile
	}
	if err != nil {
		return nil, nil, err
	}
	now := s.Clock.Now()
	key := o.name + "/" + at
	seen := s.sighted(key, info, now)
	age := now.Sub(seen.since)
	ripening := o.Ready.When == "stable" && at == e.Name()
	if ripening && age < o.Ready.Age {
		if now.Sub(seen.first) < max(o.Ready.Cut, 2*o.Ready.Age) {
			return nil, nil, nil
		}
		return nil, &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("it changes all the time since %s, and is taken when it has rested for %s", seen.first.UTC().Format(time.RFC3339), o.Ready.Age), Since: seen.first}, nil
	}
	if seen.id == "" {
		if err := s.inspect(ctx, o, root, at, &seen); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		s.seen[key] = seen
		s.mu.Unlock()
	}
	if ripening && seen.missing != nil && age < o.Ready.Cut {
		return nil, &connector.FileNote{Name: e.Name(), Why: fmt.Sprintf("it may be half an upload, and is held back for %s: %s", o.Ready.Cut, seen.missing), Since: seen.since}, nil
	}
	return &connector.File{Name: o.nameOf(at), ID: seen.id, Size: seen.size, Modified: seen.mod}, nil, nil
}

func (s *System) sighted(key string, info fs.FileInfo, now time.Time) sighting {
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
func (s *System) inspect(ctx context.Context, o *Object, root Folder, where string, at *sighting) error {
	f, err := root.Open(where)
	if err != nil {
		return err
	}
	defer f.Close()
	in := &source{ctx: ctx, f: f, size: at.size}
	if at.id, err = identify(o.nameOf(where), in); err != nil || o.Ready.When != "stable" {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	v, err := o.Survey(in)
	at.missing, at.cut = v.Missing, v.Cut
	return err
}

// nameOf is the name under which a file came that lies at a path.
func (o *Object) nameOf(at string) string {
	if dir, base := path.Split(at); dir != "" {
		return base[claimName+1:]
	}
	return at
}

// cut says why a file fails that still ends within a row after it was held back for long enough.
func (s *System) cut(object string, f connector.File) error {
	where := s.lies(s.objects[object], f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.seen[object+"/"+where]; at.cut {
		return at.missing
	}
	return nil
}

// maxWhy bounds what is read of a .error file.
const maxWhy = 1 << 10

// failed tells of the files that lie in the folder for those, beside the reason: whoever takes one of the two away has dealt with it. The reason of
// the first is read.
func (s *System) failed(o *Object, root Folder) []connector.FileNote {
	dir := filepath.ToSlash(o.Failed)
	names, err := o.failed(root)
	if err != nil {
		return []connector.FileNote{{Name: dir, Why: "it cannot be listed, so that nobody is told of what failed: " + err.Error()}}
	}
	var notes []connector.FileNote
	for _, name := range names {
		note := connector.FileNote{Name: path.Join(dir, name), Failed: true}
		if len(notes) == 0 {
			note.Why = reason(root, path.Join(dir, name+".error"))
		}
		notes = append(notes, note)
	}
	return notes
}

func reason(root Folder, name string) string {
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxWhy)) // what can be read of it
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
}

// remember drops what is known of files that are gone, and keeps what was left where it is.
func (s *System) remember(object string, l *look, failed []connector.FileNote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes[object] = append(l.notes, failed...)
	s.claims[object] = l.lies
	for key := range s.seen {
		if strings.HasPrefix(key, object+"/") && !l.present[key] {
			delete(s.seen, key)
		}
	}
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
	f    File
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
	if whence == io.SeekEnd {
		offset, whence = r.size+offset, io.SeekStart
	}
	at, err := r.f.Seek(offset, whence)
	r.at = at
	return at, err
}
