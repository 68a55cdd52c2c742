package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

const (
	pageHead = `# Configuration and flows

*Written by ` + "`" + `go test ./internal/config -update` + "`" + ` from the keys' own descriptions; change those.*

` + "`" + `configs/*.yaml` + "`" + ` is a hub's configuration. Beside it lie ` + "`" + `flows/` + "`" + `, ` + "`" + `mappings/` + "`" + ` and ` + "`" + `schemas/` + "`" + `; files below may be named and nested as one likes, and hold several
documents. Every key is checked: ` + "`" + `waybill check` + "`" + ` shows all problems with their places, and *notes* on what works and may not be what was meant (exit 0; with ` + "`" + `--strict` + "`" + ` 1), ` + "`" + `waybill schema` + "`" + ` writes JSON Schemas for editors. In the tables, ` + "`" + `NAME` + "`" + ` stands for a
name that the file gives, and ` + "`" + `[]` + "`" + ` for every element of a list.

A *secret* is never written into a file: ` + "`" + `${env:NAME}` + "`" + ` is the environment's, ` + "`" + `${file:PATH}` + "`" + ` a file's, relative to the configuration. A *duration* is written ` + "`" + `30s` + "`" + `, ` + "`" + `5m` + "`" + `,
` + "`" + `24h` + "`" + `, a *range* ` + "`" + `200ms..30s` + "`" + `, a *size* ` + "`" + `512KiB` + "`" + `, a *rate* ` + "`" + `50/s` + "`" + `. An *expression* is one of the [mapping language](mappings.md), over ` + "`" + `source` + "`" + `, the document as it came, and
` + "`" + `event` + "`" + `. A path inside a document is made of names with dots between them.

## The hub

`

	pageFlows = `
## Flows

A flow takes events from one place to one other. Where it comes from a system, ` + "`" + `from` + "`" + ` says how: by ` + "`" + `webhook` + "`" + `, ` + "`" + `poll` + "`" + ` or ` + "`" + `files` + "`" + `. [tutorial](tutorial.md) makes one from
nothing; [flows](flows.md) tells what the shipped ones do.

`

	pageHooks = `
## Webhooks

A system calls ` + "`" + `http://HUB/hooks/PATH` + "`" + `. It is answered 202 when the delivery is on the hub's disk, and not before.

| scheme | the sender proves itself by | the delivery's id |
|---|---|---|
| ` + "`" + `standard-webhooks` + "`" + ` | [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA256 of ` + "`" + `id.timestamp.body` + "`" + ` in ` + "`" + `webhook-signature` + "`" + `; the secret is base64, with or without ` + "`" + `whsec_` + "`" + ` | ` + "`" + `webhook-id` + "`" + ` |
| ` + "`" + `stripe` + "`" + ` | HMAC-SHA256 of ` + "`" + `timestamp.body` + "`" + ` in ` + "`" + `Stripe-Signature` + "`" + ` | ` + "`" + `id` + "`" + ` in the body |
| ` + "`" + `shopify` + "`" + ` | base64 HMAC-SHA256 of the body in ` + "`" + `X-Shopify-Hmac-Sha256` + "`" + ` | ` + "`" + `X-Shopify-Webhook-Id` + "`" + ` |
| ` + "`" + `github` + "`" + ` | HMAC-SHA256 of the body in ` + "`" + `X-Hub-Signature-256` + "`" + `; a ` + "`" + `ping` + "`" + ` is answered and goes no further | ` + "`" + `X-GitHub-Delivery` + "`" + ` |
| ` + "`" + `salesforce-outbound` + "`" + ` | the organization's id in a SOAP outbound message, which is not signed: let only Salesforce's addresses, or its client certificate, reach the path | the notification's, with its content |
| ` + "`" + `cloudevents` + "`" + ` | [CloudEvents](https://cloudevents.io) in all three modes; a bearer token, or a digest as of ` + "`" + `hmac` + "`" + ` where ` + "`" + `header` + "`" + ` is set | ` + "`" + `source` + "`" + ` and ` + "`" + `id` + "`" + ` of the event |
| ` + "`" + `hmac` + "`" + ` | a digest of the body in ` + "`" + `header` + "`" + `, after ` + "`" + `prefix` + "`" + `, in ` + "`" + `encoding` + "`" + `, by ` + "`" + `algorithm` + "`" + ` | ` + "`" + `delivery-id` + "`" + ` |
| ` + "`" + `bearer` + "`" + ` | a token in ` + "`" + `Authorization: Bearer` + "`" + `, or in ` + "`" + `header` + "`" + ` | ` + "`" + `delivery-id` + "`" + ` |

Several ` + "`" + `secrets` + "`" + ` are valid at once while they are rotated. Signed timestamps may be off by ` + "`" + `tolerance` + "`" + `.

| answer | means |
|---|---|
| 202 | taken: stored, once; the same delivery again is answered 202 and not taken a second time |
| 200 | understood, and nothing to take (a ping, an empty list) |
| 400 | the body is no JSON, or too deep, or a number in it too large: with the place |
| 401 | the sender does not prove that it is who it says, or its timestamp is too far off |
| 404 405 415 | nothing is received at this path; not by this method; not of this content type |
| 409 | a delivery of this id was taken before, with another body |
| 413 | larger than ` + "`" + `hooks.max-body` + "`" + ` |
| 429 | more than ` + "`" + `hooks.rate` + "`" + `; ` + "`" + `Retry-After` + "`" + ` says when |
| 503 | the store does not answer, or the hub is stopping: send it again; nothing was taken |

## Reconciliations

This version checks these files and does not carry them out; ` + "`" + `waybill check` + "`" + ` and ` + "`" + `waybill run` + "`" + ` say so.

`
)

// TestConfigurationPage keeps docs/configuration.md what the code says.
func TestConfigurationPage(t *testing.T) {
	spec := Spec()
	text := pageHead + connector.Table(spec["config"]) + pageFlows + connector.Table(spec["flow"]) + pageHooks + connector.Table(spec["reconciliation"])
	golden(t, filepath.Join("..", "..", "docs", "configuration.md"), strings.TrimRight(text, "\n")+"\n")
}
