package sql

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var _ connector.ReadOnlyKind = Kind{}

// ReadOnly reports whether the settings say that the system is only read.
func (Kind) ReadOnly(s connector.Settings) bool {
	set, _ := read(s, &strictyaml.Problems{})
	return set.ReadOnly
}
