// Package needtest says what becomes of a test that cannot have what it needs: it is skipped and tells how to get it, or fails where
// everything is required, as in CI. A reason that lies in the machine skips it there, too, and is named at the end of the run.
package needtest

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// Variables that tests are run with.
const (
	// EnvRequire is "1" where nothing may be skipped because a component is missing that can be installed.
	EnvRequire = "WAYBILL_REQUIRE"
	// EnvKafka is the address of an Apache Kafka to test against.
	EnvKafka = "WAYBILL_TEST_KAFKA"
	// EnvSystems is set where tests are to start real systems.
	EnvSystems = "WAYBILL_TEST_SYSTEMS"
	// EnvSkipped names a file to which what was skipped is appended, a line each: the output of a test that passes is not shown.
	EnvSkipped = "WAYBILL_TEST_SKIPPED"
)

// Missing ends a test that cannot have what it needs. It says what is missing, and how it is had.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(EnvRequire) == "1" {
		t.Fatalf("required: "+format, args...)
	}
	say(t, fmt.Sprintf(format, args...)) // once for all tests that need it
	t.Skipf(format, args...)
}

// Skip ends a test for a reason that lies in the machine, also where everything is required.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	say(t, t.Name()+": "+fmt.Sprintf(format, args...))
	t.Skipf(format, args...)
}

// Systems ends a test that starts a real system where none are asked for; needs is what the machine must have for it.
func Systems(t testing.TB, needs string) {
	t.Helper()
	if os.Getenv(EnvSystems) == "" {
		Skip(t, "%s is not set: `make test-systems` runs it, and needs %s", EnvSystems, needs)
	}
}

// say has a line said at the end of the whole run.
func say(t testing.TB, line string) {
	t.Helper()
	path := os.Getenv(EnvSkipped)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatalf("%s: %v", EnvSkipped, err)
	}
	_, err = f.WriteString(line + "\n") // at once: many append
	if cerr := f.Close(); err != nil || cerr != nil {
		t.Fatalf("%s: %v", EnvSkipped, errors.Join(err, cerr))
	}
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
