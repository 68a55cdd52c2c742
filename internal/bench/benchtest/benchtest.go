// Package benchtest lets a test binary be the program that its benchmark starts. It is imported by tests only.
package benchtest

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/cli"
)

// Main ends the process with the code of run, or of the program where a benchmark has started it as one. A TestMain calls it.
func Main(run func() int) {
	if os.Getenv(bench.AsProgram) == "" {
		os.Exit(run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
