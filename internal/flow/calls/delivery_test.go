package calls

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// What a delivery says of the calls to its object, after what it was told.
func TestDelivery(t *testing.T) {
	own, other := intentOf("e", 1), intentOf("other", 1)
	send := func(t *testing.T, d *Delivery) {
		t.Helper()
		if err := d.Opened(0, false); err != nil {
			t.Fatal(err)
		}
		if err := d.Sending(&own); err != nil {
			t.Fatal(err)
		}
	}
	lose := func(t *testing.T, d *Delivery, until time.Duration) {
		t.Helper()
		send(t, d)
		d.Lost(&own, until, false, "")
	}
	none := func(*state.Intent) time.Duration { return 0 }
	type says struct {
		inDoubt, ownCreate, onlyRestored bool
		underway                         time.Duration
		ending                           Ending
		met                              State // of the own intent, once the message was left as it is
	}
	for _, tt := range []struct {
		name string
		tell func(t *testing.T, d *Delivery)
		want says
	}{
		{"nothing", func(*testing.T, *Delivery) {}, says{ending: Nothing, met: Unknown}},
		{"its own intent, read again behind the claim, is no other attempt's", func(t *testing.T, d *Delivery) {
			d.Meet(nil)
			if err := d.Opened(0, true); err != nil {
				t.Fatal(err)
			}
			d.Meet([]state.Intent{own})
		}, says{ending: CloseOwn, met: Refused}},
		{"an earlier attempt's intent stays in doubt when it is opened anew", func(t *testing.T, d *Delivery) {
			d.Meet([]state.Intent{own})
			send(t, d)
			d.Refused()
		}, says{inDoubt: true, ending: KeepOwn, met: Unknown}},
		{"a lost call that no other write could be undone by is in doubt for whoever comes next, too", func(t *testing.T, d *Delivery) { lose(t, d, time.Minute) },
			says{inDoubt: true, ownCreate: true, underway: time.Minute, ending: KeepOwn, met: Unknown}},
		{"the latest of its requests counts", func(t *testing.T, d *Delivery) { lose(t, d, 2*time.Minute); lose(t, d, time.Minute) },
			says{inDoubt: true, ownCreate: true, underway: 2 * time.Minute, ending: KeepOwn, met: Unknown}},
		{"what was found in doubt may be another's create", func(t *testing.T, d *Delivery) { d.Meet([]state.Intent{other}); d.Restored(false); lose(t, d, 0) },
			says{inDoubt: true, ending: KeepOwn, met: Unknown}},
		{"so may what the store has lost", func(t *testing.T, d *Delivery) { d.Meet(nil); d.Restored(true); lose(t, d, 0) },
			says{inDoubt: true, ending: KeepOwn, met: Unknown}},
		{"what the store has lost alone", func(_ *testing.T, d *Delivery) { d.Meet(nil); d.Restored(true) },
			says{inDoubt: true, onlyRestored: true, ending: Nothing, met: Unknown}},
		{"and a call of another message", func(_ *testing.T, d *Delivery) { d.Meet([]state.Intent{other}); d.Restored(true) },
			says{inDoubt: true, ending: Nothing, met: Unknown}},
		{"the target was looked at", func(t *testing.T, d *Delivery) {
			d.Meet([]state.Intent{other})
			d.Restored(true)
			lose(t, d, time.Minute)
			d.Looked()
		}, says{underway: time.Minute, ending: CloseAll, met: Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLedger()
			d := l.Deliver("e")
			tt.tell(t, d)
			got := says{d.InDoubt(), d.OwnCreate(), d.OnlyRestored(), d.Underway(none), d.Ending(), 0}
			d.Leave(&own)
			if got.met = l.met(&own); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// What earlier attempts of the event have sent is known where this process has sent it, under whatever epoch, and all of it was the same.
func TestRepeats(t *testing.T) {
	own, other, next := intentOf("e", 1), intentOf("other", 1), intentOf("e", 2)
	for name, c := range map[string]struct {
		before func(l *Ledger)
		meets  []state.Intent
		tell   func(d *Delivery)
		want   bool
	}{
		"the same":                       {func(l *Ledger) { l.lost(&own, 0, "a") }, []state.Intent{own}, nil, true},
		"the same, twice":                {func(l *Ledger) { l.lost(&own, 0, "a"); l.lost(&own, 0, "a") }, []state.Intent{own}, nil, true},
		"another document":               {func(l *Ledger) { l.lost(&own, 0, "b") }, []state.Intent{own}, nil, false},
		"another one first":              {func(l *Ledger) { l.lost(&own, 0, "b"); l.lost(&own, 0, "a") }, []state.Intent{own}, nil, false},
		"another one under an old epoch": {func(l *Ledger) { l.lost(&own, 0, "b"); l.lost(&next, 0, "a") }, []state.Intent{next}, nil, false},
		"the same under an old epoch":    {func(l *Ledger) { l.lost(&own, 0, "a"); l.lost(&next, 0, "a") }, []state.Intent{next}, nil, true},
		"refused before":                 {func(l *Ledger) { l.refused(&own); l.lost(&own, 0, "a") }, []state.Intent{own}, nil, true},
		"another process's":              {func(l *Ledger) { l.Until(&own, 0, 0) }, []state.Intent{own}, nil, false},
		"nobody's":                       {func(*Ledger) {}, []state.Intent{own}, nil, false},
		"another event's beside it":      {func(l *Ledger) { l.lost(&own, 0, "a"); l.lost(&other, 0, "a") }, []state.Intent{own, other}, nil, false},
		"what the store has lost":        {func(l *Ledger) { l.lost(&own, 0, "a") }, []state.Intent{own}, func(d *Delivery) { d.Restored(true) }, false},
		"nothing stands":                 {func(l *Ledger) { l.lost(&own, 0, "a") }, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger()
			c.before(l)
			d := l.Deliver(own.EventID)
			d.Meet(c.meets)
			if c.tell != nil {
				c.tell(d)
			}
			if got := d.Repeats("a"); got != c.want {
				t.Error(got)
			}
		})
	}
	l := NewLedger()
	l.lost(&own, 0, "")
	d := l.Deliver(own.EventID)
	d.Meet([]state.Intent{own})
	if d.Repeats("") {
		t.Error("what is not known is repeated")
	}
}
