// Package idset compares two sides by the ids of what they hold: what one of them lacks.
package idset

import (
	"crypto/sha256"
	"iter"
)

// Set holds ids by their hashes: 16 bytes each, however long they are. The zero Set is empty and ready for use.
type Set struct{ hashes map[[16]byte]struct{} }

func hash(id string) [16]byte {
	sum := sha256.Sum256([]byte(id))
	return [16]byte(sum[:16])
}

// Add puts an id into the set.
func (s *Set) Add(id string) {
	if s.hashes == nil {
		s.hashes = map[[16]byte]struct{}{}
	}
	s.hashes[hash(id)] = struct{}{}
}

// Has reports whether the id is in the set.
func (s *Set) Has(id string) bool {
	_, ok := s.hashes[hash(id)]
	return ok
}

// Len is how many ids the set holds.
func (s *Set) Len() int { return len(s.hashes) }

// Lacking gives what the set lacks of all that the other side holds: the first of it, up to limit, and how much it is. An error of the other side ends
// it, and then nothing is known.
func Lacking[T any](s *Set, other iter.Seq2[T, error], id func(T) string, limit int) (first []T, lacking int, err error) {
	for one, err := range other {
		if err != nil {
			return nil, 0, err
		}
		if s.Has(id(one)) {
			continue
		}
		if lacking++; len(first) < limit {
			first = append(first, one)
		}
	}
	return first, lacking, nil
}
