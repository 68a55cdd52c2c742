package status

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is a flow of which nothing can be said.
func well() FlowFacts {
	return FlowFacts{Name: "orders", Now: noon, Started: noon.Add(-time.Hour), LateAfter: 15 * time.Minute, LastDelivered: noon.Add(-time.Minute),
		Target: &SystemFacts{Name: "erp"}}
}

func TestJudgeFlow(t *testing.T) {
	anna := &PauseFacts{Who: "anna", Since: noon.Add(-20 * time.Minute)}
	for _, tt := range []struct {
		name string
		with func(*FlowFacts)
		want Verdict
		bad  bool
	}{
		{"nothing", func(*FlowFacts) {}, Verdict{State: Running}, false},
		{"parked", func(f *FlowFacts) { f.Backlog.Parked = 3 }, Verdict{Attention, "3 parked: waybill parked list --flow orders"}, false},
		{"a held sweep", func(f *FlowFacts) { f.Source.Held = "12 of 30 are gone" }, Verdict{Attention, "12 of 30 are gone"}, false},
		{"a file that has failed", func(f *FlowFacts) { f.Source.Failed, f.Backlog.Parked = "1 file has failed", 2 }, Verdict{Attention, "1 file has failed"}, false},
		{"silent", func(f *FlowFacts) { f.SilentAfter = 30 * time.Second }, Verdict{Silent, "nothing delivered for 1m0s"}, false},
		{"never delivered, and not watched for long", func(f *FlowFacts) {
			f.SilentAfter, f.LastDelivered, f.Started = time.Minute, time.Time{}, noon.Add(-time.Minute)
		}, Verdict{State: Running}, false},
		{"never delivered", func(f *FlowFacts) { f.SilentAfter, f.LastDelivered = time.Minute, time.Time{} }, Verdict{Silent, "nothing delivered for 1h0m0s"}, false},
		{"not quite late", func(f *FlowFacts) { f.Backlog.Oldest = 15 * time.Minute }, Verdict{State: Running}, false},
		{"late", func(f *FlowFacts) { f.Backlog.Oldest = 15*time.Minute + time.Second },
			Verdict{Late, "the oldest message is 15m1s old, and 15m0s are allowed"}, true},
		{"late by less than a second", func(f *FlowFacts) { f.Backlog.Oldest = 15*time.Minute + time.Millisecond },
			Verdict{Late, "the oldest message is 15m1s old, and 15m0s are allowed"}, true},
		{"late, and its target is slow", func(f *FlowFacts) { f.Backlog.Oldest, f.Target.CallTime = time.Hour, 4230*time.Millisecond },
			Verdict{Late, "the oldest message is 1h0m0s old, and 15m0s are allowed; a call to erp takes 4.2s of late"}, true},
		{"late, and its target is quick", func(f *FlowFacts) { f.Backlog.Oldest, f.Target.CallTime = time.Hour, 34800*time.Microsecond },
			Verdict{Late, "the oldest message is 1h0m0s old, and 15m0s are allowed; a call to erp takes 35ms of late"}, true},
		{"late, and quiet besides", func(f *FlowFacts) { f.Backlog.Oldest, f.SilentAfter = time.Hour, time.Second },
			Verdict{Late, "the oldest message is 1h0m0s old, and 15m0s are allowed"}, true},
		{"never late", func(f *FlowFacts) { f.Backlog.Oldest, f.LateAfter = time.Hour, 0 }, Verdict{State: Running}, false},
		{"waits too long", func(f *FlowFacts) { f.Backlog.Overdue = "2 wait" }, Verdict{Late, "2 wait"}, true},
		{"paused", func(f *FlowFacts) { f.Paused, f.Backlog.Oldest = anna, time.Minute }, Verdict{Paused, "paused by anna since 2026-03-01T11:40:00Z"}, false},
		{"paused, nobody knows by whom", func(f *FlowFacts) { f.Paused = &PauseFacts{} }, Verdict{Paused, "paused"}, false},
		{"paused and late", func(f *FlowFacts) { f.Paused, f.Backlog.Oldest = anna, 20*time.Minute },
			Verdict{Late, "paused by anna since 2026-03-01T11:40:00Z; the oldest message is 20m0s old, and 15m0s are allowed"}, true},
		{"paused, and messages wait too long", func(f *FlowFacts) { f.Paused, f.Backlog.Overdue = anna, "2 wait" },
			Verdict{Late, "paused by anna since 2026-03-01T11:40:00Z; 2 wait"}, true},
		{"its target is down", func(f *FlowFacts) {
			f.Target.Write, f.Backlog.Oldest = Direction{Failing: true, Lasts: true, Down: true, Since: noon, Cause: "connection refused"}, time.Hour
		}, Verdict{Failing, "erp is down since 2026-03-01T12:00:00Z: connection refused; nothing is parked for it, and what waits goes on by itself when it is back"}, true},
		{"its target refuses the credentials", func(f *FlowFacts) {
			f.Target.Write = Direction{Failing: true, Refused: true, Since: noon, Cause: "401"}
		}, Verdict{Failing, "erp refuses the hub's credentials since 2026-03-01T12:00:00Z: 401; nothing is parked for it: correct them, and what waits goes on by itself"}, true},
		{"its target failed a moment ago", func(f *FlowFacts) { f.Target.Write = Direction{Failing: true, Since: noon, Cause: "503"} }, Verdict{State: Running}, false},
		{"its target takes nothing", func(f *FlowFacts) { f.Target.Write = Direction{Failing: true, Lasts: true, Since: noon, Cause: "503"} },
			Verdict{Failing, "erp answers its probe, and has taken nothing meanwhile: failing since 2026-03-01T12:00:00Z: 503"}, true},
		{"its target cannot be read", func(f *FlowFacts) { f.Target.Read = Direction{Failing: true, Lasts: true, Down: true, Since: noon} }, Verdict{State: Running}, false},
		{"its sender is refused", func(f *FlowFacts) { f.Source.Refused, f.Backlog.Parked = "signature, 3 times", 1 }, Verdict{Attention, "its sender is refused: signature, 3 times"}, false},
		{"parked, and it is known why", func(f *FlowFacts) { f.Backlog.Parked, f.Backlog.ParkedFor = 3, "unavailable erp/503" },
			Verdict{Attention, "3 parked (lately for unavailable erp/503): waybill parked list --flow orders"}, false},
		{"its group is lost", func(f *FlowFacts) { f.Group.Lost, f.Target.Write.Down = "it may not read in.orders", true }, Verdict{Failing, "it may not read in.orders"}, true},
		{"it cannot write", func(f *FlowFacts) { f.Topics.Trouble, f.Target.Write.Down = "no right on canonical.order", true }, Verdict{Failing, "no right on canonical.order"}, true},
		{"the hub's store takes nothing", func(f *FlowFacts) {
			f.Hub, f.Group.Lost = &HubFacts{Store: StoreFacts{"its disk is full"}}, "x"
		}, Verdict{Failing, "its disk is full"}, true},
		{"the hub's clock is doubtful", func(f *FlowFacts) { f.Hub = &HubFacts{Clock: ClockFacts{[]ClockSeen{{"erp", time.Hour, time.Hour}}}} }, Verdict{State: Running}, false},
		{"its source fails", func(f *FlowFacts) { f.Source.Trouble, f.Paused = "401", anna }, Verdict{Failing, "paused by anna since 2026-03-01T11:40:00Z; its source cannot be read: 401"}, true},
		{"paused, and its group is lost", func(f *FlowFacts) { f.Group.Lost, f.Paused = "it may not read in.orders", anna }, Verdict{Failing, "paused by anna since 2026-03-01T11:40:00Z; it may not read in.orders"}, true},
		{"the store refuses it", func(f *FlowFacts) { f.Store.Trouble, f.Target.Write.Down = "the store does not take it", true }, Verdict{Failing, "the store does not take it"}, true},
		{"paused, and it cannot write", func(f *FlowFacts) { f.Topics.Trouble, f.Paused = "no right on canonical.order", anna },
			Verdict{Failing, "paused by anna since 2026-03-01T11:40:00Z; no right on canonical.order"}, true},
		{"paused, and its target is down", func(f *FlowFacts) {
			f.Target.Write, f.Paused = Direction{Failing: true, Lasts: true, Down: true, Since: noon, Cause: "connection refused"}, anna
		}, Verdict{Failing, "paused by anna since 2026-03-01T11:40:00Z; erp is down since 2026-03-01T12:00:00Z: connection refused; nothing is parked for it, and what waits goes on once it is back and the flow is resumed"}, true},
		{"paused, and its target refuses the credentials", func(f *FlowFacts) {
			f.Target.Write, f.Paused = Direction{Failing: true, Refused: true, Since: noon, Cause: "401"}, anna
		}, Verdict{Failing, "paused by anna since 2026-03-01T11:40:00Z; erp refuses the hub's credentials since 2026-03-01T12:00:00Z: 401; nothing is parked for it: correct them, and what waits goes on once the flow is resumed"}, true},
		// The target may take everything again by now: nothing is asked of it.
		{"paused, and its target took nothing", func(f *FlowFacts) {
			f.Target.Write, f.Paused = Direction{Failing: true, Lasts: true, Since: noon, Cause: "503"}, anna
		},
			Verdict{Paused, "paused by anna since 2026-03-01T11:40:00Z"}, false},
		{"paused and late, and its target took nothing", func(f *FlowFacts) {
			f.Target.Write, f.Paused, f.Backlog.Oldest = Direction{Failing: true, Lasts: true, Since: noon, Cause: "503"}, anna, 20*time.Minute
		}, Verdict{Late, "paused by anna since 2026-03-01T11:40:00Z; the oldest message is 20m0s old, and 15m0s are allowed"}, true},
		{"an alarm", func(f *FlowFacts) { f.Alarm, f.Source.Trouble = &AlarmFacts{"broker", "another one"}, "401" }, Verdict{Alarm, "broker: another one"}, true},
		{"to a topic", func(f *FlowFacts) { f.Target = nil }, Verdict{State: Running}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := well()
			tt.with(&f)
			if got := f.Judge(); got != tt.want || Bad(got.State) != tt.bad {
				t.Errorf("got %+v, bad %v; want %+v", got, Bad(got.State), tt.want)
			}
		})
	}
}

