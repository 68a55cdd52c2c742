package soak

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A ware is an object of two systems between which drift is made; each system writes it in its own words.
type ware struct {
	id, ext string
	changed int64
	no      string
	seq     int64
	party   *string
	total   string // a decimal
	lines   []wareLine
	gone    bool   // the source's last word on it
	raw     []byte // as it is answered; nil: it has changed since
}

type wareLine struct {
	SKU string
	Qty int
}

// clone is a copy that shares nothing.
func (w *ware) clone() *ware {
	out := *w
	out.lines, out.raw = slices.Clone(w.lines), nil
	return &out
}

// same reports whether two systems say the same of an object.
func (w *ware) same(o *ware) bool {
	return w.no == o.no && w.seq == o.seq && w.total == o.total && (w.party == nil) == (o.party == nil) && (w.party == nil || *w.party == *o.party) && slices.Equal(w.lines, o.lines)
}

// words are the documents of a system: left or right.
type words interface {
	write(w *ware) any
	read(body []byte, into *ware) error
}

type leftWords struct{}

type leftDocument struct {
	ID      string      `json:"id"`
	No      string      `json:"no"`
	Seq     int64       `json:"seq"`
	Who     *string     `json:"who"`
	Total   json.Number `json:"total"`
	Changed int64       `json:"changed"`
	Gone    bool        `json:"gone,omitempty"`
	Lines   []leftLine  `json:"lines"`
}

type leftLine struct {
	SKU string `json:"sku"`
	Qty int    `json:"qty"`
}

func (leftWords) write(w *ware) any {
	d := &leftDocument{ID: w.id, No: w.no, Seq: w.seq, Who: w.party, Total: json.Number(w.total), Changed: w.changed, Gone: w.gone, Lines: []leftLine{}}
	for _, l := range w.lines {
		d.Lines = append(d.Lines, leftLine(l))
	}
	return d
}

func (leftWords) read([]byte, *ware) error {
	return fmt.Errorf("nobody writes to the source but its own people")
}

type rightWords struct{}

type rightDocument struct {
	ID      string          `json:"id"`
	Ext     *string         `json:"external_id"`
	Num     *string         `json:"num"`
	Rev     *int64          `json:"rev"`
	Party   json.RawMessage `json:"party"`
	Amount  *json.Number    `json:"amount"`
	Changed int64           `json:"changed"`
	Rows    []rightRow      `json:"rows"`
}

