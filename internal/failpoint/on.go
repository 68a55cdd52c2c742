//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled reports whether this build has failpoints.
const Enabled = true

// set is read once: whoever sets points starts a process for them.
var set = mustParse(os.Getenv(Variable))

// action is what happens at a place.
type action struct {
	at   int64 // the hit it happens at; 0: every one
	hits atomic.Int64
	what string
	run  func(n Name, hit int64) error
}

// Hit is a place where nothing can fail: the process may end there, or wait.
func Hit(n Name) { _ = Fail(n) }

// Fail is a place where an error may be given.
func Fail(n Name) error {
	a := set[n]
	if a == nil {
		return nil
	}
	if hit := a.hits.Add(1); a.at == 0 || hit == a.at {
		if a.at != 0 { // what happens once is said: a test must know that it did
			_, _ = fmt.Fprintf(os.Stderr, "failpoint %s: %s at hit %d\n", n, a.what, hit)
		}
		return a.run(n, hit)
	}
	return nil
}

func mustParse(text string) map[Name]*action {
	out, err := parse(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "waybill: %s: %v\n", Variable, err)
		os.Exit(2)
	}
	return out
}

var form = regexp.MustCompile(`^([a-z.-]+)=(kill|enospc|sleep|error)(?:\((.*)\))?(?:@([0-9]+))?$`)

func parse(text string) (map[Name]*action, error) {
	out := map[Name]*action{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		m := form.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("%q: write name=kill, name=sleep(200ms), name=error(text) or name=enospc, with @n for the n-th hit only", part)
		}
		name := Name(m[1])
		if !slices.Contains(All(), name) {
			return nil, fmt.Errorf("there is no failpoint %q; `waybill failpoints` lists them", name)
		}
		if out[name] != nil {
			return nil, fmt.Errorf("%s is set twice", name)
		}
		a, err := actionOf(name, m[2], m[3])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		if a.what = m[2]; a.what == "enospc" {
			a.what = "error"
		}
		if m[4] != "" {
			if a.at, err = strconv.ParseInt(m[4], 10, 64); err != nil || a.at == 0 {
				return nil, fmt.Errorf("%q: hits are counted from 1", part)
			}
		}
		out[name] = a
	}
	return out, nil
}

func actionOf(name Name, what, arg string) (*action, error) {
	fails := func(err error) (*action, error) {
		if !name.Fails() {
			return nil, errors.New("no error can be given at this place: use kill or sleep")
		}
		return &action{run: func(Name, int64) error { return err }}, nil
	}
	switch what {
	case "kill":
		if arg != "" {
			return nil, errors.New("kill takes no argument")
		}
		return &action{run: kill}, nil
	case "enospc":
		if arg != "" {
			return nil, errors.New("enospc takes no argument")
		}
		return fails(fmt.Errorf("failpoint %s: %w", name, syscall.ENOSPC))
	case "error":
		if arg == "" {
			return nil, errors.New("error needs a text: error(text)")
		}
		return fails(fmt.Errorf("failpoint %s: %s", name, arg))
	}
	d, err := time.ParseDuration(arg)
	if err != nil || d <= 0 {
		return nil, errors.New("sleep needs a duration: sleep(200ms)")
	}
	return &action{run: func(Name, int64) error { time.Sleep(d); return nil }}, nil
}

// kill ends the process as kill -9 does: nothing is flushed, nothing is closed. It does not return.
func kill(n Name, hit int64) error {
	_, _ = fmt.Fprintf(os.Stderr, "failpoint %s: killed at hit %d\n", n, hit)
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // the signal is on its way
}
