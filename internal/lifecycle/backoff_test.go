package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func TestBackoff(t *testing.T) {
	b := lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}
	for i, top := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if d := b.Next(); d < top*time.Second/2 || d > top*time.Second {
			t.Errorf("wait %d is %v, want %v to %v", i, d, top*time.Second/2, top*time.Second)
		}
	}
	b.Reset()
	if d := b.Next(); d > time.Second {
		t.Errorf("after a reset: %v", d)
	}
}

func TestGuard(t *testing.T) {
	own := errors.New("own")
	if err := lifecycle.Guard(func() error { return own }); !errors.Is(err, own) {
		t.Errorf("the work's own error is %v", err)
	}
	if err := lifecycle.Guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
	err := lifecycle.Guard(func() error { panic("oh") })
	if err == nil || !strings.Contains(err.Error(), "panic: oh") || !strings.Contains(err.Error(), "backoff_test.go") {
		t.Errorf("a panic gives %v, without its place", err)
	}
}
