package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// dialect is how a REST system names what all of them have.
type dialect struct {
	system, prefix              string
	id, ext, created, stamp     string
	deleted, modifiedBy, counts string // "" where the system has no such field
	newID                       func(s *spec, n int) string
	decorate                    func(d *dialect, s *spec, id string, doc map[string]any)
	fail                        func(e *apiError) any
}

// apiError is a refusal.
type apiError struct {
	status int
	code   string
	msg    string
	field  string
	id     string // of the object that stands in the way
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.msg) }

// call is what the log shall say about a change.
type call struct {
	actor, method, path string
	status              int // what the caller will see
	hash, request       string
	fate                fate
	odd                 string
	// loose skips the checks: for wicked documents, which never come through the API.
	loose bool
	delay time.Duration // of the change's webhook
}

// remote is the state of one REST system: collections in memory, the log on disk. A change is in the log before it is
// in memory, both under one lock, so the log is in the order of the changes.
type remote struct {
	d       *dialect
	now     func() time.Time
	journal *journal

	mu     sync.RWMutex
	tables map[string]*table
	last   time.Time         // the youngest stamp
	keys   map[string]string // Idempotency-Key → object id
	// changed is called under the lock for every change, also while the log is replayed; pushed for every logged push.
	changed func(e *Entry, i int, r *row, s *spec, delay time.Duration)
	pushed  func(e *Entry)
}

func newRemote(d *dialect, specs []*spec) *remote {
	m := &remote{d: d, now: time.Now, tables: map[string]*table{}, keys: map[string]string{},
		changed: func(*Entry, int, *row, *spec, time.Duration) {}, pushed: func(*Entry) {}}
	for _, s := range specs {
		m.tables[s.Name] = newTable(s)
	}
	return m
}

// open replays the log and makes the system ready.
func (m *remote) open(path string) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal, err = openJournal(path, func(e *Entry) error { return m.install(e, 0) })
	return err
}

// replay builds the state from a log without opening it for writing.
func (m *remote) replay(path string) error {
	for e, err := range ReadLog(path) {
		if err != nil {
			return err
		}
		if err = m.install(&e, 0); err != nil {
			return err
		}
	}
	return nil
}

// install brings an entry that is in the log into memory.
func (m *remote) install(e *Entry, delay time.Duration) error {
	for i, c := range e.Changes {
		t := m.tables[c.Object]
		if t == nil {
			return fmt.Errorf("entry %d: unknown collection %q", e.Seq, c.Object)
		}
		doc, err := decode(c.Doc)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		r := &row{id: c.ID, raw: c.Doc}
		r.external, _ = doc[m.d.ext].(string)
		if m.d.deleted != "" {
			r.deleted, _ = doc[m.d.deleted].(bool)
		}
		stamp, _ := doc[m.d.stamp].(string)
		if r.stamp, err = time.Parse(time.RFC3339, stamp); err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		if r.stamp.After(m.last) {
			m.last = r.stamp
		}
		t.put(r, doc)
		m.changed(e, i, r, t.spec, delay)
	}
	if e.Request != "" && e.Actor == "api" && e.Applied {
		m.keys[e.Request] = e.ID
	}
	if e.Actor == "push" {
		m.pushed(e)
	}
	return nil
}

// edit is one object's new state.
type edit struct {
	t   *table
	id  string
	doc map[string]any
}

// commit stamps, logs and installs one change of one or more objects; the caller holds the lock.
func (m *remote) commit(c call, edits ...edit) ([]*row, error) {
	now := m.stamp()
	e := &Entry{Time: now, System: m.d.system, Actor: c.actor, Method: c.method, Path: c.path, Status: c.status,
		Applied: true, BodyHash: c.hash, Request: c.request, Fault: string(c.fate), Odd: c.odd}
	for i, ed := range edits {
		if i > 0 {
			now = now.Add(time.Millisecond)
		}
		ed.doc[m.d.stamp] = stampText(now)
		if ed.doc[m.d.created] == nil {
			ed.doc[m.d.created] = stampText(now)
		}
		raw, err := marshal(ed.doc)
		if err != nil {
			return nil, err
		}
		e.Changes = append(e.Changes, Change{Object: ed.t.spec.Name, ID: ed.id, Doc: raw})
	}
	e.Object, e.ID = edits[0].t.spec.Name, edits[0].id
	e.External, _ = edits[0].doc[m.d.ext].(string)
	if err := m.journal.append(e); err != nil {
		return nil, err
	}
	if err := m.install(e, c.delay); err != nil {
		return nil, err
	}
	rows := make([]*row, len(edits))
	for i, ed := range edits {
		rows[i] = ed.t.rows[ed.id]
	}
	return rows, nil
}

// note logs a call that changed nothing.
func (m *remote) note(c call, object, id, external string) {
	_ = m.journal.append(&Entry{Time: m.now().UTC(), System: m.d.system, Actor: c.actor, Method: c.method, Path: c.path, Object: object, ID: id,
		External: external, Status: c.status, BodyHash: c.hash, Request: c.request, Fault: string(c.fate), Odd: c.odd})
}

// stamp is now in milliseconds, and later than every stamp before.
func (m *remote) stamp() time.Time {
	now := m.now().UTC().Truncate(time.Millisecond)
	if !now.After(m.last) {
		now = m.last.Add(time.Millisecond)
	}
	return now
}

