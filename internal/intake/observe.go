package intake

import (
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Observer is told what happens, for metrics and alarms. Its methods are called from many goroutines and must be quick.
type Observer interface {
	// Answered: a request to a webhook was answered. The flow is empty where the path is unknown.
	Answered(flow string, status int, took time.Duration)
	// Relayed: events got their place on the topic, and refusals theirs.
	Relayed(flow string, published, refused int)
	// Read: a poll or file was read; fresh of its records had not been seen before.
	Read(flow string, records, fresh int)
	// Remarked: the last complete read had these remarks on the source's data, in place of those before; none: nothing is remarkable.
	Remarked(flow string, remarks []connector.Remark)
	// Alarm: a person should look. An empty text ends the alarm.
	Alarm(flow string, code AlarmCode, text string)
}

// AlarmCode names what an alarm is about.
type AlarmCode string

const (
	// AlarmConflict: a delivery id came again with another body; it was refused.
	AlarmConflict AlarmCode = "delivery-conflict"
	// AlarmAuth: the system refuses the hub's credentials; the source is paused.
	AlarmAuth AlarmCode = "auth"
	// AlarmSource: the system cannot be read.
	AlarmSource AlarmCode = "source"
	// AlarmSweep: a sweep found more missing than may be deleted without a person.
	AlarmSweep AlarmCode = "sweep"
	// AlarmRelay: the inbox cannot be carried to the topic.
	AlarmRelay AlarmCode = "relay"
)

// NoObserver hears nothing.
type NoObserver struct{}

func (NoObserver) Answered(string, int, time.Duration) {}
func (NoObserver) Relayed(string, int, int)            {}
func (NoObserver) Read(string, int, int)               {}
func (NoObserver) Remarked(string, []connector.Remark) {}
func (NoObserver) Alarm(string, AlarmCode, string)     {}
