package rules

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// What a rule remembers of an object is what it saw when the rule held of it last: a change that must not be alone is told until the other has
// followed, or the first was taken back, and not on one day alone.

const (
	// mostRemembered bounds what is remembered of one object, in bytes.
	mostRemembered = 8 << 10
	memoryPage     = 1000
)

// memory reads what is remembered, in the order of ids, and keeps what is new.
type memory struct {
	store Store
	rule  *config.Rule
	now   time.Time

	page  []state.Remembered
	after string
	end   bool
	add   []state.Remembered
}

func (m *memory) key(_ context.Context, dst []byte, _ *row) ([]byte, error) { return dst, nil }

func (m *memory) open(context.Context, *hashes) error {
	m.page, m.after, m.end = nil, "", false
	return nil
}

func (m *memory) close() error { return nil }

func (m *memory) join(ctx context.Context, _ []byte, r *row) error {
	for {
		for len(m.page) > 0 && m.page[0].Object < r.local {
			m.page = m.page[1:]
		}
		if len(m.page) > 0 {
			if p := &m.page[0]; p.Object == r.local {
				r.previous, r.until = p.Doc, p.Until.UnixNano()
			}
			return nil
		}
		if m.end {
			return nil
		}
		page, err := m.store.Remembered(ctx, m.rule.Name, m.after, memoryPage)
		if err != nil {
			return fmt.Errorf("what the rule remembers: %w", err)
		}
		m.page, m.end = page, len(page) < memoryPage
		if len(page) > 0 {
			m.after = page[len(page)-1].Object
		}
	}
}

// held takes note of an object of which the rule holds.
func (m *memory) held(ctx context.Context, j *judge, r *row) error {
	doc, err := m.document(j, r)
	if err != nil {
		return err
	}
	soon := time.Unix(0, r.until).Sub(m.now) < m.rule.Keep/2
	if string(doc) == string(r.previous) && !soon {
		return nil
	}
	m.add = append(m.add, state.Remembered{Object: r.local, Doc: doc, Until: m.now.Add(m.rule.Keep)})
	if len(m.add) >= memoryPage {
		return m.flush(ctx)
	}
	return nil
}

func (m *memory) flush(ctx context.Context) error {
	if len(m.add) == 0 {
		return nil
	}
	if err := m.store.Remember(ctx, m.rule.Name, m.add); err != nil {
		return fmt.Errorf("keep what the rule remembers: %w", err)
	}
	m.add = m.add[:0]
	return nil
}

// document is what is remembered of a row.
func (m *memory) document(j *judge, r *row) ([]byte, error) {
	if err := j.doc.Reset(r.docs[0], jsondoc.Limits{}); err != nil {
		return nil, fmt.Errorf("the document of %s: %w", r.local, err)
	}
	root := j.doc.Root()
	out := []byte{'{'}
	for _, name := range m.rule.Remember {
		v := root.Get(name)
		if !v.Exists() {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = jsondoc.AppendCanonical(append(jsondoc.AppendString(out, name), ':'), v)
	}
	return append(out, '}'), nil
}

// tooLarge says that what would be remembered of a row is too large; empty: it is not.
func (m *memory) tooLarge(j *judge, r *row) (string, error) {
	doc, err := m.document(j, r)
	if err != nil || len(doc) <= mostRemembered {
		return "", err
	}
	return fmt.Sprintf("what is remembered of it (%s) has %d bytes, and at most %d are kept: remember less", strings.Join(m.rule.Remember, ", "), len(doc), mostRemembered), nil
}
