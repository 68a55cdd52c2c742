package config

import (
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Spec describes every key of the files that this package reads: "config", "flow", "reconciliation" and "rule". It comes from the
// tags that the files are decoded with, so that it cannot differ from them; the editor's JSON Schemas and the documentation
// are made of it. Beside the types of connector.Field there are "expression", "range" and "decimal".
func Spec() map[string][]connector.Field {
	return map[string][]connector.Field{
		"config":         connector.Fields[hubFile](),
		"flow":           connector.Fields[flowFile](),
		"reconciliation": connector.Fields[reconciliationFile](),
		"rule":           connector.Fields[ruleFile](),
	}
}

// FieldRuleSpec describes what stands under a field of a reconciliation's compare, beside FieldRuleWords; GroupSpec what stands in the by of its totals, beside
// a field.
func FieldRuleSpec() []connector.Field { return connector.Fields[ruleOfField]() }
func GroupSpec() []connector.Field     { return connector.Fields[periodFile]() }

// FieldRuleWords are the rules that are a word alone.
func FieldRuleWords() []string { return slices.Clone(words) }
