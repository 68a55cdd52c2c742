package intake

import (
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/relay"
	"github.com/waybill-hub/waybill/internal/submit"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// Observer is told what happens, for metrics and alarms. Its methods are called from many goroutines and must be quick.
type Observer interface {
	webhook.Observer
	relay.Observer
	submit.Observer
	// Read: a poll or file was read; fresh of its records had not been seen before.
	Read(flow string, records, fresh int)
	// Remarked: the last complete read had these remarks on the source's data, in place of those before; none: nothing is remarkable.
	Remarked(flow string, remarks []connector.Remark)
	// Unread: the source could not be read, and is tried again. The cause is the same for all of its kind; the text says more of this one time, and
	// holds no secret. ReadAgain: it was read.
	Unread(flow, cause, text string)
	ReadAgain(flow string)
}

// causeOf names the cause of a failure, the same for all of one kind.
func causeOf(err error) string {
	f, ok := fault.As(err)
	if !ok {
		return "other"
	}
	return strings.Trim(f.Kind.String()+" "+f.Code, " ")
}

const (
	// AlarmAuth: the system refuses the hub's credentials; the source is paused.
	AlarmAuth inbox.AlarmCode = "auth"
	// AlarmSource: the system cannot be read.
	AlarmSource inbox.AlarmCode = "source"
	// AlarmSweep: a sweep found more missing than may be deleted without a person.
	AlarmSweep inbox.AlarmCode = "sweep"
)

// NoObserver hears nothing.
type NoObserver struct{}

func (NoObserver) Answered(string, int, time.Duration)    {}
func (NoObserver) Relayed(string, int, int)               {}
func (NoObserver) Submitted(string, event.Trigger, int)   {}
func (NoObserver) Read(string, int, int)                  {}
func (NoObserver) Remarked(string, []connector.Remark)    {}
func (NoObserver) Unread(string, string, string)          {}
func (NoObserver) ReadAgain(string)                       {}
func (NoObserver) Refused(string, webhook.Reason, string) {}
func (NoObserver) Alarm(string, inbox.AlarmCode, string)  {}
