// Package decide says what becomes of a message by what its bytes say, what the plan wants, and what is known: without a store, a clock, a broker
// or a system. The engine, the dry run and `waybill test` ask the same functions.
//
// A Message goes through Read, Received (of flows from a system) and Map, in this order; then Forward makes the record for a topic, or a Target's
// Guard and Plan say what is to be called. Each gives a verdict where the message goes no further, and nil where it goes on. An error means that
// nothing is decided: the look-up has failed, or ctx has ended.
package decide

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/state"
)

// Verdict is what was decided about one message, before it is stored.
type Verdict struct {
	Outcome state.Outcome
	// Reason is that of a skip, one of the closed set; else the sentence for the operator. Kind and Code group messages of one cause.
	Reason, Kind, Code string
	Trail              Trail
	// Missing is what a waiting message waits for.
	Missing *state.Missing

	// Send is to be on its topic before the verdict counts.
	Send *event.Record
	// Ref is the new reference of the object where it was written, or found; Source that of the source system, where Ref is the target's.
	Ref, Source *state.Ref
	Applied     *state.Applied
	// Closes end with the verdict. Left stay open, because the message rests with its call in doubt; Claimed: they hold claims, which end.
	Closes, Left []state.Intent
	Claimed      bool
	// Doubtful: parked because nobody knows whether it was applied.
	Doubtful bool
	// NotBefore is when a held message is tried again; Tried is what counts against the flow's retry time.
	NotBefore time.Time
	Tried     time.Duration
	External  string
	Retried   int
	// Called: a target was written, so that the verdict is to be stored at once.
	Called bool
	// Resubmit is handed back to the inbox: the message has no fate at all.
	Resubmit *state.Inbound
}

// Trail is what was done about a message, for whoever wants to know later.
type Trail struct {
	Action string // one of the state.Did… words
	Field  string // that was refused
	Told   string // a sentence beyond outcome and reason
	Mapped []byte
	Sent   []byte // what was written, where that is not mapped
	Status string
	Answer []byte
	Called bool // the target was asked to write
	Lost   bool // and nobody knows whether it did
}

// Skip is a skip with one of the closed set of reasons, and the sentence that says why it is one.
func Skip(reason, format string, args ...any) *Verdict {
	return &Verdict{Outcome: state.Skipped, Reason: reason, Trail: Trail{Told: fmt.Sprintf(format, args...)}}
}

// Wait is for a message that waits for an object.
func Wait(m *state.Missing) *Verdict {
	return &Verdict{Outcome: state.Waiting, Kind: "xref", Missing: m, Reason: missingText(m), Code: m.Entity + "/" + m.System}
}

// Park is for a message that waits for a person.
func Park(kind, code, reason string) *Verdict {
	return &Verdict{Outcome: state.Parked, Kind: kind, Code: bounded(code), Reason: reason}
}

// unfit parks what has a key or an id that cannot be taken; nil: it can. what names it.
func unfit(code, what, name string) *Verdict {
	if err := event.CheckName(name); err != nil {
		return Park("mapping", code, what+" cannot be taken: "+err.Error())
	}
	return nil
}

// mostCode bounds the code of a cause, in bytes. It may hold a name or a value of the document, and stands in an index of the store, as keys do.
const mostCode = 400

// bounded is a code of bounded length: its beginning, and a digest by which equal ones stay equal.
func bounded(code string) string {
	if len(code) <= mostCode {
		return code
	}
	sum := sha256.Sum256([]byte(code))
	return strings.ToValidUTF8(code[:mostCode], "") + "…" + hex.EncodeToString(sum[:8])
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

// Refuse is for a document that a schema, an expression or a mapping does not take.
func Refuse(stage string, err error) *Verdict {
	v := refuse(stage, err)
	v.Trail.Field = refusedField(err)
	return v
}

func refuse(stage string, err error) *Verdict {
	var miss *mapping.MissingRef
	if errors.As(err, &miss) {
		for _, id := range []string{miss.Hub, miss.Local} {
			if v := unfit("xref", stage+": the id of the "+miss.Entity+" that is looked for", id); v != nil { // such an object never comes
				return v
			}
		}
		return Wait(&state.Missing{Entity: miss.Entity, System: miss.System, Hub: miss.Hub, Local: miss.Local})
	}
	var code *mapping.UnknownCode
	if errors.As(err, &code) {
		return Park("mapping", code.Direction+":"+code.Map+"/"+code.System+"/"+code.Code, err.Error())
	}
	var inv *schema.Invalid
	if errors.As(err, &inv) && len(inv.Problems) > 0 {
		p := inv.Problems[0]
		return Park("schema", p.Keyword+":"+indexes(p.Path), stage+": "+err.Error())
	}
	var me *mapping.Error
	if errors.As(err, &me) {
		return Park("mapping", me.Mapping+"/"+indexes(me.Field), err.Error())
	}
	return Park(stage, stage, err.Error())
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

// Fail is for a message whose call failed, and is not made again.
func Fail(err error) *Verdict {
	kind, code := fault.KindOf(err).String(), ""
	if e, ok := fault.As(err); ok {
		code = e.System + "/" + e.Code
	}
	v := Park(kind, code, err.Error())
	v.Trail.Field = refusedField(err)
	return v
}

// refusedField is the field that an error names.
func refusedField(err error) string {
	var inv *schema.Invalid
	if errors.As(err, &inv) && len(inv.Problems) > 0 {
		return inv.Problems[0].Path
	}
	var me *mapping.Error
	if errors.As(err, &me) {
		return me.Field
	}
	if e, ok := fault.As(err); ok {
		return e.Field
	}
	return ""
}

// Same reports whether two documents are the same piece of memory, or both are none.
func Same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
