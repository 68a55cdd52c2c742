package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// MaxGroups bounds the groups of one total.
const MaxGroups = 100_000

// ErrGroups is inside the error of Add for a total with more groups than MaxGroups.
var ErrGroups = errors.New("too many groups")

// Sums adds up the totals of one side. It is not for several goroutines.
type Sums struct {
	totals []Total
	groups []map[string]*sum
	unseen *Unseen
}

type sum struct {
	group []string
	value jsondoc.Decimal
}

// NewSums begins with nothing.
func NewSums(totals []Total) *Sums {
	s := &Sums{totals: totals, groups: make([]map[string]*sum, len(totals)), unseen: unseen(totals)}
	for i := range s.groups {
		s.groups[i] = map[string]*sum{}
	}
	return s
}

// Add counts a document in. Of one of which a value cannot be read nothing is counted, and the error says which; one that wraps ErrGroups says
// that no more can be added at all.
func (s *Sums) Add(doc jsondoc.Value) error {
	s.unseen.See(doc)
	type part struct {
		group []string
		value jsondoc.Decimal
	}
	parts := make([]part, len(s.totals))
	for i := range s.totals {
		group, value, err := s.totals[i].of(doc)
		if err != nil {
			return err
		}
		parts[i] = part{group, value}
	}
	for i, p := range parts {
		key := groupKey(p.group)
		g := s.groups[i][key]
		if g == nil {
			if len(s.groups[i]) >= MaxGroups {
				return fmt.Errorf("%s: %w: more than %d", s.totals[i], ErrGroups, MaxGroups)
			}
			g = &sum{group: p.group}
			s.groups[i][key] = g
		}
		g.value = g.value.Add(p.value)
	}
	return nil
}

// Unseen are the fields that no document of either side had.
func (s *Sums) Unseen(other *Sums) (paths []string) {
	for _, path := range s.unseen.paths {
		if slices.Contains(other.unseen.paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// groupKey joins what no separator could.
func groupKey(group []string) string {
	var b strings.Builder
	for _, g := range group {
		fmt.Fprintf(&b, "%d:%s", len(g), g)
	}
	return b.String()
}

// of gives the group of a document, and what it adds: nothing where it has no amount.
func (t Total) of(doc jsondoc.Value) (group []string, value jsondoc.Decimal, err error) {
	for _, g := range t.By {
		name, err := g.of(doc.GetPath(g.Path))
		if err != nil {
			return nil, value, err
		}
		group = append(group, name)
	}
	if t.Sum == "" {
		return group, jsondoc.FromInt(1), nil
	}
	v := doc.GetPath(t.Sum)
	if none := (&Rule{Empty: EmptySame}).empty(v); none {
		return group, value, nil
	}
	value, ok := amount(v)
	if !ok {
		return nil, value, fmt.Errorf("%s: %s is no amount", t.Sum, brief(v))
	}
	return group, value, nil
}

// of names the group of a value; empty where it has none.
func (g Group) of(v jsondoc.Value) (string, error) {
	if none := (&Rule{Empty: EmptySame}).empty(v); none {
		return "", nil
	}
	if g.Unit == "" {
		if v.Kind() == jsondoc.String {
			return bounded(v.Str()), nil
		}
		return bounded(string(jsondoc.AppendCanonical(nil, v))), nil
	}
	m, ok := momentOf(v.Str(), g.Unit, zoneOr(g.Zone))
	if !ok {
		return "", fmt.Errorf("%s: %s is no time", g.Path, brief(v))
	}
	return m.first.Format(periods[g.Unit]), nil
}

// periods are the forms in which they are shown.
var periods = map[Unit]string{Day: "2006-01-02", Month: "2006-01", Year: "2006"}

// bounded keeps the memory of groups in bounds: what stands for a long text is its beginning and its digest.
func bounded(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:most], "") + "…" + hex.EncodeToString(sum[:8])
}

// brief shows a value in an error.
func brief(v jsondoc.Value) string {
	const most = 60
	raw := string(v.Raw())
	if len(raw) > most {
		raw = strings.ToValidUTF8(raw[:most], "") + "…"
	}
	return raw
}

// TotalLine is a sum of both sides; an empty Left or Right: that side has no such group, which counts as 0.
type TotalLine struct {
	Total       string
	Group       []string
	Left, Right string
}

// CompareTotals gives the lines in which two sides do not agree, by total and group. Both have the same totals.
func CompareTotals(left, right *Sums) []TotalLine {
	var out []TotalLine
	for i := range left.totals {
		t := &left.totals[i]
		var keys []string
		for key := range left.groups[i] {
			keys = append(keys, key)
		}
		for key := range right.groups[i] {
			if left.groups[i][key] == nil {
				keys = append(keys, key)
			}
		}
		var lines []TotalLine
		for _, key := range keys {
			if line, same := t.line(left.groups[i][key], right.groups[i][key]); !same {
				lines = append(lines, line)
			}
		}
		slices.SortFunc(lines, func(a, b TotalLine) int { return slices.Compare(a.Group, b.Group) })
		out = append(out, lines...)
	}
	return out
}

func (t *Total) line(l, r *sum) (line TotalLine, same bool) {
	var a, b jsondoc.Decimal
	line.Total = t.String()
	if l != nil {
		a, line.Group, line.Left = l.value, l.group, l.value.String()
	}
	if r != nil {
		b, line.Group, line.Right = r.value, r.group, r.value.String()
	}
	within := t.Within
	if within == nil {
		within = &Bound{}
	}
	return line, within.Holds(a, b)
}
