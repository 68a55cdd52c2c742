package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
)

const (
	// mostFinds is how many differences are looked at one by one; more are looked at by listing both sides again.
	mostFinds = 5000
	// findsAtOnce bounds the questions under way.
	findsAtOnce = 8
	// batchPairs and batchBytes bound the pairs that are worked on at once.
	batchPairs = 64
	batchBytes = 8 << 20
)

// again looks at candidates once more and tells of each what it was and what it is now, in the order of what it is now. met: it has become what the
// candidate before it is.
func (r *Run) again(ctx context.Context, cands *spill.Sorter, each func(was, now *pair, met bool) error) error {
	var looked *spill.Sorter
	r.lookAt = r.c.Clock.Now()
	err := errCannotAsk
	if cands.Len() <= mostFinds {
		looked, err = r.byFinding(ctx, cands)
	}
	if errors.Is(err, errCannotAsk) {
		if r.opts.Key != "" || !r.opts.Since.IsZero() || r.opts.From > 0 {
			return fmt.Errorf("%w: compare everything instead", err)
		}
		looked, err = r.byListing(ctx, cands)
	}
	if err != nil {
		return err
	}
	defer func() { _ = looked.Close() }()
	in, err := looked.Sort()
	if err != nil {
		return err
	}
	last, first := "", true
	for {
		was, now, err := nextLooked(in)
		if err != nil || was == nil {
			return err
		}
		met := !first && now.key == last
		last, first = now.key, false
		if err := each(was, now, met); err != nil {
			return err
		}
	}
}

// appendLooked puts down a pair as it was, and as it is now under the key that it has now.
func appendLooked(b []byte, was, now *pair) []byte {
	b = appendText(b, was.key)
	b = appendText(b, was.append(nil))
	return now.append(b)
}

func readLooked(key, b []byte) (was, now *pair, err error) {
	wasKey, b, err := takeText(b)
	if err != nil {
		return nil, nil, err
	}
	old, b, err := takeText(b)
	if err != nil {
		return nil, nil, err
	}
	if was, err = readPair(wasKey, old); err != nil {
		return nil, nil, err
	}
	now, err = readPair(key, b)
	return was, now, err
}

// nextLooked is the next of what appendLooked has put down; nil at the end.
func nextLooked(in *spill.Reader) (was, now *pair, err error) {
	key, b, ok, err := in.Next()
	if err != nil || !ok {
		return nil, nil, err
	}
	return readLooked(key, b)
}

// byFinding asks both systems for each candidate.
func (r *Run) byFinding(ctx context.Context, cands *spill.Sorter) (_ *spill.Sorter, err error) {
	in, err := readCandidates(cands)
	if err != nil {
		return nil, err
	}
	out := spill.New(r.c.Spill)
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	pace := r.pace()
	all, done, told := cands.Len(), int64(0), r.c.Clock.Elapsed()
	return out, batches(in.next, func(batch []*pair) error {
		if err := r.acquaint(ctx, batch); err != nil {
			return err
		}
		now := make([]*pair, len(batch))
		if err := some(ctx, pace.finds(), len(batch), func(ctx context.Context, i int) (err error) {
			now[i], err = r.find(ctx, batch[i])
			return err
		}); err != nil {
			return err
		}
		for i, p := range now {
			if err := out.Add([]byte(p.key), appendLooked(nil, batch[i], p)); err != nil {
				return err
			}
		}
		done += int64(len(batch))
		if at := r.c.Clock.Elapsed(); at-told > time.Second/2 {
			told = at
			r.phase("looking-again", "%d of %d", done, all)
		}
		return pace.rest(ctx)
	})
}

