package soak

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/needtest"
)

var brokerFaults = []fault{
	// The embedded broker lives in the hub's process: there it is the kill of the hub.
	{Name: "broker killed under load", Setups: []setup{onKafka}, Goal: 50, Share: 6, Every: true, Run: brokerKilled},
	{Name: "three brokers, one and two lost", Setups: []setup{onKafka}, Goal: 10, Share: 2, Run: threeBrokers},
	{Name: "connections cut, half-open and slow", Setups: both, Goal: 100, Share: 2, Run: badLines},
}

// cluster is an Apache Kafka of a test's own.
type cluster struct {
	b    *budget
	port int
	env  []string
	addr string
}

// oneCluster: a machine that runs tests has not the memory for many.
var oneCluster sync.Mutex

const kafkaScript = "../test/systems/kafka.sh"

// ownKafka starts a cluster of n nodes that ends with the test. advertise is what clients are told for node 1, given its own address.
func ownKafka(b *budget, n int, advertise func(addr string) string) *cluster {
	b.Helper()
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			needtest.Missing(b, "%s is missing, and a Kafka that may be killed is started from Maven Central: install it", tool)
		}
	}
	oneCluster.Lock()
	b.Cleanup(oneCluster.Unlock)
	c := &cluster{b: b, port: freePorts(b)}
	c.env = append(os.Environ(), "WAYBILL_KAFKA_PORT="+strconv.Itoa(c.port), "WAYBILL_KAFKA_HEAP=256m")
	if advertise != nil {
		c.env = append(c.env, "WAYBILL_KAFKA_ADVERTISE="+advertise(c.node(1)))
	}
	b.Cleanup(func() { c.run("stop") })
	out := strings.Fields(c.run("start", strconv.Itoa(n)))
	if len(out) == 0 {
		b.Fatal("kafka.sh printed no address")
	}
	c.addr = out[len(out)-1]
	return c
}

// freePorts finds room for three nodes and their controllers.
func freePorts(b *budget) int {
	for range 50 {
		port, free := 24000+100*rand.IntN(80), true
		for i := range 30 {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return port
		}
	}
	b.Fatal("there is no room for Kafka's ports")
	return 0
}

func (c *cluster) node(i int) string { return fmt.Sprintf("127.0.0.1:%d", c.port+10*(i-1)) }

func (c *cluster) run(args ...string) string {
	c.b.Helper()
	cmd := exec.Command(kafkaScript, args...)
	cmd.Env = c.env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		c.b.Errorf("kafka.sh %v: %v\n%s", args, err, errs.String())
	}
	return string(out)
}

func (c *cluster) kill(i int) { c.run("kill", strconv.Itoa(i)) }
func (c *cluster) up(i int)   { c.run("up", strconv.Itoa(i)) }

// brokerKilled ends the broker as in a crash and starts it again. Webhooks are taken all the time; what they brought flows on afterwards.
func brokerKilled(b *budget) {
	c := ownKafka(b, 1, nil)
	w := newWorld(b.T, b.setup, func(p *project) { p.Brokers = c.addr })
	h := w.hub()
	h.start()
	var refused atomic.Int64
	for b.more(1) {
		// What comes during the outage has to be brought home on top of what comes after it.
		end := w.background(load{Rate: 60, Batch: b.size(5, 20), Keys: b.size(20, 500), Refused: func(int, string) { refused.Add(1) }})
		w.delivered(int64(50+rand.IntN(200)), 2*time.Minute)
		before := w.ledger.total()
		c.kill(1)
		time.Sleep(rand.N(time.Duration(b.size(500, 3000)) * time.Millisecond)) // an outage has some length
		if w.ledger.total() == before {
			b.Log("nothing was sent during the outage")
		}
		c.up(1)
		began := time.Now()
		w.delivered(100, 2*time.Minute)
		end()
		w.quiet(5 * time.Minute)
		took := time.Since(began)
		if !b.short {
			b.within("draining after the broker's return", took, time.Minute)
		}
		b.happened(took)
	}
	if n := refused.Load(); n > 0 {
		b.Errorf("%d requests were refused: the inbox does not need the broker", n)
	}
	b.judge(w, rules{})
}

