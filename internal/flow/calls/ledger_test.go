package calls

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

func TestLedger(t *testing.T) {
	l, o := NewLedger(), Object{"order", "h"}
	// What another process has left may be under way for as long as a request may, from when it was seen first; what this one has lost, for
	// as long as it was told. What is settled may still arrive.
	left := state.Intent{Entity: "order", Hub: "h", EventID: "theirs"}
	if at := l.Until(&left, time.Minute, time.Second); at != time.Minute+time.Second || l.Until(&left, time.Hour, time.Second) != at {
		t.Errorf("until %v", at)
	}
	ours := state.Intent{Entity: "order", Hub: "h", EventID: "ours", Epoch: 1}
	l.refused(&ours)
	if l.met(&ours) != Refused {
		t.Error("it is in doubt")
	}
	l.sending(&ours)
	l.lost(&ours, 2*time.Minute, "")
	l.lost(&ours, time.Minute, "")
	l.refused(&ours) // one that is unknown stays so
	if at := l.Until(&ours, time.Minute, time.Second); at != 2*time.Minute || l.met(&ours) == Refused {
		t.Errorf("until %v", at)
	}
	// A lost call is in doubt even where it was known as refused before, and one that was refused is not known as such while another is made.
	again := state.Intent{Entity: "order", Hub: "again", EventID: "e", Epoch: 1}
	l.refused(&again)
	l.lost(&again, time.Minute, "")
	if at := l.Until(&again, 0, time.Second); l.met(&again) != Unknown || at != time.Minute {
		t.Errorf("a lost call is %s, until %v", l.met(&again), at)
	}
	// The partition was taken away and given back: the event's call is of another epoch, and what the earlier one has sent may still arrive.
	again.Epoch = 2
	l.lost(&again, time.Second, "")
	if at := l.Until(&again, 0, time.Second); at != time.Minute {
		t.Errorf("an earlier request of the event is forgotten: until %v", at)
	}
	again.EventID = ""
	l.Settle(&again, time.Hour)
	sent := state.Intent{Entity: "order", Hub: "sent", EventID: "e", Epoch: 1}
	l.refused(&sent)
	if l.sending(&sent); l.met(&sent) != Unknown {
		t.Errorf("a call that is being made is %s", l.met(&sent))
	}
	l.refused(&sent)
	l.Until(&state.Intent{Entity: "order", Hub: "sent", EventID: "lost", Epoch: 1}, 0, time.Minute)
	l.sending(&state.Intent{Entity: "order", Hub: "sent", EventID: "lost", Epoch: 1}) // forgets neither another event's nor what is unknown
	if lost := (state.Intent{Entity: "order", Hub: "sent", EventID: "lost", Epoch: 1}); l.met(&sent) != Refused || l.Until(&lost, time.Hour, time.Hour) != time.Minute {
		t.Error("a call that is about to be made makes another forgotten")
	}
	sent.EventID = ""
	l.Settle(&sent, time.Hour)
	// Another hub had the partition in between, and has called under its epoch.
	void := state.Intent{Entity: "order", Hub: "other", EventID: "e", Epoch: 1}
	l.refused(&void)
	if void.Epoch = 2; l.met(&void) == Refused || l.Until(&void, time.Minute, time.Second) != time.Minute+time.Second {
		t.Error("what is known of one call is taken for what is known of another")
	}
	l.Found(Object{"order", "other"})
	l.Settle(&ours, time.Minute)
	if at := l.LateUntil(o); at != 2*time.Minute {
		t.Errorf("late until %v", at)
	}
	ours.EventID = ""
	l.Settle(&ours, 3*time.Minute)
	if len(l.calls) > 0 || len(l.lateRequests) > 0 {
		t.Errorf("remembered for ever: %v, %v", l.calls, l.lateRequests)
	}

	by := state.Intent{EventID: "e", Opened: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	l.ClaimMet(o, by, 0)
	l.ClaimMet(o, by, time.Minute)
	if l.ForgottenClaim(o, ClaimPatience-1) != nil || l.ForgottenClaim(o, ClaimPatience) == nil {
		t.Error("a claim is given up too soon, or never")
	}
	by.Opened = by.Opened.Add(time.Second) // its holder has made another call
	l.ClaimMet(o, by, ClaimPatience)
	if l.ForgottenClaim(o, ClaimPatience) != nil {
		t.Error("a claim that lives is given up")
	}
}
