package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// project is a directory of hub files: orders and notes come in by webhooks, go to topics, and orders from there to a target.
type project struct {
	t     testing.TB
	dir   string
	kinds []connector.Kind // of the test alone
	clock lifecycle.Clock  // nil: the machine's
}

const hookSecret = "a-secret-of-the-tests"

const (
	configFile = `broker: {embedded: {dir: "%DIR%/data/broker"}, partitions: 2}
store: {sqlite: {path: "%DIR%/data/waybill.db"}}
http: {listen: 127.0.0.1:0}
hooks: {listen: 127.0.0.1:0}
systems:
  shop: {connector: webhook}
  erp:
    connector: rest
    url: %URL%
    timeout: 5s
    objects:
      order:
        path: /orders
        external-id: external
        find: {external: {external: "{external}"}}
        list: {items: items}
`
	orderFlow = `flow: orders
entity: order
from:
  system: shop
  webhook:
    path: shop/orders
    verify: {scheme: hmac, secret: "${file:secret}", header: X-Signature}
    delivery-id: header("X-Delivery")
accept: order.v1
key: source.no
version: source.seq
map: orders
to: {topic: canonical.order}
`
	erpFlow = `flow: orders-to-erp
entity: order
from: {topic: canonical.order}
map: orders-to-erp
to: {system: erp}
retry: {for: 10m, backoff: 20ms..1s}
`
	noteFlow = `flow: notes
entity: contact
from:
  system: shop
  webhook:
    path: shop/notes
    verify: {scheme: hmac, secret: "${file:secret}", header: X-Signature}
    delivery-id: header("X-Delivery")
accept: order.v1
key: source.no
version: source.seq
to: {topic: canonical.note}
`
	mappingFile = `mapping: orders
from: order.v1
to: order.v1
set:
  no: source.no
  seq: source.seq
  mark?: value("marks", "shop", source.mark)
---
mapping: orders-to-erp
from: order.v1
to: order.v1
set:
  no: source.no
  seq: source.seq
  by: "first"
`
	valueFile  = "values: marks\nunknown: keep\ncodes:\n  A: {shop: a}\n"
	schemaFile = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["no", "seq"],
  "properties": {"no": {"type": "string", "minLength": 1}, "seq": {"type": "integer"}, "mark": {"type": "string"}, "by": {"type": "string"}}}
