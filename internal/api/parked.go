package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Desk is what people see of stored queues and ask of them.
type Desk interface {
	// Select turns a selection into the store's filter; state.ErrNotFound for a system that is not there.
	Select(s Selection) (state.QueueFilter, error)
	Listed(ctx context.Context, f state.QueueFilter, followers int) ([]state.Listed, error)
	Causes(ctx context.Context, f state.QueueFilter) ([]state.CauseCount, error)
	QueuedByID(ctx context.Context, id int64) (Shown, error)
	// Mark, Edit and Bulk give state.ErrNotFound, state.ErrChanged and state.ErrBusy; Edit also *Invalid.
	Mark(ctx context.Context, w state.Wish) error
	Edit(ctx context.Context, e state.Edit) (Rehearsal, error)
	Count(ctx context.Context, b state.Bulk) (n, behind int64, err error)
	Bulk(ctx context.Context, b state.Bulk) (state.BulkStep, error)
}

// Selection says which messages of the stored queues are meant; an empty field selects all.
type Selection struct {
	Flow   string `json:"flow,omitempty"`
	System string `json:"system,omitempty"` // of flows from or to it
	Entity string `json:"entity,omitempty"`
	Key    string `json:"key,omitempty"`
	// State is parked, waiting, held, or follower for what queues behind another message.
	State string `json:"state,omitempty"`
	Cause string `json:"cause,omitempty"` // its id, as the causes are listed
	Code  string `json:"code,omitempty"`
	// OlderThan is an age: 90s, 15m, 2h30m, 3d.
	OlderThan string `json:"older_than,omitempty"`
}

// String names the selection for the audit.
func (s Selection) String() string {
	var parts []string
	for _, f := range s.fields() {
		if *f.at != "" {
			parts = append(parts, f.name+"="+*f.at)
		}
	}
	if len(parts) == 0 {
		return "all"
	}
	return strings.Join(parts, " ")
}

// Query is the selection as a request's query.
func (s Selection) Query() url.Values {
	q := url.Values{}
	for _, f := range s.fields() {
		if *f.at != "" {
			q.Set(f.name, *f.at)
		}
	}
	return q
}

type field struct {
	name string
	at   *string
}

func (s *Selection) fields() []field {
	return []field{{"flow", &s.Flow}, {"system", &s.System}, {"entity", &s.Entity}, {"key", &s.Key}, {"state", &s.State}, {"cause", &s.Cause},
		{"code", &s.Code}, {"older_than", &s.OlderThan}}
}

// Age is what OlderThan says.
func (s *Selection) Age() (time.Duration, error) {
	text, days := s.OlderThan, 0
	if text == "" {
		return 0, nil
	}
	if n, rest, ok := strings.Cut(text, "d"); ok {
		var err error
		if days, err = strconv.Atoi(n); err != nil || days < 0 || days > 36500 {
			return 0, fmt.Errorf("older_than %q is no age: write it like 90s, 15m, 2h30m or 3d", s.OlderThan)
		}
		text = rest
	}
	age := time.Duration(days) * 24 * time.Hour
	if text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("older_than %q is no age: write it like 90s, 15m, 2h30m or 3d", s.OlderThan)
		}
		age += d
	}
	return age, nil
}

// check says what is wrong with the selection itself.
func (s *Selection) check() error {
	switch s.State {
	case "", "parked", "waiting", "held", "follower":
	default:
		return fmt.Errorf("state %q: a message is parked, waiting or held, or a follower of one that is", s.State)
	}
	_, err := s.Age()
	return err
}

// Shown is one message of a stored queue with all that is known of it.
type Shown struct {
	state.Queued
	// Head is the message that it queues behind; the message itself where it is the first.
	Head   int64
	Behind int64
	Acts   []state.Act
}

// Rehearsal is what a replay would come to, as far as it can be told without asking the target.
type Rehearsal struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
}

// Invalid refuses a document, and says where.
type Invalid struct {
	Detail string
	Places []Place
}

func (e *Invalid) Error() string { return e.Detail }

