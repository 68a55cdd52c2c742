package file

import (
	"context"
	"sync"
	"time"
)

// batcher gathers records of callers that wait. The first caller of a batch writes it: when it is full, when its time has
// come, or when that caller must end. Every caller returns when its batch is written; none can leave before, because its
// record is in the file.
type batcher struct {
	max  int
	wait time.Duration

	mu  sync.Mutex
	now *batch
}

type batch struct {
	records [][]byte
	full    chan struct{}
	written chan struct{}
	name    string
	err     error
}

// add gives the record's number within its file, from 1, and the file's name.
func (b *batcher) add(ctx context.Context, record []byte, write func([][]byte) (string, error)) (n int, name string, err error) {
	b.mu.Lock()
	mine := b.now
	leader := mine == nil
	if leader {
		mine = &batch{full: make(chan struct{}), written: make(chan struct{})}
		b.now = mine
	}
	mine.records = append(mine.records, record)
	n = len(mine.records)
	if n == b.max {
		b.now = nil
		close(mine.full)
	}
	b.mu.Unlock()
	if !leader {
		<-mine.written
		return n, mine.name, mine.err
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
	mine.name, mine.err = write(mine.records)
	close(mine.written)
	return n, mine.name, mine.err
}
