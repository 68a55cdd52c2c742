package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/flowtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func (e *env) testCommand() *cobra.Command {
	var run string
	var update, builtIn bool
	c := &cobra.Command{Use: "test [PATH...]",
		Short: "Run the *_test.yaml beside flows and mappings; PATH is a project's directory, a configuration file or a test file",
		RunE: do(func(c *cobra.Command, args []string) error {
			o := flowtest.Options{Update: update}
			if run != "" {
				re, err := regexp.Compile(run)
				if err != nil {
					return usage("--run: %w", err)
				}
				o.Run = re
			}
			targets, err := testTargets(args)
			if builtIn && len(args) == 0 {
				targets, err = []testTarget{{paths: shipped()}}, nil
			}
			if err != nil {
				return err
			}
			return e.test(c, targets, o)
		})}
	c.Flags().StringVar(&run, "run", "", "only the cases whose name, or TEST/NAME, matches this regular expression")
	c.Flags().BoolVar(&builtIn, "built-in", false, "run the tests of the flows inside the program, those of waybill demo")
	c.Flags().BoolVar(&update, "update", false, "write what came out into the files' want, where only that differs")
	return c
}

// testTarget is one project with the test files to run in it; nil: all.
type testTarget struct {
	paths config.Paths
	files []string
}

// testTargets turns the arguments of test into projects. Without any it is the project in the present directory: where there is none, nothing of
// the caller's would be tested, and a green answer would be a lie.
func testTargets(args []string) ([]testTarget, error) {
	if len(args) == 0 {
		if p, ok := projectAt("."); ok {
			return []testTarget{{paths: p}}, nil
		}
		return nil, usage("there is no project here, no configs/*.yaml, so that there is nothing to test: %s, or --built-in for the tests inside the program", noProject)
	}
	var out []testTarget
	for _, a := range args {
		info, err := os.Stat(a)
		switch {
		case err != nil:
			return nil, usage("%s: there is no such file or directory", a)
		case info.IsDir():
			p, ok := projectAt(a)
			if !ok {
				return nil, usage("%s holds no configs/*.yaml: give a project's directory, a configuration file or a test file; waybill init makes a project", a)
			}
			out = append(out, testTarget{paths: p})
		case flowtest.IsTest(a):
			p, ok := projectAbove(a)
			if !ok {
				return nil, usage("%s: no directory above it holds configs/*.yaml, flows/ and mappings/", a)
			}
			i := slices.IndexFunc(out, func(t testTarget) bool { return t.files != nil && t.paths.Config == p.Config })
			if i < 0 {
				i, out = len(out), append(out, testTarget{paths: p})
			}
			out[i].files = append(out[i].files, a)
		default:
			out = append(out, testTarget{paths: config.DefaultPaths(a)})
		}
	}
	return out, nil
}

// projectAt gives the paths of a project's directory. Of several configurations the tests need one: waybill.yaml, or else
// the first.
func projectAt(dir string) (config.Paths, bool) {
	p := config.RootPaths(dir)
	if _, err := os.Stat(p.Config); err == nil {
		return p, true
	}
	files, err := filepath.Glob(filepath.Join(dir, "configs", "*.yaml"))
	if err != nil || len(files) == 0 {
		return p, false
	}
	p.Config = files[0]
	return p, true
}

// projectAbove looks for the project that a test file belongs to.
func projectAbove(file string) (config.Paths, bool) {
	dir := filepath.Dir(file)
	for range 64 {
		if p, ok := projectAt(dir); ok {
			return p, true
		}
		abs, err := filepath.Abs(dir)
		if err != nil || filepath.Dir(abs) == abs {
			break
		}
		dir = filepath.Join(dir, "..")
	}
	return config.Paths{}, false
}

func (e *env) test(c *cobra.Command, targets []testTarget, o flowtest.Options) error {
	total := &flowtest.Report{Problems: &strictyaml.Problems{}}
	if e.output == "text" {
		o.Each = func(r flowtest.Result) { fmt.Fprint(e.out, flowtest.FormatResult(&r)) }
	}
	for _, t := range targets {
		if o.Update && t.paths.ConfigFS != nil {
			return usage("--update: the tests inside the program cannot be changed; give a project's directory or a test file")
		}
		kinds, err := registry()
		if err != nil {
			return err
		}
		plan, problems := config.Load(t.paths, planOptions(kinds, unset{strictyaml.OS(t.paths.Dir), map[string]bool{}}, nil))
		if problems.Len() > 0 {
			fmt.Fprint(e.err, config.FormatText(problems))
			return &exitError{exitFailed, fmt.Errorf("the files have problems; no test was run")}
		}
		files, err := testFiles(t)
		if err != nil {
			return err
		}
		rep, err := flowtest.Run(c.Context(), plan, files, o)
		if err != nil {
			return err
		}
		total.Add(rep)
	}
	none := o.Run != nil && total.OK() && len(total.Results) == 0
	if e.output == "json" {
		fmt.Fprint(e.out, flowtest.FormatJSON(total))
	} else if !none {
		fmt.Fprint(e.out, flowtest.FormatEnd(total))
	}
	switch {
	case !total.OK():
		return &exitError{exitFailed, nil}
	case none:
		return fmt.Errorf("--run %s: no case has such a name", o.Run)
	}
	return nil
}

func testFiles(t testTarget) ([]flowtest.File, error) {
	if t.files == nil {
		return flowtest.Find(t.paths)
	}
	var out []flowtest.File
	for _, name := range t.files {
		f, err := flowtest.Open(name)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
