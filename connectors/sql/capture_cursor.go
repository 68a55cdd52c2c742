package sql

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
)

// logCursor is how far a reader has come in the log. It is stored, as its text, in the commit of the records before it.
type logCursor struct {
	V    int    `json:"v"`
	Slot string `json:"slot"`
	// Server is the database cluster's own number: places in logs of others mean nothing.
	Server string `json:"server"`
	// LSN: whatever transaction commits before was taken.
	LSN lsnText `json:"lsn"`
	// Tx is the commit of a transaction of which N changes of the object's table were taken.
	Tx lsnText `json:"tx,omitempty"`
	N  int     `json:"n,omitempty"`
	// Snapshot, where not nil, is under way.
	Snapshot *snapshotPlace `json:"snapshot,omitempty"`
	// Columns are the table's, with their types, as the log or the snapshot had them last.
	Columns map[string]columnType `json:"columns,omitempty"`
	// Changed is what the table's last change was, and ChangedAt when it was seen.
	Changed   string    `json:"changed,omitempty"`
	ChangedAt time.Time `json:"changed_at,omitzero"`
}

// snapshotPlace is how many pages of a snapshot were taken. The snapshot holds what was committed before At, and nothing else.
type snapshotPlace struct {
	At   lsnText `json:"at"`
	Page int     `json:"page,omitempty"`
}

// columnType is a type's number and its modifier, such as the length.
type columnType struct {
	OID uint32 `json:"t"`
	Mod int32  `json:"m"`
}

// lsnText is a place in the log as PostgreSQL writes it; empty: none.
type lsnText string

func lsnTextOf(at pglogrepl.LSN) lsnText { return lsnText(at.String()) }

// lsn is the place; parseLogCursor has looked that it is one.
func (t lsnText) lsn() pglogrepl.LSN {
	if t == "" {
		return 0
	}
	at, _ := pglogrepl.ParseLSN(string(t))
	return at
}

const logCursorVersion = 1

// parseLogCursor reads one; the zero cursor where nothing was read yet.
func parseLogCursor(text string) (*logCursor, error) {
	c := &logCursor{}
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), c); err != nil || c.V != logCursorVersion || c.Slot == "" || c.LSN == "" || c.N < 0 {
		return nil, fmt.Errorf("the stored cursor is no place in a log: the object was polled before, or by another version of the hub")
	}
	places := []lsnText{c.LSN}
	if c.Tx != "" {
		places = append(places, c.Tx)
	}
	if c.Snapshot != nil {
		places = append(places, c.Snapshot.At)
	}
	for _, t := range places {
		if _, err := pglogrepl.ParseLSN(string(t)); err != nil {
			return nil, fmt.Errorf("the stored cursor holds %q, which is no place in a log", short(string(t)))
		}
	}
	return c, nil
}

func (c *logCursor) String() string {
	c.V = logCursorVersion
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // numbers, texts and times of this era always marshal
	}
	return string(b)
}

// began: something was read, so that there is a place to go on at.
func (c *logCursor) began() bool { return c.Slot != "" }

// advance: everything that commits before a place was taken.
func (c *logCursor) advance(to pglogrepl.LSN) {
	if to <= c.LSN.lsn() {
		return
	}
	c.LSN = lsnTextOf(to)
	if c.Tx.lsn() < to {
		c.Tx, c.N = "", 0
	}
}