`
)

func newProject(t testing.TB, targetURL string) *project {
	t.Helper()
	p := &project{t: t, dir: t.TempDir()}
	p.write("configs/waybill.yaml", strings.NewReplacer("%DIR%", p.dir, "%URL%", targetURL).Replace(configFile))
	p.write("configs/secret", hookSecret)
	p.write("flows/orders.yaml", orderFlow)
	p.write("flows/erp.yaml", erpFlow)
	p.write("flows/notes.yaml", noteFlow)
	p.write("mappings/orders.yaml", mappingFile)
	p.write("mappings/values/marks.yaml", valueFile)
	p.write("schemas/order.v1.json", schemaFile)
	return p
}

func (p *project) write(name, text string) {
	p.t.Helper()
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) remove(name string) {
	p.t.Helper()
	if err := os.Remove(filepath.Join(p.dir, filepath.FromSlash(name))); err != nil {
		p.t.Fatal(err)
	}
}

// edit replaces a text in a file.
func (p *project) edit(name, old, with string) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name)))
	if err != nil {
		p.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		p.t.Fatalf("%s does not hold %q", name, old)
	}
	p.write(name, strings.Replace(string(text), old, with, 1))
}

// start runs a hub on the project.
func (p *project) start(log io.Writer) *Hub {
	p.t.Helper()
	kinds, err := connector.NewRegistry(append(connectors.All(), p.kinds...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	load := func() (*config.Plan, *strictyaml.Problems) {
		return config.Load(config.RootPaths(p.dir), config.Options{Kinds: kinds.Map(), Log: logger})
	}
	plan, problems := load()
	if err := problems.Err(); err != nil {
		p.t.Fatal(err)
	}
	hub, err := New(Options{Plan: plan, Load: load, Kinds: kinds, Log: logger, Clock: p.clock})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := hub.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := hub.Stop(ctx); err != nil {
			p.t.Errorf("stop: %v", err)
		}
	})
	return hub
}

// document is what travels.
type document struct {
	No       string `json:"no"`
	Seq      int    `json:"seq"`
	Mark     string `json:"mark,omitempty"`
	By       string `json:"by,omitempty"`
	External string `json:"external,omitempty"`
	ID       string `json:"id,omitempty"`
}

// push sends a delivery once and gives the answer's status.
func push(ctx context.Context, hub *Hub, path, delivery string, doc document) (int, error) {
	body, err := json.Marshal(doc)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hub.HooksAddr()+"/hooks/"+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Delivery", delivery)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// target is a system that keeps orders and notices what must not happen.
type target struct {
	*httptest.Server
	mu      sync.Mutex
	orders  map[string]*document // by external id
	writes  int
	backway []string           // writes of an older version over a newer one
	doubles []string           // creates of what is there
	block   func(doc document) // called before a write is answered, after it was applied
}

func newTarget(t testing.TB) *target {
	g := &target{orders: map[string]*document{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	external := r.URL.Query().Get("external")
	switch r.Method {
	case http.MethodGet:
		g.mu.Lock()
		defer g.mu.Unlock()
		items := []*document{}
		if d := g.orders[external]; d != nil {
			items = append(items, d)
		}
		if id, ok := strings.CutPrefix(r.URL.Path, "/orders/"); ok {
			if d := g.orders[id]; d != nil {
				_ = json.NewEncoder(w).Encode(d)
				return
			}
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
	case http.MethodPost, http.MethodPatch:
		g.write(w, r)
	case http.MethodDelete:
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.orders, strings.TrimPrefix(r.URL.Path, "/orders/"))
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "no", http.StatusMethodNotAllowed)
	}
}

func (g *target) write(w http.ResponseWriter, r *http.Request) {
	var in document
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.writes++
	id := in.External
	if r.Method == http.MethodPatch {
		id = strings.TrimPrefix(r.URL.Path, "/orders/")
	}
	old := g.orders[id]
	switch {
	case r.Method == http.MethodPost && old != nil:
		g.doubles = append(g.doubles, in.No)
	case r.Method == http.MethodPatch && old == nil:
		g.mu.Unlock()
		http.NotFound(w, r)
		return
	case old != nil && old.Seq > in.Seq:
		g.backway = append(g.backway, fmt.Sprintf("%s: %d over %d", in.No, in.Seq, old.Seq))
	}
	in.ID, in.External = id, id
	g.orders[id] = &in
	block := g.block
	g.mu.Unlock()
	if block != nil {
		block(in)
	}
	_ = json.NewEncoder(w).Encode(in)
}

// newest are the last versions by number, and whether any number has two objects.
func (g *target) newest(t testing.TB) map[string]document {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[string]document{}
	for _, d := range g.orders {
		if _, twice := out[d.No]; twice {
			t.Errorf("order %s is there twice", d.No)
		}
		out[d.No] = *d
	}
	for _, b := range g.backway {
		t.Errorf("an older version was written over a newer one: %s", b)
	}
	for _, d := range g.doubles {
		t.Errorf("order %s was created again", d)
	}
	return out
}

// await polls until done says so.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// rest waits until nothing is in flight, and gives the status.
func rest(t testing.TB, hub *Hub) *api.Status {
	t.Helper()
	var st *api.Status
	await(t, "everything to have a fate", func() bool {
		var err error
		if st, err = hub.Status(t.Context()); err != nil {
			t.Logf("status: %v", err)
			return false
		}
		return st.AtRest()
	})
	return st
}
