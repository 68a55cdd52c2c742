package drop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/format"
)

// Write writes a document: in a file of its own, or in the batch that is being gathered. It returns when the file has its
// name and both are durable. Files are only created: a change of an object is another file, or row of a batch, and the object's id stays that of
// its first. The same change again finds its own file, and leaves it as it is.
func (s *System) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	o, root, err := s.folder(ctx, op, w.Object)
	if err != nil {
		return connector.Result{}, err
	}
	defer root.Close()
	if w.Action != connector.Create && o.Write.Changes == "refuse" {
		return connector.Result{}, s.fail(fault.Invalid, op, "a file that was written is not changed: write.changes is refuse")
	}
	if w.Action == connector.Delete && len(w.Doc) == 0 && o.Rows.Operation != "" {
		return connector.Result{}, s.fail(fault.Invalid, op, "the deletion comes without a document: nothing would say in the file which object it is")
	}
	if o.Book() != nil {
		return s.writeInterchange(ctx, op, o, root, &w)
	}
	record, err := o.Record(w.Doc, format.Change{Operation: string(w.Action), Event: w.IdempotencyKey})
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	ask := s.fenced(ctx, op)
	if b := s.batches[w.Object]; b != nil {
		n, name, err := b.add(ctx, record, ask, func(records [][]byte) (string, error) {
			return s.put(op, o, root, o.fileName(o.Write.Name, s.time(), "", records), records, nil)
		})
		if err != nil {
			return connector.Result{}, err
		}
		res := connector.Result{Local: w.Local}
		if w.Action == connector.Create {
			res.Local = name + "#" + strconv.Itoa(n)
		}
		return res, nil
	}
	records := [][]byte{record}
	name, err := s.singleName(op, o, &w, records)
	if err != nil {
		return connector.Result{}, err
	}
	_, err = s.put(op, o, root, name, records, ask)
	return o.written(&w, name, err)
}

// written is the result of a document in a file of its own, whose making has ended with err. What was written for this very change stays what it says.
func (o *Object) written(w *connector.Write, name string, err error) (connector.Result, error) {
	f, ok := fault.As(err)
	if again := ok && f.Duplicate && (w.Action != connector.Create || strings.Contains(o.Write.Name, "{event}")); err != nil && !again {
		return connector.Result{}, err
	}
	res := connector.Result{Local: w.Local}
	if w.Action == connector.Create {
		res.Local = name
	}
	if w.Action != connector.Delete {
		res.Doc = w.Doc
	}
	return res, nil
}

// writeInterchange writes a document as an interchange of its own.
func (s *System) writeInterchange(ctx context.Context, op string, o *Object, root Folder, w *connector.Write) (connector.Result, error) {
	if w.Action == connector.Delete {
		return connector.Result{}, s.fail(fault.Invalid, op, "a deletion is no message")
	}
	if w.IdempotencyKey == "" {
		return connector.Result{}, s.fail(fault.Invalid, op, "the interchange is numbered by its change's id, and there is none")
	}
	name, err := s.singleName(op, o, w, nil)
	if err != nil {
		return connector.Result{}, err
	}
	switch _, err := root.Stat(name); {
	case err == nil: // what has its file takes no other control number
		return o.written(w, name, s.taken(op, name))
	case !errors.Is(err, fs.ErrNotExist):
		return connector.Result{}, s.classify(op, err)
	}
	data, err := s.interchange(ctx, op, o, w.Doc, w.IdempotencyKey)
	if err != nil {
		return connector.Result{}, err
	}
	_, err = s.put(op, o, root, name, [][]byte{data}, s.fenced(ctx, op))
	return o.written(w, name, err)
}

// fenced asks right before a file gets its name whether it still may.
func (s *System) fenced(ctx context.Context, op string) func() error {
	return func() error {
		if err := connector.Fence(ctx); err != nil {
			return &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: err}
		}
		return nil
	}
}

