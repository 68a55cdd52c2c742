#!/bin/bash
# A consumer group of kafka-go cannot enter a group that a member of Kafka's new group protocol (KIP-848) is in, although Kafka lets classic members in:
# the broker answers UNKNOWN_SERVER_ERROR (-1), which says nothing of the cause.
#
# Seen with kafka-go v0.4.51, franz-go v1.22.2 and Apache Kafka 4.1.0 on 2026-11-29. kafka-go marks its subscription metadata as version 1 and leaves out the
# list of owned partitions that version 1 has. In a group of classic members nobody but the members reads it, so it never shows; where the group
# is of the new protocol the broker itself reads it, fails, and has no better code. A classic member of franz-go enters the same group at once.
set -euo pipefail
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
mkdir lib app
cat >pom.xml <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.1.0</version></dependency></dependencies></project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null
port=$((20000 + RANDOM % 9000))
printf '%s\n' process.roles=broker,controller node.id=1 "controller.quorum.voters=1@127.0.0.1:$((port + 1))" controller.listener.names=CONTROLLER \
  "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))" listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT \
  "log.dirs=$dir/log" offsets.topic.replication.factor=1 group.initial.rebalance.delay.ms=0 >server.properties
java -cp 'lib/*' kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c server.properties >/dev/null 2>&1
java -Xmx512m -cp 'lib/*' kafka.Kafka server.properties >broker.log 2>&1 &
pid=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 $pid; sleep 0.2; done
cd app
printf 'module example.com/app\ngo 1.25\nrequire (\n\tgithub.com/segmentio/kafka-go v0.4.51\n\tgithub.com/twmb/franz-go v1.22.2\n)\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at := os.Args[1]
	_, err := (&kafka.Client{Addr: kafka.TCP(at)}).CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "t", NumPartitions: 2, ReplicationFactor: 1}}})
	must(err)
	member := func(more ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(more, kgo.SeedBrokers(at), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		must(err)
		return c
	}
	p, err := kgo.NewClient(kgo.SeedBrokers(at))
	must(err)
	must(p.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("1")}).FirstErr())
	newer := member(kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	must(newer.PollFetches(ctx).Err())
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: "g", Brokers: []string{at}, Topics: []string{"t"}})
	must(err)
	_, err = g.Next(ctx)
	fmt.Println("kafka-go:", err)
	classic := member(kgo.Balancers(kgo.RangeBalancer()), kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
		fmt.Println("franz-go, classic: is in the group")
		os.Exit(0)
	}))
	classic.PollFetches(ctx)
}
GO
go mod tidy >/dev/null 2>&1
said=$(go run . "127.0.0.1:$port")
echo "$said"
[ "$said" = "kafka-go: [-1] Unknown: an unexpected server error occurred
franz-go, classic: is in the group" ]
echo "as stated"
