package sandbox

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is the sandbox's own process when a test starts it as a child.
func TestMain(m *testing.M) {
	if args := os.Getenv("SANDBOX_TEST_CHILD"); args != "" {
		if err := Main(context.Background(), strings.Split(args, "\x1f"), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
