// Package needtest says what becomes of a test that cannot have what it needs: it is skipped and tells how to get it, or fails where
// everything is required, as in CI.
package needtest

import (
	"os"
	"testing"
)

// Variables that tests are run with.
const (
	// EnvRequire is "1" where nothing may be skipped because it is missing.
	EnvRequire = "WAYBILL_REQUIRE"
	// EnvKafka is the address of an Apache Kafka to test against.
	EnvKafka = "WAYBILL_TEST_KAFKA"
)

// Missing ends a test that cannot have what it needs. It says what is missing, and how it is had.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(EnvRequire) == "1" {
		t.Fatalf("required: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Kafka is the address of the Apache Kafka to test against.
func Kafka(t testing.TB) string {
	t.Helper()
	addr := os.Getenv(EnvKafka)
	if addr == "" {
		Missing(t, "%s is not set: start one with internal/test/systems/kafka.sh and set it to the address printed", EnvKafka)
	}
	return addr
}
