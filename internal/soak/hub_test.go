package soak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
)

// hub is a process of the built command.
type hub struct {
	t     *testing.T
	w     *world
	name  string
	http  string
	hooks string
	file  string // its configuration
	env   []string
	cmd   *exec.Cmd
	done  chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

func (h *hub) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.log.Len() > 4<<20 {
		h.log.Next(2 << 20)
	}
	return h.log.Write(b)
}

// text is what the hub has logged.
func (h *hub) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// launch starts the process; env is added to its environment for this life, WAYBILL_FAILPOINTS among it.
func (h *hub) launch(env ...string) {
	h.t.Helper()
	h.cmd = exec.Command(binary, "run", "-c", h.file, "--log-level", "warn")
	h.cmd.Env, h.cmd.Stdout, h.cmd.Stderr, h.cmd.Dir = append(append(os.Environ(), h.env...), env...), h, h, filepath.Dir(h.file)
	h.done = make(chan struct{})
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	cmd, done := h.cmd, h.done
	go func() { _ = cmd.Wait(); close(done) }()
}

// start launches the hub and waits until it is ready; it gives the time that took.
func (h *hub) start(env ...string) time.Duration {
	h.t.Helper()
	began := time.Now()
	h.launch(env...)
	h.await("ready", 2*time.Minute, h.ready)
	return time.Since(began)
}

func (h *hub) ready() bool {
	resp, err := http.Get("http://" + h.http + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// alive reports whether the process runs.
func (h *hub) alive() bool {
	if h.done == nil {
		return false
	}
	select {
	case <-h.done:
		return false
	default:
		return true
	}
}

// kill ends the hub as a power cut would.
func (h *hub) kill() {
	if h.cmd != nil && h.cmd.Process != nil {
		_ = h.cmd.Process.Kill()
		<-h.done
	}
}

// dump ends the hub with what its goroutines were doing; the whole log, too long for a test's output, stays in a file.
func (h *hub) dump() {
	if !h.alive() {
		return
	}
	_ = h.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-h.done:
	case <-time.After(10 * time.Second):
		return
	}
	f, err := os.CreateTemp("", "waybill-"+h.name+"-*.log")
	if err != nil {
		h.t.Log(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(h.text()); err != nil {
		h.t.Log(err)
	}
	h.t.Logf("%s: its log and what its goroutines did are in %s", h.name, f.Name())
}

// stop ends the hub in order and gives its exit code.
func (h *hub) stop() int {
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.done:
	case <-time.After(90 * time.Second):
		h.t.Errorf("the hub did not stop within 90 s; its log ends with\n%s", tail(h.text(), 4000))
		h.kill()
	}
	return h.cmd.ProcessState.ExitCode()
}

// await asks again and again until what holds; the hub's death ends it.
func (h *hub) await(what string, limit time.Duration, holds func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			h.t.Fatalf("not within %s: %s\n%s", limit, what, tail(h.text(), 3000))
		case <-h.done:
			h.t.Fatalf("the hub has ended while we waited for: %s\n%s", what, tail(h.text(), 4000))
		case <-look.C:
		}
	}
}

func (h *hub) get(path string, into any) error {
	resp, err := http.Get("http://" + h.http + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	return json.Unmarshal(data, into)
}

// command runs another command of the binary against this hub and gives its output and exit code.
func (h *hub) command(args ...string) (string, int) {
	h.t.Helper()
	cmd := exec.Command(binary, append(args, "--url", "http://"+h.http)...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// status is the hub's own account; nil while it does not answer.
func (h *hub) status() *api.Status {
	var st api.Status
	if err := h.get("/api/v1/status", &st); err != nil {
		return nil
	}
	return &st
}
