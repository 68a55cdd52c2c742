// Package mappings holds the mappings that come with the hub.
package mappings

import "embed"

// FS holds every file of this directory; those that do not end in .yaml are of no account.
//
//go:embed *
var FS embed.FS
