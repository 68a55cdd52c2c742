//go:build failpoints

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// buildCommands are the commands that only this kind of build has.
func (e *env) buildCommands() []*cobra.Command {
	return []*cobra.Command{{Use: "failpoints", Short: "List the failpoints of this build", Args: cobra.NoArgs, Hidden: true,
		RunE: do(func(*cobra.Command, []string) error {
			if e.output == "json" {
				return e.json(failpoint.All())
			}
			for _, n := range failpoint.All() {
				if _, err := fmt.Fprintln(e.out, n); err != nil {
					return err
				}
			}
			return nil
		})}}
}