// Place is one place of a document, and what is wrong there.
type Place struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Queued is a message of the stored queue as JSON.
type Queued struct {
	ID       int64  `json:"id"`
	Flow     string `json:"flow"`
	State    string `json:"state"`
	Follower bool   `json:"follower,omitempty"`
	// Head is the id of the message that this one queues behind; Behind how many queue behind this one, and Followers the first of them.
	Head      int64    `json:"head,omitempty"`
	Behind    int64    `json:"behind,omitempty"`
	Followers []Queued `json:"followers,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Code      string   `json:"code,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	// Cause is the same for all messages that one thing has stopped.
	Cause     string     `json:"cause,omitempty"`
	Key       string     `json:"key"`
	Hub       string     `json:"hub,omitempty"`
	Event     string     `json:"event"`
	Entity    string     `json:"entity,omitempty"`
	Operation string     `json:"operation"`
	Version   string     `json:"version,omitempty"`
	Origin    string     `json:"origin,omitempty"`
	Attempts  int        `json:"attempts"`
	Since     time.Time  `json:"since"`
	NotBefore *time.Time `json:"not_before,omitempty"`
	Missing   *Missing   `json:"missing,omitempty"`
	Mark      string     `json:"mark,omitempty"`
	MarkedBy  string     `json:"marked_by,omitempty"`
	MarkNote  string     `json:"mark_note,omitempty"`
	EditedBy  string     `json:"edited_by,omitempty"`
	EditNote  string     `json:"edit_note,omitempty"`
	Edits     int64      `json:"edits,omitempty"`
	// ETag changes with every edit and mark: give it as If-Match.
	ETag       string          `json:"etag"`
	Data       json.RawMessage `json:"data,omitempty"`
	DataText   string          `json:"data_text,omitempty"` // where the data is not JSON
	Original   json.RawMessage `json:"original,omitempty"`
	OriginText string          `json:"original_text,omitempty"`
	Acts       []Act           `json:"acts,omitempty"`
}

// Missing names what a waiting message waits for.
type Missing struct {
	Entity string `json:"entity"`
	System string `json:"system"`
	Hub    string `json:"hub,omitempty"`
	Local  string `json:"local,omitempty"`
}

// Act is what a person did to a message.
type Act struct {
	Time    time.Time `json:"time"`
	Flow    string    `json:"flow"`
	Message int64     `json:"message"`
	Event   string    `json:"event"`
	// Action is edit, replay or discard, or discarded once the message has gone.
	Action string `json:"action"`
	Who    string `json:"who"`
	Note   string `json:"note,omitempty"`
	// Bulk is the number of the bulk that the act was part of.
	Bulk       int64           `json:"bulk,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	BeforeText string          `json:"before_text,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	AfterText  string          `json:"after_text,omitempty"`
}

func actViews(acts []state.Act) []Act {
	out := make([]Act, len(acts))
	for i := range acts {
		a := &acts[i]
		out[i] = Act{Time: a.Time, Flow: a.Flow, Message: a.Message, Event: a.EventID, Action: a.Action, Who: a.Who, Note: a.Note, Bulk: a.Bulk}
		out[i].Before, out[i].BeforeText = document(a.Before)
		out[i].After, out[i].AfterText = document(a.After)
	}
	return out
}

// Cause counts the messages that one thing has stopped.
type Cause struct {
	Cause   string    `json:"cause"`
	Text    string    `json:"text"`
	State   string    `json:"state"`
	Count   int64     `json:"count"`
	Behind  int64     `json:"behind"`
	Marked  int64     `json:"marked"`
	Oldest  time.Time `json:"oldest"`
	Flows   []string  `json:"flows"`
	Example Queued    `json:"example"`
}

// etag names a revision of a message.
func etag(id, rev int64) string { return fmt.Sprintf(`"%d-%d"`, id, rev) }

