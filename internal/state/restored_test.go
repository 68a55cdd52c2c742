package state_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestRestorationSaid: what a person tells of a restoration takes nothing away from what the hub has found out itself.
func TestRestorationSaid(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 29, hour, 0, 0, 0, time.UTC) }
	noticed := func(phase string) *state.Restoration {
		return &state.Restoration{Signs: []string{state.SignCopy}, Why: "it is a copy", Since: at(9), AsOf: at(7), Stopped: at(8), CopyID: "c", Phase: phase, Who: "hub",
			Committed: map[string]int64{"f t/0": 5}, Again: 2, Looked: 3, Found: 2, Parked: 1, Queue: 40, Rounds: 1, Inbox: 7, Read: map[string]bool{"f": true}}
	}
	said := &state.Restoration{Signs: []string{state.SignPerson}, Why: "a person says so", Since: at(10), Phase: state.RestoredReading, Who: "ann", Note: "n"}
	with := func(r *state.Restoration, change func(*state.Restoration)) *state.Restoration {
		out := *r
		change(&out)
		return &out
	}
	kept := func(r *state.Restoration) {
		r.Signs, r.Why, r.AsOf, r.Stopped, r.CopyID = []string{state.SignCopy, state.SignPerson}, "it is a copy; a person says so", at(7), at(8), "c"
		r.Committed, r.Again, r.Looked, r.Found, r.Parked, r.Queue = map[string]int64{"f t/0": 5}, 2, 3, 2, 1, 40
	}
	for _, test := range []struct {
		name   string
		before *state.Restoration
		asOf   time.Time
		want   *state.Restoration
	}{
		{"never before", nil, time.Time{}, said},
		{"never before, with its moment", nil, at(6), with(said, func(r *state.Restoration) { r.AsOf = at(6) })},
		{"one is settled", noticed(state.RestoredSettled), time.Time{}, with(said, func(r *state.Restoration) { r.Queue = 40 })},
		{"one is being settled", noticed(state.RestoredReading), time.Time{}, with(said, kept)},
		{"one is being settled, with another moment", noticed(state.RestoredReading), at(5), with(said, func(r *state.Restoration) { kept(r); r.AsOf = at(5) })},
		{"said twice", with(said, kept), time.Time{}, with(said, kept)},
	} {
		got := test.before.Said(at(10), test.asOf, "a person says so", "ann", "n")
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}
