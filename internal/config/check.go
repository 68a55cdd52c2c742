package config

import (
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// checkPaths complains of two webhooks on one path.
func (l *loader) checkPaths() {
	first := map[string]strictyaml.Pos{}
	for _, d := range l.flows {
		w := d.flow.From.Webhook
		if w == nil || w.Path == "" {
			continue
		}
		at := d.node.Get("from").Get("webhook").Get("path").Pos()
		if other, twice := first[w.Path]; twice {
			l.p.AddHint(at, "give each webhook a path of its own", "path: %s is taken by another flow, at %s", w.Path, other)
			continue
		}
		first[w.Path] = at
	}
}

// checkTopics looks at how flows hang together by topics.
func (l *loader) checkTopics() {
	writers := map[string][]*flowDocument{}
	for _, d := range l.flows {
		if d.flow.To.Topic != "" {
			writers[d.flow.To.Topic] = append(writers[d.flow.To.Topic], d)
		}
	}
	for _, d := range l.flows {
		l.checkWriters(d, writers[d.flow.From.Topic])
		l.checkForeign(d, writers[d.flow.From.Topic])
	}
	l.checkLoops()
	l.checkTopicNames()
	l.checkEchoes()
}

// checkTopicNames complains of two topics whose names differ in dots and underscores alone: Kafka refuses the second, because the metrics of both
// would have one name.
func (l *loader) checkTopicNames() {
	first := map[string]strictyaml.Pos{}
	name := map[string]string{}
	add := func(topic string, at strictyaml.Pos) {
		key := strings.ReplaceAll(topic, ".", "_")
		switch other, taken := name[key]; {
		case topic == "":
		case !taken:
			first[key], name[key] = at, topic
		case other != topic:
			l.p.AddHint(at, "rename one of them", "the topics %s and %s (%s) differ in dots and underscores alone, which Kafka refuses", topic, other, first[key])
		}
	}
	for _, d := range l.flows {
		add(d.flow.From.Topic, d.node.Get("from").Get("topic").Pos())
		add(d.flow.To.Topic, d.node.Get("to").Get("topic").Pos())
		if d.flow.From.Topic == "" {
			add(d.flow.Topic(), d.node.Get("flow").Pos())
		}
	}
}

// checkWriters complains when a flow expects another document than is written to its topic.
func (l *loader) checkWriters(d *flowDocument, writers []*flowDocument) {
	for _, w := range writers {
		if d.in == "" || w.out == "" || d.in == w.out {
			continue
		}
		at := d.node.Get("accept")
		if at.Kind() == strictyaml.Missing {
			at = d.node.Get("map")
		}
		l.p.AddHint(at.Pos(), "read "+w.out+" here, or write "+d.in+" there",
			"this flow reads %s, but the flow %q writes %s to the topic %s", d.in, w.flow.Name, w.out, d.flow.From.Topic)
	}
}

// checkForeign complains of a flow that computes its key from records of a foreign program and lacks a version: the records'
// offsets would stand in for it, and those of different partitions do not compare.
func (l *loader) checkForeign(d *flowDocument, writers []*flowDocument) {
	if d.flow.From.Topic == "" || len(writers) > 0 || d.flow.Key == nil || d.flow.Version != nil {
		return
	}
	l.p.AddHint(d.node.Get("key").Pos(), "add version: a time or a number in the document that rises with every change",
		"a key computed from the topic %s needs a version: no flow writes that topic, and offsets of different partitions do not compare", d.flow.From.Topic)
}

// checkLoops complains of topics that flows write in a circle: an event would go round for ever.
func (l *loader) checkLoops() {
	const onPath, done = 1, 2
	state := map[*flowDocument]int{}
	var path []*flowDocument
	var visit func(d *flowDocument)
	visit = func(d *flowDocument) {
		state[d] = onPath
		path = append(path, d)
		for _, next := range l.flows {
			if d.flow.To.Topic == "" || next.flow.From.Topic != d.flow.To.Topic {
				continue
			}
			switch state[next] {
			case 0:
				visit(next)
			case onPath:
				l.loop(path[slices.Index(path, next):])
			}
		}
		path = path[:len(path)-1]
		state[d] = done
	}
	for _, d := range l.flows {
		if state[d] == 0 {
			visit(d)
		}
	}
}

func (l *loader) loop(circle []*flowDocument) {
	var names []string
	for _, d := range circle {
		names = append(names, d.flow.Name+" → "+d.flow.To.Topic)
	}
	l.p.AddHint(circle[0].node.Get("to").Get("topic").Pos(), "break the circle: let one of them read or write another topic",
		"an event would go round for ever: %s", strings.Join(names, " → "))
}

// cron checks the shape of a cron line and its zone; the rest is up to Options.Cron.
func (l *loader) cron(line, zone strictyaml.Node) {
	if zone.Kind() == strictyaml.Scalar && l.zone(zone) == nil {
		zone = strictyaml.Node{}
	}
	if line.Kind() != strictyaml.Scalar {
		return
	}
	const hint = "write minute hour day-of-month month day-of-week, for example 0 2 * * *"
	text := line.Text()
	switch {
	case strings.Contains(text, "TZ="):
		l.p.AddHint(line.Pos(), "write the zone as timezone", "%s: the zone does not belong into the line", line.Key())
		return
	case !strings.HasPrefix(text, "@") && len(strings.Fields(text)) != 5:
		l.p.AddHint(line.Pos(), hint, "%s: a cron line has 5 fields, this one has %d", line.Key(), len(strings.Fields(text)))
		return
	}
	if l.o.Cron == nil {
		return
	}
	if err := l.o.Cron(text, zone.Text()); err != nil {
		l.p.AddHint(line.Pos(), hint, "%s: %s", line.Key(), err)
	}
}

// schedule reads when something runs; nil: only when asked.
func (l *loader) schedule(raw *scheduleFile, n strictyaml.Node) *Schedule {
	if raw == nil {
		return nil
	}
	l.cron(n.Get("cron"), n.Get("timezone"))
	if most := 24 * time.Hour; raw.Jitter > most {
		l.p.AddHint(n.Get("jitter").Pos(), "write for example 10m", "jitter: a run that begins up to %s later is another day's", strictyaml.FormatDuration(raw.Jitter))
	}
	return &Schedule{Cron: raw.Cron, Timezone: raw.Timezone, CatchUp: raw.CatchUp, Jitter: raw.Jitter}
}
