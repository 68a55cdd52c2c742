// Package file is the connector for files in folders: it takes CSV and JSON lines in, and writes them.
package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "file".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "file",
		Summary: "CSV and JSON lines in a folder",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Files: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. The folder need not be there yet.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	sys := &system{name: s.Name, set: set, dir: s.Path(set.Path), log: log, clock: lifecycle.Real(), seen: map[string]sighting{}}
	sys.batches = make(map[string]*batcher, len(set.Objects))
	for name, o := range set.Objects {
		if o.Write.Batch != nil {
			sys.batches[name] = &batcher{max: o.Write.Batch.Max, wait: o.Write.Batch.Wait}
		}
	}
	return sys, nil
}

type system struct {
	name    string
	set     *settings
	dir     string
	log     *slog.Logger
	clock   lifecycle.Clock
	batches map[string]*batcher

	mu    sync.Mutex
	seen  map[string]sighting // by object and name
	stamp time.Time           // the last one in a file's name
}

// sighting is what the hub knows of a file that is waiting.
type sighting struct {
	size  int64
	mod   time.Time
	since time.Time // when it was first seen with this size and time
	id    string    // once it was read
}

var (
	_ connector.FileSource = (*system)(nil)
	_ connector.Sink       = (*system)(nil)
	_ connector.Finder     = (*system)(nil)
	_ connector.Objects    = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close has nothing to close: no file stays open between calls.
func (s *system) Close() error { return nil }

// Probe looks whether the folder is there.
func (s *system) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return s.classify("probe", err)
	}
	root, err := s.open(s.dir)
	if err != nil {
		return s.classify("probe", err)
	}
	return s.classify("probe", root.Close())
}

// folder opens an object's folder. Nothing outside the system's path can be reached through it.
func (s *system) folder(op, object string) (*object, *os.Root, error) {
	o := s.set.Objects[object]
	if o == nil {
		hint := ""
		if w := strictyaml.Suggest(object, s.Objects()); w != "" {
			hint = fmt.Sprintf("; did you mean %q?", w)
		}
		return nil, nil, s.fail(fault.Invalid, op, "the system has no object %q%s", object, hint)
	}
	root, err := s.open(s.dir)
	if err != nil {
		return nil, nil, s.classify(op, err)
	}
	if path.Clean(o.Path) == "." {
		return o, root, nil
	}
	defer root.Close()
	sub, err := root.OpenRoot(o.Path)
	return o, sub, s.classify(op, err)
}

// open opens the system's folder. What is there and no folder will not become one.
func (s *system) open(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		return root, nil
	}
	if info, serr := os.Stat(dir); serr == nil && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	return nil, err
}

func (s *system) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = s.name, op
	return f
}

// classify gives the class of a failure before anything became visible.
func (s *system) classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := fault.As(err); ok {
		return f
	}
	kind := fault.Unavailable // a share that is away, a full disk
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR),
		errors.Is(err, syscall.ENAMETOOLONG):
		kind = fault.Invalid
	}
	return &fault.Error{Kind: kind, System: s.name, Op: op, Err: err}
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
	present := map[string]bool{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, s.classify(op, err)
		}
		if !o.wants(e, names) {
			continue
		}
		present[object+"/"+e.Name()] = true
		f, ok, err := s.look(ctx, o, root, e)
		switch {
		case err != nil:
			s.log.Warn("a file cannot be read", "system", s.name, "file", e.Name(), "error", err)
		case ok:
			out = append(out, f)
		}
	}
	s.forget(object, present)
	slices.SortFunc(out, func(a, b connector.File) int {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// wants reports whether a name is one to take, as far as names say.
func (o *object) wants(e fs.DirEntry, names map[string]bool) bool {
	name := e.Name()
	if ok, _ := path.Match(o.Pattern, name); !ok || !e.Type().IsRegular() || strings.HasPrefix(name, ".") {
		return false
	}
	for _, end := range o.Ready.Temporary {
		if strings.HasSuffix(name, end) {
			return false
		}
	}
	if o.Ready.When == "marker" {
		return !strings.HasSuffix(name, o.Ready.Marker) && names[name+o.Ready.Marker]
	}
	return true
}

// look decides whether a file is complete, and names it.
func (s *system) look(ctx context.Context, o *object, root *os.Root, e fs.DirEntry) (connector.File, bool, error) {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return connector.File{}, false, nil // taken away meanwhile
	}
	if err != nil {
		return connector.File{}, false, err
	}
	now := s.clock.Now()
	key := o.name + "/" + e.Name()
	s.mu.Lock()
	at, known := s.seen[key]
	if !known || at.size != info.Size() || !at.mod.Equal(info.ModTime()) {
		at = sighting{size: info.Size(), mod: info.ModTime(), since: now}
		s.seen[key] = at
	}
	s.mu.Unlock()
	if o.Ready.When == "stable" && now.Sub(at.since) < o.Ready.Age {
		return connector.File{}, false, nil
	}
	if at.id == "" {
		if at.id, err = identify(ctx, root, e.Name()); err != nil {
			return connector.File{}, false, err
		}
		s.mu.Lock()
		s.seen[key] = at
		s.mu.Unlock()
	}
	return connector.File{Name: e.Name(), ID: at.id, Size: at.size, Modified: at.mod}, true, nil
}

// forget drops what is known of files that are gone.
func (s *system) forget(object string, present map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.seen {
		if strings.HasPrefix(key, object+"/") && !present[key] {
			delete(s.seen, key)
		}
	}
}

// identify names a file by its name and content.
func identify(ctx context.Context, root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{0})
	if _, err := io.Copy(h, &ctxReader{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ctxReader ends with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
