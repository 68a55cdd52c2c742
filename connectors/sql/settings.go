package sql

import (
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type settings struct {
	connector.Common `yaml:",inline"`
	Driver           string             `yaml:"driver,required" enum:"sqlite,postgres,mysql,sqlserver,oracle,hana" doc:"the kind of database; mysql is MariaDB (10.5 or newer) and MySQL (8.0 or newer), sqlserver SQL Server (2016 or newer) and Azure SQL, oracle Oracle (12.2 or newer; in a hub built with the tag oracle), hana SAP HANA (2.0 SPS 04 or newer)"`
	Path             string             `yaml:"path" doc:"the SQLite file, which must exist; relative to the configuration file"`
	URL              strictyaml.Secret  `yaml:"url" doc:"the connection URL: postgres://user:password@host:5432/database, or mysql://user:password@host:3306/database, where ssl-mode is DISABLED, PREFERRED (the default: encrypted where the server can, and not verified), REQUIRED or VERIFY_IDENTITY, with ssl-ca for a file of certificates, and socket names a socket in place of the host; sqlserver://user:password@host:1433?database=NAME, oracle://user:password@host:1521/SERVICE and hdb://user:password@host:443?databaseName=NAME take the parameters of their drivers"`
	ReadOnly         bool               `yaml:"read-only" doc:"the system is only read: every session and transaction is opened so, where the database has such a thing, and writes are refused before anything is sent"`
	Timeout          time.Duration      `yaml:"timeout" default:"30s" doc:"bound of one call"`
	Limit            limit              `yaml:"limit" doc:"bounds of what the hub asks of the database"`
	Zone             string             `yaml:"zone" default:"UTC" doc:"time zone of columns of type local-timestamp; the hour that comes twice when clocks go back is read again until it is over"`
	Capture          *captureSettings   `yaml:"capture" doc:"how changes are read from PostgreSQL's log, of the objects that say capture"`
	Objects          map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

type captureSettings struct {
	Slot        string          `yaml:"slot,required" doc:"the replication slot: small letters, digits and _; the hub makes it once, and never drops it; one hub, or several with one store, to a slot"`
	Publication string          `yaml:"publication,required" doc:"the publication that holds the tables: CREATE PUBLICATION waybill FOR TABLE orders, customers"`
	Kept        strictyaml.Size `yaml:"kept" default:"1GiB" doc:"how much log the server may keep for the slot before the status shows it"`
	Buffer      strictyaml.Size `yaml:"buffer" default:"16MiB" doc:"about how much of the log is held in memory while it waits for the hub's store"`
}

type captured struct {
	Snapshot string `yaml:"snapshot" default:"all" enum:"all,none" doc:"what a flow begins with: all, the rows that are there, and then their changes; none, the changes from then on"`
}

// mostTogether bounds the changes of one transaction: PostgreSQL keeps the savepoints of 64 at hand, and looks for more on the disk.
const mostTogether = 60

type limit struct {
	Concurrency int `yaml:"concurrency" default:"4" doc:"connections at the same time"`
	Batch       int `yaml:"batch" default:"32" doc:"changes that go in one transaction at most, where several wait for their turn: each has its own answer, one that fails leaves the others, and one that comes alone waits for nothing; 1: each in a transaction of its own"`
}

type object struct {
	Table         string            `yaml:"table,required" doc:"table or view, with its schema where needed: sales.orders; names are taken as they stand, upper and lower case count"`
	Key           columnNames       `yaml:"id" default:"id" type:"any" doc:"column that identifies a row, or a list of columns that do so together: [company, order_no]. The id of several is a text, company='10',order_no='4711', in the order of the list; each is in columns, as text, integer, decimal or date, and comes from the document of a create"`
	Generated     bool              `yaml:"generated" doc:"the database gives the id; it is read back"`
	ExternalID    string            `yaml:"external-id" doc:"column that holds the hub's external id; creates set it; it should have a unique index"`
	Version       string            `yaml:"version" doc:"column that says when, or in which version, the row changed last: polls go by it, and writes are guarded by it; it should have an index together with id; SQLite compares times as texts, so that all must be written in one form"`
	VersionElse   string            `yaml:"version-else" doc:"column to take where version is null: the time of creation"`
	Touch         bool              `yaml:"touch" doc:"the hub sets version when it writes, to the database's clock or to the next number, and always to more than it was; without it the database does, by a trigger"`
	Lookback      int               `yaml:"lookback" doc:"how many numbers a poll goes back where version is a number from a sequence: such numbers become visible out of order"`
	Deleted       string            `yaml:"deleted" doc:"column that marks a deleted row: boolean true, or any time; deletes set it instead of removing the row"`
	Upsert        bool              `yaml:"upsert" doc:"a create takes over the row that has the external id already (ON CONFLICT), instead of failing; external-id needs a unique index"`
	Columns       map[string]string `yaml:"columns,required" doc:"the columns that documents hold, by name, with their type: text (whatever the database shows, such as infinity), integer, decimal, boolean, timestamp, local-timestamp, unix, unix-ms, date (of a time, its day), json, and of SQL Server rowversion (a number that the server sets at every change); dates and times are those of the years 0 to 9999"`
	Children      map[string]*child `yaml:"children" doc:"tables of the object's lists, by the name of the list in the document; written and read with the row, in one transaction"`
	Procedures    *procedures       `yaml:"procedures" doc:"stored procedures, or functions, that write the object in place of the hub's own statements; an action without one is refused; the object is read from its table or view"`
	Interface     *interfaceTable   `yaml:"interface" doc:"the table only takes orders in: every change is a new row"`
	Capture       *captured         `yaml:"capture" doc:"polls read the table's changes from the database's log, with their deletes and in the order of their commits; needs the system's capture; {} for the defaults"`
	name          string
	ID            string // the id's column, where it is one
	rowversion    bool   // the version is a rowversion of SQL Server
	table         string // quoted
	childrenNames []string
	columnNames   []string
	known         atomic.Pointer[knownObject]

	ExternalForm connector.ExternalForm `yaml:"external-form" default:"uuid" enum:"uuid,compact,base32" doc:"how the external id is written: uuid (36 characters), compact (32, without hyphens), base32 (26, RFC 4648 in small letters without padding); all say the same id, and ids already written stay as they are; a column of PostgreSQL's type uuid takes uuid and compact"`
}

type child struct {
	Table    string            `yaml:"table,required" doc:"table of the rows"`
	Parent   columnNames       `yaml:"parent,required" type:"any" doc:"column that holds the id of the object's row; where that is several columns, as many, in their order"`
	Key      string            `yaml:"key" doc:"column that identifies a row within its object, such as the line number"`
	Order    string            `yaml:"order" doc:"column that gives the order; default: key"`
	OnUpdate string            `yaml:"on-update" default:"replace" enum:"replace,merge" doc:"replace: all rows anew; merge: by key, changed rows in place, so that columns the hub does not know survive"`
	Columns  map[string]string `yaml:"columns,required" doc:"the columns that the list's documents hold, with their type"`

	name        string
	table       string
	columnNames []string
}

type interfaceTable struct {
	Status         string `yaml:"status" doc:"column that says that the row is to be taken in"`
	Value          string `yaml:"value" doc:"what status is set to"`
	Operation      string `yaml:"operation" doc:"column that takes create, update or delete"`
	Reference      string `yaml:"reference" doc:"column that takes the object's id, for updates and deletes"`
	IdempotencyKey string `yaml:"idempotency-key" doc:"column that takes the change's key: a change sent again finds its row"`
	// What the system makes of a row.
	Done   []string      `yaml:"done" doc:"the values of status that say that the system has taken the row in; with them a change is done only then, and status and idempotency-key are needed"`
	Failed []string      `yaml:"failed" doc:"the values of status that say that the system has refused the row; sent again, the same change sets it to be taken in anew"`
	Error  string        `yaml:"error" doc:"column in which the system says why it has refused the row"`
	Result string        `yaml:"result" doc:"column in which the system writes the id of the object that it has made, which is then the object's id; default: the row's"`
	Wait   time.Duration `yaml:"wait" default:"10s" doc:"how long a change waits to be taken in; after that its outcome is unknown, and it is looked at again later"`
}
