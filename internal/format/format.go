// Package format turns bytes into documents and documents into bytes: CSV, JSON lines, columns of fixed width, XML, workbooks, Parquet, X12, EDIFACT and e-invoices. It knows nothing of where the bytes lie: a connector
// that fetches or puts files, whatever the transport, embeds Settings in its own and calls Read, Survey, Record and File.
package format

import (
	"errors"
	"fmt"
)

// Row is one document of a file. Number is 1-based, and the same whenever the same bytes are read by the same settings; Line is where it begins.
type Row struct {
	Number int
	Line   int
	// Doc is a JSON object. With an error of the row: as far as it can be shown, or nil.
	Doc []byte
}

// RowError is the failure of one row: it parks alone, and the rows after it are read.
type RowError struct {
	Err error
	// Column is the column whose value is at fault; empty where the row is as a whole.
	Column string
	// Cut: the bytes end in this row, so that the rest of it may just not be there yet.
	Cut bool
}

func (e *RowError) Error() string {
	if e.Column != "" {
		return "column " + e.Column + ": " + e.Err.Error()
	}
	return e.Err.Error()
}

func (e *RowError) Unwrap() error { return e.Err }

// FileError says that the bytes are no file of the format: nothing comes after it. Line is where, or 0.
type FileError struct {
	Line int
	Err  error
}

func (e *FileError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Err)
	}
	return e.Err.Error()
}

func (e *FileError) Unwrap() error { return e.Err }

var (
	errQuote    = errors.New("a quote is not closed")
	errTrailing = errors.New("text follows a closing quote")
	errBytes    = errors.New("bytes that are not of the file's encoding")
	errNUL      = errors.New("a byte 0: this is no text of the file's encoding")
	errLong     = errors.New("the line is too long")
)

// rows gives one row after the other, without numbers. io.EOF ends the file; a *RowError is one row's own failure, and every other error is
// the file's.
type rows interface {
	next() (Row, error)
	// end tells how the bytes ended. It is asked when next has given io.EOF.
	end() ending
}

// ending is what is known of a file once all of it was read.
type ending struct {
	// open: the last line has no line end. headed: a header was read; footed: the row after the data.
	open, headed, footed bool
	// missing says why the bytes may not be all of the file, where the format tells otherwise than by lines.
	missing error
}

// short bounds a value that an error shows.
func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}
