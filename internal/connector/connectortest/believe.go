package connectortest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// testRefused: a write that the target does not carry out is never reported as done, whatever it answers, and its own words are kept.
func testRefused(t *testing.T, s *Subject, r Refusal) {
	w := s.writer(t)
	local := ""
	if !w.once {
		local = w.create(1).Local
	}
	r.Arrange(t)
	refused := func(what string, wr connector.Write) {
		t.Helper()
		got, err := w.sys.Write(t.Context(), wr)
		if err == nil {
			t.Errorf("%s: reported as done, as %q", what, got.Local)
			return
		}
		f, ok := fault.As(err)
		if !ok || f.Kind == fault.Unavailable || f.Kind == fault.RateLimited || f.Kind == fault.Conflict {
			t.Errorf("%s: %v would be tried again and again, and it stays refused", what, err)
		}
		if !strings.Contains(err.Error(), r.Text) {
			t.Errorf("%s: the target says %q, and %q does not tell it", what, r.Text, err)
		}
		s.noSecrets(t, err.Error())
	}
	refused("create", w.write(connector.Create, 2, w.New(2)))
	if w.once {
		return
	}
	change := w.write(connector.Update, 1, w.Change(7))
	change.Local = local
	refused("update", change)
	gone := w.write(connector.Delete, 1, "")
	gone.Local = local
	refused("delete", gone)
}

// testStill: tokens guard also those writes that fall into one moment of the clock, or come while what is stored is ahead of it.
func testStill(t *testing.T, s *Subject) {
	w := s.writer(t)
	if s.Still == nil {
		t.Fatal("say how the clock is stopped (Subject.Still)")
	}
	s.Still(w.sys, time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC))
	local := w.create(1).Local
	guarded(t, w, local, "one moment")
	if s.Put != nil {
		local = s.Put(t, 2, 1, time.Date(2062, 7, 1, 0, 0, 0, 0, time.UTC))
		guarded(t, w, local, "a stamp ahead of the clock")
	}
}

func guarded(t *testing.T, w *writer, local, what string) {
	t.Helper()
	read := func() connector.Record { return w.find(what, connector.Lookup{Local: local}, 1)[0] }
	now := read()
	for n := range 20 {
		before := now
		change := w.write(connector.Update, n, w.Change(n+1))
		change.Local, change.ETag = local, before.ETag
		if _, err := w.sys.Write(t.Context(), change); err != nil {
			t.Fatalf("%s: update %d with the token just read: %v", what, n, err)
		}
		change = w.write(connector.Update, n, w.Change(n+100))
		change.Local, change.ETag = local, before.ETag
		_, err := w.sys.Write(t.Context(), change)
		w.classified(t, fmt.Sprintf("%s: update %d with a token that was used", what, n), err, fault.Conflict)
		now = read()
		holds(t, what, parse(t, now.Doc), parse(t, []byte(w.Change(n+1))))
		if w.Rising && event.CompareVersions(now.Version, before.Version) <= 0 {
			t.Fatalf("%s: update %d made version %s out of %s, which is not greater", what, n, now.Version, before.Version)
		}
	}
}