func queuedView(q *state.Queued, withData bool) Queued {
	v := Queued{ID: q.ID, Flow: q.Flow, State: string(q.State), Follower: q.Follower, Kind: q.Kind, Code: q.Code, Reason: q.Reason, Cause: q.Cause,
		Key: q.Event.Key, Hub: q.Event.Hub, Event: q.Event.ID, Entity: q.Event.Entity, Operation: string(q.Event.Operation),
		Version: q.Event.Version, Origin: q.Event.Origin, Attempts: q.Attempts, Since: q.Since, Mark: string(q.Mark),
		EditedBy: q.EditedBy, EditNote: q.EditNote, Edits: q.Edits, ETag: etag(q.ID, q.Rev)}
	if q.Mark != state.MarkNone { // of a mark that was carried out the acts tell
		v.MarkedBy, v.MarkNote = q.MarkedBy, q.MarkNote
	}
	if !q.NotBefore.IsZero() {
		v.NotBefore = &q.NotBefore
	}
	if m := q.Missing; m != nil {
		v.Missing = &Missing{Entity: m.Entity, System: m.System, Hub: m.Hub, Local: m.Local}
	}
	if withData {
		v.Data, v.DataText = document(q.Event.Data)
		v.Original, v.OriginText = document(q.Original)
	}
	return v
}

func listedView(l *state.Listed) Queued {
	v := queuedView(&l.Queued, false)
	v.Behind = l.Behind
	for i := range l.Followers {
		f := queuedView(&l.Followers[i], false)
		f.Head = l.ID
		v.Followers = append(v.Followers, f)
	}
	return v
}

// document shows data as JSON where it is JSON, else as text.
func document(data []byte) (json.RawMessage, string) {
	if len(data) == 0 {
		return nil, ""
	}
	if json.Valid(data) {
		return data, ""
	}
	return nil, string(data)
}

// selection reads a selection from a query whose other names are also.
func (s *Server) selection(w http.ResponseWriter, r *http.Request, also ...string) (state.QueueFilter, bool) {
	q := r.URL.Query()
	var sel Selection
	known := slices.Clone(also)
	for _, f := range sel.fields() {
		*f.at = q.Get(f.name)
		known = append(known, f.name)
	}
	for name := range q {
		if !slices.Contains(known, name) { // a misspelt filter would show everything
			problem(w, http.StatusBadRequest, fmt.Sprintf("there is no parameter %q; there are %s", name, strings.Join(known, ", ")))
			return state.QueueFilter{}, false
		}
	}
	return s.resolve(w, r, sel)
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, sel Selection) (state.QueueFilter, bool) {
	if err := sel.check(); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return state.QueueFilter{}, false
	}
	f, err := s.hub.Select(sel)
	if err != nil {
		s.failed(w, r, err)
		return f, false
	}
	return f, true
}

// number reads a whole number from 0 to most; def where the query has none.
func number(w http.ResponseWriter, r *http.Request, name string, def, least, most int64) (int64, bool) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return def, true
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		problem(w, http.StatusBadRequest, fmt.Sprintf("%s must be a number from %d to %d", name, least, most))
		return 0, false
	}
	return n, true
}

func (s *Server) parked(w http.ResponseWriter, r *http.Request) {
	f, ok := s.selection(w, r, "heads", "followers", "marked", "after", "limit")
	if !ok {
		return
	}
	q := r.URL.Query()
	f.Heads = f.Heads || q.Get("heads") == "true"
	f.Marked = q.Get("marked") == "true"
	var followers, limit int64
	if f.After, ok = number(w, r, "after", 0, 0, 1<<62); !ok {
		return
	}
	if limit, ok = number(w, r, "limit", 100, 1, 10_000); !ok {
		return
	}
	if followers, ok = number(w, r, "followers", 0, 0, 100); !ok {
		return
	}
	f.Limit = int(limit)
	rows, err := s.hub.Listed(r.Context(), f, int(followers))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	page := Page{Parked: make([]Queued, len(rows))}
	for i := range rows {
		page.Parked[i] = listedView(&rows[i])
	}
	if len(rows) == f.Limit {
		page.Next = rows[len(rows)-1].ID
	}
	answer(w, http.StatusOK, page)
}

