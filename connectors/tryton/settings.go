package tryton

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common    `yaml:",inline"`
	httpclient.Settings `yaml:",inline"`
	URL                 string             `yaml:"url,required" doc:"URL of the server, such as https://erp.example.com:8000"`
	Database            string             `yaml:"database,required" doc:"name of the database"`
	User                string             `yaml:"user,required" doc:"login of the hub's user: one of its own, with the rights that the objects need"`
	Password            strictyaml.Secret  `yaml:"password,required" doc:"the user's password"`
	Language            string             `yaml:"language" default:"en" doc:"language of the user's session: that of translated fields, and of what Tryton says"`
	Company             int                `yaml:"company" doc:"id of the company that the hub works for; default: the user's own"`
	Bulk                int                `yaml:"bulk" default:"100" doc:"objects of one type that are created in one call, at most: those that wait for a call (limit.concurrency) at the same time. One that comes alone waits for nothing. Tryton makes all or none of a call; where it refuses one, the others are made without it"`
	Warnings            string             `yaml:"warnings" default:"acknowledge" enum:"acknowledge,refuse" doc:"what the hub does where Tryton wants a person to confirm: acknowledge: it confirms, and says so in the log; refuse: the message is parked with the question"`
	Errors              errorSettings      `yaml:"errors" doc:"what the texts of Tryton's errors mean, beyond what their types say"`
	Objects             map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type errorSettings struct {
	Duplicate   []string `yaml:"duplicate" default:"must be unique" doc:"parts of texts that say of a create that the object is there: it is looked for then"`
	Unavailable []string `yaml:"unavailable" doc:"parts of texts that say that something is in the way for a while, beside those that are known of databases' locks: it is tried again"`
}

type object struct {
	Model   string            `yaml:"model,required" doc:"the model, such as party.party"`
	Fields  []string          `yaml:"fields,required" doc:"fields that documents hold, beside items"`
	Refer   map[string]string `yaml:"refer" doc:"fields that lead to other records, and by which field of those a document names them: currency: code. Without it a document holds the id"`
	Items   map[string]*items `yaml:"items" doc:"fields that are lists of the object's own records, such as lines or addresses: read with it, created with it, and changed with it"`
	Filter  strictyaml.Node   `yaml:"filter" doc:"which objects there are for the hub, as a domain of Tryton's: [[customer, '=', true]]"`
	Context strictyaml.Node   `yaml:"context" doc:"what goes into the context of calls for the object, beside company and language, such as the locations that stock is counted in"`
	Changes string            `yaml:"changes" default:"stamp" enum:"stamp,content" doc:"how polls see changes: stamp: by the times that Tryton keeps of creates and writes; content: every poll reads everything and compares, as for what is computed, such as stock"`
	Size    int               `yaml:"size" default:"100" doc:"objects a page"`
	Removed string            `yaml:"removed" default:"kept" enum:"kept,inactive" doc:"inactive: an object that was made inactive counts as deleted; kept: it is an object like any other"`

	External     string                 `yaml:"external" doc:"field that holds the hub's external id; creates set it, and look-ups compare it. It is none of fields"`
	ExternalForm connector.ExternalForm `yaml:"external-form" default:"uuid" enum:"uuid,compact,base32" doc:"how the external id is written: uuid (36 characters), compact (32, without hyphens), base32 (26, RFC 4648 in small letters without padding); all say the same id, and ids already written stay as they are"`

	OnChange []string `yaml:"on-change" doc:"fields after which Tryton's own forms fill in others (on_change): a create asks for those first. What the document holds stays as it is"`
	Steps    *steps   `yaml:"steps" doc:"the workflow of the object: the hub calls what moves it on, one call after the other, and reads the state back after each. It needs external"`

	name            string
	filter, context []byte // as JSON; nil: none
	bound           *bound // once the server has told of the fields; the system's lock guards it
}

type items struct {
	Fields   []string          `yaml:"fields,required" doc:"fields that documents hold of each record"`
	Refer    map[string]string `yaml:"refer" doc:"as that of the object"`
	OnChange []string          `yaml:"on-change" doc:"as that of the object: for lines of a sale, [product, quantity] gives unit, price, taxes and description"`
	Key      []string          `yaml:"key" doc:"fields that tell a record from the others of its object; updates need them"`
	OnUpdate string            `yaml:"on-update" default:"none" enum:"none,keep,replace" doc:"what an update does with the document's list: none: nothing, it is written with the object's create alone; keep: changes and adds the document's and leaves others alone; replace: deletes what the document does not have, too"`
	Stamps   bool              `yaml:"stamps" doc:"a change of such a record alone counts as a change of the object: polls go by these times as well, and read more"`
}

type steps struct {
	Field string            `yaml:"field" default:"state" doc:"field that says how far the object is; in documents it says how far it is to go"`
	Path  []step            `yaml:"path,required" doc:"the states in their order; an object that is farther than asked stays where it is"`
	Aside map[string]string `yaml:"aside" doc:"states beside the path, such as cancelled, with the method that leads there from anywhere"`
	Reach string            `yaml:"reach" doc:"how far what is written goes where its document does not say; default: it stays where it is"`
}

type step struct {
	State string `yaml:"state,required" doc:"the state"`
	By    string `yaml:"by" doc:"the model's method that leads there from the state before; without it, it is Tryton that goes there"`
}
