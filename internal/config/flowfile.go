package config

import (
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// The structs of this file are a flow as it is written: each key once, with its sentence for people.

type flowFile struct {
	Flow       string          `yaml:"flow,required" doc:"the flow's name"`
	About      string          `yaml:"about" doc:"a sentence for people"`
	Entity     string          `yaml:"entity,required" doc:"the kind of business object"`
	From       fromFile        `yaml:"from,required" doc:"where events come from: a topic, or a system by webhook, poll or files"`
	Accept     string          `yaml:"accept" doc:"the schema that the source document must satisfy"`
	When       strictyaml.Node `yaml:"when" type:"expression" doc:"true for the events to take; others are skipped as filtered"`
	Key        strictyaml.Node `yaml:"key" type:"expression" doc:"the business number that people search for; default for topics: the event's own"`
	ID         strictyaml.Node `yaml:"id" type:"expression" doc:"the object's id in the source system; default: the key"`
	ExternalID strictyaml.Node `yaml:"external-id" type:"expression" doc:"the external id that the hub has written there, as the source system gives it back"`
	Version    strictyaml.Node `yaml:"version" type:"expression" doc:"orders changes of one object: a time or a number; default: the event's own, else the order of arrival"`
	Operation  strictyaml.Node `yaml:"operation" type:"expression" doc:"\"upsert\" or \"delete\"; default: the event's own"`
	Requires   []requireFile   `yaml:"requires" doc:"objects that must have an id in the target first; until then the event waits"`
	Map        string          `yaml:"map" doc:"the mapping; without one the document goes on as it is"`
	To         toFile          `yaml:"to,required" doc:"where events go: a topic or a system"`
	Order      string          `yaml:"order" enum:"strict,latest" default:"strict" doc:"what later events of a parked event's key do: strict waits, latest goes on"`
	Retry      retryFile       `yaml:"retry" doc:"bounds of what is tried again"`
	SLO        sloFile         `yaml:"slo" doc:"when the flow counts as late"`
	Search     []string        `yaml:"search" doc:"fields of the document on the flow's topic by which waybill find finds the object, beside its key and its ids: dotted paths, through lists as well, for example [number, customer.name]"`
	Journal    string          `yaml:"journal" enum:"failures,all" default:"failures" doc:"which topic-to-topic events the journal keeps; deliveries to systems, failures and skips are always kept"`
}

type fromFile struct {
	Topic   string       `yaml:"topic" doc:"a topic"`
	System  string       `yaml:"system" doc:"a system, with webhook, poll or files"`
	Webhook *webhookFile `yaml:"webhook" doc:"the system calls /hooks/PATH"`
	Poll    *pollFile    `yaml:"poll" doc:"the system is asked for changes"`
	Files   *filesFile   `yaml:"files" doc:"the system drops files"`
}

type webhookFile struct {
	Path       string          `yaml:"path,required" doc:"the address below /hooks/, for example crm/orders"`
	Verify     verifyFile      `yaml:"verify,required" doc:"how the sender proves itself"`
	DeliveryID strictyaml.Node `yaml:"delivery-id" type:"expression" doc:"names the delivery, so that one sent twice is taken once; may use header(\"…\"); default: the scheme's own id"`
	Split      string          `yaml:"split" doc:"dotted path of the list of documents in the body; default: a list is split, an object is one document"`

	ContentTypes []string         `yaml:"content-types" doc:"content types under which this sender sends JSON, besides JSON's own, for example [text/plain]; application/x-www-form-urlencoded is read as a form"`
	FormField    string           `yaml:"form-field" doc:"the field of a form that holds the JSON, for example payload; default: the fields are the document, as texts"`
	XML          *xmldoc.Settings `yaml:"xml" doc:"this sender sends XML: how it becomes documents"`
	Ignore       []string         `yaml:"ignore" doc:"dotted paths that do not count where two bodies of one delivery are compared, for example [attempt, meta.sent_at]: what the sender changes when it sends the same again"`
	Handshakes   []string         `yaml:"handshakes" doc:"handshakes to answer besides those that are answered by themselves: get (a bare GET is answered 200), asana (X-Hook-Secret is given back)"`
	Answer       *answerFile      `yaml:"answer" doc:"what the sender gets where a delivery is taken, if 202 is not what it wants; it is stored before all the same"`
}

type answerFile struct {
	Status int    `yaml:"status" default:"200" doc:"the status: 200, 201, 202 or 204"`
	Body   string `yaml:"body" doc:"the body, for example [accepted]; default: the hub's own, with the delivery's id"`
	Type   string `yaml:"type" default:"text/plain" doc:"the body's content type"`
}

type verifyFile struct {
	Scheme       string              `yaml:"scheme,required" enum:"standard-webhooks,stripe,shopify,github,salesforce-outbound,cloudevents,hmac,bearer" doc:"the way of signing"`
	Secret       strictyaml.Secret   `yaml:"secret" doc:"the shared secret"`
	Secrets      []strictyaml.Secret `yaml:"secrets" doc:"several shared secrets, while they are being rotated"`
	Tolerance    time.Duration       `yaml:"tolerance" default:"300s" doc:"how far a signed timestamp may be off"`
	Header       string              `yaml:"header" doc:"hmac: the header with the signature; bearer: the header with the token, if not Authorization; cloudevents: the header with a signature"`
	Prefix       string              `yaml:"prefix" doc:"the text before the signature or token, for example sha256="`
	Encoding     string              `yaml:"encoding" enum:"hex,base64" doc:"hmac: how the digest is written; default hex"`
	Algorithm    string              `yaml:"algorithm" enum:"sha256,sha512" doc:"hmac: the digest; default sha256"`
	Organization string              `yaml:"organization" doc:"salesforce-outbound: the organization id"`
}

type pollFile struct {
	Object   string        `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Every    time.Duration `yaml:"every" doc:"time between two polls, 1s at least"`
	Schedule string        `yaml:"schedule" doc:"a cron line, in place of every"`
	Timezone string        `yaml:"timezone" doc:"the schedule's zone, for example Asia/Shanghai; default UTC"`
	Overlap  time.Duration `yaml:"overlap" default:"10m" doc:"how far before the last change to look again, for stamps that are taken before the commit: at least as long as the longest transaction that changes the object; 0s for a system that shows changes in the order of their stamps"`
	Limit    int           `yaml:"limit" doc:"records of a page; default: the source's own"`
	Deletes  *deletesFile  `yaml:"deletes" doc:"how deletes are found that leave no trace"`
}

type deletesFile struct {
	Sweep  string `yaml:"sweep,required" doc:"a cron line, in the poll's timezone: when everything that the system holds is listed. What is missing was deleted; what polls have missed is taken, too"`
	AtMost string `yaml:"at-most" default:"5%" doc:"where more of the known objects are missing than that, nothing is deleted and a person is asked (waybill sweep): a share or a number"`
}

type filesFile struct {
	Object string        `yaml:"object" doc:"the drop in the system's settings; default: the entity"`
	Every  time.Duration `yaml:"every" default:"10s" doc:"time between two looks, 1s at least"`
}

type requireFile struct {
	Entity string          `yaml:"entity,required" doc:"the kind of business object"`
	ID     strictyaml.Node `yaml:"id,required" type:"expression" doc:"its hub id"`
}

type toFile struct {
	Topic       string          `yaml:"topic" doc:"a topic"`
	System      string          `yaml:"system" doc:"a system"`
	Object      string          `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Operation   string          `yaml:"operation" enum:"upsert,create,update" default:"upsert" doc:"update waits until the object has an id there"`
	OnDelete    string          `yaml:"on-delete" enum:"delete,deactivate,ignore,park" default:"park" doc:"what a delete does there"`
	Deactivated strictyaml.Node `yaml:"deactivated" type:"map" doc:"the fields that a delete writes under on-delete: deactivate"`
	FindBy      []findBy        `yaml:"find-by" type:"list" elem:"any" doc:"fields that identify the object: names, or {field: email, compare: fold}; compare is exact (the default), fold (small and capital letters), uuid or number (0000071000 is 71000)"`
	Find        string          `yaml:"find" enum:"before-create,after-conflict" default:"before-create" doc:"when an object that the cross-reference does not know is looked up, by its external id and by find-by: before it is created, where the system can be asked, or only after a conflict or an unknown outcome"`
	Owns        []string        `yaml:"owns" doc:"the only fields that updates write; default: all"`
}

type retryFile struct {
	For     time.Duration `yaml:"for" default:"10m" doc:"how long an event is tried, not counting the time in which its system does not answer, before it is parked"`
	Backoff backoff       `yaml:"backoff" doc:"shortest and longest pause, for example 200ms..30s" type:"range"`
}

type sloFile struct {
	// The defaults stand in flow.go, because a flow without slo has them too.
	LateAfter    time.Duration `yaml:"late-after" doc:"so old the oldest event may be that the hub has still to move, from when it was accepted; then the flow is late; default 15m"`
	SilentAfter  time.Duration `yaml:"silent-after" doc:"the flow counts as silent after that time without an event"`
	WaitingAfter time.Duration `yaml:"waiting-after" doc:"an event that waits so long for another object is named in an alarm; default 15m"`
}

// findBy is a field that identifies the object, and its rule.
type findBy struct{ Field, Compare string }

// UnmarshalNode reads a name, or a mapping of field and compare.
func (f *findBy) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Kind() != strictyaml.Map {
		n.Decode(&f.Field, p)
		return
	}
	var long struct {
		Field   string `yaml:"field,required"`
		Compare string `yaml:"compare"`
	}
	n.Decode(&long, p)
	if at := n.Get("compare"); at.Kind() == strictyaml.Scalar && !slices.Contains(connector.Compares(), long.Compare) {
		p.AddHint(at.Pos(), "write "+strings.Join(connector.Compares(), ", "), "compare: %q is no way to compare", shorten(long.Compare))
	}
	*f = findBy(long)
}

// backoff is a range of pauses.
type backoff struct{ Min, Max time.Duration }

// UnmarshalNode reads 200ms..30s.
func (b *backoff) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	var text string
	if !n.Decode(&text, p) {
		return
	}
	low, high, found := strings.Cut(text, "..")
	shortest, err1 := strictyaml.ParseDuration(strings.TrimSpace(low))
	longest, err2 := strictyaml.ParseDuration(strings.TrimSpace(high))
	switch {
	case !found || err1 != nil || err2 != nil:
		p.AddHint(n.Pos(), "write the shortest and the longest pause: 200ms..30s", "backoff: %q is no range", shorten(text))
	case shortest <= 0 || shortest > longest:
		p.AddHint(n.Pos(), "write the shorter one first", "backoff: %q is an empty range", shorten(text))
	default:
		*b = backoff{shortest, longest}
	}
}