// Page is a part of the stored queues. A message keeps its id while it is there, so that going on behind Next shows each one once that
// is there all the while.
type Page struct {
	Parked []Queued `json:"parked"`
	// Next is what to give as after for the next page; absent on the last one.
	Next int64 `json:"next,omitempty"`
}

func (s *Server) causes(w http.ResponseWriter, r *http.Request) {
	f, ok := s.selection(w, r)
	if !ok {
		return
	}
	causes, err := s.hub.Causes(r.Context(), f)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	views := make([]Cause, len(causes))
	for i := range causes {
		c := &causes[i]
		views[i] = Cause{Cause: c.Cause, Text: c.Text, State: string(c.State), Count: c.Count, Behind: c.Behind, Marked: c.Marked, Oldest: c.Oldest, Flows: c.Flows,
			Example: queuedView(&c.Example, false)}
	}
	answer(w, http.StatusOK, map[string]any{"causes": views})
}

func (s *Server) parkedOne(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	q, err := s.hub.QueuedByID(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	v := queuedView(&q.Queued, true)
	if v.Behind = q.Behind; q.Head != q.ID {
		v.Head, v.Behind = q.Head, 0
	}
	v.Acts = actViews(q.Acts)
	w.Header().Set("ETag", v.ETag)
	answer(w, http.StatusOK, v)
}

// wish is what a person says to a mark.
type wish struct {
	Note string `json:"note"`
}

// mostNote bounds what people write.
const mostNote = 64 << 10

func (s *Server) mark(m state.Mark) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		id, ok := pathID(w, r)
		if !ok {
			return
		}
		var n wish
		if !body(w, r, &n, mostNote) || m == state.MarkDiscard && !said(w, n.Note) {
			return
		}
		rev, ok := ifMatch(w, r, id, false)
		if !ok {
			return
		}
		if err := s.hub.Mark(r.Context(), state.Wish{ID: id, Mark: m, Rev: rev, Who: who, Note: n.Note}); err != nil {
			s.failed(w, r, err)
			return
		}
		answer(w, http.StatusAccepted, map[string]any{"id": id, "mark": m})
	}
}

// said refuses an act without a reason.
func said(w http.ResponseWriter, note string) bool {
	if strings.TrimSpace(note) == "" {
		problem(w, http.StatusBadRequest, `say why: give a "note"; it is kept with the message`)
		return false
	}
	return true
}

// ifMatch reads the revision that the request is about; nil stands for any.
func ifMatch(w http.ResponseWriter, r *http.Request, id int64, required bool) (*int64, bool) {
	v := strings.TrimSpace(r.Header.Get("If-Match"))
	switch {
	case v == "" && required:
		problem(w, http.StatusPreconditionRequired, "give the message's ETag as If-Match, so that nobody's edit is overwritten unseen; If-Match: * takes whatever is there")
		return nil, false
	case v == "" || v == "*":
		return nil, true
	}
	var of, rev int64
	if n, err := fmt.Sscanf(v, `"%d-%d"`, &of, &rev); err != nil || n != 2 || of != id || v != etag(of, rev) {
		problem(w, http.StatusPreconditionFailed, "If-Match: "+v+" is no ETag of this message")
		return nil, false
	}
	return &rev, true
}

func (s *Server) edit(w http.ResponseWriter, r *http.Request, who string) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var e struct {
		Data   json.RawMessage `json:"data"`
		Note   string          `json:"note"`
		Replay bool            `json:"replay"`
	}
	rev, ok := ifMatch(w, r, id, true)
	if !ok || !body(w, r, &e, maxEdit) {
		return
	}
	if len(e.Data) == 0 {
		problem(w, http.StatusBadRequest, `give the new document as "data"`)
		return
	}
	if !said(w, e.Note) {
		return
	}
	would, err := s.hub.Edit(r.Context(), state.Edit{ID: id, Data: e.Data, Rev: rev, Replay: e.Replay, Who: who, Note: e.Note})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Edited{ID: id, EditedBy: who, Replay: e.Replay, Rehearsal: would})
}

