package soap

import (
	"github.com/waybill-hub/waybill/connectors/rest"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common    `yaml:",inline"`
	httpclient.Settings `yaml:",inline"`
	URL                 string             `yaml:"url,required" doc:"address of the service; an operation's endpoint is below it"`
	Auth                httpclient.Auth    `yaml:"auth" doc:"how the hub proves itself over HTTP; at most one way"`
	UsernameToken       *usernameToken     `yaml:"username-token" doc:"WS-Security: a user in the header of every envelope"`
	Probe               string             `yaml:"probe" doc:"path of a cheap GET that answers 2xx when the system works, such as ?wsdl; without it, any answer below 500 from url will do, and 501"`
	Envelope            string             `yaml:"envelope" default:"soap11" enum:"soap11,soap12,none" doc:"soap11, soap12, or none: the request is the root element, as SAP's IDoc XML over HTTP is"`
	Namespaces          map[string]string  `yaml:"namespaces" doc:"what the prefixes of requests stand for; answers may use others"`
	Header              strictyaml.Node    `yaml:"header" doc:"template of what stands in the header of every envelope"`
	Errors              rest.Errors        `yaml:"errors" doc:"how to read faults: kinds gives a code of the fault, of its detail (code), or else an HTTP status a meaning"`
	Faults              []faultRow         `yaml:"faults" doc:"what faults mean, by code and text; the first row that fits stands before errors and before what the protocol says"`
	Success             rest.Success       `yaml:"success" doc:"what an answer must hold to count as done; what an object says stands instead"`
	Objects             map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`

	secrets []strictyaml.Secret // of bodies
}

// faultRow is a row of the table of faults.
type faultRow struct {
	Code string `yaml:"code" doc:"a code of the fault, without its prefix: Client, Server.Busy, or a subcode; empty: any"`
	Text string `yaml:"text" doc:"a part of the fault's text, whatever the case; empty: any"`
	Kind string `yaml:"kind,required" enum:"duplicate,conflict,invalid,not-found,auth,rate-limited,unavailable,unknown-outcome" doc:"what it means"`
}

type usernameToken struct {
	User     string            `yaml:"user,required" doc:"the user's name"`
	Password strictyaml.Secret `yaml:"password,required" doc:"the password"`
	Digest   bool              `yaml:"digest" doc:"send a digest of the password with a nonce and the time (PasswordDigest), and not the password"`
}

type object struct {
	ID            string            `yaml:"id" default:"id" doc:"path of the id inside the object"`
	ExternalID    string            `yaml:"external-id" doc:"path of the field that holds the hub's external id; creates set it in the document that the request is made of, and look-ups compare it"`
	Version       string            `yaml:"version" doc:"path of the field that says when, or in which version, the object changed last"`
	VersionFormat string            `yaml:"version-format" default:"auto" doc:"how version is written: auto (RFC 3339, or digits), unix, unix-ms, or a layout in Go's notation such as 2006-01-02 15:04:05"`
	Zone          string            `yaml:"zone" default:"UTC" doc:"time zone of a version written by a layout without one, and of changed-since"`
	ETagField     string            `yaml:"etag-field" doc:"path of the concurrency token, which updates send back in the same field of the document"`
	Deleted       string            `yaml:"deleted" doc:"path of the field that marks a deleted object: anything but absent, null, false, 0 and empty counts"`
	DeletedValue  string            `yaml:"deleted-value" doc:"the only value of deleted that counts"`
	Success       rest.Success      `yaml:"success" doc:"what an answer must hold to count as done; default: the system's"`
	Lists         []string          `yaml:"lists" doc:"paths of elements inside the object that are lists even where there is one of them"`
	Types         map[string]string `yaml:"types" doc:"types of texts inside the object, by path: decimal, integer, boolean; without one a text stays a text. What is none of its type makes its record unreadable, alone"`
	Get           getSettings       `yaml:"get" doc:"reading one object: {$id} in the request"`
	List          listSettings      `yaml:"list" doc:"reading many: polls, reconciliations, backfills, and look-ups"`
	Find          findSettings      `yaml:"find" doc:"look-ups; what is found is compared again"`
	Create        createSettings    `yaml:"create" doc:"the request is made of the document"`
	Update        writeSettings     `yaml:"update" doc:"the request is made of the fields that change, and {$id}"`
	Delete        deleteSettings    `yaml:"delete" doc:"{$id} in the request"`

	ExternalForm connector.ExternalForm `yaml:"external-form" default:"uuid" enum:"uuid,compact,base32" doc:"how the external id is written: uuid (36 characters), compact (32, without hyphens), base32 (26, RFC 4648 in small letters without padding)"`
}

// operation is one kind of call.
type operation struct {
	Request  strictyaml.Node `yaml:"request" doc:"template of the request: elements with the prefixes of namespaces, @name for attributes, {path} for values of the document, {$name} for those of the call; an element whose value is absent is left out; a list of them stands for several elements of the name"`
	Action   string          `yaml:"action" doc:"the SOAP action"`
	Endpoint string          `yaml:"endpoint" doc:"path below url; default: url itself"`

	template *template
}

type getSettings struct {
	operation `yaml:",inline"`
	Item      string `yaml:"item" doc:"path of the object inside the answer, by local names, from the response element on: GetOrderResponse.order"`
}

type listSettings struct {
	operation    `yaml:",inline"`
	Items        string       `yaml:"items" doc:"path of the elements inside the answer: ListOrdersResponse.orders.order"`
	Paging       rest.Paging  `yaml:"paging" doc:"how the list is divided: none, page, offset, cursor or key. The values are {$page}, {$offset} or {$cursor}, or as parameter and size-parameter name them; last, more, next, total are paths in the answer"`
	ChangedSince rest.Since   `yaml:"changed-since" doc:"how to ask for changes only: parameter names the value, {$since} for since; without it a poll reads the whole list and compares"`
	Order        string       `yaml:"order" enum:"changed" doc:"changed: the list is in rising order of version; a walk then never depends on page numbers"`
	IDs          *idsSettings `yaml:"ids" doc:"how the ids alone are listed, where that costs less than whole objects"`
}

type idsSettings struct {
	operation `yaml:",inline"`
	Items     string `yaml:"items" doc:"default: the list's items"`
	ID        string `yaml:"id" doc:"path of the id inside an element; default: the object's id"`
}

type findSettings struct {
	operation `yaml:",inline"`
	Items     string            `yaml:"items" doc:"default: the list's items"`
	External  map[string]string `yaml:"external" doc:"values of the request that look an external id up, with {external} in them: externalId: \"{external}\" is {$externalId} in the request"`
	Natural   map[string]string `yaml:"natural" doc:"values of the request that look natural keys up, with {field} in them; default: each field under its own name"`
}

type writeSettings struct {
	operation      `yaml:",inline"`
	Item           string       `yaml:"item" doc:"path of the object, or of what holds its id, inside the answer"`
	AnswerID       string       `yaml:"answer-id" doc:"path of the id inside item; default: the object's id"`
	AnswerComplete string       `yaml:"answer" default:"partial" enum:"complete,partial,none" doc:"complete: what is answered is the object's full state; partial: it is read back; none: the HTTP status alone tells, and no answer is read"`
	Success        rest.Success `yaml:"success" doc:"what the answer must hold to count as done; default: the object's"`
}

type createSettings struct {
	writeSettings `yaml:",inline"`
	SentID        string `yaml:"sent-id" doc:"path of the id inside the document that was sent, where the system takes it over and its answer need not give one"`
}

type deleteSettings struct {
	operation `yaml:",inline"`
	Success   rest.Success `yaml:"success" doc:"what the answer must hold to count as done; default: the object's"`
}
