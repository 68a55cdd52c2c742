// Package file is the connector for files in folders: it takes CSV, JSON lines and EDI in, and writes them.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
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
		Summary: "CSV, JSON lines, X12 and EDIFACT in a folder",
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
	sys := &system{name: s.Name, set: set, dir: s.Path(set.Path), log: log, clock: lifecycle.Real(), exchanges: s.Exchanges, seen: map[string]sighting{},
		notes: map[string][]connector.FileNote{}}
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
	// exchanges keeps control numbers; nil where there is no store.
	exchanges connector.Exchanges

	mu    sync.Mutex
	seen  map[string]sighting             // by object and name
	notes map[string][]connector.FileNote // by object: what the last look left where it is
	stamp time.Time                       // the last one in a file's name
}

var (
	_ connector.FileSource = (*system)(nil)
	_ connector.FileGrower = (*system)(nil)
	_ connector.FileNoter  = (*system)(nil)
	_ connector.Sink       = (*system)(nil)
	_ connector.Finder     = (*system)(nil)
	_ connector.Objects    = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close has nothing to close: no file stays open between calls.
func (s *system) Close() error { return nil }

// Probe looks whether the folders are there and can be listed.
func (s *system) Probe(ctx context.Context) error {
	const op = "probe"
	if err := ctx.Err(); err != nil {
		return s.classify(op, err)
	}
	for _, name := range s.Objects() {
		_, root, err := s.folder(op, name)
		if err != nil {
			return err
		}
		dir, err := root.Open(".")
		if err == nil {
			if _, err = dir.ReadDir(1); errors.Is(err, io.EOF) {
				err = nil // it is empty
			}
			err = errors.Join(err, dir.Close())
		}
		if err = errors.Join(err, root.Close()); err != nil {
			return s.away(op, err)
		}
	}
	return nil
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
		return nil, nil, s.away(op, err)
	}
	if path.Clean(o.Path) == "." {
		return o, root, nil
	}
	defer root.Close()
	sub, err := root.OpenRoot(o.Path)
	return o, sub, s.away(op, err)
}

// away is the class of a failure that concerns whatever is in a folder, or is to be: somebody will put the folder right, and nothing is wrong with
// the message.
func (s *system) away(op string, err error) error {
	err = s.classify(op, err)
	if f, ok := fault.As(err); ok {
		f.Kind = fault.Unavailable
	}
	return err
}

// open opens the system's folder. What is there and no folder is named as that.
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
