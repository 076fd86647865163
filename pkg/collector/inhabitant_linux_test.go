package collector

import (
	"os"
	"testing"
)

// inhabitantEnv makes the test binary the inhabitant of a test pod instead of a test.
const inhabitantEnv = "COSANET_TEST_INHABITANT"

func TestMain(m *testing.M) {
	if os.Getenv(inhabitantEnv) != "" {
		select {}
	}
	os.Exit(m.Run())
}
