package rules

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/spill"
)

// look is one reading of all lists, and what has failed in it.
type look struct {
	run *Run
	// seen are the objects that were judged, held those of which the rule holds.
	seen, held int64
	failed     *failures
	// broken are objects of the rule's lists that cannot be read or mapped, by their list; brokenAll counts those that are not among them.
	broken    []unread
	brokenAll map[string]int64
}

// unread is an object that belongs to others and cannot be read.
type unread struct{ name, local, hub, why string }

func (l *look) unread(side *config.RuleSide, e *entry) {
	if l.brokenAll[side.Name]++; l.brokenAll[side.Name] <= mostUnread {
		l.broken = append(l.broken, unread{side.Name, e.local, e.hub, e.why})
	}
}

// failures are rows that have failed, sorted by id.
type failures struct {
	*spill.Sorter
	open opened
	buf  []byte
}

// opened are the ids of failures that are to be looked at again; the first of them are kept as they are.
type opened struct {
	hashes
	ids []string
}

// failure is one of them.
type failure struct {
	*row
	// print is what the rule saw; sure: it has failed in the same way twice.
	print uint64
	sure  bool
}

func newFailures(c spill.Config) *failures { return &failures{Sorter: spill.New(c)} }

func (f *failures) add(x *failure) error {
	b := f.buf[:0]
	if x.sure {
		b = append(b, 1)
	} else {
		b = append(b, 0)
		f.open.add([]byte(x.local))
		if len(f.open.ids) <= mostFinds {
			f.open.ids = append(f.open.ids, x.local)
		}
	}
	f.buf = x.append(binary.BigEndian.AppendUint64(b, x.print))
	return f.Add([]byte(x.local), f.buf)
}

func readFailure(b []byte) (*failure, error) {
	if len(b) < 9 {
		return nil, errEntry
	}
	f := &failure{sure: b[0] == 1, print: binary.BigEndian.Uint64(b[1:])}
	var err error
	f.row, _, err = readRow(bytes.Clone(b[9:]))
	return f, err
}

// failureReader gives failures in the order of ids, each id once.
type failureReader struct {
	in   *spill.Reader
	last []byte
	n    int
}

func (f *failures) reader() (*failureReader, error) {
	in, err := f.Sort()
	return &failureReader{in: in}, err
}

// next gives nil at the end.
func (f *failureReader) next() (*failure, error) {
	for {
		key, b, ok, err := f.in.Next()
		if err != nil || !ok {
			return nil, err
		}
		if f.n++; f.n > 1 && bytes.Equal(f.last, key) {
			continue
		}
		f.last = append(f.last[:0], key...)
		return readFailure(b)
	}
}

// pump collects rows for a step.
type pump struct {
	step   step
	sorter *spill.Sorter
	keys   hashes
	key    []byte
	value  []byte
}

func (p *pump) put(ctx context.Context, r *row) error {
	key, err := p.step.key(ctx, p.key[:0], r)
	if err != nil {
		return err
	}
	if len(key) > 0 && key[0] == keySome {
		p.keys.add(key)
	}
	p.value = append(binary.AppendUvarint(p.value[:0], uint64(len(key))), r.append(nil)...)
	p.key = append(key, r.local...)
	return p.sorter.Add(p.key, p.value)
}

// look reads everything and judges it; of objects that are not among only it judges none, nil: all. ids are those that are asked for one by one where
// there are not too many.
func (r *Run) look(ctx context.Context, only *hashes, ids []string) (_ *look, err error) {
	l := &look{run: r, failed: newFailures(r.c.Spill), brokenAll: map[string]int64{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.failed.Close())
		}
	}()
	var steps []step
	if r.memory != nil {
		steps = append(steps, r.memory)
	}
	for i := range r.stages {
		steps = append(steps, &joinStep{look: l, stage: &r.stages[i]})
	}
	// Rows go from pump to pump; the last one's are judged.
	into := func(n int) (*pump, func(*row) error) {
		if n == len(steps) {
			return nil, func(x *row) error { return l.judged(ctx, x) }
		}
		p := &pump{step: steps[n], sorter: spill.New(r.c.Spill)}
		return p, func(x *row) error { return p.put(ctx, x) }
	}
	p, put := into(0)
	err = r.source(ctx, only, ids, func(e *entry) error {
		x := &row{local: e.local, hub: e.hub, why: e.why, docs: make([][]byte, len(r.rule.With)+1)}
		x.docs[0] = e.doc
		return put(x)
	})
	for n := range steps {
		if err != nil {
			return nil, errors.Join(err, p.sorter.Close())
		}
		var next *pump
		next, put = into(n + 1)
		err = errors.Join(p.drain(ctx, put), p.sorter.Close())
		p = next
	}
	if err == nil && r.memory != nil {
		err = r.memory.flush(ctx)
	}
	return l, err
}

// drain gives each row with what the step adds to it.
func (p *pump) drain(ctx context.Context, each func(*row) error) (err error) {
	if p.sorter.Len() == 0 {
		return nil // nothing belongs to nothing
	}
	in, err := p.sorter.Sort()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.step.close()) }()
	if err := p.step.open(ctx, &p.keys); err != nil {
		return err
	}
	var last []byte
	for n := 0; ; n++ {
		key, value, ok, err := in.Next()
		if err != nil || !ok {
			return err
		}
		if n%1000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n > 0 && bytes.Equal(last, key) {
			continue // a list that moves while it is read may give an object twice
		}
		last = append(last[:0], key...)
		size, read := binary.Uvarint(value)
		if read <= 0 || size > uint64(len(key)) {
			return errEntry
		}
		x, _, err := readRow(value[read:])
		if err != nil {
			return err
		}
		if err := p.step.join(ctx, key[:size], x); err != nil {
			return err
		}
		if err := each(x); err != nil {
			return err
		}
	}
}

// mostFinds is how many objects are looked at again one by one; more are looked at by reading the list again.
const mostFinds = 500

// source gives the objects of the rule.
func (r *Run) source(ctx context.Context, only *hashes, ids []string, each func(*entry) error) error {
	if only == nil || len(ids) > mostFinds {
		return r.over.read(ctx, only, each)
	}
	f, ok := r.over.system.(connector.Finder)
	if !ok {
		return r.over.read(ctx, only, each)
	}
	for _, local := range ids {
		e, ok, err := r.over.find(ctx, f, local)
		if errors.Is(err, connector.ErrNoLookup) {
			return r.over.read(ctx, only, each)
		}
		if err != nil {
			return r.over.failed(fmt.Errorf("look for %s: %w", local, err))
		}
		if !ok {
			continue
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// judged judges a row with all that belongs to it.
func (l *look) judged(ctx context.Context, x *row) error {
	r := l.run
	if r.opts.Key != "" {
		if key, err := r.judge.key(ctx, x); err != nil || !slices.Contains([]string{key, x.local, x.hub}, r.opts.Key) {
			return err
		}
	}
	l.seen++
	held, err := r.judge.holds(ctx, x)
	if err != nil {
		return err
	}
	if held && r.memory != nil {
		if x.why, err = r.memory.tooLarge(r.judge, x); err != nil {
			return err
		}
		if held = x.why == ""; held {
			if err := r.memory.held(ctx, r.judge, x); err != nil {
				return err
			}
		}
	}
	if held {
		l.held++
		return nil
	}
	r.progress.Candidates++
	return l.failed.add(&failure{row: x, print: r.judge.fingerprint(x)})
}
