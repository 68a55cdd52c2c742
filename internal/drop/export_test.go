package drop

// Gathering reports whether documents of an object type wait for others.
func (s *System) Gathering(object string) bool {
	b := s.batches[object]
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now != nil
}
