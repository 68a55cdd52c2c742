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

// lately are answers that pages share which are made of the same news: when the hub has others they are asked for anew, so that a page that was told of a change shows it.
type lately struct {
	mu      sync.Mutex
	of      int64
	answers map[string]*lateAnswer
}

// lateAnswer is one of them; whoever comes first asks, and the others wait.
type lateAnswer struct {
	mu    sync.Mutex
	value any
}

// at is the place of an answer beside news.
func (l *lately) at(of int64, key string) *lateAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.of < of:
		l.of, l.answers = of, map[string]*lateAnswer{}
	case l.of > of: // what is newer is shared, and this one alone asks by itself
		return &lateAnswer{}
	}
	a := l.answers[key]
	if a == nil {
		a = &lateAnswer{}
		l.answers[key] = a
	}
	return a
}

// latest gives what the API answers, which is not to be changed: the same to all pages that are made of the same news for who may see the same.
func latest[T any](p *page, path string) (*T, error) {
	a := p.c.lately.at(p.newsNow(), p.rights()+path)
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, is := a.value.(*T); is {
		return v, nil
	}
	v := new(T)
	if err := p.get(path, nil, v); err != nil {
		return nil, err
	}
	a.value = v
	return v, nil
}
