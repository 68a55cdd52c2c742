package lifecycle_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// All are done at once, whatever becomes of one of them, and every failure is told.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where one comes after the other, the first waits for ever, and that is seen
		var meet sync.WaitGroup
		meet.Add(3)
		err := lifecycle.SideBySide([]string{"a", "b", "c"}, func(name string) error {
			meet.Done()
			meet.Wait()
			switch name {
			case "a":
				return errors.New("a is stuck")
			case "c":
				panic("c is broken")
			}
			return nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), "a is stuck\npanic: c is broken") {
			t.Errorf("told: %v", err)
		}
	})
	if err := lifecycle.SideBySide([]int{1, 2}, func(int) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := lifecycle.SideBySide(nil, func(int) error { return errors.New("nobody") }); err != nil {
		t.Error(err)
	}
}
