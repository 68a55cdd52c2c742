package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/bench"
)

func (e *env) benchCommand() *cobra.Command {
	o := bench.Options{Out: e.out, Log: e.err}
	c := &cobra.Command{Use: "bench", Short: "Measure this machine: an ordinary flow over many orders, beside a raw Kafka echo; the last line is the result",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) (err error) {
			if o.Orders < 1 || o.Runs < 1 {
				return usage("--orders and --runs must be at least 1")
			}
			if o.Dir == "" {
				if o.Dir, err = os.MkdirTemp("", "waybill-bench-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
			} else if o.Dir, err = freshDir(o.Dir); err != nil {
				return err
			}
			s, err := bench.Run(c.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.out, s)
			return err
		})}
	f := c.Flags()
	f.IntVar(&o.Orders, "orders", 500_000, "messages in a run")
	f.IntVar(&o.Runs, "runs", 3, "runs; the result holds the medians")
	f.StringVar(&o.Dir, "dir", "", "keep the broker's and the hub's data in this directory, which must be empty (default: a temporary one)")
	f.StringVar(&o.CPUProfile, "cpuprofile", "", "write a CPU profile of the hub in the first run to this file")
	f.StringVar(&o.AllocProfile, "allocprofile", "", "write what the hub has allocated in the first run to this file")
	c.AddCommand(e.benchBrokerCommand(), e.benchEchoCommand())
	return c
}

// freshDir makes a directory that holds nothing yet: what an earlier run has left would be measured too.
func freshDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = usage("%s is not empty: give a directory of its own", dir)
	}
	return dir, err
}

// benchBrokerCommand and benchEchoCommand are the other processes of a benchmark.
func (e *env) benchBrokerCommand() *cobra.Command {
	return &cobra.Command{Use: "broker DIR", Short: "The benchmark's broker; serves until standard input ends", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			return bench.ServeBroker(c.Context(), args[0], os.Stdin, e.out)
		})}
}

func (e *env) benchEchoCommand() *cobra.Command {
	return &cobra.Command{Use: "echo BROKER GROUP FROM TO N", Short: "The benchmark's yardstick: copies N records with nothing but a Kafka client",
		Hidden: true, Args: cobra.ExactArgs(5), RunE: do(func(c *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[4])
			if err != nil {
				return usage("%q is not a number of records", args[4])
			}
			return bench.RawEcho(c.Context(), args[0], args[1], args[2], args[3], n)
		})}
}
