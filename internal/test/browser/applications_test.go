//go:build unix

package browser

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type object = map[string]any

// application stands in for a business application that keeps objects of some kinds behind an HTTP API: what a hub sees of one that has a trouble.
// The hub's own connectors are proven against real systems elsewhere.
type application struct {
	t  *testing.T
	mu sync.Mutex
	// All below is guarded by mu.
	objects map[string][]object // by kind
	next    int
	pause   time.Duration
	refuse  func(kind string, o object) (status int, answer object) // 0: it is taken
	answer  func(o object) object                                   // in the place of what was written
	serving *httptest.Server
	addr    string
}

func newApplication(t *testing.T) *application {
	t.Helper()
	a := &application{t: t, objects: map[string][]object{}}
	a.start()
	t.Cleanup(a.stop)
	return a
}

// start has it listen, at the same address as before.
func (a *application) start() {
	a.t.Helper()
	at := a.addr
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		a.t.Fatal(err)
	}
	a.addr = l.Addr().String()
	a.serving = &httptest.Server{Listener: l, Config: &http.Server{Handler: a}} // #nosec G112 -- loopback, for a test
	a.serving.Start()
}

func (a *application) stop() {
	a.serving.CloseClientConnections()
	a.serving.Close()
}

func (a *application) url() string { return "http://" + a.addr }

// put has the application's own people write an object.
func (a *application) put(kind string, o object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.write(kind, o)
}

func (a *application) write(kind string, o object) object {
	if o["id"] == nil {
		a.next++
		o["id"] = fmt.Sprintf("%s-%d", kind, a.next)
	}
	if o["modified"] == nil {
		o["modified"] = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	}
	all := a.objects[kind]
	if i := slices.IndexFunc(all, func(x object) bool { return x["id"] == o["id"] }); i >= 0 {
		merged := object{}
		for _, from := range []object{all[i], o} {
			for name, v := range from {
				merged[name] = v
			}
		}
		all[i] = merged
		return merged
	}
	a.objects[kind] = append(all, o)
	return o
}

func (a *application) remove(kind, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.objects[kind] = slices.DeleteFunc(a.objects[kind], func(o object) bool { return o["id"] == id })
}

// has reports whether it holds an object with these values.
func (a *application) has(kind string, with object) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.objects[kind], func(o object) bool {
		for name, v := range with {
			if fmt.Sprint(o[name]) != fmt.Sprint(v) {
				return false
			}
		}
		return true
	})
}

// does changes how it behaves.
func (a *application) does(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	pause := a.pause
	a.mu.Unlock()
	select {
	case <-time.After(pause): // the application is slow: that is what the test shows
	case <-r.Context().Done():
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kind, id, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	var o object
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&o) != nil {
		send(w, http.StatusBadRequest, object{"message": "the body is no object"})
		return
	}
	switch r.Method {
	case http.MethodGet:
		a.read(w, r, kind, id)
	case http.MethodPost, http.MethodPatch:
		if a.refuse != nil {
			if status, answer := a.refuse(kind, o); status != 0 {
				send(w, status, answer)
				return
			}
		}
		if id != "" {
			o["id"] = id
		}
		o["modified"] = nil
		o = a.write(kind, o)
		if a.answer != nil {
			o = a.answer(o)
		}
		send(w, http.StatusOK, o)
	default:
		send(w, http.StatusMethodNotAllowed, object{"message": "it takes GET, POST and PATCH"})
	}
}

// read answers with one object, or with those that were changed since a time and have the values that are asked for. What is hidden is in no list.
func (a *application) read(w http.ResponseWriter, r *http.Request, kind, id string) {
	all := slices.Clone(a.objects[kind])
	if id != "" {
		if i := slices.IndexFunc(all, func(o object) bool { return o["id"] == id }); i >= 0 {
			send(w, http.StatusOK, all[i])
		} else {
			send(w, http.StatusNotFound, object{"message": "there is no such object"})
		}
		return
	}
	for name, values := range r.URL.Query() {
		all = slices.DeleteFunc(all, func(o object) bool {
			if name == "since" {
				return fmt.Sprint(o["modified"]) < values[0]
			}
			return fmt.Sprint(o[name]) != values[0]
		})
	}
	all = slices.DeleteFunc(all, func(o object) bool { return o["hidden"] == true })
	slices.SortStableFunc(all, func(x, y object) int { return strings.Compare(fmt.Sprint(x["modified"]), fmt.Sprint(y["modified"])) })
	send(w, http.StatusOK, object{"items": all})
}

func send(w http.ResponseWriter, status int, o object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(o) // the reader has gone: nothing to tell it
}
