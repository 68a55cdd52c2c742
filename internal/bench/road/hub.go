package road

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/bench/process"
	"github.com/waybill-hub/waybill/internal/bench/viewer"
)

// hub is a build of the hub.
type hub struct {
	called string
	binary string
	own    bool // this build: profiles can be asked of it
	beside string
}

func (h *hub) name() string { return h.called }

func (h *hub) start(ctx context.Context, d *drive, target string) (*started, error) {
	at, err := h.project(ctx, d, target)
	if err != nil {
		return nil, err
	}
	args := []string{"run", "-c", at.config, "--log-level", "warn"}
	if h.own && h.beside == "" && d.run == 1 {
		for flag, file := range map[string]string{"--cpuprofile": d.CPUProfile, "--allocprofile": d.AllocProfile} {
			if file != "" {
				args = append(args, flag, file)
			}
		}
	}
	cmd := exec.Command(h.binary, args...)
	if h.own {
		if cmd, err = process.Self(context.WithoutCancel(ctx), args...); err != nil {
			return nil, err
		}
	}
	cmd.Dir = d.dir
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, at.env...)
	c, err := process.StartCommand(cmd, d.Log)
	if err != nil {
		return nil, err
	}
	s := &started{flow: at.flow, hook: "http://" + at.hooks + "/hooks/shop/orders", accepted: http.StatusAccepted, guards: true, stop: func() error {
		return errors.Join(c.Stop(), at.drop(context.WithoutCancel(ctx)))
	}}
	s.usage = func() usage {
		u := usage{cpu: process.CPU(cmd.Process.Pid), peak: process.Peak(cmd.Process.Pid), others: map[string]time.Duration{}, store: storeWork(ctx, at.http), pid: cmd.Process.Pid}
		if h.beside == Consoles {
			u.others["consoles"] = process.CPU(os.Getpid()) // which on other machines are other machines'
		}
		if d.Kafka != "" {
			u.others["broker"] = process.CPU(process.Listener(d.Kafka))
			u.others["PostgreSQL"] = process.FamilyCPU(process.Listener(postgresAddr(d.Postgres)))
		}
		return u
	}
	if err := c.Listening(ctx, "http://"+at.http+"/readyz", http.StatusOK); err != nil {
		_ = s.stop()
		return nil, err
	}
	if h.beside == Consoles {
		return s, h.look(ctx, d, s, at.http)
	}
	return s, nil
}

// consolesOpen is how many people look.
const consolesOpen = 100

// look opens consoles at the hub, which are closed when it is stopped.
func (h *hub) look(ctx context.Context, d *drive, s *started, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * consolesOpen}}
	pages := []string{"/", "/", "/", "/console/parked", "/console/map", "/console/flows/" + s.flow} // most have the first page open
	errs := make(chan error, consolesOpen)
	viewers := make([]*viewer.Viewer, consolesOpen)
	began := time.Now()
	for i := range viewers {
		viewers[i] = &viewer.Viewer{Base: "http://" + addr, Path: pages[i%len(pages)], Client: client}
		go func() { errs <- viewers[i].Watch(ctx) }()
	}
	stop := s.stop
	s.stop = func() error {
		cancel()
		var all []error
		looks := int64(0)
		for _, v := range viewers {
			all = append(all, <-errs)
			looks += v.Looks()
		}
		fmt.Fprintf(d.Out, "  %d consoles have loaded %.1f pages a second\n", consolesOpen, float64(looks)/time.Since(began).Seconds())
		client.CloseIdleConnections()
		return errors.Join(append(all, stop())...)
	}
	return nil
}

// makeDatabase makes a database of its own for a run, and gives its URL.
func makeDatabase(ctx context.Context, server, name string) (database string, drop func(context.Context) error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.New("--postgres is no URL: give postgres://user:password@host/database")
	}
	do := func(ctx context.Context, sql string) error {
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, sql)
		return err
	}
	if err := do(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func(ctx context.Context) error { return do(ctx, "DROP DATABASE "+name) }, nil
}

