package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/connectors/manifests"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/recording"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func (e *env) connectorCommand() *cobra.Command {
	c := &cobra.Command{Use: "connector", Short: "Kinds of systems and manifests of vendors, and recordings of what was exchanged with their systems", Args: cobra.NoArgs,
		RunE: do(func(c *cobra.Command, _ []string) error { return c.Help() })}
	c.AddCommand(e.connectorListCommand(), e.recordCommand(), e.replayCommand())
	return c
}

// manifestsOf gives the manifests of the program and of the project around a file or directory.
func manifestsOf(dir string) (*manifest.Set, error) {
	files, err := manifest.Files(manifests.FS, "connectors/manifests")
	if err != nil {
		return nil, err
	}
	for range 64 {
		p, found := projectAt(dir)
		if found {
			for _, s := range p.Manifests {
				own, err := manifest.Files(s.FS, s.Name)
				if err != nil {
					return nil, err
				}
				files = append(files, own...)
			}
			break
		}
		abs, err := filepath.Abs(dir)
		if err != nil || filepath.Dir(abs) == abs {
			break
		}
		dir = filepath.Join(dir, "..")
	}
	return manifest.New(files...), nil
}

func (e *env) world(dir string) (recording.World, error) {
	kinds, err := registry()
	if err != nil {
		return recording.World{}, err
	}
	set, err := manifestsOf(dir)
	return recording.World{Kinds: kinds.Map(), Manifests: set}, err
}

// known is a kind or a manifest as list shows it.
type known struct {
	Name   string `json:"name"`
	Kind   string `json:"kind,omitempty"`
	Title  string `json:"title"`
	Proven string `json:"proven,omitempty"`
}

func (e *env) connectorListCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List what a system's connector can be: kinds, and manifests with what they were proven on", Args: cobra.NoArgs,
		RunE: do(func(*cobra.Command, []string) error {
			w, err := e.world(".")
			if err != nil {
				return err
			}
			var p strictyaml.Problems
			var all []known
			for _, kind := range w.Kinds {
				all = append(all, known{Name: kind.Spec().Kind, Title: kind.Spec().Summary})
			}
			for _, name := range w.Manifests.Names() {
				if m := w.Manifests.Get(name, strictyaml.OS("."), &p); m != nil {
					all = append(all, known{Name: name, Kind: m.Connector, Title: m.Title, Proven: m.Proof.On})
				}
			}
			if err := p.Err(); err != nil {
				return err
			}
			slices.SortFunc(all, func(a, b known) int { return slices.Compare([]string{a.Kind, a.Name}, []string{b.Kind, b.Name}) })
			if e.output == "json" {
				return e.json(all)
			}
			rows := [][]string{{"NAME", "WHAT", "ON", "PROVEN ON", "TITLE"}}
			for _, k := range all {
				what := "manifest"
				if k.Kind == "" {
					what = "kind"
				}
				rows = append(rows, []string{k.Name, what, k.Kind, k.Proven, k.Title})
			}
			return e.columns(rows)
		})}
}

func (e *env) recordCommand() *cobra.Command {
	var configFile, system string
	c := &cobra.Command{Use: "record FILE... --system NAME", Short: "Make a recording's steps on a real system of the configuration, and write what was exchanged into the file; the system is written to",
		Long: `Record makes the steps of a recording on a system of the configuration, which must be a test system: steps that create, update and delete do so. What was asked
and answered, and what the connector made of it, is written into the file in place of what it held. Secrets, tokens, the system's address and personal data are
replaced; look at the file before you commit it (docs/manifests.md).`,
		Args: cobra.MinimumNArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			if system == "" {
				return usage("%s: give --system, the name of a system in %s", c.CommandPath(), configFile)
			}
			paths := config.DefaultPaths(configFile)
			plan, _, err := e.load(paths, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			s := plan.Systems[system]
			if s == nil {
				return usage("%s has no system %q", configFile, system)
			}
			return e.eachRecording(args, func(w recording.World, r *recording.Recording) error {
				if err := w.Record(c.Context(), r, w.Kinds[s.Kind], s.Settings); err != nil {
					return err
				}
				return writeRecording(r)
			})
		})}
	c.Flags().StringVarP(&configFile, "config", "c", "configs/waybill.yaml", "the configuration")
	c.Flags().StringVar(&system, "system", "", "the system to record")
	return c
}

func (e *env) replayCommand() *cobra.Command {
	var update bool
	c := &cobra.Command{Use: "replay FILE...", Short: "Play recordings through the real connector, against a server that answers to what was recorded and to nothing else",
		Args: cobra.MinimumNArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			failed := 0
			err := e.eachRecording(args, func(w recording.World, r *recording.Recording) error {
				troubles, err := w.Replay(c.Context(), r, update)
				if err != nil {
					return err
				}
				for _, t := range troubles {
					fmt.Fprintf(e.err, "%s: %s\n", r.File(), t)
				}
				if len(troubles) > 0 {
					failed++
					return nil
				}
				if update {
					return writeRecording(r)
				}
				_, err = fmt.Fprintf(e.out, "%s: ok, %d steps\n", r.File(), len(r.Steps))
				return err
			})
			if err == nil && failed > 0 {
				return &exitError{exitFailed, nil}
			}
			return err
		})}
	c.Flags().BoolVar(&update, "update", false, "take the recorded answers in their order, and write what the connector asked and made of them; for stand-ins whose answers were written by hand")
	return c
}

// eachRecording reads recordings and does something with each.
func (e *env) eachRecording(files []string, what func(recording.World, *recording.Recording) error) error {
	for _, file := range files {
		w, err := e.world(filepath.Dir(file))
		if err != nil {
			return err
		}
		var p strictyaml.Problems
		r := recording.Open(file, &p)
		if r == nil {
			fmt.Fprint(e.err, config.FormatText(&p))
			return &exitError{exitFailed, errors.New("the recording has problems")}
		}
		if err := what(w, r); err != nil {
			return err
		}
	}
	return nil
}

func writeRecording(r *recording.Recording) error {
	for _, f := range r.Write() {
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil { //nolint:gosec // a file for others to read: it holds no secret
			return err
		}
	}
	return nil
}
