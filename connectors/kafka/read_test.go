package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// reader reads a topic as the hub does: every page's cursor is stored as text, and the system may be opened anew after it.
type reader struct {
	t       testing.TB
	s       connector.Settings
	sys     *system
	cursor  string
	remarks []connector.Remark
}

func (o *other) reader(more ...string) *reader {
	s := o.settings(more...)
	return &reader{t: o.t, s: s, sys: open(o.t, s)}
}

// settings goes on under other settings.
func (r *reader) settings(s connector.Settings) { r.s, r.sys = s, open(r.t, s) }

func (r *reader) page(limit int) (connector.Page, error) {
	p, err := r.sys.Poll(r.t.Context(), connector.PollRequest{Object: "order", Cursor: r.cursor, Limit: limit})
	if err == nil {
		r.cursor, r.remarks = p.Cursor, p.Remarks
	}
	return p, err
}

// read reads until there is no more.
func (r *reader) read() []connector.Record {
	r.t.Helper()
	var out []connector.Record
	for range 1000 {
		p, err := r.page(0)
		if err != nil {
			r.t.Fatalf("poll: %v", err)
		}
		if out = append(out, p.Records...); !p.More {
			return out
		}
	}
	r.t.Fatal("the poll does not come to an end")
	return nil
}

// refused reads and expects a failure that says a text.
func (r *reader) refused(kind fault.Kind, texts ...string) {
	r.t.Helper()
	_, err := r.page(0)
	for _, text := range texts {
		if fault.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), text) {
			r.t.Errorf("%v, want %v with %q", err, kind, text)
		}
	}
}

func (r *reader) rewind(to string) error {
	if to == connector.RewindStart {
		r.cursor = ""
		return nil
	}
	again, err := r.sys.RewindTo("order", r.cursor, to)
	if err == nil {
		r.cursor = again
	}
	return err
}

// short is what records are, one by one: id, document or what is wrong with it.
func short(records []connector.Record) string {
	var out []string
	for _, r := range records {
		text := r.Local + "=" + string(r.Doc)
		switch {
		case r.Err != nil:
			_, why, _ := strings.Cut(r.Err.Error(), ": ")
			_, why, _ = strings.Cut(why, ": ")
			text = r.Local + " ! " + why
		case r.Deleted:
			text = r.Local + " deleted"
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

func wants(t testing.TB, what string, got []connector.Record, want ...string) {
	t.Helper()
	if g := short(got); g != strings.Join(want, "\n") {
		t.Errorf("%s: got\n%s\nwant\n%s", what, g, strings.Join(want, "\n"))
	}
}

// TestRecords: every kind of record that others write.
func TestRecords(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 1)
		o.put(
			o.record(0, "K-1", `{"a":1.10}`),
			o.record(0, "K-1", "-"),
			o.record(0, "-", `{"n":1}`),
			o.record(0, "-", `{"n":1}`), // an event of its own, although it says the same
			o.record(0, "-", "-"),
			o.record(0, "", `{"n":2}`),
			o.record(0, "K-2", "\ufeff"+`{"b":"with a byte order mark"}`),
			o.record(0, "K-3", `{"c":NaN}`),
			o.record(0, "K-4", ``),
			o.record(0, "K-5", `[{"a":1}]`),
			o.record(0, "\xff\xfe", `{"d":1}`),
			o.record(0, "a\x00b", `{"d":1}`),
			o.record(0, strings.Repeat("k", 1025), `{"d":1}`),
			o.record(0, "K-6", `{"big":"`+strings.Repeat("x", 2000)+`"}`),
			o.record(0, "K-7", `{"e":1}`),
		)
		r := o.reader("read: {max-value: 1KiB}")
		got := r.read()
		wants(t, "all of them", got,
			`K-1={"a":1.10}`,
			`K-1 deleted`,
			`={"n":1}`,
			`={"n":1}`,
			` ! the record has neither a key nor a value: it says nothing`,
			`={"n":2}`,
			`K-2={"b":"with a byte order mark"}`,
			`K-3 ! the value is no JSON: 1:6: expected a value, found 'N'`,
			`K-4 ! the value is no JSON: 1:1: expected a value, found the end of the document`,
			`K-5=[{"a":1}]`,
			` ! the key is no text (UTF-8): say what it is in key.format`,
			` ! the key has control characters: it is no text; say what it is in key.format`,
			` ! the key has 1025 bytes, and an object's id 1024 at most`,
			`K-6 ! the value has 2010 bytes, and read.max-value is 1KiB`,
			`K-7={"e":1}`,
		)
		seen := map[string]bool{}
		for i, rec := range got {
			if rec.Change == "" || seen[rec.Change] {
				t.Errorf("the change %q is none, or named twice", rec.Change)
			}
			seen[rec.Change] = true
			if i > 0 && got[i-1].Version != "" && rec.Version != "" && event.CompareVersions(got[i-1].Version, rec.Version) >= 0 {
				t.Errorf("version %s is not behind %s", rec.Version, got[i-1].Version)
			}
		}
		if again := open(t, r.s); short(readAll(t, again)) != short(got) {
			t.Error("another reader sees other records")
		}
		if len(r.read()) != 0 {
			t.Error("records are handed out again")
		}
	})
}

