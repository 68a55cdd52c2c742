// Package config resolves every file that people write into one typed, validated, immutable Plan.
package config

import (
	"time"

	"github.com/waybill-hub/waybill/internal/access"
	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/kafkaauth"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// Plan is everything the hub does, resolved. Nothing in it changes after Load.
type Plan struct {
	Hub             Hub
	Systems         map[string]*System
	Flows           []*Flow // by name
	Reconciliations []*Reconciliation
	Rules           []*Rule // by name
	Mappings        map[string]*mapping.Mapping
	Values          map[string]*mapping.ValueMap
	Schemas         *schema.Set
	// Digest is a content hash of all files, for "did anything change".
	Digest string
	root   strictyaml.Node // the configuration file
}

// Flow gives the flow of that name, or nil.
func (p *Plan) Flow(name string) *Flow {
	for _, f := range p.Flows {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Reconciliation gives the reconciliation of that name, or nil.
func (p *Plan) Reconciliation(name string) *Reconciliation {
	for _, r := range p.Reconciliations {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Inbound gives the flows that read the entity from the system: the echo guard reads written objects back through them.
func (p *Plan) Inbound(system, entity string) []*Flow {
	var out []*Flow
	for _, f := range p.Flows {
		if f.From.System == system && f.Entity == entity {
			out = append(out, f)
		}
	}
	return out
}

// Hub is the process's own configuration.
type Hub struct {
	Broker Broker
	Store  Store
	HTTP   HTTP
	Hooks  Hooks
	Backup Backup
	// Documents bounds what is kept of the documents of fates that were no failures.
	Documents Documents
	// Mappings bounds what mappings make.
	Mappings Mappings
	// TakeOver is how long a hub that has gone without a word is waited for before others take its partitions and leases.
	TakeOver time.Duration
	Alerts   Alerts
	Traces   Traces
}

// Backup says where copies are written and how fast, in bytes a second; an empty Dir: none are. Resent is how long after a restore senders may
// send again what they had sent before.
type Backup struct {
	Dir    string
	Rate   int64
	Resent time.Duration
}

// Broker is the embedded broker or an Apache Kafka cluster; exactly one is set.
type Broker struct {
	Embedded *EmbeddedBroker
	Kafka    *KafkaBroker
	// Partitions of topics that the hub creates.
	Partitions int
}

// EmbeddedBroker keeps its logs in Dir; a relative one starts at the working directory.
type EmbeddedBroker struct{ Dir string }

// KafkaBroker is reached at Brokers. The files of TLS are resolved already; Key is the private key itself, in PEM.
type KafkaBroker struct {
	Brokers     []string
	Replication int
	TLS         *kafkaauth.TLS
	SASL        *kafkaauth.SASL
}

// Documents are kept for Age, and of them the newest up to Size bytes as they are stored; without either none are.
type Documents struct {
	Age  time.Duration
	Size int64
}

// Store is SQLite or PostgreSQL; exactly one is set.
type Store struct {
	SQLite   *SQLite
	Postgres *Postgres
}

// SQLite is a database file; a relative Path starts at the working directory.
type SQLite struct{ Path string }

// Postgres is a PostgreSQL database.
type Postgres struct{ URL strictyaml.Secret }

// HTTP is the console and the API. Beyond loopback it needs Tokens, Users or OIDC.
type HTTP struct {
	Listen string
	// Origin is the address that people use, scheme://host[:port]; empty: the one that is listened on.
	Origin string
	TLS    *ServerTLS // nil: none
	Tokens []Token
	Users  []User
	OIDC   *OIDC // nil: none
}

// OIDC is an OpenID provider. Groups say who has which role; CA is the file of its authorities, "" for the machine's.
type OIDC struct {
	Issuer, ID  string
	Secret      strictyaml.Secret
	Scopes      []string
	Name, Claim string
	Groups      map[access.Role][]string
	Session     time.Duration
	CA          string
}

// ServerTLS are the files of a listener's certificate and key, in PEM. They are read anew when they change.
type ServerTLS struct{ Cert, Key string }

// Token is a bearer token, the name it acts under, and what it is for.
type Token struct {
	Name   string
	Value  strictyaml.Secret
	Role   access.Role
	Scopes []access.Scope
}

// User is a person who signs in with a password, of which Password is the hash.
type User struct {
	Name     string
	Role     access.Role
	Password strictyaml.Secret
}

// Mappings bounds what a mapping makes of one document.
type Mappings struct {
	MaxResult strictyaml.Size
	MaxSteps  int
}

// Hooks is the webhook listener.
type Hooks struct {
	Listen string
	TLS    *ServerTLS // nil: none
	// MaxDocuments bounds the documents of one delivery; MinRate is the bytes a second that a body comes at where room is short.
	MaxDocuments int
	MinRate      strictyaml.Size
	MaxBody      strictyaml.Size // of a body, after decompression; default 4 MiB
	Rate         strictyaml.Rate // per source; zero: unlimited
	Max          int             // connections
	Leave        time.Duration   // how long webhooks are still taken once the hub is told to stop
}

// System is one external application.
type System struct {
	Name string
	Kind string
	// Manifest is what Settings were made of; nil where the configuration names the kind itself.
	Manifest *manifest.Manifest
	Settings connector.Settings
	// VisibleAfter is how long after a write the object can be looked up.
	VisibleAfter time.Duration
	Pos          strictyaml.Pos
	// Sum is a hash of the settings with all references filled in.
	Sum string
}

// ConnectorName is what the configuration calls the system's connector: a manifest, or a kind.
func (s *System) ConnectorName() string {
	if s.Manifest != nil {
		return s.Manifest.Name
	}
	return s.Kind
}

// Order says what later messages of a parked message's key do.
type Order string

const (
	Strict Order = "strict" // queue behind it
	Latest Order = "latest" // go on
)

// Flow takes events from one place and delivers them to one place.
type Flow struct {
	Name   string
	Entity string
	Pos    strictyaml.Pos
	From   From
	// Accept is what the source document must satisfy; nil: anything.
	Accept *schema.Schema
	// Nil expressions mean the default of DESIGN: the event's own attribute.
	When       *mapping.Expr // bool
	Key        *mapping.Expr
	ID         *mapping.Expr // the object's id in From.System; default: the key
	ExternalID *mapping.Expr // the external-id field, as the system gives it back
	Version    *mapping.Expr
	Operation  *mapping.Expr
	Requires   []Require
	Map        *mapping.Mapping // nil: the document as it is
	To         To
	Order      Order
	Retry      Retry
	SLO        SLO
	JournalAll bool
	// Search are dotted paths of the document on the flow's topic (see OnTopic) by which the object is found.
	Search []string
	// Stamps are top-level fields of the source's documents that change with every write to the object, whatever it writes.
	Stamps []string
	// Sum is a hash of everything that the flow's work depends on: its definition, schemas, mapping, value maps and systems, and the
	// flows that bring back what it writes.
	Sum string
}

// Topic is the topic the flow reads: its own inbox topic or a shared one.
func (f *Flow) Topic() string {
	if f.From.Topic != "" {
		return f.From.Topic
	}
	return "in." + f.Name
}

// OnTopic says which of the flow's documents is the one that others know as well: the one after the mapping, where the flow reads a system and writes a topic;
// else the one before.
func (f *Flow) OnTopic() (mapped bool) {
	return f.From.Topic == "" && f.To.Topic != "" && f.Map != nil
}

// Group is the flow's consumer group.
func (f *Flow) Group() string { return "waybill." + f.Name }

// From is where events come from: a topic, or a system by exactly one of Webhook, Poll, Files.
type From struct {
	Topic   string
	System  string
	Webhook *Webhook
	Poll    *Poll
	Files   *Files
}

// Webhook receives at /hooks/<Path>.
type Webhook struct {
	Path       string
	Verify     Verify
	DeliveryID *mapping.Expr // may use header(); nil: the scheme's own id, or no de-duplication
	Split      string        // dotted path of the list of documents in the body; empty: an array body is split, an object is one
	// ContentTypes are media types, in small letters, under which bodies are read besides JSON's own.
	ContentTypes []string
	XML          *xmldoc.Settings // nil: bodies are JSON
	FormField    string           // of a form: the field that holds the JSON; empty: the fields are the document
	Ignore       []string         // dotted paths that do not count where two bodies of one delivery are compared
	Handshakes   []string         // besides those that the scheme answers by itself
	Answer       *Answer          // nil: 202 with the hub's own
}

// Answer is what a sender gets where a delivery is taken.
type Answer struct {
	Status int
	Type   string
	Body   string
}

// Verify is how the sender proves itself.
type Verify struct {
	Scheme       string
	Secrets      []strictyaml.Secret // several while rotating
	Tolerance    time.Duration       // of a signed timestamp; default 300 s
	Header       string              // hmac: where the signature stands
	Prefix       string              // hmac: text before the digest
	Encoding     string              // hmac: hex or base64
	Algorithm    string              // hmac: sha256 or sha512
	Organization string              // salesforce-outbound
}

// Poll asks a system for changes.
type Poll struct {
	Object   string // default: the entity
	Every    time.Duration
	Schedule string // cron, instead of Every
	Timezone string
	Overlap  time.Duration
	Limit    int
	Deletes  *Deletes // nil: only deletes that the system shows are found
}

// Deletes is how deletes are found that leave no trace: everything that the system holds is listed.
type Deletes struct {
	Sweep  string // a cron line, in the poll's zone
	AtMost AtMost
}

// AtMost bounds how many of some objects may be changed without a person: a share in percent, or a number.
type AtMost struct {
	N       int
	Percent bool
}

// Files watches a drop.
type Files struct {
	Object string
	Every  time.Duration
}

// Require is an object that must have an id in To.System first.
type Require struct {
	Entity string
	ID     *mapping.Expr // its hub id
}

// OnDelete says what a delete does in the target.
type OnDelete string

const (
	DeleteObject OnDelete = "delete"
	Deactivate   OnDelete = "deactivate"
	IgnoreDelete OnDelete = "ignore"
	ParkDelete   OnDelete = "park"
)

// To is where events go: a topic or a system.
type To struct {
	Topic  string
	System string
	Object string // default: the entity
	// Operation is upsert (default), create or update: update waits until the object has an id there.
	Operation string
	OnDelete  OnDelete
	// Deactivated is the document that a delete writes under on-delete: deactivate, as JSON.
	Deactivated []byte
	// FindBy are fields of the target document that identify the object.
	FindBy []FindBy
	// External is the path of the target's field that holds the hub's external id; empty where there is none, or where it is not known.
	External string
	// AfterConflict: an object that the cross-reference does not know is created without a look whether it is there.
	AfterConflict bool
	// Owns names top-level target fields that updates write; empty: all. Creates write everything.
	Owns []string
}

// FindBy is a field of the target document, and its rule of comparison.
type FindBy struct {
	Field   string
	Compare connector.Compare
}

// Retry bounds what the engine tries again.
type Retry struct {
	For      time.Duration
	Min, Max time.Duration // backoff
}

// SLO says when the flow is late, when it is too quiet (zero: never), and when a message that waits for another object is worth an alarm.
type SLO struct{ LateAfter, SilentAfter, WaitingAfter time.Duration }

// Reconciliation compares one entity in two systems.
type Reconciliation struct {
	Name   string
	About  string
	Entity string
	Pos    strictyaml.Pos
	// Schedule is when it runs; nil: only when asked.
	Schedule *Schedule
	Left     Side
	Right    Side
	Match    Match
	// Compare are the rules by field; nil: only totals are compared.
	Compare *compare.Rules
	Totals  []compare.Total
	// Money is where the money of an object stands in the compared document; nil: it has none.
	Money *Money
	// Settle is how long what differs is left alone before it is looked at again.
	Settle time.Duration
	// Keep is how long runs are kept.
	Keep   time.Duration
	Repair *Repair
	// Sum is a hash of the definition and of what both sides are read through.
	Sum string
}

// Match says how objects of two systems are paired: by the cross-reference, or by the values of fields of the compared document.
type Match struct {
	Xref   bool
	Fields []string
}

// Money is an amount with its currency: paths in the compared document.
type Money struct{ Amount, Currency string }

// Schedule is a cron line in a zone. A run begins up to Jitter later.
type Schedule struct {
	Cron     string
	Timezone string
	CatchUp  bool
	Jitter   time.Duration
}

// Side is one system of a comparison.
type Side struct {
	System string
	Object string
	// Map makes the compared document; nil: documents are compared as they are. It is that of Flow where the file names none.
	Map *mapping.Mapping
	// Own: the file names Map, so that the flow's `when` does not count. Then is a mapping behind Map, of a flow that writes to the other side; nil: none.
	Own  bool
	Then *mapping.Mapping
	// Flow reads the entity from the system; empty: none does, or several do.
	Flow string
	// Where leaves out objects, by their compared document; nil: none.
	Where *mapping.Expr
	// ID is the object's id, of a source that gives none, such as a file; nil: as the source says.
	ID *mapping.Expr
	// Files: the side is the newest file of a drop.
	Files bool
	// Index keeps what the system holds from run to run; nil: everything is listed each time.
	Index *Index
}

// Index says how what a system holds is kept: everything is read anew when the last whole reading is older than Whole, and changes are looked for from
// Overlap before the last one on.
type Index struct{ Whole, Overlap time.Duration }

// RepairFrom says which side is right.
type RepairFrom string

const (
	FromLeft   RepairFrom = "left"
	FromRight  RepairFrom = "right"
	FromNewest RepairFrom = "newest" // the side that was changed last
	FromOwner  RepairFrom = "owner"  // of each field, the side that owns it
)

// Repair writes the differences through flows: ToLeft writes to the left system, ToRight to the right one; empty: nothing is repaired there.
type Repair struct {
	From            RepairFrom
	ToLeft, ToRight string
	AtMost          AtMost
	// Automatic: scheduled runs repair as well.
	Automatic bool
	// Deletes: what is gone on the side that is right is deleted on the other.
	Deletes bool
}
