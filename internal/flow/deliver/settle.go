package deliver

import (
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// done is the fate of a delivery that the target has taken. asked: what it holds was looked up, and is no answer to the write.
func (d *delivery) done(ctx context.Context, res connector.Result, asked bool) *decide.Verdict {
	d.Target.Breaker.Success(d.key())
	d.to.Now = d.Clock.Now()
	local := res.Local
	if local == "" {
		local = d.write.Local
	}
	ref := &state.Ref{Entity: d.Event.Entity, Hub: d.Event.Hub, System: d.Target.Name, Local: local, ETag: res.ETag,
		Deleted: d.write.Action == connector.Delete, Instead: d.instead, Lost: d.lost, Updated: d.to.Now}
	if !d.isDelete() {
		ref.Known = d.knownAfter(ctx, ref, res, asked)
		if ref.Judged = true; d.to.Known.Ref != nil {
			ref.Before = d.to.Known.Ref.Known
		}
	}
	d.verdict = decide.Verdict{Outcome: state.Delivered, Called: true, Applied: d.to.Applied(), Closes: d.every(), Ref: ref}
	return &d.verdict
}

// settle completes a verdict: what becomes of the object and of the intent of the event, and what was done. What a call may have left in doubt stays
// open, and only its claim ends; what is certain is closed in the commit that stores the fate.
func (d *delivery) settle(v *decide.Verdict) *decide.Verdict {
	if v.Ref == nil {
		v.Ref = d.adopted // the object is there, whatever became of this write
	}
	if len(v.Closes) == 0 {
		switch d.calls.Ending() {
		case calls.KeepOwn:
			v.Left, v.Claimed = []state.Intent{d.intent()}, d.calls.Claimed()
		case calls.CloseAll:
			v.Closes = d.every()
		case calls.CloseOwn:
			v.Closes = []state.Intent{d.intent()}
		case calls.Nothing:
		}
	}
	v.External, v.Retried = d.to.Known.External, d.retried
	d.tell(v)
	if v.Outcome == state.Delivered || v.Outcome == state.Skipped {
		v.Source = d.Ref // sooner, the event would be taken for one that is done with when it is tried again
	}
	return v
}

// tell adds to the verdict what was done.
func (d *delivery) tell(v *decide.Verdict) {
	t := &v.Trail
	field, told := t.Field, t.Told
	*t = d.trail
	if t.Told = told; t.Told == "" {
		t.Told = d.met
	}
	if field != "" {
		t.Field = field
	}
	if v.Outcome == state.Delivered || v.Outcome == state.Skipped {
		t.Field = ""
	}
	if d.met != "" {
		t.Action = state.DidAdopt
	}
	if t.Action == "" && v.Outcome != state.Skipped && d.write.Action != "" {
		t.Action = d.did()
	}
	t.Lost = d.calls.LostHere()
}

// did names what the write does.
func (d *delivery) did() string {
	switch a := d.write.Action; {
	case a == connector.Update && d.isDelete():
		return state.DidDeactivate
	case a == connector.Create:
		return state.DidCreate
	case a == connector.Delete:
		return state.DidDelete
	}
	return state.DidUpdate
}

// keepAnswer keeps what the target said to the last call.
func (d *delivery) keepAnswer(res connector.Result, err error) {
	t := &d.trail
	t.Called, t.Action = true, d.did()
	t.Sent, t.Status, t.Answer, t.Field = nil, res.Status, res.Answer, ""
	if len(t.Answer) == 0 {
		t.Answer = res.Doc
	}
	if !decide.Same(d.write.Doc, d.Out) {
		t.Sent = d.write.Doc
	}
	if e, ok := fault.As(err); ok {
		t.Status, t.Answer, t.Field = e.Code, e.Answer, e.Field
	}
}

// concealed is an error in whose text personal data is masked.
type concealed struct {
	text  string
	cause error
}

func (e *concealed) Error() string { return e.text }
func (e *concealed) Unwrap() error { return e.cause }

// conceal masks personal data in what a system said about the message.
func (d *delivery) conceal(err error) error {
	if e, ok := fault.As(err); !ok || e.Err == nil {
		return err
	}
	if d.masks == nil {
		d.masks = d.Secrets(d.Event, d.Out)
	}
	return d.Line.conceal(err, d.masks)
}

// conceal masks personal data in what a system said: from here it goes to logs, to the status and to the stored queue.
func (l *Line) conceal(err error, masks *privacy.Values) error {
	e, ok := fault.As(err)
	if !ok || e.Err == nil {
		return err
	}
	text := masks.Text(e.Err.Error())
	if text == e.Err.Error() {
		return err
	}
	masked := *e
	masked.Err = &concealed{text, e.Err}
	return &masked
}
