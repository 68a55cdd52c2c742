package rules

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/spill"
)

// What belongs to an object is found by sorting both by the same values, which takes no more memory however long the lists are. Lists that go by the
// same values are found in one stage; a list that goes by what another has brought comes after it.

const (
	// mostOfGroup and mostGroupBytes bound what may belong to one object, mostTogether an object with all of it.
	mostOfGroup    = 10_000
	mostGroupBytes = 4 << 20
	mostTogether   = 16 << 20
	// mostUnread is how many objects that cannot be read are told of, for each list.
	mostUnread = 1000
)

// stage is a step at which lists are joined to the objects, by one set of values.
type stage struct {
	by    []*mapping.Expr
	lists []int // by their place in the rule's
}

func stagesOf(rule *config.Rule) []stage {
	var out []stage
	at := map[string]int{}
	for i := range rule.With {
		var by []*mapping.Expr
		var text strings.Builder
		for _, j := range rule.With[i].By {
			by = append(by, j.Value)
			fmt.Fprintf(&text, "%t %q;", j.Value == nil, textOf(j.Value))
		}
		n, ok := at[text.String()]
		if !ok {
			n = len(out)
			at[text.String()] = n
			out = append(out, stage{by: by})
		}
		out[n].lists = append(out[n].lists, i)
	}
	return out
}

func textOf(e *mapping.Expr) string {
	if e == nil {
		return ""
	}
	return e.Text()
}

// step is what happens to rows that come in the order of its keys.
type step interface {
	// key appends the row's key, to which its id is added; nothing may stand behind one key that another begins with.
	key(ctx context.Context, dst []byte, r *row) ([]byte, error)
	// open makes ready for rows with these keys, close ends it.
	open(ctx context.Context, keys *hashes) error
	close() error
	// join adds to a row what belongs to it.
	join(ctx context.Context, key []byte, r *row) error
}

// Keys begin with one of these.
const (
	keyNone = 0 // there is no value: nothing belongs to it
	keySome = 1
)

// appendKey appends values so that no key begins another.
func appendKey(dst []byte, values ...string) []byte {
	dst = append(dst, keySome)
	for _, v := range values {
		dst = appendText(dst, v)
	}
	return dst
}

// joinStep joins the lists of a stage.
type joinStep struct {
	look  *look
	stage *stage
	from  []*joined // by the stage's lists
}

func (s *joinStep) key(ctx context.Context, dst []byte, r *row) ([]byte, error) {
	if r.why != "" {
		return append(dst, keyNone), nil
	}
	j := s.look.run.judge
	in, err := j.input(r)
	if err != nil {
		r.why = err.Error()
		return append(dst, keyNone), nil
	}
	known := &lookup{Lookup: j.lookup}
	in.Lookup = known
	values := make([]string, 0, len(s.stage.by))
	for _, e := range s.stage.by {
		v, ok, err := j.value(ctx, e, in)
		switch {
		case known.err != nil:
			return nil, fmt.Errorf("the cross-reference: %w", known.err)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			r.why = "by: " + err.Error()
			return append(dst, keyNone), nil
		case !ok:
			return append(dst, keyNone), nil
		}
		values = append(values, v)
	}
	return appendKey(dst, values...), nil
}

func (s *joinStep) open(ctx context.Context, keys *hashes) error {
	for _, i := range s.stage.lists {
		from, err := s.look.sorted(ctx, i, keys)
		if err != nil {
			return err
		}
		s.from = append(s.from, from)
	}
	return nil
}

func (s *joinStep) close() error {
	var err error
	for _, f := range s.from {
		err = errors.Join(err, f.sorter.Close())
	}
	return err
}

func (s *joinStep) join(_ context.Context, key []byte, r *row) error {
	for n, i := range s.stage.lists {
		g, err := s.from[n].group(key)
		if err != nil {
			return err
		}
		s.take(r, i, g)
	}
	return nil
}

// take puts what belongs to a row into it.
func (s *joinStep) take(r *row, i int, g *group) {
	side := &s.look.run.rule.With[i]
	for _, local := range g.locals {
		if len(r.more) < mostMore {
			r.more = append(r.more, side.Name+" "+local)
		}
	}
	doc, why := g.document(side)
	r.docs[i+1] = doc
	if why != "" && r.why == "" {
		r.why = why
	}
}

// joined is a list on disk, sorted by the values by which it is joined.
type joined struct {
	sorter *spill.Sorter
	in     *spill.Reader
	// key, local and doc are of the object that comes next; ok is false at the end.
	key, local, doc []byte
	ok              bool
	now             group
}

