package liar

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Handler serves the source at /items, /pages and /search, and the target at /copies.
//
//	GET    /items?since=TIME&limit=N   {"items": […], "next": URL or null}: in the order of stamps; the next URL holds an offset
//	GET    /pages?since=TIME&limit=N&page=N  the same, in numbered pages from 1 on, without a next URL
//	GET    /search?since=TIME&limit=N  {"items": […], "token": T}: what there is now
//	GET    /search?token=T&limit=N     the next page of that; the token is the same for every page, and the last page is empty
//	GET    /items/ID
//	GET    /copies?external_id=X       {"success": true, "result": […]}
//	GET    /copies/ID                  {"success": true, "result": {…}}
//	POST   /copies                     likewise, or {"success": false, "error": {"code": "LOCKED", …}} with status 200
//	PATCH  /copies/ID
//	DELETE /copies/ID
func (l *Liar) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items", l.list)
	mux.HandleFunc("GET /pages", l.list)
	mux.HandleFunc("GET /search", l.search)
	mux.HandleFunc("GET /items/{id}", l.item)
	mux.HandleFunc("GET /copies", l.find)
	mux.HandleFunc("GET /copies/{id}", l.copy)
	mux.HandleFunc("POST /copies", l.write)
	mux.HandleFunc("PATCH /copies/{id}", l.write)
	mux.HandleFunc("DELETE /copies/{id}", l.write)
	return mux
}

// json writes an object as the source shows it. A cut text is no text: half of a pair of surrogates.
func (l *Liar) json(it *item) []byte {
	text, _ := json.Marshal(it.now.text) // a text always marshals
	if it.now.cut {
		text = append(text[:len(text)-1], ` \ud83d"`...)
	}
	grade := ""
	if l.graded {
		grade = `"grade":"A",`
	}
	return fmt.Appendf(nil, `{"id":%d,"no":%q,%s"rev":%d,"text":%s,"changed":%q}`, it.id, it.no, grade, it.now.rev, text, it.now.stamp.Format(time.RFC3339))
}

// asked is what a request for a list wants.
type asked struct {
	since       time.Time
	limit, skip int
}

func read(w http.ResponseWriter, q url.Values) (a asked, ok bool) {
	if s := q.Get("since"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			http.Error(w, `{"error":{"message":"since is no time"}}`, http.StatusBadRequest)
			return a, false
		}
		a.since = t
	}
	if a.limit, _ = strconv.Atoi(q.Get("limit")); a.limit < 1 {
		a.limit = 50
	}
	a.skip, _ = strconv.Atoi(q.Get("skip"))
	if n, _ := strconv.Atoi(q.Get("page")); n > 1 {
		a.skip = (n - 1) * a.limit
	}
	return a, true
}

// rest waits for as long as a page takes.
func (l *Liar) rest(first bool) {
	l.mu.Lock()
	d := time.Duration(l.dice.Float64() * float64(l.o.Slow))
	if l.honest {
		d = 0
	}
	if first {
		l.walks++
	}
	l.mu.Unlock()
	time.Sleep(d)
}

// changed gives the objects that can be read and are stamped at since or later, in the order of their stamps. The lock is held.
func (l *Liar) changed(since time.Time) (all []*item) {
	now := l.o.Now()
	for _, it := range l.items {
		if l.show(it, now); it.now.rev > 0 && !it.now.stamp.Before(since) {
			all = append(all, it)
		}
	}
	slices.SortFunc(all, func(a, b *item) int {
		if c := a.now.stamp.Compare(b.now.stamp); c != 0 {
			return c
		}
		return a.id - b.id
	})
	return all
}

// page writes the objects that may be seen.
func (l *Liar) page(all []*item) []byte {
	body := []byte(`{"items":[`)
	n := 0
	for _, it := range all {
		if it.hidden {
			continue
		}
		if n++; n > 1 {
			body = append(body, ',')
		}
		body = append(body, l.json(it)...)
	}
	return append(body, ']')
}

// list gives a page. What changes between two pages moves to the end, and all that stood behind it moves up.
func (l *Liar) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, ok := read(w, q)
	if !ok {
		return
	}
	l.rest(a.skip == 0)
	l.mu.Lock()
	all := l.changed(a.since)
	from, to := min(a.skip, len(all)), min(a.skip+a.limit, len(all))
	body := l.page(all[from:to])
	mute := l.chance(l.o.Mute)
	l.mu.Unlock()
	if mute {
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path == "/items" {
		next := "null"
		if to < len(all) {
			q.Set("skip", strconv.Itoa(to))
			next = strconv.Quote("items?" + q.Encode())
		}
		body = fmt.Appendf(body, `,"next":%s`, next)
	}
	answer(w, http.StatusOK, append(body, '}'))
}

// search is what there was when it began, and how far it was read.
type search struct {
	token string
	found []item
	place int
}

// maxSearches is how many a liar keeps; it forgets the oldest.
const maxSearches = 20

