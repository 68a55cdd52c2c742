// Package connectortest is the one suite that every connector kind passes: what the engine, the pollers and the
// reconciliations rely on, whatever the system behind it.
package connectortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Subject is one empty system of a kind, and its other side: what happens there without the hub.
type Subject struct {
	Kind     connector.Kind
	Settings connector.Settings
	// Object is an object type whose documents New makes.
	Object string
	// Clock sets the system's clock, where it has one, after it was opened.
	Clock func(sys connector.System, now func() time.Time)
	// New gives the n-th document to create; documents of different n share no natural key.
	New func(n int) string
	// Change gives the fields that the n-th update changes.
	Change func(n int) string
	// Natural gives the natural key of New(n); nil where there is none.
	Natural func(n int) map[string]string
	// Folds: the system searches natural keys without regard to capitals, where it is asked to. They must have some.
	Folds bool
	// External: the system has a field for the external id, and can search it.
	External bool
	// ETags: updates are guarded by a concurrency token.
	ETags bool
	// Still stops the clock that the system's own tokens are taken from, where they are taken from one; the hub's clock, where not.
	Still func(sys connector.System, at time.Time)
	// Rising: the version that Find shows is greater after every update, also while that clock stands still.
	Rising bool
	// Refusals are ways in which the target does not do what it is told and, by status or count, seems to have done it.
	Refusals []Refusal
	// Put makes object n, or changes it, from outside; revision is something that shows in its document. It gives the local id.
	// Nil where the system is not polled or listed.
	Put func(t testing.TB, n, revision int, stamp time.Time) string
	// Bare makes object n without a stamp, and Spoil makes it one that cannot be read. They give the local id. Nil where the system is not polled.
	Bare  func(t testing.TB, n, revision int) string
	Spoil func(t testing.TB, n int, stamp time.Time) string
	// Revision reads the revision out of a document that Put has written, or a row that Drop has.
	Revision func(doc jsondoc.Value) int
	// Log: the system is read as a log. Every change is handed out once, in its order, and stamps mean nothing.
	Log bool
	// Drop puts a complete file with so many rows; the n-th row's revision is n. Nil where no files are taken.
	Drop func(t testing.TB, name string, rows int)
	// Written counts the documents that the other side was given, where what was written stays as it is (connector.WriteOnce).
	Written func(t testing.TB) int
	// Tombstones: what tells of a deletion there is the object's id alone, so that it needs no document.
	Tombstones bool
	// Faults are failures that can be provoked.
	Faults []Fault
	// Probes are states in which the system can be, and what its probe says of them. Of a kind that is called, there is one at least in which nothing is
	// taken from anybody, and one in which it is only this hub, or this object, for whom nothing is done.
	Probes []Probe
	// Secrets must appear in no error and no log.
	Secrets []string
}

// Fault is one failure and the class that it must have.
type Fault struct {
	Name string
	// Arrange makes the failure happen. It may change the settings that the system is opened with.
	Arrange func(t testing.TB, s *connector.Settings)
	// Call is what is tried; nil: a create.
	Call      func(ctx context.Context, sys connector.System, s *Subject) error
	Want      fault.Kind
	Duplicate bool
}

// Probe is one of them. While a probe fails the engine asks nothing of the system and parks nothing, so that it must tell the system's state, and
// neither how busy the hub is with it nor what it thinks of one document.
type Probe struct {
	Name    string
	Arrange func(t testing.TB, s *connector.Settings)
	// Busy keeps the open system at work until the test ends; nil: nothing is to be kept.
	Busy func(t testing.TB, sys connector.System)
	// Want is the class of the probe's failure; fault.None: it is answered.
	Want fault.Kind
	// Text is in the failure: what an operator needs to see.
	Text string
	// Create is the class of a create's failure in that state; fault.None: it is not tried.
	Create fault.Kind
}

// Refusal is one of them.
type Refusal struct {
	Name string
	// Arrange makes the target refuse every write from now on.
	Arrange func(t testing.TB)
	// Text is what the target says, if it says anything: the failure must repeat it.
	Text string
}

