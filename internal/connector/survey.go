package connector

import "github.com/waybill-hub/waybill/internal/strictyaml"

// Surveyor is implemented by kinds whose systems are, or begin with, files of this machine.
type Surveyor interface {
	// Survey looks whether what the settings name is there and can be used. It makes, writes and opens nothing.
	Survey(s Settings) []Finding
}

// Finding is something that is missing on this machine, or cannot be used.
type Finding struct {
	Pos  strictyaml.Pos
	Text string
	Hint string
}
