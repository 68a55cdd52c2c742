package plain

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// The tables are taken in chunks of as many buckets as the databases digest in about half a second. A bucket is small enough to be read when it
// differs: a level of digests in between would cost a round trip, and a second hash of every row in it.
const (
	chunkTime    = 500 * time.Millisecond
	smallTime    = 50 * time.Millisecond // beside the work of others
	bucketRows   = 256
	firstBuckets = 16
	chunkBuckets = 16_384
	fewBuckets   = 8 // a chunk has no fewer: smaller buckets then, where rows are slow
	// overfull is how many times as many rows a bucket may have on the other side until its digest is given up.
	overfull = 16
	// mostly is the share of rows in buckets that differ from which on it is cheaper to read all rows than to digest them first.
	mostly = 0.5
	// A stretch of rows that are read without digests is a number of chunks, twice as many each time, and at last all that is left.
	stretches = 6
)

// push goes through both tables by the digests of their ranges, and reads what differs.
type push struct {
	c      *Comparison
	leader *side // whose keys are the ends of ranges: the one with more rows
	after  [][]byte
	every  int // rows of a bucket
	n      int // buckets of a chunk
	// stretch counts stretches in a row.
	stretch int
	over    bool
}

func (c *Comparison) push(ctx context.Context) error {
	p := &push{c: c, leader: c.left, every: bucketRows, n: firstBuckets}
	if c.result.Right.Expected > c.result.Left.Expected {
		p.leader = c.right
	}
	if err := p.empty(ctx); err != nil {
		return err
	}
	for !p.over {
		if err := c.gate.pass(ctx, c.tell); err != nil {
			return err
		}
		share, err := p.chunk(ctx)
		if err != nil {
			return err
		}
		for share > mostly && !p.over {
			if share, err = p.readOn(ctx); err != nil {
				return err
			}
		}
		p.stretch = 0
	}
	return nil
}

// empty refuses a side that has no rows at all where the other has some.
func (p *push) empty(ctx context.Context) error {
	if p.c.o.AllowEmpty {
		return nil
	}
	var has [2]bool
	for i, s := range []*side{p.c.left, p.c.right} {
		first, err := s.digester.Bounds(ctx, nil, 1, 1)
		if err != nil {
			return err
		}
		has[i] = len(first) > 0
	}
	switch {
	case has[0] == has[1]:
		return nil
	case has[1]:
		return &EmptyError{Side: "left", Expected: p.c.result.Left.Expected}
	}
	return &EmptyError{Side: "right", Expected: p.c.result.Right.Expected}
}

// chunk digests the next buckets on both sides, and reads those that differ. It gives their share of the rows.
func (p *push) chunk(ctx context.Context) (share float64, err error) {
	begun := p.c.o.Clock.Elapsed()
	bounds, err := p.leader.digester.Bounds(ctx, p.after, p.every, p.n)
	if err != nil {
		return 0, err
	}
	ranges := p.ranges(bounds)
	l, r, err := p.digests(ctx, ranges)
	if err != nil {
		return 0, err
	}
	p.pace(p.c.o.Clock.Elapsed() - begun)
	all, apart := p.judge(ranges, l, r)
	if len(apart.ranges) == 0 {
		return 0, nil
	}
	share = float64(apart.rows) / float64(max(all, 1))
	if share > mostly {
		apart.ranges = together(apart.ranges)
	}
	return share, p.c.mergeAll(ctx, apart.ranges)
}

// ranges are those between the bounds, and at the end the one that is open.
func (p *push) ranges(bounds [][][]byte) []connector.KeyRange {
	out := make([]connector.KeyRange, 0, len(bounds)+1)
	for _, b := range bounds {
		out = append(out, connector.KeyRange{After: p.after, Upto: b})
		p.after = b
	}
	if len(bounds) < p.n {
		out = append(out, connector.KeyRange{After: p.after})
		p.over = true
	}
	return out
}

