package webhook

import (
	"context"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Inbox is where a promise is kept before it is given.
type Inbox interface {
	// Accept commits the rows in one durable transaction. It says row by row whether the row is new, known, or known with another body; only
	// new rows are stored.
	Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error)
}

// Observer is told what happens, for metrics and alarms. Its methods are called from many goroutines and must be quick.
type Observer interface {
	// Answered: a request to a webhook was answered. The flow is empty where the path is unknown.
	Answered(flow string, status int, took time.Duration)
	// Refused: a request was refused at the door. The flow is empty where the path is unknown; detail is what the sender was told, and what the hub knows besides; it holds no secret.
	Refused(flow string, reason Reason, detail string)
	// Alarm: a person should look. An empty text ends the alarm.
	Alarm(flow string, code inbox.AlarmCode, text string)
}

// noObserver hears nothing.
type noObserver struct{}

func (noObserver) Answered(string, int, time.Duration)   {}
func (noObserver) Refused(string, Reason, string)        {}
func (noObserver) Alarm(string, inbox.AlarmCode, string) {}

// Config is what the handler needs.
type Config struct {
	Inbox    Inbox
	Clock    lifecycle.Clock
	Log      *slog.Logger // nil: silent
	Observer Observer     // nil: none
	// Memory bounds the bytes of bodies held at once, over all sources; 0: 64 MiB. Beyond it senders get 503.
	Memory int64
	// MinRate is the bytes a second below which a body that is on its way makes room for others where there is none; 0: 4 KiB.
	MinRate int64
	// AcceptTimeout is how long the store may take before the sender gets 503; 0: 4 s.
	AcceptTimeout time.Duration
	// Carries tells the largest record, in bytes, that a topic takes; nil, or 0: it is not known.
	Carries func(topic string) int64
	// Wake is called with the flow after something of it has been accepted; nil: nobody is told.
	Wake func(flow string)
}
