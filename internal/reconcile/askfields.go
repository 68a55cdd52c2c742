package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/spill"
)

// byFields asks a side for the objects with these values of the fields by which objects are paired. Where it cannot be asked so, errCannotAsk says why.
func (s *side) byFields(ctx context.Context, values []string) ([]*entry, error) {
	l := connector.Lookup{Entity: s.entity, Object: s.object(), Natural: map[string]string{}, Compare: map[string]connector.Compare{}}
	if s.def.Map != nil || s.def.Then != nil {
		return nil, s.cannotAskBy("its documents are mapped, and the mapping says only where a field goes, not where it comes from")
	}
	for i, f := range s.match.Fields {
		if strings.Contains(f, ".") {
			return nil, s.cannotAskBy(f + " is a field within another one")
		}
		switch how := s.rules.KeyOf(f); how {
		case compare.Fold, compare.UUID, compare.Number:
			l.Compare[f] = connector.Compare(how)
		case compare.Exact:
		default:
			return nil, s.cannotAskBy("the rule of " + f + " is none by which systems search")
		}
		l.Natural[f] = values[i]
	}
	got, err := s.findAll(ctx, l)
	if errors.Is(err, errCannotAsk) {
		return nil, s.cannotAskBy("its settings give no such look-up")
	}
	return got, err
}

// cannotAskBy is for a side that cannot be asked for an object by the fields by which objects are paired.
func (s *side) cannotAskBy(why string) error {
	return fmt.Errorf("%w by %s, by which objects are paired (%s)", s.cannotAsk(), strings.Join(s.match.Fields, ", "), why)
}

// fieldValues are what an object has in the fields by which objects are paired, as a system can be asked for them: texts and whole numbers.
func (s *side) fieldValues(e *entry) ([]string, bool) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if e.doc == nil || doc.Reset(e.doc, decide.DocumentLimits) != nil {
		return nil, false
	}
	var out []string
	for _, f := range s.match.Fields {
		switch v := doc.Root().GetPath(f); v.Kind() {
		case jsondoc.String:
			out = append(out, v.Str())
		case jsondoc.Number:
			n, err := v.Decimal()
			if text := n.String(); err == nil && !strings.Contains(text, ".") {
				out = append(out, text)
				continue
			}
			return nil, false
		default:
			return nil, false
		}
	}
	return out, true
}

// partner asks a side for what pairs with an object of the other one, by the fields by which objects are paired.
func (r *Run) partner(ctx context.Context, s *side, e *entry) ([]*entry, error) {
	values, ok := s.fieldValues(e)
	if !ok {
		return nil, s.cannotAskBy("the object on the other side has no text and no whole number there")
	}
	return s.byFields(ctx, values)
}

// keyValues are the values of the fields by which objects are paired, as a key names them: "A-1 7" or, where a value has blanks, ["A 1", "7"].
func (r *Run) keyValues() ([]string, error) {
	fields, key := r.rec.Match.Fields, r.opts.Key
	if len(fields) == 1 {
		return []string{key}, nil
	}
	values := strings.Fields(key)
	if strings.HasPrefix(key, "[") {
		var list []string
		if json.Unmarshal([]byte(key), &list) == nil {
			values = list
		}
	}
	if len(values) != len(fields) {
		return nil, fmt.Errorf("%w by %q alone: objects are paired by %s; give all of these values, as \"A-1 7\" or, where one has blanks, as [\"A 1\", \"7\"]", errCannotAsk, r.opts.Key, strings.Join(fields, ", "))
	}
	return values, nil
}

// byFieldKey gives the objects with the values that are asked for in the fields by which objects are paired, as the candidate.
func (r *Run) byFieldKey(ctx context.Context, out *spill.Sorter) (seen bool, err error) {
	values, err := r.keyValues()
	if err != nil {
		return false, err
	}
	key := []byte{keyOfRow}
	for _, v := range values {
		key = appendText(key, v)
	}
	p := &pair{key: string(key)}
	var cannot error
	for _, s := range []*side{r.left, r.right} {
		all, err := s.byFields(ctx, values)
		switch {
		case errors.Is(err, errCannotAsk):
			if cannot == nil {
				cannot = err
			}
			continue
		case err != nil:
			return false, err
		}
		p.hold(all, s == r.right)
	}
	if p.left == nil && p.right == nil {
		return false, cannot
	}
	if cannot != nil { // what was found on one side may be known on the other by its id
		p.key = "l" + own(p.left)
		if p.left == nil {
			p.key = "r" + p.right.own
		}
	}
	return true, r.candidate(ctx, out, p)
}

// hold puts what was found on a side into the pair. Of two sides that hold several, the first one's are told.
func (p *pair) hold(all []*entry, right bool) {
	if len(all) == 0 {
		return
	}
	if right {
		p.right = all[0]
	} else {
		p.left = all[0]
	}
	if len(all) > 1 && len(p.more) == 0 {
		p.more, p.moreRight = all[1:], right
	}
}

// byID gives the objects that have the key as their id, as candidates: the hub does not know it.
func (r *Run) byID(ctx context.Context, out *spill.Sorter) (seen bool, err error) {
	var found [2]*entry
	var cannot error
	for i, s := range []*side{r.left, r.right} {
		found[i], err = s.find(ctx, r.opts.Key, "")
		switch {
		case errors.Is(err, errCannotAsk):
			cannot = err
		case err != nil:
			return false, err
		}
	}
	left, right := found[0], found[1]
	if left == nil && right == nil {
		return false, cannot
	}
	if !r.rec.Match.Xref && left != nil && right != nil {
		lk, _ := r.left.fieldKey(left)
		rk, _ := r.right.fieldKey(right)
		if lk != nil && bytes.Equal(lk, rk) {
			return true, r.candidate(ctx, out, &pair{key: "l" + left.own, left: left, right: right})
		}
	}
	if left != nil {
		err = r.candidate(ctx, out, &pair{key: "l" + left.own, left: left})
	}
	if right != nil && err == nil {
		err = r.candidate(ctx, out, &pair{key: "r" + right.own, right: right})
	}
	return true, err
}
