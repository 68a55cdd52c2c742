package intake

import (
	"os"
	"runtime"
	"testing"

	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
		return
	}
	if os.Getenv(submitEnv) != "" {
		submitMain()
		return
	}
	inboxtest.Main(m)
}

// yield lets other goroutines run.
func yield() { runtime.Gosched() }
