// Package logcheck holds the logs of topics against what the hub remembers of them: whether a log is the one that positions
// and places belong to, and whether it still holds what has no fate yet. Its parts follow each other:
//
//   - gather asks the store and the broker (Evidence);
//   - Survey finds what does not fit, and how to go on with it (state.Break); it asks nobody;
//   - consequences says what that means for each flow (standing); it asks nobody either;
//   - Checker keeps the last of these, and everything that reads or publishes asks it;
//   - Preview and Recover carry out what a person decides, and Resend puts on topics again what a recovery has found to be lost.
//
// The package keeps no rows: the store does (Store), and the broker is asked through Broker.
package logcheck

import (
	"context"
	"log/slog"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
)

// Store keeps what is known of logs, how far flows have read them, and what the hub has sent to them.
type Store interface {
	// Logs is what is known of the topics' logs, by topic; NoteLogs adds to it.
	Logs(ctx context.Context) (map[string]state.TopicLog, error)
	NoteLogs(ctx context.Context, seen []state.TopicLog) error
	// Tops gives, by topic and partition, what is behind the last record that the hub itself has put there.
	Tops(ctx context.Context) (map[string][]int64, error)
	// Partitions gives the stored positions of a flow; of all flows where it is empty.
	Partitions(ctx context.Context, flow string) ([]state.Partition, error)
	// PreviewRecovery tells what Recover would do.
	PreviewRecovery(ctx context.Context, rec *state.Recovery) (*state.Recovered, error)
	Recover(ctx context.Context, rec *state.Recovery) (*state.Recovered, error)
	// Resending counts, by topic, the records that are to be put on it again; Lost gives them in order, Resent says where they are now.
	Resending(ctx context.Context) (map[string]int64, error)
	Lost(ctx context.Context, topic string, limit int) ([]state.Lost, error)
	Resent(ctx context.Context, lease state.Lease, id, life int64, at []state.PublishedAt) error
	// PruneSent removes of the sent records what all readers have finished, if same has nothing against it.
	PruneSent(ctx context.Context, readers map[string][]string, same func(context.Context) error) (removed int64, err error)

	lease.Store
}

// Broker is asked about topics, and given records.
type Broker interface {
	// Look gives the logs of topics as they are now, all from one answer; a topic that does not exist is missing.
	Look(ctx context.Context, topics ...string) (map[string]state.SeenLog, error)
	// Committed gives the offsets that a group has committed in the first n partitions of a topic; -1 where it has none.
	Committed(ctx context.Context, group, topic string, n int) ([]int64, error)
	publish.Publisher
}

// Options are what a Checker is made of.
type Options struct {
	Store  Store
	Broker Broker
	Clock  lifecycle.Clock
	Log    *slog.Logger
	// Holder names this hub in leases.
	Holder string
	// Flows are the flows of the plan that runs now.
	Flows func() []Flow
	// MakeTopics makes the plan's topics that are not there.
	MakeTopics func(context.Context) error
	// AssignPartition gives the partition, of n, that records of a key come to.
	AssignPartition func(key string, n int) int
}
