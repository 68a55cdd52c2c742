package cli

import (
	"errors"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// profile is what a command may record of itself.
type profile struct{ cpu, allocs string }

func (p *profile) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.cpu, "cpuprofile", "", "write a CPU profile to this file")
	f.StringVar(&p.allocs, "allocprofile", "", "write a profile of all allocations to this file at the end")
}

// start begins to record; stop ends it and writes the files.
func (p *profile) start() (stop func() error, err error) {
	var cpu *os.File
	if p.cpu != "" {
		if cpu, err = os.Create(p.cpu); err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, errors.Join(err, cpu.Close())
		}
	}
	return func() error {
		var errs []error
		if cpu != nil {
			pprof.StopCPUProfile()
			errs = append(errs, cpu.Close())
		}
		if p.allocs != "" {
			errs = append(errs, writeAllocs(p.allocs))
		}
		return errors.Join(errs...)
	}, nil
}

func writeAllocs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
