package needtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemsRun: the last line of `make test-systems` is what came of each system, with the reason of what was skipped. A double of Go says what tests say.
func TestSystemsRun(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		Missing(t, "bash is missing: install it")
	}
	for name, c := range map[string]struct {
		row, says, last string
		code            int
	}{
		"all tests":          {"promtool", "echo '--- PASS: TestPromtool (0.10s)'", "systems: promtool=ok", 0},
		"so many of so many": {"manifests", "echo '    manifests_test.go:75: manifests=17/18'; echo '--- PASS: TestManifests (0.10s)'", "systems: manifests=17/18", 0},
		"skipped": {"x12", "echo '    need.go:38: parsers: no npm'; echo '--- SKIP: TestX12Oracles (0.10s)'; echo PASS; echo 'parsers: no npm' >>\"$WAYBILL_TEST_SKIPPED\"",
			"systems: x12=skipped: parsers: no npm", 0},
		"skipped below a test": {"postgres", "echo '--- PASS: TestConformance (0.10s)'; echo '    --- SKIP: TestConformance/postgres (0.00s)'; echo 'PostgreSQL: no server' >>\"$WAYBILL_TEST_SKIPPED\"",
			"systems: postgres=skipped: PostgreSQL: no server", 0},
		"failed":      {"soap", "echo '--- FAIL: TestSOAP (0.10s)'; exit 1", "systems: soap=failed", 1},
		"no test":     {"soap", "echo 'testing: warning: no tests to run'; echo PASS", "systems: soap=failed (no test of this name)", 1},
		"ratios":      {"bulk", "printf 'BenchmarkTrytonCreates-2 \\t5\\t9 ns/op\\t 14.70 ratio\\n'", "systems: bulk=ok (TrytonCreates x14.70)", 0},
		"no such row": {"postgre", "exit 1", "there is no system postgre: there are odata_v4 odata_v2 postgres ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			double := filepath.Join(t.TempDir(), "go")
			if err := os.WriteFile(double, []byte("#!/usr/bin/env bash\n"+c.says+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bash, "../test/systems/run", c.row)
			cmd.Env = append(os.Environ(), "GO="+double, EnvSkipped+"="+filepath.Join(t.TempDir(), "whole run"))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if last := lines[len(lines)-1]; cmd.ProcessState.ExitCode() != c.code || (c.code != 2 && last != c.last) || !strings.HasPrefix(last, c.last) {
				t.Errorf("exit %d, want %d and %q:\n%s", cmd.ProcessState.ExitCode(), c.code, c.last, out)
			}
		})
	}
}
