// Package sandbox is the outside world: three realistic external systems that the hub is shown, tested and soaked against.
//
//   - The CRM is a REST service with its own ids, version stamps and signed webhooks.
//   - The ERP is a SQLite database with its own numbering, triggers and constraints, and a process that lives in it.
//   - The WMS is a REST service that also drops CSV files into a folder.
//
// Each keeps its own state and its own append-only log of every call it got, so that somebody outside the hub can
// compare object by object what was asked for with what is there. Each can be made wicked by a seed: see Chaos.
// The exact shapes are written down in docs/sandbox.md and schemas/{crm,erp,wms}.
//
// The package knows nothing of the hub and imports none of its packages.
package sandbox

// Names of the three systems, as used in logs, snapshots and the control endpoint.
const (
	CRM = "crm"
	ERP = "erp"
	WMS = "wms"
)

// Environment variables that World.Env fills for the hub's configuration.
const (
	EnvCRMURL          = "WAYBILL_DEMO_CRM_URL"           // base URL, without a trailing slash
	EnvCRMToken        = "WAYBILL_DEMO_CRM_TOKEN"         // static bearer token
	EnvCRMTokenURL     = "WAYBILL_DEMO_CRM_TOKEN_URL"     // OAuth2 client-credentials endpoint
	EnvCRMClientID     = "WAYBILL_DEMO_CRM_CLIENT_ID"     // OAuth2 client id
	EnvCRMClientSecret = "WAYBILL_DEMO_CRM_CLIENT_SECRET" // OAuth2 client secret
	EnvCRMHookSecret   = "WAYBILL_DEMO_CRM_HOOK_SECRET"   // Standard Webhooks secret, whsec_…
	EnvERPDB           = "WAYBILL_DEMO_ERP_DB"            // path of the SQLite file
	EnvERPControl      = "WAYBILL_DEMO_ERP_CONTROL"       // base URL of the ERP's control endpoint
	EnvWMSURL          = "WAYBILL_DEMO_WMS_URL"           // base URL, without a trailing slash
	EnvWMSToken        = "WAYBILL_DEMO_WMS_TOKEN"         // value of X-Api-Key, or a bearer token
	EnvWMSDrop         = "WAYBILL_DEMO_WMS_DROP"          // drop folder with stock/ and shipments/
)
