// Package tryton is the connector for Tryton's JSON-RPC, as its own clients speak it. What the types of fields are is asked of the server.
package tryton

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "tryton".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "tryton",
		Summary: "a Tryton server, by JSON-RPC",
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
	sys := &system{name: s.Name, set: set, clock: lifecycle.Real(), log: s.Log, models: map[string]*model{}, known: map[reference]remembered{}}
	if sys.log == nil {
		sys.log = slog.New(slog.DiscardHandler)
	}
	c := set.Config(s, set.URL, httpclient.Auth{})
	c.Session = &httpclient.Session{Login: sys.login, Logout: sys.logout}
	client, err := httpclient.New(c)
	if err != nil {
		return nil, err
	}
	client.Conceal(set.Password.Reveal())
	sys.client = client
	sys.queue = &gather.Queue[*creation]{Most: set.Bulk, Lanes: max(1, set.Limit.Concurrency), Run: sys.send,
		Fits:   func(lot []*creation, other *creation) bool { return lot[0].b == other.b },
		Failed: func(c *creation, err error) error { return sys.fail(fault.UnknownOutcome, c.op, "%s", err) }}
	return sys, nil
}

type system struct {
	name   string
	set    *settings
	client *httpclient.Client
	clock  lifecycle.Clock
	log    *slog.Logger
	// queue is where creates wait that may go together.
	queue *gather.Queue[*creation]
	// user is the id of the hub's user there, as the last login has told, and preferred the company that it works for, as JSON.
	user      atomic.Int64
	preferred atomic.Pointer[string]

	mu     sync.Mutex
	models map[string]*model // by name, once the server has told of them
	known  map[reference]remembered
}

var (
	_ connector.Timed   = (*system)(nil)
	_ connector.Sink    = (*system)(nil)
	_ connector.Finder  = (*system)(nil)
	_ connector.Poller  = (*system)(nil)
	_ connector.Lister  = (*system)(nil)
	_ connector.Objects = (*system)(nil)
	_ connector.Stepper = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close logs out and closes idle connections.
func (s *system) Close() error { return s.client.Close() }

// Timeout bounds one request; a write may take several.
func (s *system) Timeout() time.Duration { return s.set.Timeout }

// TakesSteps: objects with steps are moved on after they are made.
func (s *system) TakesSteps(object string) bool {
	o := s.set.Objects[object]
	return o != nil && o.Steps != nil
}

// Probe asks for the preferences of the hub's user, for which server, database and login must work.
func (s *system) Probe(ctx context.Context) error {
	_, err := s.call(ctx, request{method: "model.res.user.get_preferences", params: []string{"true"}, op: "probe", safe: true, beside: true, context: "{}"})
	return err
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

// refuse makes the failure of a document, with the field that it is about. What the system itself has said stays as it is.
func (s *system) refuse(op string, err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	f := s.fail(fault.Invalid, op, "%s", err)
	var at *placed
	if errors.As(err, &at) {
		f.Field = at.path
	}
	return f
}