// Run runs the suite. fresh gives a new, empty system every time.
func Run(t *testing.T, fresh func(t *testing.T) *Subject) {
	abilities := fresh(t).Kind.Spec().Can
	t.Run("settings", func(t *testing.T) { testSettings(t, fresh(t)) })
	if abilities.Write {
		t.Run("write", func(t *testing.T) { testWrite(t, fresh) })
	}
	if abilities.Poll {
		t.Run("poll", func(t *testing.T) { testPoll(t, fresh) })
	}
	if abilities.Files {
		t.Run("files", func(t *testing.T) { testFiles(t, fresh) })
	}
	if abilities.List {
		t.Run("list", func(t *testing.T) { testList(t, fresh(t)) })
	}
	t.Run("probe", func(t *testing.T) { testProbe(t, fresh) })
	t.Run("faults", func(t *testing.T) { testFaults(t, fresh) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, fresh(t)) })
	t.Run("close", func(t *testing.T) { testClose(t, fresh(t)) })
}

// logs collects what a system logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open opens the subject's system; its log is checked for secrets at the end.
func (s *Subject) open(t testing.TB) connector.System { return s.openWith(t, s.Settings, time.Now) }

func (s *Subject) openWith(t testing.TB, set connector.Settings, now func() time.Time) connector.System {
	t.Helper()
	log := &logs{}
	set.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sys, err := s.Kind.Open(context.Background(), set)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if s.Clock != nil {
		s.Clock(sys, now)
	}
	t.Cleanup(func() {
		if err := sys.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		s.noSecrets(t, log.String())
	})
	return sys
}

func (s *Subject) noSecrets(t testing.TB, text string) {
	t.Helper()
	for _, secret := range s.Secrets {
		if strings.Contains(text, secret) {
			t.Errorf("a secret shows: %s", strings.ReplaceAll(text, secret, "<<HERE>>"))
		}
	}
}

// classified checks what holds for every failure: a class, the system's name, no secret, however it is printed.
func (s *Subject) classified(t testing.TB, what string, err error, want fault.Kind) *fault.Error {
	t.Helper()
	f, ok := fault.As(err)
	if !ok {
		t.Errorf("%s: got %v, want a classified failure", what, err)
		return &fault.Error{}
	}
	if f.Kind != want {
		t.Errorf("%s: got %v, want %v: %v", what, f.Kind, want, err)
	}
	if f.System != s.Settings.Name {
		t.Errorf("%s: the failure names the system %q, not %q", what, f.System, s.Settings.Name)
	}
	s.noSecrets(t, fmt.Sprintf("%v %+v %#v %q", err, err, f, f.Err))
	return f
}

func (s *Subject) write(action connector.Action, n int, doc string) connector.Write {
	return connector.Write{
		Entity: "order", Object: s.Object, Action: action, External: external(n), Doc: []byte(doc),
		IdempotencyKey: fmt.Sprintf("%s-%d", action, n),
	}
}

// writtenOnce tells whether what the system was given stays as it is.
func writtenOnce(sys connector.System) bool {
	_, ok := sys.(connector.WriteOnce)
	return ok
}

func external(n int) string { return fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", n) }

func parse(t testing.TB, doc []byte) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse(doc, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("the document is no JSON: %v: %s", err, doc)
	}
	return d.Root()
}

// holds checks that everything in want is in got, too.
func holds(t testing.TB, what string, got, want jsondoc.Value) {
	t.Helper()
	for name, w := range want.Members() {
		switch g := got.Get(name); {
		case w.Kind() == jsondoc.Object:
			holds(t, what+"."+name, g, w)
		case w.Kind() == jsondoc.Array:
			if g.Len() != w.Len() {
				t.Errorf("%s.%s: %d elements, want %d", what, name, g.Len(), w.Len())
			}
			for i := range w.Len() {
				if w.Index(i).Kind() == jsondoc.Object {
					holds(t, fmt.Sprintf("%s.%s.%d", what, name, i), g.Index(i), w.Index(i))
				}
			}
		case !g.Equal(w):
			t.Errorf("%s.%s: got %s, want %s", what, name, g.Raw(), w.Raw())
		}
	}
}

