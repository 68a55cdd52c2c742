// Package cli holds the commands.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // the command's own answer is "no"
	exitUsage       = 2
	exitUnreachable = 3 // no hub answers
)

// exitError carries an exit code; a nil cause has been told to the user already.
type exitError struct {
	code  int
	cause error
}

func (e *exitError) Error() string {
	if e.cause == nil {
		return "failed"
	}
	return e.cause.Error()
}
func (e *exitError) Unwrap() error { return e.cause }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// env is what a command works with.
type env struct {
	out, err io.Writer // what they are given is shown as plain text
	raw      io.Writer // out as it is, for JSON
	rawErr   io.Writer // err as it is, for a line that is written over
	output   string    // text or json
	url      string
	token    string
	ca       string
}

// Main runs one command line and gives the process's exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	e := &env{out: plainWriter{stdout}, raw: stdout, err: plainWriter{stderr}, rawErr: stderr}
	root := newRoot(e)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var x *exitError
	if errors.As(err, &x) {
		if x.cause != nil {
			fmt.Fprintln(e.err, "waybill:", x.cause)
		}
		return x.code
	}
	// What cobra refuses is a usage error; what a command fails with has been wrapped by failed.
	fmt.Fprintln(e.err, "waybill:", err)
	fmt.Fprintln(e.err, "Run 'waybill --help' for usage.")
	return exitUsage
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:           "waybill",
		Short:         "Integration hub: flows between CRM, ERP and supply-chain systems over Kafka",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if show, _ := c.Flags().GetBool("version"); show {
				return do(func(*cobra.Command, []string) error { return e.showVersion() })(c, nil)
			}
			_ = c.Help()
			return &exitError{exitUsage, nil}
		},
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if e.output != "text" && e.output != "json" {
				return usage("--output %q: write text or json", e.output)
			}
			if u, err := url.Parse(e.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return usage("--url %q: write for example http://127.0.0.1:8080", e.url)
			}
			return nil
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&e.output, "output", "text", "what answers look like: text or json")
	f.StringVar(&e.url, "url", envOr("WAYBILL_URL", "http://127.0.0.1:8080"), "address of the running hub (or WAYBILL_URL)")
	f.StringVar(&e.token, "token", os.Getenv("WAYBILL_TOKEN"), "bearer token for the running hub (or WAYBILL_TOKEN)")
	f.StringVar(&e.ca, "ca", os.Getenv("WAYBILL_CA"), "PEM file of the authority of the hub's certificate (or WAYBILL_CA), where this machine does not know it")
	root.Flags().Bool("version", false, "show the version")
	// The token's default must not be shown by --help.
	f.Lookup("token").DefValue = ""
	root.AddCommand(e.runCommand(), e.demoCommand(), e.checkCommand(), e.testCommand(), e.initCommand(), e.newCommand(), e.schemaCommand(), e.connectorCommand(), e.statusCommand(), e.healthCommand(), e.findCommand(), e.traceCommand(), e.xrefCommand(),
		e.parkedCommand(), e.pauseCommand(), e.resumeCommand(), e.rewindCommand(), e.sweepCommand(), e.filesCommand(), e.backfillCommand(), e.resendCommand(), e.reconcileCommand(), e.ruleCommand(), e.recoverCommand(), e.alertsCommand(), e.backupCommand(), e.restoreCommand(), e.restoredCommand(), e.reloadCommand(), e.linkCommand(), e.auditCommand(), e.passwordCommand(), e.sandboxCommand(), e.benchCommand(), e.versionCommand())
	root.AddCommand(e.buildCommands()...)
	root.SetHelpCommand(helpCommand(root))
	return root
}

// noSuchCommand refuses a word that is none of c's commands, and names the nearest ones.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return usage("there is no command %q under %s%s; `%s --help` lists them", args[0], c.CommandPath(), hint, c.CommandPath())
}

// needs is for commands that take one argument.
func needs(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0, strings.TrimSpace(args[0]) == "":
			return usage("%s: give %s", c.CommandPath(), what)
		case len(args) > 1:
			return usage("%s takes one argument, and %d are given", c.CommandPath(), len(args))
		}
		return nil
	}
}

// helpCommand is cobra's, but for topics that do not exist.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND]", Short: "Help about any command", RunE: func(_ *cobra.Command, args []string) error {
		c, rest, err := root.Find(args)
		if err != nil || c == root && len(args) > 0 {
			return noSuchCommand(root, args)
		}
		if len(rest) > 0 {
			return noSuchCommand(c, rest)
		}
		return c.Help()
	}}
}

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

// do wraps a command's work, so that its own errors exit with 1 and only wrong usage with 2.
func do(run func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := empty(c, args)
		if err == nil {
			err = run(c, args)
		}
		var x *exitError
		if err == nil || errors.As(err, &x) {
			return err
		}
		return &exitError{exitFailed, err}
	}
}

// mayBeEmpty are flags of which an empty value says something, or that an environment gives.
var mayBeEmpty = []string{"token", "url", "ca", "note"}

// empty refuses an argument or a flag with nothing in it. A script whose variable is not set would ask for everything: --key "" for all objects,
// --flow "" for the messages of all flows.
func empty(c *cobra.Command, args []string) (err error) {
	if c.DisableFlagParsing {
		return nil
	}
	if slices.ContainsFunc(args, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return usage("%s: an argument is empty: say what is meant, or leave it out", c.CommandPath())
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && strings.TrimSpace(f.Value.String()) == "" && !slices.Contains(mayBeEmpty, f.Name) {
			err = usage("%s: --%s is empty: say what is meant, or leave it out", c.CommandPath(), f.Name)
		}
	})
	return err
}

func (e *env) json(v any) error {
	enc := json.NewEncoder(e.raw)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
