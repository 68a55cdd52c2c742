package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// TestBesideGoesOn: work beside the flows that panics is told with its place, and goes on; the rest does not notice.
func TestBesideGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		to := slog.New(slog.NewTextHandler(log, nil))
		h := &Hub{clock: lifecycle.Real(), log: to, stack: lifecycle.NewStack(lifecycle.Real(), to)}
		begun, ends := 0, 0
		err := h.beside("looking", func(ctx context.Context) {
			if begun++; begun < 3 {
				panic("a mistake")
			}
			<-ctx.Done()
		}, func(ctx context.Context) { <-ctx.Done(); ends++ })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if begun != 3 || ends != 0 {
			t.Errorf("begun %d times; the other has ended %d times", begun, ends)
		}
		if err := h.stack.Stop(t.Context()); err != nil || ends != 1 {
			t.Errorf("stop: %v, the other has ended %d times", err, ends)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 2 || !strings.Contains(log.String(), "beside_test.go") || !strings.Contains(log.String(), "work=looking") {
			t.Errorf("told %d times:\n%s", n, log)
		}
	})
}
