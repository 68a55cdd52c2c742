package kafka

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var _ connector.Orderer = Kind{}

// Ordering: a partition shows its records in the order in which they became visible, and reads go by their places.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	set := read(s, &strictyaml.Problems{})
	if set.Objects[name] == nil {
		return connector.Ordering{}
	}
	return connector.Ordering{By: connector.ByCommit}
}
