package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Write writes a document: in a file of its own, or in the batch that is being gathered. It returns when the file has its
// name and both are durable. Files are only created.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	if w.Action != connector.Create {
		return connector.Result{}, s.fail(fault.Invalid, op, "a file that was written is not changed: only creates are possible")
	}
	o, root, err := s.folder(op, w.Object)
	if err != nil {
		return connector.Result{}, err
	}
	defer root.Close()
	record, err := o.encode(w.Doc)
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	if err := ctx.Err(); err != nil {
		return connector.Result{}, s.classify(op, err)
	}
	ask := func() error {
		if err := connector.Fence(ctx); err != nil {
			return &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: err}
		}
		return nil
	}
	if b := s.batches[w.Object]; b != nil {
		n, name, err := b.add(ctx, record, ask, func(records [][]byte) (string, error) {
			return s.put(op, o, root, o.fileName(s.time(), "", records), records, nil)
		})
		if err != nil {
			return connector.Result{}, err
		}
		return connector.Result{Local: name + "#" + strconv.Itoa(n)}, nil
	}
	if strings.Contains(o.Write.Name, "{external}") && w.External == "" {
		return connector.Result{}, s.fail(fault.Invalid, op, "the file's name needs an external id, and there is none")
	}
	records := [][]byte{record}
	name, err := s.put(op, o, root, o.fileName(s.time(), w.External, records), records, ask)
	if err != nil {
		return connector.Result{}, err
	}
	return connector.Result{Local: name, Doc: w.Doc}, nil
}

// WriteOnce: see Write.
func (*system) WriteOnce() {}

// time gives the time for a file's name; no two are the same.
func (s *system) time() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now().UTC().Truncate(time.Millisecond)
	if !now.After(s.stamp) {
		now = s.stamp.Add(time.Millisecond)
	}
	s.stamp = now
	return now.Format("20060102T150405.000Z")
}

// fileName fills the template in.
func (o *object) fileName(at, external string, records [][]byte) string {
	h := sha256.New()
	for _, r := range records {
		h.Write(r)
	}
	name := strings.NewReplacer("{object}", safe(o.name), "{external}", safe(external), "{time}", at,
		"{hash}", hex.EncodeToString(h.Sum(nil)[:8])).Replace(o.Write.Name)
	return name
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

// encode gives a document as one record, in UTF-8.
func (o *object) encode(raw []byte) ([]byte, error) {
	doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
	if err != nil {
		return nil, fmt.Errorf("the document is no JSON: %w", err)
	}
	record, err := o.record(doc.Root())
	if err != nil {
		return nil, err
	}
	if _, err := encoded(record, o.Encoding); err != nil {
		return nil, fmt.Errorf("a character that %s does not have: %w", o.Encoding, err)
	}
	return record, nil
}

func (o *object) record(root jsondoc.Value) (_ []byte, err error) {
	if root.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("the document is no object (%s)", root.Kind())
	}
	if o.Format == "jsonl" {
		return append(compact(nil, root), '\n'), nil
	}
	cols := o.CSV.Columns
	if len(cols) == 0 {
		return nil, errors.New("csv.columns says nothing of the columns to write")
	}
	fields := make([]string, len(cols))
	for name, v := range root.Members() {
		i := slices.IndexFunc(cols, func(c column) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no column", short(name))
		}
		if fields[i], err = o.CSV.text(cols[i].typ, v); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return o.CSV.record(fields)
}

func (c *csvSettings) record(fields []string) ([]byte, error) {
	quote := byte(0)
	if c.Quote != "" {
		quote = c.Quote[0]
	}
	return appendRecord(nil, fields, c.Delimiter[0], quote)
}

// compact appends a document on one line, its values as they stand.
func compact(dst []byte, v jsondoc.Value) []byte {
	switch v.Kind() {
	case jsondoc.Array:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = compact(dst, v.Index(i))
		}
		return append(dst, ']')
	case jsondoc.Object:
		dst = append(dst, '{')
		first := true
		for name, w := range v.Members() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = compact(append(jsondoc.AppendString(dst, name), ':'), w)
		}
		return append(dst, '}')
	}
	return append(dst, v.Raw()...)
}

// put writes a file: under a name that nobody takes, synced, and then renamed, unless ask forbids it; nil: it was asked before.
func (s *system) put(op string, o *object, root *os.Root, name string, records [][]byte, ask func() error) (string, error) {
	var text []byte
	if o.Format == "csv" && o.CSV.Header {
		names := make([]string, len(o.CSV.Columns))
		for i, c := range o.CSV.Columns {
			names[i] = c.name
		}
		head, err := o.CSV.record(names)
		if err != nil {
			return "", s.fail(fault.Invalid, op, "header: %s", err)
		}
		text = head
	}
	for _, r := range records {
		text = append(text, r...)
	}
	out, err := encoded(text, o.Encoding)
	if err != nil {
		return "", s.fail(fault.Invalid, op, "header: a character that %s does not have: %s", o.Encoding, err)
	}
	if _, err := root.Lstat(name); err == nil {
		f := s.fail(fault.Conflict, op, "the file %s exists", name)
		f.Duplicate = true
		return "", f
	}
	temp := "." + name + ".tmp"
	if err := writeSynced(root, temp, out); err != nil {
		_ = root.Remove(temp) // the failure is what counts
		return "", s.classify(op, err)
	}
	if err := failpoint.Fail(failpoint.FileWritten); err != nil {
		_ = root.Remove(temp)
		return "", s.classify(op, err)
	}
	if ask != nil {
		if err := ask(); err != nil {
			_ = root.Remove(temp)
			return "", err
		}
	}
	if err := root.Rename(temp, name); err != nil {
		_ = root.Remove(temp)
		return "", s.classify(op, err)
	}
	if err := syncDir(root, "."); err != nil {
		return "", &fault.Error{Kind: fault.UnknownOutcome, System: s.name, Op: op, Err: err}
	}
	failpoint.Hit(failpoint.FileNamed)
	return name, nil
}

func writeSynced(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes names in a folder durable.
func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Find looks a written file up, by its name or by the external id in its name.
func (s *system) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	op := "find " + l.Object
	o, root, err := s.folder(op, l.Object)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := l.Local
	if name == "" {
		t := o.Write.Name
		if l.External == "" || o.Write.Batch != nil || strings.Contains(t, "{time}") || strings.Contains(t, "{hash}") {
			f := s.fail(fault.Invalid, op, "")
			f.Err = fmt.Errorf("%w: the files' names do not say what is in them", connector.ErrNoLookup)
			return nil, f
		}
		external := l.External
		if u, ok := connector.ParseExternal(external); ok {
			external = u
		}
		name = o.fileName("", external, nil)
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
	doc, _, err := o.rows(&ctxReader{ctx, in}).next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, s.classify(op, err)
	}
	return []connector.Record{{Local: name, Doc: doc}}, nil
}
