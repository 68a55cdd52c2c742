package deliver

import (
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/state"
)

// knownAfter is the target's state after a write, as the inbound flow will see it: from the answer or read back. Where it cannot be told, the last
// known one stays: at worst an echo passes and finds everything as it is. asked: see decide.Target.KnownAfter.
func (d *delivery) knownAfter(ctx context.Context, ref *state.Ref, res connector.Result, asked bool) *state.Known {
	if !d.Reads.Tells() {
		return nil
	}
	doc := res.Doc
	if doc == nil {
		doc = d.readBack(ctx, ref)
	}
	known := d.to.KnownAfter(ctx, &d.write, doc, asked)
	if known == nil || d.overtaken(ctx) {
		return nil
	}
	return known
}

// readBack gives the object as the target holds it some time after the write, or nil.
func (d *delivery) readBack(ctx context.Context, ref *state.Ref) []byte {
	finder, ok := d.Target.finder()
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.Target.patience())
	defer cancel()
	got, err := finder.Find(ctx, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Local: ref.Local})
	if err != nil || len(got) != 1 {
		return nil
	}
	if ref.ETag != "" && got[0].ETag != "" && ref.ETag != got[0].ETag {
		return nil // somebody was quicker than this look
	}
	if ref.ETag == "" {
		ref.ETag = got[0].ETag
	}
	return got[0].Doc
}

// overtaken reports whether the hub has received another state of the object while it was writing: that one is news which the
// write has overwritten, so what comes next from there must not count as an echo.
func (d *delivery) overtaken(ctx context.Context) bool {
	now, err := d.Store.Target(ctx, d.Event.Entity, d.Event.Hub, d.Target.Name, d.Event.Origin)
	if err != nil {
		return true
	}
	return knownEvent(now.Ref) != knownEvent(d.to.Known.Ref)
}

func knownEvent(r *state.Ref) string {
	if r == nil || r.Known == nil {
		return ""
	}
	return r.Known.EventID
}