func TestJudgeSystem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		facts SystemFacts
		want  Verdict
	}{
		{"up", SystemFacts{Name: "erp"}, Verdict{State: Up}},
		{"failing", SystemFacts{Write: Direction{Failing: true, Since: noon, Cause: "503"}}, Verdict{Failing, "failing since 2026-03-01T12:00:00Z: 503"}},
		{"failing for long, and up to be read", SystemFacts{Write: Direction{Failing: true, Lasts: true, Since: noon}}, Verdict{Failing, "failing since 2026-03-01T12:00:00Z"}},
		{"down", SystemFacts{Write: Direction{Failing: true, Down: true, Since: noon, Cause: "connection refused"}}, Verdict{Down, "down since 2026-03-01T12:00:00Z: connection refused"}},
		{"refuses", SystemFacts{Write: Direction{Failing: true, Refused: true, Since: noon, Cause: "401"}}, Verdict{Failing, "refuses the hub's credentials since 2026-03-01T12:00:00Z: 401"}},
		{"cannot be read", SystemFacts{Read: Direction{Failing: true, Since: noon, Cause: "404"}}, Verdict{Failing, "failing since 2026-03-01T12:00:00Z: 404"}},
		{"down to be read, and failing", SystemFacts{Write: Direction{Failing: true, Since: noon, Cause: "503"}, Read: Direction{Failing: true, Down: true, Since: noon, Cause: "refused"}},
			Verdict{Down, "down since 2026-03-01T12:00:00Z: refused"}},
	} {
		if got := tt.facts.Judge(); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestJudgeHub(t *testing.T) {
	for _, tt := range []struct {
		name         string
		facts        HubFacts
		self, broker Verdict
	}{
		{"well", HubFacts{}, Verdict{State: Running}, Verdict{State: Up}},
		{"no broker", HubFacts{Broker: BrokerFacts{"connection refused"}}, Verdict{State: Running},
			Verdict{Down, "the broker does not answer; what waits on its topics is counted as it was seen last: connection refused"}},
		{"no commits", HubFacts{Store: StoreFacts{"database is locked"}, Clock: ClockFacts{[]ClockSeen{{"erp", time.Hour, time.Hour}}}}, Verdict{Failing, "database is locked"}, Verdict{State: Up}},
		{"a full disk", HubFacts{Disk: DiskFacts{"no space left on data/"}}, Verdict{Failing, "no space left on data/"}, Verdict{State: Up}},
	} {
		if got := tt.facts.Judge(); got != tt.self {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.self)
		}
		if got := tt.facts.JudgeBroker(); got != tt.broker {
			t.Errorf("%s: broker: got %+v, want %+v", tt.name, got, tt.broker)
		}
	}
}

