package bus

// runChild runs this test binary as something else; false when it is the test itself.
func runChild() bool { return false }
