package flow

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/state"
)

// fate is what was decided about one message, before it is stored.
type fate struct {
	outcome state.Outcome
	reason  string // of a skip: one of the closed set; else the sentence for the operator
	kind    string
	code    string
	trail   trail

	send      *event.Record // to be on its topic before the fate counts
	ref       *state.Ref
	source    *state.Ref // of the source system, where ref is the target's
	applied   *state.Applied
	closes    []state.Intent
	left      []state.Intent // stay open: the message rests with its call in doubt
	claimed   bool           // left hold claims, which end
	doubtful  bool           // parked because nobody knows whether it was applied
	missing   *state.Missing
	notBefore time.Time
	tried     time.Duration
	external  string
	retried   int
	called    bool // a target was written: store it at once

	resubmit *state.Inbound // handed back to the inbox: no fate at all
}

func delivered() fate { return fate{outcome: state.Delivered} }

// skipped is a skip with one of the closed set of reasons, and the sentence that says why it is one.
func skipped(reason, format string, args ...any) fate {
	return fate{outcome: state.Skipped, reason: reason, trail: trail{told: fmt.Sprintf(format, args...)}}
}

func waiting(m *state.Missing) fate {
	return fate{outcome: state.Waiting, kind: "xref", missing: m, reason: missingText(m), code: m.Entity + "/" + m.System}
}
func parked(kind, code, reason string) fate {
	return fate{outcome: state.Parked, kind: kind, code: code, reason: reason}
}

func missingText(m *state.Missing) string {
	switch {
	case m.Intents:
		return fmt.Sprintf("the %s is unknown, and the hub is just creating objects of that kind in %s: it may be one of them", m.Entity, m.System)
	case m.Hub != "":
		return fmt.Sprintf("the %s %s has no id in %s yet", m.Entity, m.Hub, m.System)
	}
	return fmt.Sprintf("the %s %s of %s has not been seen yet", m.Entity, m.Local, m.System)
}

// refused is the fate of a document that a schema or mapping does not take.
func refused(stage string, err error) fate {
	f := refusedBy(stage, err)
	f.trail.field = refusedField(err)
	return f
}

func refusedBy(stage string, err error) fate {
	var miss *mapping.MissingRef
	if errors.As(err, &miss) {
		return waiting(&state.Missing{Entity: miss.Entity, System: miss.System, Hub: miss.Hub, Local: miss.Local})
	}
	var code *mapping.UnknownCode
	if errors.As(err, &code) {
		return parked("mapping", "value:"+code.Map+"/"+code.System+"/"+code.Code, err.Error())
	}
	var inv *schema.Invalid
	if errors.As(err, &inv) && len(inv.Problems) > 0 {
		v := inv.Problems[0]
		return parked("schema", v.Keyword+":"+indexes(v.Path), stage+": "+err.Error())
	}
	var me *mapping.Error
	if errors.As(err, &me) {
		return parked("mapping", me.Mapping+"/"+indexes(me.Field), err.Error())
	}
	return parked(stage, stage, err.Error())
}

// index is a position in a list, in the ways that schema and mapping write paths.
var index = regexp.MustCompile(`\[\d+\]|([./])\d+\b`)

// indexes replaces list positions in a path by *, so that one cause has one code.
func indexes(path string) string {
	return index.ReplaceAllStringFunc(path, func(m string) string {
		if m[0] == '[' {
			return "[*]"
		}
		return m[:1] + "*"
	})
}

// failed is the fate after a call that will not be tried again here.
func failed(err error) fate {
	kind, code := fault.KindOf(err).String(), ""
	if e, ok := fault.As(err); ok {
		code = e.System + "/" + e.Code
	}
	f := parked(kind, code, err.Error())
	f.trail.field = refusedField(err)
	return f
}
