package store

// GatherFew has the journal's index written behind every few rows, in small pieces; it is called before anything is written.
func (s *Store) GatherFew() { s.index.gather, s.index.least = 20, 8 }
