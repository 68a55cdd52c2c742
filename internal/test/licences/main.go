// Command licences reads a bill of materials (CycloneDX, JSON) and fails where a component has a licence that the hub may not be shipped with,
// or none that could be told: `licences SBOM OUT`. OUT gets the bill with the time of the commit in place of the time at which it was made
// (SOURCE_DATE_EPOCH), so that the same commit gives the same file.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allowed may be shipped in a binary as long as their texts are named.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

// known corrects what the tool says: it takes the BSD-3-Clause of Go's own modules for another licence (findings/sbom-bsd-source-code.sh).
func known(module, id string) string {
	if id == "BSD-Source-Code" && strings.HasPrefix(module, "golang.org/x/") {
		return "BSD-3-Clause"
	}
	return id
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: licences SBOM OUT")
		os.Exit(2)
	}
	said, err := run(os.Args[1], os.Args[2], os.Getenv("SOURCE_DATE_EPOCH"))
	fmt.Print(said)
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// bill is what is read of a bill of materials.
type bill struct {
	Components []struct {
		Name     string `json:"name"`
		Version  string `json:"version"`
		Evidence struct {
			Licenses []struct {
				License struct {
					ID string `json:"id"`
				} `json:"license"`
			} `json:"licenses"`
		} `json:"evidence"`
	} `json:"components"`
}

// run checks the bill at in, writes it to out, and says how many components have which licences.
func run(in, out, epoch string) (said string, err error) {
	text, err := os.ReadFile(in)
	if err != nil {
		return "", err
	}
	var b bill
	if err := json.Unmarshal(text, &b); err != nil {
		return "", fmt.Errorf("%s: %w", in, err)
	}
	if len(b.Components) == 0 {
		return "", fmt.Errorf("%s lists no component", in)
	}
	count, bad := map[string]int{}, []string{}
	for _, c := range b.Components {
		var ids []string
		for _, l := range c.Evidence.Licenses {
			ids = append(ids, known(c.Name, l.License.ID))
		}
		if len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(allowed, id) }) {
			bad = append(bad, fmt.Sprintf("%s %s: %s", c.Name, c.Version, strings.Join(append(ids, "may not be shipped, or is not told"), ", ")))
			continue
		}
		slices.Sort(ids)
		count[strings.Join(ids, " and ")]++
	}
	if len(bad) > 0 {
		return "", fmt.Errorf("licences:\n  %s", strings.Join(bad, "\n  "))
	}
	var parts []string
	for ids, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s", n, ids))
	}
	slices.Sort(parts)
	said = fmt.Sprintf("licences: %d components, %s\n", len(b.Components), strings.Join(parts, ", "))
	return said, write(out, text, epoch)
}

// write gives the bill the time of the commit.
func write(out string, text []byte, epoch string) error {
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		return err
	}
	if meta, ok := whole["metadata"].(map[string]any); ok {
		delete(meta, "timestamp")
		if epoch != "" {
			sec, err := strconv.ParseInt(epoch, 10, 64)
			if err != nil {
				return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
			}
			meta["timestamp"] = time.Unix(sec, 0).UTC().Format(time.RFC3339)
		}
	}
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}
