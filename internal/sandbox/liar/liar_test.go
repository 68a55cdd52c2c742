package liar

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// clock is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func start(t *testing.T, o Options) (*Liar, *clock, *httptest.Server) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)}
	o.Now = c.now
	l := New(o)
	srv := httptest.NewServer(l.Handler())
	t.Cleanup(srv.Close)
	return l, c, srv
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func send(t *testing.T, method, url, body string) (string, error) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

type page struct {
	Items []struct {
		ID      int    `json:"id"`
		No      string `json:"no"`
		Rev     int64  `json:"rev"`
		Changed string `json:"changed"`
	} `json:"items"`
	Next *string `json:"next"`
}

func list(t *testing.T, url string) page {
	t.Helper()
	_, body := get(t, url)
	var p page
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return p
}

// TestPagesShift: an object of the first page that changes moves to the end, and one is never seen by a client that follows the offsets. What
// nobody may see makes a page short.
func TestPagesShift(t *testing.T) {
	l, c, srv := start(t, Options{Items: 12})
	c.at = c.at.Add(10 * time.Second) // everything can be read
	first := list(t, srv.URL+"/items?limit=4")
	if len(first.Items) >= 4 || first.Next == nil {
		t.Fatalf("the first page holds %d of 4, with one hidden", len(first.Items))
	}
	l.mu.Lock()
	var moved *item
	for _, it := range l.items {
		if it.id == first.Items[0].ID {
			moved = it
		}
	}
	l.honest = true
	l.change(moved, c.at)
	l.mu.Unlock()
	seen := map[string]bool{}
	for _, it := range first.Items {
		seen[it.No] = true
	}
	for next := first.Next; next != nil; {
		p := list(t, srv.URL+"/"+*next)
		for _, it := range p.Items {
			seen[it.No] = true
		}
		next = p.Next
	}
	if len(seen) != 8 {
		t.Errorf("%d of 9 objects that may be seen were: the pages did not shift", len(seen))
	}
}

// TestStampsLie: a change can be read only some time after its stamp, and some stamps are of forty years ahead.
func TestStampsLie(t *testing.T) {
	l, c, srv := start(t, Options{Items: 200, Late: time.Hour, Future: 0.2})
	l.mu.Lock()
	for _, it := range l.items {
		l.change(it, c.at)
	}
	l.mu.Unlock()
	early := len(list(t, srv.URL+"/items?limit=1000").Items)
	c.at = c.at.Add(time.Hour)
	all := list(t, srv.URL+"/items?limit=1000")
	ahead := 0
	for _, it := range all.Items {
		if strings.HasPrefix(it.Changed, "2066-") {
			ahead++
		} else if it.Changed != "2026-11-29T10:00:00Z" {
			t.Errorf("stamped %s", it.Changed)
		}
	}
	if early == 0 || early > 150 || len(all.Items) != 197 || ahead < 10 {
		t.Errorf("%d could be read at once, %d in the end, %d were stamped ahead", early, len(all.Items), ahead)
	}
	if last := l.Calm(); last.After(c.at) {
		t.Errorf("everything can be read at %v only", last)
	}
}

// TestTextsAreCut: half of a pair of surrogates is no JSON text that keeps its value.
func TestTextsAreCut(t *testing.T) {
	_, c, srv := start(t, Options{Items: 50, Cut: 0.5})
	c.at = c.at.Add(10 * time.Second)
	_, body := get(t, srv.URL+"/items?limit=1000")
	if n := strings.Count(body, `\ud83d"`); n < 10 || n > 40 {
		t.Errorf("%d of 50 texts are cut", n)
	}
}

// TestTargetLies: a refusal comes in a 200 and changes nothing, a lost answer has changed something.
func TestTargetLies(t *testing.T) {
	l, c, srv := start(t, Options{Items: 3, Locked: 1})
	if got, _ := send(t, "POST", srv.URL+"/copies", `{"external_id":"x","no":"A","rev":1}`); !strings.Contains(got, `"LOCKED"`) || len(l.copies) != 0 {
		t.Errorf("%s, and %d copies", got, len(l.copies))
	}
	l.o.Locked, l.o.Lost = 0, 1
	if got, err := send(t, "POST", srv.URL+"/copies", `{"external_id":"x","no":"A","rev":1}`); err == nil || len(l.copies) != 1 {
		t.Errorf("%s, and %d copies", got, len(l.copies))
	}
	l.o.Lost = 0
	if _, got := get(t, srv.URL+"/copies?external_id=x"); got != `{"result":[],"success":true}` {
		t.Errorf("it can be looked up at once: %s", got)
	}
	c.at = c.at.Add(time.Second)
	if _, got := get(t, srv.URL+"/copies?external_id=x"); !strings.Contains(got, `"no":"A"`) {
		t.Errorf("it cannot be looked up: %s", got)
	}
	if got, _ := send(t, "PATCH", srv.URL+"/copies/1", `{"text":"a, refused"}`); !strings.Contains(got, `"NOT_ALLOWED"`) || l.copies["1"].Text != "" {
		t.Errorf("%s", got)
	}
}

