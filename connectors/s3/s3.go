// Package s3 is the connector for files in buckets of S3 and of services that speak its protocol. A file that is written is there whole or not at all, and never replaces another one.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "s3".
type Kind struct{}

type settings struct {
	connector.Common `yaml:",inline"`
	Endpoint         string            `yaml:"endpoint,required" doc:"host of the service, with its port where it has another than 443, such as s3.eu-central-1.amazonaws.com"`
	Bucket           string            `yaml:"bucket,required" doc:"the bucket. The hub does not make it"`
	Prefix           string            `yaml:"prefix" doc:"what the names of all files begin with, without a slash at its end; default: nothing"`
	Region           string            `yaml:"region" default:"us-east-1" doc:"the bucket's region"`
	Access           strictyaml.Secret `yaml:"access-key,required" doc:"id of the access key"`
	Key              strictyaml.Secret `yaml:"secret-key,required" doc:"the key"`
	TLS              bool              `yaml:"tls" default:"true" doc:"false: without encryption, for services on this machine or behind a proxy of it"`
	Style            string            `yaml:"style" default:"auto" enum:"auto,path,host" doc:"whether the bucket's name stands in the path or in the host of addresses; auto: as the service is known to want it"`
	Timeout          time.Duration     `yaml:"timeout" default:"30s" doc:"for connecting, and how long the service may say nothing while something is asked of it"`
	Objects          drop.Objects      `yaml:"objects,required" doc:"the object types, by the name that flows use"`
}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "s3",
		Summary: "Files in a bucket of S3 or of a service that speaks its protocol: CSV, JSON lines and others (docs/files.md)",
		Fields:  connector.Fields[settings](),
		Can:     drop.Abilities(),
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Describe tells of one object type what its settings say of the documents.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	return read(s, nil).Objects.Describe(object)
}

// Reads are the files beside the configuration that the settings name.
func (Kind) Reads(s connector.Settings) []string { return read(s, nil).Objects.Reads(s) }

// Open makes the system ready. Nothing is asked of the service.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	b, err := newBucket(set)
	if err != nil {
		return nil, err
	}
	return drop.New(s, set.Objects, b), nil
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	n := s.Node
	if strings.Contains(set.Endpoint, "/") {
		p.AddHint(n.Get("endpoint").Pos(), "write the host alone, such as s3.eu-central-1.amazonaws.com", "endpoint: %q is no host", set.Endpoint)
	}
	if set.Prefix != "" && (path.Clean(set.Prefix) != set.Prefix || strings.HasPrefix(set.Prefix, "/") || strings.HasPrefix(set.Prefix, "..")) {
		p.AddHint(n.Get("prefix").Pos(), "write for example exchange/out", "prefix: %q is none", set.Prefix)
	}
	if n.Has("timeout") {
		connector.Positive(n.Get("timeout"), p)
	}
	set.Objects.Complete(s, "", p)
	return set
}

// bucket is a part of one: what lies below a prefix.
type bucket struct {
	set    *settings
	client *minio.Client
	copies drop.Copies
	close  func()
	// conditions: it was seen that the service keeps to them.
	conditions atomic.Bool
}

func newBucket(set *settings) (*bucket, error) {
	t, err := minio.DefaultTransport(set.TLS)
	if err != nil {
		return nil, err
	}
	t.Proxy = nil
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := httpclient.Dialer().DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return drop.Timed(c, set.Timeout), nil
	}
	t.TLSHandshakeTimeout, t.ResponseHeaderTimeout = set.Timeout, set.Timeout
	style := map[string]minio.BucketLookupType{"auto": minio.BucketLookupAuto, "path": minio.BucketLookupPath, "host": minio.BucketLookupDNS}[set.Style]
	client, err := minio.New(set.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(set.Access.Reveal(), set.Key.Reveal(), ""), Secure: set.TLS, Region: set.Region, Transport: conditional{t}, BucketLookup: style, MaxRetries: 1,
	})
	if err != nil {
		return nil, err
	}
	return &bucket{set: set, client: client, close: t.CloseIdleConnections}, nil
}

// Close closes connections that nobody uses.
func (b *bucket) Close() error {
	b.close()
	return b.copies.Close()
}

// Folder gives what lies below a path. There are no folders: it is there where the bucket is.
func (b *bucket) Folder(ctx context.Context, dir string) (drop.Folder, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &folder{b, ctx, path.Join(b.set.Prefix, dir)}, nil
}

// answered gives the failure of a call its class. What the service says of one name is an fs error.
func answered(name string, err error) error {
	if err == nil {
		return nil
	}
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return fault.New(fault.Unavailable, "%s: %w", name, err)
	}
	kind := fault.Unavailable
	switch {
	case r.Code == "NoSuchKey" || r.Code == "NotFound" || r.StatusCode == http.StatusNotFound && r.Code == "":
		return &fs.PathError{Op: "s3", Path: name, Err: fs.ErrNotExist}
	case r.StatusCode == http.StatusPreconditionFailed || r.Code == minio.PreconditionFailed, r.Code == "ConditionalRequestConflict": // the last: of two at the same time
		return &fs.PathError{Op: "s3", Path: name, Err: errCondition}
	// The last is what Versity says to an access key that nobody has.
	case slices.Contains([]string{"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound"}, r.Code) || r.StatusCode == http.StatusForbidden:
		kind = fault.Auth
	case r.StatusCode == http.StatusTooManyRequests || r.Code == "SlowDown":
		kind = fault.RateLimited
	}
	return &fault.Error{Kind: kind, Code: r.Code, Err: fmt.Errorf("%s: the service says: %s", name, r.Message)}
}

// errCondition: the file is not, or not any more, what the call wants it to be.
var errCondition = errors.New("the file is another one than was expected")
