package reconcile

import (
	"context"
	"errors"
	"fmt"
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
	// rounds is how often what differs is looked at again, at most: what differs in another way each time is being changed all the time.
	rounds = 5
)

// again looks at candidates once more and tells of each what it was and what it is now, in the order of what it is now.
func (r *Run) again(ctx context.Context, cands *spill.Sorter, each func(was, now *pair) error) error {
	var looked *spill.Sorter
	err := errCannotAsk
	if cands.Len() <= mostFinds {
		looked, err = r.byFinding(ctx, cands)
	}
	if errors.Is(err, errCannotAsk) {
		if r.opts.Key != "" || !r.opts.Since.IsZero() || r.opts.From > 0 {
			return fmt.Errorf("%s or %s: %w: compare everything instead", r.left.def.System, r.right.def.System, errCannotAsk)
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
	last := ""
	for n := 0; ; n++ {
		key, b, ok, err := in.Next()
		if err != nil || !ok {
			return err
		}
		was, now, err := readLooked(key, b)
		if err != nil {
			return err
		}
		if n > 0 && now.key == last {
			continue // two that were alone have met
		}
		last = now.key
		if err := each(was, now); err != nil {
			return err
		}
	}
}

// looked is a pair as it was and is now, under the key that it has now.
func appendLooked(b []byte, was, now *pair) []byte {
	b = append(b, byte(len(was.key)>>8), byte(len(was.key)))
	b = append(b, was.key...)
	w := was.append(nil)
	b = append(b, byte(len(w)>>24), byte(len(w)>>16), byte(len(w)>>8), byte(len(w)))
	return now.append(append(b, w...))
}

func readLooked(key, b []byte) (was, now *pair, err error) {
	if len(b) < 2 {
		return nil, nil, errEntry
	}
	n := int(b[0])<<8 | int(b[1])
	if b = b[2:]; len(b) < n+4 {
		return nil, nil, errEntry
	}
	wasKey := b[:n]
	b = b[n:]
	n = int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if b = b[4:]; len(b) < n {
		return nil, nil, errEntry
	}
	if was, err = readPair(wasKey, b[:n]); err != nil {
		return nil, nil, err
	}
	now, err = readPair(key, b[n:])
	return was, now, err
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
	all, done, told := cands.Len(), int64(0), time.Duration(0)
	batch := make([]*pair, 0, 64)
	flush := func() error {
		now := make([]*pair, len(batch))
		if err := atOnce(ctx, len(batch), func(ctx context.Context, i int) (err error) {
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
		batch = batch[:0]
		if at := r.c.Clock.Elapsed(); at-told > time.Second/2 {
			told = at
			r.phase("looking-again", "%d of %d", done, all)
		}
		return nil
	}
	for {
		p, err := in.next()
		if err != nil {
			return nil, err
		}
		if p == nil {
			return out, flush()
		}
		if batch = append(batch, p); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
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
		if c.ahead == nil || c.ahead.key != p.key {
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
	b := lifecycle.NewBackground(ctx)
	var mu sync.Mutex
	next := 0
	for range min(n, findsAtOnce) {
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
	now := &pair{key: was.key, moreRight: was.moreRight}
	var err error
	half := func(s *side, e *entry) (*entry, error) {
		if e == nil {
			return nil, nil
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
		if got != nil {
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
	if hub := now.hub(); r.rec.Match.Xref && hub != "" {
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
		hub := h.from.hub
		local, ok := "", false
		if hub != "" {
			var err error
			if local, ok, err = r.c.Store.LocalID(ctx, r.rec.Entity, h.s.def.System, hub); err != nil {
				return fmt.Errorf("read what is known: %w", err)
			}
		}
		if !ok {
			if !r.rec.Match.Xref {
				return errCannotAsk // it may be there under an id that nobody knows
			}
			continue
		}
		got, err := h.s.find(ctx, "", local)
		if err != nil {
			return err
		}
		*h.now = got
	}
	return nil
}

// hub is the pair's hub id; empty: the hub knows neither half.
func (p *pair) hub() string {
	for _, e := range append([]*entry{p.left, p.right}, p.more...) {
		if e != nil && e.hub != "" {
			return e.hub
		}
	}
	return ""
}

// byListing lists both sides again. What differs by now and did not before is on its way, and left out.
func (r *Run) byListing(ctx context.Context, cands *spill.Sorter) (_ *spill.Sorter, err error) {
	left, right, err := r.readBoth(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, left.Close(), right.Close()) }()
	r.phase("looking-again", "%d differences in a second listing", cands.Len())
	differ := spill.New(r.c.Spill)
	defer func() { err = errors.Join(err, differ.Close()) }()
	if err := r.compare(ctx, left, right, differ, false); err != nil {
		return nil, err
	}
	in, err := readCandidates(cands)
	if err != nil {
		return nil, err
	}
	names := spill.New(r.c.Spill)
	defer func() { err = errors.Join(err, names.Close()) }()
	if err := byNames(differ, names); err != nil {
		return nil, err
	}
	again, err := names.Sort()
	if err != nil {
		return nil, err
	}
	out := spill.New(r.c.Spill)
	if err := lookedAt(in, again, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// byNames puts every pair under all keys that it may have had before: what was alone may have met its other half.
func byNames(differ, names *spill.Sorter) error {
	in, err := differ.Sort()
	if err != nil {
		return err
	}
	for {
		key, b, ok, err := in.Next()
		if err != nil || !ok {
			return err
		}
		p, err := readPair(key, b)
		if err != nil {
			return err
		}
		keys := []string{p.key}
		if p.left != nil && p.key != "l"+p.left.own {
			keys = append(keys, "l"+p.left.own)
		}
		if p.right != nil && p.key != "r"+p.right.own {
			keys = append(keys, "r"+p.right.own)
		}
		for _, k := range keys {
			if err := names.Add([]byte(k), append(append([]byte{byte(len(p.key) >> 8), byte(len(p.key))}, p.key...), b...)); err != nil {
				return err
			}
		}
	}
}

// lookedAt puts every pair of in beside what it is in now; what is not there agrees, or has gone.
func lookedAt(in *candidates, now *spill.Reader, out *spill.Sorter) error {
	nowKey, nowPair, more, err := now.Next()
	if err != nil {
		return err
	}
	for {
		was, err := in.next()
		if err != nil || was == nil {
			return err
		}
		for more && string(nowKey) < was.key {
			if nowKey, nowPair, more, err = now.Next(); err != nil {
				return err
			}
		}
		is := &pair{key: was.key}
		if more && string(nowKey) == was.key {
			if len(nowPair) < 2 {
				return errEntry
			}
			n := int(nowPair[0])<<8 | int(nowPair[1])
			if len(nowPair) < 2+n {
				return errEntry
			}
			if is, err = readPair(nowPair[2:2+n], nowPair[2+n:]); err != nil {
				return err
			}
		}
		if err := out.Add([]byte(is.key), appendLooked(nil, was, is)); err != nil {
			return err
		}
	}
}
