package drop

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// batcher gathers records of callers that wait. The first caller of a batch writes it: when it is full, when its time has
// come, or when that caller must end. Every caller returns when its batch is written; none can leave before, because its
// record is in the file. Right before that each is asked whether its record may still be written.
type batcher struct {
	max  int
	wait time.Duration

	mu  sync.Mutex
	now *batch
}

type batch struct {
	members []*member
	full    chan struct{}
	written chan struct{}
	name    string
	err     error
}

type member struct {
	record []byte
	ask    func() error
	n      int
	err    error // of ask: the record is not in the file
}

// add gives the record's number within its file, from 1, and the file's name.
func (b *batcher) add(ctx context.Context, record []byte, ask func() error, write func([][]byte) (string, error)) (n int, name string, err error) {
	b.mu.Lock()
	mine := b.now
	leader := mine == nil
	if leader {
		mine = &batch{full: make(chan struct{}), written: make(chan struct{})}
		b.now = mine
	}
	me := &member{record: record, ask: ask}
	mine.members = append(mine.members, me)
	if len(mine.members) == b.max {
		b.now = nil
		close(mine.full)
	}
	b.mu.Unlock()
	if !leader {
		<-mine.written
		return me.n, mine.name, cmp.Or(me.err, mine.err)
	}
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-mine.full:
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	if b.now == mine {
		b.now = nil
	}
	b.mu.Unlock()
	var records [][]byte
	for _, m := range mine.members {
		if m.err = m.ask(); m.err == nil {
			records = append(records, m.record)
			m.n = len(records)
		}
	}
	if len(records) > 0 {
		mine.name, mine.err = write(records)
	}
	close(mine.written)
	return me.n, mine.name, cmp.Or(me.err, mine.err)
}
