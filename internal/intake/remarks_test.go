package intake

import (
	"errors"
	"reflect"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

func remarked(cursor string, more bool, remarks ...connector.Remark) step {
	return step{page: connector.Page{Cursor: cursor, More: more, Remarks: remarks}}
}

// TestRemarks: what a complete read has to say is shown until a complete read no longer says it, and told once a change.
func TestRemarks(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		ahead := connector.Remark{Kind: connector.Ahead, Local: "2", Version: "2062-11-28T10:00:00Z", Count: 1}
		bare := connector.Remark{Kind: connector.Unstamped, Local: "17", Count: 2}
		s := &script{}
		s.add(remarked("1", true, ahead, bare), remarked("2", false, connector.Remark{Kind: connector.Unstamped, Local: "18"})) // one read of two pages
		s.add(remarked("2", false, ahead, connector.Remark{Kind: connector.Unstamped, Local: "17", Count: 3}))                  // the same again
		s.add(remarked("2", true), step{err: errors.New("down")})                                                               // not complete
		in := b.start(polled(s))
		b.Turn("the broken read", func() bool { return s.left() == 0 && in.States()["orders"].State == SourceFailing })
		want := []connector.Remark{ahead, {Kind: connector.Unstamped, Local: "17", Count: 3}}
		if got := in.States()["orders"].Remarks; !reflect.DeepEqual(got, want) {
			t.Errorf("remarks %+v, want %+v", got, want)
		}
		polls := len(s.requests())
		b.Turn("a quiet read", func() bool { return len(s.requests()) >= polls+2 })
		if got := in.States()["orders"].Remarks; len(got) != 0 {
			t.Errorf("a read without remarks leaves %+v", got)
		}
		b.seen.mu.Lock()
		defer b.seen.mu.Unlock()
		if len(b.seen.remarked) != 2 || !reflect.DeepEqual(b.seen.remarked[0], want) || len(b.seen.remarked[1]) != 0 {
			t.Errorf("told %+v", b.seen.remarked)
		}
	})
}

func TestRemarkText(t *testing.T) {
	for _, test := range []struct {
		remark connector.Remark
		want   string
	}{
		{connector.Remark{Kind: connector.Ahead, Local: "2", Version: "2062-11-28T10:00:00Z", Count: 1}, "1 record is stamped ahead of the clock: 2 at 2062-11-28T10:00:00Z"},
		{connector.Remark{Kind: connector.Ahead, Local: "2", Version: "2099", Count: 4}, "4 records are stamped ahead of the clock, such as 2 at 2099"},
		{connector.Remark{Kind: connector.Unstamped, Local: "17", Count: 3}, "3 records have no stamp, so that polls cannot tell when they change, such as 17"},
		{connector.Remark{Kind: connector.Unstamped, Count: 1}, "1 record has no stamp, so that polls cannot tell when it changes"},
		{connector.Remark{Kind: connector.Moving, Count: 1}, "the list moved all the time while it was read: what was passed over is not known, and it is read again from where it began"},
		{connector.Remark{Kind: connector.Failed, Local: "failed/a.csv", Version: "no header", Count: 1}, "1 file has failed, and waits for a person: failed/a.csv (no header)"},
		{connector.Remark{Kind: connector.Failed, Local: "failed/a.csv", Count: 2}, "2 files have failed, and wait for a person, such as failed/a.csv"},
		{connector.Remark{Kind: connector.Lost, Local: "orders", Version: "2026-11-28T10:00:00Z", Count: 7}, "7 places of orders were gone before they were read, at 2026-11-28T10:00:00Z: whatever records they held are lost to this flow"},
		{connector.Remark{Kind: connector.Kept, Local: "waybill", Version: "over 1GiB", Count: 1}, "the system keeps its log for waybill: over 1GiB"},
		{connector.Remark{Kind: connector.Schema, Local: "orders", Version: "column note went", Count: 1}, "the table orders has changed: column note went"},
		{connector.Remark{Kind: connector.Anew, Local: "orders", Version: "2026-11-28T10:00:00Z", Count: 1}, "orders was made anew, or cut off, at 2026-11-28T10:00:00Z: it is read from its beginning"},
		{connector.Remark{Kind: "odd", Local: "x", Count: 1}, "1 record is remarkable: odd: x"},
	} {
		if got := RemarkText(test.remark); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
