package rules

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
)

// judge evaluates a rule's expressions on one object and what belongs to it.
type judge struct {
	rule   *config.Rule
	lookup mapping.Lookup
	now    time.Time
	names  []string // of documents, source first
	doc    *jsondoc.Doc
	buf    []byte
}

func newJudge(rule *config.Rule) *judge {
	j := &judge{rule: rule, names: []string{config.RuleSource}, doc: &jsondoc.Doc{}}
	for i := range rule.With {
		j.names = append(j.names, rule.With[i].Name)
	}
	return j
}

// input makes the document that expressions see of a row. It is valid until the next one.
func (j *judge) input(r *row) (*mapping.Input, error) {
	b := append(j.buf[:0], '{')
	for i, d := range r.docs {
		if d == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(jsondoc.AppendString(b, j.names[i]), ':'), d...)
	}
	if r.previous != nil {
		b = append(append(b, `,"`+config.RulePrevious+`":`...), r.previous...)
	}
	j.buf = append(b, '}')
	if err := j.doc.Reset(j.buf, jsondoc.Limits{Bytes: mostTogether}); err != nil {
		return nil, fmt.Errorf("it cannot be looked at together with what belongs to it: %w", err)
	}
	return &mapping.Input{Doc: j.doc, Lookup: j.lookup, Now: j.now}, nil
}

// holds reports whether the rule holds of a row. Where that cannot be said, the row's why says why.
func (j *judge) holds(ctx context.Context, r *row) (bool, error) {
	if r.why != "" {
		return false, nil
	}
	known := &lookup{Lookup: j.lookup}
	in, err := j.input(r)
	if err != nil {
		r.why = err.Error()
		return false, nil
	}
	in.Lookup = known
	held, err := j.rule.Expect.Bool(ctx, in)
	switch {
	case known.err != nil:
		return false, fmt.Errorf("the cross-reference: %w", known.err)
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		r.why = "expect: " + err.Error()
		return false, nil
	}
	return held, nil
}

// words are a violation in a sentence, and the money that it is about.
type words struct{ text, amount, currency string }

// words says what is wrong with a row.
func (j *judge) words(ctx context.Context, r *row) (words, error) {
	w := words{text: about(j.rule)}
	in, err := j.input(r)
	if err != nil {
		return w, err
	}
	if j.rule.Say != nil {
		text, err := j.rule.Say.String(ctx, in)
		switch {
		case err != nil:
			text = fmt.Sprintf("%s (say: %v)", w.text, err)
		case text == "":
			text = w.text + " (say gives nothing)"
		}
		w.text = text
	}
	if j.rule.Amount == nil || j.rule.Currency == nil || ctx.Err() != nil {
		return w, context.Cause(ctx)
	}
	amount, ok, err := j.rule.Amount.Number(ctx, in)
	currency := ""
	if err == nil && ok {
		currency, err = j.rule.Currency.String(ctx, in)
	}
	switch {
	case err != nil:
		w.text += fmt.Sprintf(" (money: %v)", err)
	case ok && currency != "":
		w.amount, w.currency = amount.String(), currency
	}
	return w, context.Cause(ctx)
}

// key is by what people search for the object.
func (j *judge) key(ctx context.Context, r *row) (string, error) {
	if j.rule.Key == nil || r.docs[0] == nil {
		return r.local, nil
	}
	in, err := j.input(r)
	if err != nil {
		return r.local, nil // it is named by its id then
	}
	key, err := j.rule.Key.String(ctx, in)
	if err != nil || key == "" {
		return r.local, ctx.Err()
	}
	return key, nil
}

// value is a value by which objects are found; ok is false where it is absent, or empty.
func (j *judge) value(ctx context.Context, e *mapping.Expr, in *mapping.Input) (string, bool, error) {
	v, ok, err := e.Plain(ctx, in)
	return v, ok && v != "", err
}

// fingerprint is of what the rule sees of a row, but for what changes without meaning.
func (j *judge) fingerprint(r *row) uint64 {
	h := fnv.New64a()
	add := func(n uint64) { _ = binary.Write(h, binary.LittleEndian, n) } // a hash takes everything
	for i, d := range r.docs {
		add(uint64(i))
		if d == nil || j.doc.Reset(d, jsondoc.Limits{Bytes: mostTogether}) != nil {
			continue
		}
		volatile := j.volatile(i)
		root := j.doc.Root()
		if root.Kind() != jsondoc.Array {
			add(fieldsOf(root, volatile))
			continue
		}
		for e := range root.Elements() {
			add(fieldsOf(e, volatile))
		}
	}
	return h.Sum64()
}

func (j *judge) volatile(i int) []string {
	m := j.rule.Over.Map
	if i > 0 {
		m = j.rule.With[i-1].Map
	}
	if m == nil {
		return nil
	}
	return m.Volatile()
}

func fieldsOf(v jsondoc.Value, ignore []string) uint64 {
	fields := jsondoc.FieldHashes(v, ignore)
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_, _ = h.Write([]byte(name))                           // a hash
		_ = binary.Write(h, binary.LittleEndian, fields[name]) // takes everything
	}
	return h.Sum64()
}