func postgresAddr(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return ""
	}
	if u.Port() == "" {
		return u.Host + ":5432"
	}
	return u.Host
}

// Work is what a hub has asked of its store, as its metrics tell.
type Work struct{ Statements, Commits float64 }

func (w Work) less(b Work) Work {
	return Work{w.Statements - b.Statements, w.Commits - b.Commits}
}

// storeWork reads the metrics; a build that does not count gives zeros.
func storeWork(ctx context.Context, addr string) (w Work) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return w
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return w
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "waybill_store_statements_total":
			w.Statements = v
		case "waybill_store_commits_total":
			w.Commits = v
		}
	}
	return w
}

// project is the place of a run.
type project struct {
	config, http, hooks, flow string
	env                       []string
	drop                      func(context.Context) error // of what it made outside its folder
}

// project writes the files of a hub on the road.
func (h *hub) project(ctx context.Context, d *drive, target string) (p project, err error) {
	if p.http, err = process.FreeAddr(); err != nil {
		return p, err
	}
	if p.hooks, err = process.FreeAddr(); err != nil {
		return p, err
	}
	run := fmt.Sprintf("road_%s_%d_%d", h.called, d.run, os.Getpid())
	name := strings.ReplaceAll(run, "_", "-")
	topic := "road.canonical." + name
	p.flow = "out-" + name
	p.env = []string{"HOOK_SECRET=" + Secret}
	p.drop = func(context.Context) error { return nil }
	broker, store := fmt.Sprintf("{embedded: {dir: data/broker}, partitions: %d}", d.Partitions), "{sqlite: {path: data/waybill.db}}"
	if d.Kafka != "" {
		broker = fmt.Sprintf("{kafka: {brokers: [%q], replication: 1}, partitions: %d}", d.Kafka, d.Partitions)
		var database string
		if database, p.drop, err = makeDatabase(ctx, d.Postgres, run); err != nil {
			return p, err
		}
		store, p.env = `{postgres: {url: "${env:ROAD_DATABASE}"}}`, append(p.env, "ROAD_DATABASE="+database)
	}
	config, flows := configOf(broker, store, p.http, p.hooks, target, d.Concurrency), fmt.Sprintf(flowsText, name, topic, name, topic)
	if h.beside == Dead || h.beside == Slow {
		other, end, err := besideTarget(h.beside, d)
		if err != nil {
			return p, err
		}
		drop := p.drop
		p.drop = func(ctx context.Context) error { return errors.Join(end(), drop(ctx)) }
		config, flows = config+targetOf("other", other, d.Concurrency), flows+fmt.Sprintf(besideFlow, name, topic)
	}
	files := map[string]string{"flows/road.yaml": flows, "mappings/road.yaml": mappingsText,
		"schemas/in/order.v1.json": inSchema, "schemas/out/order.v1.json": canonicalSchema, "schemas/out/erp.v1.json": erpSchema}
	for name, text := range files {
		if err := process.Write(d.dir, name, text); err != nil {
			return p, err
		}
	}
	p.config = filepath.Join(d.dir, "configs", "waybill.yaml")
	if !d.Documents {
		if err := process.Write(d.dir, "configs/waybill.yaml", config+"journal: {documents: {days: 0}}\n"); err != nil {
			return p, err
		}
		check := exec.CommandContext(ctx, h.binary, "check", "-c", p.config)
		check.Env, check.Dir = append(append(os.Environ(), bench.AsProgram+"=1"), p.env...), d.dir
		if check.Run() == nil {
			return p, nil
		}
		// A build that keeps no documents knows no such setting.
	}
	return p, process.Write(d.dir, "configs/waybill.yaml", config)
}

// besideTarget gives the address of another target, and what ends it.
func besideTarget(kind string, d *drive) (addr string, end func() error, err error) {
	if kind == Dead {
		addr, err = process.FreeAddr()
		return addr, func() error { return nil }, err
	}
	t, err := StartTarget(time.Second, d.Log)
	if err != nil {
		return "", nil, err
	}
	return t.Addr, t.Stop, nil
}
