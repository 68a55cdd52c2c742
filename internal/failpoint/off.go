//go:build !failpoints

package failpoint

// Enabled reports whether this build has failpoints.
const Enabled = false

// Hit is a place where nothing can fail: the process may end there, or wait.
func Hit(Name) {}

// Fail is a place where an error may be given.
func Fail(Name) error { return nil }