func readAll(t testing.TB, sys *system) []connector.Record {
	r := &reader{t: t, sys: sys}
	return r.read()
}

// TestKeys: what keys can be, both ways.
func TestKeys(t *testing.T) {
	for _, c := range []struct {
		k       keySettings
		key, id string
		err     string
	}{
		{keySettings{Format: keyText}, "A-1", "A-1", ""},
		{keySettings{Format: keyText}, "", "", ""},
		{keySettings{Format: keyText}, "Größe 1", "Größe 1", ""},
		{keySettings{Format: formatJSON}, `"A-1"`, "A-1", ""},
		{keySettings{Format: formatJSON}, `12345678901234567890.10`, "12345678901234567890.10", ""},
		{keySettings{Format: formatJSON}, `{"b": 1, "a": "x"}`, `{"a":"x","b":1}`, ""},
		{keySettings{Format: formatJSON}, `null`, "", "the key has no "},
		{keySettings{Format: formatJSON}, `A-1`, "", "the key is no JSON"},
		{keySettings{Format: formatJSON, Path: "payload.id"}, `{"schema":{},"payload":{"id":1001}}`, "1001", ""},
		{keySettings{Format: formatJSON, Path: "payload.id"}, `{"payload":{}}`, "", "the key has no payload.id"},
		{keySettings{Format: formatJSON, Path: "id"}, `{"id":[1]}`, "", "id of the key is array, and no id"},
		{keySettings{Format: keyBase64}, "\x00\xff", "AP8=", ""},
		{keySettings{Format: keyNone}, "A-1", "", ""},
	} {
		id, err := c.k.id([]byte(c.key))
		if id != c.id || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v of %q: %q, %v", c.k, c.key, id, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		k := keySettings{Format: rapid.SampledFrom([]string{keyText, formatJSON, keyBase64}).Draw(t, "format")}
		if k.Format == formatJSON {
			k.Path = rapid.SampledFrom([]string{"", "id", "payload.id"}).Draw(t, "path")
		}
		id := rapid.StringMatching(`[A-Za-z0-9+/]{4}([A-Za-z0-9+/]{4}){0,5}`).Draw(t, "id")
		key, err := k.bytes(id)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := k.id(key); err != nil || back != id {
			t.Fatalf("%q became %q and that %q, %v", id, key, back, err)
		}
	})
}

