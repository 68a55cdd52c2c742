package relay

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

// bundleOf is a row for the changes ID/0, ID/1, …, one for each document; an empty one is a deletion of the object.
func bundleOf(id string, docs ...string) state.Inbound {
	in := inboxtest.Inbound(id, "")
	in.Trace = inbox.Trace()
	for i, doc := range docs {
		headers := map[string]string{inbox.HeaderLocal: fmt.Sprint("l", i), inbox.HeaderVersion: "~1.7"}
		if doc == "" {
			headers[inbox.HeaderDeleted] = "true"
		}
		in.Bundle = append(in.Bundle, state.Bundled{ID: fmt.Sprintf("%s/%d", id, i), Headers: headers, Body: []byte(doc)})
	}
	return in
}

// TestBundle: each event of a bundle is what it would be with a row of its own, in its place, and what cannot be one is refused alone.
func TestBundle(t *testing.T) {
	large := `{"id":"a","x":"` + strings.Repeat("x", 1000) + `"}`
	onStores(t, func(t *testing.T, b *bench) {
		b.Topic.Refuse = upTo1000
		row := bundleOf("tx", `{"id":"a","n":1}`, `{"id":"b"}`, large, `{"n":2}`, `{"id":"a","n":3}`, "")
		b.Accept(inboxtest.Inbound("before", `{"id":"a"}`), row, inboxtest.Inbound("after", `{"id":"a"}`))
		b.start(Source{Key: inboxtest.Field("id")})
		b.Turn("all", func() bool { return b.Topic.Count() == 8 && b.Unpublished() == 0 })
		b.stop()
		var ids []string // of one key: the others may be on another partition
		for _, e := range b.Topic.Events() {
			if e.Key == "a" && e.Refused == nil {
				ids = append(ids, e.ID)
			}
		}
		if !slices.Equal(ids, []string{"before", "tx/0", "tx/4", "after"}) || len(b.Topic.IDs()) != 6 {
			t.Errorf("published %v, %v", ids, b.Topic.IDs())
		}
		traces := map[string]bool{}
		for _, e := range b.Topic.Events() {
			if !inbox.Minted(e.Trace) && strings.HasPrefix(e.ID, "tx/") {
				t.Errorf("the trace of %s: %s", e.ID, e.Trace)
			}
			traces[e.Trace] = true
			switch e.ID {
			case "tx/4":
				if e.Key != "a" || e.Version != "~1.7" || e.Operation != event.Upsert || string(e.Data) != `{"id":"a","n":3}` || !e.Accepted.Equal(b.Topic.Events()[0].Accepted) {
					t.Errorf("%+v", e)
				}
			case "tx/5":
				if e.Key != "l5" || e.Local != "l5" || e.Operation != event.Delete {
					t.Errorf("a deletion: %+v", e)
				}
			}
		}
		if len(traces) != 7 { // before and after have one
			t.Errorf("%d traces", len(traces))
		}
		refused := map[string]string{}
		for _, no := range b.Refused() {
			refused[no.ID] = no.Refused.Code
			if no.ID == "tx/2" {
				own, err := b.Store.Inbound(t.Context(), no.Refused.Inbox)
				if err != nil || string(own.Body) != large || own.Bundle != nil {
					t.Errorf("the document of %s: %+v, %v", no.ID, own, err)
				}
				continue
			}
			if no.Refused.Headers[inbox.HeaderLocal] != "l3" || string(no.Data) != `{"n":2}` {
				t.Errorf("%+v", no)
			}
		}
		if fmt.Sprint(refused) != fmt.Sprint(map[string]string{"tx/2": event.RefusedRecord, "tx/3": event.RefusedKey}) {
			t.Errorf("refused: %v", refused)
		}
		// What was refused for its key is mended, and read anew, alone.
		for _, no := range b.Refused() {
			if no.ID == "tx/3" {
				b.HandBack(no, `{"id":"c","n":2}`)
			}
		}
		b.start(Source{Key: inboxtest.Field("id")})
		b.Turn("the mended one", func() bool { return b.Topic.Count() == 9 && b.Unpublished() == 0 })
		if e := b.Topic.Events()[8]; e.ID != "tx/3" || e.Key != "c" || e.Version != "~1.7" {
			t.Errorf("mended: %+v", e)
		}
		for key, want := range map[string]string{"b": "tx/1", "l5": "tx/5"} {
			tr, err := b.Store.Trace(t.Context(), key)
			if err != nil || len(tr.Inbox) != 1 || tr.Inbox[0].ID != want || !tr.Inbox[0].Published || len(tr.Inbox[0].Positions) != 1 {
				t.Errorf("%s: %+v, %v", key, tr.Inbox, err)
			}
		}
	})
}

// TestBundleAfterACrash: a relay that dies before it has noted what it published publishes all of the bundle again, under the same ids and versions.
func TestBundleAfterACrash(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		b.Accept(bundleOf("t1", `{"id":"a"}`, `{"id":"b"}`, `{"id":"a"}`), bundleOf("t2", `{"id":"a"}`))
		var marks atomic.Int32
		b.between = func(s Store) Store { return &mortal{Store: s, marks: &marks, dies: 1} }
		b.start(Source{Key: inboxtest.Field("id")})
		b.Turn("the mark", func() bool { return marks.Load() == 1 })
		b.crash()
		before := b.Topic.Events()
		b.between = nil
		b.start(Source{Key: inboxtest.Field("id")})
		b.Turn("all", func() bool { return b.Unpublished() == 0 })
		b.stop()
		again := b.Topic.Events()[len(before):]
		if len(before) != 4 || fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", again) {
			t.Errorf("%d events, and then\n%+v\nwant\n%+v", len(before), again, before)
		}
	})
}
