package config

import (
	"net/url"
	"strconv"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Traces says where spans go; an empty Endpoint: nowhere. Sample is the share of the hub's own traces that are told, from 0 to 1.
type Traces struct {
	Endpoint string
	Headers  map[string]strictyaml.Secret
	Sample   float64
}

// traces checks the collector's address.
func (l *loader) traces(raw tracesFile, n strictyaml.Node) Traces {
	t := Traces{Headers: raw.Headers}
	if n.Kind() == strictyaml.Missing {
		return t
	}
	at := n.Get("endpoint")
	u, err := url.Parse(raw.Endpoint)
	switch {
	case raw.Endpoint == "":
		l.p.AddHint(at.Pos(), "write for example http://127.0.0.1:4318", "traces: endpoint is missing")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !validHost(u.Hostname()):
		l.p.AddHint(at.Pos(), "write for example http://127.0.0.1:4318", "endpoint: %q is no address of HTTP", shorten(raw.Endpoint))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.p.AddHint(at.Pos(), "give a login in headers: {Authorization: \"${env:NAME}\"}", "endpoint: an address without a login, a query and a fragment is wanted: it is told in the log")
	default:
		if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
			l.p.Note(at.Pos(), "use https", "endpoint: what the hub tells %s can be read on the way", u.Host)
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/v1/traces"
		}
		t.Endpoint = u.String()
	}
	if t.Sample, err = strconv.ParseFloat(raw.Sample, 64); err != nil || !(t.Sample >= 0 && t.Sample <= 1) {
		l.p.AddHint(n.Get("sample").Pos(), "write a number from 0 to 1, for example 0.1 for every tenth", "sample: %q is not possible", shorten(raw.Sample))
	}
	return t
}
