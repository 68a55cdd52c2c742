package odata

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

type settings struct {
	connector.Common    `yaml:",inline"`
	httpclient.Settings `yaml:",inline"`
	URL                 string             `yaml:"url,required" doc:"URL of the service, below which its entity sets and $metadata are; or of several, whose paths below it the objects name"`
	Version             string             `yaml:"version" default:"auto" enum:"auto,2,4" doc:"version of the protocol; auto: what $metadata says"`
	Auth                httpclient.Auth    `yaml:"auth" doc:"how the hub proves itself; at most one way"`
	Parameters          map[string]string  `yaml:"parameters" doc:"query parameters of every request, such as sap-client"`
	Probe               string             `yaml:"probe" doc:"path of a cheap GET that answers 2xx when the system works; without it, any answer below 500 from the first object's service will do, and 501"`
	Batch               batchSettings      `yaml:"batch" doc:"how several changes go in one request ($batch), each in a change set of its own: those that wait for a call (limit.concurrency) at the same time. One that comes alone waits for nothing and goes as one"`
	Errors              errorSettings      `yaml:"errors" doc:"what the service's own error codes mean, beyond what statuses say"`
	Objects             map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type batchSettings struct {
	Format string `yaml:"format" default:"multipart" enum:"multipart,json,none" doc:"multipart: every service has it; json: V4 alone, shorter; none: every change in requests of its own, so that a change of an object with its lines is not made as a whole"`
	Size   int    `yaml:"size" default:"50" doc:"changes in a request, at most; 1: only an object and its lines go together"`
}

type errorSettings struct {
	Kinds map[string]string `yaml:"kinds" doc:"what a code of the service, such as V1/042, or else an HTTP status, means: duplicate, conflict, invalid, not-found, auth, rate-limited, unavailable, unknown-outcome"`
}

type object struct {
	Service  string            `yaml:"service" doc:"path of the service below url; default: url is the service's"`
	Metadata string            `yaml:"metadata" doc:"file with a copy of the service's $metadata, relative to the configuration file: check holds settings, mappings and schemas against it without a connection. The hub itself reads what the service says"`
	Set      string            `yaml:"set" doc:"name of the entity set; default: the object's name"`
	Key      []string          `yaml:"key" doc:"properties of the key, in their order; default: those that $metadata names. The id of an object is the value of its key, and Name='value',Name='value' where it has several parts"`
	External string            `yaml:"external" doc:"property that holds the hub's external id; creates set it, and look-ups compare it"`
	Changed  string            `yaml:"changed" doc:"property that says when, or in which version, the object changed last: polls go by it; without it, and without changes: delta, a poll reads everything and compares"`
	Changes  string            `yaml:"changes" default:"stamp" enum:"stamp,delta" doc:"how polls ask for changes: stamp: by changed; delta: by the delta links that the service gives, which tell of deletions too"`
	Deleted  string            `yaml:"deleted" doc:"property that marks a deleted object: anything but absent, null, false, 0 and empty counts"`
	Items    map[string]*items `yaml:"items" doc:"navigation properties that are lists of the object's own lines: read with it, created with it, and changed with it"`
	Expand   []string          `yaml:"expand" doc:"navigation properties that are read with the object and not written, as $expand takes them"`
	Select   []string          `yaml:"select" doc:"properties to read; default: all. Key, changed, external, deleted and items are read anyway"`
	Bind     []string          `yaml:"bind" doc:"V4: navigation properties whose object is written as a link: where a document has the property that repeats its key, such as _defaultuomid_value of defaultuomid, the change says defaultuomid@odata.bind with that object's address; for services that take the property itself for a shown value, as Dataverse does"`
	Filter   string            `yaml:"filter" doc:"which objects there are for the hub, as $filter takes it, such as SalesOrderType eq 'OR'; it is joined to every question but those by key"`
	Paging   string            `yaml:"paging" default:"key" enum:"key,skip,links" doc:"key: every page asks for what follows the last key, so that nothing slips through when the list moves, though the service's own links count; skip: by $skip, each page from the last object of the one before; links: by the service's links, which must stay with their objects"`
	Size     int               `yaml:"size" default:"100" doc:"objects a page, where the service gives so many"`
	Create   string            `yaml:"create" default:"post" enum:"post,upsert" doc:"post: POST to the set; upsert: PATCH of the key that the document brings, after a look that nothing is there and under If-None-Match: *"`
	Update   string            `yaml:"update" enum:"patch,merge" doc:"method of updates; default: PATCH in V4, MERGE in V2"`
	Numbers  string            `yaml:"numbers" default:"text" enum:"text,number" doc:"V4: how decimals and Int64 are sent and asked for: text: as texts (IEEE754Compatible), so that no digit is lost; number: for services that refuse that. V2 always sends texts"`

	ExternalForm connector.ExternalForm `yaml:"external-form" default:"uuid" enum:"uuid,compact,base32" doc:"how the external id is written: uuid (36 characters), compact (32, without hyphens), base32 (26, RFC 4648 in small letters without padding); all say the same id, and ids already written stay as they are"`

	name string
}

type items struct {
	Key      []string `yaml:"key" doc:"properties that tell a line from the others of its object; default: the line's key without what it repeats of the object's"`
	OnUpdate string   `yaml:"on-update" default:"keep" enum:"keep,replace,deep" doc:"what an update does with the lines of the document: keep: changes and adds them one by one, and leaves others alone; replace: removes what the document does not have, too; deep: sends the list inside the update as it is (V4): the service removes what it lacks"`
}
