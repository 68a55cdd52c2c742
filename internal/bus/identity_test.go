package bus

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// A batch that a broker is sent twice is there once, also behind others; one of an older epoch is refused once one of a newer is there.
func TestSignedBatches(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		ctx := within(t, 30*time.Second)
		d := &identity{}
		if err := c.identify(ctx, d); err != nil || !d.known {
			t.Fatalf("%+v, %v", d, err)
		}
		w := &producer{c: c, topic: name}
		batch := func(values ...string) []byte {
			b := w.begin(nil, 5*time.Second)
			at := len(b)
			var e batchWriter
			e.begin(b, time.Now())
			for _, v := range values {
				e.add(&event.Record{Key: []byte("k"), Value: []byte(v)})
			}
			b, err := e.end(0)
			if err != nil {
				t.Fatal(err)
			}
			w.end(b, at)
			d.sign(b[at:])
			return b
		}
		write := func(what string, b []byte, n int) int64 {
			t.Helper()
			tr := try{d: d, n: n, signed: true}
			base, err := w.produce(ctx, b, 5*time.Second)
			if err := tr.answered(err); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return base
		}
		first := batch("a", "b")
		if base := write("first", first, 2); base != 0 || d.next != 2 {
			t.Errorf("at %d, next %d", base, d.next)
		}
		second := batch("c")
		write("second", second, 1)
		for what, b := range map[string][]byte{"first": first, "second": second} {
			next := d.next
			if base := write(what+" again", b, 0); base != map[string]int64{"first": 0, "second": 2}[what] || d.next != next {
				t.Errorf("%s again: at %d", what, base)
			}
		}
		late := batch("late")
		d.bump()
		write("of a newer epoch", batch("d"), 1)
		if _, err := w.produce(ctx, late, 5*time.Second); !errors.Is(err, kafka.InvalidProducerEpoch) {
			t.Errorf("one of an older epoch: %v", err)
		}
		got, err := c.ReadFrom(ctx, name, 0, 0, 100, 1<<20)
		var values string
		for _, r := range got.Records {
			values += string(r.Value)
		}
		if err != nil || values != "abcd" {
			t.Errorf("%q, %v", values, err)
		}
	})
}

// What an answer means, given what was before.
func TestAnsweredTries(t *testing.T) {
	of := func(code kafka.Error) error { return &fault.Error{Kind: produceKind(code), Err: code} }
	lost := fault.New(fault.UnknownOutcome, "cut off")
	away := fault.New(fault.Unavailable, "refused")
	for _, c := range []struct {
		before, now error
		want        fault.Kind
		next        int32
		epoch       int16
	}{
		{nil, nil, fault.None, 7, 1},
		{lost, nil, fault.None, 7, 1},
		{lost, of(kafka.DuplicateSequenceNumber), fault.None, 7, 1},
		{nil, lost, fault.UnknownOutcome, 5, 1},
		{nil, away, fault.Unavailable, 5, 1},
		{lost, away, fault.UnknownOutcome, 5, 1},
		{lost, of(kafka.MessageSizeTooLarge), fault.Invalid, 5, 1},
		{nil, of(kafka.OutOfOrderSequenceNumber), fault.Unavailable, 0, 2},
		{lost, of(kafka.OutOfOrderSequenceNumber), fault.UnknownOutcome, 0, 2},
		{nil, of(kafka.UnknownProducerId), fault.Unavailable, 0, 2},
		{nil, of(kafka.InvalidProducerEpoch), fault.Unavailable, 0, 2},
		{nil, of(kafka.RequestTimedOut), fault.UnknownOutcome, 5, 1},
	} {
		d := &identity{known: true, epoch: 1, next: 5}
		tr := try{d: d, n: 2, signed: true}
		if c.before != nil {
			_ = tr.answered(c.before)
		}
		if err := tr.answered(c.now); fault.KindOf(err) != c.want || d.next != c.next || d.epoch != c.epoch {
			t.Errorf("%v, then %v: %v, %+v", c.before, c.now, err, d)
		}
	}
	d := &identity{known: true, epoch: math.MaxInt16, next: math.MaxInt32}
	if d.wrote(2); d.next != 1 {
		t.Errorf("the number behind the last is %d", d.next)
	}
	if d.bump(); d.known {
		t.Error("no epoch is behind the last")
	}
}

// An idempotent publisher's batches are there once each and in order, whatever it is beside.
func TestIdempotentPublisher(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 2)
		p := publisher(t, c, PublisherConfig{Idempotent: true, BatchBytes: 200, Compression: "lz4"})
		var all []event.Record
		for i := range 50 {
			all = append(all, record(name, fmt.Sprintf("k%d", i%5), fmt.Sprint(i)))
		}
		for i, s := range send(t, p, all...) {
			if s.Err != nil || s.Offset < 0 {
				t.Errorf("record %d: %+v", i, s)
			}
		}
		n := 0
		for i := range 2 {
			got, err := c.ReadFrom(within(t, 10*time.Second), name, i, 0, 100, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			n += len(got.Records)
		}
		if n != 50 {
			t.Errorf("%d records", n)
		}
	})
}