// Edited tells what became of an edit.
type Edited struct {
	ID       int64  `json:"id"`
	EditedBy string `json:"edited_by"`
	Replay   bool   `json:"replay"`
	// Rehearsal is what the hub knows of a replay before it is made.
	Rehearsal Rehearsal `json:"rehearsal"`
}

// BulkRequest asks for a replay or discard of all messages that are selected.
type BulkRequest struct {
	Filter Selection `json:"filter"`
	// All must be said where the filter is empty.
	All bool `json:"all,omitempty"`
	// Behind takes what queues behind the selected messages too; of a discard.
	Behind bool   `json:"behind,omitempty"`
	Note   string `json:"note,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
	// Continue is what the last answer gave.
	Continue string `json:"continue,omitempty"`
}

// BulkAnswer tells how far a bulk has come.
type BulkAnswer struct {
	// Matched and Behind are the answer to a dry run: how many messages are selected, and how many more are released after them.
	DryRun  bool  `json:"dry_run,omitempty"`
	Matched int64 `json:"matched"`
	Behind  int64 `json:"behind"`
	// Act is the bulk's number, Marked what this request has marked, Total what all have.
	Act    int64 `json:"act,omitempty"`
	Marked int64 `json:"marked"`
	Total  int64 `json:"total"`
	Done   bool  `json:"done"`
	// Continue is to be given with the next request, of the same content, until the bulk is done.
	Continue string `json:"continue,omitempty"`
}

// bulkMost is how many messages one request marks: few enough for an answer in a moment.
const bulkMost = 2000

func (s *Server) bulk(m state.Mark) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		var q BulkRequest
		if !body(w, r, &q, mostNote) {
			return
		}
		switch {
		case q.Filter == (Selection{}) && !q.All:
			problem(w, http.StatusBadRequest, `select messages in "filter", or say "all": true`)
			return
		case m == state.MarkReplay && q.Behind:
			problem(w, http.StatusConflict, "what queues behind a message is released in order when that one has been replayed: it cannot be replayed as well")
			return
		case m == state.MarkDiscard && !q.DryRun && !said(w, q.Note):
			return
		case q.Filter.State == "":
			q.Filter.State = string(state.Parked)
		}
		f, ok := s.resolve(w, r, q.Filter)
		if !ok {
			return
		}
		b := state.Bulk{Mark: m, Filter: f, Behind: q.Behind, About: q.Filter.String(), Who: who, Note: q.Note, Most: bulkMost}
		if q.Behind {
			b.About += " and what is behind"
		}
		if q.DryRun {
			n, behind, err := s.hub.Count(r.Context(), b)
			if err != nil {
				s.failed(w, r, err)
				return
			}
			answer(w, http.StatusOK, BulkAnswer{DryRun: true, Matched: n, Behind: behind})
			return
		}
		if !bulkFrom(w, q.Continue, &b) {
			return
		}
		step, err := s.hub.Bulk(r.Context(), b)
		if err != nil {
			s.failed(w, r, err)
			return
		}
		a := BulkAnswer{Act: step.Next.Act, Marked: step.Marked, Total: step.Total, Done: step.Done}
		if !step.Done {
			a.Continue = bulkPlace(&step.Next, b.Filter.Since)
		}
		answer(w, http.StatusAccepted, a)
	}
}

// bulkPlace is where a bulk goes on, and as of when its messages are old enough.
func bulkPlace(p *state.BulkPlace, since time.Time) string {
	var at int64
	if !since.IsZero() {
		at = since.UnixNano()
	}
	return fmt.Sprintf("%d.%d.%d.%d", p.Act, p.Top, p.At, at)
}

func bulkFrom(w http.ResponseWriter, text string, b *state.Bulk) bool {
	if text == "" {
		return true
	}
	var since int64
	p := &b.From
	if n, err := fmt.Sscanf(text, "%d.%d.%d.%d", &p.Act, &p.Top, &p.At, &since); err != nil || n != 4 || p.Act <= 0 {
		problem(w, http.StatusBadRequest, `"continue" must be what the last answer gave`)
		return false
	}
	if since != 0 {
		b.Filter.Since = time.Unix(0, since)
	}
	return true
}
