package backfill

import (
	"slices"
	"time"
)

const (
	// mostAtOnce is how many objects are under way together at most.
	mostAtOnce = 256
	// probeEvery is after how many pieces of work one object is sent alone, so that what the way through the flow takes by itself is known: of the last
	// probes the one in the middle counts, because any may have met something else. So nothing is sent together before there are as many: the first one
	// alone may have waited for connections that are opened.
	probeEvery = 64
	probes     = 3
	// mostSlower is how long a piece of work may take beside live traffic, which takes as much longer then, in percent of one object alone; grace is what is no
	// sign of anything. One piece alone that took longer is none either: two of the last three are.
	mostSlower = 150
	grace      = 5 * time.Millisecond
	// mostCalm and calmPiece are how many times as long, or how long, a piece may take where nothing else comes: less than calmRate messages a second.
	mostCalm  = 2
	calmPiece = 250 * time.Millisecond
	calmRate  = 1
	// mostRest is how many times as long as it has worked a backfill rests beside live traffic: where busyRate messages a second or more come in, or one is
	// under way at any time, which less do of what takes longer. Beside less it rests less, and without any not at all.
	mostRest = 8
	busyRate = 50
	// restUpTo bounds one rest: what takes that long waits for a system, and is in nobody's way.
	restUpTo = 2 * time.Second
)

// pace says how many objects are sent together, and how long to rest between. The more are under way, the more a target that is busy with them takes for
// each, and whatever else goes there waits behind them: so there are as many as take little longer than one alone does.
type pace struct {
	size  float64
	since int // pieces of work since the last probe
	alone []time.Duration
	slow  [2]bool // the two pieces before took too long
}

// next is how many objects to send now.
func (p *pace) next() int {
	if p.size < 1 {
		p.size = 1
	}
	if len(p.alone) < probes || p.since >= probeEvery {
		return 1
	}
	return int(p.size)
}

// done notes that n objects have come through, how long that took, and how many messages of others a second went through the hub meanwhile. It gives how
// long to rest.
func (p *pace) done(n int, took time.Duration, live float64) time.Duration {
	asked, longest := p.next(), mostSlower*p.lone()/100+grace
	if live < calmRate {
		longest = max(mostCalm*p.lone(), calmPiece)
	}
	p.since++
	switch {
	case n == 1 && asked == 1 && (len(p.alone) < probes || p.since > probeEvery):
		p.alone = append(p.alone, took)
		p.alone = p.alone[max(0, len(p.alone)-probes):]
		p.since = 0
		p.size++
	case took > longest && (p.slow[0] || p.slow[1]):
		p.size, p.slow = max(1, min(p.size/2, p.size*float64(longest)/float64(took))), [2]bool{}
	case took > longest:
		p.slow = [2]bool{p.slow[1], true}
	case n >= asked: // less than that says nothing
		p.size = min(mostAtOnce, p.size*5/4+1)
		fallthrough
	default:
		p.slow = [2]bool{p.slow[1], false}
	}
	share := min(1, max(live/busyRate, live*p.lone().Seconds()))
	return min(restUpTo, time.Duration(share*mostRest*float64(took)))
}

// lone is how long one object alone takes.
func (p *pace) lone() time.Duration {
	if len(p.alone) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.alone))
	return sorted[len(sorted)/2]
}
