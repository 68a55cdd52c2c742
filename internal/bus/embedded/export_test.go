package embedded

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// What tests look into.
const (
	AsideDir     = asideDir
	IdentityFile = identityFile
	IndexEntry   = indexEntry
	LockFile     = lockFile
	TopicsFile   = topicsFile
)

func Move(from, to string) error { return move(from, to) }

func (b *Broker) RemoveOld(ctx context.Context, now time.Time) error { return b.removeOld(ctx, now) }

func (b *Broker) Kafka() *kfake.Cluster { return b.kafka() }
