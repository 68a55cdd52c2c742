package relay

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// What cannot be carried is tried again and again; people are told once by an alarm, and the log ever more seldom.
func TestRelayTellsSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, told := &strings.Builder{}, &alarms{}
		r := New(Config{Source: Source{Flow: "orders"}, Clock: lifecycle.Real(), Log: slog.New(slog.NewTextHandler(log, nil)), Observer: told})
		began, tries := time.Now(), 0
		err := r.retry(t.Context(), "publish", func() error {
			if tries++; time.Since(began) > 4*time.Minute+30*time.Second {
				return nil
			}
			return fault.New(fault.Unavailable, "write tcp 127.0.0.1:%d: broken pipe", 40000+tries)
		})
		if lines := strings.Count(log.String(), "level=WARN"); err != nil || lines != 3 || tries < 20 {
			t.Errorf("%v after %d tries, of which the log was told %d times:\n%s", err, tries, lines, log)
		}
		if len(told.all) != 2 || !strings.Contains(told.all[0], "cannot publish for") || told.all[1] != "" {
			t.Errorf("alarms: %q", told.all)
		}
		// A failure of another kind is told at once.
		ctx, cancel := context.WithCancel(t.Context())
		tries = 0
		_ = r.retry(ctx, "publish", func() error {
			if tries++; tries == 2 {
				cancel()
			}
			return fmt.Errorf("the topic: %w", fault.New(fault.Auth, "not allowed"))
		})
		if !strings.Contains(log.String(), "not allowed") {
			t.Errorf("another failure is not told:\n%s", log)
		}
	})
}

// alarms remembers what people were told.
type alarms struct{ all []string }

func (*alarms) Relayed(string, int, int)                         {}
func (a *alarms) Alarm(_ string, _ inbox.AlarmCode, text string) { a.all = append(a.all, text) }
