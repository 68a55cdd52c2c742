package reconcile

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestReasons: every reason, each from the facts that make it one, in the order of certainty.
func TestReasons(t *testing.T) {
	there, known := half{there: true}, half{known: true}
	both := facts{left: there, right: there}
	with := func(f facts, change func(f *facts)) facts { change(&f); return f }
	leftAlone, rightAlone := facts{left: there}, facts{right: there}
	for name, c := range map[string]struct {
		f         facts
		reason    string
		explained bool
	}{
		"parked before all":        {with(both, func(f *facts) { f.queued, f.doubled, f.moving, f.stands = state.Parked, true, true, true }), state.ExplainedParked, true},
		"waiting":                  {with(both, func(f *facts) { f.queued, f.doubled = state.Waiting, true }), state.ExplainedWaiting, true},
		"decided meanwhile":        {with(both, func(f *facts) { f.during = true }), state.ExplainedInFlight, true},
		"held":                     {with(both, func(f *facts) { f.queued, f.moving = state.Held, true }), state.ExplainedInFlight, true},
		"doubled before moving":    {with(both, func(f *facts) { f.doubled, f.moving, f.stands = true, true, true }), state.ReasonDoubled, false},
		"moving before stands":     {with(both, func(f *facts) { f.moving, f.stands = true, true }), state.ExplainedMoving, true},
		"stands before filtered":   {with(both, func(f *facts) { f.stands, f.left.filtered = true, true }), state.ExplainedStands, true},
		"filtered left":            {with(both, func(f *facts) { f.left.filtered, f.right.edited = true, true }), state.ExplainedFiltered, true},
		"filtered right":           {with(both, func(f *facts) { f.right.filtered = true }), state.ExplainedFiltered, true},
		"came back left":           {with(both, func(f *facts) { f.left.gone, f.rounding = true, true }), state.ReasonCameBack, false},
		"came back right":          {with(both, func(f *facts) { f.right.gone, f.left.edited = true, true }), state.ReasonCameBack, false},
		"rounding before edits":    {with(both, func(f *facts) { f.rounding, f.left.edited = true, true }), state.ReasonRounding, false},
		"edited both":              {with(both, func(f *facts) { f.left.edited, f.right.edited = true, true }), state.ReasonEditedBoth, false},
		"edited left":              {with(both, func(f *facts) { f.left.edited, f.right.same, f.outcome = true, true, state.Discarded }), state.ReasonEditedLeft, false},
		"edited right":             {with(both, func(f *facts) { f.right.edited, f.left.same = true, true }), state.ReasonEditedRight, false},
		"refused":                  {with(both, func(f *facts) { f.outcome, f.left.same = state.Discarded, true }), state.ReasonRefused, false},
		"refused, parked since":    {with(both, func(f *facts) { f.outcome = state.Parked }), state.ReasonRefused, false},
		"right not read back":      {with(both, func(f *facts) { f.left.same = true }), state.ReasonEditedRight, false},
		"left not read back":       {with(both, func(f *facts) { f.right.same = true }), state.ReasonEditedLeft, false},
		"right read back, no flow": {with(both, func(f *facts) { f.left.same, f.right.same, f.right.own, f.right.wrote = true, true, true, true }), state.ReasonEditedRight, false},
		"left read back, no flow":  {with(both, func(f *facts) { f.left.same, f.right.same, f.left.own, f.left.wrote = true, true, true, true }), state.ReasonEditedLeft, false},
		"both read back": {with(both, func(f *facts) {
			f.left.same, f.right.same, f.left.own, f.left.wrote, f.right.own, f.right.wrote = true, true, true, true, true, true
		}), state.ReasonEditedBoth, false},
		"as the hub saw them": {with(both, func(f *facts) { f.left.same, f.right.same = true, true }), state.ReasonUnknown, false},
		"nothing known":       {both, state.ReasonUnknown, false},

		"gone everywhere, left there":   {with(leftAlone, func(f *facts) { f.left.gone, f.right.gone, f.right.carries = true, true, true }), state.ReasonCameBack, false},
		"gone here, there all the same": {with(leftAlone, func(f *facts) { f.left.gone = true }), state.ReasonMissedDelete, false},
		"deleted right on purpose":      {with(leftAlone, func(f *facts) { f.right.gone = true }), state.ExplainedDeleted, true},
		"missed delete":                 {with(leftAlone, func(f *facts) { f.right.gone, f.right.carries = true, true }), state.ReasonMissedDelete, false},
		"refused delete":                {with(leftAlone, func(f *facts) { f.right.gone, f.right.carries, f.outcome = true, true, state.Discarded }), state.ReasonMissedDelete, false},
		"deleted right":                 {with(leftAlone, func(f *facts) { f.right, f.outcome = known, state.Discarded }), state.ReasonDeletedRight, false},
		"deleted left":                  {with(rightAlone, func(f *facts) { f.left = known }), state.ReasonDeletedLeft, false},
		"refused create":                {with(leftAlone, func(f *facts) { f.left.seen, f.left.feeds, f.outcome = true, true, state.Discarded }), state.ReasonRefused, false},
		"filtered on the way": {with(leftAlone, func(f *facts) {
			f.left.seen, f.left.feeds, f.outcome, f.reason = true, true, state.Skipped, state.Filtered
		}), state.ExplainedFiltered, true},
		"skipped for another reason": {with(leftAlone, func(f *facts) {
			f.left.seen, f.left.feeds, f.outcome, f.reason = true, true, state.Skipped, state.Stale
		}), state.ReasonNeverArrived, false},
		"never arrived":                {with(leftAlone, func(f *facts) { f.left.seen, f.left.feeds = true, true }), state.ReasonNeverArrived, false},
		"seen, and no flow carries it": {with(leftAlone, func(f *facts) { f.left.seen = true }), state.ReasonCreatedLeft, false},
		"created left":                 {leftAlone, state.ReasonCreatedLeft, false},
		"created right":                {rightAlone, state.ReasonCreatedRight, false},
	} {
		t.Run(name, func(t *testing.T) {
			if reason, explained := reasonOf(&c.f); reason != c.reason || explained != c.explained {
				t.Errorf("%s %v, want %s %v", reason, explained, c.reason, c.explained)
			}
		})
	}
}

// TestLastFate: of several events that said what was known already, the newest is named, unless something else came before: its fate counts.
func TestLastFate(t *testing.T) {
	all := func(string, string, string) bool { return true }
	echo := func(id string) state.Journal {
		return state.Journal{EventID: id, Outcome: state.Skipped, Reason: state.Echo}
	}
	k := &known{}
	k.fate([]state.Journal{echo("3"), echo("2")}, all)
	if k.event != "3" || k.outcome != state.Skipped || k.text != "" {
		t.Errorf("%+v", k)
	}
	k = &known{}
	k.fate([]state.Journal{echo("3"), echo("2"), {Flow: "f", EventID: "1", Outcome: state.Discarded, Reason: "no"}, {EventID: "0", Outcome: state.Delivered}}, all)
	if k.event != "1" || k.outcome != state.Discarded || k.text != "f: discarded no" {
		t.Errorf("%+v", k)
	}
}