// singleName names a file of one document.
func (s *System) singleName(op string, o *Object, w *connector.Write, records [][]byte) (string, error) {
	template := o.Write.Name
	if w.Action != connector.Create {
		template = o.Write.Changed
		if w.Version == "" {
			template = strings.NewReplacer("-{version}", "", "{version}", "").Replace(template)
		}
	}
	for _, need := range []struct{ word, value, what string }{
		{"{external}", w.External, "an external id"}, {"{event}", w.IdempotencyKey, "the change's id"},
	} {
		if strings.Contains(template, need.word) && need.value == "" {
			return "", s.fail(fault.Invalid, op, "the file's name needs %s, and there is none", need.what)
		}
	}
	key := sha256.Sum256([]byte(w.IdempotencyKey))
	version := safe(w.Version)
	template = strings.NewReplacer("{version}", version[:min(len(version), 40)], "{event}", hex.EncodeToString(key[:8])).Replace(template)
	return o.fileName(template, s.time(), w.External, records), nil
}

// WriteOnce: see Write.
func (*System) WriteOnce() {}

// time gives the time for a file's name; no two are the same.
func (s *System) time() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Clock.Now().UTC().Truncate(time.Millisecond)
	if !now.After(s.stamp) {
		now = s.stamp.Add(time.Millisecond)
	}
	s.stamp = now
	return now.Format("20060102T150405.000Z")
}

// fileName fills the template in.
func (o *Object) fileName(template, at, external string, records [][]byte) string {
	h := sha256.New()
	for _, r := range records {
		h.Write(r)
	}
	return strings.NewReplacer("{object}", safe(o.name), "{external}", safe(external), "{time}", at,
		"{hash}", hex.EncodeToString(h.Sum(nil)[:8])).Replace(template)
}

// safe keeps letters, digits and a few marks.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
}

// put makes a file, unless ask forbids it right before it becomes visible; nil: it was asked before.
func (s *System) put(op string, o *Object, root Folder, name string, records [][]byte, ask func() error) (string, error) {
	out, err := o.File(records)
	if err != nil {
		return "", s.fail(fault.Invalid, op, "%s", err)
	}
	if ask == nil {
		ask = func() error { return nil }
	}
	switch err := root.Create(name, out, ask); {
	case errors.Is(err, ErrUnknown):
		return "", &fault.Error{Kind: fault.UnknownOutcome, System: s.name, Op: op, Err: err}
	case errors.Is(err, fs.ErrExist):
		return "", s.taken(op, name)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS): // the folder takes no new file, whatever is in it
		return "", s.away(op, err)
	case err != nil:
		return "", s.classify(op, err)
	}
	failpoint.Hit(failpoint.FileNamed)
	return name, nil
}

func (s *System) taken(op, name string) error {
	f := s.fail(fault.Conflict, op, "the file %s exists", name)
	f.Duplicate = true
	return f
}

// Find looks a written file up, by its name or by the external id in its name.
func (s *System) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	op := "find " + l.Object
	o, root, err := s.folder(ctx, op, l.Object)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name, t := l.Local, o.Write.Name
	if name == "" {
		if l.External == "" || o.Write.Batch != nil || strings.Contains(t, "{time}") || strings.Contains(t, "{hash}") || strings.Contains(t, "{event}") {
			f := s.fail(fault.Invalid, op, "")
			f.Err = fmt.Errorf("%w: the files' names do not say what is in them", connector.ErrNoLookup)
			return nil, f
		}
		external := l.External
		if u, ok := connector.ParseExternal(external); ok {
			external = u
		}
		name = o.fileName(t, "", external, nil)
	}
	if !local(name) {
		return nil, nil
	}
	in, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.classify(op, err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, s.classify(op, err)
	}
	rec := connector.Record{Local: name}
	if !o.Readable() {
		return []connector.Record{rec}, nil // its rows do not show the document
	}
	for row, err := range o.Read(&source{ctx: ctx, f: in, size: info.Size()}, 0) {
		if err != nil {
			return nil, s.classify(op, err)
		}
		rec.Doc = row.Doc
		break
	}
	return []connector.Record{rec}, nil
}
