package rest

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	set := read(s, nil)
	if o := set.Objects[object]; o != nil {
		return o.Describe()
	}
	return connector.ObjectType{}
}

// Describe tells what the settings say of the object type.
func (o *object) Describe() connector.ObjectType {
	t := connector.ObjectType{External: o.ExternalID, Form: o.ExternalForm, Searched: o.ExternalID != "" && len(o.Find.External) > 0}
	for _, path := range []string{o.Version, o.ETagField} {
		top, _, _ := strings.Cut(path, ".")
		if strings.HasPrefix(path, "@") {
			top = path // a name that holds dots, as OData's are
		}
		if top != "" && !slices.Contains(t.Stamps, top) {
			t.Stamps = append(t.Stamps, top)
		}
	}
	return t
}
