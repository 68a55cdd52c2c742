package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/sandbox"
)

func (e *env) sandboxCommand() *cobra.Command {
	return &cobra.Command{Use: "sandbox crm|erp|wms|all [flags]", Short: "Run the sandbox systems as processes of their own",
		DisableFlagParsing: true, RunE: do(func(c *cobra.Command, args []string) error {
			err := sandbox.Main(c.Context(), args, e.out)
			if errors.Is(err, sandbox.ErrUsage) {
				return &exitError{exitUsage, err}
			}
			return err
		})}
}
