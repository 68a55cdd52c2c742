// Package intake reads systems: polls, files and sweeps. What it reads is committed to the store's inbox together with how far it came. It also
// begins, changes and ends all that a flow's source needs: its reader, its relay, and its webhook.
package intake

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/relay"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// Inbox is where a promise is kept before it is given.
type Inbox interface {
	// Accept commits the rows and, where given, the cursor in one durable transaction, under the lease where one is given (else
	// state.ErrFenced). It says row by row whether the row is new, known, or known with another body; only new rows are stored.
	Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error)
}

// Runs keeps a record of polls and file reads, and how far they came.
type Runs interface {
	Cursor(ctx context.Context, flow string) (state.Cursor, error)
	StartRun(ctx context.Context, run state.Run) (int64, error)
	EndRun(ctx context.Context, run state.Run) error
	Runs(ctx context.Context, f state.RunFilter) ([]state.Run, error)
}

// Store is everything that intake needs to be remembered.
type Store interface {
	Inbox
	lease.Store
	relay.Store
	Runs
	Wishes
	Known
	submit.Inbox
	relay.GroupStore
}

// Source is where one flow's events come from. Exactly one of Webhook, Poll and Files is set, or none where the flow reads a topic that others fill.
type Source struct {
	Flow   string
	Entity string
	// System is empty where the flow reads a topic that others fill: only what is submitted comes through the inbox then.
	System string
	// Topic is where the relay publishes: in.<flow>, or the topic that others fill.
	Topic string
	// Known: the events on a topic that others fill carry hub ids.
	Known bool
	// MaxEvents and MaxBytes bound what the hub itself submits at once; 0: 10,000 and 4 MiB.
	MaxEvents int
	MaxBytes  int64
	// Onward is the topic to which the flow sends documents as they are; empty: it maps them, or delivers to a system.
	Onward string
	// Key is the business key. A nil Key means the object's id in the system, which only polls know.
	Key inbox.Eval
	// ID is the object's id in the system as the flow computes it; nil: the key.
	ID inbox.Eval
	// Versioned: the flow reads a version out of the document itself. Otherwise events carry the source's own version where it
	// has one, else the number of the inbox row, which says the order of acceptance.
	Versioned bool
	Webhook   *webhook.Endpoint
	Poll      *Poll
	Files     *Files
	// Finder asks the system for one object; nil: it cannot be asked.
	Finder *Finder
	// Lists reads everything that the system holds; nil: it cannot be.
	Lists *Lists
	// Health is told how reading the system goes, and tells when it is back; nil: nobody is.
	Health Health
}

// Health is the hub's record of one system, as far as it is read.
type Health interface {
	// Success: the system was read for the flow. Failure: it was not. Refused: it refuses the hub's credentials.
	Success(flow string)
	Failure(flow string, cause error)
	Refused(cause error) (first bool)
	// Backs counts how often the system came back: what failed is to be tried again when this has changed.
	Backs() int
}

// noHealth keeps no record.
type noHealth struct{}

func (noHealth) Success(string)        {}
func (noHealth) Failure(string, error) {}
func (noHealth) Refused(error) bool    { return true }
func (noHealth) Backs() int            { return 0 }

// unread notes that a source could not be read, where that is the system's doing: the hub's own store may have failed as well.
func (s *Source) unread(err error) {
	f, ok := fault.As(err)
	switch {
	case !ok || f.System != s.System:
	case f.Kind == fault.Auth:
		s.Health.Refused(err)
	default:
		s.Health.Failure(s.Flow, err)
	}
}

// ofHub reports whether a failure is that of the hub's own store, which names itself so, and not what the source does.
func (s *Source) ofHub(err error) bool {
	f, ok := fault.As(err)
	return ok && f.System == "store" && s.System != "store"
}

// Timetable says when a poll is due.
type Timetable interface {
	Next(after time.Time) time.Time
}

// Poll asks a system for changes.
type Poll struct {
	Poller  connector.Poller
	Object  string
	When    Timetable
	Overlap time.Duration
	// Limit bounds a page; 0: the source's own.
	Limit int
	// Stream names the log that the object is read from, together with others of the system; empty: it is polled for itself.
	Stream string
	// Sweep is how what polls cannot see is found; nil: it is not.
	Sweep *Sweep
}

// Files watches a drop.
type Files struct {
	Source connector.FileSource
	Object string
	When   Timetable
	// Chunk is how many rows are committed at once; 0: 500.
	Chunk int
}