// TestSearch: all pages of a search have one token, and an answer that gets lost has moved its place.
func TestSearch(t *testing.T) {
	l, c, srv := start(t, Options{Items: 12})
	c.at = c.at.Add(10 * time.Second)
	seen := map[string]bool{}
	_, body := get(t, srv.URL+"/search?limit=4")
	for range 3 {
		for _, no := range strings.Split(body, `"no":"`)[1:] {
			seen[no[:8]] = true
		}
		if !strings.HasSuffix(body, `,"token":"search-1"}`) {
			t.Fatalf("the token has changed: %s", body)
		}
		_, body = get(t, srv.URL+"/search?limit=4&token=search-1")
	}
	if len(seen) != 9 || body != `{"items":[],"token":"search-1"}` {
		t.Errorf("%d of 9 objects were seen, and at the end %s", len(seen), body)
	}
	get(t, srv.URL+"/search?limit=4")
	l.o.Mute = 1
	req, err := http.NewRequest("GET", srv.URL+"/search?limit=4&token=search-2", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Errorf("an answer came: %s", resp.Status)
	}
	l.o.Mute = 0
	if _, body := get(t, srv.URL+"/search?limit=4&token=search-2"); strings.Count(body, `"no":`) > 4 || !strings.Contains(body, "L0000012") {
		t.Errorf("the place did not move: %s", body)
	}
	if status, _ := get(t, srv.URL+"/search?token=search-9"); status != http.StatusNotFound {
		t.Errorf("a search that nobody began: %d", status)
	}
}

// TestVerdict: what did not arrive is told, and what arrived twice.
func TestVerdict(t *testing.T) {
	l, c, srv := start(t, Options{Items: 6, Gone: 0})
	c.at = c.at.Add(10 * time.Second)
	for _, it := range list(t, srv.URL+"/items?limit=100").Items {
		if _, err := send(t, "POST", srv.URL+"/copies", string(l.copyOf(it.No))); err != nil {
			t.Fatal(err)
		}
	}
	if v := l.Verdict(); len(v.Missing)+len(v.Stale)+len(v.Doubled) != 0 || v.Changes != 6 {
		t.Errorf("all is well: %+v", v)
	}
	var some *item
	for _, it := range l.items {
		if !it.hidden {
			some = it
		}
	}
	if _, err := send(t, "POST", srv.URL+"/copies", string(l.copyOf(some.no))); err != nil {
		t.Fatal(err)
	}
	l.Calm()
	l.mu.Lock()
	l.change(some, c.at)
	l.mu.Unlock()
	if v := l.Verdict(); len(v.Doubled) != 1 || v.Doubled[0] != some.no || v.Missing[some.no].What == "" {
		t.Errorf("a double and an old state: %+v", v)
	}
	l.mu.Lock()
	l.items = nil
	l.mu.Unlock()
	if v := l.Verdict(); len(v.Stale) != 3 || len(v.Missing) != 0 {
		t.Errorf("copies of nothing: %+v", v)
	}
}

// copyOf is what a hub writes of an object.
func (l *Liar) copyOf(no string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range l.items {
		if it.no == no {
			b, _ := json.Marshal(map[string]any{"external_id": "x" + no, "no": no, "rev": it.now.rev, "text": it.now.text})
			return b
		}
	}
	return nil
}

// TestChanges: many changes, and the truth stays consistent with what can be read.
func TestChanges(t *testing.T) {
	o := Wicked()
	o.Items, o.Seed = 100, 3
	l, c, srv := start(t, o)
	for range 200 {
		c.at = c.at.Add(100 * time.Millisecond)
		l.Change(50)
	}
	l.Grade()
	c.at = l.Calm()
	p := list(t, srv.URL+"/items?limit=1000")
	if l.Changes() < 2000 || len(p.Items) < 97 {
		t.Errorf("%d changes, %d objects", l.Changes(), len(p.Items))
	}
	if _, body := get(t, srv.URL+"/items?limit=50"); !strings.Contains(body, `,"grade":"A","rev":`) {
		t.Errorf("no field in the middle: %s", body)
	}
	if v := l.Verdict(); len(v.Missing) != len(p.Items) {
		t.Errorf("%d are missing of %d", len(v.Missing), len(p.Items))
	}
}
