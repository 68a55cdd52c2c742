package soak

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A target runs in a process of its own: this test program, started with these variables.
const (
	envTarget    = "WAYBILL_SOAK_TARGET" // the address to listen on
	envTargetLog = "WAYBILL_SOAK_LOG"    // the file of its log
)

// wicked is what a target does wrong. Shares are between 0 and 1; the dice are thrown for every write.
type wicked struct {
	Drop       float64 // applied, then the connection is cut without an answer; the first create and the first update are, whatever the dice say
	AfterError float64 // applied, then 500; the first create and the first update are, where none is dropped
	Error      float64 // 500, not applied
	Busy       float64 // 503, not applied
	Limited    float64 // 429 with Retry-After, not applied
	RetryAfter int     // seconds of that
	SlowFor    int     // milliseconds that a write takes
	Slow       float64 // share of slow writes
	Lag        int     // milliseconds until a created object can be looked up
	Hang       bool    // nothing is answered any more
	Refuse     string  // writes whose text holds this are refused: 422
	BusyFor    string  // writes whose text holds this get 503, not applied
	Down       bool    // everything gets 503, look-ups and probes too
}

// object is a business object as a target holds it. The target never minds a second one of the same external id: that is
// what the checker looks for.
type object struct {
	ID      string
	No      string
	Ext     string
	Seq     int64
	Doc     map[string]json.RawMessage
	Changed int64 // rises with every write of anything
	Since   time.Time
}

// call is one line of a target's log.
type call struct {
	At      int64  `json:"at"` // nanoseconds
	Method  string `json:"m"`
	Entity  string `json:"e"`
	ID      string `json:"id,omitempty"`
	Ext     string `json:"x,omitempty"`
	No      string `json:"no,omitempty"`
	Seq     int64  `json:"seq,omitempty"`
	Status  int    `json:"st"` // 0: no answer was given
	Applied bool   `json:"ap,omitempty"`
	By      string `json:"by,omitempty"`  // who wrote, where it was not the hub
	Hub     string `json:"hub,omitempty"` // which hub wrote, where several say their names
	// Early: it came although the target had asked the hub to come later (1), or even this object's own write to (2).
	Early int `json:"early,omitempty"`
}

type targetServer struct {
	mu       sync.Mutex
	log      *os.File
	bad      wicked
	owed     map[string]bool // methods of which no answer was lost yet, though some are to be: that one is does not hang on luck
	next     int64
	changed  int64
	entities map[string]map[string]*object
	byExt    map[string][]*object
	released chan struct{}          // closed when hanging ends
	polls    map[string][]time.Time // lists that were no look-ups, by entity

	// What a 429 asked for: until when nothing more should come, and who was told, by external id. told is when it was answered first.
	told, shut time.Time
	shutFor    map[string]time.Time
}

// serveTarget is the whole life of a target process: it ends with its standard input.
func serveTarget(addr, logFile string) error {
	f, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	s := &targetServer{log: f, entities: map[string]map[string]*object{}, byExt: map[string][]*object{}, released: make(chan struct{}),
		shutFor: map[string]time.Time{}, polls: map[string][]time.Time{}}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /_wicked", s.setWicked)
	mux.HandleFunc("GET /_objects", s.dump)
	mux.HandleFunc("GET /_polls", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.polls)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		_, status := s.behave(r)
		w.WriteHeader(cmp.Or(status, http.StatusOK))
	})
	mux.HandleFunc("GET /o/{entity}", s.list)
	mux.HandleFunc("GET /o/{entity}/{id}", s.get)
	mux.HandleFunc("POST /o/{entity}", s.write)
	mux.HandleFunc("PATCH /o/{entity}/{id}", s.write)
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(l, mux)
}

func (s *targetServer) record(c call) {
	c.At = time.Now().UnixNano()
	line, _ := json.Marshal(c)
	_, _ = s.log.Write(append(line, '\n')) // one write a line: what was logged survives the process
}

