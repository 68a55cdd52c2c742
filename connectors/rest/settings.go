package rest

import (
	"regexp"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common    `yaml:",inline"`
	httpclient.Settings `yaml:",inline"`
	URL                 string             `yaml:"url,required" doc:"base URL; all paths are below it"`
	Auth                httpclient.Auth    `yaml:"auth" doc:"how the hub proves itself; at most one way"`
	Parameters          map[string]string  `yaml:"parameters" doc:"query parameters of every request, such as a tenant's"`
	Probe               string             `yaml:"probe" doc:"path of a cheap GET that answers 2xx when the system works; without it, any answer below 500 from url will do, and 501"`
	Errors              errorSettings      `yaml:"errors" doc:"how to read the bodies of failures, also of those that are answered with 200"`
	Success             successRules       `yaml:"success" doc:"what an answer must hold to count as done; what an object, or its create, update or delete, says stands instead"`
	GraphQL             *graphqlSettings   `yaml:"graphql" doc:"the service speaks GraphQL"`
	Objects             map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`

	posted bool // some are asked for by bodies
}

type errorSettings struct {
	Message string            `yaml:"message" doc:"path of the text for people inside a failure's body; * stands for every element of a list, and | between paths for either; default: what the body says"`
	Code    string            `yaml:"code" doc:"path of the system's own error code; * stands for every element of a list, and | between paths for either"`
	Kinds   map[string]string `yaml:"kinds" doc:"what a code, or else an HTTP status, means, whatever the status is, 2xx too: duplicate, conflict, invalid, not-found, auth, rate-limited, unavailable, unknown-outcome; empty: there is nothing, so that a list or search that is answered so holds nothing, and an object is not there"`
	Texts   []errorText       `yaml:"texts" doc:"what a refusal means by a part of its text, of services that give it no code; the first row that fits counts, where no code has a meaning"`
	Pattern string            `yaml:"code-pattern" doc:"a regular expression that finds the code inside the text at code, such as \\((SBL-[A-Z]+-[0-9]+)\\): its first group, or all that it matches; a text without it is the code as a whole"`

	pattern *regexp.Regexp
}

// codes are the codes that an answer holds, of the system's own.
func (es *errorSettings) codes(root jsondoc.Value) (codes []string) {
	if es.Code == "" {
		return nil
	}
	for _, v := range either(root, es.Code) {
		code := text(v)
		if es.pattern != nil {
			if found := es.pattern.FindStringSubmatch(code); found != nil {
				code = found[min(1, len(found)-1)]
			}
		}
		codes = append(codes, code)
	}
	return codes
}

// errorText is a row of the table of texts.
type errorText struct {
	Text string `yaml:"text,required" doc:"a part of the refusal's text, whatever the case"`
	Kind string `yaml:"kind,required" enum:"duplicate,conflict,invalid,not-found,auth,rate-limited,unavailable,unknown-outcome" doc:"what it means"`
}

type object struct {
	Path              string         `yaml:"path" doc:"path of the collection; default: the object's name"`
	ID                string         `yaml:"id" default:"id" doc:"path of the id inside the object"`
	IDType            string         `yaml:"id-type" default:"text" enum:"text,number" doc:"number: in a body, a text that is {id} alone becomes a number"`
	ExternalID        string         `yaml:"external-id" doc:"path of the field that holds the hub's external id; creates set it, and look-ups compare it"`
	Version           string         `yaml:"version" doc:"path of the field that says when, or in which version, the object changed last"`
	VersionFormat     string         `yaml:"version-format" default:"auto" doc:"how version is written: auto (RFC 3339, /Date(ms)/, or digits), unix, unix-ms, date-ms (/Date(ms)/ and /Date(ms+0120)/ of OData V2: the milliseconds are UTC, the offset is for display), or a layout in Go's notation such as 2006-01-02 15:04:05"`
	Zone              string         `yaml:"zone" default:"UTC" doc:"time zone of a version written by a layout without one, and of changed-since; the hour that comes twice when clocks go back is read again until it is over"`
	ETag              string         `yaml:"etag" enum:"header,field,body,placed" doc:"where the concurrency token is: header (ETag, sent back as If-Match), field (etag-field, sent back as If-Match), body (etag-field, sent back in the same field of the document), placed (etag-field, sent back where {etag} stands in update.body and delete.body; there it is empty where the hub knows none)"`
	ETagField         string         `yaml:"etag-field" doc:"path of the concurrency token, for etag field, body and placed"`
	Deleted           string         `yaml:"deleted" doc:"path of the field that marks a deleted object: anything but absent, null, false, 0 and empty counts"`
	DeletedValue      string         `yaml:"deleted-value" doc:"the only value of deleted that counts"`
	Success           successRules   `yaml:"success" doc:"what an answer must hold to count as done; default: the system's"`
	IdempotencyHeader string         `yaml:"idempotency-header" doc:"header that carries the idempotency key of creates and updates"`
	Get               getSettings    `yaml:"get" doc:"reading one object"`
	List              listSettings   `yaml:"list" doc:"reading many: polls, reconciliations, backfills, and look-ups"`
	Find              findSettings   `yaml:"find" doc:"look-ups"`
	Create            writeSettings  `yaml:"create" doc:"default: POST to path"`
	Update            updateSettings `yaml:"update" doc:"default: PATCH of path/{id}"`
	Delete            deleteSettings `yaml:"delete" doc:"default: DELETE of path/{id}"`

	ExternalForm connector.ExternalForm `yaml:"external-form" default:"uuid" enum:"uuid,compact,base32" doc:"how the external id is written: uuid (36 characters), compact (32, without hyphens), base32 (26, RFC 4648 in small letters without padding); all say the same id, and ids already written stay as they are"`

	name  string
	zone  *time.Location
	local bool // versions are local times without a zone
	// idsOnly: this is the object type as its ids are listed.
	idsOnly bool
}

type getSettings struct {
	operation  `yaml:",inline"`
	Path       string                   `yaml:"path" doc:"path with {id}; default: path/{id}, or path where parameters hold the id"`
	Parameters map[string]string        `yaml:"parameters" doc:"query parameters, with {id} in a value"`
	Item       string                   `yaml:"item" doc:"path of the object inside the answer, such as items.0 of a search by the id, which may be empty; default: the answer is the object"`
	Rows       string                   `yaml:"rows" doc:"what stands at item is a list of rows, one for each line of the object, with the object's own values in each: the object is its first row, with all of them as a list of this name"`
	ID         string                   `yaml:"id" doc:"path of the id inside item, where that is another one than in lists; default: the object's id"`
	Version    string                   `yaml:"version" doc:"path of the version inside item, likewise; default: the object's version"`
	Parts      map[string]*partSettings `yaml:"parts" doc:"what other addresses show of the object, such as its lines: each is read with every look at it, stands in it under its name, and is not sent back; list needs detail: get"`
}

// partSettings are for what another address shows of an object.
type partSettings struct {
	Path       string            `yaml:"path,required" doc:"path with {id}, such as orders/{id}/lines, or without it where parameters hold the id"`
	Parameters map[string]string `yaml:"parameters" doc:"query parameters, with {id} in a value"`
	Item       string            `yaml:"item" doc:"path of the part inside the answer, an object or a list; default: the answer itself. Where a service cuts long lists, say so in paging, or leave item out and let the schema want what says that the list is whole"`
	ID         string            `yaml:"id" default:"id" doc:"with paging: path of the id inside an element, by which nothing stands in the list twice"`
	Paging     pagingSettings    `yaml:"paging" doc:"how a list is divided, which is then read to its end"`

	o *object // the elements of a list that is divided; nil: the part is one answer
}

type listSettings struct {
	operation    `yaml:",inline"`
	Path         string            `yaml:"path" doc:"default: path"`
	Items        string            `yaml:"items" doc:"path of the list inside the answer; default: the answer is the list"`
	Parameters   map[string]string `yaml:"parameters" doc:"query parameters of every list; one of the same name that changed-since or a look-up gives stands in its place, such as a whole query"`
	Paging       pagingSettings    `yaml:"paging" doc:"how the list is divided"`
	ChangedSince sinceSettings     `yaml:"changed-since" doc:"how to ask for changes only; without it a poll reads the whole list and compares"`
	Order        string            `yaml:"order" enum:"changed" doc:"changed: the list is in rising order of version; a walk then never depends on page numbers"`
	IDs          *idsSettings      `yaml:"ids" doc:"how the ids alone are listed, where that costs less than whole objects: a reconciliation that keeps an index sees by them what is gone"`
	Detail       string            `yaml:"detail" default:"row" enum:"row,get" doc:"row: what the list shows is the object; get: it shows a part of it alone, such as an order without its lines, and each object is read by get as well, in polls, lists and look-ups"`
	Conditional  bool              `yaml:"conditional" doc:"polls send If-None-Match with the last ETag"`
}

type idsSettings struct {
	operation  `yaml:",inline"`
	Path       string            `yaml:"path" doc:"default: the list's path"`
	Items      string            `yaml:"items" doc:"default: the list's items"`
	ID         string            `yaml:"id" doc:"path of the id inside an element; default: the object's id"`
	Parameters map[string]string `yaml:"parameters" doc:"query parameters, beside those of every list or in their place; such as fields: id"`
}

type pagingSettings struct {
	Style         string `yaml:"style" default:"none" enum:"none,page,offset,cursor,next-url,link,key" doc:"none; page and offset count; cursor: a token in the body; next-url: a URL in the body, relative or complete; link: the Link header; key: every page asks for what follows the last object read, so that nothing slips through when the list moves"`
	Parameter     string `yaml:"parameter" doc:"query parameter of the page, offset or cursor, or of after; default: page, offset or cursor"`
	SizeParameter string `yaml:"size-parameter" doc:"query parameter of the page's size; default: none is sent"`
	Size          int    `yaml:"size" default:"100" doc:"objects a page"`
	First         int    `yaml:"first" default:"1" doc:"number of the first page"`
	Next          string `yaml:"next" doc:"path of the cursor or next URL inside the answer; default: next"`
	End           string `yaml:"end" doc:"cursor: the value of next that means that this page is the last one, such as -1"`
	More          string `yaml:"more" doc:"path of a boolean inside the answer that says whether more pages follow"`
	Last          string `yaml:"last" doc:"path of a boolean inside the answer that says that this page is the last one"`
	Until         string `yaml:"until" default:"empty" enum:"empty,short" doc:"page, offset and key, where nothing else tells the end: empty: pages are asked for until one holds nothing; short: one that is shorter than the first is the last, of a service that never leaves objects out of a page that it has cut"`
	Total         string `yaml:"total" doc:"page and offset: path of the number of all objects inside the answer"`
	Pages         string `yaml:"pages" doc:"page: path of the number of pages inside the answer"`
	TotalHeader   string `yaml:"total-header" doc:"the same, in a header such as X-Total-Count"`
	PagesHeader   string `yaml:"pages-header" doc:"the same, in a header such as X-WP-TotalPages"`
	Self          string `yaml:"self" default:"end" enum:"end,refuse" doc:"what a next link or cursor that names the page itself means: end: it is asked once more, and if the same page comes, or an empty one, that is the end (services that keep the place themselves answer with the next page); refuse: a failure"`
	Stable        bool   `yaml:"stable" doc:"the list does not move while it is read, because tokens stay with their objects or stand for a snapshot; without this every page but the first is verified by a second look at the page before it, since many tokens are offsets"`
	After         string `yaml:"after" doc:"key: what follows the last object read, with {id} and {version} in it; it is the value of parameter: ID gt '{id}', or changed gt {version} or (changed eq {version} and ID gt '{id}'). The list must be ordered by it: say so in list.parameters"`
	Join          string `yaml:"join" default:"({changed}) and ({after})" doc:"key: the value where changed-since has the same parameter; with {version} in it, after stands alone, since what follows an object by its version is changed since, too"`
}

// orders: what follows an object is asked for by its version, too.
func (pg *pagingSettings) orders() bool { return strings.Contains(pg.After, "{version}") }

type sinceSettings struct {
	Parameter string `yaml:"parameter" doc:"query parameter"`
	Format    string `yaml:"format" default:"rfc3339" doc:"how the time is written: rfc3339 (seconds), rfc3339-ms, unix, unix-ms, raw (the version itself), or a layout in Go's notation"`
	Template  string `yaml:"template" default:"{since}" doc:"the parameter's value with {since} in it, such as: modified ge {since}"`
}

type findSettings struct {
	operation `yaml:",inline"`
	Path      string            `yaml:"path" doc:"default: the list's path"`
	Items     string            `yaml:"items" doc:"default: the list's items"`
	External  map[string]string `yaml:"external" doc:"query parameters that look an external id up, with {external} in a value; without them it cannot be looked up"`
	Natural   map[string]string `yaml:"natural" doc:"query parameters that look natural keys up, with {field} in a value; a parameter whose fields are not asked for is left out; default: each field as a parameter of its own name"`
}

type writeSettings struct {
	operation      `yaml:",inline"`
	Method         string `yaml:"method" doc:"default: POST, PATCH (PUT with style put) or DELETE"`
	Path           string `yaml:"path" doc:"path, with {id} where the object exists; create: {external} in it is the hub's external id, of services that make or change the object of an id (method PUT or PATCH)"`
	Wrap           string `yaml:"wrap" doc:"name under which the object stands in the body; default: the body is the object. graphql: the variable that holds it, by its dotted path; default: input"`
	ContentType    string `yaml:"content-type" default:"application/json" doc:"type of the body"`
	Item           string `yaml:"item" doc:"path of the object, or of what holds its id, inside the answer; default: the answer itself"`
	AnswerID       string `yaml:"answer-id" doc:"path of the id inside item, or of the object's address, such as @odata.id; default: the object's id"`
	AnswerHeader   string `yaml:"answer-header" doc:"header that gives the id, or the object's address, where the body gives none; default: OData-EntityId, else Location, but not a 202's"`
	SentID         string `yaml:"sent-id" doc:"create: path of the id inside the document that was sent, where the service takes it over and its answer need not give one"`
	AnswerComplete string `yaml:"answer" default:"complete" enum:"complete,partial" doc:"complete: what is answered is the object's full state; partial: read it back instead"`

	Success successRules `yaml:"success" doc:"what the answer must hold to count as done; default: the object's"`

	Pairs *pairsSettings `yaml:"pairs" doc:"the service takes a document as a list of its fields, each an object with a name and a value"`

	Bulk *bulkSettings `yaml:"bulk" doc:"how several go in one request: those that wait for a call (limit.concurrency) at the same time. One that comes alone waits for nothing and goes as one. An answer that refuses the request as a whole means that nothing of it was done: each is then sent alone, and says what is wrong"`
}

type pairsSettings struct {
	Name  string          `yaml:"name" default:"name" doc:"member that holds a field's name"`
	Value string          `yaml:"value" default:"value" doc:"member that holds its value"`
	Null  string          `yaml:"null" doc:"member that is true where the value is null, and false elsewhere; without it, null stands as the value alone"`
	Texts bool            `yaml:"texts" doc:"numbers and booleans go as texts, digit by digit"`
	With  strictyaml.Node `yaml:"with" type:"map" doc:"members that every one of them has besides"`
}

type bulkSettings struct {
	Method  string `yaml:"method" default:"POST" doc:"method of the request"`
	Path    string `yaml:"path,required" doc:"path of the request"`
	Items   string `yaml:"items" doc:"path at which the list of documents stands in the body; default: the body is the list. wrap is around each document"`
	ID      string `yaml:"id" doc:"update: path at which the object's id is put into its document, as a text; default: the object's id"`
	Size    int    `yaml:"size" default:"50" doc:"documents in a request, at most"`
	Results string `yaml:"results" doc:"path of the list of results inside the answer, one for each document, in their order: where the ids in them show another order, nothing of the answer is believed; default: the answer is the list"`
	Status  string `yaml:"status" doc:"path of a result's own HTTP status; without it success, errors and the usual forms of a refusal say what was done"`
	Body    string `yaml:"body" doc:"path, inside a result, of what a single call would have answered: item, answer-id, answer, success and errors are applied to it; default: the result itself"`
}

type updateSettings struct {
	writeSettings `yaml:",inline"`
	Style         string   `yaml:"style" default:"patch" enum:"patch,put" doc:"patch: send the changed fields; put: read the object, merge, send all of it"`
	Omit          []string `yaml:"omit" doc:"fields that style put does not send back"`
	Unchanged     int      `yaml:"unchanged" doc:"a status beside 2xx that says that the object was so already, such as 304"`
}

type deleteSettings struct {
	operation `yaml:",inline"`
	Method    string       `yaml:"method" doc:"default: DELETE"`
	Path      string       `yaml:"path" doc:"default: path/{id}"`
	Success   successRules `yaml:"success" doc:"what the answer must hold to count as done; default: the object's"`
}
