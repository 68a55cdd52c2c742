package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/drop/droptest"
	"github.com/waybill-hub/waybill/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func place(t testing.TB) droptest.Place {
	dir := t.TempDir()
	return droptest.Place{Kind: Kind{}, System: "connector: file\npath: " + dir + "\n", Side: droptest.Dir(dir), Dir: dir}
}

func TestDrop(t *testing.T) { droptest.Run(t, place) }

func TestConformance(t *testing.T) {
	droptest.Conformance(t, place, func(p droptest.Place, objects string) droptest.Trouble {
		at := func(path, objects string) func(testing.TB, *connector.Settings) {
			return func(t testing.TB, s *connector.Settings) {
				*s = droptest.SettingsOf(t, "connector: file\npath: "+path+"\nobjects: "+objects, nil)
			}
		}
		return droptest.Trouble{
			Faults: []connectortest.Fault{
				{Name: "no folder", Want: fault.Unavailable, Arrange: at(p.Dir+"/none", objects)},
				{Name: "a file for a folder", Want: fault.Unavailable, Arrange: func(t testing.TB, s *connector.Settings) {
					p.Side.Put(t, "x", "")
					at(p.Dir+"/x", objects)(t, s)
				}},
			},
			Probes: []connectortest.Probe{
				{Name: "an empty folder"},
				{Name: "files in it", Arrange: func(t testing.TB, _ *connector.Settings) {
					if err := os.WriteFile(filepath.Join(p.Dir, "x"), nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}},
				{Name: "the folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "none", Arrange: at(p.Dir+"/none", objects)},
				{Name: "the object's folder is gone", Want: fault.Unavailable, Create: fault.Unavailable, Text: "sub", Arrange: at(p.Dir, "{stock: {path: sub, "+objects[len("{stock: {"):])},
				{Name: "a file stands where the folder was", Want: fault.Unavailable, Create: fault.Unavailable, Text: "not a directory", Arrange: func(t testing.TB, _ *connector.Settings) {
					if err := errors.Join(os.RemoveAll(p.Dir), os.WriteFile(p.Dir, nil, 0o600)); err != nil {
						t.Fatal(err)
					}
				}},
			},
		}
	})
}
