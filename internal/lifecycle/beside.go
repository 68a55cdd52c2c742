package lifecycle

import (
	"errors"
	"sync"
)

// SideBySide does the same to all of them at once, waits for every one, and gives what went wrong, in their order. A panic is an error like any other.
func SideBySide[T any](all []T, do func(T) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, one := range all {
		wg.Go(func() { errs[i] = Guard(func() error { return do(one) }) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
