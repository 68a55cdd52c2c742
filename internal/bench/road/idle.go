package road

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/process"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Idle says how a hub at rest is measured.
type Idle struct {
	// Flows is how many the hub has: every second one takes webhooks, and the next delivers what they bring to an HTTP target.
	Flows int
	// For is how long the hub is looked at, once it has been ready for a while.
	For time.Duration
	// Against is another build of the hub; empty: none.
	Against    string
	Dir        string
	CPUProfile string
	Out, Log   io.Writer
}

// settling is how long a hub may take after its start until it is at rest: groups are formed, and brokers hold requests for longer and longer.
const settling = 20 * time.Second

// RunIdle measures how much of a core a hub takes to which nothing comes. Its last line is the result.
func RunIdle(ctx context.Context, o Idle) (string, error) {
	if o.Against != "" {
		if _, err := exec.LookPath(o.Against); err != nil { // now, and not after the first look
			return "", fmt.Errorf("the build to compare with: %w", err)
		}
	}
	share, err := o.measure(ctx, "this", "")
	if err != nil {
		return "", err
	}
	ratio := "none"
	if o.Against != "" {
		base, err := o.measure(ctx, "base", o.Against)
		if err != nil {
			return "", err
		}
		ratio = fmt.Sprintf("%.2f", share/base)
	}
	return fmt.Sprintf("idle: flows=%d percent_of_a_core=%.2f ratio_to_base=%s", o.Flows, 100*share, ratio), nil
}

// measure is the share of a core that one build takes.
func (o *Idle) measure(ctx context.Context, called, binary string) (share float64, err error) {
	dir := filepath.Join(o.Dir, called)
	web, err := o.project(dir)
	if err != nil {
		return 0, err
	}
	args := []string{"run", "-c", filepath.Join(dir, "configs", "waybill.yaml"), "--log-level", "warn"}
	cmd := exec.Command(binary, args...)
	if binary == "" {
		if o.CPUProfile != "" {
			args = append(args, "--cpuprofile", o.CPUProfile)
		}
		if cmd, err = process.Self(context.WithoutCancel(ctx), args...); err != nil {
			return 0, err
		}
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Dir, cmd.Env = dir, append(cmd.Env, "HOOK_SECRET="+Secret)
	hub, err := process.StartCommand(cmd, o.Log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, hub.Stop()) }()
	if err := hub.Listening(ctx, "http://"+web+"/readyz", http.StatusOK); err != nil {
		return 0, err
	}
	fmt.Fprintf(o.Out, "%s: %d flows are ready; at rest in %v, then %v\n", called, o.Flows, settling, o.For)
	if err := lifecycle.Sleep(ctx, lifecycle.Real(), settling); err != nil {
		return 0, err
	}
	began, before := time.Now(), process.CPU(cmd.Process.Pid)
	if err := lifecycle.Sleep(ctx, lifecycle.Real(), o.For); err != nil {
		return 0, err
	}
	used, passed := process.CPU(cmd.Process.Pid)-before, time.Since(began)
	if share, err = shareOf(before, used, passed); err != nil {
		return 0, err
	}
	fmt.Fprintf(o.Out, "%s: %.2f s of CPU in %.0f s: %.2f %% of a core, peak %d MB\n", called, used.Seconds(), passed.Seconds(), 100*share, process.Peak(cmd.Process.Pid)>>20)
	return share, nil
}

// shareOf is the part of a core that was used. before is what the process had taken until then: it has started, so nothing means that nobody tells.
func shareOf(before, used, passed time.Duration) (float64, error) {
	switch {
	case before == 0:
		return 0, errors.New("this machine does not tell how much time a process has taken: /proc is not there")
	case used <= 0:
		return 0, fmt.Errorf("the hub took less of the processor in %v than this machine can tell (a hundredth of a second): look longer (--for), or at more flows (--flows)", passed.Round(time.Second))
	}
	return used.Seconds() / passed.Seconds(), nil
}

// project writes the files of a hub with many flows, and gives the address of its API.
func (o *Idle) project(dir string) (web string, err error) {
	if web, err = process.FreeAddr(); err != nil {
		return "", err
	}
	hooks, err := process.FreeAddr()
	if err != nil {
		return "", err
	}
	target, err := process.FreeAddr() // nobody is there, and nobody asks
	if err != nil {
		return "", err
	}
	var flows strings.Builder
	for n := range (o.Flows + 1) / 2 {
		text := fmt.Sprintf(flowsText, fmt.Sprint(n), fmt.Sprint("idle.", n), fmt.Sprint(n), fmt.Sprint("idle.", n))
		text = strings.ReplaceAll(text, "path: shop/orders", fmt.Sprintf("path: shop/orders-%d", n))
		if n > 0 {
			flows.WriteString("---\n")
		}
		flows.WriteString(text)
	}
	config := configOf("{embedded: {dir: data/broker}, partitions: 4}", "{sqlite: {path: data/waybill.db}}", web, hooks, target, 64)
	for name, text := range map[string]string{"configs/waybill.yaml": config, "flows/idle.yaml": flows.String(), "mappings/road.yaml": mappingsText,
		"schemas/in/order.v1.json": inSchema, "schemas/out/order.v1.json": canonicalSchema, "schemas/out/erp.v1.json": erpSchema} {
		if err := process.Write(dir, name, text); err != nil {
			return "", err
		}
	}
	return web, nil
}
