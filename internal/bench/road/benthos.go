package road

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/bench/process"
	"github.com/waybill-hub/waybill/internal/bus"
)

// benthos is Benthos (github.com/benthosdev/benthos/v4, 4.27) on the same road: HTTP server, Kafka topic, HTTP client, with the same schemas and
// mapping. It has no durable inbox, keeps no order and knows no object again: each message is a create.
type benthos struct{ binary string }

const benthosName = "benthos"

func (b *benthos) name() string { return benthosName }

func (b *benthos) start(ctx context.Context, d *drive, target string) (s *started, err error) {
	var stops []func() error
	stop := func() error {
		var all error
		for i := len(stops) - 1; i >= 0; i-- {
			all = errors.Join(all, stops[i]())
		}
		return all
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	brokerAddr := d.Kafka
	if brokerAddr == "" {
		broker, err := bench.StartBroker(filepath.Join(d.dir, "broker"))
		if err != nil {
			return nil, err
		}
		stops = append(stops, broker.Close)
		brokerAddr = broker.Addr
	}
	topic := fmt.Sprintf("road.benthos.%d", time.Now().UnixNano())
	c, err := bench.Dial(ctx, brokerAddr)
	if err != nil {
		return nil, err
	}
	err = c.EnsureTopics(ctx, []bus.Topic{{Name: topic, Partitions: d.Partitions}})
	if err := errors.Join(err, c.Close()); err != nil {
		return nil, err
	}
	hooks, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	var pids []int
	for name, text := range map[string]string{
		"hook.yaml":    fmt.Sprintf(benthosHook, admin, hooks, brokerAddr, topic),
		"deliver.yaml": fmt.Sprintf(benthosDeliver, brokerAddr, topic, topic, target, d.Concurrency),
	} {
		if err := errors.Join(process.Write(d.dir, name, text), process.Write(d.dir, "in.json", inSchema), process.Write(d.dir, "erp.json", erpSchema)); err != nil {
			return nil, err
		}
		cmd := exec.Command(b.binary, "-c", name)
		cmd.Dir = d.dir
		child, err := process.StartCommand(cmd, d.Log)
		if err != nil {
			return nil, err
		}
		stops = append(stops, child.Stop)
		pids = append(pids, cmd.Process.Pid)
		if name == "hook.yaml" {
			if err := child.Listening(ctx, "http://"+admin+"/ready", http.StatusOK); err != nil {
				return nil, err
			}
		}
	}
	return &started{hook: "http://" + hooks + "/hooks/shop/orders", accepted: http.StatusOK, stop: stop, usage: func() usage {
		u := usage{others: map[string]time.Duration{}}
		for _, pid := range pids {
			u.cpu += process.CPU(pid)
			u.peak += process.Peak(pid)
		}
		if cpu := process.CPU(process.Listener(brokerAddr)); d.Kafka != "" {
			u.others["broker"] = cpu
		} else {
			u.cpu += cpu // the hub's is in its process too
		}
		return u
	}}, nil
}

var (
	benthosHook = `http: {address: "%s"}
logger: {level: WARN}
input:
  http_server:
    address: "%s"
    path: /hooks/shop/orders
pipeline:
  processors:
    - json_schema: {schema_path: "file://./in.json"}
    - mapping: |
        root.number = this.number
        root.rev = this.rev
        root.customer = this.customer.uppercase()
        root.total = this.total
        root.lines = this.lines
        meta key = this.number
output:
  kafka_franz:
    seed_brokers: ["%s"]
    topic: "%s"
    key: ${! meta("key") }
    max_in_flight: 64
    batching: {count: 64, period: 5ms}
`
	benthosDeliver = `http: {enabled: false}
logger: {level: WARN}
input:
  kafka_franz:
    seed_brokers: ["%s"]
    topics: ["%s"]
    consumer_group: "%s"
    checkpoint_limit: 4096
pipeline:
  threads: 2
  processors:
    - mapping: |
        root.orderNo = this.number
        root.rev = this.rev
        root.cust = this.customer
        root.amount = this.total
        root.items = this.lines.map_each(l -> {"code": l.sku, "qty": l.quantity, "price": l.price})
    - json_schema: {schema_path: "file://./erp.json"}
output:
  http_client:
    url: "http://%s/orders"
    verb: POST
    max_in_flight: %d
    headers: {Content-Type: application/json}
`
)
