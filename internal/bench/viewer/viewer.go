// Package viewer does what an open page of the console does in a browser (internal/console/parts/console.js): it loads the page, listens to the event stream, and
// loads what is new of the page when something has changed. What it is sent it neither unzips nor shows: the machines of readers do that.
package viewer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Times of the page's script.
const (
	patience = 400 * time.Millisecond // between two looks
	longest  = 15 * time.Second       // ages grow also when nothing happens
)

// Viewer is an open page.
type Viewer struct {
	// Base is the hub's address, as http://127.0.0.1:8080, and Path that of the page.
	Base, Path string
	Client     *http.Client
	// Pulsed, where it is not nil, hears of each pulse; Looked of each page that was loaded, with when it was asked for.
	Pulsed func(at time.Time, p *Pulse)
	Looked func(asked, came time.Time)

	looks atomic.Int64
}

// Pulse is what the viewer reads of one.
type Pulse struct {
	Flows []struct {
		Name      string
		Delivered int64
	}
}

// Looks is how often the page was loaded.
func (v *Viewer) Looks() int64 { return v.looks.Load() }

// Watch keeps the page open until ctx ends; then its error is nil.
func (v *Viewer) Watch(ctx context.Context) error {
	if err := v.look(ctx, nil); err != nil {
		return v.ended(ctx, err)
	}
	stream, hangUp := context.WithCancel(ctx)
	defer hangUp()
	pulses, failed := make(chan struct{}, 1), make(chan error, 1)
	go func() { failed <- v.listen(stream, pulses) }()
	last := time.Now()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		select {
		case <-pulses:
			timer.Reset(max(0, time.Until(last.Add(patience))))
			continue
		case <-timer.C:
		case err := <-failed:
			return v.ended(ctx, err)
		}
		last = time.Now()
		if err := v.look(ctx, http.Header{"Waybill-Part": {"main"}}); err != nil {
			hangUp()
			<-failed
			return v.ended(ctx, err)
		}
		timer.Reset(longest)
	}
}

func (v *Viewer) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("an open page %s: %w", v.Path, err)
}

func (v *Viewer) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Base+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	resp, err := v.Client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is answered %s", path, resp.Status)
		_ = resp.Body.Close() // it is given up
	}
	return resp, err
}

func (v *Viewer) look(ctx context.Context, header http.Header) error {
	asked := time.Now()
	resp, err := v.get(ctx, v.Path, header)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	v.looks.Add(1)
	if v.Looked != nil {
		v.Looked(asked, time.Now())
	}
	return nil
}

// listen tells of each pulse; a stream that the hub ends is begun again.
func (v *Viewer) listen(ctx context.Context, pulses chan<- struct{}) error {
	for {
		resp, err := v.get(ctx, "/api/v1/events", nil)
		if err != nil {
			return err
		}
		lines := bufio.NewReaderSize(resp.Body, 64<<10)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break
			}
			data, is := strings.CutPrefix(line, "data: ")
			if !is {
				continue
			}
			at := time.Now()
			if v.Pulsed != nil {
				var p Pulse
				if err := json.Unmarshal([]byte(data), &p); err != nil {
					return errors.Join(fmt.Errorf("a pulse: %w", err), resp.Body.Close())
				}
				v.Pulsed(at, &p)
			}
			select {
			case pulses <- struct{}{}:
			default: // one is enough
			}
		}
		_ = resp.Body.Close() // it has ended
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
