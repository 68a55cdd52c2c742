// Package storetest is the one suite that the store passes on every database. It is imported by tests only.
package storetest

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// Fresh makes an empty database and says how to open it. Shared tells that several hubs may have it open at once.
type Fresh func(t testing.TB) (cfg store.Config, shared bool)

// SQLite is an empty file of the test's own.
func SQLite(t testing.TB) (store.Config, bool) {
	return store.Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")}, false
}

// Run runs the suite.
func Run(t *testing.T, fresh Fresh) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"Accept", testAccept}, {"AcceptWithCursor", testAcceptWithCursor}, {"AcceptConcurrently", testAcceptConcurrently},
		{"Unpublished", testUnpublished}, {"MarkPublished", testMarkPublished}, {"Submit", testSubmit}, {"SubmitConcurrently", testSubmitConcurrently}, {"SubmitOntoTopic", testSubmitOntoTopic}, {"WaitingSubmissions", testWaitingSubmissions}, {"Resubmit", testResubmit}, {"Refused", testRefused}, {"Prune", testPrune},
		{"OpenPartition", testOpenPartition},
		{"SentLog", testSentLog}, {"RecoverWiped", testRecoverWiped}, {"RecoverStragglers", testRecoverStragglers}, {"RecoverRetention", testRecoverRetention},
		{"RecoverCutOff", testRecoverCutOff}, {"RecoverTwice", testRecoverTwice}, {"RecoverForeign", testRecoverForeign}, {"RecoverPosition", testRecoverPosition}, {"RecoverMoved", testRecoverMoved},
		{"RecoverDealt", testRecoverDealt}, {"RecoverLists", testRecoverLists}, {"RecoverResubmitted", testRecoverResubmitted}, {"RecoverBase", testRecoverBase}, {"RecoverBaseOfPositions", testRecoverBaseOfPositions},
		{"RecoverRefilled", testRecoverRefilled}, {"RecoverUnsent", testRecoverUnsent}, {"RecoverUnnoted", testRecoverUnnoted}, {"RecoverUnnotedStranger", testRecoverUnnotedStranger},
		{"RecoverAbsentReader", testRecoverAbsentReader}, {"RecoverRenamed", testRecoverRenamed}, {"RecoverOpened", testRecoverOpened}, {"RecoverForeignDone", testRecoverForeignDone}, {"RecoverListInTwo", testRecoverListInTwo}, {"RecoverListInTwoKnown", testRecoverListInTwoKnown}, {"RecoverPlacedFirst", testRecoverPlacedFirst}, {"RecoveryModel", testRecoveryModel},
		{"CommitCounts", testCommitCounts}, {"CommitFenced", testCommitFenced}, {"CommitMerged", testCommitMerged}, {"CommitRefused", testCommitRefused},
		{"CommitOddTexts", testCommitOddTexts}, {"Ages", testAges}, {"Timely", testTimely}, {"TheirClock", testTheirClock},
		{"LaneFollowers", testLaneFollowers}, {"LaneHeadChanges", testLaneHeadChanges}, {"LaneOfNonBlocking", testLaneOfNonBlocking},
		{"LaneLateFollower", testLaneLateFollower}, {"LaneDiscards", testLaneDiscards}, {"LaneInOneCommit", testLaneInOneCommit},
		{"Due", testDue}, {"Marks", testMarks}, {"Edit", testEdit}, {"EditOfNothing", testEditOfNothing}, {"EditRace", testEditRace},
		{"Parked", testParked}, {"Causes", testCauses}, {"Selections", testSelections}, {"Bulk", testBulk}, {"Paces", testPaces}, {"Requests", testRequests}, {"BulkDiscard", testBulkDiscard},
		{"Resolve", testResolve}, {"ResolveAll", testResolveAll}, {"Link", testLink}, {"LinkReleases", testLinkReleases}, {"ResolvePending", testResolvePending}, {"References", testReferences}, {"ReadBesideAWrite", testReadBesideAWrite}, {"Target", testTarget}, {"Duplicates", testDuplicates},
		{"WaiterForHub", testWaiterForHub}, {"WaiterForLocal", testWaiterForLocal}, {"WaiterForIntents", testWaiterForIntents},
		{"WaitersWoken", testWaitersWoken}, {"WaiterRace", testWaiterRace}, {"IntentRace", testIntentRace},
		{"IntentFenced", testIntentFenced}, {"IntentAgain", testIntentAgain}, {"IntentClose", testIntentClose}, {"Claims", testClaims}, {"ClaimRace", testClaimRace},
		{"PullForward", testPullForward}, {"DrainableOfPartition", testDrainableOfPartition}, {"Tried", testTried},
		{"Leases", testLeases}, {"LeaseOfAnotherTime", testLeaseOfAnotherTime}, {"Journal", testJournal}, {"Trace", testTrace}, {"Standing", testStanding}, {"Documents", testDocuments}, {"DocumentsOff", testDocumentsOff}, {"DocumentsBySize", testDocumentsBySize}, {"Begin", testBegin}, {"Runs", testRuns}, {"Pauses", testPauses}, {"Resumes", testResumes}, {"SourceWishes", testSourceWishes}, {"KnownObjects", testKnownObjects}, {"Audits", testAudits}, {"AuditPages", testAuditPages}, {"AuditOfChanges", testAuditOfChanges},
		{"Comparison", testComparison}, {"ComparisonWantedTwice", testComparisonWantedTwice}, {"ComparisonNumbers", testComparisonNumbers}, {"ComparisonFenced", testComparisonFenced}, {"ComparisonCancelled", testComparisonCancelled},
		{"ExchangeNumbers", testExchangeNumbers}, {"ExchangeAnswers", testExchangeAnswers}, {"ExchangeReceived", testExchangeReceived},
		{"LastComparisons", testLastComparisons}, {"Differences", testDifferences}, {"DifferencesSince", testDifferencesSince}, {"DifferencesLarge", testDifferencesLarge}, {"PruneComparisons", testPruneComparisons}, {"RuleMemory", testRuleMemory}, {"RuleMemoryOrder", testRuleMemoryOrder}, {"PruneRuleMemory", testPruneRuleMemory}, {"Listings", testListings}, {"ListingsOrder", testListingsOrder}, {"PruneListings", testPruneListings}, {"ListingOpened", testListingOpened}, {"Backfill", testBackfill}, {"AcceptedSince", testAcceptedSince}, {"Bundle", testBundle}, {"Alerts", testAlerts},
		{"Search", testSearch}, {"SearchMeets", testSearchMeets}, {"SearchBehind", testSearchBehind}, {"SearchFenced", testSearchFenced}, {"SearchWide", testSearchWide}, {"SearchStates", testSearchStates}, {"SearchTerms", testSearchTerms}, {"SearchHidden", testSearchHidden}, {"Related", testRelated}, {"PruneSearch", testPruneSearch},
		{"Closed", testClosed}, {"Canceled", testCanceled}, {"Model", testModel}, {"QueueModel", testQueueModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, shared := fresh(t)
			b := &bench{t: t, cfg: cfg, shared: shared, clock: &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
			b.cfg.Clock, b.cfg.Elapsed = b.clock, func() time.Duration { return 0 } // however busy the machine is
			b.Store = b.open()
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.test(t, b)
			if c.name != "Closed" {
				b.counted()
			}
		})
	}
}

