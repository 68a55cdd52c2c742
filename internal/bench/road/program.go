package road

import (
	"context"
	"os"
)

// program is what carries the webhooks to the target.
type program interface {
	name() string
	start(ctx context.Context, d *drive, target string) (*started, error)
}

// started is a program that is ready to take webhooks.
type started struct {
	hook     string
	flow     string // the one that delivers, of a hub
	accepted int    // the status of a webhook that was taken
	guards   bool
	usage    func() usage
	stop     func() error
}

const againstName = "against"

// programs are this build first, then those beside it.
func (o *Options) programs(ctx context.Context) ([]program, error) {
	me, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := []program{&hub{called: "this", binary: me, own: true}}
	if o.Beside != "" {
		list = append(list, &hub{called: "beside_" + o.Beside, binary: me, own: true, beside: o.Beside})
	}
	if o.Against != "" {
		list = append(list, &hub{called: againstName, binary: o.Against})
	}
	if o.Benthos != "" {
		list = append(list, &benthos{binary: o.Benthos})
	}
	return list, ctx.Err()
}
