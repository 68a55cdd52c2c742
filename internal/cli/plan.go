package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/waybill-hub/waybill/configs"
	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/connectors/manifests"
	"github.com/waybill-hub/waybill/flows"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/library"
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
	return config.Options{Kinds: kinds.Map(), Resolver: r, Cron: checkCron, Verify: intake.CheckVerify, Log: log, Manifests: manifests.FS, Library: library.Shipped()}
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
	return config.Placeholder(name), true
}

// Absent reports whether a reference was answered with a placeholder.
func (u unset) Absent(ref string) bool { return u.names[ref] }

func (u unset) File(path string) ([]byte, error) {
	if b, err := u.Resolver.File(path); err == nil && len(b) > 0 {
		return b, nil
	}
	u.names["file:"+path] = true
	return []byte(config.Placeholder(path)), nil
}

// remark notes what is no problem of a plan, and not what whoever wrote it will have wanted.
func remark(p config.Paths, plan *config.Plan, notes *strictyaml.Problems) {
	if len(plan.Flows) == 0 {
		notes.Note(strictyaml.Pos{File: p.Config}, "", "no flows were found: nothing would be moved")
	}
}
