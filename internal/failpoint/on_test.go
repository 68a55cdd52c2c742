//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the process that TestKill ends.
func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		for range 3 {
			Hit(WebhookStored)
			_, _ = os.Stdout.WriteString("hit\n")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(points string) (stdout, stderr string, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FAILPOINT_CHILD=1", Variable+"="+points)
	var out, serr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &serr
	err = cmd.Run()
	return out.String(), serr.String(), err
}

func TestKill(t *testing.T) {
	for points, hits := range map[string]int{"": 3, "intake.webhook-stored=kill": 0, "intake.webhook-stored=kill@3": 2, "intake.webhook-stored=kill@4": 3} {
		out, serr, err := child(points)
		if got := strings.Count(out, "hit"); got != hits {
			t.Errorf("%q: %d hits, want %d", points, got, hits)
		}
		var exit *exec.ExitError
		if killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; killed != (hits < 3) {
			t.Errorf("%q: ended with %v", points, err)
		}
		if hits < 3 && !strings.Contains(serr, "failpoint intake.webhook-stored: killed at hit") {
			t.Errorf("%q: says %q", points, serr)
		}
	}
}

func TestWrongSettingsEndTheProcess(t *testing.T) {
	for points, want := range map[string]string{
		"nonsense":                                     "write name=kill",
		"intake.webhook-stored":                        "write name=kill",
		"intake.webhook-stored=explode":                "write name=kill",
		"no.such=kill":                                 `there is no failpoint "no.such"`,
		"intake.webhook-stored=kill@0":                 "counted from 1",
		"intake.webhook-stored=kill(x)":                "takes no argument",
		"intake.webhook-stored=error(x)":               "no error can be given",
		"intake.webhook-stored=enospc":                 "no error can be given",
		"store.tx-applied=error":                       "needs a text",
		"store.tx-applied=sleep(soon)":                 "needs a duration",
		"store.tx-applied=kill; store.tx-applied=kill": "set twice",
	} {
		out, serr, err := child(points)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || out != "" || !strings.Contains(serr, "WAYBILL_FAILPOINTS: ") || !strings.Contains(serr, want) {
			t.Errorf("%q: %v, %q, want exit code 2 and %q", points, err, serr, want)
		}
	}
}

func TestActions(t *testing.T) {
	var err error
	if set, err = parse("store.tx-applied=error(disk on fire)@2; bus.produce-begun=enospc ;file.temp-written=sleep(30ms)"); err != nil {
		t.Fatal(err)
	}
	defer func() { set = nil }()
	for i, want := range []string{"", "failpoint store.tx-applied: disk on fire", ""} {
		got := ""
		if err := Fail(StoreApplied); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("hit %d gives %q, want %q", i+1, got, want)
		}
	}
	for range 2 {
		if err := Fail(Produce); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v, want ENOSPC at every hit", err)
		}
	}
	began := time.Now()
	if err := Fail(FileWritten); err != nil || time.Since(began) < 30*time.Millisecond {
		t.Errorf("slept %v: %v", time.Since(began), err)
	}
	if Fail(SQLWritten) != nil {
		t.Error("a place that is not set does something")
	}
}