// batches hands pairs over by some, until next gives none.
func batches(next func() (*pair, error), work func([]*pair) error) error {
	batch, size := make([]*pair, 0, batchPairs), 0
	for {
		p, err := next()
		if err != nil {
			return err
		}
		if p != nil {
			batch, size = append(batch, p), size+p.size()
		}
		if p == nil || len(batch) == batchPairs || size > batchBytes {
			if err := work(batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		if p == nil {
			return nil
		}
	}
}

// size is how many bytes of documents a pair holds.
func (p *pair) size() (n int) {
	for _, e := range p.all() {
		n += len(e.doc) + len(e.before)
	}
	return n
}

// candidates gives candidates in the order of their keys. A pair may differ and have doubles as well: then the doubles count.
type candidates struct {
	in    *spill.Reader
	ahead *pair
	read  bool
}

func readCandidates(s *spill.Sorter) (*candidates, error) {
	in, err := s.Sort()
	return &candidates{in: in}, err
}

func (c *candidates) one() (*pair, error) {
	key, b, ok, err := c.in.Next()
	if err != nil || !ok {
		return nil, err
	}
	return readPair(key, b)
}

// next gives the next candidate; nil at the end.
func (c *candidates) next() (p *pair, err error) {
	if !c.read {
		c.read = true
		if c.ahead, err = c.one(); err != nil {
			return nil, err
		}
	}
	for p = c.ahead; p != nil; {
		if c.ahead, err = c.one(); err != nil {
			return nil, err
		}
		if c.ahead == nil || c.ahead.key != p.key || c.ahead.n != p.n {
			return p, nil
		}
		if len(c.ahead.more) > 0 {
			p = c.ahead
		}
	}
	return nil, nil
}

// atOnce does n pieces of work, several at a time, until one fails.
func atOnce(ctx context.Context, n int, work func(ctx context.Context, i int) error) error {
	return some(ctx, findsAtOnce, n, work)
}

// some does n pieces of work, so many at a time, until one fails.
func some(ctx context.Context, most, n int, work func(ctx context.Context, i int) error) error {
	b := lifecycle.NewBackground(ctx)
	var mu sync.Mutex
	next := 0
	for range min(n, most) {
		b.Go(func(ctx context.Context) error {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n || ctx.Err() != nil {
					return nil
				}
				if err := work(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	if err := b.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// find asks both systems for what a pair is of.
func (r *Run) find(ctx context.Context, was *pair) (*pair, error) {
	if key := was.rowKey(); len(key) == len(r.rec.Match.Fields) && key != nil {
		return r.findByKey(ctx, was, key)
	}
	now := &pair{key: was.key, moreRight: was.moreRight, unnamed: was.unnamed, n: was.n}
	var err error
	half := func(s *side, e *entry) (*entry, error) {
		if e == nil || e.own == "" { // what has no id cannot be asked for: it is as it was
			return e, nil
		}
		return s.find(ctx, e.own, "")
	}
	if now.left, err = half(r.left, was.left); err != nil {
		return nil, err
	}
	if now.right, err = half(r.right, was.right); err != nil {
		return nil, err
	}
	of := r.left
	if was.moreRight {
		of = r.right
	}
	for _, e := range was.more {
		got, err := half(of, e)
		if err != nil {
			return nil, err
		}
		if got != nil && !got.filtered {
			now.more = append(now.more, got)
		}
	}
	if len(now.more) > 0 { // one of several has gone
		if half := &now.left; !was.moreRight && *half == nil {
			*half, now.more = now.more[0], now.more[1:]
		}
		if half := &now.right; was.moreRight && *half == nil {
			*half, now.more = now.more[0], now.more[1:]
		}
	}
	if err := r.other(ctx, was, now); err != nil {
		return nil, err
	}
	if hub := now.hub(); r.rec.Match.Xref && hub != "" && len(was.more) == 0 && !strings.HasSuffix(was.key, bothDoubled) {
		now.key = "h" + hub
	}
	return now, nil
}

// other looks for the half of a pair that was not there.
func (r *Run) other(ctx context.Context, was, now *pair) error {
	for _, h := range []struct {
		s    *side
		was  *entry
		now  **entry
		from *entry
	}{{r.left, was.left, &now.left, now.right}, {r.right, was.right, &now.right, now.left}} {
		if h.was != nil || *h.now != nil || h.from == nil {
			continue
		}
		got, known, err := r.counterpart(ctx, h.s, h.from)
		if err != nil {
			return err
		}
		if known || r.rec.Match.Xref {
			*h.now = got
			continue
		}
		if r.opts.Whole() { // it may be there under an id that nobody knows: a list tells
			return h.s.cannotAsk()
		}
		all, err := r.partner(ctx, h.s, h.from)
		if err != nil {
			return err
		}
		now.hold(all, h.s == r.right)
	}
	return nil
}

// counterpart asks a side for the object that e is on the other one. known: the hub knows by which id.
func (r *Run) counterpart(ctx context.Context, s *side, e *entry) (got *entry, known bool, err error) {
	if e.hub == "" {
		return nil, false, nil
	}
	local, ok, err := r.c.Store.LocalID(ctx, r.rec.Entity, s.def.System, e.hub)
	if err != nil {
		return nil, false, fmt.Errorf("read what is known: %w", err)
	}
	if !ok || local == "" {
		return nil, false, nil
	}
	got, err = s.find(ctx, "", local)
	return got, true, err
}
