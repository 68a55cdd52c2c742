#!/usr/bin/env bash
# Apache Kafka for tests: KRaft, 1 or 3 nodes on 127.0.0.1, from Maven Central. Needs Java 17 and Maven.
#
#   kafka.sh start [N]   install if needed, start N nodes (1 or 3, default 1), print their addresses
#   kafka.sh restart     end all nodes and start them again with their data (WAYBILL_KAFKA_SIGNAL=KILL: as in a crash)
#   kafka.sh kill I      node I ends as in a crash; it keeps its data
#   kafka.sh up I        start node I again
#   kafka.sh stop        end all nodes and delete their data
#
# It ends with 77 where the machine lacks what it needs, and says what.
#
# WAYBILL_KAFKA_PORT     port of the first node (default 19092); node i listens on PORT+10(i-1), its controller one above
# WAYBILL_KAFKA_ADVERTISE  host:port that clients are told for node 1, in place of its own: a proxy's
# WAYBILL_KAFKA_SETTINGS more lines of server.properties: an authorizer
# WAYBILL_KAFKA_HEAP     of each node, default 512m
# WAYBILL_KAFKA_VERSION  default 4.1.0
# XDG_CACHE_HOME         the jars and data lie in $XDG_CACHE_HOME/waybill/kafka (default ~/.cache/waybill/kafka)
set -euo pipefail

port=${WAYBILL_KAFKA_PORT:-19092}
version=${WAYBILL_KAFKA_VERSION:-4.1.0}
signal=${WAYBILL_KAFKA_SIGNAL:-TERM}
heap=${WAYBILL_KAFKA_HEAP:-512m}
home=${XDG_CACHE_HOME:-$HOME/.cache}/waybill/kafka
lib=$home/$version/lib
data=$home/data-$port

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

lacks() {
  echo "kafka.sh: $*" >&2
  exit 77
}

install() {
  [ -e "$lib/.complete" ] && return
  command -v java >/dev/null || lacks "java is missing: apt-get install openjdk-17-jre-headless"
  command -v mvn >/dev/null || lacks "mvn is missing: apt-get install maven"
  mkdir -p "$lib"
  cat >"$home/$version/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>waybill.test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  (cd "$home/$version" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >&2)
  ls "$lib"/kafka_2.13-*.jar >/dev/null 2>&1 || fail "Maven copied no Kafka into $lib"
  touch "$lib/.complete"
}

broker_port() { echo $((port + 10 * ($1 - 1))); }

configure() { # N
  local n=$1 i voters="" replicas
  replicas=$n
  for i in $(seq "$n"); do
    voters+="${voters:+,}$i@127.0.0.1:$(($(broker_port "$i") + 1))"
  done
  local id
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
  id=${id/#-/A} # a leading dash would be taken for an option
  for i in $(seq "$n"); do
    local dir=$data/$i p told
    p=$(broker_port "$i")
    told=127.0.0.1:$p
    [ "$i" != 1 ] || told=${WAYBILL_KAFKA_ADVERTISE:-$told}
    mkdir -p "$dir"
    cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$i
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$p,CONTROLLER://127.0.0.1:$((p + 1))
advertised.listeners=PLAINTEXT://$told
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/log
auto.create.topics.enable=false
num.partitions=4
default.replication.factor=$replicas
min.insync.replicas=$(((n + 1) / 2))
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$(((n + 1) / 2))
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=10485760
log.retention.hours=24
${WAYBILL_KAFKA_SETTINGS:-}
PROPERTIES
    java -cp "$lib/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >/dev/null
  done
}

# alive tells how many brokers the one at a port knows to be alive, itself among them: a node listens before its controller lets it take part,
# and until then topics cannot be made. It asks for the metadata of no topic (version 1) and reads how many brokers the answer begins with.
alive() { # PORT
  local answer
  answer=$({
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
    printf '\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x00\x00\x00\x00' >&3
    timeout 1 head -c 12 <&3 | od -An -tu1
  } 2>/dev/null) || true
  set -- $answer
  echo "${12:-0}"
}

launch() { # [I]
  local dir i all=0
  for dir in "$data"/${1:-*}/; do
    setsid nohup java -Xms64m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$lib/*" kafka.Kafka "$dir/server.properties" \
      >"$dir/out" 2>&1 </dev/null &
    echo $! >"$dir/pid"
  done
  for dir in "$data"/*/; do
    [ -e "$dir/pid" ] && all=$((all + 1))
  done
  for dir in "$data"/${1:-*}/; do
    i=$(basename "$dir")
    local until=$((SECONDS + 60))
    until [ "$(alive "$(broker_port "$i")")" -ge "$all" ]; do
      kill -0 "$(cat "$dir/pid")" 2>/dev/null || fail "node $i ended: $(tail -5 "$dir/out")"
      [ "$SECONDS" -lt "$until" ] || fail "node $i and its peers are not all there after a minute: see $dir/out"
      sleep 0.1
    done
  done
}

# runs reports whether the broker of a folder does: another process may have its number since.
runs() { # DIR
  local args
  [ -e "$1/pid" ] && args=$(ps -o args= -p "$(cat "$1/pid")") && [[ $args == *"$1/server.properties"* ]]
}

# abandoned reports whether the data are those of brokers that nobody has stopped and that do not run any more.
abandoned() {
  local dir
  for dir in "$data"/*/; do
    runs "$dir" && return 1
  done
  [ -n "$(find "$data" -maxdepth 0 -mmin +2)" ] # they may be about to start
}

end() { # SIGNAL [I]
  local dir pid tries=0
  for dir in "$data"/${2:-*}/; do
    runs "$dir" && kill -s "$1" "$(cat "$dir/pid")" 2>/dev/null || true
  done
  for dir in "$data"/${2:-*}/; do
    [ -e "$dir/pid" ] || continue
    pid=$(cat "$dir/pid")
    while runs "$dir"; do
      tries=$((tries + 1))
      [ "$tries" -lt 300 ] || kill -s KILL "$pid" 2>/dev/null || true
      sleep 0.1
    done
    rm -f "$dir/pid"
  done
}

addresses() {
  local dir list=""
  for dir in "$data"/*/; do
    list+="${list:+,}127.0.0.1:$(broker_port "$(basename "$dir")")"
  done
  echo "$list"
}

case ${1:-} in
start)
  n=${2:-1}
  case $n in 1 | 3) ;; *) fail "start 1 or 3 nodes, not $n" ;; esac
  if [ -d "$data" ]; then
    abandoned || fail "$data exists: stop first, or choose another WAYBILL_KAFKA_PORT"
    rm -rf "$data"
  fi
  install
  configure "$n"
  launch
  addresses
  ;;
restart)
  [ -d "$data" ] || fail "not started: there is no $data"
  end "$signal"
  launch
  addresses
  ;;
kill)
  [ -d "$data/${2:?node}" ] || fail "there is no node $2 in $data"
  end KILL "$2"
  ;;
up)
  [ -d "$data/${2:?node}" ] || fail "there is no node $2 in $data"
  launch "$2"
  ;;
stop)
  [ -d "$data" ] || exit 0
  end TERM
  rm -rf "$data"
  ;;
*)
  sed -n '2,19s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