func (s *targetServer) setWicked(w http.ResponseWriter, r *http.Request) {
	var bad wicked
	if err := json.NewDecoder(r.Body).Decode(&bad); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad.Hang && !bad.Hang {
		close(s.released)
		s.released = make(chan struct{})
	}
	s.bad = bad
	s.owed = map[string]bool{http.MethodPost: true, http.MethodPatch: true}
}

func (s *targetServer) dump(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]*object{}
	for e, all := range s.entities {
		for _, o := range all {
			out[e] = append(out[e], o)
		}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// behave does what the target's wickedness wants before a request: it gives a status other than 0 to answer at once.
func (s *targetServer) behave(r *http.Request) (bad wicked, status int) {
	s.mu.Lock()
	bad = s.bad
	released := s.released
	s.mu.Unlock()
	if bad.Hang {
		select {
		case <-released:
		case <-r.Context().Done():
		}
		return bad, http.StatusServiceUnavailable
	}
	if bad.Down {
		return bad, http.StatusServiceUnavailable
	}
	if r.Method == http.MethodGet {
		return bad, 0
	}
	if bad.Slow > 0 && rand.Float64() < bad.Slow {
		select {
		case <-time.After(time.Duration(bad.SlowFor) * time.Millisecond):
		case <-r.Context().Done():
			return bad, http.StatusServiceUnavailable
		}
	}
	for _, p := range []struct {
		share  float64
		status int
	}{{bad.Error, http.StatusInternalServerError}, {bad.Busy, http.StatusServiceUnavailable}, {bad.Limited, http.StatusTooManyRequests}} {
		if p.share > 0 && rand.Float64() < p.share {
			return bad, p.status
		}
	}
	return bad, 0
}

func number(m json.RawMessage) int64 {
	n, _ := strconv.ParseInt(strings.Trim(string(m), `"`), 10, 64)
	return n
}

func text(m json.RawMessage) string {
	var s string
	_ = json.Unmarshal(m, &s)
	return s
}

func (s *targetServer) write(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	entity, id := r.PathValue("entity"), r.PathValue("id")
	var doc map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
		http.Error(w, `{"message":"no JSON object"}`, http.StatusBadRequest)
		return
	}
	c := call{Method: r.Method, Entity: entity, ID: id, Ext: text(doc["external_id"]), No: text(doc["no"]), Seq: number(doc["seq"]), By: r.Header.Get("X-Person"), Hub: r.Header.Get("X-Hub")}
	bad, status := wicked{}, 0
	if c.By == "" {
		bad, status = s.behave(r)
	}
	s.mu.Lock()
	if status == 0 && bad.Refuse != "" && strings.Contains(text(doc["text"]), bad.Refuse) {
		status = http.StatusUnprocessableEntity
	}
	if status == 0 && bad.BusyFor != "" && strings.Contains(text(doc["text"]), bad.BusyFor) {
		status = http.StatusServiceUnavailable
	}
	c.Early = s.early(came, &c, status == http.StatusTooManyRequests, time.Duration(bad.RetryAfter)*time.Second)
	if status != 0 {
		c.Status = status
		s.record(c)
		s.mu.Unlock()
		if status == http.StatusTooManyRequests && bad.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(bad.RetryAfter))
		}
		http.Error(w, `{"message":"not now, or never"}`, status)
		return
	}
	all := s.entities[entity]
	if all == nil {
		all = map[string]*object{}
		s.entities[entity] = all
	}
	var o *object
	c.Status = http.StatusOK
	if r.Method == http.MethodPost {
		s.next++
		o = &object{ID: strconv.FormatInt(s.next, 10), Ext: c.Ext, Doc: map[string]json.RawMessage{}, Since: time.Now()}
		all[o.ID] = o
		if o.Ext != "" {
			s.byExt[entity+"/"+o.Ext] = append(s.byExt[entity+"/"+o.Ext], o)
		}
		c.Status = http.StatusCreated
	} else if o = all[id]; o == nil {
		c.Status = http.StatusNotFound
	} else if match := r.Header.Get("If-Match"); match != "" && match != strconv.FormatInt(o.Changed, 10) {
		c.Status = http.StatusPreconditionFailed
	}
	if c.Status >= 300 {
		s.record(c)
		s.mu.Unlock()
		http.Error(w, `{"message":"not there, or changed since"}`, c.Status)
		return
	}
	for k, v := range doc {
		o.Doc[k] = v
	}
	s.changed++
	o.Changed, o.No, o.Seq = s.changed, cmp.Or(c.No, o.No), max(number(o.Doc["seq"]), 0)
	c.ID, c.No, c.Seq, c.Ext, c.Applied = o.ID, o.No, o.Seq, o.Ext, true
	owed := c.By == "" && s.owed[r.Method]
	drop := bad.Drop > 0 && (owed || rand.Float64() < bad.Drop)
	switch {
	case drop:
		c.Status = 0
	case bad.AfterError > 0 && (owed || rand.Float64() < bad.AfterError):
		c.Status = http.StatusInternalServerError
	}
	if c.By == "" && c.Status != http.StatusOK && c.Status != http.StatusCreated {
		s.owed[r.Method] = false
	}
	s.record(c)
	view := s.view(o)
	s.mu.Unlock()
	if drop {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
		return
	}
	w.Header().Set("ETag", strconv.FormatInt(view["changed"].(int64), 10))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(c.Status)
	_ = json.NewEncoder(w).Encode(view)
}

