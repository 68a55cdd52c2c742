//go:build !oracle

package sql

import (
	"database/sql"
	"errors"
	"time"
)

// oracleMissing is why the hub cannot connect to Oracle; empty: it can.
const oracleMissing = "this hub was built without Oracle's driver: take the archive waybill-oracle of the release, or build it with go build -tags " + OracleTag + " ./cmd/waybill"

func checkOracleURL(string) error { return nil }

func openOracle(string, int, time.Duration) (*sql.DB, error) { return nil, errors.New(oracleMissing) }

// oracleOut is a parameter that the server fills.
func oracleOut(into *string) any { return sql.Out{Dest: into} }
