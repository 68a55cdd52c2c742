package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// remembered are what a rule remembers, as "id document", gone through in pages.
func (b *bench) remembered(rule string, page int) (out []string) {
	b.t.Helper()
	for after := ""; ; {
		got, err := b.Remembered(b.ctx(), rule, after, page)
		b.no(err)
		for _, r := range got {
			out = append(out, r.Object+" "+string(r.Doc))
			after = r.Object
		}
		if len(got) < page {
			return out
		}
	}
}

func (b *bench) wantRemembered(rule string, want ...string) {
	b.t.Helper()
	if got := b.remembered(rule, 2); strings.Join(got, ",") != strings.Join(want, ",") {
		b.t.Errorf("%s remembers %q, want %q", rule, got, want)
	}
}

func testRuleMemory(t *testing.T, b *bench) {
	l := b.worker(state.RunRule, "terms", "hub-1")
	until := b.clock.Now().Add(time.Hour)
	remember := func(objects ...string) {
		t.Helper()
		var list []state.Remembered
		for _, o := range objects {
			id, doc, _ := strings.Cut(o, " ")
			list = append(list, state.Remembered{Object: id, Doc: []byte(doc), Until: until})
		}
		b.no(b.Remember(b.ctx(), l, "terms", list))
	}
	b.wantRemembered("terms")
	remember()
	remember(`1 {"class":"A"}`, `2 {"class":"B"}`, `3 {}`)
	remember(`2 {"class":"C"}`, `4 {"class":"D"}`)
	b.wantRemembered("terms", `1 {"class":"A"}`, `2 {"class":"C"}`, `3 {}`, `4 {"class":"D"}`)
	b.wantRemembered("other")
	got, err := b.Remembered(b.ctx(), "terms", "3", 0)
	b.no(err)
	if len(got) != 1 || got[0].Object != "4" || !got[0].Until.Equal(until) {
		t.Errorf("%+v", got)
	}

	b.no(b.ForgetRemembered(b.ctx(), "terms", "2", "ann", "the terms are agreed"))
	if err := b.ForgetRemembered(b.ctx(), "terms", "2", "ann", ""); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("forgotten twice: %v", err)
	}
	b.wantRemembered("terms", `1 {"class":"A"}`, `3 {}`, `4 {"class":"D"}`)
	audit, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 1})
	b.no(err)
	if len(audit) != 1 || audit[0].Who != "ann" || audit[0].Action != "forget" || audit[0].Object != "rule/terms" || audit[0].Detail != "what is remembered of 2: the terms are agreed" {
		t.Errorf("audit %+v", audit)
	}

	// Another rule's lease, and one that another hub has by now, keep nothing.
	other := b.worker(state.RunRule, "other", "hub-1")
	if err := b.Remember(b.ctx(), other, "terms", []state.Remembered{{Object: "9", Doc: []byte("{}")}}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under another rule's lease: %v", err)
	}
	b.no(b.ReleaseLease(b.ctx(), l))
	b.worker(state.RunRule, "terms", "hub-2")
	if err := b.Remember(b.ctx(), l, "terms", []state.Remembered{{Object: "9", Doc: []byte("{}")}}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under a lease that is lost: %v", err)
	}
	b.wantRemembered("terms", `1 {"class":"A"}`, `3 {}`, `4 {"class":"D"}`)
}

// testRuleMemoryOrder: ids come in the order of their bytes, whatever the database's language is.
func testRuleMemoryOrder(t *testing.T, b *bench) {
	l := b.worker(state.RunRule, "r", "hub-1")
	ids := []string{"b", "a", "B", "A", "_", "10", "9", "é", "e", "z", "a b", "a-b", "ab", "\u00fc", "\U0001F600", "A\u0301"}
	var list []state.Remembered
	for _, id := range ids {
		list = append(list, state.Remembered{Object: id, Doc: []byte("1")})
	}
	b.no(b.Remember(b.ctx(), l, "r", list))
	slices.Sort(ids)
	want := make([]string, len(ids))
	for i, id := range ids {
		want[i] = id + " 1"
	}
	b.wantRemembered("r", want...)
}

func testPruneRuleMemory(t *testing.T, b *bench) {
	l := b.worker(state.RunRule, "r", "hub-1")
	now := b.clock.Now()
	var list []state.Remembered
	const n = 2500 // more than one transaction removes
	for i := range n {
		list = append(list, state.Remembered{Object: fmt.Sprintf("%04d", i), Doc: []byte("1"), Until: now.Add(time.Hour)})
	}
	list = append(list, state.Remembered{Object: "x", Doc: []byte("1"), Until: now.Add(3 * time.Hour)})
	b.no(b.Remember(b.ctx(), l, "r", list))
	for _, c := range []struct {
		at   time.Duration
		left int
	}{{0, n + 1}, {2 * time.Hour, 1}, {4 * time.Hour, 0}} {
		_, err := b.Prune(b.ctx(), now.Add(c.at))
		b.no(err)
		if got := len(b.remembered("r", 1000)); got != c.left {
			t.Errorf("after %s: %d left, want %d", c.at, got, c.left)
		}
	}
}
