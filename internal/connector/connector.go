// Package connector is the seam between the hub and the systems: what a kind of system can be asked to do, and how it
// describes its own settings. Implementations live in connectors/<kind>; connectortest runs one suite on every one.
package connector

import (
	"context"
	"database/sql/driver"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind makes systems of one kind.
type Kind interface {
	// Spec describes the settings and abilities.
	Spec() Spec
	// Check reads the settings of one system (the YAML below systems.<name>) and adds every problem, with its place, to
	// problems. It makes no connection.
	Check(s Settings, problems *strictyaml.Problems)
	// Open makes the system ready. It makes no call that needs the other side to be up.
	Open(ctx context.Context, s Settings) (System, error)
}

// Reader is implemented by kinds whose settings name files of the project: what is in them counts as part of the settings.
type Reader interface {
	Kind
	// Reads gives the paths of the files that the settings name.
	Reads(s Settings) []string
}

// Settings is one system's configuration.
type Settings struct {
	// Name is the system's name in the plan.
	Name string
	// Node is the YAML mapping below systems.<name>; secret references in its scalars are resolved by Node.Decode.
	Node strictyaml.Node
	Log  *slog.Logger
	// Dir is the directory that relative paths are resolved against: the directory of the configuration file.
	Dir string
	// Told is given the system's own time whenever an answer tells it; at is that time, to the second, as it was at some moment of the time that has just
	// passed. It may be nil, and must not block.
	Told func(at time.Time, passed time.Duration)
	// Via, where not nil, stands between a system over HTTP and the network: what they exchange is recorded there, or comes from a recording.
	Via func(http.RoundTripper) http.RoundTripper
	// Database, where not nil, stands in the place of a database's driver: what is answered comes from a recording.
	Database driver.Connector
	// Exchanges keeps what is exchanged with partners; nil where there is no store, as in a check.
	Exchanges Exchanges
}

// Exchanges keeps what is exchanged with partners, for all hubs of a store. pair names sender and receiver.
type Exchanges interface {
	// NumberSent gives the control number of what token names: the one that it has, or the next of the pair, at least from; none is given twice or
	// left out. message is what it holds. An answer is due after due; 0: none is awaited.
	NumberSent(ctx context.Context, pair, token, message string, from int64, due time.Duration) (int64, error)
	// NoteReceived notes the interchanges of a file, all of them or none. known is the place of the first that came before under another token, unless it was in the
	// same file, and that was not settled; none is noted then. -1: none came.
	NoteReceived(ctx context.Context, came []Received) (known int, err error)
	// SettleReceived notes that a file is done with: whatever comes under its name from now on is another delivery.
	SettleReceived(ctx context.Context, came []Received) error
	// AnswerSent keeps what is said of what was sent; known is false where nothing of the number was.
	AnswerSent(ctx context.Context, pair string, number int64, accepted, rejected bool) (known bool, err error)
	// TroubledSent tells of what was not answered in time, and of what was not accepted lately.
	TroubledSent(ctx context.Context, pair string) ([]TroubledSent, error)
}

// Received is an interchange that came: its control reference among those of a pair, what names the file's content and the place in it, and the file that it lies in.
type Received struct{ Pair, Control, Token, File string }

// TroubledSent is an interchange that was sent. Answer is what came: rejected or partly; empty: nothing has by Due.
type TroubledSent struct {
	Message string
	Number  int64
	At, Due time.Time
	Answer  string
}

// Spec describes a kind: one source for lint, documentation, the editor's schema and secret scrubbing.
type Spec struct {
	Kind    string
	Summary string
	Fields  []Field
	// Can says which interfaces the systems of this kind implement.
	Can Abilities
	// Proven says on what which part of it was proven; empty: docs say so elsewhere.
	Proven []Proof
}

// Proof says on what a part of a kind was proven.
type Proof struct {
	Of   string // such as a driver
	Does string // the operations
	On   string // the system, with its version, or what stood in for it
}

// Field describes one setting.
type Field struct {
	Name     string
	Type     string // string, integer, boolean, duration, size, rate, any, list, map, object
	Elem     string // the type of a list's or map's elements
	Doc      string
	Default  string
	Required bool
	Secret   bool
	Enum     []string
	Fields   []Field // of an object, or of a list's or map's elements
}

// Abilities of the systems of a kind.
type Abilities struct{ Write, Find, Poll, Files, List bool }

// System is one configured external application.
type System interface {
	// Probe makes one cheap call that shows whether the system answers; used by the breaker.
	Probe(ctx context.Context) error
	Close() error
}

// Timed is implemented by systems whose calls have a bound of their own: no call is under way for longer than that.
type Timed interface {
	Timeout() time.Duration
}

// WriteOnce is implemented by systems where what was written stays as it is, such as files: a change of an object is written beside it (Update and
// Delete name the object by Local, which stays its id), or refused as Invalid. What was written for an event stays what it says, whatever the
// mapping says by the time the event comes again.
type WriteOnce interface {
	Sink
	WriteOnce()
}

// Recaller is implemented by systems of WriteOnce that look whether a change was written before, where Write.Since says that it may have been, and by
// a Find that is told Lookup.Since.
type Recaller interface {
	WriteOnce
	Recalls()
}

// Stepper is implemented by systems where the write of some objects takes several calls, one after the other: the object is made, then moved on through a
// workflow. Each call asks the fence. What is made and what is left shows in the object alone: an Update of an object, or a Create that comes as an Update
// with Write.Finish, makes what is left, however often it comes. A Create whose object is made and whose next step fails, of whatever, is an
// UnknownOutcome with a code: the object is to be looked up, and moved on.
type Stepper interface {
	Sink
	// TakesSteps reports whether writes of the object type take several.
	TakesSteps(object string) bool
}

// Action says what to do with the target object.
type Action string

const (
	Create Action = "create" // fails with a duplicate Conflict if the external id exists, where the target can tell
	Update Action = "update" // of the object Local; NotFound if it is gone
	Delete Action = "delete" // of the object Local; NotFound if it is gone
)

// Write is one change to make in a target.
type Write struct {
	Entity string
	// Object names the target's object type as the system's settings call it: the flow's `to.object`, else the entity.
	Object string
	Action Action
	// External is the deterministic external id, a UUID, stored with the object where the target has a field for it, in the form that the
	// system's settings say.
	External string
	// Local is the object's id in the target; empty for Create.
	Local string
	// Doc is the JSON document; for Update only the fields to change. Empty for Delete.
	Doc []byte
	// ETag, where not empty, must match or the write fails with Conflict.
	ETag string
	// IdempotencyKey is stable over retries of the same change.
	IdempotencyKey string
	// Version is the source's version of the object, where the change has one.
	Version string
	// Since, where not zero: the same change may have been written already, at this time or later, by a call of which nobody knows what became. It is set
	// for a Recaller alone.
	Since time.Time
	// Finish, of an Update: the object was made of this very document by an earlier call, so that only its steps are left; what people have changed in it
	// since stays. It is set for a Stepper alone.
	Finish bool
}

// Result is what the target said.
type Result struct {
	Local string
	// Doc is the object's full state after the write, when the answer holds it; else nil: read it back with Find.
	Doc  []byte
	ETag string
	// Status is the target's own word for it ("201"), and Answer what it answered, for people who want to know later; both may be empty.
	Status string
	Answer []byte
}

// Sink writes. Every error is a *fault.Error: in particular UnknownOutcome when the request may have been applied.
type Sink interface {
	System
	Write(ctx context.Context, w Write) (Result, error)
}

// Lookup asks for one object: by Local, by External, or by natural key fields; the first that is set.
type Lookup struct {
	Entity   string
	Object   string
	Local    string
	External string
	// Older: the object may have been created when the object type's external id had another form, which is to be asked for as well.
	Older   bool
	Natural map[string]string
	// Compare gives the rule of a natural key field; a field without one is compared exactly.
	Compare map[string]Compare
	// Since, where not zero: the object can only have been created at this time or later. A system that keeps no index of its objects need not look at
	// what is older.
	Since time.Time
}

// Finder looks up. It returns every object that fits: none is not an error, two are a duplicate. An external id is compared by value
// (SameExternal): systems give it back in capitals, in braces, without hyphens. A natural key field fits by its own rule, and what the
// system itself has found is compared again: many ignore what they do not know.
type Finder interface {
	System
	Find(ctx context.Context, l Lookup) ([]Record, error)
}

// Record is one object read from a system.
type Record struct {
	Local string
	Doc   []byte
	ETag  string
	// Version is the source's own version or change stamp where the kind knows it; the flow's `version` overrides.
	Version string
	Deleted bool
	// Change names this very change, where the source has a name for it, such as a place in a log: two records of different changes are two, even
	// if they say the same, and one that is read again is recognised by it.
	Change string
	// Err, where not nil, says why the record cannot be read as it is: it parks alone, with Doc as far as that can be shown (a JSON document, or
	// nil), and the records after it go on. Local and Version are set where they could be read.
	Err error
}

// PollRequest asks for what changed.
type PollRequest struct {
	// Object names the object type in the system's settings.
	Object string
	// Cursor is what the last page returned; empty at first.
	Cursor string
	// Overlap is how far before the cursor to look again, for stamps that are taken before the commit.
	Overlap time.Duration
	// Limit bounds the page; 0: the source's own.
	Limit int
	// Reader names who asks, the same for all polls that go on where each other ended: the flow.
	Reader string
}

// Page is one page of changes. The cursor may be stored once the records are.
type Page struct {
	Records []Record
	Cursor  string
	// More: ask again at once.
	More bool
	// Remarks are what people should know of the system's data although nothing failed; intake shows them in status, metric and log.
	Remarks []Remark
}

// RemarkKind says what is remarkable about a record.
type RemarkKind string

const (
	// Ahead: the stamp is ahead of the system's clock. The cursor does not follow it.
	Ahead RemarkKind = "ahead"
	// Unstamped: the record has no stamp, so that a poll which goes by stamps cannot see its changes.
	Unstamped RemarkKind = "unstamped"
	// Moving: the list moved all the time while it was read, so that records may have been missed; the read is repeated from where it began.
	Moving RemarkKind = "moving"
	// Left: a file is left in its drop, for the reason that FileNote gives.
	Left RemarkKind = "left"
	// HeldBack: a file is not taken for a while, because it may be half an upload.
	HeldBack RemarkKind = "held-back"
	// Failed: a file could not be taken as a whole, and lies where such files are put until a person takes it away.
	Failed RemarkKind = "failed"
	// Unanswered: what was sent to a partner was not acknowledged in time, or was not accepted, for the reason that FileNote gives.
	Unanswered RemarkKind = "unanswered"
	// Lost: Count places of a log were gone before they were read, and the read goes on behind them. Local is the log, Version when that was.
	Lost RemarkKind = "lost"
	// Anew: a log was made anew, or cut off, and is read from its beginning. Local is the log, Version when that was.
	Anew RemarkKind = "anew"
	// Kept: the system keeps more of its log for the hub than it should. Local is what it keeps it for, Version how much that is.
	Kept RemarkKind = "kept"
	// Schema: the fields of what is read are others than before. Local is the table, Version what has changed.
	Schema RemarkKind = "schema"
)

// Remark is one record, or Count of them of which Local is one, and Version its stamp as the system writes it. Of a file, Local is its name and
// Version the reason.
type Remark struct {
	Kind    RemarkKind
	Local   string
	Version string
	Count   int
}

// Poller is read by cursor. A page's records may repeat earlier ones (overlap); they are never left out.
type Poller interface {
	System
	Poll(ctx context.Context, r PollRequest) (Page, error)
}

// Streamer is implemented by pollers that read objects from a log which the system keeps for the hub until it is told what the hub has stored. The
// polls of all objects of one log are made by one hub at a time.
type Streamer interface {
	Poller
	// Stream names the log that an object is read from; empty: it is polled as any other.
	Stream(object string) string
	// Stored tells the cursors of all who read from a log, by their names, as the hub's store has them; empty ones of those that have not begun. What lies
	// before all of them is needed no more. Until it is told, nothing is let go of. It makes no call.
	Stored(stream string, cursors map[string]string)
	// Leave ends the connection to a log: another hub may read it from now on. The next poll makes it anew.
	Leave(stream string)
}

// FileSource is read file by file.
type FileSource interface {
	System
	// Pending lists files that are complete and not yet taken, oldest first.
	Pending(ctx context.Context, object string) ([]File, error)
	// Read gives the rows of f from row index from on. A row that cannot be read yields its error with the row's number and
	// the rows after it still come.
	Read(ctx context.Context, object string, f File, from int) iter.Seq2[Row, error]
	// Done moves the file away, to the done folder or, with failed set, to the failed folder beside a .error file with why. A file that has
	// changed since it was listed stays: ErrChanged.
	Done(ctx context.Context, object string, f File, failed error) error
}

// FileGrower is implemented by file sources that can tell a file which has grown from another one under its name.
type FileGrower interface {
	FileSource
	// IDAt gives the ID that the file had when it consisted of its first size bytes.
	IDAt(ctx context.Context, object string, f File, size int64) (string, error)
}

// ErrChanged is wrapped by the error of Done where the file has been written to or replaced since it was listed: it was not moved.
var ErrChanged = errors.New("the file was written to, or replaced, after it was listed")

// FileNoter is implemented by file sources that can say what they leave where it is.
type FileNoter interface {
	FileSource
	// FileNotes tells it of the last look at the drop.
	FileNotes(object string) []FileNote
}

// FailedFile is a file that could not be taken.
type FailedFile struct {
	// Name is its name where it lies now, As that under which it came and is taken again.
	Name, As string
	Size     int64
	Modified time.Time
	// Why is what was wrong with it, as far as that can be read.
	Why string
}

// FileRetaker is implemented by file sources that can take a file again which has failed.
type FileRetaker interface {
	FileSource
	// FailedFiles tells of the files that have failed and that nobody has dealt with, by name, at most so many; more: there are others.
	FailedFiles(ctx context.Context, object string, most int) (files []FailedFile, more bool, err error)
	// Retake puts one of them, by its Name, back where it came from. Done again, or of one that is not there any more, it does nothing. Where a file with another
	// content lies under its name, that is a fault of kind Conflict, and the file stays.
	Retake(ctx context.Context, object, name string) error
}

// FileRipener is implemented by file sources that leave a file where it is until it has rested for a while.
type FileRipener interface {
	FileSource
	// Ripening names a file that the last look has seen and that is not due yet; empty: there is none.
	Ripening(object string) string
}

// FileNote is one entry of a drop that is not taken, and why. Since is set where it is held back for a while and will be taken; Failed where it
// has failed and was moved away. Of many that have failed the first alone may say why. Unanswered: it is no file of the drop, but an interchange that
// was sent.
type FileNote struct {
	Name       string
	Why        string
	Since      time.Time
	Failed     bool
	Unanswered bool
}

// File is one file of a drop. ID names its content: the same file again has the same ID.
type File struct {
	Name     string
	ID       string
	Size     int64
	Modified time.Time
}

// Row is one row of a file as a JSON document. Number is 1-based; Line is where it begins in the file.
type Row struct {
	Number int
	Line   int
	Doc    []byte
}

// Lister reads everything, for reconciliation and backfill.
type Lister interface {
	System
	List(ctx context.Context, object string, since time.Time) iter.Seq2[Record, error]
}

// IDLister is implemented by systems that can list the ids of everything at less cost than everything.
type IDLister interface {
	System
	// ListsIDs reports whether the ids of an object type can be listed so.
	ListsIDs(object string) bool
	// ListIDs gives the id in the system of each object that List would give. A list that ends with an error says nothing.
	ListIDs(ctx context.Context, object string) iter.Seq2[string, error]
}

// Objects is implemented by systems whose object types are settings: it lists their names, for check-time errors.
type Objects interface {
	Objects() []string
}
