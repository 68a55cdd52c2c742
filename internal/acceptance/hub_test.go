// Package acceptance drives the built command as its users do: the demo, a hub that is killed, bad input, the tutorial.
package acceptance

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/configs"
	"github.com/waybill-hub/waybill/flows"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/mariatest"
	"github.com/waybill-hub/waybill/internal/porttest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/systemtest"
	"github.com/waybill-hub/waybill/mappings"
	"github.com/waybill-hub/waybill/schemas"
)

// binary is the built command.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "waybill-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "waybill")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/waybill")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	code := mariatest.Main(func() int { return pgtest.Main(m) })
	if err := systemtest.StopOpenSSH(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// waybill runs the command to its end and gives its output and exit code.
func waybill(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return waybillWith(t, dir, nil, args...)
}

// waybillWith does so under an environment with more in it, each as NAME=VALUE.
func waybillWith(t *testing.T, dir string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "SCANNER_SECRET="+hookSecret), env...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var x *exec.ExitError
	if err != nil && !errors.As(err, &x) {
		t.Fatalf("waybill %v: %v", args, err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := porttest.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// project is a directory with the shipped files and a configuration of its own.
type project struct {
	dir   string
	http  string
	hooks string
	level string // of the hub's log; empty: warn
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), http: freePort(t), hooks: freePort(t)}
	for name, content := range map[string]fs.FS{"flows": flows.FS, "mappings": mappings.FS, "schemas": schemas.FS} {
		if err := os.CopyFS(filepath.Join(p.dir, name), content); err != nil {
			t.Fatal(err)
		}
	}
	shipped, err := configs.FS.ReadFile("waybill.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(shipped)
	for old, now := range map[string]string{"127.0.0.1:8080": p.http, "127.0.0.1:8081": p.hooks,
		"data/broker": filepath.Join(p.dir, "data", "broker"), "data/waybill.db": filepath.Join(p.dir, "data", "waybill.db")} {
		if !strings.Contains(text, old) {
			t.Fatalf("the shipped configuration does not say %s any more", old)
		}
		text = strings.ReplaceAll(text, old, now)
	}
	p.write(t, "configs/waybill.yaml", text)
	return p
}

// onKafka moves the project to an Apache Kafka and a PostgreSQL. Its flows and topics get names of their own: on the topics and under
// the groups of another test lies what this one's new store knows nothing of. It gives the topics.
func (p *project) onKafka(t *testing.T, broker string) (topics []string) {
	t.Helper()
	suffix := "-" + strings.ToLower(rand.Text()[:8])
	files, err := filepath.Glob(p.path("flows/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.yaml") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`(?m)^flow: (\S+)|\{topic: ([^,}]+)|\b(through|by): ([a-z][a-z0-9-]*)`).ReplaceAllStringFunc(string(data), func(s string) string {
			if flow, ok := strings.CutPrefix(s, "flow: "); ok {
				seen["in."+flow+suffix] = true
			} else if topic, ok := strings.CutPrefix(s, "{topic: "); ok {
				seen[topic+suffix] = true
			} // else a reconciliation names a flow
			return s + suffix
		})
		if err := os.WriteFile(file, []byte(named), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(p.path("configs/waybill.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for old, now := range map[string]string{
		"  embedded: {dir: " + filepath.Join(p.dir, "data", "broker") + "}":    "  kafka: {brokers: [" + broker + "], replication: 1}",
		"  sqlite: {path: " + filepath.Join(p.dir, "data", "waybill.db") + "}": `  postgres: {url: "${env:WAYBILL_TEST_STORE}"}`} {
		if !strings.Contains(out, old) {
			t.Fatalf("the shipped configuration does not say %s any more", old)
		}
		out = strings.ReplaceAll(out, old, now)
	}
	p.write(t, "configs/waybill.yaml", out)
	return slices.Sorted(maps.Keys(seen))
}

func (p *project) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// hub is a running `waybill run`.
type hub struct {
	t    *testing.T
	p    *project
	env  []string
	cmd  *exec.Cmd
	done chan struct{}
	// polls are the flows that poll.
	polls []string

	mu  sync.Mutex
	log bytes.Buffer
}

func (h *hub) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(b)
}

func (h *hub) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// run starts the hub and waits until it is ready.
func (p *project) run(t *testing.T, env map[string]string) *hub {
	t.Helper()
	h := &hub{t: t, p: p, env: os.Environ()}
	for k, v := range env {
		h.env = append(h.env, k+"="+v)
	}
	h.start()
	t.Cleanup(func() {
		h.kill()
		if t.Failed() {
			t.Logf("the hub's log ends with:\n%s", tail(h.text(), 6000))
		}
	})
	return h
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func (h *hub) start() {
	h.t.Helper()
	h.cmd = exec.Command(binary, "run", "-c", h.p.path("configs/waybill.yaml"), "--log-level", cmp.Or(h.p.level, "warn"))
	h.cmd.Env, h.cmd.Stdout, h.cmd.Stderr, h.cmd.Dir = h.env, h, h, h.p.dir
	h.done = make(chan struct{})
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	cmd, done := h.cmd, h.done
	go func() { _ = cmd.Wait(); close(done) }()
	h.await("ready", 2*time.Minute, func() bool {
		resp, err := http.Get("http://" + h.p.http + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// kill ends the hub as a power cut would.
func (h *hub) kill() {
	_ = h.cmd.Process.Kill()
	<-h.done
}

// stop ends the hub in order and gives its exit code.
func (h *hub) stop() int {
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	<-h.done
	return h.cmd.ProcessState.ExitCode()
}

// await asks, at the pace of a person who looks again, until what holds; the hub's death ends it.
func (h *hub) await(what string, limit time.Duration, holds func() bool) {
	h.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			h.t.Fatalf("not within %s: %s", limit, what)
		case <-h.done:
			h.t.Fatalf("the hub has ended while we waited for: %s\n%s", what, tail(h.text(), 4000))
		case <-look.C:
		}
	}
}

func (h *hub) get(path string, into any) error {
	data, err := h.fetch(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func (h *hub) fetch(path string) ([]byte, error) {
	resp, err := http.Get("http://" + h.p.http + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	return data, err
}

// page is what stands at a path; the test ends where it cannot be had.
func (h *hub) page(path string) string {
	h.t.Helper()
	data, err := h.fetch(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func (h *hub) status() *api.Status {
	h.t.Helper()
	var st api.Status
	if err := h.get("/api/v1/status", &st); err != nil {
		h.t.Fatal(err)
	}
	return &st
}
