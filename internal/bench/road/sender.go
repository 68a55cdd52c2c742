package road

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/process"
)

// Secret signs the webhooks, as the project's files name it.
const Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Sent is what the sender has seen.
type Sent struct {
	Began          int64 // nanoseconds since 1970
	Took           time.Duration
	P50, P99, P999 time.Duration // of the answers
}

// PerSecond is how many were answered in a second.
func (s Sent) PerSecond(orders int) float64 { return float64(orders) / s.Took.Seconds() }

// DefaultLines is how many lines an order has where nothing else is said, and the fewest that it may have.
const DefaultLines = 3

// order is webhook i: number i modulo keys at revision i+1, and what else an order has.
func order(i, keys, lines int) []byte {
	k := i % keys
	b := fmt.Appendf(nil, `{"number":"ORD-%07d","rev":%d,"customer":"cust %d","total":%d.25,"lines":[{"sku":"SKU-1","quantity":%d,"price":10.5},{"sku":"SKU-2","quantity":1,"price":3.25},{"sku":"SKU-3","quantity":7,"price":1.99}`,
		k, i+1, k, i%1000, 1+i%9)
	for range lines - DefaultLines {
		b = append(b, `,{"sku":"SKU-4","quantity":2,"price":0.75}`...)
	}
	return append(b, "]}"...)
}

// delivered is what the target must hold of it.
type delivered struct {
	OrderNo string      `json:"orderNo"`
	Rev     int64       `json:"rev"`
	Cust    string      `json:"cust"`
	Amount  json.Number `json:"amount"`
	Items   []struct {
		Code  string      `json:"code"`
		Qty   int         `json:"qty"`
		Price json.Number `json:"price"`
	} `json:"items"`
}

// differs says what of webhook i is not as it was sent, or nothing.
func (d *delivered) differs(i, keys, lines int) string {
	k := i % keys
	want := fmt.Sprintf("ORD-%07d|CUST %d|%d.25|[{SKU-1 %d 10.5} {SKU-2 1 3.25} {SKU-3 7 1.99}%s]", k, k, i%1000, 1+i%9, strings.Repeat(" {SKU-4 2 0.75}", max(0, lines-DefaultLines)))
	if got := fmt.Sprintf("%s|%s|%s|%v", d.OrderNo, d.Cust, d.Amount, d.Items); got != want {
		return "is " + got + ", want " + want
	}
	return ""
}

// Send is the sender's process: senders at once, each with keys of its own, so that those of a key are sent one after the other. accepted is the
// status that a webhook is to be answered with.
func Send(ctx context.Context, hook string, orders, keys, senders, accepted, lines int, out io.Writer) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}, Timeout: time.Minute}
	took := make([]time.Duration, orders)
	failed := make([]error, senders)
	s := Sent{Began: time.Now().UnixNano()}
	began := time.Now()
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			for i := range orders {
				if (i%keys)%senders != n {
					continue
				}
				start := time.Now()
				if err := Post(ctx, client, hook, "msg_"+strconv.Itoa(i), order(i, keys, lines), accepted); err != nil {
					failed[n] = err
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	s.Took = time.Since(began)
	if err := errors.Join(failed...); err != nil {
		return err
	}
	slices.Sort(took)
	s.P50, s.P99, s.P999 = took[orders/2], took[orders*99/100], took[orders*999/1000]
	return json.NewEncoder(out).Encode(s)
}

// Post sends a signed webhook, which is to be answered with the status accepted.
func Post(ctx context.Context, client *http.Client, hook, id string, body []byte, accepted int) error {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(Secret, "whsec_"))
	if err != nil {
		return err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {id}, "Webhook-Timestamp": {at},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != accepted {
		err = fmt.Errorf("webhook %s was answered %s: %.200s", id, resp.Status, said)
	}
	return err
}

// send runs the sender in a process of its own.
func (d *drive) send(ctx context.Context, p *started) (s Sent, err error) {
	cmd, err := process.Self(ctx, "bench", "send", p.hook, strconv.Itoa(d.Orders), strconv.Itoa(d.Keys), strconv.Itoa(d.Senders), strconv.Itoa(p.accepted), strconv.Itoa(d.Lines))
	if err != nil {
		return s, err
	}
	cmd.Stderr = d.Log
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("the sender: %w", err)
	}
	return s, json.Unmarshal(out, &s)
}
