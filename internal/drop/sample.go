package drop

import (
	"context"
	"errors"
	"io/fs"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Sample reads the first row of the first file that would be taken, whether it is complete or not; the file stays.
func (s *System) Sample(ctx context.Context, object string) (connector.Sample, error) {
	op := "sample " + object
	o, root, err := s.folder(ctx, op, object)
	if err != nil {
		return connector.Sample{}, err
	}
	defer root.Close()
	entries, err := root.List(".")
	if err != nil {
		return connector.Sample{}, s.classify(op, err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	for _, e := range entries {
		if wanted, _ := s.wants(o, e, names); !wanted {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			continue
		}
		if err != nil {
			return connector.Sample{}, s.classify(op, err)
		}
		f := connector.File{Name: e.Name(), Size: info.Size(), Modified: info.ModTime()}
		for row, err := range s.read(ctx, object, f.Name, f, 0) {
			return connector.Sample{Record: &connector.Record{Local: f.Name, Doc: row.Doc, Err: err}}, nil
		}
	}
	return connector.Sample{}, nil
}