// threeBrokers loses one of three brokers under load, which nothing may suffer from, and then two, which stops the flows but not the
// taking of webhooks.
func threeBrokers(b *budget) {
	c := ownKafka(b, 3, nil)
	w := newWorld(b.T, b.setup, func(p *project) { p.Brokers, p.Replication = c.addr, 3 })
	h := w.hub()
	h.start()
	b.insyncTwo(w, c)
	var refused atomic.Int64
	l := load{Rate: float64(b.size(60, 3000)), Batch: b.size(5, 100), Keys: b.size(20, 500), Refused: func(int, string) { refused.Add(1) }}
	for b.more(1) {
		one := 1 + b.reps%3
		end := w.background(l)
		w.delivered(100, 2*time.Minute)
		began := time.Now()
		c.kill(one)
		// New leaders are chosen when the lost broker's session with the controllers ends.
		w.delivered(int64(b.size(100, 2000)), time.Minute)
		lost := time.Since(began)
		two := 1 + (one+rand.IntN(2))%3
		c.kill(two)
		before := w.ledger.total()
		for deadline := time.Now().Add(time.Minute); w.ledger.total() < before+100; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatal("webhooks are not taken while two brokers of three are lost")
			}
		}
		time.Sleep(rand.N(time.Duration(b.size(300, 5000)) * time.Millisecond)) // an outage has some length
		var back sync.WaitGroup
		for _, i := range []int{one, two} {
			back.Go(func() { c.up(i) })
		}
		back.Wait()
		began = time.Now()
		w.delivered(100, 2*time.Minute)
		end()
		w.quiet(5 * time.Minute)
		took := time.Since(began)
		if !b.short {
			b.within("going on with two brokers of three", lost, time.Minute)
			b.within("draining after the brokers' return", took, time.Minute)
		}
		b.Logf("deliveries went on within %s after one was lost; drained %s after two came back", lost.Round(time.Millisecond), took.Round(time.Millisecond))
		b.happened(max(lost, took))
	}
	if n := refused.Load(); n > 0 {
		b.Errorf("%d requests were refused: the inbox does not need the broker", n)
	}
	b.judge(w, rules{})
}

// insyncTwo checks that the hub's topics are acknowledged by two brokers.
func (b *budget) insyncTwo(w *world, c *cluster) {
	b.Helper()
	client := &kafka.Client{Addr: kafka.TCP(strings.Split(c.addr, ",")...), Timeout: 10 * time.Second}
	res, err := client.DescribeConfigs(b.Context(), &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: w.p.topic("canonical.customer"), ConfigNames: []string{"min.insync.replicas"}}}})
	if err != nil {
		b.Fatal(err)
	}
	if len(res.Resources) != 1 || len(res.Resources[0].ConfigEntries) != 1 {
		b.Fatalf("the broker does not say min.insync.replicas: %+v", res)
	}
	if e := res.Resources[0].ConfigEntries[0]; e.ConfigValue != "2" || e.ConfigSource != 1 {
		b.Errorf("min.insync.replicas of the hub's topics is %s, set by source %d; want 2, set for the topic", e.ConfigValue, e.ConfigSource)
	}
}

// stopwatch notes the longest request, whatever came of it.
type stopwatch struct {
	http.RoundTripper
	longest atomic.Int64
	code    [600]atomic.Int64
}

func (s *stopwatch) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := s.RoundTripper.RoundTrip(r)
	took := int64(time.Since(began))
	for {
		old := s.longest.Load()
		if took <= old || s.longest.CompareAndSwap(old, took) {
			break
		}
	}
	if err == nil {
		s.code[resp.StatusCode].Add(1)
	}
	return resp, err
}