func stampText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// create makes a new object.
func (m *remote) create(c call, name string, in map[string]any) (*row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ed, err := m.draft(c, name, in)
	if err != nil {
		return nil, err
	}
	rows, err := m.commit(c, ed)
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// draft checks a create and builds the object; the caller holds the lock.
func (m *remote) draft(c call, name string, in map[string]any) (edit, error) {
	t := m.tables[name]
	doc := map[string]any{}
	for _, f := range t.spec.Fields {
		doc[f.Name] = f.Default
	}
	if err := m.merge(c, t, doc, in, true); err != nil {
		return edit{}, err
	}
	if err := m.free(t, "", doc); err != nil {
		return edit{}, err
	}
	id := m.d.newID(t.spec, len(t.ids)+1)
	doc[m.d.id] = id
	if t.spec.Number != "" {
		doc[t.spec.Number] = fmt.Sprintf(t.spec.Format, len(t.ids)+1)
	}
	if m.d.deleted != "" {
		doc[m.d.deleted] = false
	}
	m.touch(c, t, doc)
	m.d.decorate(m.d, t.spec, id, doc)
	return edit{t, id, doc}, nil
}

// patch changes the given fields of an object. etag, where not empty, must fit.
func (m *remote) patch(c call, name, id string, in map[string]any, etag string) (*row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tables[name]
	old, err := m.current(t, id, etag)
	if err != nil {
		return nil, err
	}
	doc, err := decode(old.raw)
	if err != nil {
		return nil, err
	}
	if err := m.merge(c, t, doc, in, false); err != nil {
		return nil, err
	}
	if err := m.free(t, id, doc); err != nil {
		return nil, err
	}
	m.touch(c, t, doc)
	rows, err := m.commit(c, edit{t, id, doc})
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// remove marks an object as deleted.
func (m *remote) remove(c call, name, id, etag string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tables[name]
	old, err := m.current(t, id, etag)
	if err != nil {
		return err
	}
	if m.d.deleted == "" {
		return &apiError{status: 405, code: "METHOD_NOT_ALLOWED", msg: name + " cannot be deleted"}
	}
	doc, err := decode(old.raw)
	if err != nil {
		return err
	}
	doc[m.d.deleted] = true
	m.touch(c, t, doc)
	_, err = m.commit(c, edit{t, id, doc})
	return err
}

// touch sets who made a change, and computes.
func (m *remote) touch(c call, t *table, doc map[string]any) {
	if t.spec.compute != nil {
		t.spec.compute(doc)
	}
	if m.d.modifiedBy != "" {
		doc[m.d.modifiedBy] = userID(c.actor)
	}
	if m.d.counts != "" {
		n, _ := rat(doc[m.d.counts])
		if n == nil {
			doc[m.d.counts] = 1
		} else {
			doc[m.d.counts] = n.Num().Int64() + 1
		}
	}
}

// current is the object as it stands, if it is there and fits the etag.
func (m *remote) current(t *table, id, etag string) (*row, error) {
	r := t.rows[id]
	if r == nil || r.deleted {
		return nil, &apiError{status: 404, code: "NOT_FOUND", msg: "no " + t.spec.Name + " with id " + id}
	}
	if etag != "" && etag != "*" && strings.TrimPrefix(etag, "W/") != r.etag() {
		return nil, &apiError{status: 412, code: "PRECONDITION_FAILED", msg: "the record was changed; it is now " + r.etag()}
	}
	return r, nil
}

// free refuses values that another object has and no two may share.
func (m *remote) free(t *table, id string, doc map[string]any) error {
	taken := func(name, other string) error {
		return &apiError{status: 409, code: "DUPLICATE_VALUE", field: name, id: other,
			msg: fmt.Sprintf("duplicate value found: %s duplicates value on record with id: %s", name, other)}
	}
	if ext, _ := doc[m.d.ext].(string); ext != "" {
		if other := t.byExt[ext]; other != "" && other != id && !t.rows[other].deleted {
			return taken(m.d.ext, other)
		}
	}
	for _, name := range t.spec.Unique {
		v, _ := doc[name].(string)
		for _, r := range t.find(map[string]string{name: v}, m.d) {
			if v != "" && r.id != id {
				return taken(name, r.id)
			}
		}
	}
	return nil
}

// etag identifies this state of the object.
func (r *row) etag() string { return fmt.Sprintf(`"%x"`, r.stamp.UnixMilli()) }

// decode reads a JSON object, numbers as json.Number.
func decode(raw []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, fmt.Errorf("not a JSON object")
	}
	return doc, nil
}

// salesforceID is 3 letters of the type, 12 of the object and 3 that make the case of the others unmistakable.
func salesforceID(s *spec, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	id := []byte(s.Prefix + "5g0000000000")
	for i := len(id) - 1; n > 0; i-- {
		id[i] = digits[n%62]
		n /= 62
	}
	for part := range 3 {
		bits := 0
		for i := range 5 {
			if c := id[part*5+i]; c >= 'A' && c <= 'Z' {
				bits |= 1 << i
			}
		}
		id = append(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits])
	}
	return string(id)
}

// userID is the CRM's id of whoever makes changes in that role.
func userID(actor string) string {
	sum := sha256.Sum256([]byte(actor))
	return salesforceID(&spec{Prefix: "005"}, int(sum[0])+1)
}