// One cause hides no other.
func TestHubCauses(t *testing.T) {
	h := HubFacts{Store: StoreFacts{"locked"}, Disk: DiskFacts{"full"}, Alerts: AlertFacts{"they do not reach ops"}}
	want := []HubCause{{OfStore, Verdict{Failing, "locked"}}, {OfDisk, Verdict{Failing, "full"}}, {OfAlerts, Verdict{Attention, "they do not reach ops"}}}
	if got := h.Causes(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestJudgeComparison(t *testing.T) {
	const cmd = "waybill reconcile"
	for _, tt := range []struct {
		name          string
		facts         ComparisonFacts
		state, stands string
		why           string
	}{
		{"never ran", ComparisonFacts{}, NeverRun, NeverRun, ""},
		{"agreed", ComparisonFacts{Last: Agreed, Run: 7}, Agreed, Agreed, ""},
		{"nothing was there", ComparisonFacts{Last: Agreed, Run: 7, Nothing: "both sides are empty"}, Agreed, Agreed, "both sides are empty"},
		{"nothing could be compared", ComparisonFacts{Command: cmd, Last: Drift, Run: 7, Nothing: "x", NotCompared: 2}, Drift, Drift, "2 could not be compared: waybill reconcile show 7"},
		{"drift", ComparisonFacts{Command: cmd, Last: Drift, Run: 7, Left: 3, Oldest: noon}, Drift, Drift, "3 left, the oldest since 2026-03-01T12:00:00Z: waybill reconcile show 7"},
		{"drift, repaired since", ComparisonFacts{Last: Drift, Run: 7}, Agreed, Agreed, ""},
		{"some not compared", ComparisonFacts{Command: cmd, Last: Drift, Run: 7, NotCompared: 2}, Drift, Drift, "2 could not be compared: waybill reconcile show 7"},
		{"held", ComparisonFacts{Command: cmd, Last: Held, Run: 7, Left: 90}, Held, Held, "90 differ, more than are repaired without a person: waybill reconcile repair 7"},
		{"held, and repaired by a person", ComparisonFacts{Last: Held, Run: 7}, Agreed, Agreed, ""},
		{"failed", ComparisonFacts{Last: Failed, Detail: "erp: refused", Run: 7, Left: 3}, Failed, Failed, "erp: refused"},
		{"overdue", ComparisonFacts{Last: Agreed, Due: noon}, Overdue, Overdue, "a run was due at 2026-03-01T12:00:00Z, and there is no result of it"},
		{"under way, after drift", ComparisonFacts{UnderWay: "run 8 is running", Last: Drift, Left: 1}, Running, Drift, "run 8 is running"},
		{"under way for the first time", ComparisonFacts{UnderWay: "run 8 is wanted"}, Running, NeverRun, "run 8 is wanted"},
	} {
		got, stands := tt.facts.Judge(), tt.facts.Stands()
		if want := (Verdict{tt.state, tt.why}); got != want || stands.State != tt.stands {
			t.Errorf("%s: got %+v, and it stands as %s; want %+v and %s", tt.name, got, stands.State, want, tt.stands)
		}
		if !slices.Contains(ComparisonStates, got.State) {
			t.Errorf("%s is none of the states", got.State)
		}
	}
	for state, bad := range map[string]bool{NeverRun: false, Agreed: false, Running: false, Drift: true, Held: true, Failed: true, Overdue: true} {
		if Bad(state) != bad {
			t.Errorf("%s is bad: %v", state, !bad)
		}
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		since time.Time
		want  time.Duration
	}{
		{"nothing", time.Time{}, 0},
		{"a minute ago", noon.Add(-time.Minute), time.Minute},
		{"by a clock that is ahead", noon.Add(time.Minute), 0},
	} {
		if got := Age(tt.since, noon); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestJudgeClock(t *testing.T) {
	at := func(of string, d time.Duration) ClockSeen { return ClockSeen{of, d, d + time.Second} }
	for _, tt := range []struct {
		name string
		seen []ClockSeen
		want string
	}{
		{"none known", nil, ""},
		{"all agree", []ClockSeen{at("erp", 0), at("crm", -time.Second)}, ""},
		{"within the tolerance", []ClockSeen{at("erp", ClockTolerance), at("crm", -ClockTolerance-time.Second)}, ""},
		{"nobody can tell, the answer took so long", []ClockSeen{{"erp", -time.Minute, 10 * time.Second}}, ""},
		{"one is ahead", []ClockSeen{at("erp", 3*time.Minute), at("crm", 0)}, "the hub's clock and others do not agree: erp 3m0s ahead of it"},
		{"the only one is behind", []ClockSeen{at("erp", -3*time.Minute-time.Second)}, "the hub's clock and others do not agree: erp 3m0s behind it"},
		{"both ways", []ClockSeen{at("erp", time.Minute), at("crm", -time.Hour-time.Second)}, "the hub's clock and others do not agree: erp 1m0s ahead of it; crm 1h0m0s behind it"},
		{"all the same way", []ClockSeen{at("erp", time.Minute), at("the store", time.Minute)}, "the hub's clock is wrong, or all others are: erp 1m0s ahead of it; the store 1m0s ahead of it"},
	} {
		want := Verdict{State: Running}
		if tt.want != "" {
			want = Verdict{Attention, tt.want}
		}
		facts := HubFacts{Clock: ClockFacts{tt.seen}}
		if got := facts.Judge(); got != want || Bad(got.State) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}
