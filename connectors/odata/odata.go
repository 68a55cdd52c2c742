// Package odata is the connector for OData services, V2 and V4, such as SAP's: what types, keys and literals look like is read from the service's own
// $metadata.
package odata

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "odata".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "odata",
		Summary: "an OData service, V2 or V4, such as SAP's",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Poll: true, List: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. It makes no call.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	client, err := httpclient.New(set.Config(s, set.URL, set.Auth))
	if err != nil {
		return nil, err
	}
	base, err := httpclient.BaseURL(set.URL)
	if err != nil {
		return nil, err
	}
	sys := &system{name: s.Name, set: set, client: client, base: base.EscapedPath(), clock: lifecycle.Real(), log: s.Log, services: map[string]*service{}}
	if sys.log == nil {
		sys.log = slog.New(slog.DiscardHandler)
	}
	for _, o := range set.Objects {
		if sys.services[o.Service] == nil {
			sys.services[o.Service] = newService(o.Service)
		}
	}
	sys.queue = sys.queued()
	return sys, nil
}

type system struct {
	name     string
	set      *settings
	client   *httpclient.Client
	base     string // the path of url, escaped, with a slash at its end
	clock    lifecycle.Clock
	services map[string]*service // by their path below url; made once
	// queue is where changes wait that may go together, whole what a request of several was refused with as a whole; empty: it was not.
	queue *gather.Queue[*change]
	whole atomic.Value
	log   *slog.Logger
}

var (
	_ connector.Timed   = (*system)(nil)
	_ connector.Sink    = (*system)(nil)
	_ connector.Finder  = (*system)(nil)
	_ connector.Poller  = (*system)(nil)
	_ connector.Lister  = (*system)(nil)
	_ connector.Objects = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close closes idle connections.
func (s *system) Close() error { return s.client.Close() }

// Timeout bounds one request.
func (s *system) Timeout() time.Duration { return s.set.Timeout }

// Probe asks for the probe path; without one, any answer of the first object's service that is no failure of the server will do, also one that wants other
// credentials there: what the hub may do shows in its calls.
func (s *system) Probe(ctx context.Context) error {
	path := s.set.Probe
	if path == "" {
		path = s.services[s.set.Objects[s.Objects()[0]].Service].at("")
	}
	resp, err := s.client.Do(ctx, httpclient.Request{Method: http.MethodGet, Path: path, Query: s.parameters(), Op: "probe", Beside: true})
	switch {
	case err == nil || resp == nil || s.set.Probe != "" || fault.KindOf(err) == fault.RateLimited:
		return err
	case resp.Status < 500 || resp.Status == http.StatusNotImplemented || resp.Status == http.StatusHTTPVersionNotSupported:
		return nil
	}
	return err
}

// parameters are those of every request.
func (s *system) parameters() httpclient.Query {
	var q httpclient.Query
	for _, name := range slices.Sorted(maps.Keys(s.set.Parameters)) {
		q = append(q, httpclient.Param{Name: name, Value: s.set.Parameters[name]})
	}
	return q
}

// object gives the settings of an object type.
func (s *system) object(name string) (*object, error) {
	if o := s.set.Objects[name]; o != nil {
		return o, nil
	}
	f := fault.New(fault.Invalid, "the system has no object %q%s", name, strictyaml.Meant(name, s.Objects()))
	f.System = s.name
	return nil, f
}

// fail makes a failure of this system.
func (s *system) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = s.name, op
	f.Err = fmt.Errorf("%s", s.client.Scrub(f.Err.Error()))
	return f
}

// refuse makes the failure of a document, with the field that it is about.
func (s *system) refuse(op string, err error) *fault.Error {
	f := s.fail(fault.Invalid, op, "%s", err)
	f.Field = placeOf(err)
	return f
}
