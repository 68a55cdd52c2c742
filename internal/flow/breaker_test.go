package flow

// close is what a message that gets through does.
func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(closed)
}
