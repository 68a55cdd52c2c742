package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/avrodoc"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type registrySettings struct {
	URL     string          `yaml:"url,required" doc:"address of a schema registry that speaks Confluent's API, such as https://registry.example:8081, or http://apicurio.example:8080/apis/ccompat/v7"`
	Auth    httpclient.Auth `yaml:"auth" doc:"how the hub proves itself there; default: nothing"`
	TLS     httpclient.TLS  `yaml:"tls" doc:"whom to trust, and the hub's own certificate"`
	Timeout time.Duration   `yaml:"timeout" default:"10s" doc:"bound of one call"`
}

func (r *registrySettings) check(n strictyaml.Node, p *strictyaml.Problems) {
	if r == nil {
		return
	}
	if at := n.Get("url"); r.URL != "" {
		if _, err := httpclient.BaseURL(r.URL); err != nil {
			p.Add(at.Pos(), "url: %s", err)
		}
	}
	r.Auth.Check(n.Get("auth"), p)
	r.TLS.Check(n.Get("tls"), p)
	connector.Positive(n.Get("timeout"), p)
}

// Types of schemas, as registries write them. One without a type is Avro.
const (
	typeAvro = "AVRO"
	typeJSON = "JSON"
)

const (
	// latestFor is how long the latest version of a subject is taken for the latest, and an id that is not there for one.
	latestFor = time.Minute
	// mostReferences bounds the schemas that one refers to, with those that they refer to.
	mostReferences = 100
	// mostSchema bounds what a registry answers.
	mostSchema = 8 << 20
)

// registered is a schema of a registry. Of avro and json the one of its type is set.
type registered struct {
	id   int
	kind string
	name string // for people
	avro *avrodoc.Schema
	json *schema.Schema
}

// registry keeps what a schema registry has told. Schemas do not change; the latest version of a subject does.
type registry struct {
	client *httpclient.Client
	clock  lifecycle.Clock

	mu     sync.Mutex
	byID   map[int]*registered
	absent map[int]time.Duration // ids that were not there, and until when that is believed
	latest map[string]latest     // by subject and version
}

type latest struct {
	schema *registered
	until  time.Duration
}

func newRegistry(system string, set *registrySettings, resolve func(string) string, log *slog.Logger, clock lifecycle.Clock) (*registry, error) {
	client, err := httpclient.New(httpclient.Config{System: system, URL: set.URL, Auth: set.Auth, TLS: set.TLS.In(resolve), Timeout: set.Timeout, MaxBody: mostSchema, Log: log,
		Headers: map[string]string{"Accept": "application/vnd.schemaregistry.v1+json, application/json"}})
	if err != nil {
		return nil, err
	}
	return &registry{client: client, clock: clock, byID: map[int]*registered{}, absent: map[int]time.Duration{}, latest: map[string]latest{}}, nil
}

func (r *registry) close() error {
	if r == nil {
		return nil
	}
	return r.client.Close()
}

// errNoSchema: the registry has no such schema.
var errNoSchema = errors.New("the registry has no such schema")

// get asks the registry. errNoSchema: there is none; every other failure concerns whatever is asked.
func (r *registry) get(ctx context.Context, op, path string) (jsondoc.Value, error) {
	resp, err := r.client.Do(ctx, httpclient.Request{Method: http.MethodGet, Path: path, Op: op})
	if f, ok := fault.As(err); ok {
		if resp != nil && resp.Status == http.StatusNotFound {
			return jsondoc.Value{}, fmt.Errorf("%w (%s)", errNoSchema, r.client.Text(resp))
		}
		if f.Kind != fault.Auth && f.Kind != fault.RateLimited {
			f.Kind = fault.Unavailable // no record is at fault
		}
		return jsondoc.Value{}, f
	}
	root, err := resp.JSON()
	if err != nil || root.Get("schema").Kind() != jsondoc.String {
		return jsondoc.Value{}, fault.New(fault.Unavailable, "%s: what answers at the registry's url is no schema registry", op)
	}
	return root, nil
}

