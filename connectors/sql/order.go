package sql

import (
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var _ connector.Orderer = Kind{}

// Ordering tells numbers from stamps, and either from a log, which holds changes in the order of their commits. Of rowversions the server says which are still on their way. Both are taken while the transaction runs, or before, and transactions of PostgreSQL and MariaDB run side by side.
// SQLite has one writer at a time: a number that is taken inside the transaction is committed before the next one is taken. Stamps prove nothing even
// there, because programs take them before they begin.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	set, _ := read(s, &strictyaml.Problems{})
	if set == nil || set.Objects[name] == nil {
		return connector.Ordering{}
	}
	o := set.Objects[name]
	if o.Capture != nil {
		return connector.Ordering{By: connector.ByCommit}
	}
	if o.Columns[o.Version] == "integer" {
		if set.Driver == "sqlite" || o.rowversion {
			return connector.Ordering{By: connector.ByCommit}
		}
		return connector.Ordering{By: connector.ByNumber, Back: o.Lookback, Setting: "lookback"}
	}
	return connector.Ordering{By: connector.ByStamp}
}
