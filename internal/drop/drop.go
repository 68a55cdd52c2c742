// Package drop is what all systems of files share, wherever the files lie: which of them are complete, how their rows are taken and documents are written,
// where they go then. How bytes are documents is internal/format's; where bytes lie is a Transport's. Connectors of folders, SFTP servers and buckets are a Transport
// and their settings.
package drop

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// System is a system of files.
type System struct {
	// Clock tells how long a file has rested.
	Clock lifecycle.Clock

	name    string
	objects Objects
	to      Transport
	log     *slog.Logger
	batches map[string]*batcher
	// exchanges keeps control numbers; nil where there is no store.
	exchanges connector.Exchanges

	mu     sync.Mutex
	seen   map[string]sighting             // by object and name
	notes  map[string][]connector.FileNote // by object: what the last look left where it is
	claims map[string]map[string]string    // by object and id: where what is claimed lies
	stamp  time.Time                       // the last one in a file's name
}

var (
	_ connector.FileSource  = (*System)(nil)
	_ connector.FileGrower  = (*System)(nil)
	_ connector.FileNoter   = (*System)(nil)
	_ connector.FileRipener = (*System)(nil)
	_ connector.FileRetaker = (*System)(nil)
	_ connector.Sink        = (*System)(nil)
	_ connector.Finder      = (*System)(nil)
	_ connector.Objects     = (*System)(nil)
	_ connector.Sampler     = (*System)(nil)
)

// Abilities are those of every system of files.
func Abilities() connector.Abilities {
	return connector.Abilities{Write: true, Find: true, Files: true}
}

// New makes a system of the object types that Complete has checked. It closes the transport when it is closed.
func New(s connector.Settings, objects Objects, to Transport) *System {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	sys := &System{name: s.Name, objects: objects, to: to, log: log, exchanges: s.Exchanges, Clock: lifecycle.Real(), seen: map[string]sighting{},
		notes: map[string][]connector.FileNote{}, claims: map[string]map[string]string{}}
	sys.batches = make(map[string]*batcher, len(objects))
	for name, o := range objects {
		if o.Write.Batch != nil {
			sys.batches[name] = &batcher{max: o.Write.Batch.Max, wait: o.Write.Batch.Wait}
		}
	}
	return sys
}

// Objects lists the names of the configured object types.
func (s *System) Objects() []string { return slices.Sorted(maps.Keys(s.objects)) }

// Close closes the transport.
func (s *System) Close() error { return s.to.Close() }

// Probe looks whether the folders are there and can be listed.
func (s *System) Probe(ctx context.Context) error {
	const op = "probe"
	for _, name := range s.Objects() {
		_, root, err := s.folder(ctx, op, name)
		if err != nil {
			return err
		}
		_, err = root.List(".")
		if err = errors.Join(err, root.Close()); err != nil {
			return s.away(op, err)
		}
	}
	return nil
}

// folder opens an object's folder. Nothing outside the system's path can be reached through it.
func (s *System) folder(ctx context.Context, op, object string) (*Object, Folder, error) {
	o := s.objects[object]
	if o == nil {
		return nil, nil, s.fail(fault.Invalid, op, "the system has no object %q%s", object, strictyaml.Meant(object, s.Objects()))
	}
	root, err := s.to.Folder(ctx, path.Clean(filepath.ToSlash(o.Path)))
	if err != nil {
		return nil, nil, s.away(op, err)
	}
	return o, root, nil
}

// away is the class of a failure that concerns whatever is in a folder, or is to be: somebody will put the folder right, and nothing is wrong with
// the message.
func (s *System) away(op string, err error) error {
	err = s.classify(op, err)
	if f, ok := fault.As(err); ok && f.Kind != fault.Auth {
		f.Kind = fault.Unavailable
	}
	return err
}

func (s *System) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = s.name, op
	return f
}

// classify gives the class of a failure before anything became visible.
func (s *System) classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := fault.As(err); ok {
		if f.System == "" { // the transport's
			f.System, f.Op = s.name, op
		}
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
