package store

import (
	"bytes"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestDocumentsText: what was stored is read as it was, and what cannot have been stored is said to be torn; nothing is unpacked that says of
// itself that it is larger than any documents.
func TestDocumentsText(t *testing.T) {
	long := bytes.Repeat([]byte(`{"sku":"A-1","quantity":"2"},`), 2000)
	for _, d := range []state.Documents{
		{}, {Status: "204"}, {Source: []byte(`{"no":"1"}`), Answer: []byte("{}")},
		{Source: long, Mapped: long[:900], Sent: long[3:40], Status: "200", Answer: []byte("ok")},
	} {
		b := encodeDocuments(&d)
		got, err := decodeDocuments(b)
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%v of %d bytes: %.80v", err, len(b), got)
		}
		if plain := len(d.Source) + len(d.Mapped) + len(d.Sent) + len(d.Answer); plain > 1000 && len(b) > plain/10 {
			t.Errorf("%d bytes are stored as %d", plain, len(b))
		}
		for _, cut := range []int{0, 1, len(b) / 2, len(b) - 1} {
			if _, err := decodeDocuments(b[:cut]); !errors.Is(err, errTorn) {
				t.Errorf("%d of %d bytes: %v", cut, len(b), err)
			}
		}
	}
	huge := append([]byte{s2Form}, s2.Encode(nil, make([]byte, mostDocuments+1))...)
	if _, err := decodeDocuments(huge); !errors.Is(err, errTorn) {
		t.Errorf("64 MiB and a byte: %v", err)
	}
	if _, err := decodeDocuments([]byte{9, 1, 2}); !errors.Is(err, errTorn) {
		t.Errorf("a form of another version: %v", err)
	}
}

// TestDocumentsUnread: documents that cannot be read, as of a version that compressed them in another way, hide neither the others nor that there were any.
func TestDocumentsUnread(t *testing.T) {
	zstd := []byte{1, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48, 0x51, 0x00, 0x00, '{', '"', 'n', 'o', '"', ':', '"', '1', '"', '}'}
	s, err := Open(t.Context(), Config{SQLite: t.TempDir() + "/w.db"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.KeepDocuments(Keep{Age: time.Hour, Size: 1 << 20})
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	c := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch}
	for i := range int64(2) {
		c.Results = append(c.Results, state.Result{Offset: i, Outcome: state.Delivered, Journal: &state.Journal{Flow: "f", Key: "K", EventID: "e", Outcome: state.Delivered, Time: time.Now(), Documents: &state.Documents{Source: []byte(`{"no":"1"}`), Status: "201"}}})
	}
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	err = s.do(t.Context(), "as another version", func(t *tx) error {
		_, err := t.exec("UPDATE documents SET body = ? WHERE id = (SELECT MIN(id) FROM documents)", zstd)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := s.Trace(t.Context(), "K")
	if err != nil || len(tr.Journal) != 2 {
		t.Fatal(len(tr.Journal), err)
	}
	if err := s.Documents(t.Context(), tr.Journal); err != nil {
		t.Fatal(err)
	}
	whole, torn := tr.Journal[0].Documents, tr.Journal[1].Documents // the newest first
	if whole == nil || whole.Status != "201" || string(whole.Source) != `{"no":"1"}` {
		t.Errorf("the one that can be read: %+v", whole)
	}
	if torn == nil || !strings.Contains(torn.Status, "cannot be read") || torn.Source != nil {
		t.Errorf("the one that cannot be read: %+v", torn)
	}
}

// What cannot be read of one difference, as of another version's, says so, and hides no other.
func TestDamagedDifference(t *testing.T) {
	s := openHere(t)
	for n, body := range [][]byte{nil, {9, 1}, {s2Form, 0xff, 0xff, 0xff, 0xff, 0x7f}, []byte("\x00{"), []byte("\x00{\"kind\":\"different\"}")} {
		if _, err := s.write.Exec("INSERT INTO differences (run, n, kind, reason, drift, mark, since, body) VALUES (1, ?, 'different', 'refused', 1, 0, 1, ?)", n+1, append([]byte{}, body...)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Differences(t.Context(), state.DifferenceFilter{Run: 1})
	if err != nil || len(got) != 5 {
		t.Fatal(got, err)
	}
	for i, d := range got {
		if whole := i == 4; d.N != i+1 || d.Kind != state.DiffDifferent || strings.Contains(d.Text, "cannot be read") == whole || (d.Reason == state.ReasonRefused) == whole {
			t.Errorf("%+v", d)
		}
	}
}

// What hubs ask for every second is found by an index of its own, however many runs are kept.
func TestRunsAreFoundByIndex(t *testing.T) {
	s := openHere(t)
	for q, index := range map[string]string{"SELECT id FROM comparisons WHERE finished = 0 ORDER BY " + openOrder + " DESC LIMIT 100": "comparisons_open", lastQuery: "comparisons_last"} {
		var plan strings.Builder
		err := eachOf(t.Context(), s.read, s.d, func(r *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			plan.WriteString(detail + "; ")
			return err
		}, "EXPLAIN QUERY PLAN "+q)
		if err != nil || !strings.Contains(plan.String(), index) {
			t.Errorf("%s: %s %v", q, plan.String(), err)
		}
	}
}
