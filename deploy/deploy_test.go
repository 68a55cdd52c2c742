// Package deploy tests what the hub is deployed with: what can be parsed is parsed, held against the program, and looked at by the tools of its
// own trade where this machine has them.
package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/needtest"
)

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents reads all documents of a YAML file, strictly into v's type.
func documents[T any](t *testing.T, name string) (out []T) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text(t, name)))
	for {
		var one T
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, one)
	}
}

// secrets stand in for what is mounted.
type secrets struct{ asked map[string]bool }

func (s secrets) Env(name string) (string, bool) { return "kafka:9092", name == "WAYBILL_KAFKA" }
func (s secrets) File(path string) ([]byte, error) {
	if filepath.Dir(path) != "/run/secrets" {
		return nil, fs.ErrNotExist
	}
	s.asked[filepath.Base(path)] = true
	return []byte("0123456789abcdef-" + filepath.Base(path)), nil
}

// loadCompose loads the configuration of the examples, and names the secrets that it reads.
func loadCompose(t *testing.T) (*config.Plan, []string) {
	t.Helper()
	kinds := map[string]connector.Kind{}
	for _, k := range connectors.All() {
		kinds[k.Spec().Kind] = k
	}
	s := secrets{map[string]bool{}}
	plan, p := config.Load(config.DefaultPaths("compose/configs/waybill.yaml"), config.Options{Kinds: kinds, Resolver: s})
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range s.asked {
		names = append(names, name)
	}
	slices.Sort(names)
	return plan, names
}

type compose struct {
	Services map[string]struct {
		Image       string
		Build       struct{ Context, Dockerfile string }
		Command     []string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Ports       []string
		Secrets     []string
		Volumes     []string
		Environment map[string]string
		StopGrace   string         `yaml:"stop_grace_period"`
		DependsOn   map[string]any `yaml:"depends_on"`
	}
	Secrets map[string]struct{ File string }
}

