package config

import (
	"time"

	"github.com/waybill-hub/waybill/internal/kafkaauth"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The structs of this file are the configuration file as it is written: each key once, with its sentence for people.

type hubFile struct {
	Broker   brokerFile      `yaml:"broker" doc:"the Kafka broker: embedded (default) or kafka"`
	Store    storeFile       `yaml:"store" doc:"the hub's memory: sqlite (default) or postgres"`
	HTTP     httpFile        `yaml:"http" doc:"the console and the API"`
	Hooks    hooksFile       `yaml:"hooks" doc:"the listener for webhooks"`
	Backup   backupFile      `yaml:"backup" doc:"copies of the embedded set-up, and what holds after one was put back"`
	Journal  journalFile     `yaml:"journal" doc:"what is kept of the fates of messages"`
	Alerts   alertsFile      `yaml:"alerts" doc:"who is told of what is wrong, and where"`
	Traces   tracesFile      `yaml:"traces" doc:"where the hub tells what it did with each message, as OpenTelemetry spans; without it nobody is told"`
	Mappings mappingsFile    `yaml:"mappings" doc:"bounds of what mappings and expressions make of one document"`
	TakeOver time.Duration   `yaml:"takeover-after" default:"15s" doc:"how long a hub that has gone without a word is waited for before others take its partitions and leases; 6s to 5m"`
	Entities []string        `yaml:"entities" doc:"kinds of business objects beside the common ones"`
	Systems  strictyaml.Node `yaml:"systems" type:"map" doc:"the external applications by name; each has connector, which is a kind or a vendor's manifest, visible-after, defaults of its objects, and its connector's own settings"`
}

type brokerFile struct {
	Embedded   *embeddedFile `yaml:"embedded" doc:"a broker inside the hub, for one machine"`
	Kafka      *kafkaFile    `yaml:"kafka" doc:"an Apache Kafka cluster"`
	Partitions int           `yaml:"partitions" default:"4" doc:"partitions of the topics that the hub creates"`
	Foreign    []string      `yaml:"foreign-topics" doc:"topics that programs outside the hub write or read: check misses no writer and no reader of theirs"`
}

type embeddedFile struct {
	Dir string `yaml:"dir" default:"data/broker" doc:"directory of the log, relative to the working directory"`
}

type kafkaFile struct {
	Brokers     []string        `yaml:"brokers,required" doc:"addresses host:port to begin with"`
	Replication int             `yaml:"replication" default:"3" doc:"copies of the topics that the hub creates"`
	TLS         *kafkaauth.TLS  `yaml:"tls" doc:"encrypt the connection; {} trusts the operating system's certificates"`
	SASL        *kafkaauth.SASL `yaml:"sasl" doc:"log in"`
}

type storeFile struct {
	SQLite   *sqliteFile   `yaml:"sqlite" doc:"a file, for one machine"`
	Postgres *postgresFile `yaml:"postgres" doc:"a PostgreSQL database, for several hubs"`
}

type sqliteFile struct {
	Path string `yaml:"path" default:"data/waybill.db" doc:"the database file, relative to the working directory"`
}

type postgresFile struct {
	URL strictyaml.Secret `yaml:"url,required" doc:"postgres://user:password@host/database"`
}

type httpFile struct {
	Listen string         `yaml:"listen" default:"127.0.0.1:8080" doc:"address; beyond this machine only with tokens, or people who sign in"`
	Origin string         `yaml:"origin" doc:"the address that people use, where it is another one (behind a proxy): https://waybill.example.com. Browsers may write from it"`
	TLS    *serverTLSFile `yaml:"tls" doc:"serve over TLS, 1.2 or newer"`
	Tokens []tokenFile    `yaml:"tokens" doc:"bearer tokens that may use the API and the console"`
	Users  []userFile     `yaml:"users" doc:"people who sign in to the console with a password"`
	OIDC   *oidcFile      `yaml:"oidc" doc:"people who sign in to the console by an OpenID provider; needs origin"`
}

type serverTLSFile struct {
	Cert string `yaml:"cert,required" doc:"file with the certificate and those between it and its authority, PEM; read anew when it changes"`
	Key  string `yaml:"key,required" doc:"file with its private key, PEM"`
}

type backupFile struct {
	Dir       string          `yaml:"dir" doc:"folder below which waybill backup writes copies, relative to the working directory; without it the hub writes none. Give it a disk of its own"`
	Rate      strictyaml.Size `yaml:"rate" default:"32MiB" doc:"how many bytes a second a copy writes at most, so that the hub has the disk for itself in between; from 256KiB"`
	ResentFor time.Duration   `yaml:"resent-for" default:"24h" doc:"after a restore: how long senders may still send again what they had sent before. So long, creates are parked whose target cannot be asked whether they were made; waybill restored --done ends it sooner; up to 720h"`
}

type journalFile struct {
	Documents documentsFile `yaml:"documents" doc:"the documents of each fate for waybill trace: before and after the mapping, what was sent, what was answered. Personal data (x-pii in schemas) is masked in them. Those of failures are kept as long as the journal, 90 days, and do not count here"`
}

type documentsFile struct {
	Days int             `yaml:"days" default:"7" doc:"for so many days, of what did not fail; 0: of failures alone"`
	Size strictyaml.Size `yaml:"size" default:"256MiB" doc:"and of these the newest, compressed, up to this size in all"`
}

type tracesFile struct {
	Endpoint string                       `yaml:"endpoint" doc:"the collector's address for OTLP over HTTP: http://127.0.0.1:4318. Where it has no path, /v1/traces is added"`
	Headers  map[string]strictyaml.Secret `yaml:"headers" doc:"headers of each request to it, such as Authorization; give secrets as ${env:NAME}"`
	Sample   string                       `yaml:"sample" default:"1" doc:"share of the traces that begin at the hub which are told, from 0 to 1. A trace that a sender has begun is told where the sender's traceparent says so"`
}

type tokenFile struct {
	Name   string            `yaml:"name,required" doc:"who acts with it: the name in the audit"`
	Value  strictyaml.Secret `yaml:"value,required" doc:"the token; at least 16 bytes where other machines reach the hub, and no two the same"`
	Role   string            `yaml:"role" default:"admin" doc:"what it may do: viewer, operator, engineer or admin, each what those before it may"`
	Scopes []string          `yaml:"scopes" doc:"what it is for, where it is not for everything that its role may: status, metrics, messages, flows, comparisons, audit, hub"`
}

type oidcFile struct {
	Issuer  string        `yaml:"issuer,required" doc:"the provider's address, as its tokens name it: https://id.example.com/realms/work"`
	Client  oidcClient    `yaml:"client,required" doc:"what the provider knows this hub by; its redirect address is the origin and /console/oidc/callback"`
	Scopes  []string      `yaml:"scopes" doc:"scopes to ask for beside openid, profile and email, where groups need one"`
	Name    string        `yaml:"name" default:"preferred_username" doc:"the claim that acts are noted under, with (oidc) behind it: one that people cannot change themselves"`
	Roles   oidcRoles     `yaml:"roles,required" doc:"which groups have which role; who is in none is not let in"`
	Session time.Duration `yaml:"session" default:"8h" doc:"how long somebody stays signed in; 5m to 24h. Whom the provider takes away stays so long"`
	CA      string        `yaml:"ca" doc:"file with the authorities of the provider's certificate, PEM; default: this machine's"`
}

type oidcClient struct {
	ID     string            `yaml:"id,required" doc:"the client's id"`
	Secret strictyaml.Secret `yaml:"secret,required" doc:"its secret"`
}

type oidcRoles struct {
	Claim    string   `yaml:"claim" default:"groups" doc:"the claim with the groups of a person; dotted for one inside another: realm_access.roles"`
	Viewer   []string `yaml:"viewer" doc:"groups whose people are viewers; \"*\": all whom the provider knows"`
	Operator []string `yaml:"operator" doc:"groups whose people are operators"`
	Engineer []string `yaml:"engineer" doc:"groups whose people are engineers"`
	Admin    []string `yaml:"admin" doc:"groups whose people are admins"`
}

type userFile struct {
	Name     string            `yaml:"name,required" doc:"who it is: letters, digits, . _ - and @; the name in the audit, and no token's"`
	Role     string            `yaml:"role,required" doc:"viewer, operator, engineer or admin"`
	Password strictyaml.Secret `yaml:"password,required" doc:"the hash of the password, which waybill password makes (argon2id)"`
}

type mappingsFile struct {
	MaxResult strictyaml.Size `yaml:"max-result" default:"16MiB" doc:"largest document that a mapping makes; at most 256MiB. One expression may make four times that on its way. A message beyond it is parked as invalid"`
	MaxSteps  int             `yaml:"max-steps" default:"50000000" doc:"longest run of a mapping: fields set, elements looked at, parts of expressions evaluated. A message beyond it is parked as invalid"`
}

type hooksFile struct {
	Listen       string          `yaml:"listen" default:"127.0.0.1:8081" doc:"address; it may face the internet"`
	TLS          *serverTLSFile  `yaml:"tls" doc:"serve over TLS, 1.2 or newer"`
	MaxBody      strictyaml.Size `yaml:"max-body" default:"4MiB" doc:"largest body, also after decompression; at most 64MiB. The topics that the hub makes carry it; a document that its flow's topic does not carry is refused as well"`
	MaxDocuments int             `yaml:"max-documents" default:"10000" doc:"documents of one delivery at most: of a list, or a batch of events. More are refused with 413"`
	MinRate      strictyaml.Size `yaml:"min-rate" default:"4KiB" doc:"bytes a second that a body comes at, or it makes room where others have none: it is cut and answered 408. A running hub cannot change it"`
	Rate         strictyaml.Rate `yaml:"rate" doc:"deliveries taken per source; without it as many as come"`
	Connections  int             `yaml:"connections" default:"1000" doc:"connections at once"`
	Leave        time.Duration   `yaml:"leave" doc:"how long a hub that is told to stop still takes webhooks while /readyz says no, so that a load balancer sends them to others; at most 30s; default: 2s with postgres, else none"`
}
