// Command waybill is the integration hub and the tool that talks to a running one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/waybill-hub/waybill/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
