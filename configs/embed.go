// Package configs holds the configuration that the hub starts with when it is given none.
package configs

import "embed"

// FS holds waybill.yaml.
//
//go:embed *.yaml
var FS embed.FS