// TestHeads: what stands beside a value goes into the document, and into no place that is taken.
func TestHeads(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 2)
		at := time.Date(2026, 11, 1, 9, 30, 0, 120e6, time.UTC)
		rec := o.record(1, "K-1", `{"a":1.10,"meta":{"x":null}}`, "trace", "first", "trace", "the last counts \"here\"", "unused", "\xff")
		rec.Timestamp = at
		o.put(rec)
		o.put(o.record(1, "K-2", `{"meta":{"trace":"mine"}}`, "trace", "theirs"))
		o.put(o.record(1, "K-3", `[1]`, "trace", "theirs"))
		o.put(o.record(1, "K-4", `{}`, "trace", "\xff"))
		o.put(o.record(1, "K-5", `{}`))
		r := o.reader("read:", "  headers: {trace: meta.trace}", "  into: {key: id, timestamp: meta.at, partition: meta.place.partition, offset: meta.place.offset}")
		got := r.read()
		if got[4].Err != nil || !strings.HasPrefix(string(got[4].Doc), `{"id":"K-5","meta":{"at":"20`) {
			t.Errorf("%s, %v", got[4].Doc, got[4].Err)
		}
		wants(t, "documents", got[:4],
			`K-1={"a":1.10,"id":"K-1","meta":{"x":null,"trace":"the last counts \"here\"","at":"2026-11-01T09:30:00.120Z","place":{"partition":1,"offset":0}}}`,
			`K-2 ! the header trace cannot be put into the document at meta.trace: the document has a value there`,
			`K-3 ! the header trace cannot be put into the document at meta.trace: what is there is no object`,
			`K-4 ! the header trace is no text (UTF-8)`)
	})
}

// TestVersions: places of a partition are in order, those of two do not compare, and a topic that is made anew begins no old story.
func TestVersions(t *testing.T) {
	o := &object{}
	place := func(life uint32, partition int, offset int64) string {
		v, err := o.version(life, &event.Record{Partition: partition, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		a, b string
		want int
	}{
		{place(1, 0, 9), place(1, 0, 10), -1},
		{place(1, 0, 10), place(1, 0, 10), 0},
		{place(1, 1, 3), place(1, 0, 10), 1},
		{place(2, 0, 3), place(1, 0, 10), 1},
		{place(1, 0, 10), place(2, 0, 3), 1}, // whichever comes later
		{place(0, 1, 1), place(1, 0, 2), 1},  // no number stands for two places
	} {
		if got := event.CompareVersions(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	o.Read.Version = versionTimestamp
	if v, err := o.version(1, &event.Record{Time: time.UnixMilli(1234567890123)}); err != nil || v != "2009-02-13T23:31:30.123Z" {
		t.Errorf("%s, %v", v, err)
	}
	if v, err := o.version(1, &event.Record{Time: time.UnixMilli(-1)}); err == nil {
		t.Errorf("a record without a timestamp has the version %s", v)
	}
}

// TestStart: where the first read begins.
func TestStart(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
		for start, want := range map[string][]string{
			"earliest": {"K-1", "K-2", "K-3", "K-4"}, "latest": {}, "2026-11-03T00:00:00Z": {"K-3", "K-4"}, "2026-11-04T08:00:00+08:00": {"K-4"}, "2026-11-05T00:00:00Z": {},
		} {
			o := cluster(t, addr, 2)
			for n := 1; n <= 4; n++ {
				rec := o.record(n%2, fmt.Sprintf("K-%d", n), `{}`)
				rec.Timestamp = day(n)
				o.put(rec)
			}
			r := o.reader(fmt.Sprintf("read: {start: %q}", start))
			ids := map[string]bool{}
			for _, rec := range r.read() {
				ids[rec.Local] = true
			}
			if got := slices.Sorted(maps.Keys(ids)); !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%s: %v, want %v", start, got, want)
			}
			o.put(o.record(0, "later", `{}`))
			if got := r.read(); len(got) != 1 || got[0].Local != "later" {
				t.Errorf("%s: after that %s", start, short(got))
			}
		}
	})
}

// TestPartitionsAdded: what comes to a partition that was added is read from its beginning, also by a reader that began at the end.
func TestPartitionsAdded(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 1)
		o.put(o.record(0, "K-1", `{}`))
		r := o.reader("read: {start: latest}")
		r.read()
		more(t, o, 3)
		o.put(o.record(2, "K-2", `{"in":2}`), o.record(0, "K-3", `{"in":0}`))
		got := r.read()
		slices.SortFunc(got, func(a, b connector.Record) int { return strings.Compare(a.Local, b.Local) })
		wants(t, "after that", got, `K-2={"in":2}`, `K-3={"in":0}`)
	})
}

