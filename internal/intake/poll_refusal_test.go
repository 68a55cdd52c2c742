package intake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/inbox"
)

// unread is a record that cannot be read.
func unread(local, version, doc, why string) connector.Record {
	return connector.Record{Local: local, Version: version, Doc: []byte(doc), Err: errors.New(why)}
}

// came lists what was published: "id=doc" of events, "!id=doc" of refusals without their ids where those are minted or digests.
func (b *bench) came() (out []string) {
	for _, e := range b.Topic.Events() {
		name := e.Key
		if e.Refused != nil {
			name = "!" + e.Refused.Headers[inbox.HeaderLocal]
		}
		out = append(out, name+"="+string(e.Data))
	}
	return out
}

// TestUnreadableRecords: one record that cannot be read is refused alone, once for as long as it stays as it is, also by the next hub; one
// that has changed, or is put right, is taken again, and so is one that is spoiled anew.
func TestUnreadableRecords(t *testing.T) {
	good := func(local, version string) connector.Record { return rec(local, version, `{"k":"`+local+`"}`) }
	for name, c := range map[string]struct {
		// steps are pages; "restart" lies between two lists of them.
		steps [][][]connector.Record
		want  []string
	}{
		"between others": {
			[][][]connector.Record{{{good("1", "1"), unread("2", "1", `{"k":"2"}`, "NaN"), good("3", "1")}}},
			[]string{`1={"k":"1"}`, `!2={"k":"2"}`, `3={"k":"3"}`},
		},
		"shown again": {
			[][][]connector.Record{{{unread("2", "1", `{}`, "NaN")}, {unread("2", "1", `{}`, "NaN"), good("4", "1")}, {unread("2", "1", `{}`, "NaN")}}},
			[]string{`!2={}`, `4={"k":"4"}`},
		},
		"shown again without a version": {
			[][][]connector.Record{{{unread("2", "", `{}`, "NaN")}, {unread("2", "", `{}`, "NaN")}}},
			[]string{`!2={}`},
		},
		"shown again to the next hub": {
			[][][]connector.Record{{{unread("2", "1", `{}`, "NaN"), unread("3", "", ``, "NaN"), unread("", "", `{"a":1}`, "no id")}},
				{{unread("2", "1", `{}`, "NaN"), unread("3", "", ``, "NaN"), unread("", "", `{"a":1}`, "no id"), good("9", "1")}}},
			[]string{`!2={}`, `!3=null`, `!={"a":1}`, `9={"k":"9"}`},
		},
		"without an id": {
			[][][]connector.Record{{{unread("", "1", `{"a":1}`, "no id"), unread("", "1", `{"a":2}`, "no id"), good("1", "1")}, {unread("", "1", `{"a":2}`, "no id"), unread("", "1", `{"a":1}`, "no id")}}},
			[]string{`!={"a":1}`, `!={"a":2}`, `1={"k":"1"}`},
		},
		"without an id, one at a time": {
			[][][]connector.Record{{{unread("", "1", `{"a":1}`, "no id"), unread("", "1", `{"a":2}`, "no id")}, {unread("", "1", `{"a":1}`, "no id")}, {unread("", "1", `{"a":2}`, "no id")}}},
			[]string{`!={"a":1}`, `!={"a":2}`},
		},
		"changed": {
			[][][]connector.Record{{{unread("2", "1", `{}`, "NaN")}, {unread("2", "2", `{}`, "NaN")}, {unread("2", "2", `{"a":1}`, "NaN")}, {unread("2", "2", `{"a":1}`, "infinity")}}},
			[]string{`!2={}`, `!2={}`, `!2={"a":1}`, `!2={"a":1}`},
		},
		"put right": {
			[][][]connector.Record{{{unread("2", "1", `{}`, "NaN")}, {good("2", "2")}}},
			[]string{`!2={}`, `2={"k":"2"}`},
		},
		"put right and spoiled anew, under one version": {
			[][][]connector.Record{{{unread("2", "1", `{}`, "NaN")}, {good("2", "1")}, {unread("2", "1", `{}`, "NaN")}, {unread("2", "1", `{}`, "NaN")}}},
			[]string{`!2={}`, `2={"k":"2"}`, `!2={}`},
		},
		"put right and spoiled anew, without versions": {
			[][][]connector.Record{{{unread("2", "", `{}`, "NaN")}, {good("2", "")}, {unread("2", "", `{}`, "NaN")}, {unread("2", "", `{}`, "NaN")}}},
			[]string{`!2={}`, `2={"k":"2"}`, `!2={}`},
		},
		"what is no JSON": {
			[][][]connector.Record{{{unread("2", "1", `{"a":NaN}`, "NaN")}}},
			[]string{`!2="{\"a\":NaN}"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onStores(t, func(t *testing.T, b *bench) {
				for i, hub := range c.steps {
					s := &script{}
					for j, records := range hub {
						s.add(page(fmt.Sprint("c", i, j), records...))
					}
					b.start(polled(s))
					b.Turn("the polls", func() bool { return s.left() == 0 && b.Unpublished() == 0 })
					polls := len(s.requests())
					b.Turn("quiet polls", func() bool { return len(s.requests()) >= polls+2 && b.Unpublished() == 0 })
					b.stop()
				}
				got, want := b.came(), c.want
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("came %q, want %q", got, want)
				}
				ids := map[string]bool{}
				for _, e := range b.Topic.Events() {
					if ids[e.ID] {
						t.Errorf("the id %s came twice", e.ID)
					}
					ids[e.ID] = true
				}
			})
		})
	}
}

// What is said of a record that cannot be read: its place, the reason, and, where the flow goes by the source's ids, the id to search for.
func TestUnreadableRecordIsNamed(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		s := &script{}
		s.add(page("c1", unread("17", "2026-01-01T00:00:00Z", `{"k":"17","qty":null}`, "column qty: NaN is no number\nthat JSON has"), unread("", "", "", strings.Repeat("ü", 5000))))
		source := polled(s)
		source.Key = nil
		b.start(source)
		b.Turn("the refusals", func() bool { return len(b.Refused()) == 2 && b.Unpublished() == 0 })
		one, two := b.Refused()[0], b.Refused()[1]
		if one.ID != two.ID && one.Refused.Headers[inbox.HeaderLocal] == "" {
			one, two = two, one
		}
		if one.Key != "17" || one.Version != "2026-01-01T00:00:00Z" || one.Refused.Code != event.RefusedRow || one.Refused.Kind != "invalid" ||
			one.Refused.Reason != "sale: 17: column qty: NaN is no number that JSON has" || string(one.Data) != `{"k":"17","qty":null}` {
			t.Errorf("refused %+v %+v", one, one.Refused)
		}
		if two.Key != "" || !strings.HasPrefix(two.Refused.Reason, "sale: a record without an id: üü") || len(two.Refused.Reason) > 3000 || string(two.Data) != "null" {
			t.Errorf("refused %+v, %d bytes of reason", two, len(two.Refused.Reason))
		}
	})
}
