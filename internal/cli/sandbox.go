package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/sandbox"
)

func (e *env) sandboxCommand() *cobra.Command {
	return &cobra.Command{Use: "sandbox crm|erp|wms|all|env|liar [flags]", Short: "Run the sandbox systems as processes of their own",
		DisableFlagParsing: true, RunE: do(func(c *cobra.Command, args []string) error {
			// The flags are the sandbox's own.
			if len(args) > 0 && slices.Contains([]string{"-h", "--help", "help"}, args[0]) {
				fmt.Fprintf(e.out, "%s\n\nUsage:\n  waybill %s\n\n", c.Short, c.Use)
				args = []string{"all", "--help"}
			}
			err := sandbox.Main(c.Context(), args, e.out)
			if errors.Is(err, sandbox.ErrUsage) {
				return &exitError{exitUsage, err}
			}
			return err
		})}
}
