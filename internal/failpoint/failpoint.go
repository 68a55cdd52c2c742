// Package failpoint names the places between two durable effects, so that tests can end, delay or fail the hub exactly there.
//
// In an ordinary build Hit and Fail are empty and cost nothing. Built with the tag "failpoints" they obey the environment
// variable WAYBILL_FAILPOINTS:
//
//	WAYBILL_FAILPOINTS="relay.batch-published=kill@3;flow.target-applied=sleep(200ms)"
//
//	kill          the process kills itself (SIGKILL) at once
//	sleep(200ms)  the goroutine waits
//	error(text)   Fail gives an error with this text
//	enospc        Fail gives ENOSPC: the disk is full
//
// @n lets the action happen at the n-th hit only; without it, it happens at every hit. An unknown name or action, or an error where
// none can be given, ends the process at its start.
package failpoint

// Variable is the environment variable that sets points, in builds with the tag.
const Variable = "WAYBILL_FAILPOINTS"

// Name is a place, as part.step-state. Each stands in the code exactly once.
type Name string

// The places, in the order in which a message and the hub's life pass them. Those marked with "may fail" take error and enospc.
const (
	// WebhookStored: the delivery is in the inbox. The sender has no answer and will send again.
	WebhookStored Name = "intake.webhook-stored"
	// WebhookAnswered: the delivery is in the inbox and the sender has its 202. The relay has not been woken by it for sure.
	WebhookAnswered Name = "intake.webhook-answered"
	// PollRead: a page was read from the source. Neither its records nor the cursor are stored. May fail.
	PollRead Name = "intake.poll-read"
	// PollStored: a page's records and the cursor are stored together. Nothing of it is published.
	PollStored Name = "intake.poll-stored"
	// FileClaimed: a complete file lies in the folder of what is claimed. Nothing of it was read.
	FileClaimed Name = "intake.file-claimed"
	// FileRead: rows were read from a file. Neither they nor the place behind them are stored. May fail.
	FileRead Name = "intake.file-read"
	// FileStored: rows and the place behind them are stored together. The file lies where it was.
	FileStored Name = "intake.file-stored"
	// FileTaken: all rows are stored, and that the file is done. It is not moved away.
	FileTaken Name = "intake.file-taken"
	// FileMoved: the file is moved away. The store still holds a place in it.
	FileMoved Name = "intake.file-moved"
	// SubmitStored: events that the hub itself has made are in the inbox, with who wanted them. Who submitted them does not know.
	SubmitStored Name = "intake.submission-stored"
	// BackfillSubmitted: a piece of a page is in the inbox. That the page is worked off is not noted, so that it is read and submitted again.
	BackfillSubmitted Name = "intake.backfill-submitted"
	// LeaseTaken: a lease is stored under a new token. The work under it has not begun.
	LeaseTaken Name = "intake.lease-taken"

	// RelayPublished: a batch of inbox rows is on its topic. The rows are not marked: they will be published twice.
	RelayPublished Name = "relay.batch-published"
	// RelayMarked: the rows are marked as published.
	RelayMarked Name = "relay.batch-marked"
	// ReplayPublished: refused events that a person has replayed are on the topic again. Their inbox rows are not marked.
	ReplayPublished Name = "relay.replay-published"

	// Produce: a record batch is about to be written to the broker. Nothing is sent. May fail: not written.
	Produce Name = "bus.produce-begun"
	// Produced: the broker has acknowledged a record batch. Who wanted it written does not know.
	Produced Name = "bus.produce-done"
	// PositionTaken: a partition is ours under a new epoch. Nothing of it was read.
	PositionTaken Name = "bus.position-taken"
	// Acked: a lane batch has its fates in the store and is acknowledged. The broker's offset is behind.
	Acked Name = "bus.batch-acked"
	// OffsetCommit: the store's watermark has moved and the broker's offset is about to. May fail: not committed.
	OffsetCommit Name = "bus.offset-commit"
	// OffsetCommitted: the broker's offset has moved as well.
	OffsetCommitted Name = "bus.offset-committed"
	// GroupLeave: reading has stopped and the offsets are committed. The group still counts the member.
	GroupLeave Name = "bus.group-leave"
	// BrokerIdentified: the embedded broker's directory has its id. Torn logs are not repaired.
	BrokerIdentified Name = "bus.embedded-identified"
	// BrokerCut: the torn end of one of the embedded broker's files is cut off; others may follow. May fail.
	BrokerCut Name = "bus.embedded-cut"

	// FlowResolved: the event's object has a hub id, maybe a new one. The event itself has no fate.
	FlowResolved Name = "flow.object-resolved"
	// IntentCommitted: the intent of a call is stored. Nothing is sent.
	IntentCommitted Name = "flow.intent-committed"
	// TargetCall: a target is about to be called, for the first time or again. May fail: unavailable, nothing sent.
	TargetCall Name = "flow.target-call"
	// RequestWritten: a request that changes something is sent whole. No answer was read: the target may or may not have applied it.
	RequestWritten Name = "http.request-written"
	// RequestAnswered: the target has answered such a request, its answer is not used. May fail: the answer is lost.
	RequestAnswered Name = "http.request-answered"
	// SQLWritten: the rows are written in the target database's open transaction: nothing is durable there. May fail: rolled back.
	SQLWritten Name = "sql.rows-written"
	// SQLCommitted: the target database has committed. The connector has not returned.
	SQLCommitted Name = "sql.tx-committed"
	// FileWritten: a file to be delivered is on disk under its temporary name, which nobody takes. May fail.
	FileWritten Name = "file.temp-written"
	// FileNamed: the file has its name and may be taken by its reader. The connector has not returned.
	FileNamed Name = "file.name-given"
	// TargetApplied: the connector has returned, the target holds the change. Nothing of it is stored. May fail: unknown outcome.
	TargetApplied Name = "flow.target-applied"
	// FlowPublished: what a batch delivers to topics is there. Neither fates nor offsets are stored.
	FlowPublished Name = "flow.batch-published"
	// StoreApplied: a merged transaction holds all its changes. It is not committed. May fail: rolled back.
	StoreApplied Name = "store.tx-applied"
	// StoreCommitted: the transaction is committed. None of those who wait for it knows.
	StoreCommitted Name = "store.tx-committed"
	// FlowCommitted: cross-references, journal, fates and offsets of a batch are stored. It is not acknowledged.
	FlowCommitted Name = "flow.batch-committed"
	// FlowQueued: a held, parked or waiting message, or a follower, is in its stored queue. It is not acknowledged.
	FlowQueued Name = "flow.message-queued"
	// WaitersMarked: a cross-reference is written and what waited for it marked ready, in the open transaction.
	WaitersMarked Name = "store.waiters-marked"
	// RefsCommitted: a cross-reference and the marks on what waited for it are stored. Nobody has been told to look.
	RefsCommitted Name = "flow.refs-committed"

	// DrainBegun: a stored message is due and its key's lane is held. Nothing is decided.
	DrainBegun Name = "flow.drain-begun"
	// DrainDecided: the stored message is decided, and delivered where its target is a system. Its row still stands.
	DrainDecided Name = "flow.drain-decided"
	// Drained: the message's fate is stored and its row gone, or kept with what was learnt.
	Drained Name = "flow.drain-stored"
	// Resubmitted: a refused message that a person has replayed is in the inbox again, and its row is gone. The relay has not read it.
	Resubmitted Name = "flow.message-resubmitted"

	// MarkStored: a person's wish to replay or discard a message is stored. Its owner has not been told.
	MarkStored Name = "app.mark-stored"
	// EditStored: an edited document stands in its row, the original beside it.
	EditStored Name = "app.edit-stored"
	// PauseStored: that a flow is paused or resumed is stored. Its runner does not know.
	PauseStored Name = "app.pause-stored"

	// MigrationStatement: a statement of a migration has run, in the open transaction. May fail: rolled back.
	MigrationStatement Name = "store.migration-statement"
	// MigrationDone: a migration, or all that a new store gets, is committed. The next one has not begun.
	MigrationDone Name = "store.migration-done"
	// Pruned: a part of what nobody needs is removed from the inbox. The rest stands.
	Pruned Name = "store.inbox-pruned"
	// ReloadAudited: new files are loaded, checked and made ready, and who wanted it is stored. Nothing that runs was touched.
	ReloadAudited Name = "reload.plan-audited"
	// ReloadSourcesClosed: relays and readers of flows that change have ended and given back their leases. The flows work on.
	ReloadSourcesClosed Name = "reload.sources-closed"
	// ReloadFlowsStopped: flows that change have given back what was under way and left their partitions.
	ReloadFlowsStopped Name = "reload.flows-stopped"
	// ReloadSystemsClosed: the new plan is the hub's and systems that change are closed. No new flow reads.
	ReloadSystemsClosed Name = "reload.systems-closed"
	// ReloadFlowsStarted: the new flows read. Their relays and readers have not begun.
	ReloadFlowsStarted Name = "reload.flows-started"
	// ReloadDone: everything runs by the new plan. Who asked has no answer.
	ReloadDone Name = "reload.change-done"
	// TopicsEnsured: the topics exist. No flow has been subscribed.
	TopicsEnsured Name = "app.topics-ensured"
	// Started: every part of the hub runs. It does not count as ready.
	Started Name = "app.parts-started"
	// StopStep: a step of an orderly stop, or of the undoing of a failed start, is about to be taken.
	StopStep Name = "lifecycle.stop-step"
	// FlowStopping: a flow takes no more work and its calls are cancelled. What was under way has not come back.
	FlowStopping Name = "flow.stop-begun"
)

