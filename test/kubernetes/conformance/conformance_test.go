// Runs the conformance suite of the Gateway API, built by conformance.ts; its flags say against what.
package conformance_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}

// TestCases prints a line of JSON for each case: its name, and the features that it needs.
func TestCases(t *testing.T) {
	for _, one := range tests.ConformanceTests {
		line, err := json.Marshal(map[string]any{"name": one.ShortName, "features": one.Features, "provisional": one.Provisional})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(line))
	}
}