func TestCompose(t *testing.T) {
	c := documents[compose](t, "compose/compose.yaml")[0]
	hub := c.Services["waybill"]
	plan, asked := loadCompose(t)
	if mine := slices.Sorted(slices.Values(hub.Secrets)); !slices.Equal(mine, asked) {
		t.Errorf("the container has the secrets %v, and the files read %v", mine, asked)
	}
	for name, s := range c.Services {
		if name != "waybill" && (!strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest")) {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s: the secret %s is none", name, secret)
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)password|secret|token|key$`).MatchString(key) && !strings.HasSuffix(key, "_FILE") {
				t.Errorf("%s: %s=%s stands in the file", name, key, value)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, port)
			}
		}
	}
	if !hub.ReadOnly || !slices.Contains(hub.CapDrop, "ALL") || !slices.Contains(hub.SecurityOpt, "no-new-privileges:true") || hub.StopGrace != "90s" {
		t.Errorf("%+v", hub)
	}
	for _, listen := range []string{plan.Hub.HTTP.Listen, plan.Hub.Hooks.Listen} {
		port := listen[strings.LastIndex(listen, ":")+1:]
		if !slices.Contains(hub.Ports, "127.0.0.1:"+port+":"+port) || !strings.Contains(text(t, "Dockerfile"), " "+port) {
			t.Errorf("port %s is not published: %v", port, hub.Ports)
		}
	}
	for _, v := range hub.Volumes {
		if _, err := os.Stat(filepath.Join("compose", strings.Split(v, ":")[0])); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join("compose", hub.Build.Context, hub.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	look := []string{"docker", "compose", "-f", "compose/compose.yaml", "config", "--quiet"}
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		look = []string{specification(t), "compose/compose.yaml"}
	}
	if out, err := exec.CommandContext(t.Context(), look[0], look[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", look, err, out)
	}
}

// specification is the Compose specification's own loader, which docker compose reads its files with.
func specification(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	get := exec.CommandContext(t.Context(), "go", "install", "github.com/compose-spec/compose-go/v2/cmd@v2.10.0")
	get.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := get.CombinedOutput(); err != nil {
		needtest.Skip(t, "docker compose is not here, and the Compose specification's loader could not be fetched: compose.yaml was parsed, and not looked at by either: %s", out)
	}
	return filepath.Join(dir, "cmd")
}

type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       struct {
		Selector any
		Ports    []struct{ Name, TargetPort string }
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Grace           int `yaml:"terminationGracePeriodSeconds"`
				SecurityContext struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
					RunAsUser    int  `yaml:"runAsUser"`
				} `yaml:"securityContext"`
				Containers []struct {
					Image, Name string
					Args        []string
					Startup     probe `yaml:"startupProbe"`
					Liveness    probe `yaml:"livenessProbe"`
					Readiness   probe `yaml:"readinessProbe"`
					Ports       []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					VolumeMounts    []struct{ Name, MountPath string } `yaml:"volumeMounts"`
					SecurityContext struct {
						Escalation   *bool `yaml:"allowPrivilegeEscalation"`
						ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
						Capabilities struct{ Drop []string }
					} `yaml:"securityContext"`
				}
				Volumes []struct{ Name string }
			}
		}
	}
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func TestKubernetes(t *testing.T) {
	var openAPI struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(text(t, "../internal/api/openapi.json")), &openAPI); err != nil {
		t.Fatal(err)
	}
	plan, asked := loadCompose(t)
	kinds := map[string]int{}
	for _, o := range documents[object](t, "kubernetes/waybill.yaml") {
		kinds[o.Kind]++
		if o.APIVersion == "" || o.Metadata.Name == "" || o.Metadata.Namespace != "waybill" {
			t.Errorf("%+v", o)
		}
		if o.Kind != "Deployment" {
			continue
		}
		pod := o.Spec.Template.Spec
		c := pod.Containers[0]
		if !pod.SecurityContext.RunAsNonRoot || !strings.Contains(text(t, "Dockerfile"), "USER "+strconv.Itoa(pod.SecurityContext.RunAsUser)+":") || pod.Grace < 90 {
			t.Errorf("%+v %d", pod.SecurityContext, pod.Grace)
		}
		if !c.SecurityContext.ReadOnly || c.SecurityContext.Escalation == nil || *c.SecurityContext.Escalation || !slices.Contains(c.SecurityContext.Capabilities.Drop, "ALL") {
			t.Errorf("%+v", c.SecurityContext)
		}
		if strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
			t.Errorf("image %s", c.Image)
		}
		for name, p := range map[string]probe{"startup": c.Startup, "liveness": c.Liveness, "readiness": c.Readiness} {
			if openAPI.Paths[p.HTTPGet.Path] == nil || p.HTTPGet.Port != "http" {
				t.Errorf("%s asks %+v", name, p.HTTPGet)
			}
		}
		ports := map[string]string{}
		for _, p := range c.Ports {
			ports[p.Name] = "0.0.0.0:" + strconv.Itoa(p.ContainerPort)
		}
		if ports["http"] != plan.Hub.HTTP.Listen || ports["hooks"] != plan.Hub.Hooks.Listen {
			t.Errorf("ports %v", ports)
		}
		if len(pod.Volumes) != len(c.VolumeMounts) {
			t.Errorf("%d volumes and %d mounts", len(pod.Volumes), len(c.VolumeMounts))
		}
	}
	if kinds["Deployment"] != 1 || kinds["Service"] != 2 || kinds["PodDisruptionBudget"] != 1 {
		t.Errorf("%v", kinds)
	}
	for _, name := range asked {
		if !strings.Contains(text(t, "kubernetes/waybill.yaml"), "--from-literal="+name+"=") {
			t.Errorf("the secret %s is not made", name)
		}
	}
}

// The image is run by a number, has named bases, asks with the hub's own program, and its stamps have places to go to.
func TestDockerfile(t *testing.T) {
	docker := text(t, "Dockerfile")
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(docker, -1) {
		if !strings.Contains(m[1], ":") || strings.HasSuffix(m[1], ":latest") {
			t.Errorf("base %s has no version", m[1])
		}
	}
	for _, want := range []string{"\nUSER 65532:65532\n", "\nHEALTHCHECK ", `CMD ["/usr/local/bin/waybill", "health"]`, "CGO_ENABLED=0", "-trimpath"} {
		if !strings.Contains(docker, want) {
			t.Errorf("there is no %q", want)
		}
	}
	declared := text(t, "../internal/cli/version.go")
	stamps := regexp.MustCompile(`-X github.com/waybill-hub/waybill/internal/cli\.(\w+)=`).FindAllStringSubmatch(docker, -1)
	for _, m := range stamps {
		if !regexp.MustCompile(`(?m)^var [\w, ]*\b` + m[1] + `\b.* string$`).MatchString(declared) {
			t.Errorf("the stamp %s goes nowhere", m[1])
		}
	}
	if len(stamps) != 3 {
		t.Errorf("%d stamps", len(stamps))
	}
	ignore := text(t, "../.dockerignore")
	for _, dir := range []string{"cmd", "configs", "connectors", "flows", "internal", "mappings", "schemas", "go.mod", "go.sum"} {
		if !strings.Contains(ignore, "\n!"+dir+"\n") {
			t.Errorf("%s does not get into the image", dir)
		}
	}
	if _, err := exec.LookPath("hadolint"); err != nil {
		needtest.Skip(t, "hadolint is not here: the Dockerfile was looked at by this test alone")
	}
	if out, err := exec.Command("hadolint", "Dockerfile").CombinedOutput(); err != nil {
		t.Errorf("hadolint: %v\n%s", err, out)
	}
}

// The unit has the locks that it is to have, and systemd itself knows every key and finds little to reach.
func TestUnit(t *testing.T) {
	unit := text(t, "waybill.service")
	for _, want := range []string{"Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=waybill", "CapabilityBoundingSet=", "SystemCallFilter=@system-service",
		"WatchdogSec=30", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "#LoadCredential=operations-token:/etc/waybill/secrets/operations-token"} {
		if !strings.Contains(unit, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		needtest.Skip(t, "systemd-analyze is not here: the unit was looked at by this test alone")
	}
	file := filepath.Join(t.TempDir(), "waybill.service")
	// The program is not installed where the tests run; any other stands for it.
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/waybill", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "waybill.service") {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil && bytes.Contains(out, []byte("waybill.service")) {
		t.Error(err)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", file).CombinedOutput(); err != nil { // tenths
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
