package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/configs"
	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/flows"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/mappings"
	"github.com/waybill-hub/waybill/schemas"
)

// registry holds every connector kind.
func registry() (*connector.Registry, error) { return connector.NewRegistry(connectors.All()...) }

// load reads a plan; every problem is shown, and then the command fails. Notes are logged.
func (e *env) load(paths config.Paths, r strictyaml.Resolver, log *slog.Logger) (*config.Plan, *connector.Registry, error) {
	kinds, err := registry()
	if err != nil {
		return nil, nil, err
	}
	plan, problems := config.Load(paths, planOptions(kinds, r, log))
	if problems.Len() > 0 {
		fmt.Fprint(e.err, config.FormatText(problems))
		return nil, nil, &exitError{exitFailed, errors.New("the files have problems; nothing was started")}
	}
	remark(paths, plan, problems)
	for _, note := range problems.Notes() {
		log.Warn(note.String())
	}
	return plan, kinds, nil
}

func planOptions(kinds *connector.Registry, r strictyaml.Resolver, log *slog.Logger) config.Options {
	return config.Options{Kinds: kinds.Map(), Resolver: r, Cron: checkCron, Log: log}
}

func checkCron(line, zone string) error {
	_, err := schedule.Parse(line, zone)
	return err
}

// shipped are the files inside the program.
func shipped() config.Paths {
	return config.EmbeddedPaths(configs.FS, flows.FS, mappings.FS, schemas.FS)
}

// unset answers for what is not set on this machine, so that files can be checked where the secrets are not.
type unset struct {
	strictyaml.Resolver
	names map[string]bool
}

func (u unset) Env(name string) (string, bool) {
	if v, ok := u.Resolver.Env(name); ok && v != "" {
		return v, true
	}
	u.names["env:"+name] = true
	if strings.Contains(name, "URL") {
		return "http://127.0.0.1:9", true
	}
	return "placeholder", true
}

func (u unset) File(path string) ([]byte, error) {
	if b, err := u.Resolver.File(path); err == nil && len(b) > 0 {
		return b, nil
	}
	u.names["file:"+path] = true
	return []byte("placeholder"), nil
}

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
			return nil, usage("%s holds no configs/*.yaml: give a configuration file or the directory of a project", a)
		}
	}
	return out, nil
}

func (e *env) checkCommand() *cobra.Command {
	var format string
	var strict bool
	c := &cobra.Command{Use: "check [PATH...]", Short: "Validate every file and show all problems; PATH is a configuration file or a project's directory",
		RunE: do(func(_ *cobra.Command, args []string) error {
			if e.output == "json" && format == "text" {
				format = "json"
			}
			show := map[string]func(*strictyaml.Problems) string{"text": config.FormatText, "json": config.FormatJSON, "github": config.FormatGitHub}[format]
			if show == nil {
				return usage("--format %q: write text, json or github", format)
			}
			all, err := checkPaths(args)
			if err != nil {
				return err
			}
			return e.check(all, format, show, strict)
		})}
	c.Flags().StringVar(&format, "format", "text", "text, json or github")
	c.Flags().BoolVar(&strict, "strict", false, "exit with 1 for notes too")
	return c
}

// remark notes what is no problem of a plan, and not what whoever wrote it will have wanted.
func remark(p config.Paths, plan *config.Plan, notes *strictyaml.Problems) {
	if len(plan.Flows) == 0 {
		notes.Note(strictyaml.Pos{File: p.Config}, "", "no flows were found: nothing would be moved")
	}
	for _, r := range plan.Reconciliations {
		notes.Note(r.Pos, "", "reconciliation %s: this version checks it and does not carry it out", r.Name)
	}
}

func (e *env) check(all []config.Paths, format string, show func(*strictyaml.Problems) string, strict bool) error {
	kinds, err := registry()
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	problems := &strictyaml.Problems{}
	flows := 0
	for _, p := range all {
		plan, found := config.Load(p, config.Options{Kinds: kinds.Map(), Resolver: unset{strictyaml.OS(p.Dir), missing}, Cron: checkCron})
		problems.Append(found)
		if plan != nil {
			flows = max(flows, len(plan.Flows))
			remark(p, plan, problems)
		}
	}
	fmt.Fprint(e.out, show(problems))
	if problems.Len() > 0 {
		return &exitError{exitFailed, nil}
	}
	if format == "text" {
		fmt.Fprintf(e.out, "no problems: %d flows\n", flows)
		if len(missing) > 0 {
			fmt.Fprintf(e.out, "not set here, and checked with placeholders: %s\n", strings.Join(sorted(missing), ", "))
		}
	}
	if strict && len(problems.Notes()) > 0 {
		return &exitError{exitFailed, nil}
	}
	return nil
}