// group is what belongs to objects with one key.
type group struct {
	key    []byte
	made   bool
	n      int
	docs   []byte // with commas between them
	locals []string
	last   []byte
	large  bool
}

func (g *group) reset(key []byte) {
	*g = group{key: append(g.key[:0], key...), made: true, docs: g.docs[:0], last: g.last[:0]}
}

// add takes one object. A list that moves while it is read may give one twice.
func (g *group) add(local, doc []byte) {
	if g.n > 0 && bytes.Equal(g.last, local) {
		return
	}
	g.last = append(g.last[:0], local...)
	g.n++
	if len(g.locals) < mostMore {
		g.locals = append(g.locals, string(local))
	}
	if g.n > mostOfGroup || len(g.docs)+len(doc) > mostGroupBytes {
		g.large = true
		return
	}
	if len(g.docs) > 0 {
		g.docs = append(g.docs, ',')
	}
	g.docs = append(g.docs, doc...)
}

// document is what expressions see of a group; why says why there is none.
func (g *group) document(side *config.RuleSide) (doc []byte, why string) {
	switch {
	case g.large:
		return nil, fmt.Sprintf("%d of %s belong to it, which are too many to be looked at together: at most %d, of %d MiB", g.n, side.Name, mostOfGroup, mostGroupBytes>>20)
	case side.Group:
		return append(append(append(make([]byte, 0, len(g.docs)+2), '['), g.docs...), ']'), ""
	case g.n > 1:
		return nil, fmt.Sprintf("%d of %s belong to it, where there should be one: %s (group: true takes several)", g.n, side.Name, strings.Join(g.locals, ", "))
	case g.n == 1:
		return append([]byte(nil), g.docs...), ""
	}
	return nil, ""
}

// next moves on to the object that comes next.
func (j *joined) next() error {
	key, value, ok, err := j.in.Next()
	if err != nil {
		return err
	}
	if j.ok = ok; !ok {
		return nil
	}
	n, size := binary.Uvarint(value)
	if size <= 0 || n > uint64(len(key)) {
		return errEntry
	}
	j.key, j.local, j.doc = key[:n], key[n:], value[size:]
	return nil
}

// group gives what has the key. Keys are asked for in their order.
func (j *joined) group(key []byte) (*group, error) {
	if j.now.made && bytes.Equal(j.now.key, key) {
		return &j.now, nil
	}
	j.now.reset(key)
	for j.ok { // without a value the key is below all that have one

		switch c := bytes.Compare(j.key, key); {
		case c > 0:
			return &j.now, nil
		case c == 0:
			j.now.add(j.local, j.doc)
		}
		if err := j.next(); err != nil {
			return nil, err
		}
	}
	return &j.now, nil
}

// keyOf appends the values of a document's fields; ok is false where one is absent, empty, or no plain value.
func keyOf(dst []byte, doc jsondoc.Value, by []config.RuleJoin) (key []byte, ok bool) {
	dst = append(dst, keySome)
	var text []byte
	for _, f := range by {
		switch v := doc.GetPath(f.Field); v.Kind() {
		case jsondoc.String:
			text = v.AppendStr(text[:0])
		case jsondoc.Number:
			d, err := v.Decimal()
			if err != nil {
				return dst, false
			}
			text = append(text[:0], d.Trim().String()...)
		case jsondoc.Bool:
			text = fmt.Appendf(text[:0], "%t", v.Bool())
		default:
			return dst, false
		}
		if len(text) == 0 {
			return dst, false
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	return dst, true
}

// sorted reads one list and sorts what may belong to one of the keys.
func (l *look) sorted(ctx context.Context, i int, keys *hashes) (*joined, error) {
	side := &l.run.rule.With[i]
	out := &joined{sorter: spill.New(l.run.c.Spill)}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	var key, value []byte
	err := l.run.with[i].read(ctx, nil, func(e *entry) error {
		if e.why != "" {
			l.unread(side, e)
			return nil
		}
		if err := doc.Reset(e.doc, jsondoc.Limits{}); err != nil {
			e.why = "what it is mapped to cannot be read: " + err.Error()
			l.unread(side, e)
			return nil
		}
		var ok bool
		if key, ok = keyOf(key[:0], doc.Root(), side.By); !ok || !keys.has(key) {
			return nil
		}
		value = append(binary.AppendUvarint(value[:0], uint64(len(key))), e.doc...)
		key = append(key, e.local...)
		return out.sorter.Add(key, value)
	})
	if err == nil {
		out.in, err = out.sorter.Sort()
	}
	if err == nil {
		err = out.next()
	}
	if err != nil {
		return nil, errors.Join(err, out.sorter.Close())
	}
	return out, nil
}
