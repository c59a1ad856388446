"""Static timing of yosys' netlists: which register-to-register paths are longest, and the clock that they allow."""
