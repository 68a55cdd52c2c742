package rest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// shop is a REST service with a collection of items, in the dialect that a test asks for.
type shop struct {
	paging    string // page, offset, cursor, next-url, link, none
	size      int    // what it makes of any size
	byVersion bool   // lists are in the order of change; else by id
	exclusive bool   // changed-since means strictly newer
	put       bool   // updates are complete
	wrapped   bool   // {"data": …} around everything
	zone      *time.Location

	mu       sync.Mutex
	last     int
	items    map[string]map[string]any
	requests []string
	headers  []http.Header
	shift    func(page int) // called, unlocked, before a page is answered
	refuse   func(w http.ResponseWriter, r *http.Request) bool
	url      string
}

func newShop(t testing.TB, paging string) *shop {
	s := &shop{paging: paging, size: 3, items: map[string]map[string]any{}, zone: time.UTC}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

const key = "s3cret-key"

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.RequestURI)
	s.headers = append(s.headers, r.Header.Clone())
	s.mu.Unlock()
	if r.Header.Get("X-Key") != key {
		fail(w, 401, "NO_KEY", "your key "+r.Header.Get("X-Key")+" is not "+key)
		return
	}
	if s.refuse != nil && s.refuse(w, r) {
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, "/api/items/")
	var doc map[string]any
	if len(body) > 0 {
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			fail(w, 400, "BAD_JSON", err.Error())
			return
		}
	}
	if s.wrapped && doc != nil {
		doc, _ = doc["data"].(map[string]any)
	}
	switch {
	case r.URL.Path == "/api/health":
		io.WriteString(w, "ok")
	case !one && r.URL.Path == "/api/items" && r.Method == "GET":
		s.list(w, r)
	case !one && r.URL.Path == "/api/items" && r.Method == "POST":
		s.create(w, doc)
	case one && r.Method == "GET":
		s.get(w, id)
	case one && r.Method == "PATCH" && !s.put, one && r.Method == "PUT" && s.put:
		s.update(w, r, id, doc)
	case one && r.Method == "DELETE":
		s.remove(w, r, id)
	default:
		fail(w, 404, "NO_PATH", r.URL.Path)
	}
}

func fail(w http.ResponseWriter, status int, code, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, code, msg)
}

func etag(item map[string]any) string { return fmt.Sprintf("\"v%v\"", item["lock"]) }

func (s *shop) answer(w http.ResponseWriter, status int, item map[string]any) {
	w.Header().Set("ETag", etag(item))
	w.WriteHeader(status)
	var out any = item
	if s.wrapped {
		out = map[string]any{"data": item}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *shop) stamp(t time.Time) string { return t.In(s.zone).Format("2006-01-02T15:04:05.000Z07:00") }

func (s *shop) create(w http.ResponseWriter, doc map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		if e := doc["externalId"]; e != nil && it["externalId"] == e {
			fail(w, 409, "DUPLICATE", "the external id is taken")
			return
		}
		if doc["code"] == it["code"] {
			fail(w, 422, "DUPLICATE_CODE", "the code is taken")
			return
		}
	}
	s.last++
	id := strconv.Itoa(s.last)
	doc["id"], doc["lock"], doc["updatedAt"] = id, 1, s.stamp(time.Now())
	s.items[id] = doc
	s.answer(w, 201, doc)
}

func (s *shop) get(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.items[id]; it != nil {
		s.answer(w, 200, it)
		return
	}
	fail(w, 404, "GONE", "no item "+id)
}

func (s *shop) update(w http.ResponseWriter, r *http.Request, id string, doc map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[id]
	switch {
	case it == nil:
		fail(w, 404, "GONE", "no item "+id)
		return
	case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != etag(it):
		fail(w, 412, "STALE", "changed meanwhile")
		return
	}
	next := maps.Clone(it)
	if s.put {
		if _, sent := doc["updatedAt"]; sent {
			fail(w, 422, "READ_ONLY", "updatedAt is read only")
			return
		}
		next = map[string]any{"id": id, "lock": it["lock"]}
	}
	maps.Copy(next, doc)
	next["lock"], next["updatedAt"] = next["lock"].(int)+1, s.stamp(time.Now())
	s.items[id] = next
	s.answer(w, 200, next)
}

func (s *shop) remove(w http.ResponseWriter, _ *http.Request, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items[id] == nil {
		fail(w, 404, "GONE", "no item "+id)
		return
	}
	delete(s.items, id)
	w.WriteHeader(204)
}

// outside makes or changes an item directly.
func (s *shop) outside(n, revision int, stamp time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strconv.Itoa(1000 + n)
	s.items[id] = map[string]any{"id": id, "code": fmt.Sprintf("C-%d", n), "rev": revision, "lock": revision, "updatedAt": s.stamp(stamp)}
	return id
}

func stampOf(item map[string]any) string {
	text, _ := item["updatedAt"].(string)
	return text
}

func (s *shop) select_(r *http.Request) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	var out []map[string]any
	for _, it := range s.items {
		if e := q.Get("externalId"); e != "" && it["externalId"] != e {
			continue
		}
		if c := q.Get("code"); c != "" && it["code"] != c {
			continue
		}
		if since := q.Get("since"); since != "" {
			from, err := time.Parse(time.RFC3339Nano, since)
			if err != nil {
				continue
			}
			at, err := time.Parse(time.RFC3339Nano, stampOf(it))
			if err != nil || at.Before(from) || s.exclusive && at.Equal(from) {
				continue
			}
		}
		out = append(out, it)
	}
	slices.SortFunc(out, func(a, b map[string]any) int {
		if c := strings.Compare(stampOf(a), stampOf(b)); s.byVersion && c != 0 {
			return c
		}
		return strings.Compare(a["id"].(string), b["id"].(string))
	})
	return out
}

func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n := 0
	switch s.paging {
	case "page":
		n, _ = strconv.Atoi(q.Get("page"))
		n = (n - 1) * s.size
	case "offset":
		n, _ = strconv.Atoi(q.Get("offset"))
	case "cursor":
		n, _ = strconv.Atoi(strings.TrimPrefix(q.Get("cursor"), "c"))
	case "next-url", "link":
		n, _ = strconv.Atoi(q.Get("skip"))
	}
	if s.shift != nil {
		s.shift(n / s.size)
	}
	all := s.select_(r)
	from := min(n, len(all))
	to := min(from+s.size, len(all))
	if s.paging == "none" {
		from, to = 0, len(all)
	}
	out := map[string]any{"items": append([]map[string]any{}, all[from:to]...)}
	if to < len(all) {
		next := *r.URL
		nq := r.URL.Query()
		nq.Set("skip", strconv.Itoa(to))
		next.RawQuery = nq.Encode()
		switch s.paging {
		case "cursor":
			out["next"] = "c" + strconv.Itoa(to)
		case "next-url":
			out["next"] = s.url + next.String()
			if to/s.size%2 == 0 {
				out["next"] = "?" + next.RawQuery // relative
			}
		case "link":
			w.Header().Set("Link", `</first>; rel="first", <`+next.String()+`>; title="a, b"; rel="last next"`)
		}
	}
	body, _ := json.Marshal(out)
	tag := fmt.Sprintf("\"%x\"", sha256.Sum256(body))
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(304)
		return
	}
	w.Header().Set("ETag", tag)
	w.Write(body)
}

// asked gives the requests so far, and forgets them.
func (s *shop) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests, s.headers = nil, nil
	return out
}