// All lists the places in their order.
func All() []Name {
	return []Name{
		WebhookStored, WebhookAnswered, PollRead, PollStored, FileClaimed, FileRead, FileStored, FileTaken, FileMoved, SubmitStored, BackfillSubmitted, LeaseTaken,
		RelayPublished, RelayMarked, ReplayPublished,
		Produce, Produced, PositionTaken, Acked, OffsetCommit, OffsetCommitted, GroupLeave, BrokerIdentified, BrokerCut,
		FlowResolved, IntentCommitted, TargetCall, RequestWritten, RequestAnswered, SQLWritten, SQLCommitted, FileWritten, FileNamed,
		TargetApplied, FlowPublished, StoreApplied, StoreCommitted, FlowCommitted, FlowQueued, WaitersMarked, RefsCommitted,
		DrainBegun, DrainDecided, Drained, Resubmitted, MarkStored, EditStored, PauseStored,
		ReloadAudited, ReloadSourcesClosed, ReloadFlowsStopped, ReloadSystemsClosed, ReloadFlowsStarted, ReloadDone,
		MigrationStatement, MigrationDone, Pruned, TopicsEnsured, Started, StopStep, FlowStopping,
	}
}

// Fails reports whether an error can be given at the place: there the code calls Fail, elsewhere Hit.
func (n Name) Fails() bool {
	switch n {
	case PollRead, FileRead, Produce, OffsetCommit, BrokerCut, TargetCall, RequestAnswered, SQLWritten, FileWritten, TargetApplied,
		StoreApplied, MigrationStatement:
		return true
	}
	return false
}
