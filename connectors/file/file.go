// Package file is the connector for files in folders of this machine, and of shares that are mounted.
package file

import (
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "file".
type Kind struct{}

type settings struct {
	connector.Common `yaml:",inline"`
	Path             string       `yaml:"path,required" doc:"directory; relative to the configuration file. Nothing outside it is touched, symbolic links included"`
	Objects          drop.Objects `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "file",
		Summary: "Files in a folder of this machine: CSV, JSON lines, X12, EDIFACT and others (docs/files.md)",
		Fields:  connector.Fields[settings](),
		Can:     drop.Abilities(),
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Describe tells of one object type what its settings say of the documents.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	return read(s, nil).Objects.Describe(object)
}

// Reads are the files beside the configuration that the settings name.
func (Kind) Reads(s connector.Settings) []string { return read(s, nil).Objects.Reads(s) }

// Open makes the system ready. The folder need not be there yet.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return drop.New(s, set.Objects, folders{s.Path(set.Path)}), nil
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	set.Objects.Complete(s, "", p)
	return set
}
