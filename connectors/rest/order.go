package rest

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var _ connector.Orderer = Kind{}

// Ordering: without a version and without changed-since every poll reads the whole list and compares it; anything else goes by stamps, of which
// no service says that it takes them at the commit.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	if o := read(s, &strictyaml.Problems{}).Objects[name]; o != nil {
		return o.Ordering()
	}
	return connector.Ordering{}
}

// Ordering says by what changes of the object type are ordered.
func (o *object) Ordering() connector.Ordering {
	switch {
	case o.Version == "" && o.List.ChangedSince.Parameter == "":
		return connector.Ordering{By: connector.ByContent}
	}
	return connector.Ordering{By: connector.ByStamp}
}