// early tells whether a write has come although the hub had been asked to wait, and notes what a new 429 asks for. A request that was
// on its way when the hub heard of it is not early: it gets half a second, for the machine may be busy.
func (s *targetServer) early(came time.Time, c *call, limited bool, wait time.Duration) (early int) {
	who := c.Entity + "/" + c.No // updates carry no external id
	switch {
	case c.By != "":
	case came.Before(s.shutFor[who]):
		early = 2
	case came.After(s.told.Add(500*time.Millisecond)) && came.Before(s.shut):
		early = 1
	}
	if limited && wait > 0 {
		now := time.Now()
		s.shutFor[who] = now.Add(wait)
		if now.After(s.shut) {
			s.told, s.shut = now, now.Add(wait)
		}
	}
	return early
}

func (s *targetServer) view(o *object) map[string]any {
	v := map[string]any{}
	for k, d := range o.Doc {
		v[k] = d
	}
	v["id"], v["changed"], v["external_id"] = o.ID, o.Changed, nil
	if o.Ext != "" {
		v["external_id"] = o.Ext
	}
	return v
}

func (s *targetServer) get(w http.ResponseWriter, r *http.Request) {
	if _, status := s.behave(r); status != 0 {
		http.Error(w, "{}", status)
		return
	}
	s.mu.Lock()
	o := s.entities[r.PathValue("entity")][r.PathValue("id")]
	var v map[string]any
	if o != nil {
		v = s.view(o)
	}
	s.mu.Unlock()
	if v == nil {
		http.Error(w, `{"message":"not there"}`, http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", strconv.FormatInt(v["changed"].(int64), 10))
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// list answers look-ups by external id and by number, and polls by the counter of changes, oldest first.
func (s *targetServer) list(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	bad, status := s.behave(r)
	if status != 0 {
		http.Error(w, "{}", status)
		return
	}
	entity, q := r.PathValue("entity"), r.URL.Query()
	since, _ := strconv.ParseInt(q.Get("since"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	s.mu.Lock()
	var found []*object
	if ext := q.Get("external_id"); ext != "" {
		for _, o := range s.byExt[entity+"/"+ext] {
			if time.Since(o.Since) >= time.Duration(bad.Lag)*time.Millisecond {
				found = append(found, o)
			}
		}
	} else {
		for _, o := range s.entities[entity] {
			if o.Changed >= since && (q.Get("no") == "" || q.Get("no") == o.No) {
				found = append(found, o)
			}
		}
		slices.SortFunc(found, func(a, b *object) int { return cmp.Compare(a.Changed, b.Changed) })
	}
	more := limit > 0 && len(found) > limit
	if more {
		found = found[:limit]
	}
	items := []map[string]any{}
	for _, o := range found {
		items = append(items, s.view(o))
	}
	if q.Get("external_id") == "" {
		s.polls[entity] = append(s.polls[entity], came)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "more": more})
}

// target is a target process as a test sees it.
type target struct {
	t    *testing.T
	addr string
	log  string
	cmd  *exec.Cmd
}

func startTarget(t *testing.T, logFile string) *target {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := &target{t: t, log: logFile, cmd: exec.Command(self)}
	g.cmd.Env = append(os.Environ(), envTarget+"=127.0.0.1:0", envTargetLog+"="+logFile)
	g.cmd.Stderr = os.Stderr
	in, err := g.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the target did not start: %v", err)
	}
	g.addr = strings.TrimSpace(line)
	return g
}

func (g *target) url() string { return "http://" + g.addr }

// be sets what the target does wrong from now on; the zero value is a good target.
func (g *target) be(w wicked) {
	g.t.Helper()
	body, _ := json.Marshal(w)
	req, _ := http.NewRequest(http.MethodPut, g.url()+"/_wicked", strings.NewReader(string(body)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// person writes to the target as one of its own people: creates with an empty id.
func (g *target) person(ctx context.Context, entity, id string, doc map[string]any) (string, error) {
	body, _ := json.Marshal(doc)
	method, path := http.MethodPost, "/o/"+entity
	if id != "" {
		method, path = http.MethodPatch, path+"/"+id
	}
	req, err := http.NewRequestWithContext(ctx, method, g.url()+path, strings.NewReader(string(body)))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Person", "person")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return "", errors.New(resp.Status)
	}
	var v struct {
		ID string `json:"id"`
	}
	return v.ID, json.NewDecoder(resp.Body).Decode(&v)
}

// asked gives when the target was asked for changes, by entity.
func (g *target) asked() map[string][]time.Time {
	g.t.Helper()
	resp, err := http.Get(g.url() + "/_polls")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string][]time.Time{}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		g.t.Fatal(err)
	}
	return out
}

// polls counts how often the target was asked for changes.
func (g *target) polls() (n int64) {
	g.t.Helper()
	for _, all := range g.asked() {
		n += int64(len(all))
	}
	return n
}

// objects is what the target holds, by entity.
func (g *target) objects() map[string][]object {
	g.t.Helper()
	resp, err := http.Get(g.url() + "/_objects")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string][]object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		g.t.Fatal(err)
	}
	return out
}

// answered waits until the target has given each of these answers to the hub.
func (g *target) answered(limit time.Duration, statuses ...int) {
	g.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		data, err := os.ReadFile(g.log)
		if err != nil {
			g.t.Fatal(err)
		}
		missing := 0
		for _, s := range statuses {
			if !bytes.Contains(data, []byte(`"st":`+strconv.Itoa(s))) {
				missing = s
			}
		}
		if missing == 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("no answer was %d within %s", missing, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// calls reads the target's log.
func (g *target) calls() []call {
	g.t.Helper()
	f, err := os.Open(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	var out []call
	d := json.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	for {
		var c call
		if err := d.Decode(&c); err == io.EOF {
			return out
		} else if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, c)
	}
}

// newest gives the version that the target holds of each object of an entity.
func (g *target) newest(entity string) map[string]int64 {
	g.t.Helper()
	out := map[string]int64{}
	for _, o := range g.objects()[entity] {
		out[o.No] = max(out[o.No], o.Seq)
	}
	return out
}
