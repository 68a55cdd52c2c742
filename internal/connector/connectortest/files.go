package connectortest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// taker is a system that files are taken from.
type taker struct {
	*Subject
	t   *testing.T
	sys connector.FileSource
	now time.Time
}

func (s *Subject) taker(t *testing.T) *taker {
	t.Helper()
	k := &taker{Subject: s, t: t, now: start}
	k.reopen()
	return k
}

func (k *taker) reopen() {
	k.t.Helper()
	k.sys = k.openWith(k.t, k.Settings, func() time.Time { return k.now }).(connector.FileSource)
}

// pending looks, waits until what it saw counts as complete, and looks again.
func (k *taker) pending(want int) []connector.File {
	k.t.Helper()
	for range 2 {
		files, err := k.sys.Pending(k.t.Context(), k.Object)
		if err != nil {
			k.t.Fatalf("pending: %v", err)
		}
		if len(files) == want {
			return files
		}
		k.now = k.now.Add(time.Hour)
	}
	files, err := k.sys.Pending(k.t.Context(), k.Object)
	if err != nil || len(files) != want {
		k.t.Fatalf("pending: %d files, want %d: %v", len(files), want, err)
	}
	return files
}

// read gives the revisions of a file's rows from an index on.
func (k *taker) read(f connector.File, from int) (revisions []int) {
	k.t.Helper()
	last := from
	for row, err := range k.sys.Read(k.t.Context(), k.Object, f, from) {
		if err != nil {
			k.t.Fatalf("read: %v", err)
		}
		if row.Number != last+1 || row.Line < row.Number {
			k.t.Errorf("row %d in line %d comes after row %d", row.Number, row.Line, last)
		}
		last = row.Number
		revisions = append(revisions, k.Revision(parse(k.t, row.Doc)))
	}
	return revisions
}

func testFiles(t *testing.T, fresh func(t *testing.T) *Subject) {
	t.Run("take", func(t *testing.T) {
		k := fresh(t).taker(t)
		k.Drop(t, "a", 5)
		f := k.pending(1)[0]
		if got := fmt.Sprint(k.read(f, 0)); got != "[1 2 3 4 5]" {
			t.Errorf("rows %s", got)
		}
		k.reopen() // the hub stops in the middle
		again := k.pending(1)[0]
		if again.ID != f.ID {
			t.Errorf("the same file has the id %s, and had %s", again.ID, f.ID)
		}
		if got := fmt.Sprint(k.read(again, 3)); got != "[4 5]" {
			t.Errorf("rows from 3 on: %s", got)
		}
		if got := k.read(again, 5); len(got) != 0 {
			t.Errorf("rows behind the last: %v", got)
		}
		for range 2 { // the hub stops after the move, and before it knows
			if err := k.sys.Done(t.Context(), k.Object, again, nil); err != nil {
				t.Errorf("done: %v", err)
			}
		}
		k.pending(0)
	})
	t.Run("several", func(t *testing.T) {
		k := fresh(t).taker(t)
		for i, name := range []string{"c", "a", "b"} {
			k.Drop(t, name, i+1)
		}
		ids := map[string]bool{}
		for _, f := range k.pending(3) {
			ids[f.ID] = true
		}
		if len(ids) != 3 {
			t.Errorf("three files have %d ids", len(ids))
		}
		first := k.pending(3)[0]
		if err := k.sys.Done(t.Context(), k.Object, first, errors.New("it is no good")); err != nil {
			t.Fatal(err)
		}
		k.pending(2)
	})
	t.Run("the same name again", func(t *testing.T) {
		k := fresh(t).taker(t)
		k.Drop(t, "a", 2)
		first := k.pending(1)[0]
		if err := k.sys.Done(t.Context(), k.Object, first, nil); err != nil {
			t.Fatal(err)
		}
		k.Drop(t, "a", 3)
		second := k.pending(1)[0]
		if first.ID == second.ID {
			t.Error("another content has the same id")
		}
		if got := k.read(second, 0); len(got) != 3 {
			t.Errorf("rows %v", got)
		}
		if err := k.sys.Done(t.Context(), k.Object, second, nil); err != nil {
			t.Errorf("done: %v", err)
		}
		k.pending(0)
	})
	t.Run("cancel", func(t *testing.T) {
		k := fresh(t).taker(t)
		k.Drop(t, "a", 2)
		f := k.pending(1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := k.sys.Pending(ctx, k.Object)
		k.classified(t, "pending", err, fault.Unavailable)
		for _, err := range k.sys.Read(ctx, k.Object, f, 0) {
			k.classified(t, "read", err, fault.Unavailable)
		}
		k.classified(t, "done", k.sys.Done(ctx, k.Object, f, nil), fault.Unavailable)
		k.pending(1)
	})
}