// Clock is turned by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time that was set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add turns the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is one test's store.
type bench struct {
	*store.Store
	t      *testing.T
	cfg    store.Config
	shared bool
	clock  *Clock
}

func (b *bench) open() *store.Store {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), b.cfg)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	return s
}

// reopen closes the store and opens it again.
func (b *bench) reopen() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatalf("close: %v", err)
	}
	b.Store = b.open()
}

// other is a second hub on the same database; where there can be none, the same store again.
func (b *bench) other() *store.Store {
	b.t.Helper()
	if !b.shared {
		return b.Store
	}
	s := b.open()
	b.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
	return s
}

func (b *bench) ctx() context.Context { return b.t.Context() }

// part is the partition that most tests use.
type part struct {
	*bench
	state.Partition
}

var eventLog = event.Log{Cluster: "cluster", TopicID: "topic", First: 0, Last: 1 << 40}

func (b *bench) part(number int) *part {
	b.t.Helper()
	p, err := b.OpenPartition(b.ctx(), "orders-to-erp", "canonical.order", number, eventLog)
	b.no(err)
	return &part{b, p}
}

func (p *part) of(results ...state.Result) *state.Commit {
	return &state.Commit{Flow: p.Flow, Topic: p.Topic, Partition: p.Partition.Partition, Epoch: p.Epoch, Results: results}
}