// TestMadeAnew: a topic that was deleted and made anew is told, whatever its offsets are.
func TestMadeAnew(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		for _, after := range []int{1, 3, 5} { // records of the new one: fewer than were read, as many, more
			t.Run(fmt.Sprint(after), func(t *testing.T) {
				o := cluster(t, addr, 1)
				for n := range 3 {
					o.put(o.record(0, fmt.Sprintf("K-%d", n), `{"life":1}`))
				}
				r := o.reader()
				first := r.read()
				remake(t, o, 1)
				var want []string
				for n := range after {
					o.put(o.record(0, fmt.Sprintf("K-%d", n), `{"life":2}`))
					want = append(want, fmt.Sprintf(`K-%d={"life":2}`, n))
				}
				before := r.cursor
				r.refused(fault.Invalid, "was deleted and made anew", "waybill rewind FLOW --to start", "read.anew: start")
				r.settings(o.settings("read: {anew: start}"))
				got := r.read()
				wants(t, "the new one", got, want...)
				if len(r.remarks) != 1 || r.remarks[0].Kind != connector.Anew || r.remarks[0].Local != o.topic {
					t.Errorf("it is not said: %+v", r.remarks)
				}
				if got[0].Change == first[0].Change || event.CompareVersions(got[0].Version, first[2].Version) <= 0 {
					t.Errorf("the first record of the new topic is %s %s, and the last of the old one was %s %s", got[0].Change, got[0].Version, first[2].Change, first[2].Version)
				}
				r.cursor = before
				if err := r.rewind(connector.RewindStart); err != nil {
					t.Fatal(err)
				}
				r.settings(o.settings())
				wants(t, "begun anew by a person", r.read(), want...)
			})
		}
	})
}

// TestLost: what the cluster has deleted before it was read is counted and told.
func TestLost(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 2)
		r := o.reader()
		o.put(o.record(0, "K-0", `{}`), o.record(1, "K-1", `{}`))
		r.read()
		for n := range 5 {
			o.put(o.record(0, fmt.Sprintf("K-%d", n), `{"n":1}`))
		}
		deleteBefore(t, o, 0, 4)
		r.refused(fault.Invalid, "3 offsets were deleted before they were read: 3 of partition 0 (from 1 to 3)", "lost to this flow", "read.lost: continue")
		r.settings(o.settings("read: {lost: continue}"))
		wants(t, "what is there", r.read(), `K-3={"n":1}`, `K-4={"n":1}`)
		lost := []connector.Remark{{Kind: connector.Lost, Local: o.topic, Count: 3}}
		check := func(what string) {
			t.Helper()
			if len(r.remarks) != len(lost) || r.remarks[0].Kind != lost[0].Kind || r.remarks[0].Local != lost[0].Local || r.remarks[0].Count != lost[0].Count || r.remarks[0].Version == "" {
				t.Errorf("%s: %+v, want %+v", what, r.remarks, lost)
			}
		}
		check("at once")
		r.settings(o.settings("read: {lost: continue}"))
		r.read()
		check("later")
		o.put(o.record(1, "K-1", `{}`))
		deleteBefore(t, o, 1, 2)
		lost[0].Count = 4
		r.read()
		check("once more")
		// A person who names a place that is gone means what is left of it.
		r.settings(o.settings())
		if err := r.rewind("0:2"); err != nil {
			t.Fatal(err)
		}
		wants(t, "from a place that is gone", r.read(), `K-3={"n":1}`, `K-4={"n":1}`)
		if len(r.remarks) != 0 {
			t.Errorf("after the rewind it is still said: %+v", r.remarks)
		}
		o.put(o.record(1, "K-1", `{"n":9}`))
		if err := r.rewind("2026-01-01T00:00:00Z"); err != nil {
			t.Fatal(err)
		}
		if got := r.read(); len(got) != 3 {
			t.Errorf("from a time that is gone: %s", short(got))
		}
	})
}

