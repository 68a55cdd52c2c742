package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/sandbox/liar"
)

// ErrUsage is inside the error of Main when its arguments are wrong.
var ErrUsage = errors.New("usage: waybill sandbox crm|erp|wms|all|env|liar [flags]")

// Addresses that processes of their own listen on unless told otherwise, so that `env` knows them beforehand.
const (
	DefaultListenCRM = "127.0.0.1:18071"
	DefaultListenERP = "127.0.0.1:18072"
	DefaultListenWMS = "127.0.0.1:18073"
)

// Main is `waybill sandbox ARGS`: it runs one system, or all, until ctx ends, or prints the environment for the hub.
// The systems share nothing but the directory and the seed, so each may be a process of its own.
func Main(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return ErrUsage
	}
	o := Options{ListenCRM: DefaultListenCRM, ListenERP: DefaultListenERP, ListenWMS: DefaultListenWMS}
	what := args[0]
	if what == "liar" {
		err := liar.Main(ctx, args[1:], out)
		if network := (*net.OpError)(nil); err == nil || errors.As(err, &network) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err := parseFlags(&o, args[1:], out); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	switch what {
	case CRM, ERP, WMS:
		o.Only = []string{what}
	case "all":
	case "env":
		env := Env(o)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(out, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
		}
		return nil
	default:
		return fmt.Errorf("%w: there is no %q", ErrUsage, what)
	}
	w, err := StartAll(ctx, o)
	if err != nil {
		return err
	}
	for _, p := range w.parts() {
		addr := map[string]string{CRM: w.Env()[EnvCRMURL], ERP: w.Env()[EnvERPControl], WMS: w.Env()[EnvWMSURL]}[p.name]
		fmt.Fprintf(out, "%s %s\n", p.name, addr)
	}
	fmt.Fprintln(out, "ready")
	<-ctx.Done()
	return w.Close()
}

// wickedness is the value of --chaos: nothing for the preset, or settings as JSON.
type wickedness struct{ c *Chaos }

func (w wickedness) String() string   { return "" }
func (w wickedness) IsBoolFlag() bool { return true }
func (w wickedness) Set(s string) error {
	switch s {
	case "true":
		*w.c = Wicked()
		return nil
	case "false":
		*w.c = Chaos{}
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.DisallowUnknownFields()
	return dec.Decode(w.c)
}

func parseFlags(o *Options, args []string, out io.Writer) error {
	f := flag.NewFlagSet("waybill sandbox", flag.ContinueOnError)
	f.SetOutput(io.Discard) // `env` is evaluated by a shell: what goes wrong stands in the error alone
	f.StringVar(&o.Dir, "dir", "data/sandbox", "directory of all state and logs")
	f.Int64Var(&o.Seed, "seed", 1, "makes names, numbers, tokens and chaos repeatable")
	f.Float64Var(&o.Rate, "rate", 0, "business actions a second over all three systems (0: 60, negative: none)")
	f.Float64Var(&o.Pace, "pace", 1, "how slow people and machines are")
	f.Var(wickedness{&o.Chaos}, "chaos", "be wicked; or settings as JSON: --chaos='{\"error_503\":0.1}'")
	f.StringVar(&o.HookURL, "hook-url", "http://127.0.0.1:8081/hooks", "where the CRM pushes to")
	f.StringVar(&o.HookSecret, "hook-secret", "", "webhook secret, whsec_… (default: made from the seed)")
	f.StringVar(&o.ListenCRM, "listen-crm", o.ListenCRM, "address of the CRM")
	f.StringVar(&o.ListenERP, "listen-erp", o.ListenERP, "address of the ERP's control endpoint")
	f.StringVar(&o.ListenWMS, "listen-wms", o.ListenWMS, "address of the WMS")
	f.StringVar(&o.ERPPath, "erp-db", "", "the ERP's SQLite file (default: erp.db in dir)")
	f.StringVar(&o.DropDir, "drop", "", "the WMS's drop folder (default: drop in dir)")
	f.IntVar(&o.Items, "items", 0, "items there are at first (0: 200, negative: none)")
	f.IntVar(&o.ERPCustomers, "erp-customers", 0, "customers of the ERP at first (0: 60, negative: none)")
	f.IntVar(&o.Accounts, "accounts", 0, "accounts of the CRM at first (0: 120, negative: none)")
	f.BoolVar(&o.UTF8, "utf8", false, "files in UTF-8 instead of GB18030")
	f.BoolVar(&o.Idempotency, "idempotency", false, "honour Idempotency-Key")
	f.BoolFunc("verbose", "log to the output", func(string) error {
		o.Log = slog.New(slog.NewTextHandler(out, nil))
		return nil
	})
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(out)
		fmt.Fprintln(out, "Flags:")
		f.PrintDefaults()
	}
	if err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("what is %q?", f.Arg(0))
	}
	return nil
}
