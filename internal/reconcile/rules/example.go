package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
)

// Example is one object and what other lists hold, as documents that the rule sees.
type Example struct {
	Source []byte
	// With are the objects of each list, whether they belong to the one or not.
	With map[string][][]byte
	// Previous is what the rule remembers of the object; nil: nothing.
	Previous []byte
	Now      time.Time
	Lookup   mapping.Lookup
}

// Verdict is what a rule says of an example.
type Verdict struct {
	// Holds: the rule holds. Outside: it is not about the object. NotCompared, where not empty, says why neither can be said.
	Holds, Outside bool
	NotCompared    string
	// Key, Text, Amount and Currency are those of the violation.
	Key, Text, Amount, Currency string
}

// Try evaluates a rule on an example: what belongs to the object is found as a run finds it.
func Try(ctx context.Context, rule *config.Rule, e Example) (Verdict, error) {
	j := newJudge(rule)
	j.lookup, j.now = e.Lookup, e.Now
	x := &row{docs: make([][]byte, len(rule.With)+1), previous: e.Previous}
	wanted, err := j.wanted(ctx, &rule.Over, e.Source)
	if err != nil || !wanted {
		return Verdict{Outside: err == nil}, err
	}
	x.docs[0] = e.Source
	for _, s := range stagesOf(rule) {
		step := joinStep{look: &look{run: &Run{rule: rule, judge: j}}, stage: &s}
		key, err := step.key(ctx, nil, x)
		if err != nil {
			return Verdict{}, err
		}
		for _, i := range s.lists {
			g, err := j.groupOf(ctx, &rule.With[i], key, e.With[rule.With[i].Name])
			if err != nil {
				return Verdict{}, err
			}
			step.take(x, i, g)
		}
	}
	held, err := j.holds(ctx, x)
	if err != nil || held || x.why != "" {
		return Verdict{Holds: held, NotCompared: x.why}, err
	}
	w, err := j.words(ctx, x)
	if err != nil {
		return Verdict{}, err
	}
	key, err := j.key(ctx, x)
	return Verdict{Key: key, Text: w.text, Amount: w.amount, Currency: w.currency}, err
}

// wanted reports whether a list's `where` takes a document.
func (j *judge) wanted(ctx context.Context, side *config.RuleSide, b []byte) (bool, error) {
	if side.Where == nil {
		return true, nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(b, jsondoc.Limits{}); err != nil {
		return false, fmt.Errorf("%s: %w", side.Name, err)
	}
	return side.Where.Bool(ctx, &mapping.Input{Doc: doc, Lookup: j.lookup, Now: j.now})
}

// groupOf are those of a list that have the key.
func (j *judge) groupOf(ctx context.Context, side *config.RuleSide, key []byte, docs [][]byte) (*group, error) {
	g := &group{}
	g.reset(key)
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	for i, b := range docs {
		wanted, err := j.wanted(ctx, side, b)
		if err != nil {
			return nil, err
		}
		if err := doc.Reset(b, jsondoc.Limits{}); err != nil {
			return nil, fmt.Errorf("%s: %w", side.Name, err)
		}
		if own, ok := keyOf(nil, doc.Root(), side.By); ok && wanted && string(own) == string(key) {
			g.add(fmt.Appendf(nil, "#%d", i+1), b)
		}
	}
	return g, nil
}