// TestRewind: back, never ahead.
func TestRewind(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 2)
		r := o.reader()
		if err := r.rewind("2026-11-02T00:00:00Z"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "nothing") {
			t.Errorf("before anything was read: %v", err)
		}
		for n := range 6 {
			rec := o.record(n%2, fmt.Sprintf("K-%d", n), `{}`)
			rec.Timestamp = time.Date(2026, 11, 1+n, 0, 0, 0, 0, time.UTC)
			o.put(rec)
		}
		first, err := r.page(2) // one of each partition
		if err != nil || len(first.Records) != 2 {
			t.Fatalf("%s, %v", short(first.Records), err)
		}
		// To a time that is ahead of what was read goes nowhere.
		if err := r.rewind("2026-11-06T00:00:00Z"); err != nil {
			t.Fatal(err)
		}
		if got := r.read(); len(got) != 4 {
			t.Errorf("ahead: %s", short(got))
		}
		for to, want := range map[string]int{"2026-11-03T00:00:00Z": 4, "2026-11-06T00:00:00Z": 1, "2027-01-01T00:00:00Z": 0, "0:1": 2, "1:0": 3} {
			if err := r.rewind(to); err != nil {
				t.Fatal(err)
			}
			if got := r.read(); len(got) != want {
				t.Errorf("to %s: %d records, want %d: %s", to, len(got), want, short(got))
			}
		}
		for to, text := range map[string]string{"0:4": "would leave out", "7:0": "no partition 7", "2026-11-03": "no time with a zone", "yesterday": "neither a time", "-1:2": "neither a time"} {
			before := r.cursor
			if err := r.rewind(to); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), text) || r.cursor != before {
				t.Errorf("to %s: %v", to, err)
			}
		}
	})
}

