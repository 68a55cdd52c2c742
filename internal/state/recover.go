package state

import (
	"errors"

	"github.com/waybill-hub/waybill/internal/event"
)

var (
	// ErrLoss: going on would give up records that nobody can bring back, and nobody has said by name that they are given up.
	ErrLoss = errors.New("records would be lost")
	// ErrMoved: positions have moved since a recovery was planned on them: plan it anew.
	ErrMoved = errors.New("the positions have moved since they were read")
	// ErrPlan: what a recovery would do is not any more what the person has seen.
	ErrPlan = errors.New("what would be done has changed since it was looked at: look again")
)

// TopicLog is what the hub knows of a topic's log.
type TopicLog struct {
	Topic string
	// Life counts the logs that the topic has had. It rises when a person lets the hub go on with another log: places and positions
	// of an earlier life do not compare with those of this one.
	Life int64
	// Cluster and TopicID are the ids of the broker's cluster and topic.
	Cluster string
	TopicID string
	// Base is added to the offset of a record that has to serve as a version: offsets of a new log begin at 0 again.
	Base int64
	// Ends are the ends of the partitions as they were seen last.
	Ends []int64
	// Foreign: records were seen on the topic that no flow has put there.
	Foreign bool
}

// Recovery is a person's decision to go on with the logs that the broker has now.
type Recovery struct {
	Who  string
	Note string
	// Discard gives up, in the person's name, what no store can bring back; without it such a recovery is refused with ErrLoss.
	Discard bool
	// Topics are the topics concerned, each with every position on it.
	Topics []RecoverTopic
}

// RecoverTopic is one topic whose log does not hold what the store remembers of it.
type RecoverTopic struct {
	Topic string
	// Cluster and TopicID are those of the log that is there now.
	Cluster string
	TopicID string
	// Ends are its ends now.
	Ends []int64
	// Same: it is the log that the hub knows, and what was put below its ends is still there unless retention has removed it.
	Same bool
	// NewLife: offsets may mean other records than they did.
	NewLife bool
	// Inbox is the flow whose inbox leads to the topic; empty for a topic that flows write to.
	Inbox string
	// Written: flows put records on it.
	Written bool
	// Readers are the flows of the plan that read it.
	Readers []string
	// Moves say where the readers go on.
	Moves []Move
	// AssignPartition gives the partition of a key among n, where the number of partitions is another one than it was; nil where it is not.
	AssignPartition func(key string, n int) int
}

// Move is where one flow goes on in one partition.
type Move struct {
	Flow      string
	Partition int
	// Old is the position that the decision was made on; Known says that there is one. Another one in the store refuses the recovery.
	Old   event.Position
	Known bool
	// New is where it goes on. Gone: the log has no such partition any more.
	New  event.Position
	Gone bool
	// Passed is the range of offsets that this flow would have read and that are not there any more; empty where none are known to be.
	Passed event.Range
}

// Recovered is what a recovery does, by topic and flow.
type Recovered struct {
	Topics []RecoveredTopic
}

// RecoveredTopic is one topic's part.
type RecoveredTopic struct {
	Topic string
	// Rows of the inbox are published again, with Events in them that have no fate; Records are put on the topic again as they were.
	Rows, Events, Records int64
	Flows                 []RecoveredFlow
}

// RecoveredFlow is what a recovery does for one flow that reads the topic.
type RecoveredFlow struct {
	Flow  string
	Parts []RecoveredPart
}

// RecoveredPart is one partition's part.
type RecoveredPart struct {
	Partition int
	// Again counts records without a fate that the flow gets again; Lost those that nobody can bring back; Copies offsets that were
	// none of the hub's known records, on topics that only the hub writes to: it had written them twice.
	Again, Lost, Copies int64
	// LostFrom and LostTo bound the offsets in which Lost lie.
	LostFrom, LostTo int64
}

// Lost is one batch of records that are to be put on their topic again, in order.
type Lost struct {
	ID      int64
	Flow    string
	Topic   string
	Records []event.Record
}

// Reading is what a plan says of a topic.
type Reading struct {
	Topic string
	// Inbox is the flow whose inbox leads to it; empty for a topic that flows, or others, write to.
	Inbox string
	// Writers are the flows that write to it, Readers those that read it.
	Writers []string
	Readers []string
}

// SeenLog is what the broker says of a topic.
type SeenLog struct {
	Cluster string
	TopicID string
	// Parts are the offsets that the partitions hold.
	Parts []event.Range
}

// Causes of a break.
const (
	// BreakMissing: the topic does not exist.
	BreakMissing = "missing"
	// BreakCluster: the broker is another one, or was wiped; BreakTopic: the topic was deleted and made again.
	BreakCluster = "another-broker"
	BreakTopic   = "topic-made-again"
	// BreakEnd: the log ends before what was in it.
	BreakEnd = "cut-off"
	// BreakStart: the log begins behind the position (retention).
	BreakStart = "removed-unread"
	// BreakPosition: the store has no position where the group has committed one; BreakLog: the position is in a log that was before.
	BreakPosition = "position-lost"
	BreakLog      = "position-of-another-log"
)

// Break is a topic whose log does not hold what the store remembers of it.
type Break struct {
	Topic string
	Cause string
	// Text says what differs, with ids and offsets as expected and as found.
	Text string
	// Flows are the readers concerned, each with what differs for it; nothing may be published to the topic while Whole is set: the log
	// itself is another one than it was.
	Flows []BrokenFlow
	Whole bool
	// Plan is how to go on; nil where that cannot be said yet, because the topic does not exist.
	Plan *RecoverTopic
}

// BrokenFlow is a reader that cannot go on.
type BrokenFlow struct {
	Flow string
	Text string
}
