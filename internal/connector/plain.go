package connector

import (
	"context"
	"errors"
	"time"
)

// Plain objects are rows of columns: two of them, in systems of one kind, are compared as what they are, without a document in between.

// PlainKind is implemented by kinds whose systems may be PlainReaders.
type PlainKind interface {
	Kind
	// Plain says from the settings alone what can be read plainly of an object.
	Plain(s Settings, object string) PlainSettings
}

// PlainSettings is what settings say of an object.
type PlainSettings struct {
	// Group is what two systems must have in common to be compared plainly: "sql/postgres". Empty: the object is not plain, for the reason Why.
	Group string
	Why   string
	// Columns are those that may be read plainly. Others are reasons why not, by name.
	Columns []string
	Others  map[string]string
}

// ErrNotPlain is wrapped where an object, or one of its columns, cannot be read plainly: documents of it can be.
var ErrNotPlain = errors.New("cannot be compared as plain columns")

// PlainReader is implemented by systems that can give objects as rows of columns, in the order of a key that all systems of its group share.
type PlainReader interface {
	System
	// PlainTable asks the system what an object's table is.
	PlainTable(ctx context.Context, object string) (PlainTable, error)
	// PlainOpen begins to read the object. The session is one caller's at a time.
	PlainOpen(ctx context.Context, object string, q PlainQuery) (PlainSession, error)
	// PlainLoad makes a small call and says how long it took, and how far what copies the system lags behind.
	PlainLoad(ctx context.Context) (PlainLoad, error)
}

// PlainTable is what a system says of an object's table.
type PlainTable struct {
	// Group as in PlainSettings.
	Group string
	// Forms are the forms in which a column can be given, the cheapest first, by the column's name. A column that has none is in Others, with
	// the reason.
	Forms  map[string][]PlainForm
	Others map[string]string
	// Rows is about how many rows there are, or were when the system counted last; -1: it does not know.
	Rows int64
}

// PlainQuery says what is read of a table: rows whose key has no null, as Key and Columns, each in one of the forms that PlainTable names.
type PlainQuery struct {
	Key     []PlainColumn
	Columns []PlainColumn
	// Salt goes into every digest: what one run takes for equal by chance, another does not.
	Salt int64
}

// PlainColumn is a column in a form.
type PlainColumn struct {
	Name string
	Form PlainForm
}

// KeyRange are the keys after After and up to Upto, both as PlainRows gives them; nil: from the first, to the last.
type KeyRange struct{ After, Upto [][]byte }

// PlainSession reads a table. It has a connection of its own.
type PlainSession interface {
	// Served says how the key is served.
	Served() PlainKeys
	// Unkeyed counts rows that have no key: null in a column of it.
	Unkeyed(ctx context.Context) (int64, error)
	// Rows gives the rows of ranges that lie apart and in order. One is open at a time.
	Rows(ranges ...KeyRange) PlainRows
	Close() error
}

// PlainKeys says how a table's key is served.
type PlainKeys struct {
	// Ordered: an index gives the key's order, so that a range is read alone. Without it the whole table is sorted for every reading.
	Ordered bool
	// Unique: the system itself keeps two rows from having the same key.
	Unique bool
	// Hint says what an index would have to be; empty where there is one.
	Hint string
}

// PlainRows gives rows in the order of their keys: PlainForm.Compare of the key's columns, from the first on. It is an error, and never an end, if not
// all rows of the ranges could be read.
type PlainRows interface {
	// Next goes to the next row; false: there is none.
	Next(ctx context.Context) (bool, error)
	// Row is the present row: the columns of the key, then the others; nil is null. It is good until the next call. err says why a row cannot be
	// given in the forms that were asked for.
	Row() (values [][]byte, err error)
	Close() error
}

// Digester is a PlainSession that can work out digests of ranges where the rows are. It needs keys that are ordered and unique.
type Digester interface {
	PlainSession
	// Bounds gives the key of every every-th row after after, at most n of them; fewer: there are no more.
	Bounds(ctx context.Context, after [][]byte, every, n int) ([][][]byte, error)
	// Digest gives the digest of each range. Of one with more than most rows it counts most+1, and the hash says nothing.
	Digest(ctx context.Context, ranges []KeyRange, most int) ([]Digest, error)
}

// Digest of a range's rows. Two of one group are equal where all rows are, in key and columns and as they stand in their forms, and only by a chance
// of 1 in 2^64 where they are not. Odd counts rows that cannot be given in the forms asked for.
type Digest struct {
	Count, Odd int64
	Hash       string
}

// PlainLoad is how a system does.
type PlainLoad struct {
	Latency time.Duration
	// Lag is how far the slowest copy of the system is behind it, or the system behind what it copies; 0: not at all, or nobody can tell.
	Lag time.Duration
}