func testSettings(t *testing.T, s *Subject) {
	spec := s.Kind.Spec()
	if spec.Kind == "" || spec.Summary == "" {
		t.Errorf("the spec says nothing of the kind: %+v", spec)
	}
	documented(t, spec.Kind, spec.Fields)
	var p strictyaml.Problems
	s.Kind.Check(s.Settings, &p)
	spec.Lint(s.Settings.Node, &p)
	if err := p.Err(); err != nil {
		t.Errorf("good settings have problems:\n%v", err)
	}
	sys := s.open(t)
	if o, ok := sys.(connector.Objects); !ok || len(o.Objects()) == 0 {
		t.Error("the system does not name its objects")
	}
	if err := sys.Probe(t.Context()); err != nil {
		t.Errorf("probe: %v", err)
	}
	if w, ok := sys.(connector.Sink); ok {
		wrong := s.write(connector.Create, 1, s.New(1))
		wrong.Object = "no-such-object"
		_, err := w.Write(t.Context(), wrong)
		s.classified(t, "write to an unknown object", err, fault.Invalid)
	}
	misspelt := strictyaml.Parse("systems.yaml", []byte("connector: "+spec.Kind+"\nobjcts: {}\n"), nil)
	for name, check := range map[string]func(*strictyaml.Problems){
		"Check": func(p *strictyaml.Problems) { s.Kind.Check(connector.Settings{Name: "x", Node: misspelt[0]}, p) },
		"Lint":  func(p *strictyaml.Problems) { spec.Lint(misspelt[0], p) },
	} {
		var p strictyaml.Problems
		check(&p)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "systems.yaml:2:1") || !strings.Contains(err.Error(), "objects") {
			t.Errorf("%s of a misspelt key: %v", name, err)
		}
	}
}

func documented(t *testing.T, at string, fields []connector.Field) {
	for _, f := range fields {
		if f.Doc == "" || f.Type == "" {
			t.Errorf("%s.%s has no documentation", at, f.Name)
		}
		documented(t, at+"."+f.Name, f.Fields)
	}
}

func testFaults(t *testing.T, fresh func(t *testing.T) *Subject) {
	for i, f := range fresh(t).Faults {
		t.Run(f.Name, func(t *testing.T) {
			s := fresh(t)
			f := s.Faults[i]
			set := s.Settings
			if f.Arrange != nil {
				f.Arrange(t, &set)
			}
			sys := s.openWith(t, set, time.Now)
			call := f.Call
			if call == nil {
				call = func(ctx context.Context, sys connector.System, s *Subject) error {
					_, err := sys.(connector.Sink).Write(ctx, s.write(connector.Create, 1, s.New(1)))
					return err
				}
			}
			got := s.classified(t, f.Name, call(t.Context(), sys, s), f.Want)
			if got.Duplicate != f.Duplicate {
				t.Errorf("duplicate is %v, want %v: %v", got.Duplicate, f.Duplicate, got)
			}
		})
	}
}

// testCancel: a call whose context has ended does nothing and says so.
func testCancel(t *testing.T, s *Subject) {
	sys := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, which does not say that the hub is stopping", what, err)
		}
		s.classified(t, what, err, fault.Unavailable)
	}
	check("probe", sys.Probe(ctx))
	if w, ok := sys.(connector.Sink); ok {
		_, err := w.Write(ctx, s.write(connector.Create, 1, s.New(1)))
		check("write", err)
	}
	if f, ok := sys.(connector.Finder); ok && s.External && !writtenOnce(sys) {
		_, err := f.Find(ctx, connector.Lookup{Object: s.Object, External: external(1)})
		check("find", err)
	}
	if p, ok := sys.(connector.Poller); ok {
		_, err := p.Poll(ctx, connector.PollRequest{Object: s.Object})
		check("poll", err)
	}
	if l, ok := sys.(connector.Lister); ok {
		n := 0
		for _, err := range l.List(ctx, s.Object, time.Time{}) {
			n++
			check("list", err)
		}
		if n != 1 {
			t.Errorf("list gave %d results, want its failure alone", n)
		}
	}
}

// testClose: nothing of a system is left behind.
func testClose(t *testing.T, s *Subject) {
	before := goleak.IgnoreCurrent()
	sys, err := s.Kind.Open(t.Context(), s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := sys.(connector.Sink); ok {
		if _, err := w.Write(t.Context(), s.write(connector.Create, 1, s.New(1))); err != nil {
			t.Errorf("write: %v", err)
		}
	}
	if err := sys.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	// What the other side runs for a connection ends when it notices, which goleak waits for.
	goleak.VerifyNone(t, before)
}
