package drop

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestUploadIsNoSilence: somebody who waits for an answer while much is sent waits for as long as that takes, and then for the timeout.
func TestUploadIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		c := Timed(here, 10*time.Second)
		begun, read := time.Now(), make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		go func() { _, _ = io.Copy(io.Discard, there) }() // until it is closed
		for range 5 {
			time.Sleep(6 * time.Second)
			if _, err := c.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-read; err == nil || !strings.Contains(err.Error(), "the server has said nothing for 10s") || time.Since(begun) != 40*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}
