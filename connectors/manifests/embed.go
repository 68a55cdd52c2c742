// Package manifests holds the manifests that come with the hub.
package manifests

import "embed"

// FS holds every manifest; the recordings beside them stay outside of the program.
//
//go:embed *.yaml
var FS embed.FS
