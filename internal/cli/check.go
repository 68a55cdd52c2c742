package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/app"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connect"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// noProject is what to do where a project is needed and none is found.
const noProject = "give a configuration file or the directory of a project; waybill init makes one"

// checkPaths turns the arguments of check into what to load: a configuration file, a directory that holds a project, or
// nothing for the present directory.
func checkPaths(args []string) ([]config.Paths, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var out []config.Paths
	for _, a := range args {
		info, err := os.Stat(a)
		if err != nil {
			return nil, usage("%s: %w", a, errors.Unwrap(err))
		}
		if !info.IsDir() {
			out = append(out, config.DefaultPaths(a))
			continue
		}
		found := false
		files, err := filepath.Glob(filepath.Join(a, "configs", "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			p := config.RootPaths(a)
			p.Config = f
			out, found = append(out, p), true
		}
		if !found {
			return nil, usage("%s holds no configs/*.yaml: %s", a, noProject)
		}
	}
	return out, nil
}

// checking is one run of `waybill check`.
type checking struct {
	*env
	format    string
	strict    bool
	elsewhere bool
	connect   bool
	keep      bool
	timeout   time.Duration
	show      func(*strictyaml.Problems) string
	kinds     *connector.Registry
	// absent are the references that are not set here, of which there are placeholders.
	absent map[string]bool
}

func (e *env) checkCommand() *cobra.Command {
	k := checking{env: e, absent: map[string]bool{}}
	c := &cobra.Command{Use: "check [PATH...]", Short: "Validate every file and show all problems; PATH is a configuration file or a project's directory",
		Long: checkHelp,
		RunE: do(func(c *cobra.Command, args []string) error {
			if e.output == "json" && k.format == "text" {
				k.format = "json"
			}
			k.show = map[string]func(*strictyaml.Problems) string{"text": config.FormatText, "json": config.FormatJSON, "github": config.FormatGitHub}[k.format]
			if k.show == nil {
				return usage("--format %q: write text, json or github", k.format)
			}
			if k.timeout <= 0 {
				return usage("--connect-timeout: give a time above 0, for example 15s")
			}
			if k.keep && !k.connect {
				return usage("--keep: it keeps what systems say of their fields, and needs --connect")
			}
			all, err := checkPaths(args)
			if err != nil {
				return err
			}
			if k.kinds, err = registry(); err != nil {
				return err
			}
			return k.run(c.Context(), all)
		})}
	c.Flags().StringVar(&k.format, "format", "text", "text, json or github")
	c.Flags().BoolVar(&k.strict, "strict", false, "exit with 1 for notes too")
	c.Flags().BoolVar(&k.elsewhere, "elsewhere", false, "the files are for another machine: folders, certificates and addresses that this one lacks are notes")
	c.Flags().BoolVar(&k.connect, "connect", false, "also open each system, read one record of each object and compare it with the schemas; nothing is written")
	c.Flags().BoolVar(&k.keep, "keep", false, "with --connect: keep what systems say of their fields in metadata/SYSTEM.yaml beside the configuration, for check to compare with when it makes no connection")
	c.Flags().DurationVar(&k.timeout, "connect-timeout", 15*time.Second, "how long one system may take to answer all that --connect asks")
	return c
}

const checkHelp = `Validate every file and show all problems; PATH is a configuration file or a project's directory.

What "waybill run" would refuse is a problem, and the exit code is 1. What works and may not be meant is a note; --strict exits with 1 for
notes too. References ${env:...} and ${file:...} that are not set here are named, and what depends on them is not checked.

With --connect each system is opened and asked, one after the other, and one record of each object is read. Its fields, and what a database says
of its columns, are compared with the settings, schemas and mappings. Only reading calls are made: GET requests, read-only transactions, files
that stay where they are. (A client-credentials login asks its token address.)

With --keep as well, what databases and other systems say of their fields (names, types, lengths, what must be given) is kept in the project, in
metadata/SYSTEM.yaml beside the configuration. From then on check compares settings and mappings with it without a connection, and --connect
says what has changed since. Records, and what they hold, are not kept.`

func (k *checking) run(ctx context.Context, all []config.Paths) error {
	problems := &strictyaml.Problems{}
	flows := 0
	var paths []string
	for _, p := range all {
		o := planOptions(k.kinds, unset{strictyaml.OS(p.Dir), k.absent}, nil)
		o.Advise = true
		plan, found := config.Load(p, o)
		problems.Append(found)
		if plan == nil {
			continue
		}
		flows = max(flows, len(plan.Flows))
		paths = append(paths, k.comparisons(plan)...)
		remark(p, plan, problems)
		app.Check(ctx, plan, app.CheckOptions{Kinds: k.kinds, Elsewhere: k.elsewhere}, problems)
		if k.connect {
			connect.Check(ctx, plan, connect.Options{Kinds: k.kinds, Timeout: k.timeout, Keep: k.keep, Begin: k.begin, End: k.end}, problems)
		} else {
			connect.Kept(plan, k.kinds, problems)
		}
	}
	fmt.Fprint(k.out, k.show(problems))
	if k.format == "text" {
		if problems.Len() == 0 {
			fmt.Fprintf(k.out, "no problems: %d flows\n", flows)
			for _, path := range paths {
				fmt.Fprintln(k.out, path)
			}
		}
		if len(k.absent) > 0 {
			fmt.Fprintf(k.out, "not set here, so that what they hold is not checked: %s\n", strings.Join(sorted(k.absent), ", "))
		}
	}
	if problems.Len() > 0 || k.strict && len(problems.Notes()) > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}

// comparisons says of each reconciliation how it compares.
func (k *checking) comparisons(plan *config.Plan) (out []string) {
	for _, r := range plan.Reconciliations {
		path, why := reconcile.Path(r, plan, func(kind string) connector.Kind {
			c, _ := k.kinds.Get(kind)
			return c
		})
		out = append(out, fmt.Sprintf("reconciliation %s: %s, %s", r.Name, path, why))
	}
	return out
}

// progress is where the systems are told of while they are asked: apart from the answer where a program reads that.
func (k *checking) progress() io.Writer {
	if k.format == "text" {
		return k.out
	}
	return k.err
}

func (k *checking) begin(s *config.System) {
	fmt.Fprintf(k.progress(), "%s (%s): ", s.Name, s.ConnectorName())
}

func (k *checking) end(_ *config.System, r connect.Result) {
	kept := ""
	switch {
	case r.Kept != "":
		kept = "; kept in " + r.Kept
	case r.Removed != "":
		kept = "; it says nothing of its fields, and " + r.Removed + " is removed"
	}
	switch {
	case r.Skipped != "":
		fmt.Fprintln(k.progress(), "not asked: "+r.Skipped)
	case r.Problems > 0:
		fmt.Fprintf(k.progress(), "problems: %d, after %s%s\n", r.Problems, r.Took.Round(time.Millisecond), kept)
	default:
		fmt.Fprintf(k.progress(), "ok; objects: %d, records read: %d, in %s%s\n", r.Objects, r.Read, r.Took.Round(time.Millisecond), kept)
	}
}
