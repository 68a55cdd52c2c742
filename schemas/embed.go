// Package schemas holds the JSON Schemas that come with the hub.
package schemas

import "embed"

// FS holds every schema: canonical/order.v1.json is the schema named "canonical/order.v1".
//
//go:embed *
var FS embed.FS