// badLines puts a proxy before the broker, the database and each target, and makes each of them cut, refuse, swallow and delay.
func badLines(b *budget) {
	lines := map[string]*proxy{}
	if b.setup == onKafka {
		// The broker tells its clients where it is to be found: at the proxy.
		ownKafka(b, 1, func(addr string) string {
			lines["broker"] = newProxy(b.T, addr)
			return lines["broker"].addr()
		})
	}
	w := newWorld(b.T, b.setup, func(p *project) {
		p.RetryFor = "30m"
		if b.setup != onKafka {
			return
		}
		p.Brokers = lines["broker"].addr()
		u, err := url.Parse(p.Store)
		if err != nil {
			b.Fatal(err)
		}
		lines["store"] = newProxy(b.T, u.Host)
		u.Host = lines["store"].addr()
		p.Store = u.String()
	})
	for name, g := range w.targets {
		lines[name] = newProxy(b.T, g.addr)
		w.p.TargetURLs[name] = "http://" + lines[name].addr()
	}
	h := w.hub()
	h.start()
	watch := &stopwatch{RoundTripper: client.Transport}
	c := &http.Client{Timeout: 30 * time.Second, Transport: watch}
	end := w.background(load{Client: c, Rate: 300, Batch: b.size(10, 50), Keys: b.size(50, 500)})
	w.delivered(50, time.Minute)
	storeOut := false
	for i := 0; b.more(b.size(len(shortPlan(b.setup)), 1)); i++ {
		name, how, length := "", pass, time.Duration(0)
		if b.short {
			plan := shortPlan(b.setup)
			s := plan[i%len(plan)]
			name, how, length = s.name, s.how, s.length
		} else {
			names := sortedNames(lines)
			name, how = names[rand.IntN(len(names))], passing(1+rand.IntN(int(sluggish)))
			length = time.Second + rand.N(19*time.Second)
		}
		p, before := lines[name], lines[name].hurt.Load()
		p.be(how)
		if !b.short && rand.IntN(2) == 0 {
			p.cut() // new ones then meet it from their first byte on
		}
		storeOut = storeOut || name == "store" && how != sluggish && length > 2*time.Second
		select {
		case <-time.After(length): // the length of the trouble
		case <-b.Context().Done():
		}
		// On a busy machine nothing may have gone over the line so far: the short form has each of its troubles once.
		for deadline := time.Now().Add(30 * time.Second); b.short && p.hurt.Load() == before && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		}
		p.be(pass)
		began := time.Now()
		promised := w.ledger.total()
		for deadline := began.Add(90 * time.Second); w.ledger.total() == promised; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%s was %s for %s: no webhook is taken 90 s later", name, passings[how], length)
			}
		}
		w.delivered(200, 90*time.Second)
		took := time.Since(began)
		b.Logf("%s %s for %s: well again after %s", name, passings[how], length.Round(100*time.Millisecond), took.Round(time.Millisecond))
		if p.hurt.Load() == before {
			b.Logf("%s: nothing went over this line meanwhile", name)
		}
		if !b.short {
			b.within("getting well after "+name+" was "+passings[how], took, time.Minute)
		}
		b.happened(took)
	}
	end()
	b.Logf("drained %s behind the last trouble", w.quiet(5*time.Minute)) // senders have gone on all the while
	b.judge(w, rules{})
	if n := watch.code[http.StatusServiceUnavailable].Load(); storeOut && n == 0 {
		b.Error("no webhook was answered 503 while the store could not be reached")
	} else {
		b.Logf("%d webhooks were answered 503, the longest request took %s", n, time.Duration(watch.longest.Load()).Round(time.Millisecond))
	}
	if longest := time.Duration(watch.longest.Load()); longest > 12*time.Second {
		b.Errorf("a webhook was left without an answer for %s", longest)
	}
	for name, p := range lines {
		if p.hurt.Load() == 0 {
			b.Errorf("nothing happened to the line to %s", name)
		}
	}
}

type trouble struct {
	name   string
	how    passing
	length time.Duration
}

// shortPlan is the short form's part of what may happen.
func shortPlan(s setup) []trouble {
	plan := []trouble{{"alpha", swallow, time.Second}, {"beta", refuse, 500 * time.Millisecond}, {"alpha", dumb, 500 * time.Millisecond}}
	if s == onKafka {
		plan = append(plan, trouble{"broker", refuse, 500 * time.Millisecond}, trouble{"broker", swallow, time.Second},
			// Last: nothing cuts the connections that it leaves dead.
			trouble{"store", refuse, 500 * time.Millisecond}, trouble{"store", swallow, 5 * time.Second})
	}
	return plan
}