// digests asks both sides at the same time; beside the work of others one after the other.
func (p *push) digests(ctx context.Context, ranges []connector.KeyRange) (l, r []connector.Digest, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		digests []connector.Digest
		err     error
	}
	other := make(chan answer, 1)
	ask := func(s *side) ([]connector.Digest, error) {
		d, err := s.digester.Digest(ctx, ranges, p.every*overfull)
		if err == nil && len(d) != len(ranges) {
			err = fmt.Errorf("the %s side gives %d digests of %d ranges", s.name, len(d), len(ranges))
		}
		return d, err
	}
	right := func() {
		d, err := ask(p.c.right)
		other <- answer{d, err}
	}
	if !p.c.gate.beside {
		go right()
	}
	l, err = ask(p.c.left)
	if p.c.gate.beside && err == nil {
		right()
	}
	if err != nil {
		cancel()
		if !p.c.gate.beside {
			<-other
		}
		return nil, nil, err
	}
	got := <-other
	return l, got.digests, got.err
}

// pace sizes the next chunk: by the number of buckets, and by their size where there would be too few.
func (p *push) pace(took time.Duration) {
	target := chunkTime
	if p.c.gate.beside {
		target = smallTime
	}
	rows := p.every * p.n
	next := rows * 4
	if took > target/4 {
		next = max(rows/4, int(float64(rows)*float64(target)/float64(took)))
	}
	p.every = min(bucketRows, max(1, next/fewBuckets))
	p.n = min(chunkBuckets, max(fewBuckets, next/p.every))
}

// apart are the ranges that differ, with the rows in them; the largest side counts.
type apart struct {
	ranges []connector.KeyRange
	rows   int64
}

// judge counts what is equal, and gives what is not. Ranges that adjoin are read as one.
func (p *push) judge(ranges []connector.KeyRange, l, r []connector.Digest) (all int64, a apart) {
	res := &p.c.result
	for i := range ranges {
		rows := max(l[i].Count, r[i].Count)
		all += rows
		if l[i] == r[i] && l[i].Odd == 0 && rows <= int64(p.every*overfull) {
			res.Left.Rows, res.Right.Rows = res.Left.Rows+rows, res.Right.Rows+rows
			res.Compared, res.Equal = res.Compared+rows, res.Equal+rows
			continue
		}
		a.rows += rows
		a.ranges = append(a.ranges, ranges[i])
	}
	return all, a
}

// together joins ranges that adjoin. Ends are the same memory where they are the same key.
func together(ranges []connector.KeyRange) []connector.KeyRange {
	out := ranges[:1:1]
	for _, r := range ranges[1:] {
		last := &out[len(out)-1]
		if len(last.Upto) > 0 && len(r.After) > 0 && &last.Upto[0] == &r.After[0] {
			last.Upto = r.Upto
			continue
		}
		out = append(out, r)
	}
	return out
}

// mergeAll reads ranges on both sides; an open one alone, because it may be long.
func (c *Comparison) mergeAll(ctx context.Context, ranges []connector.KeyRange) error {
	if n := len(ranges); n > 1 && ranges[n-1].Upto == nil {
		if err := c.merge(ctx, ranges[:n-1]...); err != nil {
			return err
		}
		ranges = ranges[n-1:]
	}
	return c.merge(ctx, ranges...)
}

// readOn reads a stretch without digests, and gives the share of rows that are in buckets which differ.
func (p *push) readOn(ctx context.Context) (share float64, err error) {
	stretch := connector.KeyRange{After: p.after}
	p.over = p.stretch >= stretches
	if !p.over {
		bound, err := p.leader.digester.Bounds(ctx, p.after, max(p.every*p.n, bucketRows*firstBuckets*16)<<p.stretch, 1)
		if err != nil {
			return 0, err
		}
		if p.over = len(bound) == 0; !p.over {
			stretch.Upto, p.after = bound[0], bound[0]
		}
	}
	p.stretch++
	p.c.buckets, p.c.apart = 0, 0
	if err := p.c.merge(ctx, stretch); err != nil {
		return 0, err
	}
	return float64(p.c.apart) / float64(max(p.c.buckets, 1)), nil
}
