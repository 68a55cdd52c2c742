package sql

import "github.com/waybill-hub/waybill/internal/connector"

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	set, _ := read(s, nil)
	o := set.Objects[object]
	if o == nil {
		return connector.ObjectType{}
	}
	t := connector.ObjectType{External: o.ExternalID, Form: o.ExternalForm, Searched: o.ExternalID != ""}
	for _, column := range []string{o.Version, o.VersionElse} {
		if column != "" {
			t.Stamps = append(t.Stamps, column)
		}
	}
	return t
}