// TestTransactions: records count once their transaction is committed, those of an aborted one never do, and an open one keeps nobody waiting for ever.
func TestTransactions(t *testing.T) {
	onBoth(t, func(t *testing.T, addr string) {
		o := cluster(t, addr, 1)
		tx := o.connect(kgo.TransactionalID("tx-"+o.topic), kgo.TransactionTimeout(30*time.Second))
		in := func(commit kgo.TransactionEndTry, records ...*kgo.Record) {
			t.Helper()
			if err := tx.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithTimeout(t.Context(), 30*time.Second)
			defer end()
			if err := tx.ProduceSync(ctx, records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if commit == kgo.TryCommit && o.readsOpen(t) {
				t.Error("records of an open transaction are read")
			}
			if err := tx.EndTransaction(ctx, commit); err != nil {
				t.Fatal(err)
			}
		}
		r := o.reader()
		in(kgo.TryAbort, o.record(0, "K-1", `{"aborted":1}`), o.record(0, "K-2", `{"aborted":1}`))
		o.put(o.record(0, "K-3", `{"plain":1}`))
		in(kgo.TryCommit, o.record(0, "K-4", `{"committed":1}`))
		in(kgo.TryAbort, o.record(0, "K-5", `{"aborted":1}`))
		wants(t, "what counts", r.read(), `K-3={"plain":1}`, `K-4={"committed":1}`)
		retry(t, func(context.Context) error { // a transaction's end is answered before its marker is there
			if got := r.read(); len(got) > 0 {
				t.Errorf("aborted records are read: %s", short(got))
			}
			if at, end := r.next()[0], o.info().Partitions[0].Last; at != end {
				return fmt.Errorf("the read ends at %d, and the log at %d", at, end)
			}
			return nil
		})
	})
}

// readsOpen reports whether a read that begins now sees K-4, of a transaction that is open, and comes to an end.
func (o *other) readsOpen(t *testing.T) bool {
	t.Helper()
	for _, rec := range o.reader().read() {
		if rec.Local == "K-4" {
			return true
		}
	}
	return false
}

func (r *reader) next() []int64 {
	r.t.Helper()
	var c cursor
	if err := json.Unmarshal([]byte(r.cursor), &c); err != nil {
		r.t.Fatal(err)
	}
	return c.Next
}

// TestGaps: offsets that a compaction has taken out are passed over, and nothing is missed or lost for it.
func TestGaps(t *testing.T) {
	o := cluster(t, brokerOnly(t), 1)
	for n := range 4 {
		o.put(o.record(0, fmt.Sprintf("K-%d", n), fmt.Sprintf(`{"n":%d}`, n)))
	}
	r := o.reader()
	p, err := r.page(2)
	if err != nil || !p.More {
		t.Fatalf("%+v, %v", p, err)
	}
	got := bus.Stretch{Next: 7, Records: []event.Record{{Offset: 5, Key: []byte("K-5"), Value: []byte(`{}`)}}}
	at, _ := parseCursor(r.cursor)
	round := &round{s: r.sys, o: r.sys.set.Objects["order"], at: at, info: bus.TopicInfo{Partitions: []bus.PartitionInfo{{First: 0, Last: 9}}}, bytes: 1 << 20}
	if err := round.take(t.Context(), 0, &got); err != nil {
		t.Fatal(err)
	}
	if at.Next[0] != 7 || !round.moved || !round.more() || len(round.records) != 1 {
		t.Errorf("%+v", round)
	}
	wants(t, "the rest", r.read(), `K-2={"n":2}`, `K-3={"n":3}`)
}

// TestUnreadableBatch: a batch of which nothing can be read parks alone.
func TestUnreadableBatch(t *testing.T) {
	s := &system{name: "partner"}
	o := &object{Topic: "orders"}
	at := &cursor{Topic: "orders", ID: "x", Next: []int64{10}}
	round := &round{s: s, o: o, at: at, info: bus.TopicInfo{Partitions: []bus.PartitionInfo{{First: 0, Last: 90}}}}
	if err := round.take(t.Context(), 0, &bus.Stretch{Next: 60, Unreadable: errors.New("it is a bomb")}); err != nil {
		t.Fatal(err)
	}
	if len(round.records) != 1 || at.Next[0] != 60 {
		t.Fatalf("%+v", round)
	}
	err := round.records[0].Err
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "orders/0/10") || !strings.Contains(err.Error(), "up to offset 59: it is a bomb") {
		t.Errorf("%v", err)
	}
}

// TestShares: what one partition has does not keep the others from being read, and no page is larger than it may be.
func TestShares(t *testing.T) {
	o := cluster(t, brokerOnly(t), 3)
	for n := range 300 {
		o.put(o.record(0, "K-0", fmt.Sprintf(`{"n":%d}`, n)))
	}
	o.put(o.record(2, "K-2", `{"n":0}`))
	r := o.reader("read: {records: 10}")
	p, err := r.page(0)
	if err != nil || len(p.Records) != 6 || p.Records[5].Local != "K-2" || !p.More { // half for each of two, and one of them has one
		t.Fatalf("%s, %v", short(p.Records), err)
	}
	total := len(p.Records)
	for p.More {
		if p, err = r.page(0); err != nil || len(p.Records) > 10 {
			t.Fatalf("%d records, %v", len(p.Records), err)
		}
		total += len(p.Records)
	}
	if total != 301 {
		t.Errorf("%d records", total)
	}
}

