package event

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestHeaders(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 5000, time.UTC)
	full := Event{ID: "1", Source: "crm", Entity: "order", Operation: Delete, Key: "SO-1", Local: "17", Hub: "h", Version: "7", Origin: "erp", Hops: 12,
		Time: at, Accepted: at.Add(time.Second), Trace: "00-" + strings.Repeat("a", 300), Data: []byte("{}")}
	for _, e := range []Event{full, {ID: "2", Key: "k", Operation: Upsert, Time: at, Data: []byte("{}")}} {
		r := Record{Topic: "t", Value: e.Data, Headers: e.Headers()}
		if got := Read(&r); !reflect.DeepEqual(got, e) {
			t.Errorf("got %+v\nwant %+v", got, e)
		}
		for i, h := range r.Headers {
			if len(h.Value) == 0 || cap(h.Value) != len(h.Value) {
				t.Errorf("%s: %d bytes in %d", h.Key, len(h.Value), cap(h.Value))
			}
			if i == 0 && (h.Key != HeaderSpecVersion || string(h.Value) != "1.0") {
				t.Errorf("the first is %s %s", h.Key, h.Value)
			}
		}
	}
	want := "ce_specversion=1.0 ce_id=1 ce_source=crm ce_type=waybill.order.delete ce_subject=SO-1 ce_time=2026-11-21T10:00:00.000005Z ce_entity=order " +
		"ce_operation=delete ce_localid=17 ce_hubid=h ce_version=7 ce_origin=erp ce_hops=12 ce_accepted=2026-11-21T10:00:01.000005Z traceparent=" + full.Trace +
		" content-type=application/json"
	var got []string
	for _, h := range full.Headers() {
		got = append(got, h.Key+"="+string(h.Value))
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	if n := testing.AllocsPerRun(50, func() { full.Headers() }); n > 4 {
		t.Errorf("%.0f allocations", n)
	}
}

func TestReadForeignRecords(t *testing.T) {
	r := Record{Topic: "orders", Partition: 3, Offset: 9, Key: []byte("k"), Headers: []Header{{HeaderHops, []byte("many")}, {HeaderOperation, []byte("x")}}}
	if e := Read(&r); e.ID != "orders/3/9" || e.Key != "k" || e.Operation != Delete || e.Hops != 0 {
		t.Errorf("got %+v", e)
	}
	r.Value = []byte("{}")
	if e := Read(&r); e.Operation != Upsert {
		t.Errorf("got %+v", e)
	}
}

// A key or an id that is longer than indexes take: of a foreign record's key the digest stands for it, and what a header holds counts as absent.
func TestReadLongNames(t *testing.T) {
	most, long := []byte(strings.Repeat("x", mostName)), []byte(strings.Repeat("x", mostName+1))
	for _, name := range []string{HeaderID, HeaderSource, HeaderSubject, HeaderEntity, HeaderLocal, HeaderHub, HeaderOrigin} {
		r := Record{Topic: "orders", Partition: 3, Offset: 9, Key: []byte("k"), Value: []byte("{}")}
		without := Read(&r)
		r.Headers = []Header{{name, long}}
		if got := Read(&r); !reflect.DeepEqual(got, without) {
			t.Errorf("with a long %s: %+v\nwithout: %+v", name, got, without)
		}
		r.Headers = []Header{{name, most}}
		if reflect.DeepEqual(Read(&r), without) {
			t.Errorf("%s of %d bytes is not read", name, len(most))
		}
	}
	if e := Read(&Record{Key: most}); e.Key != string(most) {
		t.Errorf("the key is %s", e.Key)
	}
	e, other := Read(&Record{Key: long}), Read(&Record{Key: append([]byte("y"), long...)})
	if len(e.Key) != len("sha256:")+64 || !strings.HasPrefix(e.Key, "sha256:") || e.Key != Read(&Record{Key: long}).Key || e.Key == other.Key {
		t.Errorf("keys %s and %s", e.Key, other.Key)
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "SO-1": "", strings.Repeat("ä", mostName/2): "",
		strings.Repeat("ä", mostName/2) + "x": "it has 1025 bytes, and 1024 are taken at most",
		"a\x00b":                              "it holds the character U+0000, which no store keeps",
	} {
		got := ""
		if err := CheckName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("a name of %d bytes: %q, want %q", len(name), got, want)
		}
	}
}

// A record was accepted when its first hub says so, else when it was written; some producers have no clock.
func TestAcceptedAt(t *testing.T) {
	at, written := time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC), time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	header := func(v string) []Header { return []Header{{HeaderID, []byte("1")}, {HeaderAccepted, []byte(v)}} }
	for _, tt := range []struct {
		name string
		rec  Record
		want time.Time
	}{
		{"by the header", Record{Headers: header("2026-03-01T12:00:00.000005Z"), Time: written}, at},
		{"without one", Record{Time: written}, written},
		{"by one that is no time", Record{Headers: header("yesterday"), Time: written}, written},
		{"by none", Record{}, time.Time{}},
		{"at 0", Record{Time: time.UnixMilli(0)}, time.Time{}},
		{"at -1", Record{Time: time.UnixMilli(-1)}, time.Time{}},
	} {
		if got := AcceptedAt(&tt.rec); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		ev := Read(&tt.rec)
		if !ev.Accepted.Equal(tt.want) {
			t.Errorf("%s: the event: %v, want %v", tt.name, ev.Accepted, tt.want)
		}
		// It stays what it is on the way over further topics.
		next := Record{Headers: ev.Headers()}
		if got := AcceptedAt(&next); !got.Equal(tt.want) {
			t.Errorf("%s: a topic further: %v, want %v", tt.name, got, tt.want)
		}
	}
}
