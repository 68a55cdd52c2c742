#!/bin/bash
# A consumer group of kafka-go whose topic is deleted forms a new generation without any rest, some fifty to a hundred times a second, until the topic is back:
# with WatchPartitionChanges the watcher of the topic ends the generation as soon as it cannot find the topic, and only a join that *fails* is followed by
# JoinGroupBackoff. No call of the library gives an error: Next hands out one empty generation after the other.
#
# Seen with kafka-go v0.4.51 and Apache Kafka 4.1.0 on 2026-11-29. One would expect an error from Next, or JoinGroupBackoff between generations.
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
  "log.dirs=$dir/log" offsets.topic.replication.factor=1 group.initial.rebalance.delay.ms=0 auto.create.topics.enable=false >server.properties
java -cp 'lib/*' kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c server.properties >/dev/null 2>&1
java -Xmx512m -cp 'lib/*' kafka.Kafka server.properties >broker.log 2>&1 &
pid=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 $pid; sleep 0.2; done
cd app
printf 'module example.com/app\ngo 1.25\nrequire github.com/segmentio/kafka-go v0.4.51\n' >go.mod
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"
	"github.com/segmentio/kafka-go"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}
func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	admin := &kafka.Client{Addr: kafka.TCP(os.Args[1])}
	for made := error(context.Canceled); made != nil; { // a broker that starts cannot make topics at once
		res, err := admin.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "t", NumPartitions: 2, ReplicationFactor: 1}}})
		must(err)
		made = res.Errors["t"]
	}
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: "g", Brokers: []string{os.Args[1]}, Topics: []string{"t"}, WatchPartitionChanges: true,
		PartitionWatchInterval: time.Second, JoinGroupBackoff: time.Second})
	must(err)
	first, err := g.Next(ctx)
	for err != nil && ctx.Err() == nil { // its coordinator starts, too
		first, err = g.Next(ctx)
	}
	fmt.Println("partitions at first:", len(first.Assignments["t"]))
	_, err = admin.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{"t"}})
	must(err)
	generations, failed, until := 0, 0, time.Now().Add(10*time.Second)
	for time.Now().Before(until) {
		if _, err := g.Next(ctx); err != nil {
			failed++
		} else {
			generations++
		}
	}
	fmt.Fprintln(os.Stderr, generations, "generations in 10 s after the topic was deleted,", failed, "failures")
	fmt.Println("more than 100 generations:", generations > 100, "- as many failures as would show:", failed > 3)
}
GO
go mod tidy >/dev/null 2>&1
said=$(go run . "127.0.0.1:$port")
echo "$said"
[ "$said" = "partitions at first: 2
more than 100 generations: true - as many failures as would show: false" ]
echo "as stated"
