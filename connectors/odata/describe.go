package odata

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	_ connector.Describer = Kind{}
	_ connector.Orderer   = Kind{}
)

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	o := read(s, nil).Objects[object]
	if o == nil {
		return connector.ObjectType{}
	}
	t := connector.ObjectType{External: o.External, Form: o.ExternalForm, Searched: o.External != ""}
	if o.Changed != "" {
		t.Stamps = []string{o.Changed}
	}
	if b, err := o.copied(s); b != nil && err == nil && len(b.lacking) == 0 {
		t.Fields = b.fields()
	}
	return t
}

// Ordering: without changed every poll reads everything and compares it; delta links come in the order in which the service has committed; anything else
// goes by stamps, of which no service says that it takes them at the commit.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	o := read(s, &strictyaml.Problems{}).Objects[name]
	switch {
	case o == nil:
		return connector.Ordering{}
	case o.Changes == "delta":
		return connector.Ordering{By: connector.ByCommit}
	case o.Changed == "":
		return connector.Ordering{By: connector.ByContent}
	}
	return connector.Ordering{By: connector.ByStamp}
}
