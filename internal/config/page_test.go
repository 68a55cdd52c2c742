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

The common entities, which need no word in the configuration, are ENTITIES; others are listed under ` + "`" + `entities` + "`" + `.

`

	pageHooks = `
## Webhooks

A system calls ` + "`" + `http://HUB/hooks/PATH` + "`" + `. It is answered 202 when the delivery is on the hub's disk, and not before.

| scheme | the sender proves itself by | the delivery's id |
|---|---|---|
| ` + "`" + `standard-webhooks` + "`" + ` | [Standard Webhooks](https://www.standardwebhooks.com): HMAC-SHA256 of ` + "`" + `id.timestamp.body` + "`" + ` in ` + "`" + `webhook-signature` + "`" + `; the secret is base64, with or without ` + "`" + `whsec_` + "`" + `. Svix's ` + "`" + `svix-id` + "`" + `, ` + "`" + `svix-timestamp` + "`" + ` and ` + "`" + `svix-signature` + "`" + ` count as the same where a sender has no complete set of ` + "`" + `webhook-*` + "`" + ` | ` + "`" + `webhook-id` + "`" + `, or ` + "`" + `svix-id` + "`" + `; ` + "`" + `header("webhook-id")` + "`" + ` is either |
| ` + "`" + `stripe` + "`" + ` | HMAC-SHA256 of ` + "`" + `timestamp.body` + "`" + ` in ` + "`" + `Stripe-Signature` + "`" + ` | ` + "`" + `id` + "`" + ` in the body |
| ` + "`" + `shopify` + "`" + ` | base64 HMAC-SHA256 of the body in ` + "`" + `X-Shopify-Hmac-Sha256` + "`" + ` | ` + "`" + `X-Shopify-Webhook-Id` + "`" + ` |
| ` + "`" + `github` + "`" + ` | HMAC-SHA256 of the body in ` + "`" + `X-Hub-Signature-256` + "`" + `; a ` + "`" + `ping` + "`" + ` is answered and goes no further | ` + "`" + `X-GitHub-Delivery` + "`" + ` |
| ` + "`" + `salesforce-outbound` + "`" + ` | the organization's id in a SOAP outbound message, which is not signed: let only Salesforce's addresses, or its client certificate, reach the path | the notification's, with its content |
| ` + "`" + `cloudevents` + "`" + ` | [CloudEvents](https://cloudevents.io) in all three modes; a bearer token, or a digest as of ` + "`" + `hmac` + "`" + ` where ` + "`" + `header` + "`" + ` is set | ` + "`" + `source` + "`" + ` and ` + "`" + `id` + "`" + ` of the event |
| ` + "`" + `hmac` + "`" + ` | a digest of the body in ` + "`" + `header` + "`" + `, after ` + "`" + `prefix` + "`" + `, in ` + "`" + `encoding` + "`" + `, by ` + "`" + `algorithm` + "`" + ` | ` + "`" + `delivery-id` + "`" + ` |
| ` + "`" + `bearer` + "`" + ` | a token in ` + "`" + `Authorization: Bearer` + "`" + `, in any case, or in ` + "`" + `header` + "`" + ` | ` + "`" + `delivery-id` + "`" + ` |

Several ` + "`" + `secrets` + "`" + ` are valid at once while they are rotated. Signed timestamps may be off by ` + "`" + `tolerance` + "`" + `. Signatures are over the body as it was sent; ` + "`" + `delivery-id` + "`" + ` is
worth having, because every sender repeats.

**Bodies** are JSON in UTF-8: ` + "`" + `application/json` + "`" + `, ` + "`" + `text/json` + "`" + `, ` + "`" + `application/*+json` + "`" + `, or no content type at all; a byte order mark before the JSON is skipped. Another character set, UTF-16 too, is
refused by name. ` + "`" + `content-types` + "`" + ` adds others under which a sender sends JSON, and ` + "`" + `application/x-www-form-urlencoded` + "`" + `: then ` + "`" + `form-field` + "`" + ` names the field that holds the JSON (` + "`" + `payload` + "`" + ` for
GitHub's forms), or the fields become an object of texts. ` + "`" + `Content-Encoding` + "`" + ` is gzip, deflate or none. A body has a length or comes in chunks.

**XML.** With ` + "`" + `xml` + "`" + ` a webhook reads bodies of XML and no others (` + "`" + `text/xml` + "`" + `, ` + "`" + `application/xml` + "`" + `, ` + "`" + `application/*+xml` + "`" + `, UTF-8, no document type declaration): the root element, what a SOAP envelope holds, or every IDoc in it. Values stay
texts until ` + "`" + `types` + "`" + ` or the flow's mapping says otherwise. It goes with ` + "`" + `hmac` + "`" + `, ` + "`" + `standard-webhooks` + "`" + ` and ` + "`" + `bearer` + "`" + `; HTTP Basic is a bearer token with ` + "`" + `prefix: "Basic "` + "`" + ` and base64 of ` + "`" + `user:password` + "`" + `. An IDoc's id is the
client, sender and number of its control record, a SOAP message's its ` + "`" + `wsa:MessageID` + "`" + `. What is taken is answered 200 (IDoc, plain) or 202 (SOAP) with no body; a SOAP message that is not gets a fault. [soap](soap.md) tells more.

**Size.** A body is at most ` + "`" + `hooks.max-body` + "`" + `, also unfolded. A document, or each element of a list, has to fit into a record of the flow's topic as well, and of the one behind it where
the flow has no ` + "`" + `map` + "`" + `: what is larger is answered 413 before it is taken, an element with its index. The hub makes topics with a ` + "`" + `max.message.bytes` + "`" + ` of a quarter more than ` + "`" + `max-body` + "`" + `, and raises
it on topics that are its own: ` + "`" + `in.FLOW` + "`" + `, those with the settings that it makes topics with, and all of the embedded broker. To have less, set a smaller ` + "`" + `max-body` + "`" + `. Of a topic that it may not change, the log and
` + "`" + `waybill status` + "`" + ` say what to set; until then the smaller size counts. ` + "`" + `message.max.bytes` + "`" + ` of the broker need not be changed: the topic's own setting goes before it. ` + "`" + `replica.fetch.max.bytes` + "`" + ` need not either (a
follower takes the first batch whatever its size), but ` + "`" + `socket.request.max.bytes` + "`" + ` (100 MiB) has to be larger than all of it. Sizes are counted without compression.

**The same delivery again** is taken once. Where its body has other values it is answered 409, with an alarm: the order of members and blanks do not count, nor what ` + "`" + `ignore` + "`" + ` names, such as a
counter of attempts.

**Handshakes** are answered and not stored:

| sender | asks | with |
|---|---|---|
| WooCommerce | a form ` + "`" + `webhook_id=N` + "`" + `, unsigned, when a webhook is saved | ` + "`" + `hmac` + "`" + ` |
| Xero | a signed body without events ("intent to receive") | ` + "`" + `hmac` + "`" + `, ` + "`" + `header: X-Xero-Signature` + "`" + ` |
| Meta | GET with ` + "`" + `hub.challenge` + "`" + `; its ` + "`" + `hub.verify_token` + "`" + ` is one of the secrets | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Dropbox, Nylas and others | GET with ` + "`" + `challenge` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Okta | GET with ` + "`" + `X-Okta-Verification-Challenge` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Microsoft Graph, SharePoint, Business Central | an empty POST with ` + "`" + `validationToken` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Slack, Lark, monday.com | a document that holds a ` + "`" + `challenge` + "`" + ` alone, or with the type ` + "`" + `url_verification` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Smartsheet | POST with ` + "`" + `Smartsheet-Hook-Challenge` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| VTEX | ` + "`" + `{"hookConfig": "ping"}` + "`" + ` | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Trello, Mandrill and others | HEAD | ` + "`" + `hmac` + "`" + `, ` + "`" + `bearer` + "`" + ` |
| Azure Event Grid, SAP Event Mesh | OPTIONS with ` + "`" + `WebHook-Request-Origin` + "`" + ` | ` + "`" + `cloudevents` + "`" + ` |
| GitHub | a signed ` + "`" + `ping` + "`" + ` | ` + "`" + `github` + "`" + ` |
| Mailchimp and others | a bare GET | ` + "`" + `handshakes: [get]` + "`" + ` |
| Asana | POST with ` + "`" + `X-Hook-Secret` + "`" + `, which is the webhook's secret from then on: Asana's API tells it to whoever made the webhook | ` + "`" + `handshakes: [asana]` + "`" + ` |

What a handshake repeats is at most 1,024 printable characters, without ` + "`" + `<` + "`" + `, ` + "`" + `>` + "`" + `, ` + "`" + `&` + "`" + ` and quotes.

| answer | means |
|---|---|
| 202 | taken: stored, once; the same delivery again is answered 202 and not taken a second time. ` + "`" + `answer` + "`" + ` sets another status and body, for a sender that wants 200 or a text |
| 200 | understood, and nothing to take (a handshake, an empty list) |
| 400 | the body is no JSON, or neither an object nor a list of objects, or too deep, or a number in it too large: with the place |
| 401 | the sender does not prove that it is who it says, or its timestamp is too far off |
| 404 405 415 | nothing is received at this path; not by this method; not of this content type, character set or encoding: with what to send |
| 409 | a delivery of this id was taken before, with another body |
| 413 | larger than ` + "`" + `hooks.max-body` + "`" + `, or than what the topic carries: with both sizes, and the element of a list |
| 429 | more than ` + "`" + `hooks.rate` + "`" + `; ` + "`" + `Retry-After` + "`" + ` says when |
| 503 | the store does not answer, or the hub is stopping: send it again; nothing was taken |

Refusals are JSON (` + "`" + `application/problem+json` + "`" + `, RFC 9457): ` + "`" + `detail` + "`" + ` says what is wrong.

## Reconciliations

Documents ` + "`" + `reconciliation: NAME` + "`" + `. What they mean, and how to follow them, stands in [reconciliation](reconciliation.md).

`

	pageRules = `
## Business rules

What must hold of every object of a kind, over one or several systems: see [rules](rules.md).

`
)

// TestConfigurationPage keeps docs/configuration.md what the code says.
func TestConfigurationPage(t *testing.T) {
	spec := Spec()
	text := pageHead + connector.Table(spec["config"]) + strings.Replace(pageFlows, "ENTITIES", strings.Join(Entities, ", "), 1) + connector.Table(spec["flow"]) + pageHooks + connector.Table(spec["reconciliation"]) + pageRules + connector.Table(spec["rule"])
	golden(t, filepath.Join("..", "..", "docs", "configuration.md"), strings.TrimRight(text, "\n")+"\n")
}
