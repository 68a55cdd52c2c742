package console

import (
	"sync"
	"time"
)

// shared is an answer that all who look within a while share: one that costs the store more than a moment.
type shared[T any] struct {
	mu    sync.Mutex
	value T
	at    time.Duration // by the clock's Elapsed
	known bool
}

// get gives the answer of now, or one that is younger than fresh.
func (s *shared[T]) get(now, fresh time.Duration, ask func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && now-s.at < fresh {
		return s.value, nil
	}
	v, err := ask()
	if err == nil {
		s.value, s.at, s.known = v, now, true
	}
	return v, err
}

// forget has the next look ask anew.
func (s *shared[T]) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = false
}
