//go:build !linux

package disktest

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
)

const why = "disks are made small, full and read-only on Linux alone"

// Small skips the test: see disk_linux.go.
func Small(t testing.TB, _ int) string {
	needtest.Skip(t, why)
	return ""
}

// Fill is never reached.
func Fill(testing.TB, string) func() { return func() {} }

// Freeze skips the test.
func Freeze(t testing.TB, _ string) func() {
	needtest.Skip(t, why)
	return func() {}
}