// byNumber gives the schema of an id. The error is errNoSchema, a *fault.Error where the registry cannot be asked, or else why the schema cannot be used.
func (r *registry) byNumber(ctx context.Context, id int) (*registered, error) {
	r.mu.Lock()
	known, until := r.byID[id], r.absent[id]
	r.mu.Unlock()
	switch {
	case known != nil:
		return known, nil
	case until > r.clock.Elapsed():
		return nil, fmt.Errorf("schema %d: %w", id, errNoSchema)
	}
	doc, err := r.get(ctx, fmt.Sprintf("schema %d", id), "schemas/ids/"+strconv.Itoa(id))
	if errors.Is(err, errNoSchema) {
		r.mu.Lock()
		r.absent[id] = r.clock.Elapsed() + latestFor
		r.mu.Unlock()
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, id, fmt.Sprintf("schema %d", id), doc)
}

// bySubject gives a version of a subject: its number, or latest. What the registry has not is a failure for every message alike.
func (r *registry) bySubject(ctx context.Context, subject, version string) (*registered, error) {
	name := subject + " " + version
	r.mu.Lock()
	known := r.latest[name]
	r.mu.Unlock()
	if known.schema != nil && r.clock.Elapsed() < known.until {
		return known.schema, nil
	}
	doc, err := r.get(ctx, "subject "+subject, "subjects/"+httpclient.Escape(subject)+"/versions/"+version)
	if err != nil {
		if errors.Is(err, errNoSchema) {
			err = fault.New(fault.Unavailable, "subject %s, version %s: %w: register it, or correct write.subject", subject, version, err)
		}
		return nil, err
	}
	d, err := doc.Get("id").Decimal()
	id, ok := d.Int64()
	if err != nil || !ok || id < 0 || id > 1<<31-1 {
		return nil, fault.New(fault.Unavailable, "subject %s: what answers at the registry's url is no schema registry: it names no id", subject)
	}
	s, err := r.keep(ctx, int(id), fmt.Sprintf("subject %s, version %s (schema %d)", subject, version, id), doc)
	if err != nil {
		if _, ok := fault.As(err); !ok {
			err = fault.New(fault.Unavailable, "%w", err) // it is no message's fault
		}
		return nil, err
	}
	r.mu.Lock()
	r.latest[name] = latest{s, r.clock.Elapsed() + latestFor}
	r.mu.Unlock()
	return s, nil
}

// keep makes a schema of what the registry has answered, and remembers it.
func (r *registry) keep(ctx context.Context, id int, name string, doc jsondoc.Value) (*registered, error) {
	r.mu.Lock()
	known := r.byID[id]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s := &registered{id: id, name: name, kind: typeAvro}
	if k := doc.Get("schemaType").Str(); k != "" {
		s.kind = k
	}
	texts := references{names: map[string]bool{}}
	if err := r.refer(ctx, doc, &texts); err != nil {
		return nil, err
	}
	text := doc.Get("schema").Str()
	var err error
	switch s.kind {
	case typeAvro:
		s.avro, err = avrodoc.Compile(text, texts.texts...)
	case typeJSON:
		s.json, err = compileJSON(text, &texts)
	default:
		err = fmt.Errorf("schemas of type %s are not read", s.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.mu.Lock()
	r.byID[id] = s
	r.mu.Unlock()
	return s, nil
}

// references are the schemas that one refers to, each after those that it refers to itself.
type references struct {
	names map[string]bool
	order []string // as they are referred to
	texts []string
}

// refer collects what a schema refers to.
func (r *registry) refer(ctx context.Context, doc jsondoc.Value, to *references) error {
	for ref := range doc.Get("references").Elements() {
		name, subject := ref.Get("name").Str(), ref.Get("subject").Str()
		if to.names[name] {
			continue
		}
		if to.names[name] = true; len(to.names) > mostReferences {
			return fmt.Errorf("it refers to more than %d schemas", mostReferences)
		}
		of, err := r.get(ctx, "subject "+subject, "subjects/"+httpclient.Escape(subject)+"/versions/"+string(ref.Get("version").Raw()))
		if err != nil {
			return err
		}
		if err := r.refer(ctx, of, to); err != nil {
			return err
		}
		to.order, to.texts = append(to.order, name), append(to.texts, of.Get("schema").Str())
	}
	return nil
}

// compileJSON makes a JSON Schema, by which what is written is judged.
func compileJSON(text string, refs *references) (*schema.Schema, error) {
	const name = "registry/value"
	files := []schema.File{{Name: name, Path: "the schema", Data: []byte(text)}}
	for i, ref := range refs.order {
		files = append(files, schema.File{Name: "registry/" + ref, Path: ref, Data: []byte(refs.texts[i])})
	}
	var p strictyaml.Problems
	set := schema.Compile(files, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return set.Get(name), nil
}