type rightRow struct {
	Line     int    `json:"line"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

func (rightWords) write(w *ware) any {
	amount := json.Number(w.total)
	d := &rightDocument{ID: w.id, Num: &w.no, Rev: &w.seq, Party: json.RawMessage("null"), Amount: &amount, Changed: w.changed, Rows: []rightRow{}}
	if w.ext != "" {
		d.Ext = &w.ext
	}
	if w.party != nil {
		d.Party, _ = json.Marshal(*w.party)
	}
	for i, l := range w.lines {
		d.Rows = append(d.Rows, rightRow{i + 1, l.SKU, l.Qty})
	}
	return d
}

// read takes over what a body names; what it leaves out stays.
func (rightWords) read(body []byte, w *ware) error {
	var d rightDocument
	if err := json.Unmarshal(body, &d); err != nil {
		return err
	}
	if d.Ext != nil {
		w.ext = *d.Ext
	}
	if d.Num != nil {
		w.no = *d.Num
	}
	if d.Rev != nil {
		w.seq = *d.Rev
	}
	if d.Amount != nil {
		w.total = d.Amount.String()
	}
	if d.Party != nil {
		w.party = nil
		if string(d.Party) != "null" {
			var s string
			if err := json.Unmarshal(d.Party, &s); err != nil {
				return err
			}
			w.party = &s
		}
	}
	if d.Rows != nil {
		w.lines = w.lines[:0:0]
		for _, r := range d.Rows {
			w.lines = append(w.lines, wareLine{r.Item, r.Quantity})
		}
	}
	return nil
}

// shelf is what one system holds of one kind of object, behind an HTTP API. Past that API it can be changed without a trace: the object keeps its
// stamp, and nobody is told.
type shelf struct {
	words
	// failing: one call in ten fails, in all the ways in which calls do.
	failing atomic.Bool
	polls   atomic.Int64 // answered questions for what has changed
	// applied is told of every write, when it is done; nil: nobody.
	applied func(w *ware)

	mu      sync.Mutex
	byID    map[string]*ware
	byNo    map[string][]*ware
	byExt   map[string][]*ware
	log     []mark // rising
	next    int64  // of ids
	changed int64
	hidden  int64 // a stamp for what comes into being without a trace: polls are past it
}

type mark struct {
	changed int64
	id      string
}

func newShelf(w words) *shelf {
	const first = 1_000_000
	return &shelf{words: w, byID: map[string]*ware{}, byNo: map[string][]*ware{}, byExt: map[string][]*ware{}, changed: first, hidden: first}
}

// put takes a new object, with a stamp.
func (s *shelf) put(w *ware) *ware {
	s.next++
	w.id = strconv.FormatInt(s.next, 10)
	s.enter(w)
	s.stamp(w)
	return w
}

// hide takes a new object that no poll comes to see.
func (s *shelf) hide(w *ware) *ware {
	s.next++
	s.hidden--
	w.id, w.changed, w.raw = strconv.FormatInt(s.next, 10), s.hidden, nil
	s.enter(w)
	s.log = slices.Insert(s.log, 0, mark{w.changed, w.id})
	return w
}

func (s *shelf) enter(w *ware) {
	s.byID[w.id] = w
	s.byNo[w.no] = append(s.byNo[w.no], w)
	if w.ext != "" {
		s.byExt[w.ext] = append(s.byExt[w.ext], w)
	}
}

// stamp says that an object has changed, so that polls see it.
func (s *shelf) stamp(w *ware) {
	s.changed++
	w.changed, w.raw = s.changed, nil
	s.log = append(s.log, mark{w.changed, w.id})
	if len(s.log) > 2*len(s.byID)+1000 {
		s.log = slices.DeleteFunc(s.log, func(m mark) bool { return s.byID[m.id] == nil || s.byID[m.id].changed != m.changed })
	}
}

// drop takes an object away.
func (s *shelf) drop(w *ware) {
	is := func(o *ware) bool { return o == w }
	delete(s.byID, w.id)
	if s.byNo[w.no] = slices.DeleteFunc(s.byNo[w.no], is); len(s.byNo[w.no]) == 0 {
		delete(s.byNo, w.no)
	}
	if s.byExt[w.ext] = slices.DeleteFunc(s.byExt[w.ext], is); len(s.byExt[w.ext]) == 0 {
		delete(s.byExt, w.ext)
	}
}

// only gives the one object of a number; nil: there is none, or there are several.
func (s *shelf) only(no string) *ware {
	if all := s.byNo[no]; len(all) == 1 {
		return all[0]
	}
	return nil
}

func (s *shelf) bytes(w *ware) []byte {
	if w.raw == nil {
		w.raw, _ = json.Marshal(s.write(w))
	}
	return w.raw
}

// What becomes of a call.
const (
	callGood = iota
	callError
	callBusy
	callHangs
	callLost // it is done, and the answer does not arrive
)

func (s *shelf) fate() int {
	if !s.failing.Load() {
		return callGood
	}
	switch n := rand.IntN(1000); {
	case n < 33:
		return callError
	case n < 66:
		return callBusy
	case n < 70: // each takes a connection for as long as the hub waits
		return callHangs
	case n < 100:
		return callLost
	}
	return callGood
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fate := s.fate()
	switch fate {
	case callError:
		http.Error(w, `{"message":"something went wrong"}`, http.StatusInternalServerError)
		return
	case callBusy:
		http.Error(w, `{"message":"busy"}`, http.StatusServiceUnavailable)
		return
	case callHangs:
		_, _ = io.Copy(io.Discard, r.Body) // before that nobody notices that the caller has gone
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
		return
	}
	status, body := s.answer(r)
	if fate == callLost {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

var errGone = []byte(`{"message":"not there"}`)

func (s *shelf) answer(r *http.Request) (status int, body []byte) {
	id := strings.Trim(r.URL.Path, "/")
	if r.Method == http.MethodGet && id == "" {
		return http.StatusOK, s.list(r)
	}
	var sent []byte
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		var raw json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
			return http.StatusBadRequest, []byte(`{"message":"no JSON"}`)
		}
		sent = raw
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byID[id]
	switch {
	case r.Method == http.MethodPost && id == "":
		o = &ware{}
		if err := s.read(sent, o); err != nil {
			return http.StatusBadRequest, []byte(`{"message":"no such object"}`)
		}
		s.put(o)
		s.tell(o)
		return http.StatusCreated, s.bytes(o)
	case o == nil:
		return http.StatusNotFound, errGone
	case r.Method == http.MethodPatch:
		ext := o.ext
		if err := s.read(sent, o); err != nil {
			return http.StatusBadRequest, []byte(`{"message":"no such object"}`)
		}
		if o.ext != ext {
			s.byExt[ext] = slices.DeleteFunc(s.byExt[ext], func(w *ware) bool { return w == o })
			s.byExt[o.ext] = append(s.byExt[o.ext], o)
		}
		s.stamp(o)
		s.tell(o)
	case r.Method == http.MethodDelete:
		s.drop(o)
		return http.StatusNoContent, nil
	}
	return http.StatusOK, s.bytes(o)
}

func (s *shelf) tell(w *ware) {
	if s.applied != nil {
		s.applied(w)
	}
}

// list answers look-ups by external id and number, and what is stamped from since on, or behind after, in the order of stamps.
func (s *shelf) list(r *http.Request) []byte {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Has("external_id") {
		return s.page(s.byExt[q.Get("external_id")], false)
	}
	if q.Has("no") {
		return s.page(s.byNo[q.Get("no")], false)
	}
	from := int64(0)
	if n, err := strconv.ParseInt(q.Get("since"), 10, 64); err == nil {
		from = n
		s.polls.Add(1)
	}
	last, _, _ := strings.Cut(q.Get("after"), ",") // stamps are unique
	if n, err := strconv.ParseInt(last, 10, 64); err == nil {
		from = max(from, n+1)
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		limit = 100
	}
	at, _ := slices.BinarySearchFunc(s.log, from, func(m mark, n int64) int { return cmp.Compare(m.changed, n) })
	var found []*ware
	for ; at < len(s.log) && len(found) <= limit; at++ {
		if w := s.byID[s.log[at].id]; w != nil && w.changed == s.log[at].changed {
			found = append(found, w)
		}
	}
	return s.page(found[:min(len(found), limit)], len(found) > limit)
}

func (s *shelf) page(found []*ware, more bool) []byte {
	b := []byte(`{"items":[`)
	for i, w := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.bytes(w)...)
	}
	return append(b, fmt.Sprintf(`],"more":%t}`, more)...)
}
