package sandbox

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"
)

// Entry is one line of a system's log: one call it got, one thing its own people did, or one webhook it sent.
type Entry struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	System string    `json:"system"`
	// Actor is api (somebody outside called), user or life (the system's own people and machinery), or push (a webhook).
	Actor string `json:"actor"`
	// Method and Path of the call; the ERP gives INSERT, UPDATE or DELETE and the table; a push gives PUSH and the URL.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Object is the collection or table, ID the object's id there, External its external id.
	Object   string `json:"object,omitempty"`
	ID       string `json:"id,omitempty"`
	External string `json:"external_id,omitempty"`
	// Status is what the caller saw: 0 when the answer never reached it. For a push, what the receiver answered.
	Status int `json:"status"`
	// Applied: the call changed the state, whatever the caller saw.
	Applied bool `json:"applied"`
	// BodyHash is the hex SHA-256 of the request's body; of the row as JSON for the ERP.
	BodyHash string `json:"body_sha256,omitempty"`
	// Request is the Idempotency-Key of a call or the webhook-id of a push.
	Request string `json:"request,omitempty"`
	// Fault names the chaos that befell the call, Odd the wicked document that was made.
	Fault string `json:"fault,omitempty"`
	Odd   string `json:"odd,omitempty"`
	// Changes are the objects as they are since this call. They make the log the system's state as well.
	Changes []Change `json:"changes,omitempty"`
}

// Change is the state of one object after a call.
type Change struct {
	Object string          `json:"object"`
	ID     string          `json:"id"`
	Doc    json.RawMessage `json:"doc"`
}

// journal is an append-only file of entries. A line is in the operating system's hands before append returns, so it
// survives the death of the process; it is on the disk a moment later, and before Close returns.
type journal struct {
	mu    sync.Mutex
	f     *os.File
	seq   int64
	dirty bool
	err   error
	stop  chan struct{}
	done  chan struct{}
}

// openJournal reads what is there, cuts off a torn last line and is ready to append.
func openJournal(path string, replay func(*Entry) error) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	j := &journal{f: f, stop: make(chan struct{}), done: make(chan struct{})}
	end, err := scanEntries(f, func(e *Entry) error {
		j.seq = e.Seq
		return replay(e)
	})
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("log %s: %w", path, err)
	}
	go j.syncLoop()
	return j, nil
}

// append writes e and gives it its number. An error means that nothing was written.
func (j *journal) append(e *Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	e.Seq = j.seq + 1
	line, err := marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		j.err = fmt.Errorf("write log: %w", err) // a torn line may be there: nothing may follow it
		return j.err
	}
	j.seq, j.dirty = e.Seq, true
	return nil
}

func (j *journal) syncLoop() {
	defer close(j.done)
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-t.C:
			j.mu.Lock()
			dirty := j.dirty
			j.dirty = false
			j.mu.Unlock()
			if dirty {
				_ = j.f.Sync() // a failing disk shows at the next write or at Close
			}
		}
	}
}

// Close puts everything on the disk.
func (j *journal) Close() error {
	close(j.stop)
	<-j.done
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = errors.New("log is closed")
	}
	return errors.Join(j.f.Sync(), j.f.Close())
}

// scanEntries calls fn for every whole line and gives the offset after the last of them.
func scanEntries(r io.Reader, fn func(*Entry) error) (end int64, err error) {
	br := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := br.ReadBytes('\n')
		if err == io.EOF {
			return end, nil // a line without its end was never acknowledged
		}
		if err != nil {
			return end, err
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return end, fmt.Errorf("line at byte %d: %w", end, err)
		}
		if err := fn(&e); err != nil {
			return end, err
		}
		end += int64(len(line))
	}
}

// ReadLog reads a system's log file; it may still be written to. A torn last line is left out.
func ReadLog(path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer f.Close()
		stop := errors.New("stop")
		_, err = scanEntries(f, func(e *Entry) error {
			if !yield(*e, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(Entry{}, fmt.Errorf("log %s: %w", path, err))
		}
	}
}

// marshal is JSON without HTML escapes and without a line end.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func bodyHash(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
