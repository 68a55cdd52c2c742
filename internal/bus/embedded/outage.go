package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-hub/waybill/internal/filemode"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
)

// life is the broker between two starts. The broker answers a write that it could not bring to disk as if it had: the first
// such failure ends this life. It is noticed before the answer is written, so nobody hears of what is only in memory, neither
// who wrote it nor who reads; all connections are cut, and the broker starts anew from what is on disk once that can be
// written again.
type life struct {
	log    *slog.Logger
	over   atomic.Bool
	failed chan error // the first failure
}

// tryAgain is how long a broker that stands still rests before it tries again to write.
const tryAgain = 250 * time.Millisecond

var errNotOnDisk = errors.New("the broker cannot write to its directory")

func newLife(log *slog.Logger) *life { return &life{log: log, failed: make(chan error, 1)} }

// Logf makes life a kfake.Logger: it passes the broker's warnings on, and listens for failed writes, of which the broker
// tells in no other way.
func (l *life) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	default:
		return
	}
	if strings.HasPrefix(format, "persist ") && !l.over.Swap(true) {
		l.failed <- fmt.Errorf(format, args...)
	}
}

// kafka is the broker, or nil while it stands still and cannot start again.
func (b *Broker) kafka() *kfake.Cluster {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cluster
}

// serve keeps the broker alive until ctx ends: through failures to write.
func (b *Broker) serve(ctx context.Context) {
	failures := notice.NewLimiter(lifecycle.Real(), b.cfg.Log)
	for {
		var cause error
		select {
		case cause = <-b.life.failed:
		case <-ctx.Done():
			return
		}
		b.cfg.Log.Error("the embedded broker cannot write to its directory: it stands still until it can", "directory", b.cfg.Dir, "error", cause)
		began := time.Now()
		b.stands(cause)
		if b.begin(ctx, failures) != nil {
			return
		}
		b.trouble.Store(nil)
		b.cfg.Log.Warn("the embedded broker works again", "away", time.Since(began).Round(time.Millisecond).String())
	}
}

// begin begins the next life as soon as the directory can be written to; the error is the end of ctx.
func (b *Broker) begin(ctx context.Context, failures *notice.Limiter) error {
	// A rest before the first try as well: on a disk that takes a little now and then, the connections would be cut again and again.
	if err := lifecycle.Sleep(ctx, lifecycle.Real(), tryAgain); err != nil {
		return err
	}
	return lifecycle.Retry(ctx, lifecycle.Real(), lifecycle.Backoff{Min: tryAgain, Max: tryAgain}, func() error {
		if err := writable(b.cfg.Dir); err != nil {
			return err
		}
		return b.restart()
	}, func(err error, _ time.Duration) error {
		b.stands(err)
		failures.Warn("the embedded broker cannot start again yet", err)
		return nil
	})
}

// writable tries a directory with as much as a large write takes.
func writable(dir string) error {
	name := filepath.Join(dir, "probe.tmp")
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, filemode.File)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4<<20))
	return errors.Join(err, f.Sync(), f.Close())
}

// restart begins the next life from what is on disk.
func (b *Broker) restart() error {
	if old := b.kafka(); old != nil {
		if err := discard(b.cfg.Dir, old); err != nil {
			return err
		}
		b.mu.Lock()
		b.cluster = nil
		b.mu.Unlock()
	}
	return b.start(b.addr)
}

// asideDir holds the broker's files while a broker is closed that would overwrite them.
const asideDir = "aside.tmp"

// discard closes a broker without letting it save its state, which holds what is not on disk: its files are out of the way while it
// does.
func discard(dir string, c *kfake.Cluster) error {
	if err := os.Mkdir(filepath.Join(dir, asideDir), filemode.Dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := move(dir, filepath.Join(dir, asideDir)); err != nil {
		return errors.Join(err, restore(dir))
	}
	c.Close()
	return restore(dir)
}

// restore brings files back that discard has moved, also after a crash in the middle of it; what stands in their place goes.
func restore(dir string) error {
	aside := filepath.Join(dir, asideDir)
	entries, err := os.ReadDir(aside)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range entries {
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	if err := move(aside, dir); err != nil {
		return err
	}
	return os.Remove(aside)
}

// move renames everything in a directory but the lock and what is temporary.
func move(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range entries {
		if f.Name() == lockFile || strings.HasSuffix(f.Name(), ".tmp") {
			continue
		}
		if err := os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}