// TestCursor: what is stored is read back, and what is none is refused.
func TestCursor(t *testing.T) {
	for _, text := range []string{"x", `{"v":2,"topic":"a"}`, `{"v":1}`, `{"v":1,"topic":"a","next":[-1]}`} {
		if _, err := parseCursor(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	o := cluster(t, brokerOnly(t), 1)
	r := o.reader()
	r.read()
	r.cursor = `{"since":"2026-11-01"}`
	r.refused(fault.Invalid, "cursor", "waybill rewind")
	r.cursor = `{"v":1,"topic":"another","id":"x","next":[3]}`
	r.refused(fault.Invalid, "topic another", "waybill rewind FLOW --to start")
}

func FuzzCursor(f *testing.F) {
	f.Add(`{"v":1,"topic":"a","id":"x","next":[0,7]}`)
	f.Add(`{"v":1,"topic":"a","from":"2026-11-01T00:00:00Z","lost":3,"lost_at":"2026-11-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil || !c.began() {
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || again.String() != c.String() {
			t.Errorf("%s became %s, and that %v, %v", text, c, again, err)
		}
	})
}

// FuzzRecord: whatever a record is, it is a change that can be taken: with a document, a deletion, or a reason.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("K"), []byte(`{"a":{"b":1}}`), []byte("v"), true)
	f.Add([]byte(nil), []byte(nil), []byte(nil), false)
	f.Add([]byte(`{"id":1}`), []byte("\ufeff[1]"), []byte("\xff"), true)
	f.Fuzz(func(t *testing.T, key, value, head []byte, asJSON bool) {
		o := &object{Topic: "orders", Format: formatJSON, Key: keySettings{Format: keyText}, Read: readSettings{MaxValue: 1 << 20, Headers: map[string]string{"h": "a.b.c"}, Into: intoSettings{Key: "k.k"}}}
		if asJSON {
			o.Key = keySettings{Format: formatJSON, Path: "id"}
		}
		s := &system{name: "partner"}
		rec, err := s.record(t.Context(), o, "x", &event.Record{Key: key, Value: value, Headers: []event.Header{{Key: "h", Value: head}}, Time: time.UnixMilli(1)})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case rec.Err != nil:
			if fault.KindOf(rec.Err) != fault.Invalid {
				t.Errorf("%v", rec.Err)
			}
		case rec.Deleted != (value == nil):
			t.Errorf("deleted: %v", rec.Deleted)
		case !rec.Deleted:
			if _, err := jsondoc.Parse(rec.Doc, documentLimits); err != nil {
				t.Errorf("the document %q is none: %v", rec.Doc, err)
			}
		}
	})
}

// TestSample: one record is shown, and nothing is moved.
func TestSample(t *testing.T) {
	o := cluster(t, brokerOnly(t), 2)
	sys := open(t, o.settings())
	if got, err := sys.Sample(t.Context(), "order"); err != nil || got.Record != nil {
		t.Errorf("%+v, %v", got, err)
	}
	o.put(o.record(1, "K-1", "-"), o.record(1, "K-2", `{"a":1}`))
	if got, err := sys.Sample(t.Context(), "order"); err != nil || got.Record == nil || string(got.Record.Doc) != `{"a":1}` {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestIDInto: the object's id goes into the document whatever keys are written in.
func TestIDInto(t *testing.T) {
	for format, key := range map[string]string{"text": "K-1", "json, path: id": `{"id":"K-1"}`, "none": "K-1"} {
		o := cluster(t, brokerOnly(t), 1)
		o.put(o.record(0, key, `{}`), o.record(0, "-", `{}`))
		r := o.reader("key: {format: "+format+"}", "read: {into: {key: id}}")
		if got := r.read(); len(got) != 2 || string(got[0].Doc) != `{"id":"K-1"}` || string(got[1].Doc) != `{}` {
			t.Errorf("%s: %s", format, short(got))
		}
	}
}