func (p *part) commit(results ...state.Result) {
	p.t.Helper()
	p.no(p.Commit(p.ctx(), p.of(results...)))
}

// queue gives a lane's rows.
func (p *part) queue(lane string) []state.Queued {
	p.t.Helper()
	rows, err := p.Queue(p.ctx(), p.Flow, lane, 1000)
	p.no(err)
	return rows
}

// shape is a lane in short: one word per row, "state", with "+" for a follower, "~" for one that blocks nothing, "!mark" where marked.
func (p *part) shape(lane string) string {
	p.t.Helper()
	s := ""
	for i, q := range p.queue(lane) {
		if i > 0 {
			s += " "
		}
		s += string(q.State)
		if q.Follower {
			s += "+"
		}
		if !q.Blocking {
			s += "~"
		}
		if q.Mark != "" {
			s += "!" + string(q.Mark)
		}
	}
	return s
}

func (b *bench) wantShape(p *part, lane, want string) {
	b.t.Helper()
	if got := p.shape(lane); got != want {
		b.t.Fatalf("lane %s is %q, want %q", lane, got, want)
	}
}

func (b *bench) due(p *part, want ...string) {
	b.t.Helper()
	got, err := b.Due(b.ctx(), p.Flow, p.Topic, p.Partition.Partition, b.clock.Now(), 100)
	b.no(err)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Fatalf("due: %v, want %v", got, want)
	}
}

func (b *bench) no(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// totals gives a flow's equation and checks that nothing is left over.
func (b *bench) totals(flow string) state.FlowTotals {
	b.t.Helper()
	all, _, _, err := b.StatusSnapshot(b.ctx())
	b.no(err)
	for i := range all {
		if n := all[i].Unaccounted(); n != 0 {
			b.t.Fatalf("%d unaccounted: %+v", n, all[i])
		}
	}
	for i := range all {
		if all[i].Flow == flow {
			return all[i]
		}
	}
	return state.FlowTotals{Flow: flow}
}

func delivered(offset int64) state.Result {
	return state.Result{Offset: offset, Outcome: state.Delivered}
}

// rest is a result that appends to a lane.
func rest(offset int64, outcome state.Outcome, lane string, change ...func(*state.Queued)) state.Result {
	q := &state.Queued{Lane: lane, Blocking: true, Kind: "kind", Reason: "because", Event: anEvent(fmt.Sprintf("%s-%d", lane, offset), lane)}
	for _, c := range change {
		c(q)
	}
	return state.Result{Offset: offset, Outcome: outcome, Queue: q}
}

func anEvent(id, key string) event.Event {
	return event.Event{ID: id, Source: "crm", Entity: "order", Operation: event.Upsert, Key: key, Local: "local-" + key, Hub: "hub-" + key, Version: "7", Origin: "crm", Hops: 1,
		Time: time.Date(2026, 2, 28, 10, 0, 0, 123456789, time.FixedZone("", 8*3600)), Accepted: time.Date(2026, 2, 28, 2, 0, 1, 0, time.UTC),
		Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Data: []byte(`{"id":"` + key + `"}`)}
}

func loose(q *state.Queued)    { q.Blocking = false }
func follower(q *state.Queued) { q.Follower = true }

func needs(m state.Missing) func(*state.Queued) { return func(q *state.Queued) { q.Missing = &m } }

// drained is the fate of a stored row; rows that stay are updated.
func drained(q state.Queued, outcome state.Outcome, change ...func(*state.Queued)) state.Result {
	r := state.Result{Drained: q.ID, Outcome: outcome}
	if outcome == state.Parked || outcome == state.Waiting || outcome == state.Held {
		q.Missing, q.Kind, q.Reason = nil, "later", "later"
		q.Attempts++
		for _, c := range change {
			c(&q)
		}
		r.Queue = &q
	}
	return r
}
