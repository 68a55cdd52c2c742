package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Dialect puts the calls of this package into another form than that of paths and queries, and its answers into JSON. Everything else of a system (pages, lists
// that move, windows of polls, look-ups that are compared again, what an answer means) is the same then.
type Dialect interface {
	// Put gives a call the form in which it goes over the wire: it sets the Request. What cannot be put is the document's or the settings' fault; of a look-up
	// that no settings describe the error wraps connector.ErrNoLookup.
	Put(c *Call) error
	// Read makes the answer's body JSON; an error says why it is not what was to be answered, and leaves the body as it is.
	Read(c *Call, resp *httpclient.Response) error
	// Refused says by an answer's content that it was not carried out; nil: the content says nothing of the kind. failed: the status says so already.
	Refused(c *Call, resp *httpclient.Response, root jsondoc.Value, failed bool) *Refusal
	// Wrong says why an object of an answer cannot be taken as it is; nil: it can.
	Wrong(object string, doc jsondoc.Value) error
	// None: an answer that holds nothing at a path says by it that there is no such object.
	None(root jsondoc.Value, path string) bool
	// Probe is a call that changes nothing, and any answer to it shows that the system is there.
	Probe() httpclient.Request
}

// What a call does to objects of its type.
const (
	ActGet    = "get"
	ActList   = "list"
	ActIDs    = "ids"
	ActFind   = "find"
	ActCreate = "create"
	ActUpdate = "update"
	ActDelete = "delete"
)

// Call is one call before it has a form.
type Call struct {
	httpclient.Request
	// Object is the object type's name, and Action one of the above.
	Object, Action string
	// ID is the object's, where the call is about one.
	ID string
	// ETag is the concurrency token that the change is to carry in its body; empty: none.
	ETag string
	// Counts are the parameters of Query that are numbers.
	Counts []string

	o *object
}

// reading: the call changes nothing.
func (c *Call) reading() bool {
	return c.Action == ActGet || c.Action == ActList || c.Action == ActIDs || c.Action == ActFind
}

// Missing is the error of a call of which the settings lack what it is made of.
func (c *Call) Missing(setting string) error {
	err := fmt.Errorf("the object %s has no %s for it (set %s.%s)", c.Object, setting, c.Action, setting)
	if c.Action == ActFind || c.Action == ActGet {
		return fmt.Errorf("%w: %w", connector.ErrNoLookup, err)
	}
	return err
}

// count adds a parameter that is a number.
func (c *Call) count(name string, n int) {
	c.Query = append(c.Query, httpclient.Param{Name: name, Value: strconv.Itoa(n)})
	c.Counts = append(c.Counts, name)
}

// Refusal is what the content of an answer says.
type Refusal struct {
	// Codes are the system's own codes for it, the one that says most first.
	Codes []string
	// Kind is what it means where no setting gives one of Codes a meaning: a word of errors.kinds. Empty: what the status means.
	Kind string
	// Settled: Kind stands, whatever errors.kinds says of the codes.
	Settled bool
	// Text is what the system says of it.
	Text string
	// Field is the field that was refused; empty: it names none.
	Field string
}

// call makes a call of an object type.
func (s *system) call(action string, o *object, r httpclient.Request) *Call {
	return &Call{Request: r, Object: o.name, Action: action, o: o}
}

// do makes the call; the judge reads what is answered.
func (s *system) do(ctx context.Context, c *Call, j *judge) (*httpclient.Response, error) {
	j.call = c
	r := c.Request
	if s.dialect != nil {
		put := *c // what was asked for stays as it is: it may be asked for again
		if err := s.dialect.Put(&put); err != nil {
			f := s.fail(fault.Invalid, c.Op, "%s", err)
			if errors.Is(err, connector.ErrNoLookup) {
				f.Err = err
			}
			return nil, f
		}
		r = put.Request
		r.Safe = r.Safe || c.reading()
	}
	var always httpclient.Query
	for _, name := range slices.Sorted(maps.Keys(s.set.Parameters)) {
		always = append(always, httpclient.Param{Name: name, Value: s.set.Parameters[name]})
	}
	r.Query = append(r.Query, always.Beside(r.Path)...)
	r.Judge = j.answer
	return s.client.Do(ctx, r)
}

// read makes an answer JSON, and says why it is none.
func (j *judge) read(resp *httpclient.Response, failed bool) *fault.Error {
	if j.s.dialect == nil || j.call == nil {
		return nil
	}
	if err := j.s.dialect.Read(j.call, resp); err != nil && !failed {
		kind := fault.UnknownOutcome
		if j.reading {
			kind = fault.Unavailable // a page for people, or half an answer: no message is at fault
		}
		return fault.New(kind, "%s: %s", err, j.s.client.Text(resp))
	}
	return nil
}

// spoken is what an answer says in the dialect's own way; nil: nothing of a refusal.
func (j *judge) spoken(resp *httpclient.Response, root jsondoc.Value, failed *fault.Error) *fault.Error {
	if j.s.dialect == nil || j.call == nil {
		return nil
	}
	r := j.s.dialect.Refused(j.call, resp, root, failed != nil)
	if r == nil {
		return nil
	}
	es := &j.s.set.Errors
	code, kind := "", ""
	for _, c := range append(es.codes(root), r.Codes...) {
		if k := es.Kinds[c]; k != "" && c != "" && !r.Settled {
			code, kind = c, k
			break
		}
		def(&code, c)
	}
	said := r.Text
	if es.Message != "" {
		said = j.s.words(resp, root)
	}
	if !r.Settled {
		def(&kind, es.told(said))
		def(&kind, es.Kinds[strconv.Itoa(resp.Status)])
	}
	def(&kind, r.Kind)
	f := fault.New(faultKinds[kind], "%s", httpclient.Shorten(j.s.client.Scrub(oneLine(said)), 300))
	if kind == "" && failed != nil {
		f.Kind = failed.Kind
	}
	f.Duplicate, f.Field, f.Code = kind == "duplicate", r.Field, j.s.codeOf(resp, code)
	return f
}

// wrong says why an object cannot be taken as it is.
func (s *system) wrong(op string, o *object, v jsondoc.Value) error {
	if s.dialect == nil {
		return nil
	}
	if err := s.dialect.Wrong(o.name, v); err != nil {
		return s.fail(fault.Invalid, op, "%s", err)
	}
	return nil
}

// Settings of this package that kinds with a Dialect have, too.
type (
	Object  = object
	Paging  = pagingSettings
	Since   = sinceSettings
	Errors  = errorSettings
	Success = successRules
	IDs     = idsSettings
)

// Complete fills in the defaults of an object type that depend on other settings, and checks what the shape alone does not show.
func (o *object) Complete(name string, n strictyaml.Node, p *strictyaml.Problems) {
	o.name = name
	o.complete(n, p)
}

// Complete reads the rules of a whole system.
func (ss *successRules) Complete(n strictyaml.Node, p *strictyaml.Problems) { ss.complete(n, p) }

// Check reads the pattern of codes, and looks for kinds of failures that are none.
func (es *errorSettings) Check(n strictyaml.Node, p *strictyaml.Problems) {
	if es.Pattern != "" {
		var err error
		if es.pattern, err = regexp.Compile(es.Pattern); err != nil {
			p.AddHint(n.Get("code-pattern").Pos(), `write for example '\((SBL-[A-Z]+-[0-9]+)\)'`, "code-pattern: %s", err)
		}
		if es.Code == "" {
			p.AddHint(n.KeyPos("code-pattern"), "add code: the path of the text that the code stands in", "code-pattern: where it looks is not said")
		}
	}
	kinds := n.Get("kinds")
	for code, kind := range es.Kinds {
		if _, ok := faultKinds[kind]; !ok {
			p.AddHint(kinds.Get(code).Pos(), strictyaml.DidYouMean(kind, slices.Sorted(maps.Keys(faultKinds))), "kinds: %q is no kind of failure", kind)
		}
	}
}

// Config is a system whose calls have a dialect.
type Config struct {
	Client  httpclient.Config
	Probe   string
	Errors  Errors
	Success Success
	Objects map[string]*Object
	Dialect Dialect
}

// SetClock sets the clock of a system of this package, for tests.
func SetClock(sys connector.System, clock lifecycle.Clock) { sys.(*system).clock = clock }

// OpenWith makes such a system ready. It makes no call.
func OpenWith(c Config) (connector.System, error) {
	set := &settings{Settings: httpclient.Settings{Timeout: c.Client.Timeout, Limit: c.Client.Limit}, Probe: c.Probe, Errors: c.Errors, Success: c.Success, Objects: c.Objects}
	return newSystem(set, c.Client, c.Dialect)
}
