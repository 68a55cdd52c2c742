package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// binary is the built command, with failpoints compiled in.
var binary string

func TestMain(m *testing.M) {
	if addr := os.Getenv(envTarget); addr != "" { // this process is a target
		if err := serveTarget(addr, os.Getenv(envTargetLog)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "waybill-soak-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "waybill")
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", binary, "../../cmd/waybill")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	code := pgtest.Main(m)
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
