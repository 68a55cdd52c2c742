// Package parquetdoc reads Parquet files as JSON documents, one row after the other, and writes documents as Parquet files.
//
// Files are read by code of its own, because they come from strangers: what a footer, a page's header or a page says of itself is judged before anything is allocated or unpacked by it, values are decoded
// one at a time, and what is held at once is bounded. Files are written by github.com/parquet-go/parquet-go, whose reader allocates what a file claims, and panics on some that are broken.
package parquetdoc

import "fmt"

// Error says that the bytes are no Parquet file that can be read.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func broken(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// ValueError is of one row: a value that cannot be shown, or a row that is too long. Path is the column's; empty: the row's as a whole.
type ValueError struct {
	Path string
	Err  error
}

func (e *ValueError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

func (e *ValueError) Unwrap() error { return e.Err }

// Bounds of a file that is read.
const (
	// mostFooter bounds the footer, packed values and all.
	mostFooter = 16 << 20
	// mostFields is how many columns and groups of them there are, mostLevels how many stand in each other.
	mostFields = 10_000
	mostLevels = 32
	// mostHeader bounds the header of a page, in which some writers put its least and its greatest text as a whole.
	mostHeader = 16 << 20
	// mostRows is how many rows a file has, and mostValues how many values in all of its columns: a few bytes can say that there are billions.
	mostRows   = 20_000_000
	mostValues = 500_000_000
	// mostPrecision is how many digits a decimal may have.
	mostPrecision = 76
)
