package connectors

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
)

func TestAll(t *testing.T) {
	r, err := connector.NewRegistry(All()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.Names() {
		k, ok := r.Get(name)
		if !ok || k.Spec().Kind != name {
			t.Errorf("%s: %v", name, k)
		}
	}
}

const head = `# Connectors

*Written by ` + "`go test ./connectors -update`" + ` from the settings' own descriptions; change those.*

A system of the hub's configuration names its connector and that connector's settings:

` + "```yaml" + `
systems:
  erp:
    connector: sql
    visible-after: 5s
    # … the connector's settings, below
` + "```" + `

| setting of every system | type | default | meaning |
|---|---|---|---|
| ` + "`connector`" + ` | string | **required** | one of the kinds below |
| ` + "`visible-after`" + ` | duration | ` + "`0s`" + ` | how long after a write the object can be looked up |

Objects are named as flows name them: by ` + "`object`, or else by the flow's `entity`" + `. In the tables, ` + "`NAME`" + ` stands for such a name, and
` + "`[]`" + ` for every element of a list. A *secret* is never written into a file: ` + "`${env:NAME}` or `${file:PATH}`" + `. A *size* is written
` + "`512KiB`, a *duration* `30s`, a *rate* `50/s`" + `. A *path* inside a document is made of names with dots between them, and numbers
inside lists: ` + "`0.errorCode`" + `.

What every connector does, and ` + "`internal/connector/connectortest`" + ` proves:

- **Nothing twice.** A create with an external id that is there already fails as a duplicate, or takes that object over.
- **Every failure has a class.** *Unavailable* was certainly not applied. Whatever may have been applied has an *unknown
  outcome*, and the engine looks before it sends again.
- **Nothing by a hub that was replaced.** Right before something is changed the engine is asked whether it may still be, and what it
  forbids is left as it was.
- **No change is left out.** A poll reads again what is stamped at or after its newest stamp, less the flow's ` + "`overlap`" + `, which must
  cover how long a change takes from its stamp to its commit, and how far the clocks of several writers are apart. What was
  handed out before and is still the same is not handed out again. Where stamps are local times without a zone, the
  hour that comes twice when clocks go back is read again as a whole until it is over; a reading there is of the second time as soon
  as that has come, unless the same state was read in the first.
- **No secret comes out**, not in failures, not in logs, not when a server sends it back.
- **Nowhere else.** Link-local and metadata addresses are refused, redirects and links to other servers are not followed.

`

// TestDocumentation keeps docs/connectors.md what the code says.
func TestDocumentation(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for _, k := range All() {
		b.WriteString(k.Spec().Markdown() + "\n")
	}
	connectortest.Golden(t, filepath.Join("..", "docs", "connectors.md"), []byte(strings.TrimRight(b.String(), "\n")+"\n"))
}
