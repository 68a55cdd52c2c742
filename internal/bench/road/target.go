package road

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/process"
)

// Tally is what the target has seen.
type Tally struct {
	Writes, Creates, Finds int
	Doubled                int   // creates under an external id that was there
	Inverted               int   // writes whose revision was not greater than that of the write before to the same object
	Last                   int64 // when the newest write was taken, in nanoseconds since 1970
}

// target keeps orders as a system with an HTTP interface does: created by POST, changed by PATCH, found by their external id.
type target struct {
	delay time.Duration

	mu      sync.Mutex
	tally   Tally
	objects []*object // by id, which counts from 1
	byExt   map[string]*object
}

type object struct {
	id     int
	fields map[string]json.RawMessage
	rev    int64
}

// ServeTarget is the target's process: it says where it listens in the first line of out and serves until in ends.
func ServeTarget(delay time.Duration, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t := &target{delay: delay, byExt: map[string]*object{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", t.wait(t.find))
	mux.HandleFunc("POST /orders", t.wait(t.create))
	mux.HandleFunc("GET /orders/{id}", t.wait(t.read))
	mux.HandleFunc("PATCH /orders/{id}", t.wait(t.change))
	mux.HandleFunc("PUT /orders/{id}", t.wait(t.change))
	mux.HandleFunc("GET /bench/tally", func(w http.ResponseWriter, _ *http.Request) {
		t.mu.Lock()
		defer t.mu.Unlock()
		answer(w, 200, t.tally)
	})
	mux.HandleFunc("GET /bench/objects", t.all)
	server := &http.Server{Handler: mux}
	go func() { _, _ = io.Copy(io.Discard, in); _ = server.Close() }()
	fmt.Fprintln(out, "listening", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (t *target) wait(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if t.delay > 0 {
			time.Sleep(t.delay)
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing here that has no JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func (o *object) text(field string) string {
	var s string
	_ = json.Unmarshal(o.fields[field], &s)
	return s
}

func (t *target) find(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally.Finds++
	list := []any{}
	if o := t.byExt[r.URL.Query().Get("ext")]; o != nil {
		list = append(list, o.fields)
	}
	answer(w, http.StatusOK, list)
}

func (t *target) create(w http.ResponseWriter, r *http.Request) {
	o := &object{}
	if err := json.NewDecoder(r.Body).Decode(&o.fields); err != nil || o.fields == nil {
		http.Error(w, "no object", http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.objects = append(t.objects, o)
	o.id = len(t.objects)
	o.fields["id"] = json.RawMessage(strconv.Quote(strconv.Itoa(o.id)))
	if ext := o.text("ext"); ext != "" {
		if t.byExt[ext] != nil {
			t.tally.Doubled++
		}
		t.byExt[ext] = o
	}
	t.tally.Creates++
	t.wrote(o)
	answer(w, http.StatusCreated, o.fields)
}

// wrote counts a write; t.mu is held.
func (t *target) wrote(o *object) {
	var rev int64
	_ = json.Unmarshal(o.fields["rev"], &rev)
	if rev <= o.rev {
		t.tally.Inverted++
	}
	o.rev = rev
	t.tally.Writes++
	t.tally.Last = time.Now().UnixNano()
}

func (t *target) object(w http.ResponseWriter, r *http.Request) *object {
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || n < 1 || n > len(t.objects) {
		http.Error(w, "no such order", http.StatusNotFound)
		return nil
	}
	return t.objects[n-1]
}

func (t *target) read(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.object(w, r); o != nil {
		answer(w, http.StatusOK, o.fields)
	}
}

func (t *target) change(w http.ResponseWriter, r *http.Request) {
	var fields map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		http.Error(w, "no object", http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.object(w, r)
	if o == nil {
		return
	}
	for name, v := range fields {
		o.fields[name] = v
	}
	t.wrote(o)
	answer(w, http.StatusOK, o.fields)
}

func (t *target) all(w http.ResponseWriter, _ *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := json.NewEncoder(w)
	for _, o := range t.objects {
		if e.Encode(o.fields) != nil {
			return
		}
	}
}

// TargetProcess is the target as a driver sees it.
type TargetProcess struct {
	*process.Child
	Addr string
}

// StartTarget starts the target as a process of its own.
func StartTarget(delay time.Duration, log io.Writer) (*TargetProcess, error) {
	c, line, err := process.StartSelf(log, "bench", "target", delay.String())
	if err != nil {
		return nil, err
	}
	addr, ok := strings.CutPrefix(line, "listening ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("the target does not listen; it says %q", line), c.Stop())
	}
	return &TargetProcess{Child: c, Addr: addr}, nil
}

func get(ctx context.Context, addr, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

func tallyOf(ctx context.Context, addr string) (tally Tally, err error) {
	resp, err := get(ctx, addr, "/bench/tally")
	if err != nil {
		return tally, err
	}
	defer resp.Body.Close()
	return tally, json.NewDecoder(resp.Body).Decode(&tally)
}

// Verify compares every object of the target at addr with what was sent: nothing may be there twice, missing, out of order or another than
// it was sent.
func Verify(ctx context.Context, addr string, o Options) error { return verify(ctx, addr, &o, true) }

// verify is Verify; of a program without guards each write must be one that was sent, and no more.
func verify(ctx context.Context, addr string, o *Options, guards bool) error {
	resp, err := get(ctx, addr, "/bench/objects")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	seen := make([]bool, o.Keys)
	dec, n := json.NewDecoder(resp.Body), 0
	for ; ; n++ {
		var got delivered
		if err := dec.Decode(&got); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("object %d: %w", n+1, err)
		}
		i := int(got.Rev) - 1
		if i < 0 || i >= o.Orders || got.differs(i, o.Keys, o.Lines) != "" {
			return fmt.Errorf("object %d (%s, rev %d) %s", n+1, got.OrderNo, got.Rev, got.differs(i, o.Keys, o.Lines))
		}
		key := i % o.Keys
		switch {
		case !guards:
		case seen[key]:
			return fmt.Errorf("order %s is there twice", got.OrderNo)
		case i+o.Keys < o.Orders:
			return fmt.Errorf("order %s has revision %d, and a newer one was sent", got.OrderNo, got.Rev)
		}
		seen[key] = true
	}
	if !guards {
		return nil
	}
	if want := min(o.Keys, o.Orders); n != want {
		return fmt.Errorf("%d objects for %d orders", n, want)
	}
	tally, err := tallyOf(ctx, addr)
	if err == nil && (tally.Doubled > 0 || tally.Inverted > 0 || tally.Writes != o.Orders) {
		err = fmt.Errorf("%d writes for %d webhooks, %d objects made twice, %d writes out of order", tally.Writes, o.Orders, tally.Doubled, tally.Inverted)
	}
	return err
}