// search gives the next page of a search, whose place has moved even where the answer gets lost.
func (l *Liar) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, ok := read(w, q)
	if !ok {
		return
	}
	token := q.Get("token")
	l.rest(token == "")
	l.mu.Lock()
	if token == "" {
		token = l.begin(a.since)
	}
	i := slices.IndexFunc(l.searches, func(s *search) bool { return s.token == token })
	if i < 0 {
		l.mu.Unlock()
		answer(w, http.StatusNotFound, []byte(`{"error":{"message":"there is no such search"}}`))
		return
	}
	s := l.searches[i]
	from, to := s.place, min(s.place+a.limit, len(s.found))
	s.place = to
	var page []*item
	for i := range s.found[from:to] {
		page = append(page, &s.found[from+i])
	}
	body := l.page(page)
	mute := l.chance(l.o.Mute)
	l.mu.Unlock()
	if mute {
		panic(http.ErrAbortHandler)
	}
	answer(w, http.StatusOK, fmt.Appendf(body, `,"token":%q}`, token))
}

// begin makes a search and gives its token. The lock is held.
func (l *Liar) begin(since time.Time) string {
	l.begun++
	s := &search{token: fmt.Sprintf("search-%d", l.begun)}
	for _, it := range l.changed(since) {
		s.found = append(s.found, *it)
	}
	if l.searches = append(l.searches, s); len(l.searches) > maxSearches {
		l.searches = slices.Delete(l.searches, 0, 1)
	}
	return s.token
}

func (l *Liar) item(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range l.items {
		if l.show(it, l.o.Now()); it.id == id && it.now.rev > 0 && !it.hidden {
			answer(w, http.StatusOK, l.json(it))
			return
		}
	}
	answer(w, http.StatusNotFound, []byte(`{"error":{"message":"there is no such item"}}`))
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func refuse(w http.ResponseWriter, code, message string) {
	body, _ := json.Marshal(map[string]any{"success": false, "error": map[string]string{"code": code, "message": message}})
	answer(w, http.StatusOK, body)
}

func succeed(w http.ResponseWriter, result any) {
	body, _ := json.Marshal(map[string]any{"success": true, "result": result})
	answer(w, http.StatusOK, body)
}

// shown is a copy as the target shows it.
func (k *kept) shown() map[string]any {
	return map[string]any{"id": k.ID, "external_id": k.External, "no": k.No, "rev": k.Rev, "text": k.Text}
}

func (l *Liar) find(w http.ResponseWriter, r *http.Request) {
	ext := r.URL.Query().Get("external_id")
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []any{}
	for _, k := range l.copies {
		if (ext == "" || k.External == ext) && l.o.Now().Sub(k.since) >= l.o.Lag {
			found = append(found, k.shown())
		}
	}
	succeed(w, found)
}

func (l *Liar) copy(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.copies[r.PathValue("id")]; k != nil {
		succeed(w, k.shown())
		return
	}
	answer(w, http.StatusNotFound, []byte(`{"success":false,"error":{"code":"NOT_FOUND","message":"there is no such copy"}}`))
}

// write applies a write, or says in a 200 that it did not; now and then it does and cuts the connection.
func (l *Liar) write(w http.ResponseWriter, r *http.Request) {
	var in struct {
		External *string `json:"external_id"`
		No       *string `json:"no"`
		Rev      *int64  `json:"rev"`
		Text     *string `json:"text"`
	}
	if r.Method != http.MethodDelete {
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil {
			answer(w, http.StatusBadRequest, []byte(`{"success":false,"error":{"code":"FORM","message":"the body is no JSON"}}`))
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chance(l.o.Locked) {
		refuse(w, "LOCKED", "somebody else has the record open; nothing was written")
		return
	}
	if in.Text != nil && len(*in.Text) > 9 && (*in.Text)[len(*in.Text)-9:] == ", refused" {
		refuse(w, "NOT_ALLOWED", "this text is not allowed; nothing was written")
		return
	}
	var k *kept
	if r.Method == http.MethodPost {
		l.nextID++
		k = &kept{ID: strconv.Itoa(l.nextID), since: l.o.Now()}
		if in.No != nil {
			l.created[*in.No]++
		}
		l.copies[k.ID] = k
	} else if k = l.copies[r.PathValue("id")]; k == nil {
		answer(w, http.StatusNotFound, []byte(`{"success":false,"error":{"code":"NOT_FOUND","message":"there is no such copy"}}`))
		return
	}
	if r.Method == http.MethodDelete {
		delete(l.copies, k.ID)
	}
	if in.External != nil {
		k.External = *in.External
	}
	if in.No != nil {
		k.No = *in.No
	}
	if in.Rev != nil {
		k.Rev = *in.Rev
	}
	if in.Text != nil {
		k.Text = *in.Text
	}
	if l.chance(l.o.Lost) {
		panic(http.ErrAbortHandler) // applied, and the connection is cut
	}
	succeed(w, k.shown())
}
