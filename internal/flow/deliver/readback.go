package deliver

import (
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/state"
)

// knownAfter is the target's state after a write, as the inbound flow will see it: from the answer or read back. asked: see decide.Target.KnownAfter.
func (d *delivery) knownAfter(ctx context.Context, ref *state.Ref, res connector.Result, asked bool) *state.Known {
	if !d.Reads.Tells() {
		return nil
	}
	doc := res.Doc
	if doc == nil {
		doc = d.readBack(ctx, ref)
	}
	return d.to.KnownAfter(ctx, &d.write, doc, asked)
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
