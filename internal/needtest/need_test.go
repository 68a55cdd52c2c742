package needtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// told remembers how a test was ended.
type told struct {
	testing.TB
	skipped, failed string
}

func (*told) Helper()                        {}
func (o *told) Skipf(f string, args ...any)  { o.skipped = fmt.Sprintf(f, args...); runtime.Goexit() }
func (o *told) Fatalf(f string, args ...any) { o.failed = fmt.Sprintf(f, args...); runtime.Goexit() }

func TestMissing(t *testing.T) {
	for required, fails := range map[string]bool{"": false, "0": false, "1": true} {
		t.Setenv(EnvRequire, required)
		t.Setenv(EnvKafka, "")
		path := filepath.Join(t.TempDir(), "skipped")
		t.Setenv(EnvSkipped, path)
		o := &told{TB: t}
		var ended sync.WaitGroup
		ended.Go(func() { t.Errorf("an address out of nowhere: %s", Kafka(o)) })
		ended.Wait()
		if fails != (o.failed != "") || fails == (o.skipped != "") || !strings.Contains(o.failed+o.skipped, "kafka.sh") {
			t.Errorf("%s=%q: %+v", EnvRequire, required, o)
		}
		if told, err := os.ReadFile(path); fails == (err == nil) || !fails && string(told) != o.skipped+"\n" {
			t.Errorf("%s=%q: the run is told %q (%v)", EnvRequire, required, told, err)
		}
	}
	path := filepath.Join(t.TempDir(), "skipped")
	t.Setenv(EnvSkipped, path)
	o := &told{TB: t}
	var ended sync.WaitGroup
	ended.Go(func() { Skip(o, "no %s here", "disk") })
	ended.Wait()
	if told, err := os.ReadFile(path); err != nil || string(told) != "TestMissing: no disk here\n" || o.skipped != "no disk here" {
		t.Errorf("the run is told %q (%v): %+v", told, err, o)
	}
	for _, asked := range []string{"", "1"} {
		t.Setenv(EnvSystems, asked)
		o := &told{TB: t}
		var ended sync.WaitGroup
		ended.Go(func() { Systems(o, "npm") })
		ended.Wait()
		if skips := strings.Contains(o.skipped, "`make test-systems` runs it, and needs npm"); skips != (asked == "") {
			t.Errorf("%s=%q: %+v", EnvSystems, asked, o)
		}
	}
	t.Setenv(EnvKafka, "127.0.0.1:9092")
	if addr := Kafka(t); addr != "127.0.0.1:9092" {
		t.Errorf("the address is %q", addr)
	}
}
