package config

import "github.com/waybill-hub/waybill/internal/connector"

// Spec describes every key of the files that this package reads: "config", "flow" and "reconciliation". It comes from the
// tags that the files are decoded with, so that it cannot differ from them; the editor's JSON Schemas and the documentation
// are made of it. Beside the types of connector.Field there are "expression", "range" and "decimal".
func Spec() map[string][]connector.Field {
	return map[string][]connector.Field{
		"config":         connector.Fields[hubFile](),
		"flow":           connector.Fields[flowFile](),
		"reconciliation": connector.Fields[reconciliationFile](),
	}
}

// ToleranceSpec describes what stands under a field of a reconciliation's compare, beside the word exact.
func ToleranceSpec() []connector.Field { return connector.Fields[foldFile]() }
