// Package flows holds the flows that come with the hub.
package flows

import "embed"

// FS holds every file of this directory; those that do not end in .yaml are of no account.
//
//go:embed *
var FS embed.FS
