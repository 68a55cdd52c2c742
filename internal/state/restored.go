package state

import (
	"slices"
	"strings"
	"time"
)

// Signs by which it shows that the store is an older one than the hub has worked with.
const (
	// SignCopy: it is a copy that `waybill backup` has written.
	SignCopy = "copy"
	// SignFile: it is another file than the one that the hub wrote last: somebody has put a copy in its place, or moved it.
	SignFile = "file"
	// SignFolder: its folder has seen a later state of it: somebody has written an older one over it.
	SignFolder = "folder"
	// SignDatabase: the tables were made anew, or the server's history has forked (PostgreSQL): a dump was read in, or a server stepped back in time.
	SignDatabase = "database"
	// SignLog: the consumer groups of the broker have committed more than the store knows to be finished.
	SignLog = "log"
	// SignPerson: a person has said so.
	SignPerson = "person"
)

// Phases of a Restoration, in their order.
const (
	// RestoredReading: sources are read up to what they hold now, and what they gave is on its way.
	RestoredReading = "reading"
	// RestoredPassing: the logs are worked off up to where they ended when reading was over.
	RestoredPassing = "passing"
	// RestoredWatching: the positions are passed. Senders may still send again what they have sent before, to targets that cannot be asked.
	RestoredWatching = "watching"
	// RestoredSettled: it is over.
	RestoredSettled = "settled"
)

// Restoration is the time after the store has gone back to an older state. What was done between that state and now is not known: a create of an
// object that the cross-reference does not know may have been made already, and so is looked up first, and parked where the target cannot be asked.
type Restoration struct {
	Signs []string  `json:"signs"`
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	// AsOf is the state that the store is of; zero where nothing tells. Stopped is when a later state was alive last; zero where nothing tells.
	AsOf    time.Time `json:"as_of,omitzero"`
	Stopped time.Time `json:"stopped,omitzero"`
	// CopyID is the id of the copy that `waybill backup` wrote.
	CopyID string `json:"copy_id,omitempty"`
	Phase  string `json:"phase"`
	Who    string `json:"who"`
	Note   string `json:"note,omitempty"`

	// Committed are the offsets that groups had committed beyond the stored positions, as flow, topic and partition: Again counts these records.
	Committed map[string]int64 `json:"committed,omitempty"`
	Again     int64            `json:"again"`

	// Read are the flows whose sources were read up to their end since. Inbox is the inbox as it was then, Ends the ends of the topics that have to be
	// passed; Rounds counts how often that is to be done still: once for each topic on the longest way.
	Read   map[string]bool    `json:"read,omitempty"`
	Inbox  int64              `json:"inbox,omitempty"`
	Ends   map[string][]int64 `json:"ends,omitempty"`
	Rounds int                `json:"rounds,omitempty"`
	// Waits says what it waits for.
	Waits []string `json:"waits,omitempty"`
	// Blind are flows whose targets cannot be asked, each with the reason. Watched is how long hubs have watched since the positions were passed.
	Blind   map[string]string `json:"blind,omitempty"`
	Watched time.Duration     `json:"watched,omitempty"`
	// Queue is the last stored message of the time before it was settled: such a message is in doubt whenever it is tried.
	Queue int64 `json:"queue,omitempty"`

	// Looked counts what was looked up because of it, Found what turned out to be there, Parked what could not be told.
	Looked int64 `json:"looked"`
	Found  int64 `json:"found"`
	Parked int64 `json:"parked"`

	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

// Settling reports whether what is not known may still matter.
func (r *Restoration) Settling() bool { return r != nil && r.Phase != RestoredSettled }

// Said is the restoration that a person tells of at a moment. Where one is being settled, what is known of it stays: the moment of the copy, what has been
// found so far; it is settled anew from its first phase.
func (r *Restoration) Said(at, asOf time.Time, why, who, note string) *Restoration {
	fresh := &Restoration{Signs: []string{SignPerson}, Why: why, Since: at, AsOf: asOf, Phase: RestoredReading, Who: who, Note: note}
	if r == nil {
		return fresh
	}
	fresh.Queue = r.Queue
	if !r.Settling() {
		return fresh
	}
	if asOf.IsZero() {
		fresh.AsOf = r.AsOf
	}
	fresh.Signs = append(slices.DeleteFunc(slices.Clone(r.Signs), func(s string) bool { return s == SignPerson }), SignPerson)
	if !strings.HasSuffix(r.Why, why) {
		fresh.Why = r.Why + "; " + why
	} else {
		fresh.Why = r.Why
	}
	fresh.Stopped, fresh.CopyID, fresh.Committed, fresh.Again = r.Stopped, r.CopyID, r.Committed, r.Again
	fresh.Looked, fresh.Found, fresh.Parked = r.Looked, r.Found, r.Parked
	return fresh
}
