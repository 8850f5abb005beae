"""Every guard against a trap, taken away one at a time: the tests named for it must fail then."""
