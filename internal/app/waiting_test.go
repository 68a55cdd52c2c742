package app

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// However many messages wait too long, a look tells the log of them in one line for each flow: how many, and the oldest by its name; and of none of them again.
func TestWaitingTooLongIsOneLine(t *testing.T) {
	p := newProject(t, newTarget(t).URL)
	p.edit("flows/erp.yaml", "map:", "requires: [{entity: contact, id: source.no}]\nmap:")
	log := &logged{}
	hub := p.start(log)
	wait := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			if code, err := push(t.Context(), hub, "shop/orders", fmt.Sprint("d", n), document{No: state.MintHub("contact", "shop", fmt.Sprint(n)), Seq: 1}); err != nil || code != http.StatusAccepted {
				t.Fatal(code, err)
			}
		}
		await(t, "they wait", func() bool {
			n, _, err := hub.store.Overdue(t.Context(), "orders-to-erp", time.Time{}, hub.clock.Now())
			return err == nil && n == int64(to)
		})
	}
	look := func(lines int, says ...string) {
		t.Helper()
		if err := hub.lookWaitingOf(t.Context(), "orders-to-erp", time.Nanosecond); err != nil {
			t.Fatal(err)
		}
		if n := log.count("alarm: messages wait too long"); n != lines || lines > 0 && log.count(says...) != 1 {
			t.Errorf("%d lines, want %d and one with %q", n, lines, says)
		}
	}
	look(0)
	wait(0, 25)
	_, first, err := hub.store.Overdue(t.Context(), "orders-to-erp", time.Time{}, hub.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	look(1, "new=25 all=25 ", "key="+first.Event.Key+" ", "missing=\"the contact ")
	look(1, "new=25 all=25 ")
	wait(25, 27)
	look(2, "new=2 all=27 ")
	look(2, "new=2 all=27 ")
}
