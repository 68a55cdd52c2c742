//go:build !failpoints

package cli

import "github.com/spf13/cobra"

// buildCommands are the commands that only this kind of build has: none.
func (e *env) buildCommands() []*cobra.Command { return nil }
