package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// forgetCommand has a rule forget what it remembers of an object.
func (e *env) forgetCommand() *cobra.Command {
	var q api.ForgetRequest
	c := &cobra.Command{Use: "forget NAME OBJECT", Short: "Agree to a change that a rule tells of: what it remembers of the object is forgotten",
		Long: `Forget is for rules that compare an object with what they remember of it (remember, previous). OBJECT is its id in its system, as
violations name it. The next run sees the object for the first time. See docs/rules.md.`,
		RunE: do(func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("%s: name the rule and the object's id in its system", c.CommandPath())
			}
			q.Object = args[1]
			var done api.Forgotten
			if err := e.ask(c.Context(), http.MethodPost, "/api/v1/rules/"+url.PathEscape(args[0])+"/forget", q, &done); err != nil {
				return err
			}
			if e.output == "json" {
				return e.json(done)
			}
			_, err := fmt.Fprintf(e.out, "%s remembers nothing of %s any more\n", done.Rule, done.Object)
			return err
		})}
	c.Flags().StringVar(&q.Note, "note", "", "why; it is kept with who asked")
	return c
}
